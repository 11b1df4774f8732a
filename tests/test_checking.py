"""Data that cannot be learned from are refused, and columns that say nothing are left out."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonet.data.checking import check_features, check_labels, labelled
from evonet.data.sources import RawData

N = 12
Y = pd.Series(["p", "q"] * 6, name="y")


def with_labels(labels: object, name: str = "y", dtype: object = None) -> RawData:
    """Data of one good column with these labels."""
    column = pd.Series(labels, name=name, dtype=dtype)
    return RawData("table", pd.DataFrame({"a": np.arange(len(column))}), column)


def with_columns(**columns: object) -> RawData:
    """Data of a good column ``a`` and these columns."""
    return RawData("table", pd.DataFrame({"a": np.arange(N), **columns}), Y)


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 9])
def test_too_few_rows_are_refused(n: int, refuses) -> None:
    with refuses(f"table has {n} rows; expected at least 10"):
        check_labels(with_labels((["p", "q"] * 5)[:n]), "auto")


def test_ten_rows_are_enough() -> None:
    assert check_labels(with_labels(["p", "q"] * 5), "auto")[0] == "binary"


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize("dtype", ["object", "string", "category", "float64", "Int64", "boolean"])
def test_rows_without_a_target_are_left_out(dtype: str, missing: object) -> None:
    labels = pd.Series([1, 0] * 6).astype(dtype)
    if dtype in ("object", "string", "category"):
        labels = Y.astype(dtype)
    labels.iloc[[4, 7]] = missing if dtype == "object" else None
    found, n_left_out = labelled(with_labels(labels))
    assert n_left_out == 2
    assert found.labels.isna().sum() == 0
    kept = [i for i in range(12) if i not in (4, 7)]
    assert found.labels.tolist() == labels.iloc[kept].tolist()
    expected = with_labels(labels).features.iloc[kept].reset_index(drop=True)
    assert found.features.equals(expected)


def test_a_test_part_without_a_target_is_refused(refuses) -> None:
    labels = pd.Series([1.0, 0.0] * 10 + [np.nan] * 3)
    with refuses("images has a test part without labels. Leave x_test and y_test out"):
        labelled(RawData("images", np.arange(23.0).reshape(23, 1), labels, 3))


def test_too_few_rows_with_a_target_are_refused(refuses) -> None:
    with refuses(r"Target 'y' is missing in 11 of 20 rows, which leaves 9; expected at least 10"):
        labelled(with_labels([1.0] * 9 + [None] * 11))


def test_rows_without_a_target_are_of_no_test_part() -> None:
    raw = RawData("images", np.arange(12.0).reshape(12, 1), with_labels([1, 0] * 6).labels, 3)
    labels = raw.labels.astype(float)
    labels.iloc[[2, 10]] = np.nan
    found, _ = labelled(RawData(raw.name, raw.features, labels, raw.n_test))
    assert found.n_test == 2
    assert found.features[-2:].ravel().tolist() == [9.0, 11.0]
    assert labelled(raw) == (raw, 0)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, -1e300])
def test_infinite_value_in_target_is_refused(value: float, refuses) -> None:
    with refuses(r"Target 'y' has values that are infinite or beyond 3.4e\+38.* Remove these rows"):
        check_labels(with_labels([*range(N), value]), "auto")


@pytest.mark.parametrize(
    ("value", "shown"), [("p", "'p'"), (1, "'1'"), (True, "'True'"), ("a\nb", r"'a\\nb'")]
)
@pytest.mark.parametrize("wanted", ["auto", "binary", "multiclass", "regression"])
def test_target_with_one_class_is_refused(value: object, shown: str, wanted: str, refuses) -> None:
    with refuses(f"Target 'y' has only one value, {shown}; nothing to learn. Choose another"):
        check_labels(with_labels([value] * N), wanted)


@pytest.mark.parametrize("wanted", ["auto", "multiclass"])
def test_target_with_more_classes_than_a_third_of_the_rows_is_refused(wanted: str, refuses) -> None:
    labels = ["a", "b", "c", "d", "e"] + ["a"] * 7
    with refuses("Target 'y' has 5 classes in 12 rows; expected at least 3 rows a class"):
        check_labels(with_labels(labels), wanted)
    assert check_labels(with_labels(["a", "b", "c", "d"] * 3), wanted)[0] == "multiclass"


def test_words_cannot_be_a_quantity(refuses) -> None:
    for dtype in ("object", "string", "category"):
        with refuses("Target 'y' is not a number; expected one for --task regression"):
            check_labels(with_labels(["1", "2", "3"] * 4, dtype=dtype), "regression")


def test_three_classes_are_not_binary(refuses) -> None:
    with refuses("Target 'y' has 3 values; expected 2 for --task binary"):
        check_labels(with_labels(["a", "b", "c"] * 4), "binary")


@pytest.mark.parametrize(
    ("labels", "wanted", "task"),
    [
        (["p", "q"] * 6, "multiclass", "binary"),
        (["p", "q"] * 6, "binary", "binary"),
        ([0, 1, 2] * 4, "multiclass", "multiclass"),
        ([0, 1, 2] * 4, "regression", "regression"),
        ([0.5, 1.5, 2.5] * 4, "multiclass", "multiclass"),
        ([0.5, 1.5] * 6, "binary", "binary"),
        (list(range(12)), "regression", "regression"),
    ],
)
def test_task_that_was_asked_for_is_taken(labels: list[object], wanted: str, task: str) -> None:
    assert check_labels(with_labels(labels), wanted) == (task, f"Target 'y': {task}, as asked.")


def test_task_that_was_inferred_is_explained() -> None:
    task, how = check_labels(with_labels([1.0, 2.0, 3.0] * 4), "auto")
    assert task == "multiclass"
    assert how == (
        "Target 'y': 3 distinct whole numbers, so multiclass. Pass --task to read it otherwise."
    )
    assert check_labels(with_labels(np.linspace(0, 1, N)), "auto")[0] == "regression"


def test_quantity_may_have_a_distinct_value_in_every_row() -> None:
    assert check_labels(with_labels(np.arange(1000) / 7), "auto")[0] == "regression"


UNUSABLE = {
    "dates": pd.to_datetime(["2020-01-01", "2021-01-01"] * 6),
    "dates with a zone": pd.to_datetime(["2020-01-01", "2021-01-01"] * 6, utc=True),
    "days": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 6,
    "durations": pd.to_timedelta([1, 2] * 6, unit="s"),
    "periods": pd.period_range("2020", periods=N, freq="D"),
    "lists": [[1], [2]] * 6,
    "bytes": [b"x", b"y"] * 6,
    "decimals": [decimal.Decimal(1), decimal.Decimal(2)] * 6,
    "categories that are dates": pd.Categorical(pd.to_datetime(["2020", "2021"] * 6)),
    "no dates at all": pd.Series([pd.NaT] * N),
}


@pytest.mark.parametrize("kind", [kind for kind in UNUSABLE if kind != "no dates at all"])
@pytest.mark.parametrize("wanted", ["auto", "regression"])
def test_target_of_a_kind_that_cannot_be_predicted_is_refused(
    kind: str, wanted: str, refuses
) -> None:
    with refuses("Target 'y' holds .* values; expected numbers, words or booleans. Choose"):
        check_labels(with_labels(UNUSABLE[kind]), wanted)


def test_name_of_a_target_stays_on_the_line(refuses) -> None:
    with refuses(r"Target 'a\\nb' is not a number"):
        check_labels(with_labels(["p", "q"] * 6, name="a\nb"), "regression")


# --- columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UNUSABLE)
def test_column_of_a_kind_that_cannot_be_used_is_refused(kind: str, refuses) -> None:
    raw = with_columns(b=UNUSABLE[kind])
    with refuses("Column 'b' holds .* values; expected numbers, words or .*, or pass --drop 'b'"):
        check_features(raw, ())
    assert list(check_features(raw, ("b",))[0].features) == ["a"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "Float64", "float64[pyarrow]"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_value_in_a_column_is_refused(value: float, dtype: str, refuses) -> None:
    column = pd.Series([*range(N - 2), value, value], dtype=dtype)
    with refuses("Column 'b' has 2 values that are infinite or .*, or pass --drop 'b'"):
        check_features(with_columns(b=column), ())


@pytest.mark.parametrize("value", [3.5e38, -3.5e38, 6e38])
def test_number_that_float32_cannot_hold_is_refused(value: float, refuses) -> None:
    with refuses(r"Column 'b' has 1 value that is infinite or beyond 3.4e\+38"):
        check_features(with_columns(b=[*range(N - 1), value]), ())
    checked, _ = check_features(with_columns(b=[*range(N - 1), value / 2]), ())
    assert list(checked.features) == ["a", "b"]


@pytest.mark.parametrize(
    "column",
    [
        [1.5] * N,
        ["x"] * N,
        [True] * N,
        pd.array([1] * N, "Int64"),
        pd.Categorical(["x"] * N, categories=["x", "y"]),
    ],
)
def test_constant_column_is_left_out_with_a_note(column: object) -> None:
    checked, notes = check_features(with_columns(b=column), ())
    assert list(checked.features) == ["a"]
    assert notes == ["Left out 'b': constant, so it says nothing."]


@pytest.mark.parametrize("dtype", ["float64", "object", "string", "category", "Int64", "boolean"])
def test_column_without_values_is_left_out_with_a_note(dtype: str) -> None:
    checked, notes = check_features(with_columns(b=pd.Series([None] * N, dtype=dtype)), ())
    assert list(checked.features) == ["a"]
    assert notes == ["Left out 'b': empty, so it says nothing."]


@pytest.mark.parametrize("value", [1.0, "x", True])
def test_one_value_and_missing_ones_are_not_constant(value: object) -> None:
    column = pd.Series([value] * (N - 1) + [None])
    assert list(check_features(with_columns(b=column), ())[0].features) == ["a", "b"]


def test_every_kind_of_column_left_out_has_its_note_and_long_lists_are_cut() -> None:
    constants = {f"c{i}": [1] * N for i in range(8)}
    checked, notes = check_features(with_columns(**constants, e=[None] * N), ())
    assert list(checked.features) == ["a"]
    assert notes == [
        "Left out 'e': empty, so it says nothing.",
        "Left out 'c0', 'c1', 'c2', 'c3', 'c4', 'c5' and 2 more: constant, so it says nothing.",
    ]


def test_columns_of_numbers_words_and_booleans_stay() -> None:
    good = {
        "numbers": np.linspace(0, 1, N),
        "nullable": pd.array([1, None, 3] * 4, "Int64"),
        "words": ["x", "y", None] * 4,
        "categories": pd.Categorical(["x", "y", None] * 4),
        "number categories": pd.Categorical([1, 2, 3] * 4),
        "flags": [True, False] * 6,
        "flags with gaps": pd.Series([True, False, None] * 4, dtype="object"),
        "nullable flags": pd.array([True, False, None] * 4, "boolean"),
        "identifiers": [f"row {i}" for i in range(N)],
    }
    raw = with_columns(**good)
    before = raw.features.copy()
    checked, notes = check_features(raw, ())
    assert list(checked.features) == ["a", *good]
    assert notes == []
    pd.testing.assert_frame_equal(raw.features, before)
    pd.testing.assert_frame_equal(checked.features, before)


def test_dropped_columns_are_gone_and_the_rest_of_the_data_stays() -> None:
    raw = RawData("table", pd.DataFrame({"a": range(N), "b": range(N), "c": range(N)}), Y, n_test=4)
    checked, notes = check_features(raw, ("c", "a"))
    assert list(checked.features) == ["b"]
    assert (checked.name, checked.n_test, notes) == ("table", 4, [])
    assert checked.labels is Y


def test_dropping_an_unknown_column_is_refused(refuses) -> None:
    with refuses("--drop 'z': no such column; expected one of 'a', 'b'"):
        check_features(with_columns(b=range(N)), ("b", "z"))


def test_a_column_to_drop_that_is_nearly_right_is_suggested(refuses) -> None:
    raw = with_columns(income=range(N), age=range(N))
    with refuses("--drop 'incom': no such column; .* Did you mean 'income'"):
        check_features(raw, ("incom",))
    with refuses("--drop 'income, age': .* For several, pass --drop income --drop age"):
        check_features(raw, ("income, age",))


def test_no_column_left_is_refused(refuses) -> None:
    with refuses("table has no column to learn from: all are empty, constant or dropped"):
        check_features(with_columns(b=[1] * N, c=[None] * N), ("a",))


@given(
    name=st.text(min_size=1, max_size=8), bad=st.sampled_from([np.inf, pd.Timestamp("2020-01-01")])
)
def test_any_column_name_fits_on_the_line_of_an_error(name: str, bad: object, refuses) -> None:
    raw = RawData("table", pd.DataFrame({name: [bad] * N}), Y)
    with refuses("^Column .* or pass --drop .*$"):
        check_features(raw, ())
    with refuses("^--drop .*: no such column"):
        check_features(raw, (name + "!",))


# --- images -------------------------------------------------------------------------------------


def images(dtype: str = "float32", **changes: float) -> RawData:
    """Images of random pixels, some of them changed."""
    pixels = np.random.default_rng(0).integers(0, 9, size=(N, 2, 3)).astype(dtype)
    for place, value in enumerate(changes.values()):
        pixels[place, 1, 1] = value
    return RawData("pictures", pixels, Y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_images_with_nan_or_infinite_values_are_refused(value: float, refuses) -> None:
    with refuses("pictures has values in its arrays that are NaN, infinite or beyond"):
        check_features(images("float64", bad=value), ())


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64", "float16", "float64"])
def test_images_of_finite_numbers_stay(dtype: str) -> None:
    raw = images(dtype)
    checked, notes = check_features(raw, ())
    assert np.array_equal(np.asarray(checked.features), np.asarray(raw.features))
    assert notes == []


def test_images_that_are_all_alike_are_refused(refuses) -> None:
    with refuses("pictures has the same value everywhere; nothing to learn from"):
        check_features(RawData("pictures", np.full((N, 2, 3), 7, np.uint8), Y), ())


def test_dropping_a_column_of_images_is_refused(refuses) -> None:
    with refuses(r"--drop 'a\\nb': pictures holds arrays, which have no columns"):
        check_features(images(), ("a\nb",))
