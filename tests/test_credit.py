"""Operators earn credit by offspring that are better than their parents, and are drawn by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonet.evolution.credit import Credit, earned, factors
from evonet.evolution.methods import METHODS
from evonet.evolution.search import Candidate, Search, SearchSettings
from evonet.evolution.selection import Member
from evonet.evolution.variation import MUTATIONS, mutate
from evonet.genome import Genome, Layer, SearchSpace

COUNTS = st.integers(0, 200)
CREDITS = st.dictionaries(
    st.sampled_from(list(MUTATIONS)),
    st.builds(lambda uses, share: Credit(uses, share * uses), COUNTS, st.floats(0, 1)),
)


def test_counts_are_those_of_a_count_by_hand() -> None:
    outcomes = [(("widen", "narrow"), True), (("widen",), False), (("widen", "widen"), True)]
    assert earned({}, outcomes) == {"widen": Credit(3, 2), "narrow": Credit(1, 1)}


def test_a_generation_ago_counts_nine_tenths() -> None:
    assert earned({"widen": Credit(10, 5)}, [(("widen",), True)]) == {"widen": Credit(10, 5.5)}


@given(CREDITS)
def test_factors_are_bounded_and_follow_the_rate_of_success(credits: dict[str, Credit]) -> None:
    found = factors(credits, MUTATIONS)
    assert set(found) == set(MUTATIONS)
    assert all(0.5 <= factor <= 2.0 for factor in found.values())
    same_uses = {name: Credit(50, c.successes / max(c.uses, 1) * 50) for name, c in credits.items()}
    ranked = sorted(same_uses, key=lambda name: same_uses[name].successes)
    again = [factors(same_uses, same_uses)[name] for name in ranked]
    assert again == sorted(again)


def test_what_was_never_used_keeps_its_weight() -> None:
    assert factors({}, ["a", "b"]) == {"a": 1.0, "b": 1.0}
    assert factors({"a": Credit(100, 0)}, ["a", "b"]) == {"a": 1.0, "b": 1.0}
    assert factors({"a": Credit(100, 50)}, ["a", "b"])["b"] == pytest.approx(1.0)


def test_a_mutation_is_drawn_as_often_as_its_factor_says() -> None:
    genome = Genome((Layer(64, "relu"),) * 3, "matched_normal", "adam", 1e-3, 32)
    space = SearchSpace.default()

    def share(factor: float) -> float:
        drawn = [
            mutate(np.random.default_rng(seed), genome, space, {"add_layer": factor})[1][0]
            for seed in range(1500)
        ]
        return drawn.count("add_layer") / len(drawn)

    weight, total = MUTATIONS["add_layer"].weight, sum(m.weight for m in MUTATIONS.values())
    for factor in (0.5, 2.0):
        expected = factor * weight / (total + (factor - 1) * weight)
        assert share(factor) == pytest.approx(expected, abs=0.035)  # others may change nothing


def test_the_search_credits_offspring_that_beat_all_of_their_parents() -> None:
    def genome(units: int) -> Genome:
        return Genome((Layer(units, "relu"),), "matched_normal", "adam", 1e-3, 32)

    mother, father = Member(genome(1), (0.5,)), Member(genome(2), (0.7,))
    settings = SearchSettings(4, 3, 3, 0.6, 0.25, 1)
    search = Search(SearchSpace.default(), settings, METHODS["ga"], 0)
    search = replace(search, population=(father, mother), told=(mother, father))
    keys = mother.genome.key, father.genome.key
    after = search.tell(
        [
            (Candidate(genome(3), "crossover + widen", keys), (0.6,)),  # better than one of two
            (Candidate(genome(4), "widen", keys[:1]), (0.6,)),
            (Candidate(genome(5), "random"), (0.9,)),
        ]
    )
    assert after.credits == {"crossover": Credit(1, 0), "widen": Credit(2, 1)}
