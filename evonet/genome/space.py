"""The search space: the values each gene may take in a run.

Every gene has a finite list of values, so that the space has a size, can be exhausted, and
two genomes are either the same or differ by more than rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from evonet.errors import GenomeError, SpaceError, shown
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES, GeneKind, Value
from evonet.genome.genome import Genome, Layer
from evonet.toml import read_toml

_RANGE_KEYS = {"low", "high", "count", "scale"}
_MAX_VALUES = 10_000


@dataclass(frozen=True)
class Gene:
    """A gene of this space: what it is, and its values, ascending where it is ordered."""

    kind: GeneKind
    values: tuple[Value, ...]

    def sample(self, rng: np.random.Generator) -> Value:
        """One of the values, all equally likely."""
        return self.values[int(rng.integers(len(self.values)))]

    def mutate(self, rng: np.random.Generator, value: Value) -> Value:
        """Another value: a near one if the gene is ordered, any other if it is a choice.

        Steps are geometric: half of them go to the neighbour, a quarter two away, and so on.
        A gene with one value keeps it. A value from outside the space counts as the nearest.
        """
        if not self.kind.ordered:
            others = [v for v in self.values if v != value]
            return others[int(rng.integers(len(others)))] if others else self.values[0]
        here = self.values.index(self.nearest(value))
        step = int(rng.geometric(0.5)) * (1 if rng.random() < 0.5 else -1)
        there = min(max(here + step, 0), len(self.values) - 1)
        if there == here:  # it stood at the border: turn back
            there = min(max(here - step, 0), len(self.values) - 1)
        return self.values[there]

    def nearest(self, value: Value) -> Value:
        """The value of this ordered gene that is nearest to ``value``; of two, the smaller."""
        return min(self.values, key=lambda v: abs(float(v) - float(value)))


@dataclass(frozen=True)
class SearchSpace:
    """Which values each gene may take.

    Attributes:
        genes: one Gene for every name in ``genes.KINDS``.

    Example:
        >>> space = SearchSpace.default().fix("layers", "1").fix("units", "64")
        >>> space.sample(np.random.default_rng(0)).layers[0].units
        64
    """

    genes: Mapping[str, Gene]

    @classmethod
    def default(cls) -> SearchSpace:
        """The space that ships with evonet."""
        path = files("evonet.genome") / "default_space.toml"
        return cls(_read_genes(read_toml(path.read_text("utf-8"), "default_space.toml"), "default"))

    @classmethod
    def from_file(cls, path: Path) -> SearchSpace:
        """The default space changed by a TOML file.

        Raises:
            SpaceError: the file is missing, is not TOML, names an unknown gene or a value
                that is not legal.
        """
        try:
            text = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SpaceError(f"Cannot read the search space {path}: {reason}.") from None
        return cls.default().change(read_toml(text, str(path), SpaceError), where=str(path))

    @classmethod
    def from_dict(cls, record: Mapping[str, object]) -> SearchSpace:
        """The space of a record as ``to_dict`` writes it; SpaceError where it is none."""
        if not isinstance(record, Mapping):
            raise SpaceError(f"Search space of the run: found {shown(record)}; expected genes.")
        return cls.default().change(record, where="Search space of the run")

    def change(self, record: Mapping[str, object], where: str) -> SearchSpace:
        """This space with the genes of ``record`` in place of its own."""
        return SearchSpace(MappingProxyType({**self.genes, **_read_genes(record, where)}))

    def fix(self, gene: str, text: str) -> SearchSpace:
        """This space with one gene pinned to the value that ``text`` spells.

        Raises:
            SpaceError: there is no such gene, or the value is not legal for it.
        """
        kind = _kind(gene, "--fix")
        value = kind.parse(text)
        if value is None:
            raise SpaceError(f"--fix {gene}={text}: expected {kind.expected}.")
        return SearchSpace(MappingProxyType({**self.genes, gene: Gene(kind, (value,))}))

    def for_task(self, task: str) -> SearchSpace:
        """This space with every gene that means nothing in a task held at its neutral value.

        Raises:
            SpaceError: such a gene may not be neutral in this space.
        """
        idle = {n: kind for n, kind in KINDS.items() if kind.tasks and task not in kind.tasks}
        for name, kind in idle.items():
            if kind.neutral not in self.genes[name].values:
                raise SpaceError(
                    f"gene '{name}' means nothing in {task}; expected {kind.neutral} among its "
                    f"values. Leave out {name}."
                )
        return self.change({name: [kind.neutral] for name, kind in idle.items()}, task)

    def to_dict(self) -> dict[str, list[Value]]:
        """Plain values, as they stand in a TOML file."""
        return {name: list(gene.values) for name, gene in self.genes.items()}

    @property
    def depths(self) -> tuple[int, ...]:
        """The numbers of layers a genome may have, ascending."""
        return tuple(int(value) for value in self.genes["layers"].values)

    def sample_layer(self, rng: np.random.Generator) -> Layer:
        """A layer, every gene drawn on its own."""
        genes: dict[str, Any] = {name: self.genes[name].sample(rng) for name in LAYER_GENES}
        return Layer(**genes)

    def sample(self, rng: np.random.Generator) -> Genome:
        """A genome, every gene drawn on its own."""
        depth = int(self.genes["layers"].sample(rng))
        layers = tuple(self.sample_layer(rng) for _ in range(depth))
        network: dict[str, Any] = {name: self.genes[name].sample(rng) for name in NETWORK_GENES}
        return Genome(layers, **network)

    def spread(self, rng: np.random.Generator, n: int) -> list[Genome]:
        """``n`` genomes in which every value of every gene is about equally frequent.

        A Latin hypercube (McKay et al. 1979): of each gene, the values are dealt out in turn and
        shuffled. Layer genes are dealt out to the first layers, to the second, and so on.
        """
        depths = self._dealt(rng, "layers", n)
        deepest = max(map(int, depths), default=0)
        stacks = [{name: self._dealt(rng, name, n) for name in LAYER_GENES} for _ in range(deepest)]
        network = {name: self._dealt(rng, name, n) for name in NETWORK_GENES}
        genomes = []
        for i, depth in enumerate(depths):
            layers: list[dict[str, Any]] = [
                {name: values[i] for name, values in stack.items()}
                for stack in stacks[: int(depth)]
            ]
            genes: dict[str, Any] = {name: values[i] for name, values in network.items()}
            genomes.append(Genome(tuple(Layer(**layer) for layer in layers), **genes))
        return genomes

    def _dealt(self, rng: np.random.Generator, name: str, n: int) -> list[Value]:
        """``n`` values of a gene, each as often as any other, but for those left over."""
        values = self.genes[name].values
        offset = rng.random()
        dealt = [values[int((i + offset) * len(values) / n) % len(values)] for i in range(n)]
        return [dealt[i] for i in rng.permutation(n)]

    def with_gene(
        self, rng: np.random.Generator, genome: Genome, name: str, value: Value
    ) -> Genome:
        """``genome`` with one network gene set; genes that come to act with it are drawn."""
        genes = self.network_genes(genome) | {name: value}
        for other in NETWORK_GENES:
            if genes[other] is None and KINDS[other].acts(genes):
                genes[other] = self.genes[other].sample(rng)
        return replace(genome, **genes)

    def with_layers(self, genome: Genome, layers: tuple[Layer, ...]) -> Genome:
        """``genome`` with other layers, the rest of it under the names of this space."""
        return Genome(layers, **self.network_genes(genome))

    def adopt(self, rng: np.random.Generator, genome: Genome) -> Genome:
        """``genome`` with every pinned gene (one value in this space) set to that value.

        The other genes may lie outside the space: a founder with 300 units keeps them until a
        mutation steps to a value of the space.

        Raises:
            GenomeError: the number of layers is pinned and the genome has another.
        """
        pinned = {n: gene.values[0] for n, gene in self.genes.items() if len(gene.values) == 1}
        depth = pinned.get("layers", len(genome.layers))
        if len(genome.layers) != depth:
            raise GenomeError(
                f"'{genome}' has {len(genome.layers)} layers; expected {depth}, as pinned."
            )
        layer_genes: dict[str, Any] = {n: pinned[n] for n in LAYER_GENES if n in pinned}
        layers = tuple(replace(layer, **layer_genes) for layer in genome.layers)
        genome = self.with_layers(genome, layers)
        for name in NETWORK_GENES:
            if name in pinned and getattr(genome, name) is not None:
                genome = self.with_gene(rng, genome, name, pinned[name])
        return genome

    def admits(self, genome: Genome) -> bool:
        """Whether this space contains the genome."""
        if len(genome.layers) not in self.depths:
            return False
        if any(
            getattr(layer, name) not in self.genes[name].values
            for layer in genome.layers
            for name in LAYER_GENES
        ):
            return False
        return all(
            value is None or value in self.genes[name].values
            for name, value in self.network_genes(genome).items()
        )

    def network_genes(self, genome: Genome) -> dict[str, Any]:
        """The network genes of a genome, its initializer under the name it has in this space.

        With tanh layers alone, "glorot_normal" is canonically "matched_normal". In a space that
        holds only the first of these names, it must not become He's when the layers change.
        """
        genes = {name: getattr(genome, name) for name in NETWORK_GENES}
        names = self.genes["initializer"].values
        if genome.initializer not in names:
            same = (name for name in names if replace(genome, initializer=str(name)) == genome)
            genes["initializer"] = next(same, genome.initializer)
        return genes

    @property
    def size(self) -> int:
        """How many genomes there are; where several names build one network, an upper bound."""
        n_layers = math.prod(len(self.genes[name].values) for name in LAYER_GENES)
        n_stacks = sum(n_layers**depth for depth in self.depths)
        return n_stacks * sum(
            math.prod(
                len(self.genes[name].values)
                for name in NETWORK_GENES
                if name != "optimizer" and KINDS[name].acts({"optimizer": optimizer})
            )
            for optimizer in self.genes["optimizer"].values
        )

    def _network_genes(self) -> Iterator[dict[str, Any]]:
        """Every combination of the network genes, those that do not act being None."""
        done = set()
        for values in itertools.product(*(self.genes[name].values for name in NETWORK_GENES)):
            genes = dict(zip(NETWORK_GENES, values, strict=True))
            acting = {n: (v if KINDS[n].acts(genes) else None) for n, v in genes.items()}
            combination = tuple(acting.values())
            if combination not in done:
                done.add(combination)
                yield acting

    def enumerate(self) -> Iterator[Genome]:
        """Every genome of the space, in a fixed order; some may come twice under two names."""
        one_layer = [
            Layer(**dict(zip(LAYER_GENES, values, strict=True)))  # type: ignore[arg-type]
            for values in itertools.product(*(self.genes[name].values for name in LAYER_GENES))
        ]
        for network in self._network_genes():
            for depth in self.depths:
                for layers in itertools.product(one_layer, repeat=depth):
                    yield Genome(layers, **network)


def _kind(gene: str, where: str) -> GeneKind:
    if gene not in KINDS:
        raise SpaceError(
            f"{where}: unknown gene {shown(gene)}; expected one of {', '.join(KINDS)}."
        )
    return KINDS[gene]


def _read_genes(record: Mapping[str, object], where: str) -> dict[str, Gene]:
    genes = {}
    for name, domain in record.items():
        kind = _kind(name, where)
        values = _values(kind, domain, where)
        genes[name] = Gene(kind, tuple(sorted(values) if kind.ordered else values))
    return genes


def _values(kind: GeneKind, domain: object, where: str) -> list[Value]:
    """The values of one gene as a space file gives them, without repeats."""
    if isinstance(domain, Mapping):
        domain = _range(kind, domain, where)
    if not isinstance(domain, list) or not domain:
        raise SpaceError(
            f"{where}: gene '{kind.name}' is {shown(domain)}; expected a list of values, such as "
            f"{kind.name} = [...]" + (", or { low, high, count }." if kind.ordered else ".")
        )
    values: dict[Value, None] = {}
    for item in domain:
        value = kind.convert(item)
        if value is None:
            raise SpaceError(
                f"{where}: gene '{kind.name}' has the value {shown(item)}; "
                f"expected {kind.expected}."
            )
        values[value] = None
    return list(values)


def _range(kind: GeneKind, domain: Mapping[str, object], where: str) -> list[Value]:
    """The values of ``{ low, high, count, scale }``: whole, or with three significant digits."""
    place = f"{where}: gene '{kind.name}'"
    if kind.numbers is None:
        raise SpaceError(f"{place} is a choice between names; expected a list of them.")
    if unknown := set(domain) - _RANGE_KEYS:
        raise SpaceError(
            f"{place}: unknown key {shown(min(unknown))}; expected low, high, count, scale."
        )
    low, high, count = (domain.get(key) for key in ("low", "high", "count"))
    scale = domain.get("scale", "linear")
    ends = [x for x in map(kind.convert, (low, high)) if isinstance(x, int | float)]
    if len(ends) < 2 or not ends[0] < ends[1]:
        raise SpaceError(
            f"{place}: low is {shown(low)}, high is {shown(high)}; "
            f"expected low below high, each {kind.expected}."
        )
    if not isinstance(count, int) or not 2 <= count <= _MAX_VALUES:  # true counts as 1
        raise SpaceError(f"{place}: count is {shown(count)}; expected 2 to {_MAX_VALUES}.")
    if scale not in ("linear", "log") or (scale == "log" and ends[0] <= 0):
        raise SpaceError(
            f'{place}: scale is {shown(scale)}; expected "linear", or "log" with low above 0.'
        )
    spaced = np.geomspace if scale == "log" else np.linspace
    points = spaced(ends[0], ends[1], count)
    if kind.numbers is int:
        return [round(x) for x in points]
    return [min(max(float(f"{x:.3g}"), ends[0]), ends[1]) for x in points]
