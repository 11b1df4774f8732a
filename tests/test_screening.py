"""Screening: a forest over the trainings so far chooses which offspring is trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import RandomForestRegressor
from strategies import SEEDS, examples, genomes, rng
from test_search import start, states, toy

from evonet.evolution.methods import METHODS, by_score
from evonet.evolution.screening import features, forest_judge
from evonet.evolution.search import Candidate, Method, Search
from evonet.evolution.selection import Member
from evonet.fitness import WORST
from evonet.genome import Genome, SearchSpace
from evonet.streams import stream


def members(n: int, seed: int = 0) -> list[Member]:
    space, random = SearchSpace.default(), rng(seed)
    return [Member(g, (toy(g),)) for g in (space.sample(random) for _ in range(n))]


class TestForest:
    def test_it_tells_good_genomes_from_bad_ones(self) -> None:
        judge = forest_judge(0, members(150, seed=1))
        assert judge is not None
        new = members(200, seed=2)
        promised = judge([member.genome for member in new])
        assert spearmanr(promised, [m.fitness[0] for m in new]).statistic > 0.6

    def test_it_judges_as_the_whole_forest_predicts(self) -> None:
        told, new = members(30), [member.genome for member in members(7, seed=3)]
        random_state = int(stream(5, "screening", 30).integers(2**31))
        how = {"max_features": 1 / 3, "min_samples_leaf": 2, "random_state": random_state}
        forest = RandomForestRegressor(25, **how)
        depth = max(len(member.genome.layers) for member in told)
        rows = [features(member.genome, depth) for member in told]
        forest.fit(rows, rankdata([member.fitness[0] for member in told]))
        judge = forest_judge(5, told)
        assert judge is not None
        assert np.array_equal(judge(new), forest.predict([features(g, depth) for g in new]))

    def test_where_all_are_as_good_it_has_no_favourite(self) -> None:
        judge = forest_judge(0, [replace(m, fitness=(1.0,)) for m in members(40)])
        assert judge is not None
        assert np.ptp(judge([member.genome for member in members(20, seed=1)])) == 0

    def test_of_equal_scores_the_smaller_network_promises_more(self) -> None:
        def sized(some: list[Member]) -> list[Member]:
            return [replace(m, fitness=(1.0,), size=m.genome.parameter_count(9, 2)) for m in some]

        judge, new = forest_judge(0, sized(members(150, seed=1))), sized(members(200, seed=2))
        assert judge is not None
        promised = judge([member.genome for member in new])
        assert spearmanr(promised, [m.size for m in new]).statistic < -0.6

    def test_failures_rank_last(self) -> None:
        told = members(60)
        deep = [len(member.genome.layers) > 2 for member in told]
        failed = [
            replace(member, fitness=(WORST,)) if d else member
            for member, d in zip(told, deep, strict=True)
        ]
        assert any(deep)
        assert not all(deep)
        judge = forest_judge(0, failed)
        assert judge is not None
        promised = judge([member.genome for member in told])
        assert promised[deep].mean() < promised[np.logical_not(deep)].mean() - 10

    def test_as_many_other_trainings_teach_another_judge(self) -> None:
        first, second, new = members(30), members(30, seed=4), [m.genome for m in members(9, 5)]
        judges = [forest_judge(0, told) for told in (first, second, first)]
        said = [judge(new).tolist() for judge in judges if judge is not None]
        assert len(said) == 3
        assert said[0] == said[2] != said[1]

    @pytest.mark.parametrize(("n", "learned"), [(29, False), (30, True)])
    def test_few_trainings_teach_nothing(self, n: int, learned: bool) -> None:
        assert (forest_judge(0, members(n)) is not None) is learned

    def test_a_new_forest_is_grown_once_a_fifth_is_new(self) -> None:
        told, some = members(52), [m.genome for m in members(50, seed=3)]
        said = [forest_judge(0, told[:n])(some) for n in range(30, 53)]
        new = [n for n, (a, b) in enumerate(pairwise(said), 31) if not np.array_equal(a, b)]
        assert new == [36, 43, 51]

    def test_only_the_latest_thousand_teach(self) -> None:
        old, late = members(200, seed=1), members(1200, seed=2)
        upside_down = [replace(m, fitness=(-m.fitness[0],)) for m in old]
        some = [m.genome for m in members(50, seed=3)]
        judges = [forest_judge(0, [*first, *late]) for first in (old, upside_down)]
        a, b = (judge(some) for judge in judges if judge)
        assert np.array_equal(a, b)


class TestFeatures:
    @given(genomes(), genomes())
    @examples(100)
    def test_genomes_differ_in_their_features(self, a: Genome, b: Genome) -> None:
        depth = max(len(a.layers), len(b.layers))
        assert (features(a, depth) == features(b, depth)) is (a == b)

    @given(genomes())
    @examples(50)
    def test_deeper_genomes_than_any_before_have_as_many(self, genome: Genome) -> None:
        assert len(features(genome, 2)) == len(features(members(1)[0].genome, 2))


def listed(search: Search, batch_sizes: list[int]) -> Method:
    """A method whose offspring have these batch sizes, one after the other; larger is better."""
    genome = search.space.sample(rng(0))
    drawn = iter(batch_sizes)

    def draw() -> Candidate:
        return Candidate(replace(genome, layers=(), batch_size=next(drawn)), "drawn")

    return Method(
        first=METHODS["ga"].first,
        later=lambda _, n: [draw] * n,
        survivors=METHODS["ga"].survivors,
        judge=lambda _: lambda some: np.asarray([g.batch_size for g in some]),
    )


class TestSearch:
    @pytest.mark.parametrize(
        ("screened", "expected"),
        # 3 9 2 7 9 8 1 in groups of so many; the second 9 is known by then, and so left out.
        [(1, [3, 9, 2, 7]), (2, [9, 7, 8]), (3, [9, 8])],
    )
    def test_the_most_promising_of_so_many_is_asked_for(
        self, screened: int, expected: list[int]
    ) -> None:
        *_, search = states(start(screened=screened, offspring=len(expected)), 1)
        search = replace(search, method=listed(search, [3, 9, 2, 7, 9, 8, 1]))
        assert [candidate.genome.batch_size for candidate in search.ask()] == expected

    def test_offspring_of_a_screened_search_are_better(self) -> None:
        def mean(screened: int) -> float:
            *_, last = states(start(screened=screened, population_size=30), 3, toy)
            assert last.ask()
            return float(np.mean([toy(candidate.genome) for candidate in last.ask()]))

        assert mean(8) > mean(1)

    @given(SEEDS)
    @examples(2)
    def test_equal_states_ask_for_the_same(self, seed: int) -> None:
        *_, search = states(start(seed=seed, screened=4, population_size=30), 2, toy)
        assert by_score(search) is not None
        again = start(seed=seed, screened=4, population_size=30)
        for state in states(again, 2, toy):
            last = state
        assert last.ask() == search.ask()

    def test_one_is_not_chosen_among_where_scores_are_not_all_that_counts(self) -> None:
        *_, search = states(start(screened=4, population_size=40), 1, toy)
        assert by_score(search) is not None
        several = replace(
            search, told=tuple(replace(m, fitness=(*m.fitness, -1.0)) for m in search.told)
        )
        assert by_score(several) is None
        alone = replace(search, settings=replace(search.settings, screened=1))
        assert by_score(alone) is None
