"""Which genes matter: how much of the differences between networks each of them explains.

Functional analysis of variance of a random forest, by exact marginals over its trees (Hutter, Hoos
& Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance,
https://proceedings.mlr.press/v32/hutter14.html). The forest is fitted to ranks rather than scores,
so that a few networks that learned nothing do not decide what matters among the good ones.

What differs from the paper: genes of layers are summed up over the layers (``gene_levels``), since
a genome has any number of them, and the trees take ranks. Scores after a few epochs are not ranked
among those of whole trainings (``at_one_stage``). What it cannot say: networks of a search are no
random sample, so that what the search left early is known badly.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evonet.evaluation import Evaluation
from evonet.fitness import WORST, fitness
from evonet.genome import Genome
from evonet.genome.genes import KINDS, LAYER_GENES, Value
from evonet.metrics import Metric

#: Trees of the forest. Untuned.
_TREES = 48
#: Fewest networks in a leaf. Untuned.
_LEAF = 3
#: Fewer networks say too little about a dozen genes. Untuned.
LEAST = 40
#: Genes whose pairs are looked at: those that matter most on their own. Untuned.
_PAIRED = 6
#: A gene that does not act in a genome, or whose layers are not there.
ABSENT = "unused"


@dataclass(frozen=True)
class Importance:
    """What a gene, or two genes together beyond each, explain.

    Attributes:
        genes: the name of the gene, or of two.
        share: of the variance of the ranks over the whole space, from 0 to 1; mean of the trees.
        low: lower quartile over the trees.
        high: upper quartile over the trees.
    """

    genes: tuple[str, ...]
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Analysis:
    """The analysis of variance of a run.

    Attributes:
        genes: each gene alone, the most important first.
        pairs: the same of pairs of the most important genes.
        effects: by gene, the mean rank (0 worst, 1 best) that the forest expects for each value,
            over all values of the other genes.
        trust: share of the differences between networks that a tree had not seen which the forest
            foretells (R² out of bag); at 0 or below the analysis says nothing.
        networks: how many it was fitted to.
    """

    genes: tuple[Importance, ...]
    pairs: tuple[Importance, ...]
    effects: Mapping[str, tuple[tuple[Value, float], ...]]
    trust: float
    networks: int


def gene_levels(genome: Genome, space: Mapping[str, Sequence[Value]]) -> dict[str, Value]:
    """One value for each gene: of layers, the middle of numbers and the commonest of names.

    Args:
        genome: any.
        space: the values of each gene; numbers are taken to the nearest of them.

    Returns:
        By gene that has several values in the space; ``ABSENT`` where it does not act.
    """
    levels: dict[str, Value] = {}
    for name, values in space.items():
        if len(values) < 2:
            continue
        if name == "layers":
            found: list[Any] = [len(genome.layers)]
        elif name in LAYER_GENES:
            found = [getattr(layer, name) for layer in genome.layers]
        else:
            found = [getattr(genome, name)]
        found = [value for value in found if value is not None]
        if not found:
            levels[name] = ABSENT
        elif KINDS[name].ordered:
            places = [_nearest(value, values) for value in found]
            levels[name] = values[round(float(np.mean(places)))]
        else:
            levels[name] = Counter(found).most_common(1)[0][0]
    return levels


def _nearest(value: float, values: Sequence[Any]) -> int:
    return min(range(len(values)), key=lambda i: abs(values[i] - value))


def at_one_stage(
    evaluations: Sequence[Evaluation], metric: Metric
) -> tuple[int | None, dict[int, float]]:
    """The fitness of trainings where they can be compared: at the last stage that enough reached.

    Args:
        evaluations: of a search; some may have been given up on their way.
        metric: of their scores.

    Returns:
        The stage, as the epoch of a rung or None for the end, and by place the fitness there of
        those that reached it; what failed counts everywhere, with the least. The last stage is the
        one that ``LEAST`` reached, or else the first there is.
    """
    failed = {i: WORST for i, e in enumerate(evaluations) if not e.ok}
    whole = {i: fitness(e, metric) for i, e in enumerate(evaluations) if e.ok and not e.dropped}
    stages: list[tuple[int | None, dict[int, float]]] = [(None, whole)]
    for epoch in sorted({rung.epoch for e in evaluations for rung in e.rungs}, reverse=True):
        there = {
            i: metric.sign * rung.score
            for i, e in enumerate(evaluations)
            for rung in e.rungs
            if rung.epoch == epoch and rung.score is not None and e.ok
        }
        stages.append((epoch, there))
    stage, reached = next((s for s in stages if len(s[1]) >= LEAST), stages[-1])
    return stage, dict(sorted({**failed, **reached}.items()))


def analyse(
    genomes: Sequence[Genome],
    fitnesses: Sequence[float],
    space: Mapping[str, Sequence[Value]],
) -> Analysis | None:
    """What each gene explains of the ranks of some networks.

    Args:
        genomes: that were trained.
        fitnesses: of each; more is better, whatever failed has the least.
        space: the values of each gene.

    Returns:
        None for fewer than ``LEAST`` networks, or where all are as good.
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score

    rows = [gene_levels(genome, space) for genome in genomes]
    if len(rows) < LEAST or min(fitnesses) == max(fitnesses) or not rows[0]:
        return None
    names = list(rows[0])
    domains = [_domain(space[name], [row[name] for row in rows]) for name in names]
    x = np.array([[d.index(r[n]) for n, d in zip(names, domains, strict=True)] for r in rows])
    ranks = (rankdata(fitnesses) - 1) / (len(fitnesses) - 1)
    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=_LEAF, max_features=0.7, bootstrap=True, random_state=0
    ).fit(x, ranks)
    trust = r2_score(ranks, _unseen(forest, x, ranks))
    sizes = [len(domain) for domain in domains]
    trees = [decompose(tree.tree_, sizes, _PAIRED) for tree in forest.estimators_]
    trees = [tree for tree in trees if tree.variance > 0]
    if not trees:
        return None
    alone = [_summary((n,), [t.alone[j] for t in trees]) for j, n in enumerate(names)]
    pairs = [
        _summary((names[j], names[k]), [t.pairs.get((j, k), 0.0) for t in trees])
        for j, k in sorted({pair for tree in trees for pair in tree.pairs})
    ]
    effects = {
        name: tuple(
            zip(domain, np.mean([t.effects[j] for t in trees], axis=0).tolist(), strict=True)
        )
        for j, (name, domain) in enumerate(zip(names, domains, strict=True))
    }
    return Analysis(
        _by_share(alone),
        _by_share(pairs),
        effects,
        float(trust),
        len(rows),
    )


def _by_share(found: Sequence[Importance]) -> tuple[Importance, ...]:
    return tuple(sorted(found, key=lambda importance: -importance.share))


def _domain(values: Sequence[Value], found: Sequence[Value]) -> list[Value]:
    """The values of a gene in the space, and after them what else occurs."""
    return list(dict.fromkeys([*values, *sorted(set(found) - set(values), key=str)]))


def _unseen(forest: Any, x: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """What the trees that did not see a network foretell for it; the mean where all did."""
    sums, counts = np.zeros(len(x)), np.zeros(len(x))
    for tree, seen in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        unseen = np.setdiff1d(np.arange(len(x)), seen)
        if len(unseen):
            sums[unseen] += tree.predict(x[unseen])
            counts[unseen] += 1
    return np.where(counts > 0, sums / np.maximum(counts, 1), ranks.mean())


def _summary(genes: tuple[str, ...], shares: Sequence[float]) -> Importance:
    low, high = np.quantile(shares, [0.25, 0.75])
    return Importance(genes, float(np.mean(shares)), float(low), float(high))


@dataclass(frozen=True)
class Decomposition:
    """The variance of one tree over a grid of genes, all combinations being equally likely.

    Attributes:
        variance: of its predictions.
        alone: ``(n_genes,)`` share of each gene.
        pairs: by two genes, what they explain together and neither alone.
        effects: of each gene, the mean prediction for each of its values.
    """

    variance: float
    alone: np.ndarray
    pairs: Mapping[tuple[int, int], float]
    effects: tuple[np.ndarray, ...]


def decompose(tree: Any, sizes: Sequence[int], paired: int) -> Decomposition:
    """Exact marginals of a tree (Hutter et al. 2014, section 4).

    Args:
        tree: scikit-learn's ``tree_``, over genes whose values are the numbers from 0.
        sizes: how many values each gene has.
        paired: how many genes to look at in pairs.
    """
    inside, values = _leaves(tree, sizes)  # (n_leaves, n_values) of each gene; (n_leaves,)
    shares = np.stack([gene.mean(axis=1) for gene in inside], axis=1)  # (n_leaves, n_genes)
    volumes = shares.prod(axis=1)
    mean = float(volumes @ values)
    variance = float(volumes @ (values - mean) ** 2)
    # (n_leaves,) weight of a leaf in the marginal over all genes but j
    effects = tuple(gene.T @ (values * volumes / shares[:, j]) for j, gene in enumerate(inside))
    if variance <= 0:
        return Decomposition(0.0, np.zeros(len(sizes)), {}, effects)
    alone = np.array([np.var(effect) for effect in effects]) / variance
    first = sorted(np.argsort(-alone)[:paired].tolist())
    pairs = {}
    for j, k in itertools.combinations(first, 2):
        weight = values * volumes / (shares[:, j] * shares[:, k])
        marginal = (inside[j] * weight[:, None]).T @ inside[k]
        pairs[j, k] = max(float(np.var(marginal)) / variance - alone[j] - alone[k], 0.0)
    return Decomposition(variance, alone, pairs, effects)


def _leaves(tree: Any, sizes: Sequence[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Which values of each gene lead to each leaf, and what the leaf predicts."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    gene_of = np.repeat(np.arange(len(sizes)), sizes)
    level = np.concatenate([np.arange(size) for size in sizes])
    inside = np.ones((tree.node_count, offsets[-1]), dtype=bool)
    leaves = tree.children_left < 0
    for node in np.flatnonzero(~leaves):  # parents come before their children
        left = (gene_of != tree.feature[node]) | (level <= tree.threshold[node])
        inside[tree.children_left[node]] = inside[node] & left
        right = (gene_of != tree.feature[node]) | (level > tree.threshold[node])
        inside[tree.children_right[node]] = inside[node] & right
    reached = inside[leaves].astype(float)
    parts = [reached[:, a:b] for a, b in itertools.pairwise(offsets)]
    return parts, tree.value[leaves, 0, 0]
