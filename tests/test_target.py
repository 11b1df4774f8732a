"""What is predicted: the task that labels look like, and labels there and back again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import from_plain
from scipy.special import softmax
from sklearn.preprocessing import LabelEncoder, StandardScaler

from evonet.data.target import Target, Task, infer_task, make_target

#: Lists of labels of one kind each, with every pandas type that can hold the kind.
KINDS: dict[str, tuple[st.SearchStrategy, list[object]]] = {
    "words": (st.text(max_size=5), ["object", "string", "category"]),
    "words that spell numbers": (
        st.sampled_from(["1", "1.0", "01", "2", "True"]),
        ["object", "string", "category"],
    ),
    "booleans": (st.booleans(), ["bool", "boolean", "object"]),
    "integers": (st.integers(-(2**53), 2**53), ["int64", "Int64", "category"]),
    "whole floats": (
        st.integers(-(2**53), 2**53).map(float),
        ["float64", "Float64", "category"],
    ),
}


@st.composite
def class_labels(draw: st.DrawFn) -> tuple[pd.Series, list[object]]:
    """Labels of at least two classes, as a column and as Python values."""
    values, dtypes = draw(st.sampled_from(list(KINDS.values())))
    several = st.lists(values, min_size=2, max_size=20).filter(lambda v: len(set(v)) > 1)
    labels = draw(several)
    return pd.Series(labels, dtype=draw(st.sampled_from(dtypes)), name="y"), labels


def every(labels: pd.Series) -> np.ndarray:
    """All rows as training rows."""
    return np.arange(len(labels))


# --- which task -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["a", "b"] * 5, "binary"),
        (["a", "b", "c"], "multiclass"),
        ([f"w{i}" for i in range(100)], "multiclass"),
        ([True, False], "binary"),
        ([0, 1, 1], "binary"),
        ([1.0, 2.0], "binary"),
        ([-1, 1], "binary"),
        ([0, 1, 2], "multiclass"),
        ([3.0, 4.0, 5.0], "multiclass"),
        (list(range(30)), "multiclass"),
        (list(range(31)), "regression"),
        ([0.5, 1.0], "regression"),
        ([0.0, 1.0, 2.5], "regression"),
        (["1.5", "2.5", "3.5"], "multiclass"),
    ],
)
def test_task_of_labels_is_inferred(labels: list[object], task: str) -> None:
    inferred, reason = infer_task(pd.Series(labels))
    assert inferred == task
    assert reason.startswith(f"{len(set(labels))} ")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_booleans_are_classes_and_not_numbers(dtype: str) -> None:
    labels = pd.Series([True, False, True], dtype=dtype)
    assert infer_task(labels) == ("binary", "2 classes")


@given(labels=st.lists(st.text(max_size=3), min_size=1, max_size=40))
def test_words_are_never_a_quantity(labels: list[str]) -> None:
    expected = "binary" if len(set(labels)) == 2 else "multiclass"
    for dtype in ("object", "string", "category"):
        assert infer_task(pd.Series(labels, dtype=dtype))[0] == expected


@given(numbers=st.lists(st.integers(-99, 99), min_size=2, max_size=60), data=st.data())
def test_whole_numbers_are_classes_where_there_are_few(
    numbers: list[int], data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from(["int64", "float64", "Int64", "int8"]))
    n = len(set(numbers))
    expected = "regression" if n > 30 else "binary" if n == 2 else "multiclass"
    assert infer_task(pd.Series(numbers, dtype=dtype))[0] == expected


@given(
    numbers=st.lists(st.integers(-9, 9).map(float), max_size=20),
    fraction=st.floats(-9, 9).filter(lambda x: x != int(x)),
)
def test_one_number_that_is_not_whole_makes_a_quantity(
    numbers: list[float], fraction: float
) -> None:
    for dtype in ("float64", "Float64"):
        assert infer_task(pd.Series([*numbers, fraction], dtype=dtype))[0] == "regression"


# --- classes --------------------------------------------------------------------------------------


@given(labels=class_labels())
def test_labels_encoded_and_named_again_are_the_labels(
    labels: tuple[pd.Series, list[object]],
) -> None:
    column, values = labels
    target = make_target(column, "multiclass", every(column))
    encoded = target.encode(column)
    assert encoded.dtype == np.int32
    assert set(encoded) == set(range(len(set(values))))
    certain = np.eye(len(target.classes))[encoded]
    assert target.labels(certain) == values
    assert np.array_equal(target.truth(encoded), encoded)


@given(labels=class_labels())
def test_classes_are_in_the_order_of_scikit_learn(labels: tuple[pd.Series, list[object]]) -> None:
    column, values = labels
    target = make_target(column, "multiclass", every(column))
    encoder = LabelEncoder().fit(np.asarray(values, dtype=type(values[0])))
    # NumPy sorts words by code point, as Python does, but drops a NUL at the end of a word.
    if not any(isinstance(value, str) and "\0" in value for value in values):
        assert list(target.classes) == encoder.classes_.tolist()
        assert target.encode(column).tolist() == encoder.transform(values).tolist()


@given(labels=class_labels())
def test_target_survives_json(labels: tuple[pd.Series, list[object]]) -> None:
    column, _ = labels
    target = make_target(column, "multiclass", every(column))
    again = from_plain(Target, target.to_dict())
    assert again == target
    assert [type(a) for a in again.classes] == [type(b) for b in target.classes]
    assert np.array_equal(again.encode(column), target.encode(column))


def test_classes_are_plain_values_and_whole_floats_are_whole_numbers() -> None:
    target = make_target(pd.Series([2.0, 1.0, 1.5], name="y"), "multiclass", np.arange(3))
    assert [repr(c) for c in target.classes] == ["1", "1.5", "2"]
    flags = make_target(pd.Series([True, False], name="y"), "binary", np.arange(2))
    assert [repr(c) for c in flags.classes] == ["False", "True"]


def test_class_that_no_training_row_has_is_still_a_class() -> None:
    target = make_target(pd.Series(["a", "b", "c"], name="y"), "multiclass", np.array([0, 1]))
    assert target.classes == ("a", "b", "c")


def test_same_labels_stored_as_floats_and_as_integers_are_the_same_target() -> None:
    of_floats = make_target(pd.Series([0.0, 1.0, 2.0], name="y"), "multiclass", np.arange(3))
    of_integers = make_target(pd.Series([0, 1, 2], name="y"), "multiclass", np.arange(3))
    assert of_floats == of_integers


@pytest.mark.parametrize(
    ("task", "classes", "n_outputs"),
    [("binary", ("a", "b"), 1), ("multiclass", ("a", "b", "c"), 3), ("regression", (), 1)],
)
def test_network_has_one_output_or_one_per_class(
    task: Task, classes: tuple[str, ...], n_outputs: int
) -> None:
    assert Target("y", task, classes).n_outputs == n_outputs


def test_binary_output_becomes_the_probabilities_of_both_classes() -> None:
    target = Target("y", "binary", ("no", "yes"))
    predictions = target.predictions(np.array([[-np.log(3)], [100.0], [0.0]], dtype=np.float32))
    # the logits of 1/4, almost 1 and 1/2; float32 logits
    np.testing.assert_allclose(
        predictions, [[0.75, 0.25], [0, 1], [0.5, 0.5]], rtol=1e-6, atol=1e-40
    )
    assert target.labels(predictions)[:2] == ["no", "yes"]


def test_outputs_for_several_classes_are_the_probabilities() -> None:
    target = Target("y", "multiclass", ("a", "b", "c"))
    outputs = np.array([[0.2, 1000.0, -3.0], [0.7, 0.1, -np.inf], [1.0, 1.0, 1.0]], np.float32)
    predictions = target.predictions(outputs)
    np.testing.assert_allclose(predictions, softmax(outputs.astype(float), axis=1), rtol=1e-12)
    assert target.labels(predictions)[:2] == ["b", "a"]
    assert np.isnan(target.predictions(np.array([[np.inf, 0, 0]]))).any()  # and scores refuse it


# --- regression -----------------------------------------------------------------------------------

QUANTITIES = st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=20).filter(
    lambda v: max(v[::2]) - min(v[::2]) > 1e-3
)


@given(numbers=QUANTITIES)
def test_quantity_is_standardised_as_scikit_learn_does_it(numbers: list[float]) -> None:
    column = pd.Series(numbers, name="y")
    train = np.arange(0, len(numbers), 2)
    target = make_target(column, "regression", train)
    values = column.to_numpy().reshape(-1, 1)
    expected = StandardScaler().fit(values[train]).transform(values)[:, 0]
    encoded = target.encode(column)
    assert encoded.dtype == np.float32
    # float32 keeps 6e-8 of a value; a mean far from 0 costs digits in the difference, in float64.
    assert encoded == pytest.approx(expected, rel=1e-6, abs=1e-5)


@given(numbers=QUANTITIES, dtype=st.sampled_from(["float64", "Float64"]))
def test_quantity_encoded_is_given_back_in_its_own_unit(numbers: list[float], dtype: str) -> None:
    column = pd.Series(numbers, name="y", dtype=dtype)
    target = make_target(column, "regression", every(column))
    spread = float(np.ptp(numbers))
    back = target.truth(target.encode(column))
    assert back.dtype == np.float64
    assert back == pytest.approx(numbers, abs=1e-6 * spread)  # float32 in units of the deviation


def test_outputs_for_a_quantity_are_predictions_in_its_own_unit() -> None:
    target = Target("y", "regression", mean=100.0, scale=10.0)
    predictions = target.predictions(np.array([[-1.5], [2.0]], dtype=np.float32))
    assert predictions.tolist() == target.labels(predictions) == [85.0, 120.0]


def test_a_small_spread_on_a_large_mean_is_not_lost_to_float32() -> None:
    target = Target("y", "regression", mean=1.7e9, scale=2.0)
    predictions = target.predictions(np.array([[-0.5], [0.5]], dtype=np.float32))
    assert predictions.tolist() == [1.7e9 - 1, 1.7e9 + 1]


@given(numbers=QUANTITIES, other=st.floats(-1e6, 1e6))
def test_only_training_rows_set_mean_and_scale(numbers: list[float], other: float) -> None:
    train = np.arange(0, len(numbers), 2)
    changed = [other if i % 2 else number for i, number in enumerate(numbers)]
    a, b = (make_target(pd.Series(v, name="y"), "regression", train) for v in (numbers, changed))
    assert a == b


@given(number=st.floats(-1e30, 1e30), n=st.integers(1, 50))
def test_quantity_that_is_constant_in_training_is_refused(number: float, n: int, refuses) -> None:
    column = pd.Series([number] * n + [1.0, 2.0], name="y")
    with refuses("Target 'y' has the same value in every training row; nothing to learn"):
        make_target(column, "regression", np.arange(n))


def test_quantity_that_differs_by_rounding_only_is_refused(refuses) -> None:
    column = pd.Series([0.1 + 0.2, 0.3] * 20, name="y")
    assert column.nunique() == 2
    with refuses("Target 'y' has the same value in every training row; nothing to learn"):
        make_target(column, "regression", every(column))


@given(numbers=QUANTITIES)
def test_target_of_a_quantity_survives_json(numbers: list[float]) -> None:
    column = pd.Series(numbers, name="y")
    target = make_target(column, "regression", every(column))
    again = from_plain(Target, target.to_dict())
    assert again == target
    assert np.array_equal(again.encode(column), target.encode(column))


@given(numbers=QUANTITIES)
def test_encoding_keeps_the_order_of_quantities(numbers: list[float]) -> None:
    column = pd.Series(sorted(numbers), name="y")
    encoded = make_target(column, "regression", every(column)).encode(column)
    assert all(a <= b for a, b in pairwise(encoded))
