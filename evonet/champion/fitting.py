"""Final fits of one network, by the loops that train candidates, and what the best is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Request
from evonet.genome import Genome
from evonet.metrics import FEW_ROWS, Metric
from evonet.streams import training_seed
from evonet.training.costs import rows_of
from evonet.training.evaluator import Outcome, output_score, refusal, tried
from evonet.training.one_thread import one_thread
from evonet.training.plan import bytes_for_processes, bytes_of_process, seconds_allowed
from evonet.training.processes import processes_here
from evonet.training.slots import ClusterSlots, WithinMemory, each_of
from evonet.training.trained import Trained
from evonet.training.worker import ended_after, lost_outcome


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
    with one_thread():
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


class StoppedError(Exception):
    """Who asked for fits wants them no longer."""


@dataclass(frozen=True)
class Fitter:
    """Makes final fits, all on the same terms.

    Attributes:
        dataset: what to fit and score on.
        metric: of the validation part.
        loss: as ``choose_loss`` returns it.
        workers: processes that fit at the same time.
        should_stop: asked between fits.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    workers: int = 1
    should_stop: Callable[[], bool] = lambda: False

    def fit_all(self, fits: Sequence[Fit]) -> list[Outcome[Trained]]:
        """What came of each fit, in their order; one that ends its worker process has failed.

        Raises:
            StoppedError: ``should_stop`` said so; what was fitted is forgotten.
        """
        terms = _Terms(replace(self.dataset.without_test(), folds=()), self.metric, self.loss)
        numbered = list(enumerate(fits))
        cluster = processes_here(self.workers)
        if cluster is None or not fits:
            return self._heard(([done] for done in _fit_here(terms, numbered)), numbered)
        shared = cluster.share(terms)
        how = partial(_lost, terms), terms.seconds_allowed
        try:
            with closing(ClusterSlots(cluster, None, _fit_there, lambda: shared, *how)) as slots:
                fitting = WithinMemory(slots, bytes_for_processes(), terms.bytes_needed)
                return self._heard(each_of(fitting, [[own] for own in numbered]), numbered)
        finally:
            cluster.release(shared)

    def _heard(
        self,
        done: Iterator[list[tuple[_Numbered, Outcome[Trained]]]],
        numbered: Sequence[_Numbered],
    ) -> list[Outcome[Trained]]:
        """The outcomes of fits that end in any order, in their own."""
        found: dict[_Numbered, Outcome[Trained]] = {}
        for _ in numbered:
            if self.should_stop():
                raise StoppedError
            found.update(next(done))
        return [found[own] for own in numbered]


_Numbered = tuple[int, Fit]


class _Terms(NamedTuple):
    """What all fits have in common."""

    dataset: Dataset
    metric: Metric
    loss: str

    def seconds_allowed(self, numbered: _Numbered) -> float:
        """How long a fit may take."""
        _, asked = numbered
        return seconds_allowed(asked.genome, rows_of(self.dataset), asked.budget, None)

    def bytes_needed(self, numbered: _Numbered) -> float:
        """What a process takes that makes a fit."""
        _, asked = numbered
        request = Request(asked.genome, asked.seed)
        return bytes_of_process(request, rows_of(self.dataset), asked.budget)


def _fit_here(
    terms: _Terms, fits: Iterable[_Numbered]
) -> Iterator[tuple[_Numbered, Outcome[Trained]]]:
    """Fit some networks in this process."""
    for number, own in fits:
        yield (number, own), fit(own.genome, *terms, own.budget, own.seed)


def _fit_there(
    terms: _Terms, portion: Sequence[_Numbered]
) -> list[tuple[_Numbered, Outcome[Trained]]]:
    """The same in a worker process, which a fit ends that takes too long; see ``worker.train``."""
    done: list[tuple[_Numbered, Outcome[Trained]]] = []
    for numbered in portion:
        with ended_after(terms.seconds_allowed(numbered)):
            done += _fit_here(terms, [numbered])
    return done


def _lost(
    terms: _Terms, numbered: _Numbered, error: BaseException, seconds: float
) -> Outcome[Trained]:
    return lost_outcome(error, seconds, terms.seconds_allowed(numbered))


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
