"""What a limit on the minutes of a run leaves for each of its parts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from evonet.champion.timing import SAVING, Pace, Timetable
from evonet.evaluation import Budget

SEARCH, LONG = Budget(20, 5), Budget(100, 15)
#: A run of 600 s on two cores, each finalist trained four times, each time by any worker.
TABLE = Timetable(600.0, 0.0, 2, 2, 4, 1, SEARCH, [LONG, SEARCH, LONG, SEARCH])


def pace(seconds: float, best_epoch: int = 8) -> Pace:
    return Pace(seconds, seconds / 20, best_epoch)


def test_the_search_leaves_what_finalists_fit_and_saving_take() -> None:
    # (2 + 4) s four times by two workers; fits of 0.1 and 0.2 s an epoch, 2 * 8 + 15 epochs; one
    # for the ensemble of 20 epochs, 0.2 s each, while the other worker fits another.
    assert TABLE.end_of_search([pace(2.0), pace(4.0)]) == 600 - SAVING - 12 - 31 * 0.15 - 2
    # A best epoch of 60 is taken to come at 120, beyond the last one.
    assert TABLE.end_of_search([pace(2.0, best_epoch=60)]) == 600 - SAVING - 4 - 100 * 0.1


def test_where_one_worker_trains_a_finalist_on_all_splits_it_takes_as_long_as_that() -> None:
    one, many = replace(TABLE, workers=16), replace(TABLE, workers=16, in_turn=4)
    assert one.end_of_search([pace(2.0)]) - many.end_of_search([pace(2.0)]) == pytest.approx(6.0)


def test_the_search_has_half_of_what_was_left_when_it_began() -> None:
    assert replace(TABLE, search_began=100.0).end_of_search([pace(1e6)]) == 350.0


def test_the_next_training_may_take_as_long_as_the_slowest() -> None:
    one = [pace(2.0)]
    assert TABLE.end_of_search(one) - TABLE.end_of_search(one, 7.0) == pytest.approx(7.0)
    assert TABLE.end_of_search(one, 1e6) == 300.0


def test_finalists_have_a_sixth_at_most() -> None:
    cheap = replace(TABLE, finals=[Budget(1, 1)])
    assert cheap.end_of_search([Pace(60.0, 0.0, 1)] * 10) == 600 - SAVING - 100


def test_without_success_or_limit_the_search_ends_with_the_limit() -> None:
    assert TABLE.end_of_search([]) == 600.0
    assert replace(TABLE, limit=math.inf).end_of_search([pace(2.0)]) == math.inf


@pytest.mark.parametrize(
    ("now", "n"),
    [
        (0.0, 3),
        (600 - SAVING / 2 - 2 - 28, 3),  # 2 s for a fit of 20 epochs, (2 + 4 + 8) * 4 / 2 s
        (600 - SAVING / 2 - 2 - 27, 2),
        (600 - SAVING / 2 - 2 - 12, 2),
        (600 - SAVING / 2 - 2 - 11, 0),  # one alone is no choice
        (1000.0, 0),
    ],
)
def test_as_many_finalists_as_there_is_time_for_but_not_one(now: float, n: int) -> None:
    assert TABLE.count_finalists([pace(2.0), pace(4.0), pace(8.0)], now) == n


def test_one_that_is_wanted_alone_is_trained_again() -> None:
    assert TABLE.count_finalists([pace(2.0)], 0.0) == 1
    assert TABLE.count_finalists([], 0.0) == 0


@pytest.mark.parametrize(
    ("left", "epochs"),
    [
        (1e9, [100, 20, 100, 20]),
        (60.0, [30, 20, 30, 20]),  # two rounds of 30 s
        (40.0, [20, 20, 20, 20]),
        (39.0, [39, 20]),  # not two rounds of 20 epochs: one of more
        (5.0, [20, 20]),
        (-5.0, [20, 20]),
    ],
)
def test_final_fits_have_the_epochs_there_is_time_for(left: float, epochs: list[int]) -> None:
    found = TABLE.final_budgets(Pace(9.0, 1.0, 8), 600 - SAVING - left)
    assert [budget.epochs for budget in found] == epochs
    assert [budget.patience_epochs for budget in found] == [15, 5, 15, 5][: len(epochs)]


@pytest.mark.parametrize(
    ("left", "n"),
    [(590.0, 3), (20.0, 3), (19.0, 2), (14.0, 2), (13.0, 1), (12.0, 1), (11.0, 0), (-5.0, 0)],
)
def test_the_ensemble_has_as_many_networks_as_there_is_time_for(left: float, n: int) -> None:
    # 10 s for a round of the winner's fits; the others take 2, 2 and 6 s.
    rivals = [pace(4.0), pace(4.0), pace(12.0)]
    assert [TABLE.seconds_of_rivals(rivals[:k]) for k in (1, 2, 3)] == [2.0, 4.0, 10.0]
    assert TABLE.count_rivals(pace(10.0), rivals, 600 - SAVING - left) == n


def test_the_ensemble_has_a_twelfth_at_most() -> None:
    assert TABLE.count_rivals(pace(1.0), [pace(40.0)] * 5, 0.0) == 2  # 20 s each, of 50 s
    short = TABLE.final_budgets(Pace(9.0, 1.0, 8), 600 - SAVING - 60.0, reserved=20.0)
    assert [budget.epochs for budget in short] == [20, 20, 20, 20]


def test_what_takes_no_time_and_what_has_no_limit_is_not_cut() -> None:
    assert TABLE.final_budgets(Pace(0.0, 0.0, 1), 599.0) == TABLE.finals
    assert replace(TABLE, limit=math.inf).final_budgets(pace(9.0), 1e9) == TABLE.finals
