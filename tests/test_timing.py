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
    ("seconds", "epochs"), [(1e9, 100), (30.0, 60), (10.0, 20), (1.0, 20), (-7.0, 20)]
)
def test_a_final_fit_has_the_epochs_there_is_time_for_but_those_of_the_search_at_least(
    seconds: float, epochs: int
) -> None:
    assert affordable(FINAL, SEARCH, trained(5.0), seconds) == Budget(epochs, 15)


def test_fewer_final_epochs_than_the_search_had_are_kept() -> None:
    assert affordable(Budget(7, 15), SEARCH, trained(5.0), 1e9) == Budget(7, 15)


def test_a_training_that_took_no_time_limits_nothing() -> None:
    assert affordable(FINAL, SEARCH, trained(0.0), 3.0) == FINAL
