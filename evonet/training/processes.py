"""Processes of this machine as a cluster: each with a pipe of its own, so that it dies alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from multiprocessing import Pipe, current_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from joblib.externals.loky.backend import get_context, resource_tracker

from evonet.errors import TrainingError
from evonet.training.plan import available_cores
from evonet.training.shared import Shared, hush_tracker

#: What libraries read, when they are loaded, to know how many threads they may start.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: Seconds that a process has to end once it is told to.
_PATIENCE = 5
#: How a process ends itself that has no memory left: as one that the system ended, to a shell.
_NO_MEMORY = 137
#: What others send to end a process: the system that has no memory left, a scheduler of jobs, a
#: terminal that closes. What a process does itself ends it by another signal, or by none.
_FROM_OTHERS = {
    -int(getattr(signal, name))
    for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")
    if hasattr(signal, name)
}


class ProcessDiedError(Exception):
    """A process ended while it was called.

    Attributes:
        exit_code: of the process; that of a signal is below zero.
    """

    def __init__(self, exit_code: int | None) -> None:
        """Say how it ended.

        Args:
            exit_code: None where nobody knows.
        """
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code

    @property
    def was_killed(self) -> bool:
        """Whether somebody else ended it, as systems do that have no memory left."""
        return self.exit_code is None or self.exit_code in {*_FROM_OTHERS, _NO_MEMORY}


def is_own_fault(error: BaseException) -> bool:
    """Whether a worker ended by what it did, as in a crash; else others may have taken its memory.

    Args:
        error: of its call.
    """
    return isinstance(error, ProcessDiedError) and not error.was_killed


class Call(Future[Any]):
    """What a worker process is to answer, and when it began to, in seconds of a clock."""

    began: float | None = None


class Processes:
    """Worker processes; one that dies is replaced, and no other hears of it."""

    #: Calls beyond one for each process: the next one is there as soon as one is answered.
    ahead = 1

    def __init__(
        self, workers: int, loads: str = "evonet.training.trainer", idle_seconds: float = 300
    ) -> None:
        """Start none yet.

        Args:
            workers: processes.
            loads: a module that they load before they are called.
            idle_seconds: after which a process that nobody calls ends.
        """
        self._workers = workers
        threads = str(max(1, available_cores() // workers))
        self._how = loads, idle_seconds, {n: os.environ.get(n, threads) for n in _THREADS}
        self._places = threading.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: dict[Future[Any], _Worker] = {}

    @property
    def workers(self) -> int:
        """Processes, whether they run already or not."""
        return self._workers

    def start(self, n: int) -> None:
        """Start some processes, which load what they will need meanwhile; those it can."""
        self._idle = [worker for worker in self._idle if worker.is_ready]
        with suppress(OSError):  # who needs one will hear of it
            while len(self._idle) + len(self._busy) < min(n, self._workers):
                self._idle.append(_Worker(*self._how))

    def share(self, value: object) -> Shared:
        """Write a value where every process reads it.

        Raises:
            TrainingError: it cannot be written.
        """
        return Shared.of(value)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Call:
        """Call a function in a process, once one is free."""
        future = Call()
        # A daemon: the program ends without waiting for it.
        call = threading.Thread(target=self._call, args=(future, function, arguments), daemon=True)
        call.start()
        return future

    def is_lost(self, error: BaseException) -> bool:
        """Whether a call ended with its process."""
        return isinstance(error, ProcessDiedError)

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        """End the processes that work on some calls."""
        for future in futures:
            future.cancel()
        while wait(futures, timeout=0).not_done:
            for future in futures:
                if (worker := self._busy.get(future)) is not None:
                    worker.end()
            wait(futures, timeout=0.1)  # one may just be starting

    def release(self, shared: Shared) -> None:
        """Remove what was shared."""
        shared.release()

    def _call(
        self, future: Call, function: Callable[..., Any], arguments: tuple[object, ...]
    ) -> None:
        with self._places:
            if not future.set_running_or_notify_cancel():
                return
            future.began = time.monotonic()
            try:
                future.set_result(self._answer(future, function, arguments))
            except BaseException as error:
                future.set_exception(error)

    def _answer(
        self, future: Future[Any], function: Callable[..., Any], arguments: tuple[object, ...]
    ) -> Any:
        while True:
            worker = self._free()
            self._busy[future] = worker
            try:
                return worker.call(function, arguments)
            except ProcessDiedError as error:
                if error.exit_code != 0:  # else it had just idled to its end, and never heard
                    raise
            finally:
                del self._busy[future]
                if worker.is_ready:
                    self._idle.append(worker)

    def _free(self) -> _Worker:
        with suppress(IndexError):
            while not (worker := self._idle.pop()).is_ready:
                pass
            return worker
        try:
            return _Worker(*self._how)
        except OSError as error:
            raise TrainingError(
                f"A worker process cannot be started: {error.strerror}. Pass fewer --workers."
            ) from None


class _Worker:
    """A process that calls what it is sent."""

    def __init__(self, loads: str, idle_seconds: float, environment: dict[str, str]) -> None:
        hush_tracker()
        self._pipe, there = Pipe()
        self._has_loaded = False
        try:
            self._process = get_context("loky").Process(
                target=_serve,
                args=(there, os.getpid(), loads, idle_seconds),
                daemon=True,
                env=environment,
            )
            with _interrupts_blocked():
                self._process.start()
        except BaseException:
            self._pipe.close()
            raise
        finally:
            there.close()  # so that its end closes when the process ends

    @property
    def is_ready(self) -> bool:
        """Whether it can be called."""
        return not self._pipe.closed and bool(self._process.is_alive())

    def call(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
        """What a function returns there.

        Raises:
            ProcessDiedError: the process ended meanwhile.
            TrainingError: the function raised an error, or the process cannot work.
        """
        try:
            self._pipe.send((function, arguments))
            self._has_loaded = self._has_loaded or self._pipe.recv()
            value, error = self._pipe.recv()
        except BaseException as broken:
            self._pipe.close()
            if not isinstance(broken, EOFError | OSError):
                self.end()
                raise
            self._process.join(_PATIENCE)
            self.end()
            died = ProcessDiedError(self._process.exitcode)
            if self._has_loaded or died.was_killed or died.exit_code == 0:
                raise died from None
            raise TrainingError(
                f"A worker process ended before it could work ({died}). What is trained is kept: "
                "see that evonet can be imported here, then try evonet resume."
            ) from None
        if error:
            raise TrainingError(
                f"A worker process failed: {error}. What is trained is kept: try evonet resume."
            )
        return value

    def end(self) -> None:
        """End it; who waits for it hears that it died."""
        with suppress(OSError):  # it is gone
            self._process.terminate()


def _serve(pipe: Connection, parent: int, loads: str, idle_seconds: float) -> None:
    """Call what comes, until nothing has come for long or nobody is there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    broken = ""
    try:
        try:
            import_module(loads)
        except Exception as error:  # as of a package that is being replaced
            if isinstance(error, MemoryError):
                raise
            broken = _said(error)
        with suppress(EOFError, OSError):  # the other end is closed
            pipe.send(True)
            while pipe.poll(idle_seconds):
                call = pipe.recv_bytes()  # which may need what cannot be loaded
                pipe.send((None, broken) if broken else _answer(call))
    except MemoryError:  # outside of a training, which would have been a failed one
        os._exit(_NO_MEMORY)


def _answer(call: bytes) -> tuple[Any, str]:
    """What comes of a call, or the error as text: not every error can be sent."""
    try:
        function, arguments = ForkingPickler.loads(call)
        return function(*(a.read() if isinstance(a, Shared) else a for a in arguments)), ""
    except MemoryError:
        raise
    except Exception as error:
        return None, _said(error)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _end_after(parent: int) -> None:
    """End this process when the one that started it is gone, even if that was killed.

    Where the system tells it: on Windows a process keeps the number of a dead parent.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from a process that is started here until it can ignore it itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker as standard_tracker

    for tracker in (resource_tracker, standard_tracker):  # which unblock it when they start
        tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processes_here(workers: int) -> Processes | None:
    """So many processes of this machine, the same whoever asks: they stay warm between calls.

    Even one is another one: what hangs, crashes or takes all memory there does this one no harm.

    Args:
        workers: processes.

    Returns:
        None where this process may start no others: it does their work itself.
    """
    return None if current_process().daemon else _kept(workers, os.getpid())


@cache
def _kept(workers: int, _: int) -> Processes:
    # By the number of this process: one that was forked has none of its parent's threads.
    return Processes(workers)
