"""The fused engine: trainings in worker processes, a core each, or in groups on a GPU."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from queue import SimpleQueue

from evonet.data.dataset import Dataset
from evonet.errors import TrainingError
from evonet.evaluation import Budget, Evaluation, Request
from evonet.metrics import Metric
from evonet.training.backend import find_device, load_backend
from evonet.training.clusters import Cluster, Threads
from evonet.training.evaluator import evaluation_of
from evonet.training.plan import Plan, available_cores, bytes_for_processes, bytes_of_process
from evonet.training.processes import processes_here
from evonet.training.slots import (
    ClusterSlots,
    OneSlot,
    Slots,
    WithinMemory,
    each_of,
    no_slots_on_gpu,
)
from evonet.training.worker import Done, Job, lost_outcome, train


def check_device(device: str, precision: str) -> str:
    """What to train on: "cpu" or "gpu".

    Args:
        device: "auto", "cpu" or "gpu".
        precision: "float32" or "bfloat16".

    Raises:
        TrainingError: there is no GPU for what is asked.
    """
    found = find_device(device)
    if found == "cpu" and precision != "float32":
        raise TrainingError(
            f"precision {precision} is for GPUs, and training runs on the CPU here. "
            "Leave out --precision."
        )
    return found


@dataclass(frozen=True)
class FusedEvaluator:
    """Trains many networks at the same time: one in each worker process, or groups on a GPU.

    Attributes:
        dataset: what to train and validate on.
        metric: what an evaluation's score is.
        loss: as ``choose_loss`` returns it.
        budget: how long each network may train.
        workers: processes, or GPUs, that train at the same time; None for as many as there are.
        device: "auto" for a GPU where there is one; "cpu" or "gpu".
        precision: "float32", or on a GPU "bfloat16" for the factors of products.
        seconds_wanted: where a call would take longer, short trainings come first.
        cluster: trains instead of this machine's processes.
        timeout: seconds that a training in another process may take; see ``Job``.
    """

    dataset: Dataset
    metric: Metric
    loss: str
    budget: Budget
    workers: int | None = None
    device: str = "auto"
    precision: str = "float32"
    seconds_wanted: float = math.inf
    cluster: Cluster | None = None
    timeout: float | None = None

    def plan(self, requests: Sequence[Request]) -> Plan:
        """How the requests would be trained.

        Raises:
            TrainingError: there is no GPU for what is asked.
        """
        return self._job.plan(requests, self._workers, self.seconds_wanted)

    def evaluate(self, requests: Sequence[Request]) -> Generator[list[Done], None, None]:
        """Train the requests; they come back by portions, each as soon as it is done."""
        plan = self.plan(requests)
        portions = [*([own] for own in plan.too_large), *plan.portions]  # who is to train it knows
        # Of a cluster, the memory of this machine says nothing.
        most = plan.workers if self.cluster is None else None
        if self._cluster is not None and most == self._cluster.workers:
            most += self._cluster.ahead
        with closing(self._places(most)) as slots:
            yield from each_of(slots, [[t.request for t in portion] for portion in portions])

    def slots(self) -> Slots[Request, Evaluation]:
        """Places to train one request at a time.

        Raises:
            TrainingError: it trains on a GPU, or on one that is not there.
        """
        if self._job.device == "gpu":
            raise no_slots_on_gpu()
        places = self._places(None)
        if self.cluster is not None:  # whose memory is not this machine's
            return places
        needed = partial(bytes_of_process, rows=self._job.rows, budget=self.budget)
        return WithinMemory(places, bytes_for_processes(), needed)

    def close(self) -> None:
        """Forget the data that workers share; to be called when all is trained."""
        shared = self.__dict__.pop("_shared", None)
        if shared is not None and self._cluster is not None:
            self._cluster.release(shared)

    @property
    def _workers(self) -> int:
        return max(1, self._cluster.workers) if self._cluster else 1

    @cached_property
    def _cluster(self) -> Cluster | None:
        """What trains; None for this process."""
        if self.cluster is not None:
            return self.cluster
        if self._job.device == "cpu":
            return processes_here(self.workers or available_cores())
        n_gpus = len(load_backend().devices())
        n_gpus = min(self.workers or n_gpus, n_gpus)
        return Threads(n_gpus) if n_gpus > 1 else None

    @cached_property
    def _job(self) -> Job:
        device = check_device(self.device, self.precision) if self.cluster is None else "cpu"
        return Job(
            self.dataset.without_test(),
            self.metric,
            self.loss,
            self.budget,
            device,
            self.precision,
            timeout=self.timeout,
        )

    @cached_property
    def _shared(self) -> object:
        return self._cluster.share(self._job) if self._cluster else None

    def _places(self, most: int | None) -> Slots[Request, Evaluation]:
        if self._cluster is None:
            return OneSlot(partial(train, self._job))
        train_there = partial(train, in_time=True)
        if self._job.device == "gpu":
            free = SimpleQueue[int]()
            for gpu in range(self._cluster.workers):
                free.put(gpu)
            train_there = partial(_train_on_free_gpu, free)
        allowed = self._job.seconds_allowed
        share = lambda: self._shared  # noqa: E731 - asked late: none is shared for nothing
        return ClusterSlots(self._cluster, most, train_there, share, self._lost, allowed)

    def _lost(self, request: Request, error: BaseException, seconds: float) -> Evaluation:
        """That of a training which ended its worker."""
        outcome = lost_outcome(error, seconds, self._job.seconds_allowed(request))
        return evaluation_of(request, self.dataset, [outcome], seconds)


def _train_on_free_gpu(free: SimpleQueue[int], job: Job, requests: Sequence[Request]) -> list[Done]:
    gpu = free.get()
    try:
        return train(replace(job, gpu=gpu), requests)
    finally:
        free.put(gpu)
