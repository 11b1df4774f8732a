"""Search without a barrier: what is asked for follows from the order of asking and telling."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import FakeEvaluator, fake_training
from hypothesis import given
from hypothesis import strategies as st
from test_run import StopAfter

from evonet.config import RunConfig, make_config
from evonet.errors import ConfigError, TrainingError
from evonet.evaluation import Request
from evonet.evolution import tpe
from evonet.evolution.methods import METHODS
from evonet.evolution.search import Candidate, Search, SearchSettings
from evonet.evolution.steady import SteadySearch
from evonet.fitness import WORST
from evonet.genome import Genome, Layer, SearchSpace
from evonet.run import evolve, resume
from evonet.store.cache import ScoreCache
from evonet.store.record import RunRecord
from evonet.training.cached import CachedEvaluator

__all__ = ["fake_training"]

SMALL = SearchSettings(4, 3, 3, 0.6, 0.25, 1)


def new_search(method: str = "ga", **changes: Any) -> Search:
    return Search(SearchSpace.default(), SMALL, METHODS[method], 0, **changes)


def fitness_of(candidate: Candidate) -> tuple[float]:
    digest = hashlib.sha256(candidate.genome.key.encode()).digest()
    return (WORST if digest[1] < 25 else digest[0] / 255,)


class Steps:
    """Drives a search by a list of numbers: 0 asks, any other tells of one that is pending."""

    def __init__(self, search: Search) -> None:
        self.steady = SteadySearch(search)
        self.asked: list[str] = []
        self.told: list[list[tuple[Candidate, tuple[float]]]] = [[]]

    def step(self, number: int) -> None:
        waiting = list(self.steady.pending.values())
        if number == 0 or not waiting:
            candidate = self.steady.ask()
            assert candidate is not None
            self.asked.append(candidate.genome.key)
            return
        candidate = waiting[number % len(waiting)]
        self.steady.tell(candidate, fitness_of(candidate))
        self.told[-1].append((candidate, fitness_of(candidate)))
        if len(self.steady.results) == self.steady.size:
            self.steady.end_generation()
            self.told.append([])

    def again(self, search: Search) -> SteadySearch:
        """A search that was told the same in the same order, as a resumed run does it."""
        steady = SteadySearch(search)
        *finished, unfinished = self.told
        for results in finished:
            steady.hear(results)
            steady.end_generation()
        steady.hear(unfinished)
        for candidate in self.steady.pending.values():
            steady.wait_for(candidate)
        return steady


@pytest.mark.parametrize("method", ["ga", "random", "aging"])
@given(steps=st.lists(st.integers(0, 5), max_size=60))
def test_what_it_asks_for_follows_from_what_it_asked_and_was_told(
    method: str, steps: list[int]
) -> None:
    run = Steps(new_search(method))
    for number in steps:
        run.step(number)
    again = run.again(new_search(method))
    assert again.search.population == run.steady.search.population
    assert again.search.credits == run.steady.search.credits
    assert list(again.pending.values()) == list(run.steady.pending.values())
    assert [again.ask() for _ in range(3)] == [run.steady.ask() for _ in range(3)]


def test_tpe_hears_of_what_is_being_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna")  # an extra
    studies, study_of = [], tpe._study

    def kept(search: Search) -> Any:
        studies.append(study_of(search))
        return studies[-1]

    monkeypatch.setattr(tpe, "_study", kept)
    run = Steps(new_search("tpe"))
    for number in [0, 0, 0, 0, 1, 1, 0, 0]:
        run.step(number)
    under_way = [c.genome for c in run.steady.pending.values()][:-1]  # before the last was asked
    running = studies[-1].get_trials(states=[optuna.trial.TrialState.RUNNING])
    depths = [trial.params["layers"] for trial in running]
    units = [[trial.params.get(f"units {i}") for i in range(2)] for trial in running]
    space = run.steady.search.space
    allowed = space.genes["units"].values
    assert depths[:3] == [list(space.depths).index(len(g.layers)) for g in under_way]
    for found, genome in zip(units, under_way, strict=False):
        own = [allowed.index(layer.units) for layer in genome.layers[:2]]
        assert found == own + [None] * (2 - len(own))
    assert len(under_way) == 3


@given(steps=st.lists(st.integers(0, 5), max_size=80))
def test_nothing_is_asked_for_twice(steps: list[int]) -> None:
    run = Steps(new_search())
    for number in steps:
        run.step(number)
    assert len(set(run.asked)) == len(run.asked)


def test_every_candidate_has_random_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, n_drawn = SearchSpace.sample, []

    def counted(space: SearchSpace, rng: np.random.Generator) -> Genome:
        n_drawn.append(1)
        return sample(space, rng)

    monkeypatch.setattr(SearchSpace, "sample", counted)
    run = Steps(new_search("random"))
    for i in range(120):
        run.step(i % 2)  # asks, tells
    assert len(run.asked) == len(n_drawn) == 60  # no draw was one that had been seen


def test_it_begins_as_a_search_with_a_barrier_does() -> None:
    steady = SteadySearch(new_search())
    assert tuple(steady.ask() for _ in range(4)) == new_search().ask()


def test_offspring_come_before_the_first_generation_is_whole() -> None:
    run = Steps(new_search())
    for number in [0, 0, 0, 0, 1, 0]:  # four asked for, one told of, one more asked for
        run.step(number)
    told = run.steady.results[0][0]
    offspring = list(run.steady.pending.values())[-1]
    assert offspring.parents == (told.genome.key,)


def test_generations_only_count() -> None:
    """Told in their order, all of a generation before the next, it ends as with a barrier."""
    steady, search = SteadySearch(new_search()), new_search()
    first = search.ask()
    search = search.tell([(c, fitness_of(c)) for c in first])
    for candidate in first:
        assert steady.ask() == candidate
    for candidate in first:
        steady.tell(candidate, fitness_of(candidate))
    steady.end_generation()
    assert steady.search.population == search.population
    assert steady.search.front == search.front
    assert (steady.search.generation, steady.search.stalled) == (1, search.stalled)
    assert steady.search.credits == search.credits


def test_a_small_space_is_asked_for_whole_and_then_exhausted() -> None:
    one = {name: [gene.values[0]] for name, gene in SearchSpace.default().genes.items()}
    few = {"layers": [0, 1], "units": [8, 16], "optimizer": ["sgd", "adam"]}
    space = SearchSpace.from_dict({**one, **few})
    steady = SteadySearch(Search(space, SMALL, METHODS["ga"], 0))
    keys = []
    while (candidate := steady.ask()) is not None:
        keys.append(candidate.genome.key)
        steady.tell(candidate, fitness_of(candidate))
    assert len(keys) == len(set(keys)) == space.size


# Runs


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(
        {"data": "iris", "results": tmp_path, "name": "run", "population_size": 6, "offspring": 4}
        | {"generations": 6, "repeats": 0, "asynchronous": True}
    )


def told(folder: Path) -> list[tuple[object, ...]]:
    """Candidates in the order in which the search was told of them, each with its score."""
    with RunRecord(folder) as record:
        scores = {s.score_key: s.evaluation.score for s in record.evaluations()}
        found = [*record.candidates(), *record.unfinished_candidates()]
        return [(c, scores[c.score_key]) for c in found]


def by_key(request: Request) -> float:
    """Trainings that take between one and sixteen seconds, whatever their place."""
    return 1.0 + int(request.genome.key[0], 16)


def test_a_slow_training_holds_nobody_up(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    slow: list[str] = []

    def takes(request: Request) -> float:
        slow.append(request.genome.key)
        return 1e9 if len(slow) == 1 else 1.0

    fake_training.n_slots, fake_training.takes = 3, staticmethod(takes)
    folder = evolve(config).folder
    keys = [candidate.genome_key for candidate, _ in told(folder)]
    assert len(keys) == 6 + 6 * 4  # all generations, without it
    assert slow[0] not in keys
    with RunRecord(folder) as record:
        assert slow[0] in {waiting.genome.key for waiting in record.pending()}


def test_candidates_stand_in_the_order_of_their_ends(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    fake_training.n_slots, fake_training.takes = 3, staticmethod(by_key)
    folder = evolve(config).folder
    with RunRecord(folder) as record:
        written = [stored.genome.key for stored in record.evaluations()]
    assert [candidate.genome_key for candidate, _ in told(folder)] == written
    assert fake_training.trained == written


@pytest.mark.parametrize("n", [0, 1, 5, 6, 7, 13, 25])
def test_with_one_worker_a_run_stopped_anywhere_and_resumed_equals_one_that_was_not(
    config: RunConfig, n: int, fake_training: type[FakeEvaluator]
) -> None:
    whole = evolve(config.changed(name="whole", results=config.results / "a")).folder
    stopper = StopAfter(n)
    folder = evolve(config, stopper, stopper.asked).folder
    fake_training.trained.clear()
    resume(folder)
    assert told(folder) == told(whole)


@pytest.mark.parametrize("n", [3, 8, 14])
def test_with_several_workers_a_resumed_run_keeps_the_order_and_repeats_nothing(
    config: RunConfig, n: int, fake_training: type[FakeEvaluator]
) -> None:
    fake_training.n_slots, fake_training.takes = 3, staticmethod(by_key)
    stopper = StopAfter(n)
    folder = evolve(config, stopper, stopper.asked).folder
    before = told(folder)
    with RunRecord(folder) as record:
        waiting = [pending.genome.key for pending in record.pending()]
    fake_training.submitted.clear()
    resume(folder)
    assert told(folder)[: len(before)] == before
    assert len(before) == n
    assert len(waiting) == 2
    assert len(fake_training.trained) == len(set(fake_training.trained))
    assert fake_training.submitted[:2] == waiting


def test_what_ended_in_the_moment_of_a_kill_is_told_of_first(
    config: RunConfig, fake_training: type[FakeEvaluator], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_training.n_slots, fake_training.takes = 3, staticmethod(by_key)
    end_pending, calls = RunRecord.end_pending, []

    def killed(record: RunRecord, *args: Any) -> None:
        calls.append(args)
        if len(calls) == 9:
            raise KeyboardInterrupt
        end_pending(record, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "end_pending", killed)
        with pytest.raises(KeyboardInterrupt):
            evolve(config)
    folder = config.results / "run"
    lost = calls[-1][0].key
    fake_training.n_slots = 1  # whoever comes first holds up the others
    assert lost not in {candidate.genome_key for candidate, _ in told(folder)}
    resume(folder)
    assert told(folder)[8][0].genome_key == lost
    assert fake_training.trained.count(lost) == 1


@pytest.mark.parametrize("n_slots", [1, 3])
def test_no_more_is_trained_than_was_allowed(
    config: RunConfig, n_slots: int, fake_training: type[FakeEvaluator]
) -> None:
    fake_training.n_slots = n_slots
    result = evolve(config.changed(max_trainings=11))
    assert result.reason == "11 networks are tried"
    assert result.trainings == len(fake_training.submitted) == 11


def test_a_target_that_was_reached_before_a_stop_ends_the_search_at_once(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    for seed in range(20):  # until the best is in the generation that is cut short
        stopper = StopAfter(9)
        changed = config.changed(seed=seed, name=f"run {seed}")
        folder = evolve(changed, stopper, stopper.asked).folder
        scores = [score for _, score in told(folder)]
        best = max(scores)
        if best in scores[6:]:
            break
    assert best in scores[6:]
    fake_training.trained.clear()
    result = resume(folder, {"target_score": best})
    assert result.reason == "the target score is reached"
    assert fake_training.trained == []


def test_scores_that_are_known_take_no_place(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    first = evolve(config).folder
    fake_training.trained.clear()
    second = evolve(config.changed(name="again")).folder
    assert fake_training.trained == []
    assert [c.genome_key for c, _ in told(second)] == [c.genome_key for c, _ in told(first)]


def test_hurdles_of_the_time_of_asking_outlive_a_stop(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    fake_training.n_slots, fake_training.takes = 3, staticmethod(by_key)
    stopper = StopAfter(15)
    settings = config.changed(fidelity="on", epochs=32)
    folder = evolve(settings, stopper, stopper.asked).folder
    with RunRecord(folder) as record:
        asked_with = {pending.genome.key: pending.hurdles for pending in record.pending()}
    assert asked_with
    assert all(asked_with.values())
    found: dict[str, object] = {}

    def takes(request: Request) -> float:
        found.setdefault(request.genome.key, request.hurdles)
        return by_key(request)

    fake_training.takes = staticmethod(takes)
    resume(folder)
    assert {key: found[key] for key in asked_with} == asked_with
    # Those of the time after would be others, as they are for the candidates that came later.
    assert set(found.values()) - set(asked_with.values())
    with RunRecord(folder) as record:
        assert any(stored.evaluation.dropped for stored in record.evaluations())


def test_where_all_fail_the_reason_is_given(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    fake_training.fails = staticmethod(lambda request: ("diverged", "a loss was not finite"))
    with pytest.raises(
        TrainingError, match="No training of the first generation succeeded; 6 failed, 6 of"
    ):
        evolve(config)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objective": "score,inference_ms"}, "leave out --async, or inference_ms"),
        ({"device": "gpu"}, "leave out --async or --device"),
    ],
)
def test_what_cannot_go_together_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_config({"asynchronous": True, **settings})


def test_a_result_is_written_down_with_what_the_search_is_told_or_not_at_all(
    config: RunConfig, fake_training: type[FakeEvaluator]
) -> None:
    folder = evolve(config.changed(generations=1)).folder
    request = Request(Genome((Layer(5, "relu"),), "matched_normal", "adam", 1e-3, 32), 1)
    with RunRecord(folder) as record, closing(ScoreCache(folder.parent)) as cache:
        evaluator = CachedEvaluator(fake_training(SimpleNamespace(folds=())), record, cache, "p")
        slots = evaluator.slots()
        slots.submit(request)
        with pytest.raises(ValueError, match="killed"), slots.next():
            raise ValueError("killed")
        assert record.evaluation(evaluator.key(request)) is None


def test_what_trains_is_closed_with_whoever_asked_for_it(
    config: RunConfig, fake_training: type[FakeEvaluator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to Python, its errors are printed and lost, as a second Ctrl-C was."""
    folder, training = evolve(config.changed(generations=1)).folder, []
    genome = Genome((Layer(5, "relu"),), "matched_normal", "adam", 1e-3, 32)
    real = fake_training.evaluate

    def kept(self: FakeEvaluator, requests: Sequence[Request]) -> Any:
        training.append(real(self, requests))
        return training[0]

    monkeypatch.setattr(fake_training, "evaluate", kept)
    with RunRecord(folder) as record, closing(ScoreCache(folder.parent)) as cache:
        evaluator = CachedEvaluator(fake_training(SimpleNamespace(folds=())), record, cache, "p")
        asking = evaluator.evaluate([Request(genome, seed) for seed in range(9)])
        next(asking)
        asking.close()
        assert training[0].gi_frame is None
