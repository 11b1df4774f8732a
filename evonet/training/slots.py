"""Places where trainings run at the same time, each refilled as soon as it is free."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from evonet.errors import TrainingError
from evonet.training.clusters import Cluster, lost_cluster
from evonet.training.processes import Call, is_own_fault

#: What is asked for, and what comes of it.
Asked = TypeVar("Asked")
Came = TypeVar("Came")
#: Seconds that a cluster may be without a worker: those that died are often started again.
_PATIENCE = 60
#: Seconds for which nobody is kept from looking at what is done, unless the run was stopped.
_STOPPED = 10
#: Tries with nothing else under way. One would do if only a lack of memory ended workers; but
#: machines are also taken away by those who lend them.
_TRIES_ALONE = 2


class Slots(Protocol[Asked, Came]):
    """Places that train, a portion of some trainings each."""

    @property
    def n_free(self) -> int:
        """How many more portions would be trained at once."""
        ...

    @property
    def n_busy(self) -> int:
        """How many portions did not come back yet."""
        ...

    def submit(self, portion: Sequence[Asked]) -> None:
        """Train a portion in a place that is free."""
        ...

    def wait(self) -> list[tuple[Asked, Came]]:
        """What came of the next portion that is done; to be called while any is busy."""
        ...

    def close(self) -> None:
        """Give up what is being trained."""
        ...


def each_of(
    slots: Slots[Asked, Came], portions: Iterable[Sequence[Asked]]
) -> Iterator[list[tuple[Asked, Came]]]:
    """Train portions; what came of the trainings of each, as soon as it is done."""
    waiting, done = deque(portions), list[tuple[Asked, Came]]()
    while waiting or slots.n_busy or done:
        while waiting and slots.n_free:
            slots.submit(waiting.popleft())
        if done:  # while all places are busy: whoever takes it may write it down
            yield done
        done = slots.wait() if slots.n_busy else []


class OneSlot(Generic[Asked, Came]):
    """Trains in this process, one portion after the other."""

    def __init__(self, train: Callable[[Sequence[Asked]], list[tuple[Asked, Came]]]) -> None:
        self._train = train
        self._waiting: deque[Sequence[Asked]] = deque()

    @property
    def n_free(self) -> int:
        """One, while there is nothing to train."""
        return 0 if self._waiting else 1

    @property
    def n_busy(self) -> int:
        """Portions that are to be trained."""
        return len(self._waiting)

    def submit(self, portion: Sequence[Asked]) -> None:
        """Train a portion once somebody waits for it."""
        self._waiting.append(portion)

    def wait(self) -> list[tuple[Asked, Came]]:
        """Train the next one."""
        return self._train(self._waiting.popleft())

    def close(self) -> None:
        """Nothing is under way."""


class WithinMemory(Generic[Asked, Came]):
    """Places whose trainings fit into the memory together: one that does not waits for others."""

    def __init__(
        self, slots: Slots[Asked, Came], room: float, bytes_of: Callable[[Asked], float]
    ) -> None:
        """Begin with nothing under way.

        Args:
            slots: the places.
            room: bytes that all trainings may take together; one alone may take more.
            bytes_of: what a training takes.
        """
        self._slots, self._room, self._bytes_of = slots, room, bytes_of
        self._taken = 0.0
        self._held: deque[Sequence[Asked]] = deque()

    @property
    def n_free(self) -> int:
        """Places that have nothing to do; none while some training waits for memory."""
        return 0 if self._held else self._slots.n_free

    @property
    def n_busy(self) -> int:
        """Portions that did not come back yet."""
        return len(self._held) + self._slots.n_busy

    def submit(self, portion: Sequence[Asked]) -> None:
        """Train a portion once there is memory for it."""
        self._held.append(portion)
        self._begin()

    def wait(self) -> list[tuple[Asked, Came]]:
        """The next that is done."""
        done = self._slots.wait()
        self._taken -= sum(self._bytes_of(asked) for asked, _ in done)
        self._begin()
        return done

    def _begin(self) -> None:
        while self._held:
            more = sum(map(self._bytes_of, self._held[0]))
            if self._slots.n_busy and self._taken + more > self._room:
                return
            self._taken += more
            self._slots.submit(self._held.popleft())

    def close(self) -> None:
        """Give up what is being trained, and what waits."""
        self._held.clear()
        self._slots.close()


@dataclass(frozen=True)
class _UnderWay(Generic[Asked]):
    """A portion that a worker trains.

    Attributes:
        portion: what it trains.
        tries_alone: how often that was begun with nothing else under way, this time included.
        since: when it was handed out, in seconds of a clock.
    """

    portion: Sequence[Asked]
    tries_alone: int
    since: float


class ClusterSlots(Generic[Asked, Came]):
    """Trains on the workers of a cluster, or of this machine.

    What is lost with its worker is tried again, one training at a time. Where other trainings may
    be to blame, as where memory was short, that is when nothing else is under way, and twice; what
    is lost by then has failed, and so has after one such try what had taken longer than it may.
    What runs out of time while this process is seen to be stopped, as by Ctrl-Z, is tried once
    more: clocks go on meanwhile.
    """

    def __init__(
        self,
        cluster: Cluster,
        most: int | None,
        train: Callable[[Any, Sequence[Asked]], list[tuple[Asked, Came]]],
        share: Callable[[], object],
        lost: Callable[[Asked, BaseException, float], Came],
        allowed: Callable[[Asked], float] = lambda _: math.inf,
    ) -> None:
        """Begin with nothing under way.

        Args:
            cluster: who trains.
            most: portions at the same time, those included that wait for a worker; None for as
                many as the cluster has workers.
            train: what it is to call, with what is shared and a portion.
            share: what ``train`` has to know, as ``cluster`` shared it; asked before it is needed.
            lost: what comes of a training that ends its worker, with its error and the seconds
                it took.
            allowed: seconds that a training may take before ``train`` ends its worker.
        """
        self._cluster, self._most = cluster, most
        self._train, self._share, self._lost, self._allowed = train, share, lost, allowed
        self._busy: dict[Future[list[tuple[Asked, Came]]], _UnderWay[Asked]] = {}
        self._again: deque[Asked] = deque()  # as soon as there is a place
        # When nothing else is under way; each with how often that was tried.
        self._suspects: deque[tuple[Asked, int]] = deque()
        self._stopped = -math.inf  # when this process was, as by Ctrl-Z, for the last time
        self._excused: set[Asked] = set()  # their time ran out meanwhile

    @property
    def n_free(self) -> int:
        """Places that have nothing to do; none while something is to be tried again."""
        if self._again or self._suspects:
            return 0
        return max(0, self._n_places - len(self._busy))

    @property
    def n_busy(self) -> int:
        """Portions that are being trained, and trainings that are to be tried again."""
        return len(self._busy) + len(self._again) + len(self._suspects)

    @property
    def _n_places(self) -> int:
        return max(1, self._cluster.workers) if self._most is None else self._most

    def submit(self, portion: Sequence[Asked]) -> None:
        """Train a portion on a worker that is free."""
        self._begin(portion)

    def _begin(self, portion: Sequence[Asked], tries_alone: int = 0) -> None:
        since = time.monotonic()
        future = self._cluster.submit(self._train, self._share(), portion)
        self._busy[future] = _UnderWay(portion, tries_alone, since)

    def wait(self) -> list[tuple[Asked, Came]]:
        """The next that is done, of several the one that was submitted first.

        Raises:
            TrainingError: no worker is left, or none can train.
        """
        while True:
            while self._again and len(self._busy) < self._n_places:
                self._begin([self._again.popleft()])
            if not self._busy:
                suspect, tries = self._suspects.popleft()
                self._begin([suspect], tries + 1)
            done = self._done()
            future = next(future for future in self._busy if future in done)
            under_way = self._busy.pop(future)
            if future.cancelled():
                raise lost_cluster()
            error = future.exception()
            if error is None:
                return future.result()
            began = (future.began if isinstance(future, Call) else None) or under_way.since
            if came := self._after(error, under_way, began):
                return came

    def _done(self) -> set[Future[list[tuple[Asked, Came]]]]:
        """Those of what is under way that are done, once there are any."""
        seen = time.monotonic()
        while True:  # an endless wait is deaf to Ctrl-C on Windows
            began = time.monotonic()
            done, _ = wait(self._busy, timeout=1, return_when=FIRST_COMPLETED)
            now = time.monotonic()
            if now - began > _STOPPED:
                self._stopped = now
            if done:
                return done
            if self._cluster.workers or self._stopped == now:
                seen = now
            elif now - seen > _PATIENCE:
                raise lost_cluster()

    def _after(
        self, error: BaseException, under_way: _UnderWay[Asked], began: float
    ) -> list[tuple[Asked, Came]]:
        """What came of a portion whose call raised an error; nothing if it is tried again.

        Args:
            error: of the call.
            under_way: the portion.
            began: when a worker began with it; where nobody knows, when it was handed out.

        Raises:
            EvonetError: the error is that of no training.
        """
        if not self._cluster.is_lost(error):
            raise error
        portion, tries, own_fault = under_way.portion, under_way.tries_alone, is_own_fault(error)
        seconds = time.monotonic() - began
        if len(portion) == 1:
            (asked,) = portion
            out_of_time = seconds >= self._allowed(asked)
            if own_fault and out_of_time and began < self._stopped and asked not in self._excused:
                self._excused.add(asked)
                self._again.append(asked)
                return []
            # Dask tells of a worker that ended itself, after too long, as of one that was killed.
            if own_fault or (tries and out_of_time) or tries == _TRIES_ALONE:
                return [(asked, self._lost(asked, error, seconds))]
        if own_fault:
            self._again.extend(portion)
        else:
            self._suspects.extend((asked, tries) for asked in portion)
        return []

    def close(self) -> None:
        """Nobody will hear of what is under way."""
        self._cluster.give_up(list(self._busy))
        self._busy.clear()


def no_slots_on_gpu() -> TrainingError:
    """What is raised where a search without a barrier would train on a GPU."""
    return TrainingError(
        "Asynchronous search trains on CPUs: a GPU trains a whole generation side by side. Leave "
        "out --async, or pass --device cpu."
    )
