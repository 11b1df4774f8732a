"""The claim to a run: one process at a time goes on with it."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from evonet.errors import RecordError
from evonet.paths import is_file

_FILE = "claim"


def this_process() -> str:
    """How a claim names its process: number, machine, and since when."""
    return f"process {os.getpid()} on {platform.node()} (since {datetime.now():%Y-%m-%d %H:%M:%S})"


def is_claimed(folder: Path) -> bool:
    """Whether some process goes on with a run just now."""
    file = folder / _FILE
    if not is_file(file):
        return False
    try:
        address = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return "is locked" in str(error)
    return False


def _locked(file: Path) -> sqlite3.Connection:
    """A connection that nobody else has to a file, which is made where it is missing."""
    # Somebody may just be looking, see is_claimed.
    connection = sqlite3.connect(file, timeout=1, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_locks(folder: Path) -> bool:
    """Whether a file can be locked there; where none can, SQLite takes each for a locked one."""
    file = folder / f"{_FILE}-{uuid4().hex}"
    try:
        _locked(file).close()
    except sqlite3.DatabaseError as error:
        return not any(sign in str(error) for sign in ("is locked", "locking", "I/O"))
    finally:
        file.unlink(missing_ok=True)
    return True


class Claim:
    """A lock on an empty file beside the record, which ends with its process, however that ends.

    It is one of SQLite's, as those of the record: where they work, it works.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        """Claim a run.

        Args:
            folder: of the run.
            holder: what to call the process that claimed it last.

        Raises:
            RecordError: it is claimed, or its folder cannot be written or locked.
        """
        file = folder / _FILE
        try:
            self._connection = _locked(file)
        except sqlite3.DatabaseError as error:
            if "is locked" in str(error) and _has_locks(folder):
                raise RecordError(
                    f"{folder} is being worked on by {holder}. Wait for it to end, or stop it."
                ) from None
            raise RecordError(
                f"{file}: {error}. Check that its folder can be written, and that its file system "
                "has locks: some network drives have none. Use another --results. If it is no "
                "database, delete it: it holds nothing."
            ) from None

    def give_up(self) -> None:
        """Leave the run to others."""
        self._connection.close()
