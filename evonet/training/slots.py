"""Places where trainings run at the same time, each refilled as soon as it is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

from evonet.errors import TrainingError
from evonet.evaluation import Evaluation, Request
from evonet.training.clusters import Cluster, lost_cluster, unfit_worker

Done = tuple[Request, Evaluation]
#: Trains some requests in another process: (job, requests) to what came of each.
Train = Callable[[Any, Sequence[Request]], list[Done]]


class Slots(Protocol):
    """Places that train."""

    @property
    def n_free(self) -> int:
        """How many more requests would be trained at once."""
        ...

    @property
    def n_busy(self) -> int:
        """How many requests did not come back yet."""
        ...

    def submit(self, request: Request) -> None:
        """Train a request."""
        ...

    def wait(self) -> Done:
        """The next that is done; to be called while any is busy."""
        ...

    def close(self) -> None:
        """Give up what is being trained."""
        ...


class OneSlot:
    """Trains in this process, one request after the other."""

    def __init__(self, train: Callable[[Request], Evaluation]) -> None:
        self._train = train
        self._waiting: deque[Request] = deque()

    @property
    def n_free(self) -> int:
        """One, while there is nothing to train."""
        return 0 if self._waiting else 1

    @property
    def n_busy(self) -> int:
        """Requests that are to be trained."""
        return len(self._waiting)

    def submit(self, request: Request) -> None:
        """Train a request once somebody waits for it."""
        self._waiting.append(request)

    def wait(self) -> Done:
        """Train the next one."""
        request = self._waiting.popleft()
        return request, self._train(request)

    def close(self) -> None:
        """Nothing is under way."""


class ClusterSlots:
    """Trains on the workers of a cluster, or of this machine.

    A training that is lost with its worker is tried again when nothing else is under way, so that
    it is known which one kills its worker; that which does it again has failed.
    """

    def __init__(
        self,
        cluster: Cluster,
        train: Train,
        job: object,
        died: Callable[[Request, BaseException], Evaluation],
        refuse: Callable[[Request], Evaluation | None] = lambda _: None,
    ) -> None:
        """Make a cluster ready.

        Args:
            cluster: who trains.
            train: what it is to call.
            job: what ``train`` has to know, sent once.
            died: the evaluation of a training that kills its worker.
            refuse: that of one which is not to be begun; None for any other.
        """
        self._cluster, self._train, self._job = cluster, train, cluster.share(job)
        self._died, self._refuse = died, refuse
        self._busy: dict[Future[list[Done]], Request] = {}
        self._suspects: deque[Request] = deque()

    @property
    def n_free(self) -> int:
        """Workers that have nothing to do; none while it is found out who kills them."""
        return 0 if self._suspects else max(0, self._cluster.workers - len(self._busy))

    @property
    def n_busy(self) -> int:
        """Requests that are being trained, or are to be tried again."""
        return len(self._busy) + len(self._suspects)

    def submit(self, request: Request) -> None:
        """Train a request on a worker that is free."""
        if (refused := self._refuse(request)) is None:
            future = self._cluster.submit(self._train, self._job, [request])
        else:
            future = Future()
            future.set_result([(request, refused)])
        self._busy[future] = request

    def wait(self) -> Done:
        """The next that is done, of several the one that was submitted first."""
        while True:
            alone = not self._busy
            if alone:
                self.submit(self._suspects.popleft())
            done, _ = wait(self._busy, return_when=FIRST_COMPLETED)
            future = next(future for future in self._busy if future in done)
            request = self._busy.pop(future)
            if future.cancelled():
                raise lost_cluster()
            error = future.exception()
            if error is None:
                return future.result()[0]
            if isinstance(error, ImportError):
                raise unfit_worker(error)
            if alone:
                return request, self._died(request, error)
            self._suspects.append(request)

    def close(self) -> None:
        """Cancel what has not begun; what has begun ends unheard, or with its worker."""
        for future in self._busy:
            future.cancel()
        self._busy.clear()
        self._cluster.release(self._job)


def no_slots_on_gpu() -> TrainingError:
    """What is raised where a search without a barrier would train on a GPU."""
    return TrainingError(
        "Asynchronous search trains on CPUs: a GPU trains a whole generation side by side. Leave "
        "out --async, or pass --device cpu."
    )
