"""Training, validation and test rows, drawn once from the run's seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evonet.data.target import Task
from evonet.errors import DataError
from evonet.streams import stream


@dataclass(frozen=True)
class Split:
    """Positions of the rows of each part: disjoint, ascending, together all rows."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    stratified: bool


def split_rows(
    labels: pd.Series,
    task: Task,
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    n_test: int = 0,
) -> Split:
    """Split the rows in three, every class in its share in every part where that is possible.

    Args:
        labels: ``(n,)`` the target.
        task: what kind of prediction it is; classes are stratified.
        seed: the run's seed.
        test_fraction: share of all rows for the test part, unless the data bring their own.
        validation_fraction: share of all rows for the validation part (of the rest, if the
            data bring their own test part).
        n_test: how many of the last rows are the data's own test part.

    Raises:
        DataError: a part would have fewer than two rows, or fewer than two classes.
    """
    rng = stream(seed, "split")
    n = len(labels)
    strata = _strata(labels.iloc[: n - n_test]) if task != "regression" else np.zeros(n, dtype=int)
    if n_test:
        rest, test, first = np.arange(n - n_test), np.arange(n - n_test, n), True
    else:
        rest, test, first = _draw(rng, np.arange(n), strata, round(n * test_fraction))
    n_validation = round((len(rest) if n_test else n) * validation_fraction)
    train, validation, second = _draw(rng, rest, strata, n_validation)
    parts = {"training": train, "validation": validation, "test": test}
    for name, rows in parts.items():
        n_distinct = len(rows) if task == "regression" else labels.iloc[rows].nunique()
        if n_distinct < 2:
            raise DataError(
                f"The {name} part has {len(rows)} of {n} rows"
                f"{'' if task == 'regression' else f' and {n_distinct} of the classes'}; expected "
                "at least 2. Give more data, or change --test-fraction and --validation-fraction."
            )
    return Split(train, validation, test, stratified=first and second and task != "regression")


def _strata(labels: pd.Series) -> np.ndarray:
    """``(n,)`` stratum of each row: its class, classes with fewer than three rows being pooled."""
    codes = pd.factorize(labels)[0]
    counts = np.bincount(codes)
    pooled = np.where(counts[codes] < 3, len(counts), codes)
    if 0 < np.count_nonzero(pooled == len(counts)) < 3:
        pooled[pooled == len(counts)] = counts.argmax()
    return np.unique(pooled, return_inverse=True)[1]


def _draw(
    rng: np.random.Generator, rows: np.ndarray, strata: np.ndarray, n_drawn: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Draw ``n_drawn`` of ``rows``: what stays, what is drawn, and whether it was stratified."""
    n_drawn = min(max(n_drawn, 1), len(rows) - 1)
    counts = np.unique(strata[rows], return_counts=True)[1]
    possible = counts.min() >= 2 and len(counts) <= min(n_drawn, len(rows) - n_drawn)
    if len(counts) > 1 and possible:
        from sklearn.model_selection import train_test_split

        stays, drawn = train_test_split(
            rows, test_size=n_drawn, stratify=strata[rows], random_state=int(rng.integers(2**31))
        )
    else:
        order = rng.permutation(rows)
        drawn, stays = order[:n_drawn], order[n_drawn:]
    return np.sort(stays), np.sort(drawn), bool(possible)
