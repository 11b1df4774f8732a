"""The fused engine: trainings in worker processes, each by programs compiled for many networks."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import parent_process

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request
from evonet.metrics import Metric, score
from evonet.training.backend import choose_device, limit_threads
from evonet.training.evaluator import Outcome, evaluation_of, tried
from evonet.training.plan import Plan, Rows, available_cores, make_plan, memory_bytes
from evonet.training.trainer import Trainer


@dataclass(frozen=True)
class FusedEvaluator:
    """Trains many networks at the same time, one in each worker process.

    Attributes:
        dataset: what to train and validate on.
        metric: what an evaluation's score is.
        loss: as ``choose_loss`` returns it.
        budget: how long each network may train.
        workers: processes; None for as many as there are cores.
        device: "auto" for a GPU where there is one; "cpu" or "gpu".
        precision: "float32", or "bfloat16" for the factors of products.
        batch_sizes: those that any request may have, as far as known: for them, workers find
            programs that were compiled by an earlier process.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget
    workers: int | None = None
    device: str = "auto"
    precision: str = "float32"
    batch_sizes: tuple[int, ...] = ()

    def plan(self, requests: Sequence[Request]) -> Plan:
        """How the requests would be trained."""
        rows = Rows(
            self.dataset.n_inputs,
            self.dataset.target.n_outputs,
            len(self.dataset.train),
            len(self.dataset.validation),
        )
        workers = self.workers or available_cores()
        return make_plan(requests, rows, self.budget, workers, memory_bytes())

    def evaluate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Evaluation]]:
        """Train the requests; each comes back as soon as its portion is done."""
        plan = self.plan(requests)
        for training in plan.too_large:
            needed = f"its training needs about {training.bytes / 2**30:.1f} GiB"
            yield training.request, self._out_of_memory(training.request, needed)
        portions = [[t.request for t in portion] for portion in plan.portions]
        if self.workers == 1:
            for portion in portions:
                yield from _train(self._job(1, plan), portion)
        else:
            yield from self._in_processes(portions, plan)

    def _in_processes(
        self, portions: list[list[Request]], plan: Plan
    ) -> Iterator[tuple[Request, Evaluation]]:
        """Train in worker processes; when one dies, go on with half as many.

        Of a portion whose only worker dies, every training is tried by itself; that which kills
        its worker again has failed.
        """
        workers = plan.workers
        left = {request: portion for portion in portions for request in portion}
        while left:
            waiting = list({id(portion): portion for portion in left.values()}.values())
            job = self._job(self._threads, plan)
            # Asked for one worker, joblib trains in this process; two of which one is idle do not.
            pool = Parallel(
                max(2, workers),
                backend="loky",
                return_as="generator_unordered",
                batch_size=1,
                pre_dispatch=1 if workers == 1 else "2*n_jobs",
            )
            finished = pool(delayed(_train)(job, portion) for portion in waiting)
            try:
                for results in finished:
                    for request, evaluation in results:
                        del left[request]
                        yield request, evaluation
            except TerminatedWorkerError as error:
                if workers == 1 and all(len(portion) == 1 for portion in waiting):
                    request = next(iter(left))
                    del left[request]
                    reason = f"its process died: {' '.join(str(error).split())[:200]}"
                    yield request, self._out_of_memory(request, reason)
                elif workers == 1:
                    left = {request: [request] for request in left}
                workers = max(1, workers // 2)
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of what is cancelled
                    finished.close()

    @property
    def _threads(self) -> int:
        """Threads of a worker: the same all through a run, since sums depend on them."""
        return max(1, available_cores() // (self.workers or available_cores()))

    def _job(self, threads: int, plan: Plan) -> _Job:
        nothing = replace(self.dataset.test, x=self.dataset.test.x[:0], y=self.dataset.test.y[:0])
        dataset = replace(self.dataset, test=nothing)
        return _Job(
            dataset,
            self.metric,
            self.loss,
            self.budget,
            threads,
            self.device,
            self.precision,
            self.batch_sizes or tuple(sorted({size for size, _ in plan.programs})),
        )

    def _out_of_memory(self, request: Request, reason: str) -> Evaluation:
        return evaluation_of(request, self.dataset, Outcome("out_of_memory", reason))


@dataclass(frozen=True)
class _Job:
    """What a worker needs to know; plain values and arrays, which joblib shares between workers."""

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget
    threads: int
    device: str
    precision: str
    batch_sizes: tuple[int, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal keys, equal trainers."""
        data = self.dataset
        return data.fingerprint, str(data.protocol), self.loss, self.budget, self.precision


_trainers: dict[tuple[object, ...], Trainer] = {}


def _train(job: _Job, requests: Sequence[Request]) -> list[tuple[Request, Evaluation]]:
    """Train some requests in this process, which stays warm for the next ones."""
    _prepare(job.threads, job.device)
    if job.key not in _trainers:
        _trainers.clear()  # one data set at a time stays on the device
        _trainers[job.key] = Trainer(job.dataset, job.loss, job.budget, job.precision)
        if parent_process() is not None:  # a worker, which has done nothing else so far
            _trainers[job.key].prepare(job.batch_sizes)
    trainer = _trainers[job.key]
    return [(request, _evaluate(trainer, job, request)) for request in requests]


@cache
def _prepare(threads: int, device: str) -> None:
    """Before the first training of a process."""
    limit_threads(threads)
    choose_device(device)
    if parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
        threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()


def _follow(parent: int) -> None:
    """End this worker when the process that started it is gone, even if it was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _evaluate(trainer: Trainer, job: _Job, request: Request) -> Evaluation:
    """Train one network; whatever goes wrong is an evaluation too."""
    started = time.perf_counter()
    target, truth = job.dataset.target, job.dataset.validation.y
    outcome = tried(
        lambda: trainer.fit(request.genome, request.seed),
        lambda trained: score(job.metric, target, truth, target.predictions(trained.outputs)),
    )
    return evaluation_of(request, job.dataset, outcome, time.perf_counter() - started)
