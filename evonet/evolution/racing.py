"""Multi-fidelity: which trainings are given up on their way, by what better ones had reached there.

A candidate goes on past a rung if it is as good there as the best quarter of the population was at
the same epoch: they are who it will have to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

from scipy.stats import spearmanr

from evonet.evaluation import Evaluation, Hurdle
from evonet.metrics import Metric

#: Least number of trainings that a hurdle or a correlation is taken from. Untuned.
_FEWEST = 8
#: Least rank correlation between a rung and the end for which "auto" sets a hurdle. Untuned.
_LEAST_CORRELATION = 0.5
#: Of four equal parts of the members, by their score at a rung, so many are below the hurdle. In
#: searches of equal time on digits and phoneme, 3 found better networks than 2, 1 and none.
_PART = 3


def rank_correlation(evaluations: Sequence[Evaluation], epoch: int) -> float | None:
    """Spearman's correlation of the scores at a rung and at the end, of trainings that reached it.

    Args:
        evaluations: of any trainings; those dropped or failed do not count.
        epoch: of the rung.

    Returns:
        From -1 to 1; None where too few trainings, or only equal scores, say it.
    """
    pairs = [
        (rung.score, e.score)
        for e in evaluations
        for rung in e.rungs
        if rung.epoch == epoch and e.ok and not e.dropped and rung.score is not None
    ]
    if len(pairs) < _FEWEST or any(len(set(scores)) < 2 for scores in zip(*pairs, strict=True)):
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def hurdles(
    population: Sequence[Evaluation],
    sample: Sequence[Evaluation],
    epochs: Sequence[int],
    metric: Metric,
    always: bool,
) -> tuple[Hurdle, ...]:
    """What the next candidates must reach.

    Args:
        population: evaluations of its members.
        sample: trainings that no hurdle was set for, and so tell what rungs say about the end.
        epochs: the rungs.
        metric: the run's metric.
        always: set hurdles however little the rungs say about the end.
    """
    found = []
    for epoch in epochs:
        reached = [r.score for e in population for r in e.rungs if r.epoch == epoch]
        scores = [score for score in reached if score is not None]
        if len(scores) < _FEWEST:
            continue
        if not always:
            correlation = rank_correlation(sample, epoch)
            if correlation is None or correlation < _LEAST_CORRELATION:
                continue
        part = _PART if metric.maximise else 4 - _PART
        found.append(Hurdle(epoch, quantiles(scores, n=4)[part - 1], metric.maximise))
    return tuple(found)
