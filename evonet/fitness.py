"""From an evaluation to the number that selection compares, with the one rule for failures.

Fitness is always maximised and always finite: a metric that is minimised changes its sign, and
a failed training gets ``WORST``. NaN never reaches DEAP, where it would win every comparison
(DEAP 1.4.4 compares NaN as greater than everything).
"""

from __future__ import annotations

import math

from evonet.evaluation import Evaluation
from evonet.metrics import Metric

WORST = -1e300


def fitness(evaluation: Evaluation, metric: Metric) -> float:
    """The fitness of a training: higher is better, ``WORST`` if it failed."""
    if not evaluation.ok or evaluation.score is None or not math.isfinite(evaluation.score):
        return WORST
    return max(WORST, metric.sign * evaluation.score)


def rank(evaluation: Evaluation, metric: Metric) -> tuple[float, float]:
    """What to sort successful trainings by, best first: of equal scores the lower loss."""
    return -fitness(evaluation, metric), min(evaluation.validation_loss)
