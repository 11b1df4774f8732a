"""Runs written by hand, for tests of what reads them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from evonet.config import make_config
from evonet.data.preparation import TablePreparation
from evonet.evaluation import Budget, Evaluation, Rung
from evonet.genome import Genome, Layer, SearchSpace
from evonet.outcome import Winner
from evonet.store.database import checksum
from evonet.store.facts import Facts
from evonet.store.record import TABLES, RunRecord
from evonet.store.rows import (
    StoredCandidate,
    StoredEvaluation,
    StoredGeneration,
    StoredWinner,
)
from evonet.typed import from_json

T = TypeVar("T")


def genome(index: int, **genes: Any) -> Genome:
    """Genomes that all differ."""
    layers = genes.pop("layers", (Layer(8 * 2 ** (index % 5), "relu", 0.1),))
    values = {"learning_rate": 1e-4 * (1 + index), "batch_size": 32, "optimizer": "adam"}
    return Genome(layers, "matched_normal", **{**values, **genes})


@dataclass(frozen=True)
class Planted:
    """A candidate: what it was, its score (None failed), and where it came from."""

    genome: Genome
    score: float | None
    operator: str = "random"
    parents: tuple[Genome, ...] = ()
    dropped: bool = False
    best_epoch: int = 2
    status: str = "diverged"


def evaluation(of: Planted) -> Evaluation:
    losses = (1.0, 0.5, 0.6, 0.7) if of.score is not None else ()
    return Evaluation(
        of.genome.key,
        0,
        "ok" if of.score is not None else of.status,  # type: ignore[arg-type]
        "" if of.score is not None else "the loss is not finite",
        of.score,
        of.best_epoch if losses else 0,
        losses,
        losses,
        of.genome.parameter_count(4, 3),
        0.5,
        rungs=(Rung(1, of.score),),
        dropped=of.dropped,
    )


def facts(**changes: Any) -> Facts:
    """What is true of a run that has just begun."""
    data = {
        "name": changes.pop("data_name", "flowers"),
        "fingerprint": "",
        "target": {
            "name": changes.pop("target", "species"),
            "task": changes.pop("task", "multiclass"),
            "classes": list(changes.pop("classes", ("a", "b", "c"))),
            "mean": 0.0,
            "scale": 1.0,
        },
        "preparation": TablePreparation(tuple(changes.pop("columns", ()))).to_dict(),
        "n_inputs": 4,
        "rows": changes.pop("rows", [600, 200, 200]),
        "notes": list(changes.pop("notes", ())),
        "advice": list(changes.pop("advice", ())),
    }
    metric = changes.pop("metric", "accuracy")
    config = make_config(changes.pop("config", {})).to_dict()
    baselines = [
        {"name": name, "description": f"{name} model", "validation_score": v, "test_score": t}
        for name, v, t in changes.pop("baselines", (("majority", 0.3, 0.3), ("linear", 0.8, 0.8)))
    ]
    plain = {
        "config": config,
        "space": changes.pop("space", SearchSpace.default().to_dict()),
        "founders": [],
        "given": None,
        "protocol": {"prepared": {}},
        "metric": {"name": metric, "maximise": metric not in ("rmse", "mae", "log_loss")},
        "data": data,
        "baselines": baselines,
        "stopped": None,
        **changes,
    }
    return from_plain(Facts, plain)


def from_plain(kind: type[T], record: object) -> T:
    """A value of what ``json.loads`` makes of its JSON."""
    return from_json(kind, json.dumps(record))


def seal(file: sqlite3.Connection) -> None:
    """Give every row of a record the checksum that it should have, as a stranger would."""
    file.create_function("checksum", -1, lambda *row: checksum(row))
    for table in TABLES:
        file.execute(f"UPDATE {table.name} SET checksum = checksum({', '.join(table.columns)})")


def plant(
    folder: Path,
    generations: Sequence[Sequence[Planted]],
    unfinished: Sequence[Planted] = (),
    winner: Planted | None = None,
    test_score: float | None = 0.9,
    **changes: Any,
) -> Path:
    """A run: in each generation the ten best so far are the population."""
    if winner is not None:
        changes.setdefault("stopped", "the last generation is done")
    known = facts(**changes)
    sign = known.metric.sign
    record = RunRecord.new(folder.parent, folder.name, "data", known)
    record._database.execute("PRAGMA synchronous = OFF")  # no power cut in a test
    seen: dict[str, float] = {}
    for number, row in enumerate(generations):
        for slot, p in enumerate(row):
            add(record, f"{number} {slot}", p)
            if p.score is not None:
                seen[p.genome.key] = sign * p.score
        population = sorted(seen.items(), key=lambda member: -member[1])[:10]
        volume = float(number) if len(known.config.objective) > 1 else None
        record.commit_generation(
            StoredGeneration(number, tuple(population), 0, 2.0, volume),
            [
                StoredCandidate(
                    number,
                    slot,
                    p.genome.key,
                    f"{number} {slot}",
                    p.operator,
                    tuple(parent.key for parent in p.parents),
                )
                for slot, p in enumerate(row)
            ],
        )
    for slot, p in enumerate(unfinished):
        add(record, f"now {slot}", p)
    if winner is not None:
        crown(record, winner, test_score)
    record.close()
    return folder


def add(record: RunRecord, key: str, p: Planted) -> None:
    record.add_evaluation(StoredEvaluation(key, "trained", p.genome, evaluation(p)))


def crown(record: RunRecord, p: Planted, test_score: float | None, **changes: Any) -> None:
    values = {
        "genome": p.genome,
        "search_score": p.score,
        "repeats": (),
        "validation_score": p.score,
        "test_score": test_score,
        "test_interval": None if test_score is None else (test_score - 0.05, test_score + 0.05),
        "test_scores": {"accuracy": test_score},
        "parameters": 100,
        "best_epoch": 2,
        "train_loss": (1.0, 0.5, 0.4),
        "validation_loss": (1.0, 0.5, 0.6),
        "on_splits": False,
        "n_fits": 1,
        "epochs": 3,
        "budget": Budget(3, 3),
        "ensemble": None,
    }
    record.add_winner(StoredWinner(Winner(**{**values, **changes}), (), True, ""))
