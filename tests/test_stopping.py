"""When a search is over, and what it says then."""

from __future__ import annotations

from typing import Any

import pytest

from evonet.evolution.stopping import StopRules
from evonet.fitness import WORST


@pytest.mark.parametrize(
    ("rules", "finished", "stalled", "reason"),
    [
        ({"generations": 10}, 0, 0, None),
        ({"generations": 10}, 10, 0, None),  # the first one is not counted
        ({"generations": 10}, 11, 0, "generation 10, the last one, is done"),
        ({"generations": 0}, 0, 0, None),
        ({"generations": 0}, 1, 0, "generation 0, the last one, is done"),
        (
            {"generations": 4},
            9,
            0,
            "generation 4, the last one, is done",
        ),  # a lower limit
        ({"generations": 10}, 5, 100, None),
        ({"generations": 10, "patience": 3}, 5, 2, None),
        ({"generations": 10, "patience": 3}, 5, 3, "no better network for 3 generations"),
        ({"generations": 10, "patience": 3}, 5, 7, "no better network for 7 generations"),
    ],
)
def test_a_search_ends_between_generations_by_its_rules(
    rules: dict[str, Any], finished: int, stalled: int, reason: str | None
) -> None:
    assert StopRules(**rules).between_generations(finished, stalled) == reason


@pytest.mark.parametrize(
    ("rules", "trainings", "seconds", "best", "reason"),
    [
        ({}, 10**9, 1e9, 1e9, None),
        ({"max_trainings": 50}, 49, 0.0, 0.0, None),
        ({"max_trainings": 50}, 50, 0.0, 0.0, "50 networks are tried"),
        ({"max_trainings": 50}, 60, 0.0, 0.0, "60 networks are tried"),
        ({"max_minutes": 1.5}, 0, 89.9, 0.0, None),
        ({"max_minutes": 1.5}, 0, 90.0, 0.0, "the limit of 1.5 min is reached"),
        ({"target_fitness": 0.9}, 0, 0.0, 0.89, None),
        ({"target_fitness": 0.9}, 0, 0.0, 0.9, "the target score is reached"),
        ({"target_fitness": -0.1}, 0, 0.0, -0.2, None),
        ({"target_fitness": -0.1}, 0, 0.0, -0.05, "the target score is reached"),
        ({"target_fitness": -1e9}, 0, 0.0, WORST, None),  # only failures so far
    ],
)
def test_a_search_ends_between_trainings_by_its_rules(
    rules: dict[str, Any], trainings: int, seconds: float, best: float, reason: str | None
) -> None:
    found = StopRules(generations=10, **rules).between_trainings(trainings, seconds, best)
    assert found == reason


@pytest.mark.parametrize(
    ("seconds", "end", "reason"),
    [
        (49.9, 50.0, None),
        (50.0, 50.0, "the rest of 1 min is for the winner"),
        (60.0, 50.0, "the limit of 1 min is reached"),
        (60.0, 90.0, "the limit of 1 min is reached"),
    ],
)
def test_a_search_leaves_time_for_its_winner(
    seconds: float, end: float, reason: str | None
) -> None:
    rules = StopRules(generations=10, max_minutes=1.0)
    assert rules.between_trainings(5, seconds, 0.0, end) == reason


def test_a_target_that_is_reached_is_the_reason_even_if_a_limit_is_too() -> None:
    rules = StopRules(10, max_trainings=1, max_minutes=1.0, target_fitness=0.5)
    assert rules.between_trainings(1, 60.0, 0.5) == "the target score is reached"
