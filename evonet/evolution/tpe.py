"""Genomes drawn by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011).

https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization. Optuna is
imported only where it draws. A study is made anew for each generation from all that the
search was told, so that no state of Optuna's has to be kept; what was drawn in this generation, or
is still being trained, counts as bad ("constant liar").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evonet.evolution.search import Candidate, Draw, Search
from evonet.extras import quiet
from evonet.fitness import Fitness
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES, Value
from evonet.streams import stream

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import TrialState


def modelled(search: Search, n: int) -> list[Draw]:
    """Draws from where good genomes are dense and others are not."""
    study = _study(search)
    return [lambda: Candidate(_suggested(study.ask(), search.space), "tpe")] * n


def _study(search: Search) -> Study:
    """All that the search was told, as a study of Optuna's."""
    import optuna

    seed = int(stream(search.seed, "variation", search.generation).integers(2**32))
    n_objectives = len(search.population[0].fitness)
    with quiet("optuna"):
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=1,  # the first generation was drawn at random
            constant_liar=True,
            multivariate=False,
            seed=seed,
        )
        study = optuna.create_study(sampler=sampler, directions=["maximize"] * n_objectives)
    states = optuna.trial.TrialState

    def add(genome: Genome, state: TrialState, values: Fitness | None) -> None:
        parameters = _parameters(search.space, genome)
        distributions = {name: _distribution(search.space, name) for name in parameters}
        study.add_trial(
            optuna.create_trial(
                params=parameters, distributions=distributions, state=state, values=values
            )
        )

    for member in search.told:
        if member.failed:  # pruned before its first report: worse than all that was not
            add(member.genome, states.PRUNED, None)
        else:
            add(member.genome, states.COMPLETE, member.fitness)
    for genome in search.pending:
        add(genome, states.RUNNING, None)
    return study


def _suggested(trial: Trial, space: SearchSpace) -> Genome:
    """A genome, each gene asked for once it is known to act."""

    def choose(name: str) -> Any:
        gene = space.genes[_gene(name)]
        if len(gene.values) == 1:
            return gene.values[0]
        if gene.kind.ordered:
            return gene.values[trial.suggest_int(name, 0, len(gene.values) - 1)]
        return trial.suggest_categorical(name, gene.values)

    layers = tuple(
        Layer(**{name: choose(_at(name, place)) for name in LAYER_GENES})
        for place in range(choose("layers"))
    )
    network: dict[str, Any] = {}
    for name in NETWORK_GENES:
        network[name] = choose(name) if KINDS[name].acts(network) else None
    return Genome(layers, **network)


def _parameters(space: SearchSpace, genome: Genome) -> dict[str, Any]:
    """The genes of a genome as parameters of a trial: numbers as the index of the nearest value.

    Left out is what the space leaves no choice of, and a name that it does not hold.
    """
    values: dict[str, Value | None] = {"layers": len(genome.layers), **space.network_genes(genome)}
    for place, layer in enumerate(genome.layers[: space.depths[-1]]):
        values |= {_at(name, place): getattr(layer, name) for name in LAYER_GENES}
    parameters: dict[str, Any] = {}
    for name, value in values.items():
        gene = space.genes[_gene(name)]
        if value is None or len(gene.values) == 1:
            continue
        if gene.kind.ordered:
            parameters[name] = gene.values.index(gene.nearest(value))
        elif value in gene.values:
            parameters[name] = value
    return parameters


def _distribution(space: SearchSpace, name: str) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    gene = space.genes[_gene(name)]
    if gene.kind.ordered:
        return IntDistribution(0, len(gene.values) - 1)
    return CategoricalDistribution(gene.values)


def _at(gene: str, place: int) -> str:
    """The parameter of a layer's gene: every place has its own."""
    return f"{gene} {place}"


def _gene(parameter: str) -> str:
    return parameter.partition(" ")[0]
