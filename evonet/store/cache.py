"""The score cache: every training of every run of a results folder, so that none is repeated."""

from __future__ import annotations

from pathlib import Path

from evonet.evaluation import Evaluation
from evonet.store.database import Database

FILE = "scores.sqlite"
_VERSION = 3
_SCHEMA = "CREATE TABLE scores (key TEXT PRIMARY KEY, evaluation TEXT NOT NULL) WITHOUT ROWID"


class ScoreCache:
    """Evaluations by score key (see ``evaluation.score_key``)."""

    def __init__(self, results: Path) -> None:
        """Open the cache of a results folder, making it if there is none."""
        self._database = Database(results / FILE, "score cache", _VERSION, _SCHEMA, create=True)

    def get(self, key: str) -> Evaluation | None:
        """The evaluation kept under a key, or None."""
        found = self._database.read(
            Evaluation.from_json, "SELECT evaluation FROM scores WHERE key = ?", (key,)
        )
        return found[0] if found else None

    def put(self, key: str, evaluation: Evaluation) -> None:
        """Keep an evaluation; on return it is on disk."""
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?)", (key, evaluation.to_json())
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()
