"""Final fits of one network, by the loops that train candidates, and what the best is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from evonet.training.processes import hush_tracker
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


@dataclass(frozen=True)
class Fit:
    """A final fit that is asked for: what, how long, and with which random numbers."""

    genome: Genome
    budget: Budget
    seed: int


def fits_of(genome: Genome, budgets: Sequence[Budget], seed: int) -> list[Fit]:
    """A fit of one network for each budget, the first on this seed, the others on fresh ones."""
    seeds = [seed, *(training_seed(seed, genome.key, i) for i in range(1, len(budgets)))]
    return [Fit(genome, *own) for own in zip(budgets, seeds, strict=True)]


@dataclass(frozen=True)
class Fitter:
    """Makes final fits, all on the same terms.

    Attributes:
        dataset: what to fit and score on.
        metric: of the validation part.
        loss: as ``choose_loss`` returns it.
        workers: processes that fit at the same time.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    workers: int = 1

    def fit_all(self, fits: Sequence[Fit]) -> list[Outcome[Trained]]:
        """What came of each fit, in their order.

        Where a process dies, most likely for want of memory, this one fits one after the other.
        """
        data = replace(self.dataset.without_test(), folds=())
        asked = [(f.genome, data, self.metric, self.loss, f.budget, f.seed) for f in fits]
        n = min(self.workers, len(fits))
        if n > 1:
            hush_tracker()
            try:  # writable maps: Numba compiles for arrays that may be written, and writes none
                pool = Parallel(n, backend="loky", mmap_mode="c")
                return list(pool(delayed(_fit_in_worker)(*arguments) for arguments in asked))
            except TerminatedWorkerError:
                pass
        return [fit(*arguments) for arguments in asked]


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
