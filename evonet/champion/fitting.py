"""The long fit of one network, by the loops that trained the candidates, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.metrics import Metric
from evonet.training.evaluator import Outcome, output_score, refusal, tried
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
    from evonet.training.trainer import Trainer  # loads Numba, which only what fits needs

    if (refused := refusal(genome, dataset)) is not None:
        return Fit(refused, {})
    trainer = Trainer(dataset, loss, budget)
    with threadpool_limits(1):  # sums depend on threads
        outcome = tried(
            lambda: trainer.fit(genome, seed),
            lambda trained: output_score(trained.outputs, dataset, metric, dataset.validation),
        )
        if outcome.fitted is None or outcome.score is None:
            return Fit(outcome, {})
        tested = trainer.outputs(genome, outcome.fitted, dataset.test.x)
    scores = {n: output_score(tested, dataset, m, dataset.test) for n, m in metrics.items()}
    return Fit(outcome, scores)
