"""Files of tables and arrays: whole, or portion by portion where they may be larger than memory."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evonet.errors import DataError

#: A table, or images ``(n, height, width[, channels])``.
Features = pd.DataFrame | np.ndarray

#: In a column of numbers these spell a missing value; in a column of words they are words.
MISSING_WORDS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
#: Rows of a portion.
ROWS_AT_ONCE = 50_000
#: What may separate the cells of a CSV file, the first that its first line has.
_SEPARATORS = (",", ";", "\t", "|")
#: Letters of that line which are looked at: a file of zeros may have but one line.
_MOST_LETTERS = 2**20
_ENDINGS = ".csv, .tsv, .csv.gz, .tsv.gz, .parquet, .feather or .npz"
#: Reads every decimal number as the float nearest to it, which is what pandas 3 does by itself.
_EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__[0] < "3" else {}


def read_table(path: Path, words: Collection[str] = ()) -> pd.DataFrame:
    """The table in a CSV, TSV, Parquet or Feather file, typed column by column.

    What separates the cells of a CSV file is a comma, or where its first line has none a semicolon,
    a tab or a bar. Beside semicolons numbers may have a decimal comma.
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
        (frame,) = _read_text(path, words)
    elif name.endswith(".parquet"):
        frame = _reading(path, lambda: pd.read_parquet(path))
    elif name.endswith(".feather"):
        frame = _reading(path, lambda: pd.read_feather(path))
    else:
        raise DataError(f"{path} is of an unknown kind; expected a name that ends in {_ENDINGS}.")
    if frame.empty:
        raise _no_rows(path)
    return _named(frame, path)


def read_portions(
    path: Path, words: Collection[str] = (), n_rows: int = ROWS_AT_ONCE
) -> Iterator[Features]:
    """The rows of a file for prediction, in portions: tables, or arrays of an NPZ file.

    CSV, TSV and Parquet files may be larger than memory. The index of a table counts the file's
    rows from 0.

    Args:
        path: the file.
        words: columns that held words in training, so that "007" is not read as 7.
        n_rows: of a portion, at most.

    Raises:
        DataError: the file is missing, of an unknown kind, empty, or cannot be read.
    """
    name, start = path.name.removesuffix(".gz"), 0
    if name.endswith((".csv", ".tsv")):
        portions = _read_text(path, words, chunksize=n_rows)
    elif name.endswith(".parquet"):
        portions = _read_parquet(path, n_rows)
    else:
        whole = read_array(path) if path.suffix == ".npz" else read_table(path, words)
        starts = range(0, len(whole), n_rows)
        if isinstance(whole, np.ndarray):
            if not starts:
                raise _no_rows(path)
            yield from (whole[i : i + n_rows] for i in starts)
            return
        portions = (whole.iloc[i : i + n_rows] for i in starts)
    for portion in portions:
        if not len(portion):  # as the first one of a file with a header alone
            continue
        yield _named(portion, path).set_axis(range(start, start + len(portion)))
        start += len(portion)
    if not start:
        raise _no_rows(path)


def _no_rows(path: Path) -> DataError:
    return DataError(f"{path} has no rows.")


def read_array(path: Path) -> Features:
    """The rows for prediction of an NPZ file: the array x, or else x_test or x_train.

    Raises:
        DataError: the file is missing, cannot be read, or has no such array.
    """
    arrays = load_npz(path)
    for key in ("x", "x_test", "x_train"):
        if key in arrays:
            return features_of_array(arrays[key], path)
    raise DataError(f"{path} has the arrays {sorted(arrays)}; expected x, or x_test.")


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` returns, any of the many ways a file can be broken becoming one error.

    ``read`` calls a library and nothing else: a damaged file makes pandas, NumPy and pyarrow
    raise almost anything, and a bug of ours must not hide among it.
    """
    try:
        return read()
    except FileNotFoundError:
        raise DataError(f"No file at {path}.") from None
    except MemoryError:
        raise DataError(
            f"Cannot read {path}: this machine has not the memory that it asks for. The file may "
            "be damaged, or larger than this machine can hold."
        ) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # the system's, not a library's
            raise DataError(f"Cannot read {path}: {error.strerror}.") from None
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.") from None
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise DataError(
            f"Cannot read {path}: {reason}. The file may be truncated or damaged."
        ) from None


def _named(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with texts for the names of its columns, each there once."""
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)
    _refuse_repeated(frame.columns, path)
    return frame


def _refuse_repeated(names: pd.Index | pd.Series, path: Path) -> None:
    if repeated := sorted(names[names.duplicated()]):
        raise DataError(
            f"{path} has the column {repeated[0]!r} more than once; rename one of them."
        )


def _separator(path: Path) -> str:
    """What separates the cells of a text file, by its first line."""
    if path.name.removesuffix(".gz").endswith(".tsv"):
        return "\t"

    def first_line() -> str:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", errors="replace") as file:
            return str(file.readline(_MOST_LETTERS))

    names = re.sub(r'"[^"]*"', "", _reading(path, first_line))
    return next((separator for separator in _SEPARATORS if separator in names), ",")


def _read_text(
    path: Path, words: Collection[str], chunksize: int | None = None
) -> Iterator[pd.DataFrame]:
    """The table in a text file, or portions of it."""
    separator = _separator(path)

    def read(**how: Any) -> Any:
        return pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], **how)

    # The first two lines on their own, since pandas renames a name that comes twice, and shifts
    # the names where the rows have more cells than there are names.
    header = _reading(path, lambda: read(header=None, nrows=2, dtype=str)).iloc[0].dropna()
    _refuse_repeated(header, path)
    spelled = {name: str for name in words if name in set(header)}
    how = {"low_memory": False, "dtype": spelled, **_EXACT}

    def typed(frame: pd.DataFrame) -> pd.DataFrame:
        point = "," if separator == ";" else "."
        return frame.apply(lambda c: c if c.name in spelled else _numbers_if_all_are(c, point))

    if chunksize is None:
        yield typed(_reading(path, lambda: read(**how)))
        return
    with _reading(path, lambda: read(chunksize=chunksize, **how)) as frames:
        while (frame := _reading(path, lambda: next(frames, None))) is not None:
            yield typed(frame)


def _read_parquet(path: Path, n_rows: int) -> Iterator[pd.DataFrame]:
    """Portions of a Parquet file."""
    import pyarrow
    import pyarrow.parquet

    with _reading(path, lambda: pyarrow.parquet.ParquetFile(path)) as file:
        batches = file.iter_batches(n_rows)
        while (batch := _reading(path, lambda: next(batches, None))) is not None:
            yield _reading(path, pyarrow.Table.from_batches([batch]).to_pandas)


def _numbers_if_all_are(column: pd.Series, point: str) -> pd.Series:
    """A column of text as numbers, where every value that is not a word for "missing" is one.

    Args:
        column: the column.
        point: what may stand for a decimal point.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    words = column.astype("string").str.strip()
    if point != ".":
        words = words.str.replace(point, ".", n=1, regex=False)
    missing = words.isna() | words.isin(MISSING_WORDS)
    if missing.all() or pd.to_numeric(words[~missing], errors="coerce").isna().any():
        return column
    # Python reads the digits: to_numeric of pandas 2 is off by one in the last of them.
    return words.astype(object).mask(missing, np.nan).astype(np.float64)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file by name; DataError if it cannot be read. No pickle is ever read."""

    def load() -> dict[str, np.ndarray]:
        # As np.load does, with no pickle, but of this one kind of file, which is always closed.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            return {key: np.asarray(arrays[key]) for key in arrays.files}

    loaded: dict[str, np.ndarray] = _reading(path, load)
    return loaded


def features_of_array(x: np.ndarray, path: Path) -> Features:
    """Images stay arrays; a plain matrix of numbers becomes a table with columns x0, x1, ..."""
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: expected arrays of numbers, got {x.dtype}.")
    if x.ndim < 2:
        raise DataError(
            f"{path}: expected an array with one row per example, got one of shape {x.shape}. "
            "Reshape it to (rows, columns)."
        )
    if x.ndim > 2 or x.dtype == np.uint8:
        return x
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
