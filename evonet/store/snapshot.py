"""A record as it was at one moment, to look at: beside a run that goes on, and never in its way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from evonet.errors import RecordError
from evonet.store.database import Database
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate, StoredGeneration, StoredWinner

T = TypeVar("T")
#: Seconds to wait for a run that is just writing.
_PATIENCE = 10.0


class Snapshot(RunRecord):
    """The record of a run, copied into memory in one go; each table is read once.

    The file is opened read-only. It is locked for as long as the copy takes, some milliseconds,
    for which a run that wants to write waits; a run waits for up to 30 s.
    """

    def __init__(self, folder: Path) -> None:
        """Copy the record in a run's folder.

        Raises:
            RecordError: there is none, it is damaged, of another version, or was left in the
                middle of a transaction.
        """
        self._known: dict[str, Any] = {}
        super().__init__(folder)

    def _open(self, file: Path) -> Database:
        return Database.of(_copy(file), file, *self.FORMAT)

    def _once(self, name: str, read: Callable[[], T]) -> T:
        if name not in self._known:
            self._known[name] = read()
        found: T = self._known[name]
        return found

    def generations(self) -> list[StoredGeneration]:
        """All finished generations, the first one first."""
        return self._once("generations", super().generations)

    def candidates(self) -> list[StoredCandidate]:
        """All candidates of finished generations, by generation and slot."""
        return self._once("candidates", super().candidates)

    def winners(self) -> list[StoredWinner]:
        """All final fits, the last one last."""
        return self._once("winners", super().winners)


def _copy(file: Path) -> sqlite3.Connection:
    """The file in memory, through SQLite's backup, and closed to writing.

    https://www.sqlite.org/backup.html
    """
    address = f"{file.resolve().as_uri()}?mode=ro"
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as source:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(copy)
        copy.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        copy.close()
        raise RecordError(f"{file}: {error}. {_advice(str(error), file)}") from error
    return copy


def _advice(reason: str, file: Path) -> str:
    if "readonly" in reason or "read-only" in reason:  # a journal that only a writer may roll back
        return (
            "The run was killed while it wrote. "
            f"Put its record in order first: evonet show {quote(str(file.parent))}"
        )
    if "locked" in reason:
        return "Another process is writing to it. Try again"
    return "The file is damaged. Restore it from a copy, or move it away and start anew."
