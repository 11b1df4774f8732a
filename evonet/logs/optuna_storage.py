"""Where a study of Optuna's is kept: its journal file, or a database that SQLAlchemy reaches.

A journal is a line of JSON for each trial. A database takes a tenth of a second for each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from evonet.errors import RecordError

_OF_SQLITE = (".db", ".sqlite", ".sqlite3")
_FAILURES = (SQLAlchemyError, OptunaError, sqlite3.Error, OSError)


def storage_name(storage: str) -> str:
    """A storage as Optuna's tools call it: a URL as it is, a file of SQLite as a URL.

    Example:
        >>> storage_name("/a/study.log"), storage_name("/a/study.db")
        ('/a/study.log', 'sqlite:////a/study.db')
    """
    if "://" in storage or Path(storage).suffix not in _OF_SQLITE:
        return storage
    file = str(Path(storage).absolute())
    return URL.create("sqlite", database=file).render_as_string()


def without_password(name: str) -> str:
    """A storage's name as it may be shown."""
    try:
        return make_url(name).render_as_string() if "://" in name else name
    except (SQLAlchemyError, ValueError):
        return name.partition("://")[0] + "://..."


@contextmanager
def opened(name: str) -> Iterator[BaseStorage]:
    """The storage of a name, made where it is missing, closed at the end of the block.

    Raises:
        RecordError: it cannot be read or written, or holds something else.
    """
    try:
        storage = _database(name) if "://" in name else _journal(name)
    except (*_FAILURES, ImportError, RuntimeError, ValueError) as error:
        raise _refusal(name, error) from None
    try:
        yield storage
    except _FAILURES as error:
        raise _refusal(name, error) from None
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def _refusal(name: str, error: Exception) -> RecordError:
    reason = str(error.__cause__ or error).partition("\n")[0]
    return RecordError(
        f"Cannot keep a study in {without_password(name)}: {reason}. Pass --storage FILE, or a "
        "URL such as sqlite:///FILE."
    )


def _database(url: str) -> RDBStorage:
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and place.database:
        _refuse_other_databases(Path(place.database))
    return RDBStorage(url)


def _journal(file: str) -> JournalStorage:
    _refuse_other_files(Path(file))
    return JournalStorage(JournalFileBackend(file))


def _refuse_other_databases(file: Path) -> None:
    """Optuna would write its tables into any database, such as the record of a run."""
    if file.is_file():
        with closing(sqlite3.connect(file)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if tables and "studies" not in tables:
            raise ValueError("it is a database of something else")


def _refuse_other_files(file: Path) -> None:
    """Optuna would write its lines at the end of any file."""
    if file.is_file() and file.stat().st_size:
        try:
            with file.open("rb") as lines:
                first = json.loads(lines.readline(100_000))
        except ValueError:
            first = None
        if not isinstance(first, dict) or "op_code" not in first:
            raise ValueError("it is a file of something else")
