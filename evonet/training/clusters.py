"""Clusters that train: Dask's, Ray's and threads, behind the little that the engine needs.

Not through joblib's backends for them (joblib 1.6, Ray 2.60): joblib never hears of a batch whose
Dask workers all died, and its backend for Ray hands nothing back before everything is done, where
each training is to be written down as soon as it is known.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from logging import ERROR, getLogger
from types import MappingProxyType
from typing import Any, Protocol

from evonet.errors import ConfigError, TrainingError
from evonet.extras import require

#: Seconds that a scheduler has to answer, and to have a worker.
_PATIENCE = 30
#: Seconds for which the number of workers is believed: to ask takes as long as to hand out work.
_BELIEVED = 1.0


class Cluster(Protocol):
    """Workers on other machines, or on this one.

    Attributes:
        ahead: calls beyond one for each worker that may wait for one, so that a worker which is
            done finds the next at once.
    """

    ahead: int

    @property
    def workers(self) -> int:
        """Trainings that run at the same time; 0 where no worker is left."""
        ...

    def share(self, value: object) -> Any:
        """Make a value known to the cluster; what stands for it in ``submit``.

        It outlives every worker, and each fetches it once.
        """
        ...

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function on some worker, once one is free."""
        ...

    def is_lost(self, error: BaseException, /) -> bool:
        """Whether a call's error is that of a worker that died.

        Raises:
            TrainingError: it says that workers cannot train at all.
        """
        ...

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        """Nobody will hear of some calls."""
        ...

    def release(self, shared: Any) -> None:
        """Forget a value that was shared; none of its calls is under way."""
        ...


class _Elsewhere:
    """What clusters of other machines have in common."""

    ahead = 0

    def __init__(self, *lost: type[BaseException]) -> None:
        """Begin.

        Args:
            lost: the errors by which the cluster says that a worker died.
        """
        self._lost = (*lost, MemoryError)
        self._workers, self._counted = 0, -math.inf

    @property
    def workers(self) -> int:
        """Trainings that run at the same time, as they were counted last."""
        if time.monotonic() - self._counted > _BELIEVED:
            self._workers, self._counted = self._count(), time.monotonic()
        return self._workers

    def _count(self) -> int:
        raise NotImplementedError

    def is_lost(self, error: BaseException) -> bool:
        """Whether a worker died, or had no memory for its call; see ``Cluster``.

        A training that fails is a value, so that any other error is none of a training.
        """
        if not isinstance(error, self._lost):
            raise unfit_worker(error) from None
        return True

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        """Cancel calls that have not begun; what has begun ends unheard."""
        _cancel(futures)


class DaskCluster(_Elsewhere):
    """A Dask cluster, by the address of its scheduler."""

    def __init__(self, address: str) -> None:
        from distributed import Client, KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm.addressing import parse_host_port

        super().__init__(KilledWorker)
        self._closed = ClosedClientError
        getLogger("distributed").setLevel(ERROR)  # a worker that dies is none of the user's errors
        getLogger("distributed.client").setLevel(ERROR)
        try:
            parse_host_port(address.rpartition("://")[2])
        except ValueError as error:
            raise ConfigError(
                f"address {address} is none of a scheduler: {_line(error)}. Expected one such as "
                "tcp://127.0.0.1:8786, which `dask scheduler` says when it starts."
            ) from None
        try:
            self._client = Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise TrainingError(
                f"No Dask scheduler answers at {address} ({_line(error)}). Start `dask scheduler`, "
                "and pass the address that it says."
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except (OSError, TimeoutError) as error:
            self._client.close()
            raise TrainingError(
                f"The Dask scheduler at {address} has no worker ({_line(error)}). Start on each "
                f"machine `dask worker {address} --nthreads 1 --nworkers CORES`."
            ) from None
        self._executor = self._client.get_executor(pure=False)

    def _count(self) -> int:
        """Threads of all workers that are there now."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError):  # its scheduler does not answer
            return 0

    def share(self, value: object) -> Any:
        """Give a value to the scheduler, which keeps it, and gives it to workers that have none.

        Scattered to the workers it would be lost with them.
        """
        with warnings.catch_warnings():  # of its size, which is that of the data
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._asked(self._client.submit, _itself, value, pure=False)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function on a worker that is free."""
        future: Future[Any] = self._asked(self._executor.submit, function, *arguments)
        return future

    def _asked(self, submit: Callable[..., Any], *arguments: object, **how: object) -> Any:
        try:
            return submit(*arguments, **how)
        except self._closed:  # it lost its scheduler while nothing was under way
            raise lost_cluster() from None

    def release(self, shared: Any) -> None:
        """Let the scheduler forget a value."""
        shared.release()


class RayCluster(_Elsewhere):
    """A Ray cluster: the one at an address, or one of this machine's cores."""

    def __init__(self, address: str | None) -> None:
        import ray
        from ray import exceptions as said

        super().__init__(
            said.WorkerCrashedError,
            said.NodeDiedError,
            said.OutOfMemoryError,
            said.LocalRayletDiedError,
            said.ObjectLostError,
        )
        self._ray = ray
        try:
            ray.init(address or "local", log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"No Ray cluster at {address} ({_line(error)}). Start `ray start --head`, or leave "
                "out --address for one on this machine."
            ) from None
        # What is lost is tried again by who asked for it, who knows what else was under way.
        self._call = ray.remote(max_retries=0, num_cpus=1)(_call)

    def _count(self) -> int:
        """Cores of all machines that are there now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def share(self, value: object) -> Any:
        """Keep a value where each machine fetches it once."""
        return self._ray.put(value)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function on a core that is free."""
        future: Future[Any] = self._call.remote(function, *arguments).future()
        return future

    def release(self, shared: Any) -> None:
        """Nothing: Ray forgets what nobody holds."""


class Threads:
    """Threads of this process: what they wait for is elsewhere, as on GPUs."""

    ahead = 0

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers)

    @property
    def workers(self) -> int:
        """Threads, whether they run already or not."""
        return self._workers

    def share(self, value: object) -> Any:
        """The value: threads have it already."""
        return value

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function in a thread that is free."""
        return self._pool.submit(function, *arguments)

    def is_lost(self, _: BaseException, /) -> bool:
        """Never: a thread does not die alone."""
        return False

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        """Wait for calls that have begun."""
        _cancel(futures)
        wait(futures)

    def release(self, shared: Any) -> None:
        """Nothing: it was never copied."""


def _cancel(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        future.cancel()


def _itself(value: Any) -> Any:
    return value


def _call(function: Callable[..., Any], *arguments: object) -> Any:
    return function(*arguments)


_CLUSTERS: Mapping[str, tuple[str, Callable[[Any], Cluster]]] = MappingProxyType(
    {"dask": ("distributed", DaskCluster), "ray": ("ray", RayCluster)}
)


@cache
def connect(backend: str, address: str | None) -> Cluster | None:
    """The cluster to train on, connected to once by a process; None for this machine alone.

    Args:
        backend: "loky" for this machine's processes; "dask", "ray".
        address: of the cluster's scheduler.

    Raises:
        ConfigError: its package is not installed, or it cannot have such an address.
        TrainingError: there is no such cluster, or it has no worker.
    """
    if backend == "loky":
        return None
    package, join = _CLUSTERS[backend]
    require(package, f"backend {backend}", "leave out --backend")
    return join(address)


def lost_cluster() -> TrainingError:
    """What is raised where a cluster drops what it was to train."""
    connect.cache_clear()  # who tries again needs another connection
    return TrainingError(
        "The cluster dropped what it was to train: its scheduler has gone, or no worker is left. "
        "Start it again, then go on with evonet resume; what is trained is kept."
    )


def unfit_worker(error: BaseException) -> TrainingError:
    """What is raised where a worker, or who sends it its work, lacks a package or has another."""
    return TrainingError(
        f"The cluster cannot train: {type(error).__name__}: {_line(error)}. Install this evonet, "
        "of this version, on its scheduler and its workers, start them again, then go on with "
        "evonet resume; what is trained is kept."
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
