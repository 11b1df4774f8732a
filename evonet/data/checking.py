"""Refuse data that cannot be learned from, on one line; name the columns that are left out."""

from __future__ import annotations

from shlex import join

import numpy as np
import pandas as pd

from evonet.data.preparation import LARGEST
from evonet.data.sources import RawData
from evonet.data.target import Task, infer_task
from evonet.errors import DataError
from evonet.phrases import did_you_mean, drops, listed

#: Fewer rows cannot be split into three parts that mean anything.
MIN_ROWS = 10

_TOO_LARGE = f"infinite or beyond {LARGEST:.1e}, the largest a float32 can be"


def labelled(raw: RawData) -> tuple[RawData, int]:
    """The rows that have a target, and how many were left out.

    Nothing can be learned from the others, and nothing judged by them.

    Raises:
        DataError: too few rows are left, or none of the data's own test part.
    """
    known = raw.labels.notna().to_numpy()
    n_left_out = int((~known).sum())
    if not n_left_out:
        return raw, 0
    if (n := int(known.sum())) < MIN_ROWS:
        raise DataError(
            f"Target {str(raw.labels.name)!r} is missing in {n_left_out} of {len(known)} rows, "
            f"which leaves {n}; expected at least {MIN_ROWS}. Choose another --target, or fill it "
            "in."
        )
    features = raw.features[known]
    if isinstance(features, pd.DataFrame):
        features = features.reset_index(drop=True)
    labels = raw.labels[known].reset_index(drop=True)
    n_test = int(known[len(known) - raw.n_test :].sum())
    if raw.n_test and not n_test:
        raise DataError(
            f"{raw.name} has a test part without labels. Leave x_test and y_test out; evonet then "
            "splits off a test part."
        )
    return RawData(raw.name, features, labels, n_test), n_left_out


def check_labels(raw: RawData, wanted: str) -> tuple[Task, str]:
    """The task of the data, after refusing a target that cannot be predicted.

    Args:
        raw: the data; every row has a target.
        wanted: a task, or "auto".

    Returns:
        The task, and a sentence that says how it was found.

    Raises:
        DataError: too few rows, infinite labels, a kind of label that cannot be
            predicted, one class only, or a target that does not fit the task.
    """
    labels, name = raw.labels, repr(str(raw.labels.name))
    if len(labels) < MIN_ROWS:
        raise DataError(f"{raw.name} has {len(labels)} rows; expected at least {MIN_ROWS}.")
    if not _is_usable(labels):
        raise DataError(
            f"Target {name} holds {labels.dtype} values; expected numbers, words or booleans. "
            "Choose another --target."
        )
    numeric = pd.api.types.is_numeric_dtype(labels.dtype)
    if numeric and (np.abs(labels.to_numpy(dtype=np.float64)) > LARGEST).any():
        raise DataError(f"Target {name} has values that are {_TOO_LARGE}. Remove these rows.")
    if isinstance(labels.dtype, pd.CategoricalDtype) or labels.dtype == object:
        labels = labels.astype(str)
    n_distinct = labels.nunique()
    if n_distinct == 1:
        raise DataError(
            f"Target {name} has only one value, {str(labels.iloc[0])!r:.80}; nothing to learn. "
            "Choose another --target."
        )
    inferred, reason = infer_task(labels)
    if wanted == "auto":
        if inferred != "regression":
            _check_class_sizes(labels, name)
        other = " Pass --task to read it otherwise." if numeric else ""
        return inferred, f"Target {name}: {reason}, so {inferred}.{other}"
    if wanted == "regression" and not numeric:
        raise DataError(f"Target {name} is not a number; expected one for --task regression.")
    if wanted == "binary" and n_distinct != 2:
        raise DataError(f"Target {name} has {n_distinct} values; expected 2 for --task binary.")
    if wanted != "regression":
        _check_class_sizes(labels, name)
    # Two classes are binary even where the user says multiclass: it is the same problem.
    task: Task = "binary" if wanted == "multiclass" and n_distinct == 2 else wanted  # type: ignore[assignment]
    return task, f"Target {name}: {task}, as asked."


def _check_class_sizes(labels: pd.Series, name: str) -> None:
    n_distinct = labels.nunique()
    if n_distinct > len(labels) / 3:
        raise DataError(
            f"Target {name} has {n_distinct} classes in {len(labels)} rows; expected at least 3 "
            "rows a class on average. Choose another --target, or --task regression for numbers."
        )


def check_features(raw: RawData, drop: tuple[str, ...]) -> tuple[RawData, list[str]]:
    """The data without the columns that say nothing, and a sentence for each kind left out.

    Args:
        raw: the data.
        drop: columns the user leaves out.

    Raises:
        DataError: infinite values, a kind of column that cannot be used, a column to drop
            that does not exist, or no column left.
    """
    if not isinstance(raw.features, pd.DataFrame):
        return _check_images(raw, drop)
    frame = raw.features
    if unknown := [column for column in drop if column not in frame.columns]:
        raise _no_such_column(unknown[0], list(frame.columns), str(raw.labels.name))
    frame = frame.drop(columns=list(drop))
    notes = []
    kinds: dict[str, list[str]] = {"empty": [], "constant": []}
    for name in frame.columns:
        column = frame[name]
        _check_column(name, column)
        if column.isna().all():
            kinds["empty"].append(name)
        elif column.nunique(dropna=False) == 1:
            kinds["constant"].append(name)
    for kind, names in kinds.items():
        if names:
            notes.append(f"Left out {listed(names)}: {kind}, so it says nothing.")
    frame = frame.drop(columns=[name for names in kinds.values() for name in names])
    if frame.shape[1] == 0:
        raise DataError(
            f"{raw.name} has no column to learn from: all are empty, constant or dropped."
        )
    return RawData(raw.name, frame, raw.labels, raw.n_test), notes


def _no_such_column(name: str, known: list[str], target: str) -> DataError:
    """What is raised for a column to drop that is none."""
    several = [part.strip() for part in name.split(",")]
    if len(several) > 1 and (found := [own for own in several if own in known]):
        near = f" For several, pass {join(drops(found))}."
    else:
        near = did_you_mean(name, known)
    is_target = " (it is the target)" if name == target else ""
    return DataError(
        f"--drop {name!r:.80}: no such column{is_target}; expected one of {listed(known, 10)}."
        f"{near}"
    )


def _check_column(name: str, column: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if n_too_large := int((np.abs(values) > LARGEST).sum()):
            raise DataError(
                f"Column {name!r} has {_values(n_too_large)} {_TOO_LARGE}. Replace them "
                f"(an empty cell is a missing value), or pass --drop {name!r}."
            )
    elif not _is_usable(column):
        raise DataError(
            f"Column {name!r} holds {column.dtype} values; expected numbers, words or booleans. "
            f"Derive numbers from it, or pass --drop {name!r}."
        )


def _values(n: int) -> str:
    return "1 value that is" if n == 1 else f"{n} values that are"


def _is_usable(column: pd.Series) -> bool:
    """Whether a column holds numbers, words or booleans, or categories that are one of these."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    if column.dtype != object:
        return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column)
    plain = str | int | float | bool | np.number | np.bool_
    return bool(column.dropna().map(lambda value: isinstance(value, plain)).all())


def _check_images(raw: RawData, drop: tuple[str, ...]) -> tuple[RawData, list[str]]:
    pixels = np.asarray(raw.features)
    if drop:
        raise DataError(f"--drop {drop[0]!r}: {raw.name} holds arrays, which have no columns.")
    if pixels.dtype.kind == "f" and not (np.abs(pixels) <= LARGEST).all():
        raise DataError(
            f"{raw.name} has values in its arrays that are NaN, {_TOO_LARGE}. Remove these rows."
        )
    if pixels.min() == pixels.max():
        raise DataError(f"{raw.name} has the same value everywhere; nothing to learn from.")
    return raw, []
