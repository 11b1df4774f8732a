"""The noise of scores: its deviation, and the lead that it would explain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

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


@pytest.mark.parametrize("scores", [{}, {"a": [0.9]}, {"b": B}])
def test_nothing_is_said_of_what_was_not_repeated(scores: dict[str, list[float]]) -> None:
    assert Noise.of(scores, "a", 1) is None
