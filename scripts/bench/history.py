"""The history of a run, by which runs are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from evonet.report.tables import candidates_table
from evonet.store.record import RunRecord


def history(folder: Path) -> tuple[Any, ...]:
    """Everything a run decided and measured, without the clock."""
    with RunRecord(folder) as record:
        return (
            candidates_table(record).drop(columns="seconds").to_csv(),
            [(g.number, g.population, g.stalled) for g in record.generations()],
            {s.score_key: replace(s.evaluation, seconds=0.0) for s in record.evaluations()},
            record.winners(),
            record.facts.baselines,
            # Sorted: they stand in the order in which workers were done.
            sorted((s.score_key, s.repeat, s.evaluation.score) for s in record.repeats()),
        )
