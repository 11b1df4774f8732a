"""The fused engine: trainings in worker processes, a core each, or in groups on a GPU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from queue import SimpleQueue

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from evonet.data.dataset import Dataset
from evonet.errors import TrainingError
from evonet.evaluation import Budget, Evaluation, Request
from evonet.metrics import Metric
from evonet.training.backend import find_device, load_backend
from evonet.training.clusters import Cluster, lost_cluster, unfit_worker
from evonet.training.costs import Rows
from evonet.training.evaluator import Outcome, evaluation_of
from evonet.training.plan import Plan, Planned, available_cores, make_plan, memory_bytes
from evonet.training.processes import Processes, hush_tracker
from evonet.training.slots import ClusterSlots, OneSlot, Slots, no_slots_on_gpu
from evonet.training.worker import Job, train, train_numbered


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

    @property
    def rows(self) -> Rows:
        """The data as a plan sees them."""
        folds = self.dataset.scored_on
        data = max(folds, key=lambda fold: len(fold.train) * fold.n_inputs)
        return Rows(
            data.n_inputs,
            data.target.n_outputs,
            len(data.train),
            len(data.validation),
            len(folds),
        )

    def plan(self, requests: Sequence[Request]) -> Plan:
        """How the requests would be trained.

        Raises:
            TrainingError: there is no GPU for what is asked.
        """
        device = check_device(self.device, self.precision) if self.cluster is None else "cpu"
        most = self.workers or available_cores()
        if self.cluster is not None:
            most = self.cluster.workers
        elif device == "gpu":
            n_gpus = len(load_backend().devices())
            most = min(self.workers or n_gpus, n_gpus)
        return make_plan(
            requests, self.rows, self.budget, most, memory_bytes(), device, self.seconds_wanted
        )

    def evaluate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Evaluation]]:
        """Train the requests; each comes back as soon as its portion is done."""
        plan = self.plan(requests)
        for training in plan.too_large:
            yield training.request, self._too_large(training)
        portions = [[t.request for t in portion] for portion in plan.portions]
        if self.cluster is not None:
            yield from self._on_cluster(self.cluster, portions, plan)
        elif plan.device == "gpu" and plan.workers > 1:
            yield from self._on_gpus(portions, plan)
        elif plan.device == "gpu" or self.workers == 1:
            for portion in portions:
                yield from train(self._job(plan), portion)
        else:
            yield from self._in_processes(portions, plan)

    def slots(self) -> Slots:
        """Places to train one request at a time.

        Raises:
            TrainingError: it trains on a GPU, or on one that is not there.
        """
        plan = self.plan([])
        if plan.device == "gpu":
            raise no_slots_on_gpu()
        job = self._job(plan)
        workers = self.workers or available_cores()
        if self.cluster is None and workers == 1:
            return OneSlot(lambda own: self._refused(own) or train(job, [own])[0][1])
        cluster = self.cluster or Processes(workers)
        return ClusterSlots(cluster, train, job, self._died, self._refused)

    def _on_gpus(
        self, portions: list[list[Request]], plan: Plan
    ) -> Iterator[tuple[Request, Evaluation]]:
        """Train on several GPUs, a thread for each; one that is free takes the next portion."""
        job, free = self._job(plan), SimpleQueue[int]()
        for gpu in range(plan.workers):
            free.put(gpu)

        def train_there(portion: list[Request]) -> list[tuple[Request, Evaluation]]:
            gpu = free.get()
            try:
                return train(replace(job, gpu=gpu), portion)
            finally:
                free.put(gpu)

        pool = ThreadPoolExecutor(plan.workers)
        try:
            for done in as_completed([pool.submit(train_there, portion) for portion in portions]):
                yield from done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # what has begun is trained to its end

    def _on_cluster(
        self, cluster: Cluster, portions: list[list[Request]], plan: Plan
    ) -> Iterator[tuple[Request, Evaluation]]:
        """Train on a cluster, which gives the portion of a worker that dies to another one.

        Of a portion that no worker survives, every training is tried by itself; that which kills
        its workers again has failed.
        """
        job = cluster.share(self._job(plan))
        left = [(portion, False) for portion in portions]
        while left:
            pending = {cluster.submit(train, job, own): (own, again) for own, again in left}
            left = []
            try:
                for done in as_completed(pending):
                    portion, again = pending[done]
                    if done.cancelled():
                        raise lost_cluster()
                    error = done.exception()
                    if error is None:
                        yield from done.result()
                    elif isinstance(error, ImportError):
                        raise unfit_worker(error)
                    elif again:
                        yield portion[0], self._died(portion[0], error)
                    else:
                        left += [([request], True) for request in portion]
            finally:
                for future in pending:
                    future.cancel()

    def _in_processes(
        self, portions: list[list[Request]], plan: Plan
    ) -> Iterator[tuple[Request, Evaluation]]:
        """Train in worker processes; when one dies, go on with half as many.

        Of a portion whose only worker dies, every training is tried by itself; that which kills
        its worker again has failed.
        """
        hush_tracker()
        workers = plan.workers
        left = dict(enumerate(portions))
        while left:
            waiting = list(left)
            if workers == 1 and all(len(portion) == 1 for portion in left.values()):
                waiting = waiting[:1]  # so that it is known which one kills its worker
            job = self._job(plan)
            # Asked for one worker, joblib trains in this process; two of which one is idle do not.
            pool = Parallel(
                max(2, workers),
                backend="loky",
                return_as="generator_unordered",
                batch_size=1,
                pre_dispatch=1 if workers == 1 else "2*n_jobs",
                mmap_mode="c",  # Numba compiles for arrays that may be written, and writes none
            )
            finished = pool(delayed(train_numbered)(job, i, left[i]) for i in waiting)
            try:
                for i, results in finished:
                    del left[i]
                    yield from results
            except TerminatedWorkerError as error:
                if workers == 1 and len(waiting) == 1 and len(left[waiting[0]]) == 1:
                    (request,) = left.pop(waiting[0])
                    yield request, self._died(request, error)
                elif workers == 1:
                    left = dict(enumerate([r] for portion in left.values() for r in portion))
                workers = max(1, workers // 2)
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of what is cancelled
                    finished.close()

    @property
    def _threads(self) -> int:
        """Threads of a worker: the same all through a run, since sums depend on them."""
        if self.cluster is not None:
            return 1
        return max(1, available_cores() // (self.workers or available_cores()))

    def _job(self, plan: Plan) -> Job:
        return Job(
            self.dataset.without_test(),
            self.metric,
            self.loss,
            self.budget,
            self._threads,
            plan.device,
            self.precision,
        )

    def _refused(self, request: Request) -> Evaluation | None:
        """That of a training which this machine's memory cannot hold; None where it can."""
        too_large = self.plan([request]).too_large
        return self._too_large(too_large[0]) if too_large else None

    def _too_large(self, training: Planned) -> Evaluation:
        needed = f"its training needs about {training.bytes / 2**30:.1f} GiB"
        return self._out_of_memory(training.request, needed)

    def _died(self, request: Request, error: BaseException) -> Evaluation:
        reason = f"its process died: {' '.join(str(error).split())[:200]}"
        return self._out_of_memory(request, reason)

    def _out_of_memory(self, request: Request, reason: str) -> Evaluation:
        return evaluation_of(request, self.dataset, [Outcome("out_of_memory", reason)])
