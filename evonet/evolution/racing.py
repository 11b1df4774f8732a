"""Multi-fidelity: which trainings are given up on their way, by what others had reached there.

Successive halving without waiting (ASHA with stopping: Li et al. 2020,
https://arxiv.org/abs/1810.05934): a candidate goes on past a rung if it is among the best quarter
of those that reached it lately. Lately, since candidates get better: against all of them, hardly
any would be given up in the end; and against the population, which is selected, nearly all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from evonet.evaluation import ETA, Evaluation, Hurdle
from evonet.metrics import Metric

#: Least number of trainings that a hurdle or a correlation is taken from. Untuned.
_FEWEST = 8
#: Least rank correlation between a rung and the end for which "auto" sets a hurdle. Untuned.
_LEAST_CORRELATION = 0.5
#: The last so many that reached a rung did so lately: few, since a quarter is more once candidates
#: have become better, and not too few, of which nobody knows who the best quarter is. By the last
#: 36 a share of 0.36 to 0.44 went on where a third was wanted, by the last 144 candidates 0.40 to
#: 0.55.
_LATELY = 36


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
    # Not spearmanr, most of whose time goes into a p-value, while workers wait.
    return float(np.corrcoef([rankdata(scores) for scores in zip(*pairs, strict=True)])[0, 1])


def hurdles(
    evaluations: Sequence[Evaluation],
    n_unraced: int,
    epochs: Sequence[int],
    metric: Metric,
    always: bool,
) -> tuple[Hurdle, ...]:
    """What the next candidates must reach.

    Args:
        evaluations: all so far, in the order in which they were asked for.
        n_unraced: the first of them, which no hurdle was set for: what they say about the end is
            not of those alone that went on.
        epochs: the rungs.
        metric: the run's metric.
        always: set hurdles however little the rungs say about the end.
    """
    found = []
    for epoch in epochs:
        reached = [r.score for e in evaluations for r in e.rungs if r.epoch == epoch]
        scores = sorted([score for score in reached if score is not None][-_LATELY:])
        if len(scores) < _FEWEST:
            continue
        if not always:
            correlation = rank_correlation(evaluations[:n_unraced], epoch)
            if correlation is None or correlation < _LEAST_CORRELATION:
                continue
        go_on = len(scores) // ETA
        score = scores[-go_on] if metric.maximise else scores[go_on - 1]
        found.append(Hurdle(epoch, score, metric.maximise))
    return tuple(found)
