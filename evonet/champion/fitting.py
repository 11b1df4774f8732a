"""Final fits of one network, by the loops that train candidates, and what the best is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.metrics import FEW_ROWS, Metric
from evonet.streams import training_seed
from evonet.training.evaluator import Outcome, output_score, refusal, tried
from evonet.training.trained import Trained
from evonet.training.worker import prepare_worker


def fit(
    genome: Genome, dataset: Dataset, metric: Metric, loss: str, budget: Budget, seed: int
) -> Outcome[Trained]:
    """Fit a network and score it on the validation part.

    Args:
        genome: what to fit.
        dataset: what to fit and score on.
        metric: of the validation part.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        seed: decides all random numbers.
    """
    from evonet.training.trainer import Trainer  # loads Numba, which only what fits needs

    if (refused := refusal(genome, dataset)) is not None:
        return refused
    with threadpool_limits(1):  # sums depend on threads
        return tried(
            lambda: Trainer(dataset, loss, budget).fit(genome, seed),
            lambda trained: output_score(trained.outputs, dataset, metric, dataset.validation),
        )


def fit_best(
    genome: Genome,
    dataset: Dataset,
    metric: Metric,
    loss: str,
    budgets: Sequence[Budget],
    seed: int,
    workers: int,
) -> Outcome[Trained]:
    """Fit a network several times, each time on another seed, and keep the best: see ``best_fit``.

    Where a process dies, most likely for want of memory, this one fits one after the other.

    Args:
        genome: what to fit.
        dataset: what to fit and score on; without its folds.
        metric: of the validation part.
        loss: as ``choose_loss`` returns it.
        budgets: of each fit; one at least.
        seed: of the first fit; those of the others follow from it.
        workers: processes that fit at the same time.
    """
    seeds = [seed, *(training_seed(seed, genome.key, i) for i in range(1, len(budgets)))]
    data = replace(dataset.without_test(), folds=())
    fits = [(genome, data, metric, loss, *own) for own in zip(budgets, seeds, strict=True)]
    return best_fit(_fit_all(fits, workers), metric, len(dataset.validation))


def _fit_all(fits: Sequence[tuple[Any, ...]], workers: int) -> list[Outcome[Trained]]:
    """Of each tuple of arguments what ``fit`` makes of them, in their order."""
    n = min(workers, len(fits))
    if n > 1:
        try:  # writable maps: Numba compiles for arrays that may be written, and writes none
            pool = Parallel(n, backend="loky", mmap_mode="c")
            return list(pool(delayed(_fit_in_worker)(*arguments) for arguments in fits))
        except TerminatedWorkerError:
            pass
    return [fit(*arguments) for arguments in fits]


def _fit_in_worker(*args: Any) -> Outcome[Trained]:
    prepare_worker()
    return fit(*args)


def best_fit(
    outcomes: Sequence[Outcome[Trained]], metric: Metric, n_validation: int
) -> Outcome[Trained]:
    """The best of some fits of one network on the validation part.

    By its score, of equal ones the lower loss; of few rows by the loss alone, which tells more.

    Args:
        outcomes: one at least; where all have failed, the first of them comes back.
        metric: of the scores.
        n_validation: rows of the validation part.
    """

    def rank(outcome: Outcome[Trained]) -> tuple[float, float]:
        score = 0.0 if n_validation < FEW_ROWS else -metric.sign * (outcome.score or 0.0)
        losses = outcome.fitted.validation_loss if outcome.fitted else ()
        return score, min(losses, default=math.inf)

    good = [outcome for outcome in outcomes if outcome.score is not None]
    return min(good, key=rank, default=outcomes[0])


def scores_on_test(
    genome: Genome, trained: Trained, dataset: Dataset, metrics: Mapping[str, Metric], loss: str
) -> dict[str, float | None]:
    """Metrics of a fitted network on the test part, by name; None where a number is not finite."""
    from evonet.training.trainer import Trainer

    with threadpool_limits(1):
        outputs = Trainer(dataset, loss, Budget(1, 1)).outputs(genome, trained, dataset.test.x)
    return {n: output_score(outputs, dataset, m, dataset.test) for n, m in metrics.items()}
