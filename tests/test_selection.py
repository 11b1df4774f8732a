"""Selection, and the facts about DEAP that evonet depends on or steers around.

A new version of DEAP that changes one of them turns a test red here, not a run wrong.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from deap import base, tools
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS, examples, rng

from evonet.evolution.selection import Member, best, tournament
from evonet.genome import Genome, Layer

FITNESSES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


class Fitness(base.Fitness):
    weights = (1.0,)


class Individual:
    """What DEAP selects from: no ``creator`` is needed, a ``fitness`` is all it looks at."""

    def __init__(self, value: float, name: str = "") -> None:
        self.fitness = Fitness((value,))
        self.name = name


def members(*fitnesses: float) -> list[Member]:
    return [
        Member(Genome((Layer(i + 1, "relu"),), "he_normal", "sgd", 0.1, 32), (fitness,))
        for i, fitness in enumerate(fitnesses)
    ]


class TestDeap:
    def test_nan_wins_every_comparison(self) -> None:
        # So a failed training must have a number for its fitness (evonet.fitness.WORST).
        nan, top = Fitness((float("nan"),)), Fitness((1e308,))
        assert nan > top
        assert nan >= top
        assert top > nan  # as does everything that is compared with it

    def test_nan_wins_every_tournament_in_which_it_is_drawn_last(self) -> None:
        individuals = [Individual(1e308), Individual(float("nan"))]
        random.seed(3)
        drawn = [[random.choice(individuals) for _ in range(2)] for _ in range(50)]
        random.seed(3)
        selected = tools.selTournament(individuals, 50, tournsize=2)
        assert selected == [last for _, last in drawn]
        assert individuals[1] in selected

    def test_sel_best_keeps_the_first_of_equals(self) -> None:
        individuals = [Individual(v, n) for v, n in ((1, "a"), (2, "b"), (2, "c"), (1, "d"))]
        assert [i.name for i in tools.selBest(individuals, 4)] == ["b", "c", "a", "d"]

    def test_sel_best_returns_all_where_there_are_fewer(self) -> None:
        assert len(tools.selBest([Individual(1.0)], 5)) == 1

    def test_sel_tournament_draws_from_the_global_random_with_replacement(self) -> None:
        individuals = [Individual(float(i)) for i in range(10)]
        random.seed(3)
        drawn = [max(random.choice(range(10)) for _ in range(2)) for _ in range(20)]
        random.seed(3)
        selected = tools.selTournament(individuals, 20, tournsize=2)
        assert [i.fitness.values[0] for i in selected] == drawn

    def test_weights_turn_a_fitness_that_is_minimised(self) -> None:
        class Minimised(base.Fitness):
            weights = (-1.0,)

        assert Minimised((1.0,)) > Minimised((2.0,))

    def test_a_fitness_is_compared_by_its_weighted_values_alone(self) -> None:
        assert Fitness((1.0,)) == Fitness((1.0,))
        assert Individual(1.0) != Individual(1.0)


class TestTournament:
    @given(FITNESSES, SEEDS, st.integers(0, 5), st.integers(1, 5))
    @examples(100)
    def test_winners_are_members_and_depend_on_the_generator_alone(
        self, fitnesses: list[float], seed: int, n: int, size: int
    ) -> None:
        population = members(*fitnesses)
        winners = tournament(rng(seed), population, n, size)
        random.seed(seed)
        assert tournament(rng(seed), population, n, size) == winners
        assert len(winners) == n
        assert all(any(winner is member for member in population) for winner in winners)

    def test_global_random_is_left_as_it_was(self) -> None:
        random.seed(1)
        state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()
        tournament(rng(), members(1, 2, 3), 10, 3)
        assert random.getstate() == state
        assert np.random.get_state()[1].tolist() == numpy_state

    def test_two_draws_from_one_generator_differ(self) -> None:
        generator, population = rng(), members(*range(100))
        draws = [tuple(tournament(generator, population, 5, 1)) for _ in range(5)]
        assert len(set(draws)) == 5

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_a_member_wins_as_often_as_the_mathematics_of_tournaments_says(self, size: int) -> None:
        n = 6000
        wins = Counter(m.fitness[0] for m in tournament(rng(), members(1, 2, 3, 4), n, size))
        for rank in (1, 2, 3, 4):
            share = (rank / 4) ** size - ((rank - 1) / 4) ** size
            # Five standard deviations of a binomial count, and the generator is fixed.
            assert abs(wins[rank] - n * share) < 5 * (n * share * (1 - share)) ** 0.5

    def test_a_tournament_larger_than_the_population_still_ends(self) -> None:
        assert {m.fitness for m in tournament(rng(), members(1, 2), 10, 1000)} == {(2,)}


class TestBest:
    @given(FITNESSES, st.integers(0, 25))
    @examples(200)
    def test_best_are_the_largest_first_of_equals_first(
        self, fitnesses: list[float], n: int
    ) -> None:
        population = members(*fitnesses)
        expected = sorted(range(len(population)), key=lambda i: (-fitnesses[i], i))[:n]
        assert best(population, n) == [population[i] for i in expected]

    def test_of_equal_scores_the_smaller_network_is_the_better(self) -> None:
        scores, sizes = (0.5, 0.9, 0.5, 0.9, 0.5), (7, 3, 2, 1, 7)
        pairs = zip(members(*scores), sizes, strict=True)
        population = [replace(member, size=size) for member, size in pairs]
        assert best(population, 5) == [population[i] for i in (3, 1, 2, 0, 4)]
        assert tournament(rng(), population, 1, 100) == [population[3]]

    def test_with_several_objectives_size_is_one_only_if_it_was_asked_for(self) -> None:
        one, other = (replace(m, fitness=(0.5, -1.0)) for m in members(0, 1))
        assert best([replace(one, size=9), other], 1) == [replace(one, size=9)]

    def test_nobody_is_best_of_nobody(self) -> None:
        assert best([], 3) == []
