"""The main loop, resuming and stopping, with real records and trainings that take no time."""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from bench.history import history
from fakes import FakeEvaluator, fake_training

from evonet.advice.finding import Finding
from evonet.config import RunConfig, make_config
from evonet.errors import ConfigError, DataError, RecordError, TrainingError
from evonet.evaluation import Request
from evonet.evolution.methods import METHODS
from evonet.genome import Genome
from evonet.genome.files import read_genomes, write_genomes
from evonet.outcome import Baseline
from evonet.progress import Observer, RunResult
from evonet.report.tables import candidates_table, generations_table
from evonet.run import evolve, resume, save_population
from evonet.sentences import result_lines
from evonet.store.database import Database
from evonet.store.folders import run_folders
from evonet.store.record import RunRecord

__all__ = ["fake_training"]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(
        {"data": "iris", "results": tmp_path, "name": "run", "population_size": 6, "offspring": 4}
        | {"generations": 6, "repeats": 0}
    )


@pytest.mark.usefixtures("fake_training")
class TestFilesForPeople:
    def test_parquet_holds_what_csv_holds(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        reason = 'an emoji 🙈, a comma, "quotes", =1+1 and <b>tags</b>\nand a line'
        failed = lambda request: ("failed", reason) if request.genome.key < "6" else None  # noqa: E731
        fake_training.fails = staticmethod(failed)
        folder = evolve(config.changed(generations=1, fix=("optimizer=adam",))).folder
        table = pd.read_parquet(folder / "history.parquet")
        assert table.to_csv(index=False) == (folder / "history.csv").read_text("utf-8")
        assert reason in set(table["reason"])
        assert table["score"].isna().any()
        types = {name: table[name].dtype.kind for name in ("score", "momentum", "weight_decay")}
        assert set(types.values()) == {"f"}, types  # momentum is missing everywhere

    def test_a_session_that_ends_early_leaves_the_history_so_far(self, config: RunConfig) -> None:
        stopper = StopAfter(11)
        folder = evolve(config, stopper, stopper.asked).folder
        assert len(pd.read_csv(folder / "history.csv")) == 10
        assert len(pd.read_parquet(folder / "history.parquet")) == 10

    def test_so_does_one_that_is_broken_off(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        def second_ctrl_c(request: Request) -> None:
            if len(fake_training.trained) == 12:
                raise KeyboardInterrupt

        fake_training.fails = staticmethod(second_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            evolve(config)
        folder = config.results / "run"
        assert len(pd.read_csv(folder / "history.csv")) == 10
        assert len(pd.read_parquet(folder / "history.parquet")) == 10


class _Remembers(Observer):
    """What was said of the re-validation."""

    def __init__(self) -> None:
        self.said: list[tuple[int, int, bool]] = []

    def on_revalidation_start(self, n_finalists: int, n_repeats: int, on_splits: bool) -> None:
        self.said.append((n_finalists, n_repeats, on_splits))


class Heard(Observer):
    """The warnings of a session."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)


class StopAfter(Observer):
    """Asks to stop after a number of evaluations."""

    def __init__(self, n: int) -> None:
        self.left = n

    def on_evaluation(self, evaluation) -> None:
        self.left -= 1

    def asked(self) -> bool:
        return self.left <= 0


@pytest.mark.usefixtures("fake_training")
class TestResume:
    def test_a_run_that_is_under_way_is_refused(self, config: RunConfig) -> None:
        said = []

        def resume_it_too() -> bool:
            (folder,) = run_folders(config.results)
            with pytest.raises(RecordError, match=rf"process {os.getpid()} on") as refused:
                resume(folder)
            said.append(str(refused.value))
            return True

        folder = evolve(config, should_stop=resume_it_too).folder
        assert said
        resume(folder)  # now that nobody is at it

    @pytest.mark.parametrize("n", [0, 1, 5, 6, 7, 13])
    def test_run_stopped_after_any_training_and_resumed_equals_one_that_was_not(
        self, config: RunConfig, n: int
    ) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        stopper = StopAfter(n)
        stopped = evolve(config, stopper, stopper.asked)
        assert stopped.interrupted
        assert stopped.winner is None
        resumed = resume(stopped.folder)
        assert not resumed.interrupted
        assert history(resumed.folder) == history(whole.folder)

    @pytest.mark.parametrize("n", [9, 15, 27])
    def test_it_gives_up_the_same_trainings(self, config: RunConfig, n: int) -> None:
        config = config.changed(population_size=8, offspring=6, fidelity="on", epochs=32)
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        with RunRecord(whole.folder) as record:
            assert candidates_table(record)["dropped"].sum() > 3
        stopper = StopAfter(n)
        resumed = resume(evolve(config, stopper, stopper.asked).folder)
        assert history(resumed.folder) == history(whole.folder)

    @pytest.mark.parametrize("asynchronous", [False, True])
    @pytest.mark.parametrize(("method", "times"), [("ga", 4), ("random", 4), ("aging", 1)])
    def test_only_who_may_asks_for_more_where_most_are_given_up(
        self, config: RunConfig, method: str, times: int, asynchronous: bool
    ) -> None:
        raced = config.changed(population_size=8, offspring=6, fidelity="on", epochs=32)
        folder = evolve(raced.changed(method=method, asynchronous=asynchronous)).folder
        with RunRecord(folder) as record:
            sizes = candidates_table(record).groupby("generation").size().tolist()
        assert sizes[0] == 8
        assert sizes[-1] == 6 * times

    @pytest.mark.parametrize("n", [6, 13])
    @pytest.mark.parametrize("method", [name for name in METHODS if name != "ga"])
    def test_so_does_a_run_of_every_other_method(
        self, config: RunConfig, method: str, n: int
    ) -> None:
        config = config.changed(method=method, generations=3)
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        stopper = StopAfter(n)
        stopped = evolve(config, stopper, stopper.asked)
        assert stopped.interrupted
        assert history(resume(stopped.folder).folder) == history(whole.folder)

    @pytest.mark.parametrize("together", [1, 4])
    def test_resume_trains_nothing_that_was_trained(
        self, config: RunConfig, fake_training: type[FakeEvaluator], together: int
    ) -> None:
        fake_training.together = together  # and the stop comes before all of them are taken
        stopper = StopAfter(8)
        stopped = evolve(config, stopper, stopper.asked)
        resume(stopped.folder)
        assert len(fake_training.trained) == len(set(fake_training.trained)) == 6 + 6 * 4

    def test_resume_without_a_cache_trains_nothing_that_the_record_holds(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        stopper = StopAfter(8)
        stopped = evolve(config, stopper, stopper.asked)
        (config.results / "scores.sqlite").unlink()
        resume(stopped.folder)
        assert len(fake_training.trained) == len(set(fake_training.trained))

    def test_resume_with_more_generations_equals_a_run_that_had_them_from_the_start(
        self, config: RunConfig
    ) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        short = evolve(config.changed(generations=2))
        longer = resume(short.folder, {"generations": 6})
        assert history(longer.folder)[:3] == history(whole.folder)[:3]

    def test_resume_of_a_finished_run_changes_nothing(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        done = evolve(config)
        before, trained = history(done.folder), len(fake_training.trained)
        resume(done.folder)
        assert history(done.folder) == before
        assert len(fake_training.trained) == trained

    def test_a_folder_that_was_moved_resumes(self, config: RunConfig, tmp_path: Path) -> None:
        stopper = StopAfter(8)
        stopped = evolve(config, stopper, stopper.asked)
        (tmp_path / "elsewhere").mkdir()
        moved = stopped.folder.rename(tmp_path / "elsewhere" / "run")
        whole = evolve(config.changed(name="whole", results=tmp_path / "a"))
        assert history(resume(moved).folder) == history(whole.folder)

    def test_changed_data_are_refused(self, config: RunConfig, tmp_path: Path) -> None:
        table = tmp_path / "t.csv"
        rows = [f"{i % 7},{i % 3},{'ab'[i % 2]}" for i in range(60)]
        table.write_text("\n".join(["x,z,y", *rows]))
        stopper = StopAfter(8)
        stopped = evolve(config.changed(data=str(table), target="y"), stopper, stopper.asked)
        table.write_text("\n".join(["x,z,y", *rows[1:], "5,5,a"]))
        with pytest.raises(DataError, match=r"are not what they were.*Put the old data back"):
            resume(stopped.folder)


@pytest.mark.usefixtures("fake_training")
class TestStopping:
    @pytest.mark.parametrize("together", [1, 4])
    def test_max_trainings_is_never_exceeded_and_can_be_raised(
        self, config: RunConfig, fake_training: type[FakeEvaluator], together: int
    ) -> None:
        fake_training.together = together
        result = evolve(config.changed(max_trainings=9))
        assert result.trainings == len(fake_training.trained) == 9
        assert result.reason == "9 networks are tried"
        assert result.winner is not None
        more = resume(result.folder, {"max_trainings": 11})
        assert more.trainings == 11

    def test_a_run_goes_the_same_way_whatever_the_cache_holds(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        first = evolve(config.changed(max_trainings=9))
        half = evolve(config.changed(name="half", max_trainings=5, results=config.results / "a"))
        trained = len(fake_training.trained)
        again = evolve(config.changed(name="again", max_trainings=9))
        other = evolve(config.changed(name="other", max_trainings=9, results=config.results / "a"))
        assert len(fake_training.trained) == trained + 4
        assert (again.trainings, other.trainings, half.trainings) == (0, 4, 5)
        for run in (again, other):
            assert run.reason == "9 networks are tried"
            assert run.winner == first.winner
            with RunRecord(run.folder) as record, RunRecord(first.folder) as theirs:
                keys = {stored.genome.key for stored in record.evaluations()}
                assert keys == {stored.genome.key for stored in theirs.evaluations()}

    def test_limits_other_than_generations_are_the_only_ones(self, config: RunConfig) -> None:
        free = config.changed(generations=None)
        assert evolve(free).reason == "generation 30, the last one, is done"
        longer = evolve(free.changed(name="b", max_trainings=200))
        assert longer.reason == "200 networks are tried"
        assert longer.generations > 31
        more = resume(longer.folder, {"max_trainings": 220})
        assert more.reason == "220 networks are tried"
        assert evolve(free.changed(name="c", patience=1)).generations <= 31

    def test_new_limits_take_the_place_of_the_old_ones(self, config: RunConfig) -> None:
        folder = evolve(config.changed(max_trainings=9)).folder
        assert resume(folder).reason == "9 networks are tried"
        assert resume(folder, {"generations": 5}).reason == "generation 5, the last one, is done"

    def test_a_setting_that_is_no_limit_cannot_change_within_a_run(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        with pytest.raises(ConfigError, match=r"epochs cannot change within a run; expected a lim"):
            resume(folder, {"epochs": 3})

    @pytest.mark.parametrize("changes", [{}, {"generations": 9}, {"workers": 1}])
    def test_no_cluster_is_joined_that_only_a_record_names(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
    ) -> None:
        """Who made the record may have made the cluster, which can run anything here."""
        folder = evolve(config).folder
        joined = []
        monkeypatch.setattr("evonet.workforce.connect", lambda *to: joined.append(to))
        with RunRecord(folder) as record:
            strange = record.facts.config.changed(backend="dask", address="tcp://stranger:1")
            record.set_facts(config=strange)
        expected = r"If it is yours, pass --backend dask --address tcp://stranger:1; to go on here"
        with pytest.raises(ConfigError, match=expected):
            resume(folder, changes)
        with pytest.raises(ConfigError, match=r"pass its --address"):
            resume(folder, {**changes, "backend": "dask"})
        assert not joined
        resume(folder, {**changes, "backend": "dask", "address": "tcp://mine:1"})
        assert set(joined) == {("dask", "tcp://mine:1")}
        with RunRecord(folder) as record:
            record.set_facts(config=strange)
        assert resume(folder, {**changes, "backend": "loky"}).winner is not None

    def test_where_it_trains_may_change(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        resume(folder, {"workers": 3, "training_timeout": 60.0, "generations": 7})
        with RunRecord(folder) as record:
            stored = record.facts.config
        assert (stored.workers, stored.training_timeout) == (3, 60.0)

    @pytest.mark.parametrize("version", ["evonet.data.dataset.VERSION", "evonet.setup.VERSION"])
    def test_a_run_under_other_rules_of_preparing_or_training_is_refused(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch, version: str
    ) -> None:
        folder = evolve(config).folder
        monkeypatch.setattr(version, 99)
        with pytest.raises(RecordError, match=r"prepares data or trains in another way"):
            resume(folder)

    def test_a_new_second_does_not_fit_the_winner_again(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = evolve(config.changed(generations=0)).folder
        for generations in range(1, 12):
            resume(folder, {"generations": generations})
        with RunRecord(folder) as record:
            winners = [stored.winner.genome.key for stored in record.winners()]
            best = generations_table(record)["best"]
        assert all(a != b for a, b in pairwise(winners))
        assert len(winners) == best.nunique()

    @pytest.mark.parametrize(("metric", "target"), [("accuracy", 90.0), ("log_loss", -0.5)])
    def test_target_score_that_no_network_can_reach_is_refused(
        self, config: RunConfig, metric: str, target: float
    ) -> None:
        changed = config.changed(metric=metric, target_score=target)
        with pytest.raises(ConfigError, match=f"target_score is {target:g}, but the best {metric}"):
            evolve(changed)
        assert not list(changed.results.glob("*/run.sqlite"))

    def test_target_score_stops_at_once(self, config: RunConfig) -> None:
        result = evolve(config.changed(target_score=0.5))
        assert result.reason == "the target score is reached"
        assert result.trainings < 6

    def test_patience_counts_generations_without_a_better_best(self, config: RunConfig) -> None:
        result = evolve(config.changed(patience=2, generations=100))
        record = RunRecord(result.folder)
        best = generations_table(record)["best"].to_list()
        record.close()
        assert best[-1] == best[-3]
        assert all(a != c for a, c in zip(best[:-3], best[2:-1], strict=True))

    def test_an_exhausted_space_ends_with_a_message_and_every_genome_tried(
        self, config: RunConfig, tmp_path: Path, fake_training: type[FakeEvaluator]
    ) -> None:
        space = tmp_path / "tiny.toml"
        space.write_text(
            'layers = [1]\nunits = [4, 8]\nactivation = ["relu"]\ndropout = [0.0]\n'
            'initializer = ["matched_normal"]\noptimizer = ["adam"]\nlearning_rate = [0.01]\n'
            'batch_size = [16, 32, 64]\nnormalisation = ["none"]\nskip = ["none"]\n'
            'schedule = ["constant"]\n'
        )
        result = evolve(config.changed(space=space, generations=50))
        assert result.reason == "the space is exhausted: 6 of at most 6 genomes are tried"
        assert len(set(fake_training.trained)) == 6

    def test_minutes_count_over_sessions(self, config: RunConfig) -> None:
        stopper = StopAfter(8)
        folder = evolve(config, stopper, stopper.asked).folder
        result = resume(folder, {"max_minutes": 1e-9})
        assert (result.reason, result.trainings) == ("the limit of 1e-09 min is reached", 8)
        assert (
            resume(folder, {"max_minutes": 10.0, "generations": 6}).reason
            == "generation 6, the last one, is done"
        )

    def test_limits_that_are_used_up_are_named_before_it_goes_on(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        for changes, said in (
            ({"generations": 6}, "--generations 6 is used up (6 so far)"),
            ({"generations": 7, "max_minutes": 10.0, "max_trainings": 100}, ""),
            ({}, "--generations 7 is used up (7 so far)"),
        ):
            heard = Heard()
            resume(folder, changes, heard)
            assert len(heard.warnings) == bool(said)
            assert said in "".join(heard.warnings)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"generations": 3}, "--generations 3 is used up (6 so far)"),
            ({"max_trainings": 5}, "--max-trainings 5 is used up (30 so far)"),
            ({"max_minutes": 1e-9}, "--max-minutes 1e-09 is used up ("),
        ],
    )
    def test_a_run_at_its_end_takes_no_limit_that_lies_behind_it(
        self, config: RunConfig, changes: dict[str, Any], said: str
    ) -> None:
        folder = evolve(config).folder
        with pytest.raises(ConfigError, match=re.escape(said)):
            resume(folder, changes)
        with RunRecord(folder) as record:
            assert record.facts.stopped == "generation 6, the last one, is done"
            assert record.facts.config.generations == 6
            assert len(record.winners()) == 1

    def test_a_run_that_is_stopped_on_its_way_to_the_end_it_had_is_at_its_end(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        again = resume(folder, should_stop=lambda: True)
        assert again.reason == "generation 6, the last one, is done"
        longer = resume(folder, {"generations": 9}, should_stop=lambda: True)
        assert longer.interrupted

    def test_a_limit_on_minutes_leaves_time_for_the_winner(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = itertools.count(step=0.5)  # half a second between two looks at the clock
        clock = SimpleNamespace(monotonic=lambda: next(now))
        monkeypatch.setattr("evonet.progress.time", clock)
        limited = config.changed(max_minutes=1.0, generations=10**6, repeats=2)
        result = evolve(limited)
        assert result.reason == "the rest of 1 min is for the winner"
        assert result.winner is not None
        assert len(result.winner.repeats) == 2
        assert 30 <= next(now) <= 60
        with RunRecord(result.folder) as record:
            winners, trained = record.winners(), record.count_trainings()
        again = resume(result.folder)  # its time is over, and nothing is left to do
        with RunRecord(again.folder) as record:
            assert (record.winners(), record.count_trainings()) == (winners, trained)
        resume(result.folder, {"max_minutes": 2.0, "generations": 10**6})  # counts from here
        with RunRecord(again.folder) as record:
            assert record.count_trainings() > trained

    def test_a_winner_that_had_no_time_is_fitted_again_when_there_is(
        self, config: RunConfig
    ) -> None:
        hasty = evolve(config.changed(max_minutes=10.0))
        with RunRecord(hasty.folder) as record:
            last = record.winners()[-1]
            assert last.whole  # fakes take no time
            record.add_winner(replace(last, whole=False))
        assert (
            resume(hasty.folder, {"max_minutes": 10.0, "generations": 6}).n_winners == 1
        )  # the same again
        with RunRecord(hasty.folder) as record:
            assert len(record.winners()) == 2
        resume(hasty.folder, {"generations": 6})
        with RunRecord(hasty.folder) as record:
            assert len(record.winners()) == 3

    @pytest.mark.parametrize("repeats", [0, 2])
    def test_a_limit_before_the_first_success_says_how_to_go_on(
        self, config: RunConfig, repeats: int
    ) -> None:
        with pytest.raises(
            TrainingError, match=r"\(the limit of 1e-09 min is reached\) before any .* resume"
        ):
            evolve(config.changed(max_minutes=1e-9, repeats=repeats))


class TestFailures:
    def test_failures_are_recorded_and_the_run_goes_on(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        fake_training.fails = staticmethod(
            lambda r: ("diverged", "a loss was not finite") if int(r.genome.key, 16) % 2 else None
        )
        result = evolve(config)
        record = RunRecord(result.folder)
        table = candidates_table(record)
        population = [key for g in record.generations() for key, _ in g.population]
        record.close()
        failed = table[table["status"] == "diverged"]
        assert 0 < len(failed) < len(table)
        assert failed["score"].isna().all()
        assert not set(failed["genome"]) & set(population)

    def test_a_run_where_everything_fails_alike_stops_with_the_reason(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        fake_training.fails = staticmethod(lambda _: ("failed", "ValueError: bad shape"))
        with pytest.raises(
            TrainingError, match=r"; 6 failed, 6 of them with 'failed: ValueError: bad sha"
        ):
            evolve(config)

    def test_a_limit_before_the_first_success_gives_the_reason_of_the_failures(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        fake_training.fails = staticmethod(lambda _: ("diverged", "a loss was not finite"))
        said = r"\(3 networks are tried\) before any training succeeded; 3 failed, 3 of them with '"
        with pytest.raises(TrainingError, match=f"{said}diverged: a loss was not finite'"):
            evolve(config.changed(max_trainings=3))


@pytest.mark.usefixtures("fake_training")
class TestRecord:
    def test_a_second_run_of_the_same_seed_takes_every_score_from_the_cache(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        first = evolve(config)
        n_trained = len(fake_training.trained)
        second = evolve(config.changed(name="second"))
        assert len(fake_training.trained) == n_trained
        assert second.trainings == 0
        assert history(first.folder)[1:3] == history(second.folder)[1:3]

    @pytest.mark.parametrize(
        "change",
        [
            {"epochs": 7},
            {"patience_epochs": 2},
            {"metric": "log_loss"},
            {"class_weight": "balanced"},
            {"validation_fraction": 0.3},
            {"test_fraction": 0.3},
            {"max_categories": 5},
            {"drop": ("petal width (cm)",)},
        ],
    )
    def test_whatever_changes_a_score_changes_its_key(
        self, config: RunConfig, fake_training: type[FakeEvaluator], change: dict
    ) -> None:
        evolve(config)
        n_trained = len(fake_training.trained)
        changed = evolve(config.changed(name="second", **change))
        assert changed.trainings == n_trained
        assert len(fake_training.trained) == 2 * n_trained

    def test_a_full_disk_gives_one_line_and_loses_nothing(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        prepare = Database._prepare

        def small(self, *arguments: object) -> None:
            prepare(self, *arguments)
            n_pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._connection.execute(f"PRAGMA max_page_count = {n_pages + 3}")

        with monkeypatch.context() as patch:
            patch.setattr(Database, "_prepare", small)
            with pytest.raises(RecordError, match=r"^[^\n]*disk is full[^\n]*resume"):
                evolve(config)
        assert history(resume(config.results / "run").folder) == history(whole.folder)

    def test_a_saved_population_starts_another_run(self, config: RunConfig, tmp_path: Path) -> None:
        first = evolve(config)
        file = tmp_path / "population.json"
        assert save_population(first.folder, file) == 6
        last = history(first.folder)[1][-1][1]
        assert [genome.key for genome in read_genomes(file)] == [key for key, _ in last]
        second = evolve(config.changed(name="second", population=file, seed=5, generations=0))
        assert {key for key, _ in history(second.folder)[1][0][1]} == {key for key, _ in last}

    def test_a_run_folder_that_exists_is_refused(self, config: RunConfig) -> None:
        evolve(config)
        with pytest.raises(RecordError, match=r"exists already\. Pass another --name, or go on"):
            evolve(config)

    def test_a_record_of_another_version_is_refused(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        with sqlite3.connect(folder / "run.sqlite") as connection:
            connection.execute("UPDATE format SET version = 99")
        connection.close()
        with pytest.raises(RecordError, match=r"of version 99; this evonet reads version 9\. Use"):
            resume(folder)

    def test_labels_are_not_smoothed_in_regression_by_candidates_or_founders(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        space, file = tmp_path / "space.toml", tmp_path / "population.json"
        space.write_text("label_smoothing = [0.0, 0.1]\nwarmup = [0.0, 0.1]\n")
        founder = Genome((), "he_normal", "sgd", 0.1, 32, warmup=0.3, label_smoothing=0.2)
        write_genomes(file, [("", "", founder)])
        changed = config.changed(space=space, population=file)
        for data, found in (("diabetes", {0.0}), ("iris", {0.0, 0.1, 0.2})):
            with RunRecord(evolve(changed.changed(data=data, name=data)).folder) as record:
                table = candidates_table(record)
            assert set(table["label_smoothing"]) == found
            assert table["warmup"][0] == 0.3  # a founder's, from outside the space

    def test_a_pinned_gene_holds_for_every_candidate_and_founder(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        file = tmp_path / "population.json"
        save_population(evolve(config).folder, file)
        result = evolve(
            config.changed(name="b", population=file, fix=("learning_rate=0.002", "optimizer=adam"))
        )
        record = RunRecord(result.folder)
        table = candidates_table(record)
        record.close()
        assert set(table["learning_rate"]) == {0.002}
        assert set(table["optimizer"]) == {"adam"}


@pytest.mark.usefixtures("fake_training")
class TestRevalidation:
    def test_the_winner_is_the_finalist_with_the_best_mean_on_fresh_seeds(
        self, config: RunConfig
    ) -> None:
        observer = _Remembers()
        result = evolve(config.changed(finalists=4, repeats=1, generations=10), observer)
        assert observer.said == [(4, 1, False)]
        with RunRecord(result.folder) as record:
            searched = {s.genome.key: s.evaluation.score for s in record.evaluations()}
            means: dict[str, list[float]] = {}
            for stored in record.repeats():
                means.setdefault(stored.genome.key, []).append(stored.evaluation.score)
            assert record.count_trainings() == len(searched)  # repeats are not the search's
        best_four = sorted(searched, key=searched.__getitem__)[-4:]
        assert set(means) == set(best_four)
        assert {len(scores) for scores in means.values()} == {1}
        winner = result.winner
        assert winner is not None
        assert winner.genome.key == max(means, key=lambda key: sum(means[key]))
        assert winner.search_score == searched[winner.genome.key]
        assert sorted(winner.repeats) == sorted(means[winner.genome.key])
        assert winner.revalidated_score == pytest.approx(sum(winner.repeats))
        assert not set(winner.repeats) & set(searched.values())  # other seeds, other scores

    def test_of_finalists_with_one_mean_the_smaller_wins(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.finale._scores", lambda *_: [0.5])
        result = evolve(config.changed(finalists=4, repeats=1, generations=10))
        with RunRecord(result.folder) as record:
            again = {stored.genome.key for stored in record.repeats()}
            sizes = {s.genome.key: s.evaluation.parameters for s in record.evaluations()}
        assert len(again) == 4
        assert result.winner is not None
        assert sizes[result.winner.genome.key] == min(sizes[key] for key in again)

    @pytest.mark.parametrize("few", [True, False])
    def test_where_rows_are_few_finalists_are_trained_on_other_splits(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch, few: bool
    ) -> None:
        if not few:
            monkeypatch.setattr("evonet.setup.FEW_ROWS", 30)  # iris has 30 for validation
        observer = _Remembers()
        result = evolve(config.changed(finalists=2, repeats=4, generations=10), observer)
        assert observer.said == [(2, 4, few)]
        with RunRecord(result.folder) as record:
            again = record.repeats()
        assert [len(s.evaluation.folds) for s in again] == ([4, 4] if few else [0] * 8)
        assert result.winner is not None
        assert result.winner.on_splits == few
        own = [s.evaluation for s in again if s.genome == result.winner.genome]
        scores = own[0].folds if few else tuple(e.score for e in own)
        assert sorted(result.winner.repeats) == sorted(scores)
        assert result.noise is not None
        assert result.noise.of_splits == few

    def test_a_finalist_that_fails_again_comes_last(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        best = whole.winner.genome.key
        fake_training.fails = staticmethod(
            lambda r: ("diverged", "no") if r.genome.key == best and r.repeat else None
        )
        result = evolve(config.changed(finalists=3, repeats=2))
        assert result.winner.genome.key != best
        assert len(result.winner.repeats) == 2

    @pytest.mark.parametrize(("n", "few"), [(31, True), (31, False), (33, False), (35, False)])
    def test_stopped_within_it_and_resumed_equals_one_that_was_not(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch, n: int, few: bool
    ) -> None:
        if not few:
            monkeypatch.setattr("evonet.setup.FEW_ROWS", 30)
        config = config.changed(finalists=3, repeats=3)
        whole = evolve(config.changed(name="whole", results=config.results / "a"))
        stopper = StopAfter(n)
        stopped = evolve(config, stopper, stopper.asked)
        assert stopped.interrupted
        assert history(resume(stopped.folder).folder) == history(whole.folder)

    def test_searching_on_after_it_equals_a_search_that_never_stopped(
        self, config: RunConfig
    ) -> None:
        config = config.changed(finalists=3, repeats=3, generations=20)
        whole = evolve(config.changed(name="w", results=config.results / "a", max_trainings=40))
        short = evolve(config.changed(max_trainings=20))
        longer = resume(short.folder, {"max_trainings": 40})
        assert history(longer.folder)[:3] == history(whole.folder)[:3]
        assert longer.winner.genome == whole.winner.genome


@pytest.mark.usefixtures("fake_training")
class TestSize:
    def test_no_network_has_more_parameters_than_are_allowed(self, config: RunConfig) -> None:
        result = evolve(config.changed(max_parameters=2000))
        with RunRecord(result.folder) as record:
            sizes = [s.genome.parameter_count(4, 3) for s in record.evaluations()]
        assert len(sizes) == 6 + 6 * 4
        assert max(sizes) <= 2000

    def test_a_size_that_nothing_has_ends_the_search_with_a_sentence(
        self, config: RunConfig
    ) -> None:
        message = r"No network of at most 1 parameters was found\. Pass a larger --max-parameters"
        with pytest.raises(TrainingError, match=message):
            evolve(config.changed(max_parameters=1))

    def test_genomes_of_the_user_that_are_larger_are_refused(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        file = tmp_path / "population.json"
        save_population(evolve(config.changed(name="before")).folder, file)
        sizes = [genome.parameter_count(4, 3) for genome in read_genomes(file)]
        n = sum(size > min(sizes) for size in sizes)
        said = rf"{n} of 6 genomes of .* have more than {min(sizes)} parameters, the largest "
        with pytest.raises(ConfigError, match=rf"{said}{max(sizes)}\. Leave them out, or pass"):
            evolve(config.changed(population=file, max_parameters=min(sizes)))
        assert not (config.results / "run").exists()
        evolve(config.changed(population=file, max_parameters=max(sizes)))


@pytest.mark.usefixtures("fake_training")
class TestMethods:
    def test_all_but_ga_start_with_nothing_that_is_known_to_work(self, config: RunConfig) -> None:
        firsts = set()
        for method in METHODS:
            result = evolve(config.changed(name=method, method=method, generations=0))
            with RunRecord(result.folder) as record:
                asked = record.candidates()
            assert (asked[0].operator == "founder") == (method == "ga")
            if method != "ga":
                firsts.add(tuple(c.genome_key for c in asked))
        assert len(firsts) == 1

    def test_a_population_that_is_given_starts_every_method(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        file = tmp_path / "population.json"
        save_population(evolve(config).folder, file)
        for method in METHODS:
            changed = config.changed(name=method, method=method, population=file, generations=1)
            with RunRecord(evolve(changed).folder) as record:
                asked = [c for c in record.candidates() if c.operator == "founder"]
            assert len(asked) == 6

    def test_a_method_whose_package_is_missing_is_refused_before_there_is_a_run(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = evolve(config.changed(name="tpe", method="tpe", generations=0)).folder
        monkeypatch.setattr("evonet.extras.find_spec", lambda _: None)
        said = r"method tpe needs the package optuna, .* pip install optuna, or pass another"
        with pytest.raises(ConfigError, match=said):
            evolve(config.changed(method="tpe"))
        assert not (config.results / "run").exists()
        with pytest.raises(ConfigError, match=said):
            resume(folder, {"generations": 1})


@pytest.mark.usefixtures("fake_training")
class TestWords:
    """What a run says at its end."""

    def said(self, result: RunResult) -> str:
        return " ".join(line for line, _ in result_lines(result))

    def test_a_search_that_finished_no_generation_says_so(self, config: RunConfig) -> None:
        result = evolve(config.changed(max_trainings=1))
        assert result.generations == 0
        assert "ended before its first generation did" in self.said(result)
        assert "ended before" not in self.said(resume(result.folder, {"max_trainings": 50}))

    def test_a_lead_within_chance_is_none(self, config: RunConfig) -> None:
        result = evolve(config)  # its score is 0.5, from 0.3 to 0.7
        models = [Baseline(f"at {t}", "a model", t, t) for t in (0.2, 0.4, 0.6)]
        said = self.said(replace(result, baselines=tuple(models)))
        assert "the winner beats: at 0.2 by 0.3000." in said
        assert "its lead may be chance over: at 0.4 by 0.1000." in said
        assert "does NOT beat: at 0.6" in said

    def test_what_makes_scores_flatter_is_said_again_beside_them(self, config: RunConfig) -> None:
        result = evolve(config)
        assert "All these scores may" not in self.said(result)
        flags = ("--drop", "boat")
        finding = Finding("leak", "serious", "'boat' alone tells 81 %.", "", "", flags)
        said = self.said(replace(result, doubts=(finding,)))
        assert "All these scores may flatter. 'boat' alone tells 81 %. Consider --drop boat" in said

    def test_where_no_score_is_better_no_longer_search_is_advised(self, config: RunConfig) -> None:
        result = evolve(config)
        assert result.winner is not None
        assert "the best there can be" not in self.said(result)
        perfect = replace(result, winner=replace(result.winner, search_score=1.0))
        assert "A score of 1.000 is the best there can be" in self.said(perfect)

    def test_where_a_constant_is_as_good_nothing_was_learned(self, config: RunConfig) -> None:
        result = evolve(config)
        assert result.winner is not None
        tie = Baseline("majority", "always the commonest class", 0.5, 0.5)
        said = self.said(replace(result, baselines=(tie,)))
        assert "always says the same is as good by accuracy: the inputs may not tell" in said
        assert "use that" not in said
        assert "From 30 test rows, its score on all rows is 0.3000 to 0.7000 (95 %)" in said

    def test_of_classes_of_which_one_is_common_another_metric_is_advised(
        self, config: RunConfig
    ) -> None:
        result = evolve(config)
        assert result.winner is not None
        most = Baseline("majority", "always the commonest class", 0.9, 0.9)
        winner = replace(result.winner, test_score=0.9)
        said = self.said(replace(result, winner=winner, baselines=(most,)))
        assert "try --metric balanced_accuracy" in said
