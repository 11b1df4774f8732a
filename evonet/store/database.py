"""SQLite with evonet's errors: one connection, one version number, one translation of failures."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evonet.errors import RecordError


class Database:
    """One SQLite file of a known kind and version.

    SQLite's own rollback journal with full synchronisation is kept: after a kill or a power cut
    the file holds every transaction that was committed and nothing of one that was not
    (https://www.sqlite.org/atomiccommit.html).
    """

    def __init__(self, path: Path, kind: str, version: int, schema: str, create: bool) -> None:
        """Open a file, making it first where ``create`` says so.

        Raises:
            RecordError: the file is missing, damaged, of another kind or of another version.
        """
        self.path = path
        if not create and not path.is_file():
            raise RecordError(f"No {kind} at {path}.")
        with self._errors():
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            self._prepare(kind, version, schema, create)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, kind: str, version: int, schema: str, create: bool) -> None:
        with self._errors():
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables and create:
                with self.transaction():
                    for statement in schema.split(";"):
                        self._connection.execute(statement)
                    self._connection.execute("CREATE TABLE format (kind TEXT, version INTEGER)")
                    self._connection.execute("INSERT INTO format VALUES (?, ?)", (kind, version))
            try:
                found = self._connection.execute("SELECT kind, version FROM format").fetchone()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                found = None
        if found is None or found[0] != kind:
            raise RecordError(f"{self.path} is not a {kind} of evonet.")
        if found[1] != version:
            raise RecordError(
                f"{self.path} is a {kind} of version {found[1]}; this evonet reads version {version}. "
                "Use the evonet that wrote it, or start a new run."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            reason = str(error)
            if "full" in reason:
                advice = "The disk is full. What was committed is kept: free some space, then resume"
            elif "malformed" in reason or "not a database" in reason:
                advice = "The file is damaged. Restore it from a copy, or start a new run"
            elif "locked" in reason:
                advice = "Another process is writing to it. Wait for it to end"
            else:
                advice = "Check that its folder exists and can be written"
            raise RecordError(f"{self.path}: {reason}. {advice}.") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written, or nothing is."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def execute(self, statement: str, values: tuple = ()) -> list[tuple]:
        """Run one statement; its rows."""
        with self._errors():
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
