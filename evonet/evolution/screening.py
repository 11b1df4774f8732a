"""Screening: of several offspring, the one is trained that promises most.

What it promises is read from all trainings so far by a random forest (Breiman 2001,
https://doi.org/10.1023/A:1010933404324), as in SMAC (Hutter et al. 2011,
https://doi.org/10.1007/978-3-642-25566-3_40), which also takes the most promising of many. Here it
is only one of a few: what a forest believes is wrong where nobody has been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata

from evonet.evolution.selection import Member
from evonet.genome import Genome
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES, Value

#: What each of some genomes promises, ``(n,)``: more is better.
Judge = Callable[[Sequence[Genome]], np.ndarray]

#: Fewest trainings that a forest is grown from. Untuned.
_FEWEST = 30
#: The latest trainings that it is grown from: more are slow, and of other regions. Untuned.
_LATELY = 1_000
#: Trees; more of them changed nothing on the tables of ``scripts/bench_search.py``.
_TREES = 50
#: What a gene is given that a genome has not: below every value.
_ABSENT = -1.0


def forest_judge(rng: np.random.Generator, told: Sequence[Member]) -> Judge | None:
    """A judge that has learned the ranks of what was trained so far.

    Ranks and not fitnesses: one network that diverged is no reason to split everything by it.

    Args:
        rng: grows the trees.
        told: all that was trained, in order; failed ones rank last.

    Returns:
        The judge; None where there is too little to learn from.
    """
    from sklearn.ensemble import RandomForestRegressor  # a second to load

    told = told[-_LATELY:]
    if len(told) < _FEWEST:
        return None
    depth = max(len(member.genome.layers) for member in told)
    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=2, random_state=int(rng.integers(2**31)), n_jobs=1
    )
    ranks = rankdata([member.fitness[0] for member in told])
    forest.fit([features(member.genome, depth) for member in told], ranks)
    return lambda genomes: np.asarray(forest.predict([features(g, depth) for g in genomes]))


def features(genome: Genome, depth: int) -> list[float]:
    """A genome as numbers: those of the network, those of the first ``depth`` layers, and sums.

    A forest asks only whether a number is above another, so that no scale matters.
    """
    genes = [_number(name, getattr(genome, name)) for name in NETWORK_GENES]
    layers = genome.layers[:depth]
    for layer in layers:
        genes += [_number(name, getattr(layer, name)) for name in LAYER_GENES]
    genes += [_ABSENT] * (len(LAYER_GENES) * (depth - len(layers)))
    return [*genes, len(genome.layers), sum(layer.units for layer in genome.layers)]


def _number(gene: str, value: Value | None) -> float:
    """A value of a gene; of a choice its place among the names."""
    if value is None:
        return _ABSENT
    return float(value) if KINDS[gene].ordered else float(KINDS[gene].names.index(str(value)))
