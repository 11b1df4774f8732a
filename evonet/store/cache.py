"""The score cache: every training of every run of a results folder, so that none is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from evonet.errors import RecordError
from evonet.evaluation import Evaluation
from evonet.store.database import Database, Table

T = TypeVar("T")
FILE = "scores.sqlite"
_VERSION = 4
#: How long a score may wait to be written. Untuned.
_SECONDS = 1.0
_SCHEMA = """CREATE TABLE scores (
    key TEXT PRIMARY KEY, evaluation TEXT NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID"""
_SCORES = Table("scores", ("key", "evaluation"))


class ScoreCache:
    """Evaluations by score key (see ``evaluation.score_key``).

    What it saves is time, and no result hangs on it: where it cannot be used the run goes on
    without it, and one that fails under way is opened again first, as after its file was deleted.
    Nor is each score worth a transaction: they are written every second, and what a kill loses here
    is in the run's record.
    """

    def __init__(self, results: Path, on_loss: Callable[[str], None] = lambda _: None) -> None:
        """Open the cache of a results folder, making it if there is none.

        Args:
            results: the folder.
            on_loss: told why, where the run has to go on without.
        """
        self._file, self._on_loss = results / FILE, on_loss
        self._database: Database | None = None
        try:
            self._database = self._opened()
        except RecordError as error:
            self._lose(error)
        self._new: dict[str, Evaluation] = {}
        self._written = time.monotonic()

    def get(self, key: str) -> Evaluation | None:
        """The evaluation kept under a key, or None."""
        if key in self._new:
            return self._new[key]
        found = self._tried(lambda file: file.read(_evaluation, _SCORES, "WHERE key = ?", (key,)))
        return found[0] if found else None

    def put(self, key: str, evaluation: Evaluation) -> None:
        """Keep an evaluation; within some time it is on disk."""
        self._new[key] = evaluation
        if time.monotonic() - self._written > _SECONDS:
            self.flush()

    def close(self) -> None:
        """Write what is new, and close the file."""
        self.flush()
        if self._database is not None:
            self._database.close()

    def flush(self) -> None:
        """Write what is new."""

        def write(file: Database) -> None:
            with file.transaction():
                for key, evaluation in self._new.items():
                    file.add(_SCORES, (key, evaluation.to_json()), replacing=True)

        if self._new:
            self._tried(write)
        self._new, self._written = {}, time.monotonic()

    def _opened(self) -> Database:
        return Database(self._file, "score cache", _VERSION, _SCHEMA, create=True)

    def _tried(self, use: Callable[[Database], T]) -> T | None:
        if self._database is None:
            return None
        try:
            return use(self._database)
        except RecordError:
            self._database.close()
        self._database = None
        try:
            self._database = self._opened()
            return use(self._database)
        except RecordError as error:
            if self._database is not None:
                self._database.close()
            self._database = None
            self._lose(error)
            return None

    def _lose(self, error: RecordError) -> None:
        self._on_loss(
            f"The run goes on without the score cache, and trains what other runs have trained: "
            f"{error} Delete {self._file} to have a new one: nothing but time is lost."
        )


def _evaluation(_: str, text: str) -> Evaluation:
    evaluation = Evaluation.from_json(text)
    if not evaluation.is_whole:
        raise ValueError("it has no score, or not from one of its epochs")
    return evaluation
