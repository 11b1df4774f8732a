"""Several objectives: what selection sees, NSGA-II, the front, and runs that improve both."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from bench.history import history
from fakes import FakeEvaluator, fake_training
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS, examples, rng
from test_run import StopAfter
from test_search import SETTINGS, hashed

from evonet.champion.baselines import constant_score
from evonet.config import RunConfig, make_config
from evonet.data.dataset import load_dataset
from evonet.errors import ConfigError, RecordError
from evonet.evaluation import Evaluation
from evonet.evolution.methods import METHODS
from evonet.evolution.search import Search
from evonet.evolution.selection import Member, best, hypervolume, tournament
from evonet.fitness import WORST, Fitness, best_first, fitnesses, front, reference, surpasses
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.files import read_genomes
from evonet.metrics import METRICS, choose_metric
from evonet.printing import show_run
from evonet.report import look
from evonet.report.figures import FIGURES, save_figures
from evonet.run import evolve, resume
from evonet.store.record import RunRecord
from evonet.store.rows import StoredEvaluation
from evonet.training import latency

__all__ = ["fake_training"]

#: Small whole numbers, so that many are equal.
POINTS = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.tuples(*[st.integers(0, 5)] * n), min_size=1, max_size=12)
)
WIDE = Genome((Layer(512, "relu"),) * 6, "he_normal", "sgd", 0.1, 32)


def dominates(a: Fitness, b: Fitness) -> bool:
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


def peeled(points: list[Fitness]) -> list[set[int]]:
    """Pareto fronts, one below the other, by the definition."""
    left, fronts = set(range(len(points))), []
    while left:
        fronts.append({i for i in left if not any(dominates(points[j], points[i]) for j in left)})
        left -= fronts[-1]
    return fronts


def members(points: list[Fitness]) -> list[Member]:
    return [
        Member(Genome((Layer(i + 1, "relu"),), "he_normal", "sgd", 0.1, 32), tuple(point))
        for i, point in enumerate(points)
    ]


class TestFitnesses:
    @staticmethod
    def evaluation(**changes: object) -> Evaluation:
        plain = Evaluation("ab", 0, "ok", "", 0.5, 1, (), (0.1,), 1000, 0.0, inference_ms=0.1)
        return replace(plain, **changes)

    def test_more_is_better_in_all_and_costs_are_powers_of_ten(self) -> None:
        objectives = ("score", "parameters", "inference_ms")
        seen = fitnesses(self.evaluation(), METRICS["rmse"], objectives)
        assert seen == pytest.approx((-0.5, -3, 1))
        assert fitnesses(self.evaluation(), METRICS["r2"], ("score",)) == (0.5,)

    @pytest.mark.parametrize(
        "changes", [{"status": "diverged", "score": None}, {"score": math.nan}]
    )
    def test_what_failed_is_worst_in_all(self, changes: dict) -> None:
        failed = self.evaluation(inference_ms=None, **changes)
        objectives = ("score", "parameters", "inference_ms")
        assert fitnesses(failed, METRICS["accuracy"], objectives) == (WORST,) * 3

    @given(POINTS)
    @examples(200)
    def test_the_front_is_what_nothing_dominates_once_each_best_score_first(
        self, points: list[Fitness]
    ) -> None:
        found = front(points)
        of_definition = {points[i] for i in peeled(points)[0]}
        assert [points[i] for i in found] == sorted(of_definition, reverse=True)
        assert all(points.index(points[i]) == i for i in found)

    @given(POINTS)
    @examples(100)
    def test_one_surpasses_others_if_none_is_equal_or_dominates_it(
        self, points: list[Fitness]
    ) -> None:
        own, *others = points
        expected = all(other != own and not dominates(other, own) for other in others)
        assert surpasses(own, others) == expected

    def test_of_no_use_is_what_always_says_the_same_in_a_huge_network(self) -> None:
        config = make_config({"data": "iris", "metric": "accuracy"})
        dataset = load_dataset(config)
        constant = constant_score(dataset, choose_metric("accuracy", dataset.target))
        assert constant == pytest.approx(1 / 3)
        worthless = reference(constant, METRICS["accuracy"], ("score", "parameters"))
        assert worthless == pytest.approx((1 / 3, -8))
        assert reference(5.0, METRICS["rmse"], ("score", "inference_ms")) == (-5.0, -3.0)


class TestSelection:
    @given(POINTS, st.integers(0, 12))
    @examples(200)
    def test_the_best_are_whole_fronts_and_part_of_one_best_score_first(
        self, points: list[Fitness], n: int
    ) -> None:
        population = members(points)
        chosen = {population.index(member) for member in best(population, n)}
        assert len(chosen) == min(n, len(points))
        if len(points[0]) > 1:  # with one objective equal ones are in order instead
            left = len(chosen)
            for one in peeled(points):
                assert len(chosen & one) == min(left, len(one))
                left -= len(chosen & one)
        scores = [member.fitness[0] for member in best(population, n)]
        assert scores == sorted(scores, reverse=True)

    def test_of_a_crowded_front_the_ends_and_the_lonely_live(self) -> None:
        points = [(0.0, 10.0), (4.9, 5.1), (5.0, 5.0), (5.1, 4.9), (7.5, 2.5), (10.0, 0.0)]
        # From neighbour to neighbour, as shares of the range: the ends infinite, then
        # 2 * 0.50, 2 * 0.02, 2 * 0.25, 2 * 0.49.
        chosen = best(members(points), 4)
        assert [m.fitness for m in chosen] == [(10.0, 0.0), (7.5, 2.5), (4.9, 5.1), (0.0, 10.0)]

    @given(POINTS, SEEDS)
    @examples(50)
    def test_a_huge_tournament_is_won_in_the_first_front(
        self, points: list[Fitness], seed: int
    ) -> None:
        population = members(points)
        (winner,) = tournament(rng(seed), population, 1, 500)  # all are drawn, but for 1e-15
        assert population.index(winner) in peeled(points)[0]

    def test_a_member_of_a_better_front_wins_as_often_as_tournaments_let_it(self) -> None:
        population = members([(3.0, 3.0), (2.0, 2.0), (1.0, 1.0), (0.0, 0.0)])
        wins = Counter(m.fitness[0] for m in tournament(rng(), population, 6000, 2))
        for place, value in enumerate((0.0, 1.0, 2.0, 3.0), start=1):
            share = (place / 4) ** 2 - ((place - 1) / 4) ** 2
            # Five standard deviations of a binomial count, and the generator is fixed.
            assert abs(wins[value] - 6000 * share) < 5 * (6000 * share * (1 - share)) ** 0.5

    @given(st.lists(st.tuples(*[st.integers(-2, 4)] * 3), max_size=8))
    @examples(100)
    def test_a_hypervolume_is_the_count_of_unit_cubes_below(self, points: list[Fitness]) -> None:
        cubes = sum(
            any(all(x > at for x, at in zip(point, corner, strict=True)) for point in points)
            for corner in itertools.product(range(4), repeat=3)
        )
        found = hypervolume(members(points), (0.0, 0.0, 0.0))
        assert found == pytest.approx(cubes)


def judged(genome: Genome) -> Fitness:
    """A score without structure, and the size; a fifth fails."""
    score = hashed(genome)
    if score < 0.2:
        return (WORST, WORST)
    return score, -math.log10(genome.parameter_count(8, 3))


class TestSearch:
    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_searches_goes_on_as_told_and_keeps_the_front(self, method: str) -> None:
        start = Search(SearchSpace.default(), SETTINGS, METHODS[method], 1, reference=(0.0, -8.0))
        told, search, volumes = [], start, []
        for _ in range(4):
            again = start
            for results in told:
                again = again.tell(results)
            candidates = search.ask()
            assert again.ask() == candidates
            told.append([(c, judged(c.genome)) for c in candidates])
            after = search.tell(told[-1])
            volumes.append(after.hypervolume)
            grew = after.hypervolume > (search.hypervolume or 0.0)
            assert after.stalled == (0 if grew else search.stalled + 1)
            search = after
        assert volumes == sorted(volumes)
        lived = [m for m in search.told if not m.failed]
        assert {m.fitness for m in search.told if m.failed} <= {(WORST, WORST)}
        assert len(lived) < len(search.told)
        assert not any(m.failed for m in (*search.population, *search.front))
        first = peeled([m.fitness for m in lived])[0]
        assert {m.genome for m in search.front} == {lived[i].genome for i in first}
        assert search.best_fitness == max(m.fitness[0] for m in lived)

    def test_selection_for_size_too_finds_smaller_networks(self) -> None:
        sizes = []
        for n_objectives in (1, 2):
            worthless = (0.0, -8.0)[:n_objectives] if n_objectives > 1 else ()
            search = Search(SearchSpace.default(), SETTINGS, METHODS["ga"], 0, reference=worthless)
            for _ in range(10):
                results = [(c, judged(c.genome)[:n_objectives]) for c in search.ask()]
                search = search.tell(results)
            sizes.append(min(m.genome.parameter_count(8, 3) for m in search.population))
        assert sizes[1] < sizes[0]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(
        {"data": "iris", "results": tmp_path, "name": "run", "population_size": 6, "offspring": 4}
        | {"generations": 4, "repeats": 0, "objective": "score,parameters"}
    )


def volumes(folder: Path) -> list[float | None]:
    with RunRecord(folder) as record:
        return [generation.hypervolume for generation in record.generations()]


@pytest.mark.usefixtures("fake_training")
class TestRun:
    def test_the_front_of_all_trainings_is_saved(self, config: RunConfig) -> None:
        folder = evolve(config.changed(max_trainings=17)).folder  # in the midst of a generation
        with RunRecord(folder) as record:
            known = [(s.evaluation.score, s.evaluation.parameters) for s in record.evaluations()]
            keys = [s.genome.key for s in record.evaluations()]
        assert len(keys) == 17
        points = [(score, -parameters) for score, parameters in known]
        expected = sorted(peeled(points)[0], key=lambda i: -known[i][0])
        assert len(expected) > 1
        saved = read_genomes(folder / "pareto_front.json")
        assert [genome.key for genome in saved] == [keys[i] for i in expected]
        table = pd.read_csv(folder / "pareto_front.csv")
        assert list(table["parameters"]) == [known[i][1] for i in expected]
        assert table["score"].to_list() == pytest.approx([known[i][0] for i in expected])

    def test_hypervolumes_are_recorded_and_never_fall(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        found = volumes(folder)
        assert len(found) == 5
        assert found == sorted(found)
        assert found[0] > 0
        table = pd.read_csv(folder / "history.csv")
        assert table.groupby("generation")["hypervolume"].first().to_list() == pytest.approx(found)

    def test_the_picture_shows_the_front_every_training_and_the_hypervolume(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        front, history = (pd.read_csv(folder / f"{n}.csv") for n in ("pareto_front", "history"))
        with RunRecord(folder) as record, look.style():
            left, right = FIGURES["front"](record).axes
        dots, diamonds = ([*map(tuple, line.get_xydata())] for line in left.get_lines())
        every = history.drop_duplicates("genome")
        assert dots == [*zip(every["parameters"], every["score"], strict=True)]
        by_size = front.sort_values("parameters")
        assert diamonds == [*zip(by_size["parameters"], by_size["score"], strict=True)]
        assert left.get_xscale() == "log"
        low, high = left.get_ylim()
        assert low < front["score"].min() <= front["score"].max() < high
        assert list(right.get_lines()[0].get_ydata()) == pytest.approx(volumes(folder))
        names = {path.stem for path in save_figures(folder, FIGURES, folder / "pictures")}
        assert names == set(FIGURES)

    def test_one_objective_has_no_picture_of_a_front(self, config: RunConfig) -> None:
        folder = evolve(config.changed(objective="score")).folder
        with pytest.raises(RecordError, match="one objective, and so no Pareto front"):
            save_figures(folder, ["front"])

    def test_one_objective_has_no_hypervolume_and_no_front(self, config: RunConfig) -> None:
        folder = evolve(config.changed(objective="score")).folder
        assert set(volumes(folder)) == {None}
        assert not (folder / "pareto_front.json").exists()
        columns = set(pd.read_csv(folder / "history.csv"))
        assert not columns & {"hypervolume", "inference_ms"}

    def test_the_winner_is_the_best_by_score(self, config: RunConfig) -> None:
        result = evolve(config)
        with RunRecord(result.folder) as record:
            scores = [s.evaluation.score for s in record.evaluations()]
        assert result.winner.search_score == max(scores)

    @pytest.mark.parametrize("n", [4, 6, 13])
    def test_stopped_and_resumed_equals_a_run_that_was_not(self, config: RunConfig, n: int) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        stopper = StopAfter(n)
        resumed = resume(evolve(config, stopper, stopper.asked).folder)
        assert history(resumed.folder) == history(whole.folder)
        assert volumes(resumed.folder) == volumes(whole.folder)
        fronts = [(r.folder / "pareto_front.csv").read_text() for r in (resumed, whole)]
        assert fronts[0] == fronts[1]

    def test_candidates_are_not_given_up_by_their_score_unless_that_is_asked_for(
        self, config: RunConfig
    ) -> None:
        config = config.changed(population_size=8, offspring=6)
        for fidelity, some in (("auto", False), ("on", True)):
            result = evolve(config.changed(name=fidelity, fidelity=fidelity, epochs=32))
            with RunRecord(result.folder) as record:
                dropped = [s.evaluation.dropped for s in record.evaluations()]
            assert any(dropped) == some

    def test_show_tells_the_front(self, config: RunConfig, capsys: pytest.CaptureFixture) -> None:
        folder = evolve(config).folder
        with RunRecord(folder) as record:
            show_run(record)
        said = capsys.readouterr().out
        first, last = (f"{volumes(folder)[i]:#.4g}" for i in (0, -1))
        assert f"Hypervolume from {first} in generation 0 to {last} in generation 4" in said
        for row in pd.read_csv(folder / "pareto_front.csv").itertuples():
            assert f"{row.score:#.4g}" in said
        assert "of parameters less is better" in said


@pytest.mark.usefixtures("fake_training")
class TestInference:
    @pytest.fixture
    def measured(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The keys of the genomes that were measured; every time is another."""
        keys: list[str] = []

        def measure(genome: Genome, dataset: object) -> float:
            keys.append(genome.key)
            return 0.001 * len(keys)

        monkeypatch.setattr(latency, "inference_ms", measure)
        return keys

    def test_a_time_is_measured_once_for_each_training_and_kept(
        self, config: RunConfig, measured: list[str]
    ) -> None:
        config = config.changed(objective="score,inference_ms")
        stopper = StopAfter(8)
        stopped = evolve(config, stopper, stopper.asked).folder
        with RunRecord(stopped) as record:
            before = {s.score_key: s.evaluation.inference_ms for s in record.evaluations()}
        resume(stopped)
        with RunRecord(stopped) as record:
            after = {s.score_key: s.evaluation.inference_ms for s in record.evaluations()}
        assert before.items() <= after.items()
        assert None not in after.values()
        n_measured = len(measured)
        cached = evolve(config.changed(name="again"))  # the same scores, and the same times
        with RunRecord(cached.folder) as record:
            assert {s.score_key: s.evaluation.inference_ms for s in record.evaluations()} == after
        assert len(measured) == n_measured
        assert "inference_ms" in set(pd.read_csv(cached.folder / "history.csv"))

    def test_scores_from_a_run_without_times_get_them(
        self, config: RunConfig, fake_training: type[FakeEvaluator], measured: list[str]
    ) -> None:
        evolve(config.changed(generations=0))
        n_trained = len(fake_training.trained)
        assert not measured
        changed = config.changed(name="b", generations=0, objective="score,inference_ms")
        evolve(changed)
        assert len(fake_training.trained) == n_trained
        assert len(measured) == n_trained

    def test_one_that_cannot_be_timed_here_has_failed(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = config.changed(objective="score,inference_ms")
        monkeypatch.setattr(
            latency, "inference_ms", lambda genome, dataset: None if genome.key < "8" else 0.1
        )
        with RunRecord(evolve(config).folder) as record:
            evaluations = [s.evaluation for s in record.evaluations()]
        status = {True: "out_of_memory", False: "ok"}
        assert {e.status for e in evaluations} == {"out_of_memory", "ok"}
        assert all(e.status == status[e.genome_key < "8"] for e in evaluations)
        assert all((e.score is None) == (e.status != "ok") for e in evaluations)


class TestLatency:
    def test_it_is_the_median_of_measurements_per_batch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # One that compiles, three for a number of batches that last long enough, then nine.
        lasts = [900.0, 1.5, 2.5, 5.0, 6.0, 8.0, 100.0, 7.0, 9.0, 12.0, 16.0, 5.0, 8.4]
        clock = itertools.chain.from_iterable((0.0, ms / 1000) for ms in lasts)
        monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
        dataset = load_dataset(make_config({"data": "iris"}))
        # Of 5 6 7 8 8.4 9 12 16 100 the median, by 4 batches.
        assert latency.inference_ms(WIDE, dataset) == 2.1
        assert next(clock, None) is None

    def test_a_network_too_large_for_this_machine_has_no_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.training.evaluator.memory_bytes", lambda: 1000)
        dataset = load_dataset(make_config({"data": "iris"}))
        assert latency.inference_ms(WIDE, dataset) is None


class TestSetting:
    @pytest.mark.parametrize(
        "value",
        ["score,parameters", " score , parameters", ["score", "parameters"], ["score,parameters"]],
    )
    def test_objectives_are_split_at_commas_or_given_one_by_one(self, value: object) -> None:
        assert make_config({"objective": value}).objective == ("score", "parameters")

    @pytest.mark.parametrize("value", ["parameters", "parameters,score", "score,score", []])
    def test_the_score_comes_first_and_nothing_twice(self, value: object) -> None:
        with pytest.raises(ConfigError, match=r"objective must name score first and nothing twice"):
            make_config({"objective": value})

    @pytest.mark.parametrize("value", ["score,size", "", 3, ["score", 3]])
    def test_anything_else_is_refused_by_name(self, value: object) -> None:
        with pytest.raises(ConfigError, match=r"objective .* Change --objective|objective must"):
            make_config({"objective": value})

    def test_it_stands_in_the_config_of_a_run_as_a_list(self) -> None:
        config = make_config({"objective": "score,parameters"})
        assert json.loads(json.dumps(config.to_dict()))["objective"] == ["score", "parameters"]
        assert 'objective = [\n    "score",\n    "parameters",\n]' in config.to_toml()


def test_of_equal_scores_the_smaller_network_is_the_better_where_size_is_an_objective() -> None:
    def training(name: str, score: float, parameters: int, loss: float) -> StoredEvaluation:
        curve = (loss,)
        e = Evaluation(WIDE.key, 0, "ok", "", score, 1, curve, curve, parameters, 1.0)
        return StoredEvaluation(name, "trained", WIDE, e)

    found = [
        training("large, low loss", 0.9, 6_000, 0.1),
        training("small", 0.9, 100, 0.3),
        training("small, low loss", 0.9, 100, 0.2),
        training("smallest, worse", 0.8, 10, 0.1),
    ]
    how = METRICS["accuracy"], ("score", "parameters")
    assert [s.score_key for s in best_first(found, *how)] == [
        "small, low loss",
        "small",
        "large, low loss",
        "smallest, worse",
    ]
    first, *_ = best_first(found, METRICS["accuracy"])
    assert first.score_key == "large, low loss"
