"""Any table becomes finite numbers, as scikit-learn would make them, from training rows alone."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planted import from_plain
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evonet.data.files import read_table
from evonet.data.preparation import (
    CategoricalColumn,
    ImagePreparation,
    NumericColumn,
    Preparation,
    TablePreparation,
    fit_preparation,
    words_of,
)

FLOATS = st.one_of(st.none(), st.floats(width=32, allow_infinity=False))
CENTS = st.integers(-100_000, 100_000).map(lambda cents: cents / 100)
FEW_WORDS = st.sampled_from(["red", "green", "blue", "Red", "1", "1.0", "NA", ""])
#: Kinds of columns: values, and the pandas types that can hold them.
KINDS: dict[str, tuple[st.SearchStrategy, list[str]]] = {
    "floats": (FLOATS, ["float64", "float32", "Float64"]),
    "integers": (st.one_of(st.none(), st.integers(-(2**31), 2**31)), ["Int64", "float64"]),
    "booleans": (st.one_of(st.none(), st.booleans()), ["boolean", "object"]),
    "constant": (st.just(0.1), ["float64", "float32", "object", "category"]),
    "words": (st.one_of(st.none(), st.text(max_size=3)), ["object", "string", "category"]),
    "few words": (st.one_of(st.none(), FEW_WORDS), ["object", "string", "category"]),
    "number categories": (st.one_of(st.none(), st.integers(0, 5)), ["category"]),
    "nothing": (st.none(), ["float64", "object", "string", "category", "Int64", "boolean"]),
}


@st.composite
def columns(draw: st.DrawFn, n: int) -> pd.Series:
    """A column of ``n`` values of one kind, stored in one of the ways that fit the kind."""
    values, dtypes = KINDS[draw(st.sampled_from(list(KINDS)))]
    return pd.Series(
        draw(st.lists(values, min_size=n, max_size=n)), dtype=draw(st.sampled_from(dtypes))
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with a column ``sure`` that is always kept, and the rows to learn from."""
    n = draw(st.integers(1, 25))
    names = draw(st.lists(st.text(max_size=4), max_size=4, unique=True))
    frame = pd.DataFrame({name: draw(columns(n)) for name in names}, index=range(n))
    frame["sure"] = np.arange(n, dtype=np.float64)
    train = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    return frame, np.sort(train)


def again(preparation: Preparation) -> Preparation:
    """A preparation that went through JSON text."""
    return from_plain(type(preparation), preparation.to_dict())


def fit(max_categories: int = 32, **features: object) -> TablePreparation:
    preparation, notes = fit_preparation(pd.DataFrame(features), max_categories)
    assert notes == []
    assert isinstance(preparation, TablePreparation)
    return preparation


# --- any table ------------------------------------------------------------------------------------


@given(table=tables(), most=st.integers(2, 6))
@settings(max_examples=150)
def test_any_table_becomes_finite_numbers_of_the_promised_width(
    table: tuple[pd.DataFrame, np.ndarray], most: int
) -> None:
    frame, train = table
    preparation, notes = fit_preparation(frame.iloc[train], most)
    for rows in (frame, frame.iloc[train], frame.iloc[:1], frame.iloc[:0]):
        x = preparation.transform(rows)
        assert x.dtype == np.float32
        assert x.shape == (len(rows), len(preparation.inputs))
        assert np.isfinite(x).all()
    kept = [column.name for column in preparation.columns]
    assert len(kept) + len(notes) == frame.shape[1]
    assert all(c.inputs for c in preparation.columns)
    assert all(len(c.categories) <= most for c in preparation.columns if hasattr(c, "categories"))


@given(table=tables(), most=st.integers(2, 6))
def test_rows_without_an_input_for_their_word_are_told(
    table: tuple[pd.DataFrame, np.ndarray], most: int
) -> None:
    frame, train = table
    preparation, _ = fit_preparation(frame.iloc[train], most)
    x = pd.DataFrame(preparation.transform(frame))
    told = {unseen.column: unseen for unseen in preparation.unseen(frame)}
    start = 0
    for column in preparation.columns:
        if isinstance(column, CategoricalColumn):
            without = x.iloc[:, start : start + len(column.categories)].sum(axis=1) == 0
            assert (told[column.name].n_rows if column.name in told else 0) == without.sum()
            if column.name in told:
                words = {*words_of(frame[column.name][without])}
                assert {*told[column.name].examples} <= words
                assert len(told[column.name].examples) == min(3, len(words))
        start += len(column.inputs)


@given(table=tables(), most=st.integers(2, 6))
def test_preparation_that_went_through_json_is_the_same(
    table: tuple[pd.DataFrame, np.ndarray], most: int
) -> None:
    frame, train = table
    preparation, _ = fit_preparation(frame.iloc[train], most)
    assert again(preparation) == preparation
    assert again(preparation).inputs == preparation.inputs
    assert np.array_equal(again(preparation).transform(frame), preparation.transform(frame))


@given(table=tables(), data=st.data())
def test_rows_outside_the_training_part_do_not_influence_the_preparation(
    table: tuple[pd.DataFrame, np.ndarray], data: st.DataObject
) -> None:
    frame, train = table
    others = np.setdiff1d(np.arange(len(frame)), train)
    assume(len(others))
    changed = frame.copy()
    for name in frame:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            changed[name] = changed[name].cat.add_categories(["a new word"])
        for row in others:
            source = data.draw(st.integers(0, len(frame) - 1))
            changed.loc[row, name] = frame[name].iloc[source]
    assert fit_preparation(frame.iloc[train], 3) == fit_preparation(changed.iloc[train], 3)


@given(table=tables(), seed=st.integers(0, 9))
def test_order_of_rows_and_columns_does_not_change_the_inputs(
    table: tuple[pd.DataFrame, np.ndarray], seed: int
) -> None:
    frame, train = table
    preparation, _ = fit_preparation(frame.iloc[train], 4)
    x = preparation.transform(frame)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(frame))
    shuffled = frame.iloc[rows][rng.permutation(frame.columns)].assign(more="unused")
    assert np.array_equal(preparation.transform(shuffled), x[rows])


# --- numbers --------------------------------------------------------------------------------------


@given(
    numbers=st.lists(st.one_of(st.none(), CENTS), min_size=2, max_size=30).filter(
        lambda v: any(x is not None for x in v)
    ),
    later=st.lists(st.one_of(st.none(), CENTS), min_size=1, max_size=5),
)
def test_numbers_are_imputed_and_standardised_as_scikit_learn_does_it(
    numbers: list[float | None], later: list[float | None]
) -> None:
    train, new = (np.array(v, dtype=np.float64).reshape(-1, 1) for v in (numbers, later))
    imputer = SimpleImputer(strategy="median").fit(train)
    scaler = StandardScaler().fit(imputer.transform(train))
    preparation = fit(a=train[:, 0])
    marks = bool(np.isnan(train).any())
    assert preparation.inputs == (["a", "a missing"] if marks else ["a"])
    for rows in (train, new):
        x = preparation.transform(pd.DataFrame({"a": rows[:, 0]}))
        expected = scaler.transform(imputer.transform(rows))[:, 0]
        assert x[:, 0] == pytest.approx(expected, rel=1e-6, abs=1e-6)  # float32
        if marks:
            assert np.array_equal(x[:, 1], np.isnan(rows[:, 0]))


def test_numbers_by_hand() -> None:
    preparation = fit(a=[1.0, 3.0, np.nan, 8.0])  # median 3, filled mean 3.75, variance 6.6875
    expected = (np.array([1.0, 3.0, 3.0, 8.0]) - 3.75) / np.sqrt(6.6875)
    x = preparation.transform(pd.DataFrame({"a": [1.0, 3.0, np.nan, 8.0]}))
    assert x[:, 0] == pytest.approx(expected, rel=1e-6)  # float32
    assert x[:, 1].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 1e30, -7.7, 0.0])
@pytest.mark.parametrize("n", [1, 3, 10, 1000])
def test_constant_in_training_is_not_divided_by_its_rounding_error(value: float, n: int) -> None:
    preparation = fit(a=[value] * n)
    x = preparation.transform(pd.DataFrame({"a": [value, value + 1.0]}))[:, 0]
    assert x.tolist() == pytest.approx(
        [0.0, 1.0], abs=1e-6 + abs(value) * 1e-15
    )  # float64 rounding


def test_noise_of_rounding_is_not_blown_up() -> None:
    preparation = fit(a=[0.1 + 0.2, 0.3] * 10)
    assert preparation.transform(pd.DataFrame({"a": [0.3, 1.3]}))[:, 0] == pytest.approx(
        [0.0, 1.0], abs=1e-6
    )


def test_small_differences_of_large_numbers_are_kept() -> None:
    start = 1.7e18  # nanoseconds since 1970, a second apart
    numbers = start + np.arange(5) * 1e9
    x = fit(a=numbers).transform(pd.DataFrame({"a": numbers}))[:, 0]
    # float64 has steps of 256 ns here.
    assert x == pytest.approx(np.array([-2, -1, 0, 1, 2]) / np.sqrt(2), abs=1e-6)


def test_number_far_outside_of_training_stays_finite() -> None:
    x = fit(a=[1e-30, 2e-30]).transform(pd.DataFrame({"a": [3e38, -3e38, 1.5e-30]}))[:, 0]
    largest = float(np.finfo(np.float32).max)
    assert x[:2].tolist() == [largest, -largest]
    assert x[2] == pytest.approx(0.0, abs=1e-9)  # float64 rounding


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_booleans_are_the_numbers_zero_and_one(dtype: str) -> None:
    flags = pd.Series([True, False, True, True], dtype=dtype)
    preparation = fit(a=flags)
    expected = StandardScaler().fit_transform([[1.0], [0.0], [1.0], [1.0]])[:, 0]
    assert preparation.inputs == ["a"]
    x = preparation.transform(pd.DataFrame({"a": flags}))
    assert x[:, 0] == pytest.approx(expected, rel=1e-6)  # float32


@pytest.mark.parametrize("spelled", [["True", "false", " TRUE ", None], ["1", "0.0", "1e0", "NA"]])
def test_booleans_and_numbers_may_be_spelled_at_prediction(spelled: list[str | None]) -> None:
    preparation = fit(a=pd.Series([True, False, True, None], dtype="object"))
    expected = preparation.transform(pd.DataFrame({"a": [1.0, 0.0, 1.0, np.nan]}))
    assert np.array_equal(preparation.transform(pd.DataFrame({"a": spelled})), expected)


@pytest.mark.parametrize("word", ["", "NA", "?", "nan", "-", "null"])
def test_single_row_with_a_word_for_missing_can_be_predicted(tmp_path: Path, word: str) -> None:
    preparation = fit(a=[1.0, 2.0, 6.0], b=[1.0, 2.0, 3.0])
    (tmp_path / "row.csv").write_text(f"b,a\n2,{word}\n")
    x = preparation.transform(read_table(tmp_path / "row.csv"))
    assert np.array_equal(x, preparation.transform(pd.DataFrame({"a": [2.0], "b": [2.0]})))


@pytest.mark.parametrize("value", ["many", "1 2", "0x1A", "a\nb"])
def test_word_in_a_column_of_numbers_names_column_and_row(value: str, refuses) -> None:
    preparation = fit(a=[1.0, 2.0, 3.0])
    with refuses("Column 'a' holds '.*' in row 2; expected a number, as in training"):
        preparation.transform(pd.DataFrame({"a": ["1", value, "3"]}))


@pytest.mark.parametrize("values", [[1.0, 2.0, np.inf], ["1", "2", "-inf"], [1.0, 2.0, 1e39]])
def test_infinite_number_names_column_and_row(values: list[object], refuses) -> None:
    preparation = fit(a=[1.0, 2.0, 3.0])
    with refuses("Column 'a' is infinite in row 3; expected finite numbers"):
        preparation.transform(pd.DataFrame({"a": values}))


# --- categories -----------------------------------------------------------------------------------

LETTERS = st.sampled_from("abcdefg")


@given(
    words=st.lists(st.one_of(st.none(), LETTERS), min_size=3, max_size=30).filter(
        lambda v: Counter(v).most_common(1)[0][1] >= 3
    ),
    later=st.lists(st.one_of(st.none(), LETTERS, st.just("unseen")), min_size=1, max_size=6),
    dtype=st.sampled_from(["object", "string", "category"]),
)
def test_words_are_encoded_as_scikit_learn_does_it(
    words: list[str | None], later: list[str | None], dtype: str
) -> None:
    encoder = OneHotEncoder(
        min_frequency=3, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    spelled = [["~missing" if word is None else word] for word in (*words, *later)]  # sorted last
    encoder.fit(spelled[: len(words)])
    preparation = fit(a=pd.Series(words, dtype=dtype))
    x = preparation.transform(pd.DataFrame({"a": pd.Series([*words, *later], dtype=dtype)}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories")  # they are meant
        expected = encoder.transform(spelled)
    assert np.array_equal(x, expected)


def test_categories_by_hand() -> None:
    words = ["b"] * 4 + ["a"] * 3 + ["c"] * 2 + [None] * 3
    preparation = fit(color=words)
    assert preparation.inputs == ["color = a", "color = b", "color = (missing)", "color = (rare)"]
    x = preparation.transform(pd.DataFrame({"color": ["a", "b", None, "c", "never seen"]}))
    assert x.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]


def test_word_that_was_never_seen_sets_no_input_where_nothing_was_rare() -> None:
    preparation = fit(a=["x", "y"] * 3)
    x = preparation.transform(pd.DataFrame({"a": ["y", "z", None]}))
    assert x.tolist() == [[0, 1], [0, 0], [0, 0]]


@given(counts=st.lists(st.integers(3, 30), min_size=3, max_size=8, unique=True), data=st.data())
def test_most_frequent_categories_get_an_input_of_their_own(
    counts: list[int], data: st.DataObject
) -> None:
    most = data.draw(st.integers(2, len(counts) - 1))
    words = np.repeat([f"word {i}" for i in range(len(counts))], counts)
    # What is rare counts as one of scikit-learn's categories.
    encoder = OneHotEncoder(max_categories=most + 1, sparse_output=False)
    expected = encoder.fit_transform(words.reshape(-1, 1))
    preparation = fit(most, a=words)
    assert len(preparation.inputs) == most + 1
    assert np.array_equal(preparation.transform(pd.DataFrame({"a": words})), expected)


def test_equally_frequent_categories_are_chosen_by_name_whatever_the_order() -> None:
    words = ["d", "b", "a", "c"] * 3
    chosen = {fit(2, a=order).inputs[:2] == ["a = a", "a = b"] for order in (words, words[::-1])}
    assert chosen == {True}


def test_whole_numbers_among_words_are_spelled_without_a_point() -> None:
    categories = pd.Categorical([1, 2, 1, 2, 1, 2])
    preparation = fit(a=categories)
    x = preparation.transform(pd.DataFrame({"a": categories}))
    for same in ([1, 2], [1.0, 2.0], ["1", "2"]):
        assert np.array_equal(preparation.transform(pd.DataFrame({"a": same})), x[:2])


def test_column_of_identifiers_is_left_out_with_a_note(refuses) -> None:
    names = [f"person {i}" for i in range(20)]
    preparation, notes = fit_preparation(pd.DataFrame({"name": names, "a": range(20)}), 32)
    assert preparation.inputs == ["a"]
    assert notes == ["Left out 'name': hardly any value occurs twice in the training rows."]
    with refuses("No column is left to learn from: in each, hardly any value occurs twice"):
        fit_preparation(pd.DataFrame({"name": names}), 32)


# --- tables ---------------------------------------------------------------------------------------


def test_inputs_keep_the_order_of_the_columns() -> None:
    preparation = fit(b=[1.0, None, 2.0], a=["x"] * 3, c=[True, False, True])
    assert preparation.inputs == ["b", "b missing", "a = x", "c"]


def test_missing_columns_are_named(refuses) -> None:
    preparation = fit(**{f"c{i}": [1.0, 2.0] for i in range(9)})
    with refuses("1 of 9 columns of training is missing: 'c4'. Give a table that has them"):
        preparation.transform(pd.DataFrame({f"c{i}": [1.0] for i in range(9) if i != 4}))
    with refuses("9 of 9 .* missing: 'c0', .*'c5' and 3 more. Give .* Did you mean 'c 0'"):
        preparation.transform(pd.DataFrame({"c 0": [1.0]}))
    with refuses(r"1 of 9 .* missing: 'c4'. Give a table that has them\.?$"):  # not what is there
        preparation.transform(pd.DataFrame({f"c{i}": [1.0] for i in range(9) if i != 4}))
    with refuses("Expected a table with the columns of training, got an array"):
        preparation.transform(np.ones((2, 9)))


def test_preparation_of_a_table_is_a_record_of_plain_values() -> None:
    record = fit(a=[1.0, None, 2.0], w=["x", "x", "x"]).to_dict()
    assert record == {
        "kind": "table",
        "columns": (
            {
                "kind": "numeric",
                "name": "a",
                "fill": 1.5,
                "mean": 1.5,
                "scale": pytest.approx(np.sqrt(1 / 6)),
                "marks_missing": True,
            },
            {"kind": "categorical", "name": "w", "categories": ("x",), "pools_rare": False},
        ),
    }
    parts = from_plain(TablePreparation, record).columns
    assert [type(part) for part in parts] == [NumericColumn, CategoricalColumn]


# --- images ---------------------------------------------------------------------------------------


def test_bytes_are_scaled_by_255_whatever_occurs() -> None:
    pixels = np.array([[[0, 51], [102, 204]]], dtype=np.uint8)
    preparation, notes = fit_preparation(pixels, 32)
    assert notes == []
    assert preparation.inputs == ["pixel 0", "pixel 1", "pixel 2", "pixel 3"]
    x = preparation.transform(pixels)
    assert x.dtype == np.float32
    assert x == pytest.approx(np.array([[0.0, 0.2, 0.4, 0.8]]), rel=1e-6)  # float32


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int64", "float16", "float32", "float64"])
def test_other_images_are_scaled_by_the_largest_training_pixel(dtype: str) -> None:
    train = np.array([[[0, 4], [8, 16]]], dtype=dtype)
    preparation, _ = fit_preparation(train, 32)
    assert preparation.transform(train).tolist() == [[0.0, 0.25, 0.5, 1.0]]
    assert preparation.transform(train * 2).tolist() == [[0.0, 0.5, 1.0, 2.0]]


def test_images_from_zero_to_one_stay_as_they_are() -> None:
    images = np.random.default_rng(0).random((4, 3, 2, 2), dtype=np.float32)
    preparation, _ = fit_preparation(images, 32)
    assert np.array_equal(preparation.transform(images), images.reshape(4, 12))
    flags = images > 0.5
    assert np.array_equal(fit_preparation(flags, 32)[0].transform(flags), flags.reshape(4, 12))


def test_preparation_of_images_survives_json() -> None:
    images = np.random.default_rng(0).normal(size=(5, 3, 2)) * 7
    preparation, _ = fit_preparation(images, 32)
    assert isinstance(preparation, ImagePreparation)
    assert again(preparation) == preparation
    assert np.array_equal(again(preparation).transform(images), preparation.transform(images))


def test_images_of_another_shape_are_refused(refuses) -> None:
    preparation, _ = fit_preparation(np.ones((5, 3, 2)), 32)
    with refuses(r"Expected images of shape \(3, 2\), got \(2, 3\)"):
        preparation.transform(np.ones((5, 2, 3)))
    with refuses(r"Expected images of shape \(3, 2\), got a table"):
        preparation.transform(pd.DataFrame({"a": [1.0]}))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_images_with_nan_or_infinite_values_are_refused(value: float, refuses) -> None:
    images = np.ones((5, 3, 2))
    preparation, _ = fit_preparation(images, 32)
    images[4, 2, 1] = value
    with refuses("The images have NaN or infinite values; expected finite numbers"):
        preparation.transform(images)
