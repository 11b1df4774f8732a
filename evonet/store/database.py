"""SQLite with evonet's errors: one connection, one version number, one translation of failures.

SQLite finds a file whose structure is damaged, but not a number in it that changed: every row has a
checksum of its own, without which one bit that flips on a disk would make another score.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from evonet.errors import DamageError, GenomeError, RecordError
from evonet.paths import is_file

T = TypeVar("T")
#: How SQLite speaks of a file that has lost its form.
_SIGNS_OF_DAMAGE = ("malformed", "not a database", "unsupported", "no such", "decode")
_NO_LOCKS = (
    "its file system has no locks, as some network drives: go on with a copy of the run elsewhere"
)
_DAMAGED = "The file is damaged. Restore it from a copy, or move it away and start anew"


@dataclass(frozen=True)
class Table:
    """A table whose rows have checksums.

    Attributes:
        name: its name.
        columns: what the checksum is of; it stands in a column ``checksum`` beside them.
    """

    name: str
    columns: tuple[str, ...]


def checksum(row: Sequence[object]) -> int:
    """CRC-32 of a row's values, as SQLite gives them back: text, int, float or None."""
    return zlib.crc32(json.dumps(row).encode())


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
        if not create and not is_file(path):
            raise RecordError(f"No {kind} at {path}.")
        with self._errors():
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            self._prepare(kind, version, schema, create)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def of(
        cls, connection: sqlite3.Connection, path: Path, kind: str, version: int, schema: str
    ) -> Database:
        """The database behind a connection that is open already.

        Args:
            connection: to read from.
            path: what to call it in errors.
            kind: that it is expected to be of.
            version: that it is expected to have.
            schema: of the version.

        Raises:
            RecordError: it is damaged, of another kind or of another version.
        """
        database = cls.__new__(cls)
        database.path, database._connection = path, connection
        try:
            database._prepare(kind, version, schema, create=False)
        except BaseException:
            connection.close()
            raise
        return database

    def _prepare(self, kind: str, version: int, schema: str, create: bool) -> None:
        with self._errors():
            if create:
                with self.transaction():  # two processes may come at once: one of them makes it
                    self._make(kind, version, schema)
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
                f"{self.path} is a {kind} of version {found[1]}; this evonet reads version "
                f"{version}. Use the evonet that wrote it, or start a new run."
            )

    def _make(self, kind: str, version: int, schema: str) -> None:
        """Fill a file that has no tables yet."""
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            for statement in schema.split(";"):
                self._connection.execute(statement)
            self._connection.execute("CREATE TABLE format (kind TEXT, version INTEGER)")
            self._connection.execute("INSERT INTO format VALUES (?, ?)", (kind, version))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            reason, *_ = " ".join(str(error).split()).split(" with text ")  # of a row, and long
            if any(sign in reason for sign in _SIGNS_OF_DAMAGE):
                raise self.damaged(reason) from error
            if "is full" in reason:
                advice = (
                    "The disk is full. What was committed is kept: free some space, then resume"
                )
            elif "locked" in reason or "constraint" in reason:
                advice = f"Another process is writing to it: wait for it to end. Or {_NO_LOCKS}"
            elif "I/O" in reason or "locking" in reason:
                advice = f"The disk fails, or {_NO_LOCKS}"
            else:
                advice = "Check that its folder exists and can be written"
            raise RecordError(f"{self.path}: {reason}. {advice}.") from error

    @property
    def in_transaction(self) -> bool:
        """Whether what is written now is a part of a transaction."""
        return self._connection.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written, or nothing is; within another one it is a part of that."""
        if self.in_transaction:
            yield
            return
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

    def add(self, table: Table, row: tuple, replacing: bool = False) -> None:
        """Write a row.

        Args:
            table: where to.
            row: a value for each of its columns, of the types that they are read as.
            replacing: whether it may take the place of a row with the same key.
        """
        verb = "INSERT OR REPLACE" if replacing else "INSERT"
        columns = ", ".join((*table.columns, "checksum"))
        marks = ", ".join("?" * (len(row) + 1))
        statement = f"{verb} INTO {table.name} ({columns}) VALUES ({marks})"
        self.execute(statement, (*row, checksum(row)))

    def read(
        self, make: Callable[..., T], table: Table, which: str = "", values: tuple = ()
    ) -> list[T]:
        """What ``make`` makes of the columns of some rows.

        Args:
            make: given a row's columns.
            table: where from.
            which: what follows the name of the table in the statement: which rows, in what order.
            values: for its question marks.

        Raises:
            DamageError: a row is not what was written, or ``make`` can make nothing of it.
        """
        columns = ", ".join((*table.columns, "checksum"))
        rows = self.execute(f"SELECT {columns} FROM {table.name} {which}", values)
        try:
            return [make(*_whole(row)) for row in rows]
        except (ValueError, LookupError, TypeError, GenomeError) as error:
            said = f"a row of its {table.name} makes no sense ({error})"
            raise self.damaged(said) from error

    def check(self) -> None:
        """Let SQLite look through the whole file: a tenth of a second for 20,000 candidates.

        Raises:
            DamageError: rows are missing, or what leads to them is.
        """
        (found,) = self.execute("PRAGMA integrity_check(1)")[0]
        if found != "ok":
            raise self.damaged(found)

    def damaged(self, said: str) -> DamageError:
        """What is raised where rows are not those that were written.

        Args:
            said: what is wrong with them.
        """
        return DamageError(f"{self.path}: {said}. {_DAMAGED}.")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _whole(row: tuple) -> Sequence[Any]:
    """A row without its checksum, which has to be that of the others."""
    *values, expected = row
    if checksum(values) != expected:
        raise ValueError("it is not what was written")
    return values
