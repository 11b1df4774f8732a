"""The long fit of one network, by the loops that trained the candidates, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from evonet.data.dataset import Dataset, Part
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.metrics import Metric, score
from evonet.training.evaluator import Outcome, refusal, tried
from evonet.training.trained import Trained


@dataclass(frozen=True)
class Fit:
    """A network that was fitted, or the reason why not.

    Attributes:
        outcome: status, curves and validation score.
        test_scores: metrics on the test part by name; empty if it failed.
    """

    outcome: Outcome[Trained]
    test_scores: Mapping[str, float | None]


def fit(
    genome: Genome,
    dataset: Dataset,
    metrics: Mapping[str, Metric],
    metric: Metric,
    loss: str,
    budget: Budget,
    seed: int,
) -> Fit:
    """Fit a network and score it on the validation and the test part.

    Args:
        genome: what to fit.
        dataset: what to fit and score on.
        metrics: those to compute on the test part.
        metric: of the validation part.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        seed: decides all random numbers.
    """
    from evonet.training.products import blas  # loads Numba, which a command that fits needs
    from evonet.training.trainer import Trainer

    if (refused := refusal(genome, dataset)) is not None:
        return Fit(refused, {})
    trainer = Trainer(dataset, loss, budget)
    blas()
    with threadpool_limits(1):  # sums depend on threads

        def score_of(outputs: np.ndarray, part: Part, metric: Metric) -> float | None:
            return score(metric, dataset.target, part.y, dataset.target.predictions(outputs))

        outcome = tried(
            lambda: trainer.fit(genome, seed),
            lambda trained: score_of(trained.outputs, dataset.validation, metric),
        )
        if outcome.fitted is None or outcome.score is None:
            return Fit(outcome, {})
        tested = trainer.outputs(genome, outcome.fitted, dataset.test.x)
    return Fit(outcome, {n: score_of(tested, dataset.test, m) for n, m in metrics.items()})
