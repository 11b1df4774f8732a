"""What checks look at. Of the test part they see no labels: it takes part in no choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from evonet.advice.columns import N_FOLDS, Column, share_told
from evonet.config import RunConfig
from evonet.data.dataset import CheckedData
from evonet.streams import stream

#: A column of words names its rows where so many of them have a value of their own. Untuned.
_NEARLY_ALL = 0.95
#: ... and no more than this share has none. Untuned.
_MOST_MISSING = 0.5


@dataclass(frozen=True)
class Evidence:
    """Data with what checks compute of them, each thing once and when it is asked for.

    Attributes:
        checked: the data.
        config: the settings of the run that they are for.
    """

    checked: CheckedData
    config: RunConfig

    @property
    def is_table(self) -> bool:
        """Whether the data have columns; images have none."""
        return isinstance(self.checked.found.features, pd.DataFrame)

    @property
    def is_class(self) -> bool:
        """Whether classes are predicted."""
        return self.checked.task != "regression"

    @property
    def target(self) -> str:
        """The target's name, for sentences."""
        return repr(str(self.checked.raw.labels.name)[:40])

    @property
    def n_rows(self) -> int:
        """Rows of all parts."""
        return len(self.checked.raw.labels)

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name, without those that the user drops; images have none."""
        frame = self.checked.found.features
        if not isinstance(frame, pd.DataFrame):
            return {}
        kept = [name for name in frame.columns if name not in self.config.drop]
        return {name: Column.of(name, frame[name]) for name in kept}

    @cached_property
    def known(self) -> np.ndarray:
        """``(n_known,)`` positions of the rows that are not for the test, ascending."""
        split = self.checked.split
        return np.sort(np.concatenate([split.train, split.validation]))

    @cached_property
    def labels(self) -> pd.Series:
        """``(n_known,)`` their labels."""
        return self.checked.raw.labels.iloc[self.known]

    @cached_property
    def outcome(self) -> np.ndarray:
        """``(n_known,)`` class indices, or of a quantity its ranks from 0 to 1.

        Ranks, so that a few extreme values do not decide what a column tells.
        """
        if self.is_class:
            return np.asarray(pd.factorize(self.labels)[0])
        return self.labels.astype(np.float64).rank(pct=True).to_numpy()

    @cached_property
    def folds(self) -> np.ndarray:
        """``(n_known,)`` a fold for each row, drawn from the run's seed."""
        order = stream(self.config.seed, "advice").permutation(len(self.known))
        return np.asarray(order % N_FOLDS)

    @cached_property
    def told(self) -> Mapping[str, float]:
        """How much of the target each column tells on its own, by name."""
        return {
            name: share_told(column.bins[self.known], self.outcome, self.is_class, self.folds)
            for name, column in self.columns.items()
        }

    @cached_property
    def row_groups(self) -> np.ndarray:
        """``(n,)`` equal numbers for equal rows; values that differ in every row are left aside."""
        features = self.checked.found.features
        if not isinstance(features, pd.DataFrame):
            return np.asarray(pd.factorize(np.array([hash(row.tobytes()) for row in features]))[0])
        groups = np.zeros(self.n_rows, dtype=np.int64)
        for column in self.columns.values():
            if not is_identifier(column):
                groups = pd.factorize(groups * (column.n_distinct + 1) + column.codes + 1)[0]
        return np.asarray(groups)


def is_identifier(column: Column) -> bool:
    """Whether a column names its rows: words or whole numbers that hardly ever occur twice.

    Whole numbers can differ by chance, so that they also have to be consecutive, or to ascend
    row by row, or to be called an id.
    """
    if column.n_distinct < 2 or column.missing_share > _MOST_MISSING:
        return False
    if not column.numeric:
        return column.distinct_share >= _NEARLY_ALL
    if column.whole is None or column.distinct_share < 1:
        return False
    consecutive = column.whole[-1] - column.whole[0] == column.n_distinct - 1
    ascending = bool((np.diff(column.codes[~column.missing]) > 0).all())
    return bool(consecutive or ascending or column.name.lower().endswith(("id", "key", "uuid")))
