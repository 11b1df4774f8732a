"""Operators that make genomes from genomes. Pure: the generator comes first, nothing is changed.

To add a mutation: write ``(rng, genome, space) -> Genome`` and add its row to ``MUTATIONS``; the
tests of every registered operator then cover it. An operator may return its genome unchanged
where it does not apply; the search asks again until an offspring has not been seen before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from evonet.genome import Genome, SearchSpace
from evonet.genome.genes import LAYER_GENES, NETWORK_BLOCKS, NETWORK_GENES

#: Chance of one more mutation after each. Untuned.
_MORE_MUTATIONS = 0.4
#: Draws after which a genome is given up as one that nothing here can change.
_ATTEMPTS = 50


def crossover(
    rng: np.random.Generator, mother: Genome, father: Genome, space: SearchSpace
) -> Genome:
    """A child with the first layers of one parent, the last of the other, and blocks of both.

    Layers are never split, and the genes that set the course of training (optimizer, learning
    rate, its schedule, batch size and more) are inherited together. The cuts are drawn for each
    parent on its own, so that depth can change within the space.
    """
    cut = int(rng.integers(len(mother.layers) + 1))
    n_tails = [n for n in range(len(father.layers) + 1) if cut + n in space.depths]
    layers = mother.layers
    if n_tails:
        n_tail = n_tails[int(rng.integers(len(n_tails)))]
        layers = mother.layers[:cut] + father.layers[len(father.layers) - n_tail :]
    genes: dict[str, Any] = {}
    for block in NETWORK_BLOCKS:
        parent = mother if rng.random() < 0.5 else father
        own = space.network_genes(parent)
        genes.update({name: own[name] for name in block})
    return Genome(layers, **genes)


def change_network_gene(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """One gene of the network takes another value: a near one if it is a number.

    With the batch size the learning rate grows or shrinks by the same factor, as far as the
    values of the space allow: the linear scaling rule of Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677.
    """
    names = [
        name
        for name in NETWORK_GENES
        if getattr(genome, name) is not None and len(space.genes[name].values) > 1
    ]
    if not names:
        return genome
    name = names[int(rng.integers(len(names)))]
    value = space.genes[name].mutate(rng, space.network_genes(genome)[name])
    changed = space.with_gene(rng, genome, name, value)
    if name != "batch_size":
        return changed
    scaled = genome.learning_rate * changed.batch_size / genome.batch_size
    rate: Any = space.genes["learning_rate"].nearest(scaled)
    return replace(changed, learning_rate=rate)


def change_layer_gene(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """One gene of one layer takes another value: a near one if it is a number."""
    names = [name for name in LAYER_GENES if len(space.genes[name].values) > 1]
    if not names or not genome.layers:
        return genome
    place = int(rng.integers(len(genome.layers)))
    name = names[int(rng.integers(len(names)))]
    layer = genome.layers[place]
    mutated: dict[str, Any] = {name: space.genes[name].mutate(rng, getattr(layer, name))}
    changed = replace(layer, **mutated)
    layers = (*genome.layers[:place], changed, *genome.layers[place + 1 :])
    return space.with_layers(genome, layers)


def add_layer(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """A new random layer somewhere."""
    if len(genome.layers) + 1 not in space.depths:
        return genome
    place = int(rng.integers(len(genome.layers) + 1))
    new = space.sample_layer(rng)
    return space.with_layers(genome, (*genome.layers[:place], new, *genome.layers[place:]))


def duplicate_layer(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """A copy of a layer right after it."""
    if not genome.layers or len(genome.layers) + 1 not in space.depths:
        return genome
    place = int(rng.integers(len(genome.layers)))
    return space.with_layers(genome, (*genome.layers[: place + 1], *genome.layers[place:]))


def remove_layer(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """One layer less."""
    if not genome.layers or len(genome.layers) - 1 not in space.depths:
        return genome
    place = int(rng.integers(len(genome.layers)))
    return space.with_layers(genome, (*genome.layers[:place], *genome.layers[place + 1 :]))


def widen(_: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """Every layer takes the next larger number of units."""
    return _resized(genome, space, 1)


def narrow(_: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """Every layer takes the next smaller number of units."""
    return _resized(genome, space, -1)


def equalise(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """Every layer becomes a copy of one of them."""
    if not genome.layers:
        return genome
    model = genome.layers[int(rng.integers(len(genome.layers)))]
    return space.with_layers(genome, (model,) * len(genome.layers))


def enlarge_first_layer(rng: np.random.Generator, genome: Genome, space: SearchSpace) -> Genome:
    """The first layer takes a larger number of units."""
    if not genome.layers:
        return genome
    first, *rest = genome.layers
    larger: list[Any] = [n for n in space.genes["units"].values if float(n) > first.units]
    if not larger:
        return genome
    units = larger[min(int(rng.geometric(0.5)), len(larger)) - 1]
    return space.with_layers(genome, (replace(first, units=units), *rest))


def _resized(genome: Genome, space: SearchSpace, step: int) -> Genome:
    """Every layer with the number of units that is a step away, where there is one."""
    values = space.genes["units"].values
    places = [values.index(space.genes["units"].nearest(layer.units)) for layer in genome.layers]
    units: list[Any] = [values[min(max(place + step, 0), len(values) - 1)] for place in places]
    layers = tuple(replace(layer, units=n) for layer, n in zip(genome.layers, units, strict=True))
    return space.with_layers(genome, layers)


@dataclass(frozen=True)
class Mutation:
    """An operator on one genome and how often it is drawn, relative to the others."""

    apply: Callable[[np.random.Generator, Genome, SearchSpace], Genome]
    weight: float


#: Weights untuned, but for this: the learning rate matters more than every width (measured on
#: the FCNet and HPOBench tables: 0.55 to 0.59 of the rank variance against 0.03).
MUTATIONS: Mapping[str, Mutation] = {
    "change_network_gene": Mutation(change_network_gene, 5),
    "change_layer_gene": Mutation(change_layer_gene, 3),
    "add_layer": Mutation(add_layer, 1),
    "duplicate_layer": Mutation(duplicate_layer, 0.5),
    "remove_layer": Mutation(remove_layer, 1),
    "widen": Mutation(widen, 0.5),
    "narrow": Mutation(narrow, 0.5),
    "equalise": Mutation(equalise, 0.5),
    "enlarge_first_layer": Mutation(enlarge_first_layer, 0.5),
}


def mutate(
    rng: np.random.Generator,
    genome: Genome,
    space: SearchSpace,
    factors: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Genome, tuple[str, ...]]:
    """A genome changed by one or more mutations, and their names in order.

    Args:
        rng: the generator to draw from.
        genome: what to change.
        space: where the new genes come from.
        factors: how much more often than by its weight a mutation is drawn; 1 if left out.

    Returns:
        Another genome, unless the space holds none that a mutation leads to.
    """
    names = list(MUTATIONS)
    weights = np.asarray([m.weight * factors.get(name, 1.0) for name, m in MUTATIONS.items()])
    shares = np.cumsum(weights / weights.sum())  # as Generator.choice does, but once
    shares /= shares[-1]
    mutant, applied = genome, []
    left = int(rng.geometric(1 - _MORE_MUTATIONS))
    for _ in range(_ATTEMPTS):
        name = names[int(shares.searchsorted(rng.random(), side="right"))]
        changed = MUTATIONS[name].apply(rng, mutant, space)
        if changed != mutant:
            mutant, left = changed, left - 1
            applied.append(name)
        if left <= 0 and mutant != genome:
            break
    return mutant, tuple(applied)
