"""The worker's side of the fused engine: what it is told, and the trainings it does."""

from __future__ import annotations

import faulthandler
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from evonet.data.dataset import Dataset
from evonet.errors import TrainingError
from evonet.evaluation import Budget, Evaluation, Request
from evonet.genome import Genome
from evonet.metrics import Metric
from evonet.training.cache_folder import CACHE_VARIABLE, cache_folder
from evonet.training.costs import Rows, rows_of
from evonet.training.evaluator import (
    Outcome,
    evaluation_of,
    failure_of,
    goes_on,
    judged,
    on_fold,
    on_folds,
    output_score,
    race_on,
    tried,
)
from evonet.training.one_thread import one_thread
from evonet.training.plan import Plan, Planned, make_plan, memory_bytes, seconds_allowed
from evonet.training.processes import ProcessDiedError, is_own_fault
from evonet.training.trained import Race, Trained

if TYPE_CHECKING:
    from evonet.training.groups import GroupTrainer
    from evonet.training.trainer import Trainer

Done = tuple[Request, Evaluation]


def compile_loops(dataset: Dataset, loss: str, tell: Callable[[bool], None]) -> None:
    """Compile the loops that train on a CPU, unless they are kept from an earlier time.

    Args:
        dataset: any; the loops are the same for all.
        loss: one that fits it.
        tell: called before they are compiled, with whether they will be kept.

    Raises:
        TrainingError: they cannot be kept where they should be, as on a full disk.
    """
    from evonet.training.compiling import telling
    from evonet.training.trainer import Trainer

    row = replace(dataset.train, x=dataset.train.x[:1], y=dataset.train.y[:1], weight=None)
    tiny = replace(dataset, train=row, validation=row)
    linear = Genome((), "matched_normal", "sgd", 0.01, 1)
    try:
        with telling(lambda: tell(cache_folder() is not None)):
            Trainer(tiny, loss, Budget(1, 1)).fit(linear, seed=0)
    except OSError as error:
        raise TrainingError(
            f"The compiled training loops cannot be kept in {cache_folder()} ({error.strerror}). "
            f"Make room there, or set {CACHE_VARIABLE} to another folder, or to nothing to compile "
            "them each time."
        ) from None


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; plain values, and arrays that workers share.

    Attributes:
        dataset: without its test part.
        metric: what an evaluation's score is.
        loss: as ``choose_loss`` returns it.
        budget: how long each network may train.
        device: "cpu" or "gpu".
        precision: as in ``FusedEvaluator``.
        gpu: which one.
        timeout: seconds that a training on a fold may take; if None, far more than predicted.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget
    device: str
    precision: str
    gpu: int = 0
    timeout: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal keys, equal trainers, but for the GPU."""
        data = self.dataset
        how = self.loss, self.budget, self.device, self.precision
        return data.fingerprint, len(data.train), len(data.validation), str(data.protocol), *how

    @property
    def rows(self) -> Rows:
        """The data as a plan sees them."""
        return rows_of(self.dataset)

    def plan(
        self, requests: Sequence[Request], workers: int = 1, seconds_wanted: float = math.inf
    ) -> Plan:
        """How this machine trains some requests; see ``make_plan``."""
        how = memory_bytes(), self.device, seconds_wanted
        return make_plan(requests, self.rows, self.budget, workers, *how)

    def seconds_allowed(self, request: Request) -> float:
        """How long a training, on all folds, may take before its process is ended."""
        return seconds_allowed(request.genome, self.rows, self.budget, self.timeout)

    def trainers(self) -> list[Trainer] | list[GroupTrainer]:
        """What trains, one for each fold; imported late: only workers need Numba or Keras."""
        folds = self.dataset.scored_on
        if self.device == "gpu":
            from evonet.training.groups import GroupTrainer

            how = self.loss, self.budget, self.precision, self.gpu
            return [GroupTrainer(data, *how) for data in folds]
        from evonet.training.trainer import Trainer

        return [Trainer(data, self.loss, self.budget) for data in folds]

    def score(self, fold: int, trained: Trained) -> float | None:
        """The metric of a network trained on a fold; None where a prediction is not finite."""
        data = self.dataset.scored_on[fold]
        return output_score(trained.outputs, data, self.metric, data.validation)

    def race(self, request: Request, fold: int) -> Race:
        """What may end a training on a fold before its budget does."""
        return race_on(request, self.dataset.scored_on[fold], self.metric, self.budget)


#: The trainers of this process, by GPU, with their keys: one data set at a time is kept ready.
_trainers: dict[int, tuple[tuple[object, ...], Any]] = {}
#: Trainers have memory of their own, and workers of a cluster may be threads of one process.
_one_at_a_time = threading.Lock()
#: Trainings that a CPU has taken from a GPU in this process, by the GPU's reason; and how many it
#: takes for one reason. Untuned.
_fallen_back: Counter[str] = Counter()
_MOST_FALLEN_BACK = 64


def train(job: Job, requests: Sequence[Request], in_time: bool = False) -> list[Done]:
    """Train some requests in this process, which stays warm for the next ones.

    Args:
        job: what to know of the run.
        requests: what to train; what the memory cannot hold is refused.
        in_time: whether a training that takes too long may end this process.
    """
    refused = [(own.request, _refusal(job, own)) for own in job.plan(requests).too_large]
    too_large = {request for request, _ in refused}
    fitting = [request for request in requests if request not in too_large]
    if not fitting:
        return refused
    if job.device == "gpu":
        return refused + _train_group(_trainers_of(job), job, fitting)
    done = []
    with _one_at_a_time, one_thread():
        trainers = _trainers_of(job)
        for request in fitting:
            with ended_after(job.seconds_allowed(request)) if in_time else nullcontext():
                done.append((request, _train_one(trainers, job, request)))
    return refused + done


def _refusal(job: Job, training: Planned) -> Evaluation:
    reason = f"its training needs about {training.bytes / 2**30:.1f} GiB"
    return evaluation_of(training.request, job.dataset, [Outcome("out_of_memory", reason)])


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End this process, should it be in here so long; by a thread without Python's lock."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def lost_outcome(error: BaseException, seconds: float, allowed: float) -> Outcome[Any]:
    """That of a training which ended its process.

    Args:
        error: that of its call.
        seconds: how long it was under way.
        allowed: how long it might have been.
    """
    ended_itself = isinstance(error, ProcessDiedError) and error.exit_code == 1
    if ended_itself and seconds >= allowed:
        return Outcome("failed", f"it was not over after {allowed:g} s; see --training-timeout")
    reason = f"its process died: {' '.join(str(error).split())[:200]}"
    if seconds >= allowed:  # of a cluster's worker nobody knows more
        reason += f"; or it was not over after {allowed:g} s, see --training-timeout"
    return Outcome("failed" if is_own_fault(error) else "out_of_memory", reason)


def _trainers_of(job: Job) -> Any:
    """What trains, kept from the job before where that was of the same data."""
    if job.gpu not in _trainers or _trainers[job.gpu][0] != job.key:
        _trainers[job.gpu] = job.key, job.trainers()
        if job.device == "cpu":  # or the first training would seem to take as long as loading them
            compile_loops(job.dataset, job.loss, lambda _: None)
    return _trainers[job.gpu][1]


def _train_one(trainers: Sequence[Trainer], job: Job, request: Request) -> Evaluation:
    """Train one network; whatever goes wrong is an evaluation too."""
    started = time.perf_counter()

    def attempt_one(fold: int, asked: Request) -> Outcome[Trained]:
        race = job.race(asked, fold)
        return tried(
            lambda: trainers[fold].fit(asked.genome, asked.seed, race), partial(job.score, fold)
        )

    outcomes = on_folds(request, len(trainers), attempt_one)
    return evaluation_of(request, job.dataset, outcomes, time.perf_counter() - started)


def _train_group(
    trainers: Sequence[GroupTrainer], job: Job, requests: Sequence[Request]
) -> list[Done]:
    """Train networks side by side, on one fold after the other."""
    started = time.perf_counter()
    outcomes: list[list[Outcome[Trained]]] = [[] for _ in requests]
    going = list(range(len(requests)))
    for fold, trainer in enumerate(trainers):
        group = [on_fold(requests[i], fold) for i in going]
        races = [job.race(request, fold) for request in group]
        fallen_back = partial(_by_loops, job, fold)
        found = _side_by_side(trainer, group, races, partial(job.score, fold), fallen_back)
        for i, outcome in zip(going, found, strict=True):
            outcomes[i].append(outcome)
        going = [i for i in going if goes_on(outcomes[i][-1])]
        if not going:
            break
    seconds = (time.perf_counter() - started) / len(requests)
    return [
        (request, evaluation_of(request, job.dataset, own, seconds))
        for request, own in zip(requests, outcomes, strict=True)
    ]


def _side_by_side(
    trainer: GroupTrainer,
    requests: Sequence[Request],
    races: Sequence[Race],
    score_of: Callable[[Trained], float | None],
    fallen_back: Callable[[Request, Race, Outcome[Trained]], Outcome[Trained]],
) -> list[Outcome[Trained]]:
    """Train networks in one program; where that fails, one half after the other.

    As where memory does not suffice, or one of them cannot be compiled: the others are trained, and
    what fails by itself as ``fallen_back`` says.
    """
    try:
        return [judged(trained, score_of) for trained in trainer.fit(requests, races)]
    except Exception as error:
        lost = failure_of(error)
    # Out here, where the error no longer holds the group's arrays.
    if len(requests) == 1:
        return [fallen_back(requests[0], races[0], lost)]
    half = len(requests) // 2
    return [
        outcome
        for part in (slice(half), slice(half, None))
        for outcome in _side_by_side(trainer, requests[part], races[part], score_of, fallen_back)
    ]


def _by_loops(
    job: Job, fold: int, request: Request, race: Race, lost: Outcome[Trained]
) -> Outcome[Trained]:
    """What a GPU could not train, trained by the CPU, unless it is memory that lacks.

    The outcome says what the GPU's was: it would pass for that of a slow GPU. One that cannot train
    at all, as after a fault of its driver, is not made up for: its networks have failed.
    """
    _fallen_back[lost.reason] += 1
    if lost.status == "out_of_memory" or _fallen_back[lost.reason] > _MOST_FALLEN_BACK:
        return lost
    from evonet.training.trainer import Trainer

    with _one_at_a_time, one_thread():
        trainer = Trainer(job.dataset.scored_on[fold], job.loss, job.budget)
        outcome = tried(
            lambda: trainer.fit(request.genome, request.seed, race), partial(job.score, fold)
        )
    return replace(outcome, reason=f"{outcome.reason or 'trained on the CPU'}; GPU: {lost.reason}")
