"""The long fit of one network, by the loops that trained the candidates, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.metrics import Metric
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


def fit_seeds(
    genome: Genome,
    dataset: Dataset,
    metric: Metric,
    loss: str,
    budget: Budget,
    seeds: Sequence[int],
    workers: int,
) -> list[Outcome[Trained]]:
    """The same on several seeds, by several processes at the same time; in the order of the seeds.

    Where a process dies, most likely for want of memory, this one fits one after the other.
    """
    test = dataset.test
    nothing = replace(test, x=test.x[:0], y=test.y[:0], weight=None)
    data = replace(dataset, test=nothing, folds=())
    how = data, metric, loss, budget
    n = min(workers, len(seeds))
    if n > 1:
        try:  # writable maps: Numba compiles for arrays that may be written, and writes none
            pool = Parallel(n, backend="loky", mmap_mode="c")
            return list(pool(delayed(_fit_in_worker)(genome, *how, seed) for seed in seeds))
        except TerminatedWorkerError:
            pass
    return [fit(genome, *how, seed) for seed in seeds]


def _fit_in_worker(*args: Any) -> Outcome[Trained]:
    prepare_worker()
    return fit(*args)


def lowest_loss(outcomes: Sequence[Outcome[Trained]]) -> Outcome[Trained]:
    """The fit with the lowest validation loss, which tells more than a score does of few rows.

    Args:
        outcomes: one at least; where all have failed, the first of them comes back.
    """
    good = [o for o in outcomes if o.score is not None and o.fitted is not None]
    return min(good, key=lambda o: min(o.fitted.validation_loss)) if good else outcomes[0]  # type: ignore[union-attr]


def scores_on_test(
    genome: Genome, trained: Trained, dataset: Dataset, metrics: Mapping[str, Metric], loss: str
) -> dict[str, float | None]:
    """Metrics of a fitted network on the test part, by name; None where a number is not finite."""
    from evonet.training.trainer import Trainer

    with threadpool_limits(1):
        outputs = Trainer(dataset, loss, Budget(1, 1)).outputs(genome, trained, dataset.test.x)
    return {n: output_score(outputs, dataset, m, dataset.test) for n, m in metrics.items()}
