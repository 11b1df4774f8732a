"""What a limit on the minutes of a run leaves for its winner."""

from __future__ import annotations

import pytest

from evonet.champion.timing import (
    affordable,
    affordable_finalists,
    seconds_of_fit,
    seconds_of_repeats,
)
from evonet.evaluation import Budget, Evaluation

SEARCH, FINAL = Budget(20, 5), Budget(100, 15)


def trained(seconds: float, epochs: int = 10, best_epoch: int = 8) -> Evaluation:
    losses = (1.0,) * epochs
    return Evaluation("key", 1, "ok", "", 0.5, best_epoch, losses, losses, 7, seconds)


def test_repeats_are_shared_by_the_workers() -> None:
    assert seconds_of_repeats([trained(2.0), trained(4.0)], 3, 2) == 3 * 6 / 2


@pytest.mark.parametrize(
    ("best_epoch", "epochs"), [(8, 2 * 8 + 15), (60, 100)], ids=["stops early", "goes to the end"]
)
def test_a_final_fit_is_as_slow_as_its_epochs(best_epoch: int, epochs: int) -> None:
    assert seconds_of_fit(trained(5.0, best_epoch=best_epoch), FINAL) == epochs * 0.5


@pytest.mark.parametrize(
    ("seconds", "n"), [(8.9, 0), (9.0, 2), (20.9, 2), (21.0, 3), (1e9, 3), (-5.0, 0)]
)
def test_as_many_finalists_as_there_is_time_for_but_not_one(seconds: float, n: int) -> None:
    ranked = [trained(2.0), trained(4.0), trained(8.0)]
    assert affordable_finalists(ranked, 3, 2, seconds) == n


@pytest.mark.parametrize(
    ("seconds", "rounds", "epochs", "left"),
    [
        (1e9, 1, 100, 1),
        (30.0, 1, 60, 1),
        (10.0, 1, 20, 1),
        (1.0, 1, 20, 1),
        (-7.0, 1, 20, 1),
        (30.0, 2, 30, 2),
        (20.0, 2, 20, 2),
        (19.0, 2, 38, 1),  # not two rounds of 20 epochs: one of more
        (1e9, 3, 100, 3),
    ],
)
def test_final_fits_have_the_epochs_there_is_time_for_but_those_of_the_search_at_least(
    seconds: float, rounds: int, epochs: int, left: int
) -> None:
    found = affordable(FINAL, SEARCH, rounds, trained(5.0), seconds)
    assert found == (Budget(epochs, 15), left)


def test_fewer_final_epochs_than_the_search_had_are_kept() -> None:
    assert affordable(Budget(7, 15), SEARCH, 1, trained(5.0), 1e9) == (Budget(7, 15), 1)


def test_a_training_that_took_no_time_limits_nothing() -> None:
    assert affordable(FINAL, SEARCH, 2, trained(0.0), 3.0) == (FINAL, 2)
