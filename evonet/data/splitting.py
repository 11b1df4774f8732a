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
    classes = pd.factorize(labels)[0] if task != "regression" else np.zeros(n, dtype=int)
    if n_test:
        rest, test = np.arange(n - n_test), np.arange(n - n_test, n)
    else:
        rest, test = _draw(rng, np.arange(n), classes, round(n * test_fraction))
    n_validation = round((len(rest) if n_test else n) * validation_fraction)
    train, validation = _draw(rng, rest, classes, n_validation)
    parts = {"training": train, "validation": validation, "test": test}
    for name, rows in parts.items():
        remedy = "change --test-fraction and --validation-fraction"
        _refuse_small(f"The {name} part", labels.iloc[rows], n, task, remedy)
    return Split(train, validation, test)


def fold_splits(
    labels: pd.Series, task: Task, seed: int, split: Split, n_folds: int
) -> tuple[Split, ...]:
    """The training and validation rows of a split, split anew for each fold.

    Args:
        labels: ``(n,)`` the target.
        task: what kind of prediction it is; classes are stratified.
        seed: the run's seed.
        split: its test rows are no fold's.
        n_folds: at least 2.

    Returns:
        Splits without test rows. Every other row is in the validation part of one of them, and in
        the training part of the others.

    Raises:
        DataError: a part would have fewer than two rows, or fewer than two classes.
    """
    rows = np.sort(np.concatenate([split.train, split.validation]))
    order = stream(seed, "folds").permutation(rows)
    if task != "regression":  # dealt out class by class
        order = order[np.argsort(pd.factorize(labels)[0][order], kind="stable")]
    folds = [np.sort(order[k::n_folds]) for k in range(n_folds)]
    splits = tuple(Split(np.setdiff1d(rows, fold), fold, np.zeros(0, rows.dtype)) for fold in folds)
    for fold in splits:
        for part in (fold.train, fold.validation):
            own = labels.iloc[part]
            _refuse_small("A part of a fold", own, len(rows), task, "pass a smaller --folds")
    return splits


def _refuse_small(name: str, labels: pd.Series, n: int, task: Task, remedy: str) -> None:
    """Raise where the labels of a part are too few, or of one class; it is one of ``n`` rows."""
    n_distinct = len(labels) if task == "regression" else labels.nunique()
    if n_distinct < 2:
        raise DataError(
            f"{name} has {len(labels)} of {n} rows"
            f"{'' if task == 'regression' else f' and {n_distinct} of the classes'}; expected "
            f"at least 2. Give more data, or {remedy}."
        )


def _draw(
    rng: np.random.Generator, rows: np.ndarray, classes: np.ndarray, n_drawn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``n_drawn`` of ``rows``, each class in its share: what stays, and what is drawn."""
    n_drawn = min(max(n_drawn, 1), len(rows) - 1)
    strata = _strata(classes[rows])
    n_strata = int(strata.max()) + 1
    if 1 < n_strata <= min(n_drawn, len(rows) - n_drawn):
        from sklearn.model_selection import train_test_split

        stays, drawn = train_test_split(
            rows, test_size=n_drawn, stratify=strata, random_state=int(rng.integers(2**31))
        )
    else:
        order = rng.permutation(rows)
        drawn, stays = order[:n_drawn], order[n_drawn:]
    return np.sort(stays), np.sort(drawn)


def _strata(classes: np.ndarray) -> np.ndarray:
    """``(n,)`` stratum of each row, from 0: its class, single rows being pooled.

    A stratum needs two rows, one for either side; a lone pooled row joins the largest class.
    """
    codes = np.unique(classes, return_inverse=True)[1]
    counts = np.bincount(codes)
    strata = np.where(counts[codes] < 2, len(counts), codes)
    if np.count_nonzero(strata == len(counts)) == 1:
        strata[strata == len(counts)] = counts.argmax()
    return np.unique(strata, return_inverse=True)[1]
