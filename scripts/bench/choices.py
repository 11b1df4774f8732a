"""evonet's search space for tools that ask for one value after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES

Values = Mapping[str, Sequence[Any]]
#: From the name of a parameter, whether its values have an order, and the values, to one of them.
Choose = Callable[[str, bool, Sequence[Any]], Any]


def default_values(task: str) -> Values:
    """The values of every gene in evonet's default space for a task."""
    return {name: gene.values for name, gene in SearchSpace.default().for_task(task).genes.items()}


def chosen_genome(choose: Choose, values: Values, alike: Sequence[str] = ()) -> Genome:
    """A genome whose genes a tool chooses; it is asked for nothing that does not act.

    Args:
        choose: asks the tool. Asked twice for one name, it gives the same value.
        values: those of every gene, by its name.
        alike: genes of layers that all layers of a network share.
    """

    def of(gene: str, name: str) -> Any:
        if len(values[gene]) == 1:
            return values[gene][0]
        return choose(name, KINDS[gene].ordered, values[gene])

    genes: dict[str, Any] = {}
    for gene in NETWORK_GENES:
        if KINDS[gene].acts(genes):
            genes[gene] = of(gene, gene)
    layers = tuple(
        Layer(**{g: of(g, g if g in alike else f"{g}_{i}") for g in LAYER_GENES})
        for i in range(of("layers", "layers"))
    )
    return Genome(layers, **genes)


def all_parameters(values: Values) -> dict[str, Sequence[Any]]:
    """Every name that ``chosen_genome`` may ask for, with its values."""
    found = {gene: values[gene] for gene in ("layers", *NETWORK_GENES)}
    deepest = max(values["layers"])
    found |= {f"{gene}_{i}": values[gene] for gene in LAYER_GENES for i in range(deepest)}
    return {name: some for name, some in found.items() if len(some) > 1}


def optuna_choice(trial: Any) -> Choose:
    """How Optuna chooses: steps of a grid, even on the scale it was made on, and names."""

    def choose(name: str, ordered: bool, values: Sequence[Any]) -> Any:
        if ordered:
            return values[trial.suggest_int(name, 0, len(values) - 1)]
        return trial.suggest_categorical(name, list(values))

    return choose
