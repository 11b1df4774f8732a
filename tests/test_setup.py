"""What follows from settings and data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evonet.champion.timing import Pace
from evonet.config import make_config
from evonet.evaluation import Budget, Evaluation
from evonet.genome import Genome, Layer, SearchSpace
from evonet.setup import Setup

GENOME = Genome((Layer(16, "relu"),), "matched_normal", "adam", 0.01, 16)


def setup(**settings: Any) -> Setup:
    return Setup.new(make_config({"data": "iris", **settings}), SearchSpace.default(), [])


@pytest.mark.parametrize(
    ("settings", "search", "final"),
    [
        ({}, Budget(100, 25), Budget(500, 75)),  # iris has 90 training rows
        ({"epochs": 20}, Budget(20, 5), Budget(100, 15)),
        ({"epochs": 3}, Budget(3, 1), Budget(15, 3)),
        ({"epochs": 20, "patience_epochs": 7}, Budget(20, 7), Budget(100, 21)),
        ({"final_epochs": 40}, Budget(100, 25), Budget(40, 75)),
    ],
)
def test_what_is_left_out_of_the_budgets_follows_from_the_rest(
    settings: dict[str, int], search: Budget, final: Budget
) -> None:
    made = setup(**settings)
    assert (made.search_budget, made.final_budgets[0]) == (search, final)


def test_the_search_knows_how_large_networks_are() -> None:
    made = setup()
    assert made.new_search().size_of(GENOME) == GENOME.parameter_count(4, 3)  # iris


def test_final_fits_are_long_and_short_in_turn_unless_their_epochs_are_given() -> None:
    long, short = Budget(500, 75), Budget(100, 25)
    assert setup(final_fits=3).final_budgets == [long, short, long]
    assert setup(final_fits=2, final_epochs=40).final_budgets == [Budget(40, 75)] * 2


@pytest.mark.parametrize(
    ("settings", "n_folds"),
    [({}, 4), ({"repeats": 3}, 3), ({"repeats": 1}, 0), ({"repeats": 0}, 0), ({"folds": 5}, 0)],
)
def test_few_rows_are_split_anew_for_finalists(settings: dict[str, int], n_folds: int) -> None:
    made = setup(**settings)
    splits = made.splits
    assert (len(splits.folds) if splits else 0) == n_folds
    if splits:
        scored = sum(len(fold.validation) for fold in splits.folds)
        assert scored == len(made.dataset.train) + len(made.dataset.validation)
        assert made.protocol_of(splits) != made.protocol


def test_where_rows_are_many_or_too_few_there_are_no_other_splits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pd.DataFrame({"a": range(12), "y": ["p", "q"] * 6}).to_csv(tmp_path / "d.csv", index=False)
    tiny = setup(data=str(tmp_path / "d.csv"), target="y", repeats=8)
    assert tiny.splits is None
    assert "Too few rows to split them 8 times" in tiny.dataset.notes[-1]
    monkeypatch.setattr("evonet.setup.FEW_ROWS", 30)  # iris has 30 for validation
    assert setup().splits is None


def test_a_pace_is_that_of_one_fold() -> None:
    losses = (1.0,) * 10
    trained = Evaluation("key", 1, "ok", "", 0.5, 8, losses, losses, 7, seconds=6.0)
    assert setup().pace(GENOME, trained) == Pace(6.0, 0.6, 8)
    on_folds = replace(trained, folds=(0.4, 0.5, 0.6))
    assert setup(folds=3).pace(GENOME, on_folds).epoch == pytest.approx(0.2)
    # Keras' seconds say nothing of the loops that fit the winner.
    by_keras = setup(engine="keras").pace(GENOME, replace(trained, seconds=6e6))
    assert by_keras.seconds == 6e6
    assert by_keras.epoch < 0.1
