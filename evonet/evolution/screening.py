"""Screening: of several offspring, the one is trained that promises most.

What it promises is read from all trainings so far by a random forest (Breiman 2001,
https://doi.org/10.1023/A:1010933404324), as in SMAC (Hutter et al. 2011,
https://doi.org/10.1007/978-3-642-25566-3_40), which also takes the most promising of many. Here it
is only one of a few: what a forest believes is wrong where nobody has been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import is_

import numpy as np
from scipy.stats import rankdata

from evonet.evolution.selection import Member
from evonet.genome import Genome, Layer
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES, Value
from evonet.streams import stream

#: What each of some genomes promises, ``(n,)``: more is better.
Judge = Callable[[Sequence[Genome]], np.ndarray]

#: Fewest trainings that a forest is grown from. Untuned.
_FEWEST = 30
#: A new forest is grown once there are more trainings by one in so many, or by so many: growing one
#: takes as long as drawing some fifty offspring.
_ONE_IN, _MORE = 5, 200
#: The latest trainings that it is grown from: more are slow, and of other regions. Untuned.
_LATELY = 1_000
#: Trees, and the share of features that a split chooses among (Breiman's third): on the tables of
#: ``scripts/bench_search.py`` twice as many trees by all features chose no better, at four times
#: the time, in which workers wait.
_TREES, _FEATURES = 25, 1 / 3
#: Of each gene that is a choice, the number of each of its names.
_PLACES = {gene: {name: float(i) for i, name in enumerate(KINDS[gene].names)} for gene in KINDS}
#: What a gene is given that a genome has not: below every value.
_ABSENT = -1.0


def forest_judge(seed: int, told: Sequence[Member]) -> Judge | None:
    """A judge that has learned the ranks of what was trained so far.

    Ranks and not fitnesses: one network that diverged is no reason to split everything by it.

    Args:
        seed: the run's.
        told: all that was trained, in order; failed ones rank last. The last of them may not have
            taught the judge yet.

    Returns:
        The judge; None where there is too little to learn from.
    """
    if len(told) < _FEWEST:
        return None
    n = _FEWEST
    while (more := n + min(n // _ONE_IN, _MORE)) <= len(told):
        n = more
    lessons = told[:n][-_LATELY:]
    if not (_last and _last[0].is_of(seed, n, lessons)):
        _last[:] = [_Grown(seed, n, lessons, _grown(seed, n, lessons))]
    return _last[0].judge


@dataclass(frozen=True)
class _Grown:
    """A judge, and what it was grown from."""

    seed: int
    n: int
    told: Sequence[Member]
    judge: Judge

    def is_of(self, seed: int, n: int, told: Sequence[Member]) -> bool:
        """Whether it was grown from just these: the same objects, since equality takes longer."""
        same = (self.seed, self.n, len(self.told)) == (seed, n, len(told))
        return same and all(map(is_, self.told, told))


#: The judge that was grown last, if any: a search asks for one again and again.
_last: list[_Grown] = []


def _grown(seed: int, n: int, told: Sequence[Member]) -> Judge:
    """The judge that the last of ``n`` trainings have taught."""
    from sklearn.ensemble import RandomForestRegressor  # a second to load

    depth = max(len(member.genome.layers) for member in told)
    grows = int(stream(seed, "screening", n).integers(2**31))
    forest = RandomForestRegressor(
        _TREES, max_features=_FEATURES, min_samples_leaf=2, random_state=grows, n_jobs=1
    )
    _, places = np.unique([member.order for member in told], axis=0, return_inverse=True)
    forest.fit([features(member.genome, depth) for member in told], rankdata(places))
    trees = [tree.tree_ for tree in forest.estimators_]

    def judge(genomes: Sequence[Genome]) -> np.ndarray:
        # As forest.predict, whose checks of a few rows take a hundred times as long as the trees.
        rows = np.asarray([features(genome, depth) for genome in genomes], np.float32)
        return np.sum([tree.predict(rows)[:, 0] for tree in trees], axis=0) / len(trees)

    return judge


def features(genome: Genome, depth: int) -> list[float]:
    """A genome as numbers: those of the network, those of the first ``depth`` layers, and sums.

    A forest asks only whether a number is above another, so that no scale matters.
    """
    genes = [_number(name, getattr(genome, name)) for name in NETWORK_GENES]
    layers = genome.layers[:depth]
    for layer in layers:
        genes += _of_layer(layer)
    genes += [_ABSENT] * (len(LAYER_GENES) * (depth - len(layers)))
    return [*genes, len(genome.layers), sum(layer.units for layer in genome.layers)]


@lru_cache(10_000)
def _of_layer(layer: Layer) -> tuple[float, ...]:
    return tuple(_number(name, getattr(layer, name)) for name in LAYER_GENES)


def _number(gene: str, value: Value | None) -> float:
    """A value of a gene; of a choice its place among the names."""
    if value is None:
        return _ABSENT
    places = _PLACES[gene]
    return places[str(value)] if places else float(value)
