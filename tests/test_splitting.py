"""Every row is in one part, every class has its share of every part, and the seed decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evonet.data.splitting import Split, fold_splits, split_rows
from evonet.data.target import Task

SEEDS = st.integers(0, 2**63 - 1)
FRACTIONS = st.floats(0.1, 0.4)


@st.composite
def classes(draw: st.DrawFn, least: int = 5) -> pd.Series:
    """Labels of two to five classes of ``least`` to 40 rows, in any order."""
    counts = draw(st.lists(st.integers(least, 40), min_size=2, max_size=5))
    labels = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    return pd.Series(np.random.default_rng(draw(SEEDS)).permutation(labels), name="y")


def quantity(n: int) -> pd.Series:
    return pd.Series(np.linspace(0, 1, n), name="y")


def parts(split: Split) -> list[np.ndarray]:
    return [split.train, split.validation, split.test]


def share_is_met(labels: pd.Series, of: np.ndarray, part: np.ndarray) -> bool:
    """Whether every class of the rows ``of`` has its share of ``part``, to less than one row."""
    whole, drawn = labels.iloc[of].value_counts(), labels.iloc[part].value_counts()
    due = whole * len(part) / len(of)
    return bool(((drawn.reindex(due.index, fill_value=0) - due).abs() < 1 - 1e-9).all())


@given(
    labels=classes(least=1),
    task=st.sampled_from(["multiclass", "regression"]),
    seed=SEEDS,
    fractions=st.tuples(FRACTIONS, FRACTIONS),
    own_test=st.integers(0, 3),
)
def test_parts_are_disjoint_ascending_and_together_all_rows(
    labels: pd.Series, task: Task, seed: int, fractions: tuple[float, float], own_test: int, refuses
) -> None:
    n = len(labels)
    assume(n > 10 + own_test)
    quantities = quantity(n) if task == "regression" else labels
    try:
        split = split_rows(quantities, task, seed, *fractions, n_test=own_test)
    except Exception:
        with refuses("part has .* rows"):
            split_rows(quantities, task, seed, *fractions, n_test=own_test)
        assume(False)  # a part without two classes or rows is refused, as it should be
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(n))
    for rows in parts(split):
        assert (np.diff(rows) > 0).all()


@given(n=st.integers(20, 200), seed=SEEDS, fractions=st.tuples(FRACTIONS, FRACTIONS))
def test_parts_have_the_sizes_that_were_asked_for(
    n: int, seed: int, fractions: tuple[float, float]
) -> None:
    split = split_rows(quantity(n), "regression", seed, *fractions)
    assert abs(len(split.test) - n * fractions[0]) <= 0.5
    assert abs(len(split.validation) - n * fractions[1]) <= 0.5


@given(labels=classes(least=15), seed=SEEDS, fractions=st.tuples(FRACTIONS, FRACTIONS))
def test_every_class_has_its_share_of_every_part_to_one_row(
    labels: pd.Series, seed: int, fractions: tuple[float, float]
) -> None:
    n, most = len(labels), labels.nunique()
    assume(min(round(n * f) for f in fractions) >= most)  # else there is no row for every class
    split = split_rows(labels, "multiclass", seed, *fractions)
    rest = np.concatenate([split.train, split.validation])
    assert len(split.test) == round(n * fractions[0])
    assert len(split.validation) == round(n * fractions[1])
    assert share_is_met(labels, np.arange(n), split.test)
    assert share_is_met(labels, rest, split.validation)
    assert share_is_met(labels, rest, split.train)


@given(labels=classes(), seed=SEEDS)
def test_same_seed_gives_the_same_split(labels: pd.Series, seed: int) -> None:
    a, b = (split_rows(labels, "multiclass", seed, 0.3, 0.3) for _ in range(2))
    assert all(np.array_equal(p, q) for p, q in zip(parts(a), parts(b), strict=True))


@given(
    seeds=st.lists(SEEDS, min_size=2, max_size=2, unique=True),
    task=st.sampled_from(["binary", "regression"]),
)
def test_another_seed_gives_another_split(seeds: list[int], task: Task) -> None:
    labels = pd.Series([0, 1] * 40)  # 10**17 splits, so that no two seeds meet by chance
    a, b = (split_rows(labels, task, seed, 0.25, 0.25) for seed in seeds)
    assert not np.array_equal(a.test, b.test)
    assert not np.array_equal(a.validation, b.validation)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_every_row_is_as_likely_to_be_drawn(task: Task) -> None:
    labels, n_seeds = pd.Series([0, 1] * 10), 200
    in_test, in_validation = np.zeros(20), np.zeros(20)
    for seed in range(n_seeds):
        split = split_rows(labels, task, seed, 0.3, 0.3)
        in_test[split.test] += 1
        in_validation[split.validation] += 1
    # 60 of 200 are expected; four deviations of the binomial are 26.
    assert np.abs(in_test - 60).max() < 26
    assert np.abs(in_validation - 60).max() < 26


@given(labels=classes(), seed=SEEDS)
def test_names_and_types_of_classes_do_not_change_the_split(labels: pd.Series, seed: int) -> None:
    expected = parts(split_rows(labels, "multiclass", seed, 0.3, 0.3))
    numbers = labels.map({name: -i for i, name in enumerate(sorted(set(labels)))})
    for other in (numbers, labels.astype("category"), labels.astype(object), numbers * 1.0):
        again = parts(split_rows(other, "multiclass", seed, 0.3, 0.3))
        assert all(np.array_equal(p, q) for p, q in zip(expected, again, strict=True))


@pytest.mark.parametrize("n_rare", [1, 2])
def test_rare_class_does_not_cost_the_others_their_share(n_rare: int) -> None:
    labels = pd.Series(["rare"] * n_rare + ["p"] * 30 + ["q"] * 60)
    common = np.flatnonzero(labels != "rare")
    for seed in range(20):
        split = split_rows(labels, "multiclass", seed, 0.2, 0.2)
        drawn = labels.iloc[split.test].value_counts()
        # 6 and 12 are their shares, met to one row; each rare row may take a place.
        assert abs(drawn["p"] - 6) <= 1
        assert abs(drawn["q"] - 12) <= 1 + n_rare
        assert len(np.intersect1d(split.test, common)) >= len(split.test) - n_rare


def test_many_rare_classes_share_their_places() -> None:
    labels = pd.Series([f"rare {i}" for i in range(20)] + ["p"] * 40)
    for seed in range(10):
        split = split_rows(labels, "multiclass", seed, 0.2, 0.2)
        assert (labels.iloc[split.test] == "p").sum() == 8  # two thirds of the 12 rows


def test_more_classes_than_places_are_split_without_strata() -> None:
    labels = pd.Series(np.repeat(np.arange(10), 4))
    split = split_rows(labels, "multiclass", 0, 0.1, 0.3)  # 4 places for 10 classes
    assert [len(p) for p in parts(split)] == [24, 12, 4]


# --- data with a test part of their own -----------------------------------------------------------


@given(labels=classes(), seed=SEEDS, n_test=st.integers(5, 10))
def test_own_test_part_is_the_last_rows_and_the_rest_is_stratified(
    labels: pd.Series, seed: int, n_test: int
) -> None:
    n_rest = len(labels) - n_test
    rest = np.arange(n_rest)
    counts = labels.iloc[:n_rest].value_counts()
    assume(n_rest > 10 and counts.min() >= 3 and len(counts) > 1)
    assume(labels.iloc[n_rest:].nunique() > 1 and round(n_rest * 0.3) >= len(counts))
    split = split_rows(labels, "multiclass", seed, 0.9, 0.3, n_test=n_test)
    assert split.test.tolist() == list(range(n_rest, len(labels)))
    assert len(split.validation) == round(n_rest * 0.3)
    assert share_is_met(labels, rest, split.validation)


def test_class_that_is_rare_outside_the_own_test_part_does_not_cost_the_others_their_share() -> (
    None
):
    labels = pd.Series(["rare"] + ["p"] * 20 + ["q"] * 40 + ["rare"] * 9 + ["p"])
    for seed in range(20):
        split = split_rows(labels, "multiclass", seed, 0.2, 0.25, n_test=10)
        drawn = labels.iloc[split.validation].value_counts()
        assert drawn["p"] in (4, 5, 6)  # 5 is its share; the rare row may take a place
        assert drawn["q"] in (9, 10, 11)


# --- refusing -------------------------------------------------------------------------------------


def test_part_without_two_classes_is_refused(refuses) -> None:
    labels = pd.Series(["p"] * 19 + ["q"])
    with refuses("The .* part has .* of 20 rows and 1 of the classes; expected at least 2. Give"):
        split_rows(labels, "binary", 0, 0.2, 0.2)


def test_own_test_part_of_one_class_is_refused(refuses) -> None:
    labels = pd.Series(["p", "q"] * 10 + ["p"] * 5)
    with refuses("The test part has 5 of 25 rows and 1 of the classes; expected at least 2"):
        split_rows(labels, "binary", 0, 0.2, 0.2, n_test=5)


@pytest.mark.parametrize(
    ("fractions", "part"), [((0.001, 0.3), "test"), ((0.3, 0.001), "validation")]
)
def test_part_of_a_single_row_is_refused(
    fractions: tuple[float, float], part: str, refuses
) -> None:
    # R2 of one row is not defined.
    with refuses(f"The {part} part has 1 of 20 rows; expected at least 2. .* --test-fraction"):
        split_rows(quantity(20), "regression", 0, *fractions)


def test_training_part_of_a_single_row_is_refused(refuses) -> None:
    with refuses("The training part has 1 of 20 rows; expected at least 2"):
        split_rows(quantity(20), "regression", 0, 0.5, 0.499)
    with refuses("The training part has 1 of 20 rows; expected at least 2"):
        split_rows(quantity(20), "regression", 0, 0.2, 0.2, n_test=18)


class TestFolds:
    @given(classes(least=10), st.integers(2, 5), SEEDS)
    def test_every_row_but_the_test_rows_validates_once_and_trains_otherwise(
        self, labels: pd.Series, n_folds: int, seed: int
    ) -> None:
        split = split_rows(labels, "multiclass", seed, 0.2, 0.2)
        rest = np.sort(np.concatenate([split.train, split.validation]))
        folds = fold_splits(labels, "multiclass", seed, split, n_folds)
        assert len(folds) == n_folds
        assert np.array_equal(np.sort(np.concatenate([f.validation for f in folds])), rest)
        for fold in folds:
            assert np.array_equal(np.union1d(fold.train, fold.validation), rest)
            assert not np.intersect1d(fold.train, fold.validation).size
            assert not len(fold.test)

    @given(classes(least=10), st.integers(2, 5), SEEDS)
    def test_every_class_has_its_share_of_every_fold_to_one_row(
        self, labels: pd.Series, n_folds: int, seed: int
    ) -> None:
        split = split_rows(labels, "multiclass", seed, 0.2, 0.2)
        folds = fold_splits(labels, "multiclass", seed, split, n_folds)
        counts = pd.DataFrame([labels.iloc[f.validation].value_counts() for f in folds]).fillna(0)
        assert (counts.max() - counts.min()).max() <= 1

    def test_numbers_are_drawn_at_random_and_another_seed_draws_others(self) -> None:
        labels = quantity(200)
        split = split_rows(labels, "regression", 0, 0.2, 0.2)
        drawn = [fold_splits(labels, "regression", seed, split, 4) for seed in (1, 1, 2)]
        assert all(np.array_equal(a.train, b.train) for a, b in zip(*drawn[:2], strict=True))
        assert not np.array_equal(drawn[0][0].train, drawn[2][0].train)
        assert abs(labels.iloc[drawn[0][0].validation].mean() - 0.5) < 0.15

    def test_a_fold_without_two_classes_is_refused(self, refuses) -> None:
        labels = pd.Series(["a"] * 60 + ["b"] * 6)
        split = split_rows(labels, "binary", 0, 0.2, 0.2)
        with refuses("part of a fold has 3 of 53 rows and 1 of the classes; .* smaller --folds"):
            fold_splits(labels, "binary", 0, split, 20)
