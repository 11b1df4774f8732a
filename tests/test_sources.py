"""Every kind of file holds the same data; broken files are refused; equal data, equal hash."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets
from strategies import raises_at_most

from evonet.data.files import read_array, read_portions, read_table
from evonet.data.sources import EMBEDDED, RawData, read_source
from evonet.errors import DataError

N = 12
#: What the files below hold, as Python values; None is a missing value.
VALUES: dict[str, list[object]] = {
    "size": [0.1, None, 1e-7, 3.0, -2.5e10, 0.30000000000000004, 7.0, 8.0, 9.5, 1 / 3, 0.0, 2.0],
    "count": [1, 2, None, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    "flag": [True, None, False, True, True, False, False, None, True, False, True, True],
    "sure": [True, False] * 6,
    "word": ["red", None, "NA", "None", "?", "a,b", 'say "hi"', "red", "ü", " x", "red", "-"],
    "kind": ["low", "high", None, "low", "high", "low"] * 2,
    "y": ["p", "q", "q"] * 4,
}
TEXT_ENDINGS = ("csv", "tsv", "csv.gz", "tsv.gz")


def written(folder: Path, ending: str, strings: str = "string", kinds: str = "category") -> Path:
    """The file of ``VALUES`` with an ending, text being written by hand."""
    path = folder / f"table.{ending}"
    if ending in TEXT_ENDINGS:
        separator = "\t" if ending.startswith("tsv") else ","
        lines = [list(VALUES), *zip(*VALUES.values(), strict=True)]
        text = "".join(separator.join(map(_cell, line)) + "\n" for line in lines)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
        return path
    dtypes = {"size": "Float64", "count": "Int64", "flag": "boolean", "sure": "bool"}
    dtypes |= {"word": strings, "kind": kinds, "y": strings}
    frame = pd.DataFrame({k: pd.Series(v, dtype=dtypes[k]) for k, v in VALUES.items()})
    frame.to_parquet(path) if ending == "parquet" else frame.to_feather(path)
    return path


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else repr(value)
    return '"' + text.replace('"', '""') + '"' if isinstance(value, str) else text


def plain(column: pd.Series) -> list[object]:
    """A column as Python values; booleans and whole floats equal the numbers they are."""
    missing = column.isna()
    return [None if m else v for v, m in zip(column.astype(object), missing, strict=True)]


def table(**columns: object) -> RawData:
    """Data with the column ``y``, or a default, as its target."""
    frame = pd.DataFrame(columns)
    labels = frame.pop("y") if "y" in frame else pd.Series(["p", "q"] * (len(frame) // 2), name="y")
    return RawData("table", frame, labels)


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [*TEXT_ENDINGS, "parquet", "feather"])
def test_every_kind_of_file_holds_the_same_values(tmp_path: Path, ending: str) -> None:
    raw = read_source(str(written(tmp_path, ending)), "y")
    read = {name: plain(raw.features[name]) for name in raw.features}
    assert read == {name: values for name, values in VALUES.items() if name != "y"}
    assert plain(raw.labels) == VALUES["y"]
    assert (raw.name, raw.labels.name, raw.n_test) == ("table", "y", 0)


def test_the_kind_of_file_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    paths = [written(tmp_path, ending) for ending in [*TEXT_ENDINGS, "parquet", "feather"]]
    assert len({read_source(str(path), "y").fingerprint() for path in paths}) == 1


@pytest.mark.parametrize("strings", ["string", "object"])
@pytest.mark.parametrize("kinds", ["category", "object"])
def test_how_strings_are_stored_does_not_change_the_data(
    tmp_path: Path, strings: str, kinds: str
) -> None:
    text = read_source(str(written(tmp_path, "csv")), "y")
    stored = read_source(str(written(tmp_path, "parquet", strings, kinds)), "y")
    assert stored.fingerprint() == text.fingerprint()


def test_npz_of_a_matrix_holds_the_same_table_as_a_csv(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(N, 3))
    x[4, 1] = np.nan
    y = np.arange(N) % 2
    np.savez(tmp_path / "t.npz", x_train=x, y_train=y)
    frame = pd.DataFrame(x, columns=["x0", "x1", "x2"]).assign(y=y)
    frame.to_csv(tmp_path / "t.csv", index=False)
    arrays = read_source(str(tmp_path / "t.npz"), None)
    text = read_source(str(tmp_path / "t.csv"), "y")
    assert list(arrays.features) == ["x0", "x1", "x2"]
    assert arrays.fingerprint() == text.fingerprint()


@pytest.mark.parametrize("damage", [[], ["?"]], ids=["numbers only", "with a word for missing"])
@settings(max_examples=30)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_csv_gives_back_every_digit_of_a_number(
    tmp_path_factory: pytest.TempPathFactory, damage: list[str], numbers: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"digits{len(damage)}.csv"
    path.write_text("\n".join(["a", *map(repr, numbers), *damage]))
    assert read_table(path)["a"].tolist()[: len(numbers)] == numbers


@pytest.mark.parametrize(
    "word", ["", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", " NA "]
)
def test_word_for_missing_is_missing_in_a_column_of_numbers(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n1,u\n{word},u\n2.5,v\n")
    assert plain(read_table(path)["a"]) == [1.0, None, 2.5]


@pytest.mark.parametrize("word", ["?", "NA", "None", "nan", "-"])
def test_word_for_missing_is_a_category_in_a_column_of_words(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\nx,1\n{word},2\n,3\n")
    assert plain(read_table(path)["a"]) == ["x", word, None]


@pytest.mark.parametrize("word", ["1_000", "0x1A", "1,5", "1e", "TRUE"])
def test_word_that_only_looks_like_a_number_stays_a_word(tmp_path: Path, word: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'a,b\n1,1\n"{word}",2\n?,3\n')
    assert plain(read_table(path)["a"]) == ["1", word, "?"]


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,y\n1,2\n".encode("utf-8-sig"))
    assert list(read_table(path)) == ["a", "y"]


def test_images_stay_images_and_bring_their_own_test_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(N, 4, 5), dtype=np.uint8)
    y = np.arange(N) % 3
    arrays = {"x_train": x[:8], "y_train": y[:8], "x_test": x[8:], "y_test": y[8:].reshape(-1, 1)}
    np.savez_compressed(tmp_path / "i.npz", **arrays)
    raw = read_source(str(tmp_path / "i.npz"), None)
    assert isinstance(raw.features, np.ndarray)
    assert raw.features.dtype == np.uint8
    assert np.array_equal(raw.features, x)
    assert raw.labels.tolist() == y.tolist()
    assert raw.n_test == 4


def test_matrix_of_bytes_counts_as_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", x_train=np.zeros((N, 6), np.uint8), y_train=np.arange(N))
    features = read_source(str(tmp_path / "i.npz"), None).features
    assert isinstance(features, np.ndarray)
    assert features.shape == (N, 6)


@pytest.mark.parametrize("shape", [(N, 3), (N, 2, 3)], ids=["table", "images"])
def test_byte_order_of_arrays_does_not_change_the_data(tmp_path: Path, shape: tuple) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    y = np.arange(N) % 2
    for name, order in [("big", ">"), ("little", "<")]:
        np.savez(tmp_path / name, x_train=x.astype(f"{order}f8"), y_train=y.astype(f"{order}i4"))
    big, little = (read_source(str(tmp_path / f"{n}.npz"), None) for n in ("big", "little"))
    assert np.array_equal(np.asarray(big.features), x)
    assert np.array_equal(np.asarray(read_array(tmp_path / "big.npz")), x)
    assert big.fingerprint() == little.fingerprint()


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_embedded_data_are_those_of_scikit_learn(name: str) -> None:
    loaded = getattr(datasets, f"load_{name}")()
    raw = read_source(name, None)
    features = np.asarray(raw.features).reshape(len(loaded.data), -1)
    assert np.array_equal(features, loaded.data)
    words = getattr(loaded, "target_names", None) if name not in ("digits", "diabetes") else None
    expected = loaded.target if words is None else words[loaded.target]
    assert raw.labels.tolist() == list(expected)


def test_circles_are_an_inner_and_an_outer_ring() -> None:
    raw = read_source("circles", None)
    radius = np.hypot(raw.features["x0"], raw.features["x1"]).groupby(raw.labels).median()
    assert raw.labels.value_counts().to_dict() == {"inner": 500, "outer": 500}
    assert radius["inner"] == pytest.approx(0.5, abs=0.05)  # the noise is 0.1 in 500 points
    assert radius["outer"] == pytest.approx(1.0, abs=0.05)
    assert raw.fingerprint() == read_source("circles", None).fingerprint()


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_take_no_target(name: str, refuses) -> None:
    with refuses(f"{name} has its own target. Leave out --target"):
        read_source(name, "y")


def test_features_for_prediction_are_read_from_tables_and_arrays(tmp_path: Path) -> None:
    path = written(tmp_path, "csv")
    assert list(next(read_portions(path))) == list(VALUES)
    x = np.random.default_rng(0).normal(size=(3, 2))
    np.savez(tmp_path / "x.npz", x=x, x_test=x + 1, x_train=x + 2)
    np.savez(tmp_path / "test.npz", x_test=x + 1, x_train=x + 2)
    np.savez(tmp_path / "train.npz", x_train=x + 2, y_train=x[:, 0])
    for shift, name in enumerate(["x", "test", "train"]):
        assert np.array_equal(read_array(tmp_path / f"{name}.npz"), x + shift)


# --- refusing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_csv_file_that_another_character_separates_is_read(
    tmp_path: Path, separator: str
) -> None:
    path = written(tmp_path, "tsv").rename(tmp_path / "table.csv")
    text = path.read_text().replace("\t", separator)
    path.write_text(text)
    expected = read_source(str(written(tmp_path, "tsv")), "y")
    assert read_source(str(path), "y").fingerprint() == expected.fingerprint()
    portions = list(read_portions(path, n_rows=5))
    assert sum(map(len, portions)) == N
    assert list(portions[0]) == list(VALUES)


def test_beside_semicolons_numbers_may_have_a_decimal_comma(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"a,b";c;d;e;f\n1,5;1;2,5;x,1;1.5\n-2;2;NA;2,5;2\n;3;;;"3,25"\n')
    frame = read_table(path)
    assert plain(frame["a,b"]) == [1.5, -2, None]
    assert plain(frame["c"]) == [1, 2, 3]
    assert plain(frame["d"]) == [2.5, None, None]
    assert plain(frame["e"]) == ["x,1", "2,5", None]  # words: not all are numbers
    assert plain(frame["f"]) == [1.5, 2, 3.25]


def test_commas_win_over_what_else_may_separate(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b,c|d\n1;2,3|4\n")
    assert list(read_table(path)) == ["a;b", "c|d"]
    for text, names in (
        ('"a;b"\n1\n2\n', ["a;b"]),
        ('id;"a,b"\n1;2\n', ["id", "a,b"]),
        ('"a,b";id\n1;2\n', ["a,b", "id"]),
    ):
        path.write_text(text)
        assert list(read_table(path)) == names


def test_names_that_are_nearly_right_are_suggested(tmp_path: Path, refuses) -> None:
    path = written(tmp_path, "csv")
    with refuses("has no column 'cuont'; .*'y'. Did you mean 'count'"):
        read_source(str(path), "cuont")
    with refuses("No data at iriss: .* Did you mean 'iris'"):
        read_source("iriss", None)
    with refuses("No data at .*tabel.csv: .* Did you mean 'table.csv'"):
        read_source(str(tmp_path / "tabel.csv"), "y")
    for folder in (".", "", "/", str(tmp_path)):
        with refuses("No data at .*: expected one of digits, .*, or a file that exists"):
            read_source(folder, "y")


def test_missing_file_is_refused_and_the_embedded_data_are_named(refuses) -> None:
    with refuses("No data at nowhere.csv: expected one of digits, iris, .* or a file that exists"):
        read_source("nowhere.csv", "y")


@pytest.mark.parametrize("name", ["no.csv", "no.parquet", "no.feather", "no.npz"])
def test_missing_file_for_prediction_is_refused(tmp_path: Path, name: str, refuses) -> None:
    with refuses(f"No file at .*{name}"):
        next(read_portions(tmp_path / name))


@pytest.mark.parametrize("name", ["t.xlsx", "t.json", "t", "csv", "t.csv.zip"])
def test_unknown_ending_is_refused_and_the_known_ones_are_named(
    tmp_path: Path, name: str, refuses
) -> None:
    (tmp_path / name).write_text("a,y\n1,2\n")
    with refuses("unknown kind; expected a name that ends in .csv, .tsv, .*.feather or .npz"):
        read_source(str(tmp_path / name), "y")


def test_missing_target_column_is_refused_and_the_columns_are_named(
    tmp_path: Path, refuses
) -> None:
    path = written(tmp_path, "csv")
    with refuses("has no column 'z'; pass --target with one of 'size', 'count', .*'y'"):
        read_source(str(path), "z")
    with refuses("needs a target: pass --target COLUMN, one of 'size', 'count', .*'y'"):
        read_source(str(path), None)


@pytest.mark.parametrize("target", ["y\nz", None])
def test_message_about_a_target_stays_short_in_a_wide_table(
    tmp_path: Path, target: str | None, refuses
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"long name {i} " * 9 for i in range(500)) + "\n" + "1," * 499 + "1")
    with refuses(".*--target.* one of 'long name 0 .{,500}$"):
        read_source(str(path), target)


@pytest.mark.parametrize("text", ["", "\n\n", "a,y\n", "a,y"])
def test_file_without_rows_is_refused(tmp_path: Path, text: str, refuses) -> None:
    (tmp_path / "t.csv").write_text(text)
    with refuses("has no rows|is empty|Cannot read .*No columns"):
        read_source(str(tmp_path / "t.csv"), "y")


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_binary_table_without_rows_is_refused(tmp_path: Path, ending: str, refuses) -> None:
    frame = pd.DataFrame({"a": [1.0], "y": ["p"]}).iloc[:0]
    path = tmp_path / f"t.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_feather(path)
    with refuses("has no rows"):
        read_source(str(path), "y")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("ending", ["csv.gz", "parquet", "feather", "npz"])
def test_truncated_file_is_refused(tmp_path: Path, ending: str, share: float, refuses) -> None:
    path = tmp_path / f"t.{ending}"
    if ending == "npz":
        x = np.random.default_rng(0).normal(size=(N, 3))
        np.savez_compressed(path, x_train=x, y_train=np.arange(N))
    else:
        written(tmp_path, ending).rename(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with refuses("Cannot read .*The file may be truncated or damaged" if share else "is empty"):
        read_source(str(path), None if ending == "npz" else "y")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather", "npz"])
def test_file_of_another_kind_than_its_ending_is_refused(
    tmp_path: Path, ending: str, refuses
) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"\x93NUMPY\x01\x00\xff\xfe\n\x00 not what it says" * 20)
    with refuses("Cannot read .*The file may be truncated or damaged"):
        read_source(str(path), None if ending == "npz" else "y")


@settings(max_examples=60)
@given(
    compressed=st.booleans(),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_damaged_npz_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    compressed: bool,
    damage: list[tuple[float, int]],
    refuses,
) -> None:
    file = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(file, x_train=np.ones((N, 3)), y_train=np.arange(N))
    damaged = bytearray(file.getvalue())
    for place, byte in damage:
        damaged[int(place * len(damaged))] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    try:
        raw = read_source(str(path), None)
    except Exception:
        with refuses("."):  # any other exception than a DataError of one line fails the test
            read_source(str(path), None)
    else:
        assert len(raw.features) == len(raw.labels)


#: What separates, quotes, spells and breaks cells: most of it makes some table.
CELLS = st.sampled_from(
    [*',;\t|"\n\r\0\ufeff', "1", "2.5", "1,5", "-", "NA", "1e999", "a", "ü", " "]
)
TEXTS = (st.lists(CELLS, max_size=60).map("".join) | st.text(max_size=60)).map(
    str.encode
) | st.binary(max_size=60)


def check_any_table(path: Path) -> None:
    """It is read, whole and in portions alike, or refused by an error of evonet's."""
    whole = portions = None
    with raises_at_most(DataError):
        whole = read_table(path)
    with raises_at_most(DataError):
        portions = list(read_portions(path, n_rows=3))
    if whole is not None and portions is not None:
        assert sum(map(len, portions)) == len(whole)
    for target in [None, "y", *(list(whole.columns)[:1] if whole is not None else [])]:
        with raises_at_most(DataError):
            read_source(str(path), target)


@settings(max_examples=300)
@given(content=TEXTS, ending=st.sampled_from(TEXT_ENDINGS))
def test_any_text_is_a_table_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    check_any_table(path)


@settings(max_examples=60)
@given(
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
    ending=st.sampled_from(["csv", "csv.gz", "parquet", "feather"]),
)
def test_a_damaged_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, int]], ending: str
) -> None:
    path = written(tmp_path_factory.getbasetemp(), ending)
    damaged = bytearray(path.read_bytes())
    for place, byte in damage:
        damaged[int(place * len(damaged))] = byte
    path = path.with_name(f"damaged.{ending}")
    path.write_bytes(damaged)
    check_any_table(path)


def test_a_damaged_file_that_asks_for_all_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyarrow does of a length that became another: a few bits from 256 TiB."""
    path = written(tmp_path, "feather")

    def read(_: Path) -> None:
        raise pa.lib.ArrowMemoryError("malloc of size 281474976710720 failed")

    monkeypatch.setattr(pd, "read_feather", read)
    with pytest.raises(DataError, match=r"not the memory that it asks for\. The file may be "):
        read_table(path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.mark, "executed"))


@pytest.mark.parametrize("key", ["x_train", "y_train", "other"])
def test_pickle_in_an_npz_is_refused_and_not_executed(tmp_path: Path, key: str, refuses) -> None:
    mark, path = tmp_path / "mark", tmp_path / "t.npz"
    arrays = {"x_train": np.ones((N, 2)), "y_train": np.arange(N)}
    arrays[key] = np.array([Bomb(mark)] * N, dtype=object)
    np.savez(path, **arrays)
    with refuses("Cannot read .*[Oo]bject arrays cannot be loaded"):
        read_source(str(path), None)
    assert not mark.exists()
    with np.load(path, allow_pickle=True) as opened:
        opened[key]
    assert mark.exists()  # the trap works: only the refusal kept it shut


def test_bare_pickle_named_npz_is_refused_and_not_executed(tmp_path: Path, refuses) -> None:
    mark, path = tmp_path / "mark", tmp_path / "t.npz"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with refuses("Cannot read .*not a zip file"):
        read_source(str(path), None)
    assert not mark.exists()


def test_single_array_named_npz_is_refused(tmp_path: Path, refuses) -> None:
    np.save(tmp_path / "t.npy", np.ones((N, 2)))
    (tmp_path / "t.npy").rename(tmp_path / "t.npz")
    with refuses("Cannot read .*not a zip file"):
        read_source(str(tmp_path / "t.npz"), None)


def test_archive_of_other_things_than_arrays_is_refused(tmp_path: Path, refuses) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("x_train", "hello")
        archive.writestr("y_train.txt", "hello")
    with refuses(r"has the arrays \['x_train', 'y_train.txt'\]; expected x_train and y_train"):
        read_source(str(tmp_path / "t.npz"), None)
    with zipfile.ZipFile(tmp_path / "t.npz", "a") as archive:
        archive.writestr("y_train", "hello")
    with refuses(r"x_train has shape \(\)"):
        read_source(str(tmp_path / "t.npz"), None)


X = np.ones((N, 2))
Y = np.arange(N) % 2
NPZ_FAULTS = {
    "no labels": ({"x_train": X}, r"has the arrays \['x_train'\]; expected x_train and y_train"),
    "fewer labels": ({"x_train": X, "y_train": Y[1:]}, r"shape \(12, 2\), y_train \(11,\)"),
    "one-hot labels": ({"x_train": X, "y_train": np.eye(2)[Y]}, r"y_train \(12, 2\); expected"),
    "a vector": ({"x_train": X[:, 0], "y_train": Y}, r"x_train has shape \(12,\)"),
    "a number": ({"x_train": 1.0, "y_train": Y}, r"x_train has shape \(\)"),
    "no columns": ({"x_train": X[:, :0], "y_train": Y}, "none empty"),
    "no rows": ({"x_train": X[:0], "y_train": Y[:0], "x_test": X, "y_test": Y}, "none empty"),
    "empty images": ({"x_train": np.ones((N, 0, 3)), "y_train": Y}, "none empty"),
    "another width": (
        {"x_train": X, "y_train": Y, "x_test": np.ones((N, 3)), "y_test": Y},
        r"x_test has shape \(12, 3\).*all x alike",
    ),
    "words": ({"x_train": X.astype(str), "y_train": Y}, "x_train holds <U.*expected numbers"),
    "complex": ({"x_train": X * 1j, "y_train": Y}, "x_train holds complex128"),
    "dates": ({"x_train": X.astype("M8[s]"), "y_train": Y}, "x_train holds datetime64"),
    "dates in one part": (
        {"x_train": X, "y_train": Y, "x_test": X.astype("M8[s]"), "y_test": Y},
        "x_test holds datetime64",
    ),
    "complex labels": ({"x_train": X, "y_train": Y * 1j}, "y_train complex128"),
    "bytes as labels": ({"x_train": X, "y_train": Y.astype(bytes)}, r"y_train \|S"),
    "records": ({"x_train": X, "y_train": np.zeros(N, [("a", int)])}, r"y_train \[\('a'"),
}


@pytest.mark.parametrize("fault", NPZ_FAULTS)
def test_npz_with_unfit_arrays_is_refused(tmp_path: Path, fault: str, refuses) -> None:
    arrays, pattern = NPZ_FAULTS[fault]
    np.savez(tmp_path / "t.npz", **arrays)
    with refuses(pattern):
        read_source(str(tmp_path / "t.npz"), None)


def test_npz_takes_no_target(tmp_path: Path, refuses) -> None:
    np.savez(tmp_path / "t.npz", x_train=X, y_train=Y)
    with refuses("has its target in y_train. Leave out --target"):
        read_source(str(tmp_path / "t.npz"), "y")


def test_npz_for_prediction_without_features_is_refused(tmp_path: Path, refuses) -> None:
    np.savez(tmp_path / "t.npz", y_train=Y)
    with refuses(r"has the arrays \['y_train'\]; expected x, or x_test"):
        read_array(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.arange(4.0), r"expected an array with one row per example, got one of shape \(4,\)"),
        (np.float32(3), r"expected an array with one row per example, got one of shape \(\)"),
        (np.empty((0, 8, 8)), "has no rows"),
        (np.empty((0, 3)), "has no rows"),
    ],
)
def test_npz_for_prediction_without_rows_is_refused(
    x: np.ndarray, message: str, tmp_path: Path, refuses
) -> None:
    np.savez(tmp_path / "t.npz", x=x)
    with refuses(message):
        list(read_portions(tmp_path / "t.npz"))


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_header_alone_has_no_rows_to_predict(tmp_path: Path, ending: str, refuses) -> None:
    (tmp_path / f"t.{ending}").write_text("a,b\n", "utf-8")
    with refuses("has no rows"):
        next(read_portions(tmp_path / f"t.{ending}"))


@pytest.mark.parametrize("names", ["a,a,y", '"a","a","y"', "a,y,y", "a,b,b"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_duplicate_column_names_in_a_csv_are_refused(
    tmp_path: Path, names: str, ending: str, refuses
) -> None:
    text = f"{names}\n1,2,p\n3,4,q\n".encode()
    (tmp_path / f"t.{ending}").write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    with refuses("has the column '[aby]' more than once; rename one of them"):
        read_source(str(tmp_path / f"t.{ending}"), "y")


def test_names_that_pandas_would_give_to_duplicates_are_fine(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a.1,,\n1,2,3,4\n")
    assert list(read_table(tmp_path / "t.csv"))[:2] == ["a", "a.1"]


def test_duplicate_column_names_in_binary_tables_are_refused(tmp_path: Path, refuses) -> None:
    columns = pa.table([pa.array([1.0] * N), pa.array([2.0] * N)], names=["a", "a"])
    pyarrow.feather.write_feather(columns, tmp_path / "t.feather")
    with refuses("has the column 'a' more than once; rename one of them"):
        read_source(str(tmp_path / "t.feather"), "a")
    pyarrow.parquet.write_table(columns, tmp_path / "t.parquet")
    with refuses(r"\ba\b"):  # in pyarrow's words
        read_source(str(tmp_path / "t.parquet"), "a")


@pytest.mark.parametrize(
    "rows", ["1,2,\n3,4,\n", "0,2,3\n1,5,6\n", "1,2,3\n4,5\n", "1,2\n\n3,4,5\n"]
)
def test_row_with_more_cells_than_there_are_names_is_refused(
    tmp_path: Path, rows: str, refuses
) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    with refuses("Cannot read .*Expected 2 fields in line [24], saw 3"):
        read_source(str(tmp_path / "t.csv"), "y")


def test_text_that_is_not_utf8_is_refused(tmp_path: Path, refuses) -> None:
    (tmp_path / "t.csv").write_bytes("a,y\nä,1\n".encode("latin-1"))
    with refuses("Cannot read .*utf-8"):
        read_source(str(tmp_path / "t.csv"), "y")


# --- fingerprint --------------------------------------------------------------------------------

NAMES = st.text(max_size=5)
NUMBERS = st.floats(width=32)
WORDS = st.one_of(st.none(), st.text(max_size=4))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[object]]:
    """Columns of numbers or of words by name, all of one length; the last is the target."""
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    n = draw(st.integers(1, 5))
    return {
        name: draw(st.lists(draw(st.sampled_from([NUMBERS, WORDS])), min_size=n, max_size=n))
        for name in names
    }


def raw_of(columns: dict[str, list[object]], dtypes: tuple[str, str] = ("f8", "object")) -> RawData:
    """The data of columns, numbers and words being stored as the two dtypes say."""
    frame = pd.DataFrame(
        {k: pd.Series(v, dtype=dtypes[not holds_floats(v)]) for k, v in columns.items()}
    )
    target = list(columns)[-1]
    return RawData("t", frame.drop(columns=target), frame[target])


def holds_floats(column: list[object]) -> bool:
    return all(isinstance(value, float) for value in column)


def differ(a: object, b: object) -> bool:
    both_nan = isinstance(a, float) and isinstance(b, float) and a != a and b != b
    return a != b and not both_nan


@given(columns=tables(), data=st.data())
def test_fingerprint_changes_with_any_cell(
    columns: dict[str, list[object]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(columns)))
    row = data.draw(st.integers(0, len(columns[name]) - 1))
    old = columns[name][row]
    values = NUMBERS if holds_floats(columns[name]) else WORDS
    new = data.draw(values.filter(lambda value: differ(value, old)))
    changed = {**columns, name: [*columns[name][:row], new, *columns[name][row + 1 :]]}
    assert raw_of(changed).fingerprint() != raw_of(columns).fingerprint()


@given(columns=tables(), data=st.data())
def test_fingerprint_changes_with_any_column_name(
    columns: dict[str, list[object]], data: st.DataObject
) -> None:
    old = data.draw(st.sampled_from(list(columns)))
    new = data.draw(NAMES.filter(lambda name: name not in columns))
    renamed = {new if name == old else name: column for name, column in columns.items()}
    assert raw_of(renamed).fingerprint() != raw_of(columns).fingerprint()


@given(columns=tables())
def test_fingerprint_changes_with_the_target(columns: dict[str, list[object]]) -> None:
    first, *rest = columns
    other_target = {name: columns[name] for name in [*rest, first]}
    assert raw_of(other_target).fingerprint() != raw_of(columns).fingerprint()


@given(columns=tables())
def test_fingerprint_changes_with_a_column_or_row_less(columns: dict[str, list[object]]) -> None:
    whole = raw_of(columns)
    shorter = {name: column[:-1] for name, column in columns.items()}
    narrower = RawData("t", whole.features.iloc[:, 1:], whole.labels)
    assert len({r.fingerprint() for r in (whole, narrower, raw_of(shorter))}) == 3


@given(columns=tables())
def test_fingerprint_does_not_depend_on_how_values_are_stored(
    columns: dict[str, list[object]],
) -> None:
    expected = raw_of(columns).fingerprint()
    for dtypes in [("f4", "string"), ("f8", "category"), ("Float64", "string[pyarrow]")]:
        # Float64 of pandas takes NaN for a missing value, which is what it means here.
        assert raw_of(columns, dtypes).fingerprint() == expected
    raw = raw_of(columns)
    elsewhere = RawData("other", raw.features.set_index(raw.labels), raw.labels)
    assert elsewhere.fingerprint() == expected


@given(numbers=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_fingerprint_does_not_depend_on_the_type_of_whole_numbers(numbers: list[int]) -> None:
    prints = {
        table(a=pd.Series(numbers, dtype=dtype), y=[0] * len(numbers)).fingerprint()
        for dtype in ("int32", "int64", "Int64", "float64", "int64[pyarrow]")
    }
    assert len(prints) == 1


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object", "float64", "Int8"])
def test_fingerprint_does_not_depend_on_how_booleans_are_stored(dtype: str) -> None:
    flags = [True, False, True, True]
    expected = table(a=pd.array(flags, "boolean")).fingerprint()
    assert table(a=pd.Series(flags, dtype=dtype)).fingerprint() == expected


def test_fingerprint_knows_one_nan_and_one_zero() -> None:
    negative_nan = np.copysign(np.nan, -1.0)  # what 0.0 / 0.0 gives on x86
    assert np.asarray(negative_nan).tobytes() != np.asarray(np.nan).tobytes()
    a = table(a=[np.nan, 0.0]).fingerprint()
    assert a == table(a=[negative_nan, -0.0]).fingerprint()


@given(words=st.lists(WORDS, min_size=4, max_size=12), size=st.integers(1, 5))
def test_fingerprint_does_not_depend_on_chunks(words: list[str | None], size: int) -> None:
    chunks = [pa.array(words[i : i + size], pa.string()) for i in range(0, len(words), size)]
    chunked = pd.Series(pa.chunked_array(chunks), dtype=pd.ArrowDtype(pa.string()))
    y = [0] * len(words)
    whole = pd.Series(words, dtype="object")
    assert table(a=chunked, y=y).fingerprint() == table(a=whole, y=y).fingerprint()


def test_fingerprint_does_not_depend_on_row_groups(tmp_path: Path) -> None:
    whole = written(tmp_path, "parquet")
    expected = read_source(str(whole), "y").fingerprint()
    grouped = tmp_path / "grouped.parquet"
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(whole), grouped, row_group_size=5)
    assert read_source(str(grouped), "y").fingerprint() == expected


def test_number_and_the_word_that_spells_it_have_different_fingerprints() -> None:
    prints = {table(a=column).fingerprint() for column in ([1, 2], ["1", "2"], [None, "2"])}
    assert len(prints) == 3


def test_missing_word_and_its_spelling_have_different_fingerprints() -> None:
    spellings = (None, "", "None", "nan", "NaN", "<NA>", "null")
    assert len({table(a=["x", word]).fingerprint() for word in spellings}) == len(spellings)


def test_fingerprint_of_images_changes_with_pixel_shape_type_label_and_test_part() -> None:
    x = np.arange(N * 6, dtype=np.uint8).reshape(N, 2, 3)
    y = pd.Series(np.arange(N) % 2, name="y")
    other_x, other_y = x.copy(), y.copy()
    other_x[3, 1, 2] += 1
    other_y[5] += 1
    variants = [
        RawData("i", x, y),
        RawData("i", other_x, y),
        RawData("i", x.reshape(N, 3, 2), y),
        RawData("i", x.astype(np.float32), y),
        RawData("i", x, other_y),
        RawData("i", x, y, n_test=4),
    ]
    assert len({raw.fingerprint() for raw in variants}) == len(variants)
    flipped = x[:, :, ::-1]
    again = RawData("other", np.ascontiguousarray(flipped)[:, :, ::-1], y)
    assert again.fingerprint() == variants[0].fingerprint()


def test_fingerprint_is_plain_text_of_fixed_length() -> None:
    fingerprint = read_source("iris", None).fingerprint()
    assert len(fingerprint) == 32
    assert int(fingerprint, 16) >= 0
    assert json.loads(json.dumps(fingerprint)) == fingerprint


def test_half_a_test_part_is_refused(tmp_path: Path, refuses) -> None:
    path = tmp_path / "a.npz"
    x, y = np.zeros((20, 2)), np.arange(20) % 2
    np.savez(path, x_train=x, y_train=y, x_test=x)
    with refuses(r"a\.npz has x_test or y_test alone; expected both, or neither"):
        read_source(str(path), None)
