"""Evaluators: a whole list of requests in, an evaluation for each as soon as it is known."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request, Status, score_key
from evonet.metrics import Metric
from evonet.store.cache import ScoreCache
from evonet.store.record import RunRecord, StoredEvaluation
from evonet.training.backend import load_keras
from evonet.training.keras_model import Fitted, fit_network, predict, with_output

#: Bytes per parameter at the height of a training: weights, gradients, two moments of the
#: optimizer, the best weights so far, and one copy in passing; four bytes each.
_BYTES_PER_PARAMETER = 24


class Evaluator(Protocol):
    """Something that trains networks."""

    def evaluate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Evaluation]]:
        """Train what is requested; every request comes back once, in any order."""
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

    def evaluate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Evaluation]]:
        """Train one request after the other, in their order."""
        for request in requests:
            yield request, self._evaluate(request)

    def _evaluate(self, request: Request) -> Evaluation:
        """One training; whatever goes wrong in it becomes a status and a reason."""
        started = time.perf_counter()
        parameters = request.genome.parameter_count(
            self.dataset.n_inputs, self.dataset.target.n_outputs
        )
        fitted, score, status, reason = None, None, "ok", ""
        needed = parameters * _BYTES_PER_PARAMETER
        if needed > _memory_bytes():
            status = "out_of_memory"
            reason = f"{parameters} parameters need about {needed / 2**30:.1f} GiB to train"
        else:
            try:
                fitted = fit_network(
                    request.genome, self.dataset, self.loss, self.budget, request.seed
                )
                score, status, reason = self._score(fitted)
            except Exception as error:
                status, reason = _failure(error)
        usable = fitted is not None and status == "ok"
        return Evaluation(
            genome_key=request.genome.key,
            seed=request.seed,
            status=status,  # type: ignore[arg-type]
            reason=reason,
            score=score,
            best_epoch=fitted.best_epoch if fitted is not None and usable else 0,
            train_loss=_finite(fitted.train_loss) if fitted else (),
            validation_loss=_finite(fitted.validation_loss) if fitted else (),
            parameters=parameters,
            seconds=time.perf_counter() - started,
        )

    def _score(self, fitted: Fitted) -> tuple[float | None, Status, str]:
        if fitted.diverged:
            return None, "diverged", f"a loss was not finite in epoch {len(fitted.train_loss)}"
        validation, target = self.dataset.validation, self.dataset.target
        outputs = predict(with_output(fitted.network, target), validation.x)
        if not np.isfinite(outputs).all():
            return None, "diverged", "a prediction was not finite"
        score = self.metric.compute(target.truth(validation.y), target.predictions(outputs))
        if not np.isfinite(score):
            return None, "diverged", f"{self.metric.name} was not finite"
        return score, "ok", ""


@dataclass(frozen=True)
class CachedEvaluator:
    """Answers from the run's record and the score cache what they know; the rest is trained.

    What is trained is written to both before it is handed on, so that whatever happens next,
    it is never trained again.

    Attributes:
        inner: trains what is not known.
        record: the run's own record.
        cache: the scores of all runs in the results folder.
        protocol: see ``evaluation.protocol_key``.
    """

    inner: Evaluator
    record: RunRecord
    cache: ScoreCache
    protocol: str

    def evaluate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Evaluation]]:
        """What is known at once, then what is trained."""
        unknown = []
        for request in requests:
            key = self.key(request)
            stored = self.record.evaluation(key)
            known = stored.evaluation if stored else None
            if known is None and (known := self.cache.get(key)) is not None:
                self.record.add_evaluation(StoredEvaluation(key, "cached", request.genome, known))
            if known is None:
                unknown.append(request)
            else:
                yield request, known
        for request, evaluation in self.inner.evaluate(unknown):
            key = self.key(request)
            self.record.add_evaluation(StoredEvaluation(key, "trained", request.genome, evaluation))
            if evaluation.status in ("ok", "diverged"):  # other failures may be of this machine
                self.cache.put(key, evaluation)
            yield request, evaluation

    def key(self, request: Request) -> str:
        """What the request's evaluation is kept under."""
        return score_key(request, self.protocol)


def _failure(error: Exception) -> tuple[Status, str]:
    """How a training failed, and why in one line."""
    load_keras()
    import tensorflow as tf

    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return "out_of_memory", reason
    return "failed", reason


def _finite(losses: tuple[float, ...]) -> tuple[float, ...]:
    """The curve up to its first value that is not finite, which JSON could not keep."""
    n = next((i for i, loss in enumerate(losses) if not np.isfinite(loss)), len(losses))
    return losses[:n]


def _memory_bytes() -> float:
    """Physical memory of this machine; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return float("inf")
