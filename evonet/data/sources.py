"""Where data come from: data sets that ship with scikit-learn, and files of tables and arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evonet.errors import DataError

#: A table, or images ``(n, height, width[, channels])``.
Features = pd.DataFrame | np.ndarray

EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes", "circles")
#: In a column of numbers these spell a missing value; in a column of words they are words.
MISSING_WORDS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
_ENDINGS = ".csv, .tsv, .csv.gz, .tsv.gz, .parquet, .feather or .npz"
#: Reads every decimal number as the float nearest to it, which is what pandas 3 does by itself.
_EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__[0] < "3" else {}


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
    if data in EMBEDDED and not Path(data).is_file():
        if target is not None:
            raise DataError(f"The embedded data set {data} has its own target. Leave out --target.")
        return _read_embedded(data)
    path = Path(data)
    if not path.is_file():
        raise DataError(
            f"No data at {data}: expected one of {', '.join(EMBEDDED)}, or a file that exists."
        )
    name = path.name.split(".")[0]
    if path.suffix == ".npz":
        return _read_npz(path, name, target)
    return _take_target(read_table(path), name, target, path)


def read_features(path: Path, words: Collection[str] = ()) -> Features:
    """The rows of a file, for prediction: a table, or the array of an NPZ file.

    Args:
        path: the file.
        words: columns that held words in training, so that "007" is not read as 7.

    Raises:
        DataError: the file is missing, of an unknown kind, or cannot be read.
    """
    if path.suffix != ".npz":
        return read_table(path, words)
    arrays = _load_npz(path)
    for key in ("x", "x_test", "x_train"):
        if key in arrays:
            return _features_of_array(arrays[key], path)
    raise DataError(f"{path} has the arrays {sorted(arrays)}; expected x, or x_test.")


def read_table(path: Path, words: Collection[str] = ()) -> pd.DataFrame:
    """The table in a CSV, TSV, Parquet or Feather file, typed column by column.

    An empty cell is a missing value. Words such as NA and ? are missing values in a column
    that otherwise holds numbers, and categories in any other.

    Args:
        path: the file.
        words: columns of a text file to be left as they are spelled.

    Raises:
        DataError: the file is missing, of an unknown kind, empty, or cannot be read.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        frame = _read_text_table(path, "\t" if name.endswith(".tsv") else ",", words)
    elif name.endswith(".parquet"):
        frame = _reading(path, lambda: pd.read_parquet(path))
    elif name.endswith(".feather"):
        frame = _reading(path, lambda: pd.read_feather(path))
    else:
        raise DataError(f"{path} is of an unknown kind; expected a name that ends in {_ENDINGS}.")
    if frame.empty:
        raise DataError(f"{path} has no rows.")
    frame.columns = [str(column) for column in frame.columns]
    if repeated := sorted(frame.columns[frame.columns.duplicated()]):
        raise DataError(
            f"{path} has the column {repeated[0]!r} more than once; rename one of them."
        )
    return frame


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` returns, any of the many ways a file can be broken becoming one error.

    ``read`` calls a library and nothing else: a damaged file makes pandas, NumPy and pyarrow
    raise almost anything, and a bug of ours must not hide among it.
    """
    try:
        return read()
    except FileNotFoundError:
        raise DataError(f"No file at {path}.") from None
    except Exception as error:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.") from None
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise DataError(
            f"Cannot read {path}: {reason}. The file may be truncated or damaged."
        ) from None


def _read_text_table(path: Path, separator: str, words: Collection[str]) -> pd.DataFrame:
    def read(**how: Any) -> pd.DataFrame:
        return pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], **how)

    # The first two lines on their own, since pandas renames a name that comes twice, and shifts
    # the names where the rows have more cells than there are names.
    header = _reading(path, lambda: read(header=None, nrows=2, dtype=str)).iloc[0].dropna()
    if repeated := sorted(header[header.duplicated()]):
        raise DataError(
            f"{path} has the column {repeated[0]!r} more than once; rename one of them."
        )
    spelled = {name: str for name in words if name in set(header)}
    frame = _reading(path, lambda: read(low_memory=False, dtype=spelled, **_EXACT))
    return frame.apply(lambda c: c if c.name in spelled else _numbers_if_all_are(c))


def _numbers_if_all_are(column: pd.Series) -> pd.Series:
    """A column of text as numbers, where every value that is not a word for "missing" is one."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    words = column.astype("string").str.strip()
    missing = words.isna() | words.isin(MISSING_WORDS)
    if missing.all() or pd.to_numeric(words[~missing], errors="coerce").isna().any():
        return column
    # Python reads the digits: to_numeric of pandas 2 is off by one in the last of them.
    return words.astype(object).mask(missing, np.nan).astype(np.float64)


def _take_target(frame: pd.DataFrame, name: str, target: str | None, path: Path) -> RawData:
    columns = ", ".join(map(repr, frame.columns[:20])) + (", ..." if frame.shape[1] > 20 else "")
    if target is None:
        raise DataError(f"{path} needs a target: pass --target COLUMN, one of {columns:.500}.")
    if target not in frame.columns:
        raise DataError(
            f"{path} has no column {target!r}; pass --target with one of {columns:.500}."
        )
    return RawData(name, frame.drop(columns=target), frame[target])


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    def load() -> dict[str, np.ndarray]:
        # As np.load does, with no pickle, but of this one kind of file, which is always closed.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            return {key: np.asarray(arrays[key]) for key in arrays.files}

    loaded: dict[str, np.ndarray] = _reading(path, load)
    return loaded


def _read_npz(path: Path, name: str, target: str | None) -> RawData:
    if target is not None:
        raise DataError(f"{path} has its target in y_train. Leave out --target.")
    arrays = _load_npz(path)
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
    return RawData(name, _features_of_array(x, path), pd.Series(y, name="y"), n_test)


def _features_of_array(x: np.ndarray, path: Path) -> Features:
    """Images stay arrays; a plain matrix of numbers becomes a table with columns x0, x1, ..."""
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: expected arrays of numbers, got {x.dtype}.")
    if x.ndim > 2 or x.dtype == np.uint8:
        return x
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])


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
