"""From an evaluation to the numbers that selection compares, with the one rule for failures.

Fitness is always maximised and always finite: a metric that is minimised changes its sign, and
a failed training gets ``WORST``. NaN never reaches DEAP, where it would win every comparison
(DEAP 1.4.4 compares NaN as greater than everything).

What selection sees is a tuple, a number for each objective of the run; the score comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evonet.evaluation import Evaluation
from evonet.metrics import Metric
from evonet.store.rows import StoredEvaluation

WORST = -1e300

Fitness = tuple[float, ...]

#: What counts as worthless in a hypervolume: networks so large, or so slow. Untuned.
_WORTHLESS: Mapping[str, float] = {"parameters": 1e8, "inference_ms": 1e3}


def fitness(evaluation: Evaluation, metric: Metric) -> float:
    """The fitness of a training by its score: higher is better, ``WORST`` if it failed."""
    if not evaluation.ok or evaluation.score is None or not math.isfinite(evaluation.score):
        return WORST
    return max(WORST, metric.sign * evaluation.score)


def fitnesses(evaluation: Evaluation, metric: Metric, objectives: Sequence[str]) -> Fitness:
    """What selection sees of a training: more is better in each objective.

    Sizes and times are logarithms: where distances matter, half of it is worth the same anywhere.

    Args:
        evaluation: of the training.
        metric: the run's metric.
        objectives: as in ``--objective``, the score first.
    """
    by_score = fitness(evaluation, metric)
    if by_score == WORST:
        return (WORST,) * len(objectives)
    costs = [getattr(evaluation, name) for name in objectives[1:]]
    return (by_score, *(-math.log10(cost) for cost in costs))


def reference(constant_score: float, metric: Metric, objectives: Sequence[str]) -> Fitness:
    """The point that hypervolumes are measured from: a network of no use in any objective.

    It is the same for all runs on the same data, so that their hypervolumes can be compared.

    Args:
        constant_score: what a model scores that always says the same.
        metric: the run's metric.
        objectives: as in ``--objective``, the score first.
    """
    costs = [_WORTHLESS[name] for name in objectives[1:]]
    return (metric.sign * constant_score, *(-math.log10(cost) for cost in costs))


def surpasses(own: Fitness, others: Iterable[Fitness]) -> bool:
    """Whether none of the others is as good or better in every objective.

    Example:
        >>> surpasses((0.9, -3.0), [(0.9, -4.0), (0.8, -2.0)]), surpasses((0.9,), [(0.9,)])
        (True, False)
    """
    return not any(all(a >= b for a, b in zip(other, own, strict=True)) for other in others)


def front(found: Sequence[Fitness]) -> list[int]:
    """The places of the Pareto front, best score first: nothing is better in every objective.

    Of equal ones the first. With one objective it is the best.

    Example:
        >>> front([(0.8, -2.0), (0.9, -3.0), (0.7, -2.0), (0.9, -3.0)])
        [1, 0]
    """
    if not found:
        return []
    values = np.asarray(found)
    if values.shape[1] == 1:
        return [int(values.argmax())]
    kept = []
    for i, own in enumerate(values):
        as_good = (values >= own).all(axis=1)
        if not as_good[:i].any() and not (as_good & (values > own).any(axis=1)).any():
            kept.append(i)
    return sorted(kept, key=lambda i: found[i], reverse=True)


def rank(
    evaluation: Evaluation, metric: Metric, objectives: Sequence[str] = ("score",)
) -> tuple[float, ...]:
    """What to sort successful trainings by, best first.

    Of equal scores the one that is better in the next objective, and of equals the lower loss.
    """
    found = fitnesses(evaluation, metric, objectives)
    return (*(-value for value in found), min(evaluation.validation_loss))


def best_first(
    trainings: Iterable[StoredEvaluation], metric: Metric, objectives: Sequence[str] = ("score",)
) -> list[StoredEvaluation]:
    """The trainings that succeeded, best first; see ``rank``."""
    usable = [stored for stored in trainings if stored.evaluation.ok]
    return sorted(usable, key=lambda stored: rank(stored.evaluation, metric, objectives))
