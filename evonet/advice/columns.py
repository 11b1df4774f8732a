"""A table as checks see it: each column as codes, and how much it tells of the target alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from evonet.data.sources import holds_numbers

#: Places that a column is cut into, to learn what it tells of the target. Untuned.
N_BINS = 64
#: Parts of which each is predicted from the others. Untuned.
N_FOLDS = 5


@dataclass(frozen=True)
class Column:
    """A column as codes.

    Attributes:
        name: the column.
        numeric: whether it holds numbers; their codes are in the order of the values.
        codes: ``(n,)`` which of its distinct values each row has, from 0; -1 where missing.
        counts: ``(n_distinct,)`` rows of each value.
        whole: the distinct values where all are whole numbers, ascending; None otherwise.
        boolean: whether these numbers are true and false.
    """

    name: str
    numeric: bool
    codes: np.ndarray
    counts: np.ndarray
    whole: np.ndarray | None
    boolean: bool = False

    @classmethod
    def of(cls, name: str, column: pd.Series) -> Column:
        """A column of a table, coded."""
        numeric, boolean = holds_numbers(column), pd.api.types.is_bool_dtype(column.dtype)
        whole = None
        if numeric:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            codes, distinct = pd.factorize(values, sort=True)
            if not boolean and (distinct % 1 == 0).all():
                whole = distinct
        else:
            codes, _ = pd.factorize(column)
        counts = np.bincount(codes[codes >= 0])
        return cls(name, numeric, codes, counts, whole, boolean)

    @property
    def kind(self) -> str:
        """What it holds, in a word."""
        if self.boolean:
            return "yes/no"
        return "numbers" if self.numeric else "words"

    @property
    def n_distinct(self) -> int:
        """Distinct values, missing ones not counted."""
        return len(self.counts)

    @cached_property
    def missing(self) -> np.ndarray:
        """``(n,)`` bool: where there is no value."""
        return self.codes < 0

    @property
    def missing_share(self) -> float:
        """Share of the rows without a value."""
        return float(self.missing.mean())

    @property
    def distinct_share(self) -> float:
        """Distinct values for each row that has one; 0 for an empty column."""
        return self.n_distinct / max(1, int(self.counts.sum()))

    @cached_property
    def bins(self) -> np.ndarray:
        """``(n,)`` from 0 to ``N_BINS``, the last for missing values.

        Numbers are cut at quantiles, so that each place has about as many rows; words have a
        place each by their frequency, and the rare share the last one.
        """
        if self.n_distinct <= N_BINS:
            place = np.arange(self.n_distinct)
        elif self.numeric:
            middle = np.cumsum(self.counts) - self.counts / 2
            place = (middle * N_BINS / self.counts.sum()).astype(int)
        else:
            rank = np.empty(self.n_distinct, dtype=int)
            rank[np.argsort(-self.counts, kind="stable")] = np.arange(self.n_distinct)
            place = np.minimum(rank, N_BINS - 1)
        return np.append(place, N_BINS)[self.codes]


def share_told(bins: np.ndarray, outcome: np.ndarray, is_class: bool, folds: np.ndarray) -> float:
    """How much of what is uncertain about the target a column tells on its own.

    Each fold is predicted from the others, by what the rows of the same bin have there: their
    shares of classes, or their mean. A bin of few rows is drawn to the whole, as if one average
    row were in it.

    Args:
        bins: ``(n,)`` from 0 to ``N_BINS``.
        outcome: ``(n,)`` class indices, or numbers.
        is_class: which of these.
        folds: ``(n,)`` from 0 to ``N_FOLDS`` - 1.

    Returns:
        1 where all is known, about 0 (or below) where nothing is: of classes the share of the
        entropy (McFadden's pseudo R2, out of sample), of numbers R2.
    """
    everywhere = np.zeros_like(bins)
    rows = _elsewhere(folds, bins, N_BINS + 1)
    n = _elsewhere(folds, everywhere, 1)
    if not is_class:
        mean = _elsewhere(folds, everywhere, 1, outcome) / n
        guess = (_elsewhere(folds, bins, N_BINS + 1, outcome) + mean) / (rows + 1)
        return explained(
            float(np.sum((outcome - guess) ** 2)), float(np.sum((outcome - mean) ** 2))
        )
    n_classes = int(outcome.max()) + 1
    # Of each row's own class; a row more of every class keeps it above 0.
    prior = (_elsewhere(folds, outcome, n_classes) + 1) / (n + n_classes)
    same = _elsewhere(folds, bins * n_classes + outcome, (N_BINS + 1) * n_classes)
    likelihood = (same + prior) / (rows + 1)
    return explained(-float(np.log(likelihood).sum()), -float(np.log(prior).sum()))


def explained(left: float, before: float) -> float:
    """Share of a squared error or an entropy that is gone; 0 where there was none.

    Example:
        >>> explained(1.0, 4.0), explained(0.0, 0.0)
        (0.75, 0.0)
    """
    return 1 - left / before if before > 0 else 0.0


def _elsewhere(
    folds: np.ndarray, keys: np.ndarray, n_keys: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """``(n,)`` for each row, how many rows of other folds have its key, or their weights' sum."""
    table = np.bincount(folds * n_keys + keys, weights, minlength=N_FOLDS * n_keys)
    by_fold = table.reshape(N_FOLDS, n_keys)
    return np.asarray((by_fold.sum(axis=0) - by_fold)[folds, keys])
