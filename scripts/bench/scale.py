"""Part scale: the coordinator of a search with more and more workers, which are simulated."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

import evonet.workforce
from bench.simulated import Park, SimulatedEvaluator
from bench.table import Cell, Table
from evonet.config import make_config
from evonet.progress import Observer
from evonet.run import evolve
from evonet.store.database import Database
from evonet.store.record import RunRecord

_COLUMNS = (
    "search",
    "workers",
    "trainings",
    "candidates a second",
    "idle",
    "CPU ms a candidate",
    "wall ms a candidate",
    "writes a second",
    "record bytes a candidate",
)


class _Writes:
    """Counts transactions; one within another is a part of that."""

    def __init__(self) -> None:
        self.n = 0
        self._real = Database.transaction

    def __call__(self, database: Database):  # type: ignore[no-untyped-def]
        self.n += not database.in_transaction
        return self._real(database)


def scale(
    costs: Sequence[float], workers: Sequence[int], most: int, named: str, screened: int
) -> Table:
    """Simulate searches with and without a barrier.

    Args:
        costs: seconds of real trainings.
        workers: how many of them there are, for each search.
        most: trainings of a search; at least ten for each worker where that is more.
        named: what was trained so long.
        screened: as in ``--screened``.
    """
    rows = [
        _row(np.asarray(costs), n, max(most, 10 * n), asynchronous, screened)
        for n in workers
        for asynchronous in (False, True)
    ]
    mean, largest = np.mean(costs), np.max(costs)
    notes = (
        f"{named}: {mean:.2f} s a training in the mean, {largest:.1f} s at most. Offspring, or a "
        "generation: two for each worker.",
        "Idle: share of the workers' time in which they do not train. CPU and wall: the "
        "coordinator's, for asking, telling and the record on disk.",
    )
    return Table(f"scale: {named}, --screened {screened}", _COLUMNS, tuple(rows), notes)


def _row(
    costs: np.ndarray, workers: int, most: int, asynchronous: bool, screened: int
) -> tuple[Cell, ...]:
    park, writes = Park(workers, costs), _Writes()
    SimulatedEvaluator.park = park
    with tempfile.TemporaryDirectory() as folder:
        size = max(16, 2 * workers)
        config = make_config(
            {"data": "iris", "results": Path(folder), "name": "run", "asynchronous": asynchronous}
            | {"generations": 10**6, "population_size": size, "offspring": max(12, 2 * workers)}
            | {"screened": screened, "fidelity": "off", "workers": 1}
        )
        counted = patch.object(Database, "transaction", lambda self: writes(self))
        engine = patch.object(evonet.workforce, "FusedEvaluator", SimulatedEvaluator)
        with counted, engine:
            evolve(config, Observer(), lambda: park.trained >= most)
        with RunRecord(Path(folder) / "run") as record:
            n_kept = record.count_trainings()
        bytes_each = (Path(folder) / "run" / "run.sqlite").stat().st_size / n_kept
    return (
        "without barrier" if asynchronous else "by generations",
        workers,
        park.trained,
        park.trained / park.now,
        1 - park.busy_seconds / (park.now * workers),
        1000 * park.cpu_seconds / park.trained,
        1000 * park.wall_seconds / park.trained,
        writes.n / park.now,
        int(bytes_each),
    )
