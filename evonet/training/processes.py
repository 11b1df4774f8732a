"""Processes of this machine as a cluster, for trainings that are handed out one at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend import resource_tracker

from evonet.training.worker import follow

_HUSHED = "ignore:resource_tracker:UserWarning"


@dataclass(frozen=True)
class _Shared:
    """A value in a file of this process's own, whose arrays workers map into their memory."""

    file: str


class Processes:
    """Worker processes; one that dies takes all that is under way with it, and is replaced."""

    def __init__(self, workers: int) -> None:
        """Start none yet.

        Args:
            workers: processes.
        """
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._folder = ""

    @property
    def workers(self) -> int:
        """Processes, whether they run already or not."""
        return self._workers

    def share(self, value: object) -> _Shared:
        """Write a value where every process reads it."""
        hush_tracker()
        self._folder = tempfile.mkdtemp(prefix="evonet-")
        resource_tracker.register(
            self._folder, "folder"
        )  # removes it should this process be killed
        file = str(Path(self._folder) / "shared")
        joblib.dump(value, file)
        return _Shared(file)

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function in a process that is free."""
        try:
            return self._ready().submit(_call, function, *arguments)
        except BrokenProcessPool:
            self._end()
            return self._ready().submit(_call, function, *arguments)

    def release(self, _: object) -> None:
        """End all processes, with what they are doing, and remove what was shared."""
        self._end()
        shutil.rmtree(self._folder)
        resource_tracker.unregister(self._folder, "folder")

    def _ready(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Before its first call: the process may be killed while its workers start.
            initial = {"initializer": follow, "initargs": (os.getpid(),)}
            self._pool = ProcessPoolExecutor(self._workers, **initial)
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def hush_tracker() -> None:
    """Keep from the terminal what loky's resource tracker removes after a run that was killed.

    To be called before a process starts its first worker: the tracker is another process, which
    takes over this setting.
    """
    known = os.environ.get("PYTHONWARNINGS", "")
    if _HUSHED not in known:
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (known, _HUSHED)))


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*(_read(a.file) if isinstance(a, _Shared) else a for a in arguments))


@lru_cache(1)
def _read(file: str) -> Any:
    # Writable maps: Numba compiles for arrays that may be written, and writes none.
    return joblib.load(file, mmap_mode="c")
