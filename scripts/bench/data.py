"""The data that networks are tried on in a benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.data.preparation import fit_preparation
from evonet.data.target import Target

_CLASSES = 10


def read_data(
    source: str = "",
    target: str | None = None,
    rows: int = 0,
    features: int = 0,
    seed: int = 0,
    metric: str = "auto",
) -> Dataset:
    """A data set as evonet prepares it, or a synthetic one.

    Args:
        source: as in ``--data``; empty for synthetic data.
        target: the column to predict.
        rows: how many training rows to keep, and half as many validation rows; 0 for all.
            Of synthetic data, how many to make.
        features: inputs of synthetic data.
        seed: of the split.
        metric: that of the search; for balanced_accuracy rows have weights.
    """
    if not source:
        return _synthetic(rows, features)
    config = {"data": source, "target": target, "seed": seed, "metric": metric}
    dataset = load_dataset(make_config(config))
    if not rows:
        return dataset
    return replace(
        dataset,
        train=_first(dataset.train, rows),
        validation=_first(dataset.validation, rows // 2),
    )


def _first(part: Part, rows: int) -> Part:
    weight = None if part.weight is None else part.weight[:rows].copy()
    return Part(part.x[:rows].copy(), part.y[:rows].copy(), weight)


def _synthetic(rows: int, features: int) -> Dataset:
    """Ten classes that are linear in noise; a quarter as many validation as training rows."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((features, _CLASSES), dtype=np.float32)

    def part(n: int) -> Part:
        x = rng.standard_normal((n, features), dtype=np.float32)
        return Part(x, (x @ directions).argmax(axis=1).astype(np.int32))

    sample = part(100)
    names = [f"x{i}" for i in range(features)]
    return Dataset(
        name="synthetic",
        target=Target("y", "multiclass", tuple(range(_CLASSES))),
        preparation=fit_preparation(pd.DataFrame(sample.x, columns=names), 32)[0],
        train=part(rows),
        validation=part(rows // 4),
        test=sample,
        fingerprint=f"synthetic {rows} {features}",
        notes=(),
        protocol={},
    )
