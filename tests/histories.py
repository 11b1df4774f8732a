"""What a run's history.csv says of each candidate, for tests of what else says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

LAYER_GENES = ("units", "activation", "dropout", "normalisation", "skip")
NETWORK_GENES = (
    *("initializer", "optimizer", "learning_rate", "batch_size", "momentum", "schedule"),
    *("warmup", "weight_decay", "clip_norm", "label_smoothing", "input_noise"),
)


def history(folder: Path) -> pd.DataFrame:
    """All columns as text; a row is named by its generation and slot, as in "0003-0007"."""
    table = pd.read_csv(folder / "history.csv", dtype=str, keep_default_na=False)
    places = zip(table["generation"], table["slot"], strict=True)
    table.index = [f"{int(generation):04}-{int(slot):04}" for generation, slot in places]
    return table


def genes_in_history(row: pd.Series) -> dict[str, Any]:
    """The genes of a row, each layer's under a name of its own; without those that do not act."""
    columns = [row[name].split() for name in LAYER_GENES]
    genes: dict[str, Any] = {"layers": int(row["layers"])}
    for place, values in enumerate(zip(*columns, strict=True)):
        genes |= {f"layer_{place}_{n}": v for n, v in zip(LAYER_GENES, values, strict=True)}
    return genes | {name: row[name] for name in NETWORK_GENES if row[name] != ""}


def same(shown: object, written: object) -> bool:
    """Whether a value is the one that is written as text, be it a name or a number."""
    return shown == written or (
        not isinstance(shown, str) and float(shown) == pytest.approx(float(written))
    )
