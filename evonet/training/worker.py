"""The worker's side of the fused engine: what it is told, and the trainings it does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request
from evonet.genome import Genome
from evonet.metrics import Metric
from evonet.training.cache_folder import cache_folder
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
from evonet.training.trained import Race, Trained

if TYPE_CHECKING:
    from evonet.training.groups import GroupTrainer
    from evonet.training.trainer import Trainer


def compile_loops(dataset: Dataset, loss: str, tell: Callable[[bool], None]) -> None:
    """Compile the loops that train on a CPU, unless they are kept from an earlier time.

    Args:
        dataset: any; the loops are the same for all.
        loss: one that fits it.
        tell: called before they are compiled, with whether they will be kept.
    """
    from evonet.training.compiling import telling
    from evonet.training.trainer import Trainer

    row = replace(dataset.train, x=dataset.train.x[:1], y=dataset.train.y[:1], weight=None)
    tiny = replace(dataset, train=row, validation=row)
    linear = Genome((), "matched_normal", "sgd", 0.01, 1)
    with telling(lambda: tell(cache_folder() is not None)):
        Trainer(tiny, loss, Budget(1, 1)).fit(linear, seed=0)


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; plain values and arrays, which joblib shares between workers."""

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget
    threads: int
    device: str
    precision: str
    gpu: int = 0  # which one

    @property
    def key(self) -> tuple[object, ...]:
        """Equal keys, equal trainers, but for the GPU."""
        data = self.dataset
        how = self.loss, self.budget, self.device, self.precision
        return data.fingerprint, len(data.train), len(data.validation), str(data.protocol), *how

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


def train(job: Job, requests: Sequence[Request]) -> list[tuple[Request, Evaluation]]:
    """Train some requests in this process, which stays warm for the next ones."""
    prepare_worker()
    if job.device == "gpu":
        return _train_group(_trainers_of(job), job, requests)
    with _one_at_a_time, threadpool_limits(job.threads):
        trainers = _trainers_of(job)
        return [(request, _train_one(trainers, job, request)) for request in requests]


def _trainers_of(job: Job) -> Any:
    """What trains, kept from the job before where that was of the same data."""
    if job.gpu not in _trainers or _trainers[job.gpu][0] != job.key:
        _trainers[job.gpu] = job.key, job.trainers()
        if job.device == "cpu":  # or the first training would seem to take as long as loading them
            compile_loops(job.dataset, job.loss, lambda _: None)
    return _trainers[job.gpu][1]


def train_numbered(
    job: Job, number: int, requests: Sequence[Request]
) -> tuple[int, list[tuple[Request, Evaluation]]]:
    """The same with the number of a portion: which one it was that comes back."""
    return number, train(job, requests)


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
) -> list[tuple[Request, Evaluation]]:
    """Train networks side by side, on one fold after the other."""
    started = time.perf_counter()
    outcomes: list[list[Outcome[Trained]]] = [[] for _ in requests]
    going = list(range(len(requests)))
    for fold, trainer in enumerate(trainers):
        group = [on_fold(requests[i], fold) for i in going]
        races = [job.race(request, fold) for request in group]
        found = _side_by_side(trainer, group, races, partial(job.score, fold))
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
) -> list[Outcome[Trained]]:
    """Train networks in one program; where memory does not suffice, one half after the other."""
    try:
        return [judged(trained, score_of) for trained in trainer.fit(requests, races)]
    except Exception as error:
        lost = failure_of(error)
    # Out here, where the error no longer holds the group's arrays.
    if lost.status != "out_of_memory" or len(requests) == 1:
        return [lost] * len(requests)
    half = len(requests) // 2
    return [
        outcome
        for part in (slice(half), slice(half, None))
        for outcome in _side_by_side(trainer, requests[part], races[part], score_of)
    ]


@cache
def prepare_worker() -> None:
    """Before the first training of a process."""
    if parent_process() is not None:
        if threading.current_thread() is threading.main_thread():  # a cluster's worker has more
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
        follow(os.getppid())


def follow(parent: int) -> None:
    """End this worker when the process that started it is gone, even if it was killed.

    Where the system tells it: on Windows a process keeps the number of a dead parent.

    Args:
        parent: number of that process.
    """
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
