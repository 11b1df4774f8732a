"""Processes of this machine as a cluster, for trainings that are handed out one at a time."""

from __future__ import annotations

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
        self._folder = tempfile.TemporaryDirectory(prefix="evonet-")

    @property
    def workers(self) -> int:
        """Processes, whether they run already or not."""
        return self._workers

    def share(self, value: object) -> _Shared:
        """Write a value where every process reads it."""
        file = str(Path(self._folder.name) / "shared")
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
        self._folder.cleanup()

    def _ready(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers)
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*(_read(a.file) if isinstance(a, _Shared) else a for a in arguments))


@lru_cache(1)
def _read(file: str) -> Any:
    # Writable maps: Numba compiles for arrays that may be written, and writes none.
    return joblib.load(file, mmap_mode="c")
