"""Evaluators: a whole list of requests in, an evaluation for each as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.evaluation import Budget, Evaluation, Request, Rung, Status
from evonet.genome import Genome
from evonet.metrics import Metric, score
from evonet.streams import training_seed
from evonet.training.keras_model import Fitted, fit_network, outputs_of
from evonet.training.plan import memory_bytes
from evonet.training.slots import OneSlot, Slots
from evonet.training.trained import NO_RACE, Race

#: Bytes per parameter at the height of a training: weights, gradients, two moments of the
#: optimizer, the best weights so far, and one copy in passing; four bytes each.
_BYTES_PER_PARAMETER = 24


class Evaluator(Protocol):
    """Something that trains networks."""

    def evaluate(
        self, requests: Sequence[Request]
    ) -> Generator[list[tuple[Request, Evaluation]], None, None]:
        """Train what is requested; every request comes back once, in any order.

        What comes back together was done together: nothing of it is to be lost. To be closed, so
        that what is being trained is given up.
        """
        ...

    def slots(self) -> Slots[Request, Evaluation]:
        """Places to train one request at a time."""
        ...

    def close(self) -> None:
        """Free what it holds; nothing more is trained."""
        ...


@dataclass(frozen=True)
class KerasEvaluator:
    """One network after the other through ``keras.Model.fit``: the reference engine.

    Attributes:
        dataset: what to train and validate on.
        metric: what an evaluation's score is.
        loss: as ``choose_loss`` returns it.
        budget: how long each network may train.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget

    def evaluate(
        self, requests: Iterable[Request]
    ) -> Generator[list[tuple[Request, Evaluation]], None, None]:
        """Train one request after the other, in their order."""
        for request in requests:
            started = time.perf_counter()

            def attempt_one(fold: int, asked: Request) -> Outcome[Fitted]:
                data = self.dataset.scored_on[fold]
                race = race_on(asked, data, self.metric, self.budget)
                how = self.metric, self.loss, self.budget, asked.seed, race
                return attempt(asked.genome, data, *how)

            outcomes = on_folds(request, len(self.dataset.scored_on), attempt_one)
            seconds = time.perf_counter() - started
            yield [(request, evaluation_of(request, self.dataset, outcomes, seconds))]

    def slots(self) -> OneSlot[Request, Evaluation]:
        """One place to train."""
        return OneSlot(lambda portion: list(chain.from_iterable(self.evaluate(portion))))

    def close(self) -> None:
        """It holds nothing."""


class Curves(Protocol):
    """What an evaluation keeps of a training, whatever engine ran it."""

    @property
    def train_loss(self) -> tuple[float, ...]:
        """Mean training loss of each epoch."""
        ...

    @property
    def validation_loss(self) -> tuple[float, ...]:
        """Validation loss after each epoch."""
        ...

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, from 1."""
        ...

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        ...

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """Scores on the way."""
        ...

    @property
    def dropped(self) -> bool:
        """Whether it was given up at the last of these."""
        ...


T = TypeVar("T", bound=Curves)


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How an attempt to train a network ended.

    Attributes:
        status: "ok", or how it failed.
        reason: one line that says why it failed, or a GPU did and a CPU did not; empty otherwise.
        fitted: the network and its learning curves, if there is one.
        score: the metric on the validation part; None if it failed.
    """

    status: Status
    reason: str = ""
    fitted: T | None = None
    score: float | None = None


def attempt(
    genome: Genome,
    dataset: Dataset,
    metric: Metric,
    loss: str,
    budget: Budget,
    seed: int,
    race: Race = NO_RACE,
) -> Outcome[Fitted]:
    """Train a network by Keras and score it on the validation part; what goes wrong is an outcome.

    Args: as ``fit_network``, and the metric of the score.
    """
    if (refused := refusal(genome, dataset)) is not None:
        return refused
    return tried(
        lambda: fit_network(genome, dataset, loss, budget, seed, race),
        lambda fitted: network_score(fitted.network, dataset, metric, dataset.validation),
    )


def refusal(genome: Genome, dataset: Dataset) -> Outcome[Any] | None:
    """The outcome of a training that this machine's memory cannot hold; None where it can."""
    parameters = dataset.parameter_count(genome)
    needed = parameters * _BYTES_PER_PARAMETER
    if needed <= memory_bytes():
        return None
    reason = f"{parameters} parameters need about {needed / 2**30:.1f} GiB to train"
    return Outcome("out_of_memory", reason)


def tried(fit: Callable[[], T], score_of: Callable[[T], float | None]) -> Outcome[T]:
    """Train and score; whatever goes wrong is an outcome.

    Args:
        fit: the training.
        score_of: the metric of what it gives; None where a prediction is not finite.
    """
    try:
        return judged(fit(), score_of)
    except Exception as error:
        return failure_of(error)


def judged(fitted: T, score_of: Callable[[T], float | None]) -> Outcome[T]:
    """The outcome of a training that came to its end."""
    if fitted.diverged:
        reason = f"a loss was not finite in epoch {len(fitted.train_loss)}"
        return Outcome("diverged", reason, fitted)
    value = score_of(fitted)
    if value is None:
        return Outcome("diverged", "a prediction was not finite", fitted)
    return Outcome("ok", "", fitted, value)


def on_folds(
    request: Request, n_folds: int, attempt_one: Callable[[int, Request], Outcome[Any]]
) -> list[Outcome[Any]]:
    """Train a request on one fold after the other, up to the first that fails or is dropped.

    Args:
        request: what is asked for.
        n_folds: 1 where there is only the one validation part.
        attempt_one: trains on a fold, by its number, what is asked for there.
    """
    outcomes: list[Outcome[Any]] = []
    for fold in range(n_folds):
        outcomes.append(attempt_one(fold, on_fold(request, fold)))
        if not goes_on(outcomes[-1]):
            break
    return outcomes


def on_fold(request: Request, fold: int) -> Request:
    """What a request asks for on a fold: of the first one hurdles, of each other one a new seed."""
    if not fold:
        return request
    seed = training_seed(request.seed, request.genome.key, fold)
    return replace(request, seed=seed, hurdles=())


def goes_on(outcome: Outcome[Any]) -> bool:
    """Whether the next fold is worth training."""
    return outcome.score is not None and outcome.fitted is not None and not outcome.fitted.dropped


def race_on(request: Request, data: Dataset, metric: Metric, budget: Budget) -> Race:
    """What may end a training before its budget does, on a data set or a fold of it."""
    return Race(
        budget.rungs,
        request.hurdles,
        lambda outputs: output_score(outputs, data, metric, data.validation),
    )


def evaluation_of(
    request: Request, dataset: Dataset, outcomes: Sequence[Outcome[Any]], seconds: float = 0.0
) -> Evaluation:
    """What is kept of the outcomes of a request, one for each fold that was trained.

    Args:
        request: what was asked for.
        dataset: with its folds, if it has any.
        outcomes: all but the last one with a score.
        seconds: wall-clock time they took.
    """
    last, curves = outcomes[-1], outcomes[0].fitted
    scores = tuple(outcome.score for outcome in outcomes if outcome.score is not None)
    ok = last.status == "ok"
    dropped = curves is not None and curves.dropped
    return Evaluation(
        genome_key=request.genome.key,
        seed=request.seed,
        status=last.status,
        reason=next((outcome.reason for outcome in reversed(outcomes) if outcome.reason), ""),
        score=fmean(scores) if ok else None,
        best_epoch=curves.best_epoch if curves and ok else 0,
        train_loss=_finite(curves.train_loss) if curves else (),
        validation_loss=_finite(curves.validation_loss) if curves else (),
        parameters=dataset.parameter_count(request.genome),
        seconds=seconds,
        rungs=curves.rungs if curves else (),
        dropped=dropped,
        folds=scores if dataset.folds and not dropped else (),
    )


def network_score(network: Any, dataset: Dataset, metric: Metric, part: Part) -> float | None:
    """A metric of a network on one part of the data; None where a prediction is not finite."""
    return output_score(outputs_of(network, part.x), dataset, metric, part)


def output_score(outputs: np.ndarray, dataset: Dataset, metric: Metric, part: Part) -> float | None:
    """The same from the network's outputs ``(n, n_outputs)`` for that part."""
    return score(metric, dataset.target, part.y, dataset.target.predictions(outputs))


def failure_of(error: Exception) -> Outcome[Any]:
    """The outcome of a training that raised an error."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return Outcome("out_of_memory" if is_out_of_memory(error) else "failed", reason)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory did not suffice: Python's, TensorFlow's or JAX's."""
    name = type(error).__name__
    return (
        isinstance(error, MemoryError)
        or name == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in str(error)
    )


def _finite(losses: tuple[float, ...]) -> tuple[float, ...]:
    """The curve up to its first value that is not finite, which JSON could not keep."""
    n = next((i for i, loss in enumerate(losses) if not np.isfinite(loss)), len(losses))
    return losses[:n]
