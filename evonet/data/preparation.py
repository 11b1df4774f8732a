"""From raw rows to network inputs. What it needs to know is learned from the training part only.

A preparation is plain data, so that a run can store it as JSON and prediction can apply it to
raw rows later, without a pickle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, FiniteFloat, PositiveInt

from evonet.data.files import MISSING_WORDS, Features
from evonet.data.sources import holds_numbers
from evonet.data.unseen import EXAMPLES, Unseen
from evonet.errors import DataError
from evonet.phrases import did_you_mean, listed

#: Raise it when a preparation of the same data changes, so that old scores are not taken for new.
VERSION = 1

#: Categories with fewer rows share one input: nothing can be learned from one row. Untuned.
_MIN_CATEGORY_ROWS = 3

#: Deviations and largest values: what is divided by.
_Scale = Annotated[FiniteFloat, Field(gt=0)]

#: Networks compute in float32; a larger number is as good as infinite.
LARGEST = np.finfo(np.float32).max

#: Numbers that differ by less than this share of the largest differ by rounding only.
_ROUNDING = 1e-14

_BOOLEAN_WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class NumericColumn:
    """A column of numbers: (value - mean) / scale, missing values being filled first.

    Attributes:
        name: the column.
        fill: median of the training part, for missing values.
        mean: mean of the filled training part.
        scale: its standard deviation, or 1 where that is 0 but for rounding.
        marks_missing: whether a second input says that the value was missing.
    """

    name: str
    fill: FiniteFloat
    mean: FiniteFloat
    scale: _Scale
    marks_missing: bool
    kind: Literal["numeric"] = "numeric"

    @property
    def inputs(self) -> list[str]:
        """Names of the network inputs this column gives."""
        return [self.name, f"{self.name} missing"] if self.marks_missing else [self.name]

    def transform(self, column: pd.Series) -> np.ndarray:
        """``(n, len(inputs))`` float32."""
        values = _numbers(column)
        missing = np.isnan(values)
        scaled = (np.where(missing, self.fill, values) - self.mean) / self.scale
        scaled = np.clip(scaled, -LARGEST, LARGEST)  # far from training, but still a number
        columns = [scaled, missing] if self.marks_missing else [scaled]
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class CategoricalColumn:
    """A column of words: one input per category, and one for all that are rare.

    Attributes:
        name: the column.
        categories: words with an input of their own; None stands for a missing value.
        pools_rare: whether the last input stands for any other word. Without it, a word that
            was never seen sets no input.
    """

    name: str
    categories: tuple[str | None, ...]
    pools_rare: bool
    kind: Literal["categorical"] = "categorical"

    @property
    def inputs(self) -> list[str]:
        """Names of the network inputs this column gives."""
        named = [f"{self.name} = {'(missing)' if c is None else c}" for c in self.categories]
        return [*named, f"{self.name} = (rare)"] if self.pools_rare else named

    def transform(self, column: pd.Series) -> np.ndarray:
        """``(n, len(inputs))`` float32."""
        index = {category: i for i, category in enumerate(self.categories)}
        places = np.asarray([index.get(word, len(index)) for word in words_of(column)], dtype=int)
        return np.eye(len(index) + 1, dtype=np.float32)[places][:, : len(self.inputs)]

    def unseen(self, column: pd.Series) -> Unseen | None:
        """The words that have no input of their own; None where all have one."""
        if column.dtype == object:  # which may be anything, even what has no hash
            column = pd.Series(words_of(column), dtype=object)
        distinct = column.drop_duplicates()
        new = np.asarray([word not in self.categories for word in words_of(distinct)], bool)
        if not new.any():
            return None
        n_rows = int(column.isin(distinct[new]).sum())
        return Unseen(self.name, n_rows, tuple(words_of(distinct[new][:EXAMPLES])), self.pools_rare)


Column = Annotated[NumericColumn | CategoricalColumn, Field(discriminator="kind")]


@dataclass(frozen=True)
class TablePreparation:
    """Impute, one-hot encode and standardise the columns of a table."""

    columns: tuple[Column, ...]
    kind: Literal["table"] = "table"

    @property
    def inputs(self) -> list[str]:
        """Names of the network inputs, in order."""
        return [name for column in self.columns for name in column.inputs]

    @property
    def words(self) -> list[str]:
        """Names of the columns that hold words."""
        return [c.name for c in self.columns if isinstance(c, CategoricalColumn)]

    def transform(self, features: Features) -> np.ndarray:
        """Network inputs.

        Args:
            features: a table with at least the columns of training, in any order.

        Returns:
            ``(n, len(inputs))`` float32.

        Raises:
            DataError: a column is missing, or a column of numbers holds something else.
        """
        if not isinstance(features, pd.DataFrame):
            raise DataError("Expected a table with the columns of training, got an array.")
        names = [column.name for column in self.columns]
        if missing := [name for name in names if name not in features.columns]:
            raise DataError(
                f"{len(missing)} of {len(names)} columns of training "
                f"{'is' if len(missing) == 1 else 'are'} missing: "
                f"{listed(missing)}. Give a table that has them."
                f"{did_you_mean(missing[0], (str(c) for c in features.columns if c not in names))}"
            )
        return np.concatenate([c.transform(features[c.name]) for c in self.columns], axis=1)

    def unseen(self, features: Features) -> list[Unseen]:
        """Columns with words that have no input of their own, of features ``transform`` takes."""
        table = pd.DataFrame(features)
        words = [column for column in self.columns if isinstance(column, CategoricalColumn)]
        found = [column.unseen(table[column.name]) for column in words]
        return [unseen for unseen in found if unseen is not None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ImagePreparation:
    """Flatten images and scale them to [0, 1].

    Attributes:
        shape: of one image.
        scale: the largest value a pixel can have.
        whole: whether pixels were whole numbers in training.
        words: names of the columns that hold words: none.
    """

    shape: tuple[PositiveInt, ...]
    scale: _Scale
    whole: bool
    kind: Literal["images"] = "images"
    words: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> list[str]:
        """Names of the network inputs, in order."""
        return [f"pixel {i}" for i in range(int(np.prod(self.shape)))]

    def transform(self, features: Features) -> np.ndarray:
        """Network inputs ``(n, n_pixels)`` float32; DataError for another shape, NaN, infinity."""
        if not isinstance(features, np.ndarray) or features.shape[1:] != self.shape:
            got = features.shape[1:] if isinstance(features, np.ndarray) else "a table"
            raise DataError(f"Expected images of shape {self.shape}, got {got}.")
        if features.dtype.kind == "f" and not (np.abs(features) <= LARGEST).all():
            raise DataError("The images have NaN or infinite values; expected finite numbers.")
        if self.whole != (features.dtype.kind in "uib"):
            expected = "whole numbers" if self.whole else "fractions"
            raise DataError(
                f"The pixels are {features.dtype}; expected {expected} up to {self.scale:g}, as in "
                "training."
            )
        flat = features.reshape(len(features), int(np.prod(self.shape)))  # rows may be none
        return flat.astype(np.float32) / np.float32(self.scale)

    def unseen(self, _: Features) -> list[Unseen]:
        """Nothing, since images hold no words."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


Preparation = Annotated[TablePreparation | ImagePreparation, Field(discriminator="kind")]


def fit_preparation(features: Features, max_categories: int) -> tuple[Preparation, list[str]]:
    """Learn a preparation.

    Args:
        features: the training part.
        max_categories: most categories of one column that get an input of their own.

    Returns:
        The preparation, and a sentence for each column it leaves out.

    Raises:
        DataError: no column is left.
    """
    if isinstance(features, np.ndarray):
        scale = 255.0 if features.dtype == np.uint8 else float(max(features.max(), 1.0))
        whole = features.dtype.kind in "uib"
        return ImagePreparation(tuple(features.shape[1:]), scale, whole), []
    columns: list[Column] = []
    notes = []
    for name in features.columns:
        column = _fit_column(name, features[name], max_categories)
        if column is None:
            notes.append(f"Left out {name!r}: hardly any value occurs twice in the training rows.")
        else:
            columns.append(column)
    if not columns:
        raise DataError("No column is left to learn from: in each, hardly any value occurs twice.")
    return TablePreparation(tuple(columns)), notes


def _fit_column(name: str, column: pd.Series, max_categories: int) -> Column | None:
    if holds_numbers(column):
        values = _numbers(column)
        missing = np.isnan(values)
        fill = float(np.median(values[~missing])) if not missing.all() else 0.0
        filled = np.where(missing, fill, values)
        deviation = float(filled.std())
        scale = deviation if deviation > _ROUNDING * np.abs(filled).max() else 1.0
        return NumericColumn(name, fill, float(filled.mean()), scale, bool(missing.any()))
    counts: dict[str | None, int] = {}
    for word in words_of(column):
        counts[word] = counts.get(word, 0) + 1
    frequent = [word for word, count in counts.items() if count >= _MIN_CATEGORY_ROWS]
    frequent.sort(key=lambda word: (-counts[word], word or ""))
    kept = sorted(frequent[:max_categories], key=lambda word: (word is None, word or ""))
    return CategoricalColumn(name, tuple(kept), len(kept) < len(counts)) if kept else None


def _numbers(column: pd.Series) -> np.ndarray:
    """``(n,)`` float64 with NaN for missing; DataError where a value is not a finite number."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        words = column.astype("string").str.strip()
        missing = (words.isna() | words.isin(MISSING_WORDS)).to_numpy(bool)
        values = [_BOOLEAN_WORDS.get(word.lower(), word) for word in words.fillna("")]
        numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(
            np.float64
        )
        wrong = np.isnan(numbers) & ~missing
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"Column {column.name!r} holds {str(column.iloc[place])!r:.80} in row "
                f"{row_number(column, place)}; expected a number, as in training."
            )
    if (too_large := np.abs(numbers) > LARGEST).any():
        row = row_number(column, int(np.flatnonzero(too_large)[0]))
        raise DataError(
            f"Column {column.name!r} is infinite in row {row}; expected finite numbers."
        )
    return np.asarray(numbers)


def row_number(rows: pd.Series | pd.DataFrame, place: int) -> int:
    """The number of a row, from 1: by an index that counts rows, as of a portion of a file."""
    label = rows.index[place]
    return (int(label) if pd.api.types.is_integer(label) else place) + 1


def words_of(column: pd.Series) -> list[str | None]:
    """The values as text, None where missing; whole numbers are spelled without a point."""
    words: list[str | None] = []
    for value, missing in zip(column.astype(object), column.isna(), strict=True):
        if missing:
            words.append(None)
        elif isinstance(value, float) and value.is_integer():
            words.append(str(int(value)))
        else:
            words.append(str(value))
    return words
