"""The noise of scores: its deviation, and the lead that it would explain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from evonet.champion.noise import Noise

A, B = [0.91, 0.94, 0.92], [0.90, 0.88, 0.91]


def test_of_two_finalists_it_is_the_t_test_of_equal_variances() -> None:
    noise = Noise.of({"a": A, "b": B}, "a", 1)
    assert noise is not None
    low, high = ttest_ind(A, B).confidence_interval(0.95)
    assert noise.lead == pytest.approx((low + high) / 2)
    assert noise.by_chance == pytest.approx((high - low) / 2)
    assert noise.deviation == pytest.approx(np.sqrt((np.var(A, ddof=1) + np.var(B, ddof=1)) / 2))
    assert noise.trainings == 6


def test_a_lower_score_leads_where_lower_is_better() -> None:
    noise = Noise.of({"a": A, "b": B, "c": [0.99, 0.99, 0.99]}, "b", -1)
    assert noise is not None
    assert noise.lead == pytest.approx(np.mean(A) - np.mean(B))


def test_a_finalist_whose_trainings_failed_counts_for_nothing() -> None:
    with_failed = Noise.of({"a": A, "b": B, "c": []}, "a", 1)
    assert with_failed == Noise.of({"a": A, "b": B}, "a", 1)


def test_one_finalist_leads_nobody() -> None:
    noise = Noise.of({"a": A}, "a", 1)
    assert noise is not None
    assert noise.lead is None
    assert noise.deviation == pytest.approx(np.std(A, ddof=1))


def test_of_two_finalists_on_the_same_splits_it_is_the_paired_t_test() -> None:
    noise = Noise.of({"a": A, "b": B, "lacks one": [0.99, 0.99]}, "a", 1, of_splits=True)
    assert noise is not None
    low, high = ttest_rel(A, B).confidence_interval(0.95)
    assert noise.lead == pytest.approx((low + high) / 2)
    # Training parts of folds overlap (Nadeau & Bengio 2003): 1/3 + 1/2 in place of 1/3.
    assert noise.by_chance == pytest.approx((high - low) / 2 * np.sqrt((1 / 3 + 1 / 2) * 3))
    assert noise.deviation == pytest.approx(np.sqrt((np.var(A, ddof=1) + np.var(B, ddof=1)) / 2))
    assert (noise.trainings, noise.of_splits) == (6, True)


def test_a_split_that_is_hard_for_all_is_no_noise_between_them() -> None:
    rng = np.random.default_rng(0)
    table = {name: (0.9 + rng.normal(0, 0.01, 4)).tolist() for name in "abc"}
    harder = {
        n: [s - d for s, d in zip(own, (0, 0.3, 0, 0.1), strict=True)] for n, own in table.items()
    }
    even, uneven = (Noise.of(some, "b", -1, of_splits=True) for some in (table, harder))
    assert even is not None
    assert uneven is not None
    assert uneven.by_chance == pytest.approx(even.by_chance)
    assert uneven.lead == pytest.approx(even.lead)
    assert uneven.deviation > 5 * even.deviation


def test_one_finalist_on_splits_leads_nobody() -> None:
    noise = Noise.of({"a": A}, "a", 1, of_splits=True)
    assert noise is not None
    assert noise.lead is None
    assert 0 < noise.by_chance < 1


@pytest.mark.parametrize("scores", [{}, {"a": [0.9]}, {"b": B}])
def test_nothing_is_said_of_what_was_not_repeated(scores: dict[str, list[float]]) -> None:
    assert Noise.of(scores, "a", 1) is None
