"""Part long: a search of very many candidates, whose trainings take no time; all else is real."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

import evonet.workforce
from bench.simulated import Park, SimulatedEvaluator
from bench.table import Cell, Table
from evonet.config import make_config
from evonet.progress import GenerationSummary, Observer
from evonet.run import evolve, resume
from evonet.store.folders import FILE

_COLUMNS = (
    "generation",
    "candidates",
    "ms a candidate",
    "resident MiB",
    "open files",
    "record bytes a candidate",
)
#: Of a generation.
_CANDIDATES = 40


class _Watch(Observer):
    """What this process holds after each generation, and how long that took."""

    def __init__(self, folder: Path, generations: int) -> None:
        self.rows: list[tuple[Cell, ...]] = []
        self._folder, self._generations = folder, generations
        self._since, self._last = time.perf_counter(), 0

    def on_generation(self, summary: GenerationSummary) -> None:
        done = summary.number + 1
        if done not in _looked_at(self._generations):
            return
        now, n = time.perf_counter(), done * _CANDIDATES
        gc.collect()
        self.rows.append(
            (
                done,
                n,
                1000 * (now - self._since) / (n - self._last),
                _resident_mib(),
                len(os.listdir("/proc/self/fd")),
                int((self._folder / FILE).stat().st_size / n),
            )
        )
        self._since, self._last = time.perf_counter(), n


def long_run(generations: int) -> Table:
    """Search so many generations, by generations and without a barrier, and resume at the end.

    Args:
        generations: of 40 candidates each.
    """
    rows: list[tuple[Cell, ...]] = []
    notes = ["ms a candidate: since the row before; asking, telling, record and cache on disk."]
    for asynchronous in (False, True):
        name = "without barrier" if asynchronous else "by generations"
        with tempfile.TemporaryDirectory() as results:
            folder = Path(results) / "run"
            config = make_config(
                {"data": "iris", "results": Path(results), "name": "run", "fidelity": "off"}
                | {"generations": generations, "population_size": 20, "offspring": _CANDIDATES}
                | {"asynchronous": asynchronous, "repeats": 0, "final_epochs": 1, "workers": 1}
            )
            SimulatedEvaluator.park = Park(4, np.asarray([0.1]))
            watch = _Watch(folder, generations)
            with patch.object(evonet.workforce, "FusedEvaluator", SimulatedEvaluator):
                evolve(config, watch)
                began = time.perf_counter()
                resume(folder)
            notes.append(f"{name}: resumed after its end in {time.perf_counter() - began:.1f} s")
            rows += [(name, *row) for row in watch.rows]
    title = f"long: {generations} generations of {_CANDIDATES} candidates"
    return Table(title, ("search", *_COLUMNS), tuple(rows), tuple(notes))


def _looked_at(generations: int) -> Sequence[int]:
    return [max(1, generations * share // 100) for share in (2, 10, 20, 40, 60, 80, 100)]


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
