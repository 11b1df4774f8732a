"""Where data come from: data sets that ship with scikit-learn, and files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evonet.data.files import Features, features_of_array, load_npz, read_table
from evonet.errors import DataError
from evonet.paths import is_file
from evonet.phrases import did_you_mean, listed

EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes", "circles")


@dataclass(frozen=True)
class RawData:
    """Data as they were found.

    Attributes:
        name: short name for people and folders.
        features: one row per sample.
        labels: ``(n,)`` what is to be predicted.
        n_test: how many of the last rows are the data's own test part; 0 if it has none.
    """

    name: str
    features: Features
    labels: pd.Series
    n_test: int = 0

    def fingerprint(self) -> str:
        """A hash of every name and value: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        if isinstance(self.features, pd.DataFrame):
            for name in self.features.columns:
                _digest_column(digest, str(name), self.features[name])
        else:
            digest.update(f"{self.features.dtype} {self.features.shape}".encode())
            digest.update(np.ascontiguousarray(self.features).tobytes())
        _digest_column(digest, str(self.labels.name), self.labels)
        digest.update(str(self.n_test).encode())
        return digest.hexdigest()[:32]


def _digest_column(digest: Any, name: str, column: pd.Series) -> None:
    if holds_numbers(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        digest.update(json.dumps([name, "numbers", len(values)]).encode())
        # One bit pattern for every NaN, and one for both zeros.
        digest.update(np.where(np.isnan(values), np.nan, values + 0.0).tobytes())
    else:
        missing = column.isna()
        words = [None if m else str(value) for value, m in zip(column, missing, strict=True)]
        digest.update(json.dumps([name, words]).encode())


def holds_numbers(column: pd.Series) -> bool:
    """Whether a column is one of numbers or of booleans, which count as 0 and 1."""
    if column.dtype != object:
        return pd.api.types.is_numeric_dtype(column.dtype)
    values = column.dropna()  # booleans with a missing value among them are objects
    return len(values) > 0 and bool(values.map(lambda v: isinstance(v, bool | np.bool_)).all())


def read_source(data: str, target: str | None) -> RawData:
    """The data of a name or file.

    Args:
        data: one of ``EMBEDDED``, or the path of a file.
        target: the column to predict; None for embedded data and NPZ files.

    Raises:
        DataError: there is no such data set, the file cannot be read, or it has no such column.
    """
    if data in EMBEDDED and not is_file(data):
        if target is not None:
            raise DataError(f"The embedded data set {data} has its own target. Leave out --target.")
        return _read_embedded(data)
    path = Path(data)
    if not is_file(path):
        beside = [own.name for own in path.parent.glob("*") if is_file(own)]
        raise DataError(
            f"No data at {data:.200}: expected one of {', '.join(EMBEDDED)}, or a file that "
            f"exists and can be read.{did_you_mean(path.name, [*EMBEDDED, *beside])}"
        )
    name = path.name.split(".")[0]
    if path.suffix == ".npz":
        return _read_npz(path, name, target)
    return _take_target(read_table(path), name, target, path)


def _take_target(frame: pd.DataFrame, name: str, target: str | None, path: Path) -> RawData:
    names = list(frame.columns)
    columns = listed(names, 10)
    if target is None:
        raise DataError(f"{path} needs a target: pass --target COLUMN, one of {columns}.")
    if target not in names:
        raise DataError(
            f"{path} has no column {target!r:.80}; pass --target with one of {columns}."
            f"{did_you_mean(target, names)}"
        )
    return RawData(name, frame.drop(columns=target), frame[target])


def _read_npz(path: Path, name: str, target: str | None) -> RawData:
    if target is not None:
        raise DataError(f"{path} has its target in y_train. Leave out --target.")
    arrays = load_npz(path)
    for key in ("x_train", "y_train"):
        if key not in arrays:
            raise DataError(
                f"{path} has the arrays {sorted(arrays)}; expected x_train and y_train."
            )
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{path} has x_test or y_test alone; expected both, or neither.")
    parts = ["train", "test"] if "x_test" in arrays else ["train"]
    for part in parts:
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        alike = x.shape[1:] == arrays["x_train"].shape[1:]
        if x.ndim < 2 or x.size == 0 or y.size != len(x) or not alike:
            raise DataError(
                f"{path}: x_{part} has shape {x.shape}, y_{part} {y.shape}; expected (n, ...) and "
                "(n,), all x alike and none empty."
            )
        if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiubU":
            raise DataError(
                f"{path}: x_{part} holds {x.dtype}, y_{part} {y.dtype}; expected numbers, and "
                "numbers or words."
            )
    x = np.concatenate([arrays[f"x_{part}"] for part in parts])
    y = np.concatenate([arrays[f"y_{part}"].reshape(-1) for part in parts])
    n_test = len(arrays["x_test"]) if "test" in parts else 0
    return RawData(name, features_of_array(x, path), pd.Series(y, name="y"), n_test)


def _read_embedded(name: str) -> RawData:
    from sklearn import datasets

    if name == "circles":
        x, y = datasets.make_circles(1000, factor=0.5, noise=0.1, random_state=0)
        frame = pd.DataFrame(x, columns=["x0", "x1"])
        return RawData(name, frame, pd.Series(np.where(y == 1, "inner", "outer"), name="circle"))
    loaded = getattr(datasets, f"load_{name}")()
    if name == "digits":
        return RawData(name, loaded.images, pd.Series(loaded.target, name="digit"))
    frame = pd.DataFrame(loaded.data, columns=[str(column) for column in loaded.feature_names])
    if name == "diabetes":
        return RawData(name, frame, pd.Series(loaded.target, name="progression"))
    words = np.asarray(loaded.target_names, dtype=object)[loaded.target]
    return RawData(name, frame, pd.Series(words, name="class"))
