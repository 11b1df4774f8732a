"""A value that worker processes map into their memory, in a folder that goes with its process."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import IO, Any

import joblib
from joblib.externals.loky.backend import resource_tracker

from evonet.errors import TrainingError

_PREFIX = "evonet-"
#: A file in each folder that its process holds a lock on, however that ends. Of one machine: on
#: some network drives locks are, too.
_HELD = f"held on {platform.node()}"
_HUSHED = "ignore:resource_tracker:UserWarning"
_locks: dict[str, IO[bytes]] = {}  # of this process, by folder


@dataclass(frozen=True)
class Shared:
    """Where a value is: what workers are sent in its place."""

    folder: str

    @property
    def _file(self) -> str:
        return str(Path(self.folder) / "shared")

    @classmethod
    def of(cls, value: object) -> Shared:
        """Write a value where every process of this machine reads it.

        Raises:
            TrainingError: it cannot be written.
        """
        hush_tracker()
        _sweep()
        try:
            shared = cls(tempfile.mkdtemp(prefix=_PREFIX))
            # Which removes it, should this process be killed; should both be, the next run does.
            resource_tracker.register(shared.folder, "folder")
            try:
                _hold(shared.folder)
                joblib.dump(value, shared._file)
            except BaseException:
                shared.release()
                raise
        except OSError as error:
            raise TrainingError(
                f"The data for worker processes cannot be written to {tempfile.gettempdir()}: "
                f"{error.strerror}. Set TMPDIR to a folder that can be written and has more room."
            ) from None
        return shared

    def read(self) -> Any:
        """The value; its arrays are maps of the file, for all that read it the same memory."""
        return _read(self._file)

    def release(self) -> None:
        """Remove it."""
        if (held := _locks.pop(self.folder, None)) is not None:
            held.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if not Path(self.folder).exists():  # else it is removed when this process ends
            resource_tracker.unregister(self.folder, "folder")


@lru_cache(1)
def _read(file: str) -> Any:
    # Writable maps: Numba compiles for arrays that may be written, and writes none.
    return joblib.load(file, mmap_mode="c")


def _hold(folder: str) -> None:
    with suppress(ImportError, OSError):  # as on Windows, or where no file can be locked
        import fcntl

        new = Path(folder) / "new"
        _locks[folder] = new.open("wb")
        fcntl.flock(_locks[folder], fcntl.LOCK_EX)
        new.rename(new.with_name(_HELD))  # which nobody sees before it is locked


def _sweep() -> None:
    """Remove what is left of processes that were killed together with what was to remove it."""
    with suppress(ImportError):
        import fcntl

        for file in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{escape(_HELD)}"):
            with suppress(OSError), file.open("r+b") as held:  # else of others, or in use
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent)


def hush_tracker() -> None:
    """Keep from the terminal what loky's resource tracker removes after a run that was killed.

    To be called before a process starts its first worker: the tracker is another process, which
    takes over this setting.
    """
    known = os.environ.get("PYTHONWARNINGS", "")
    if _HUSHED not in known:
        os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (known, _HUSHED)))
