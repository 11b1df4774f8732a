"""The quality benchmark: its ranks and means, its file of records, the spaces of its rivals."""

from __future__ import annotations

import doctest
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench import keras_searches, processes, quality, quality_tables
from bench.choices import all_parameters, chosen_genome, default_values, optuna_choice
from bench.data import read_data
from bench.mlp import train_mlp
from bench.mlp_search import _CHANGES
from bench.quality import DataSet, Method, Record
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.neural_network import MLPClassifier

from evonet.evaluation import Budget
from evonet.genome import Genome, Layer, SearchSpace

DATA = DataSet("vehicle", "19")
OTHER = DataSet("ames_housing", "SalePrice", "regression")
A, B = Method("evonet", "evonet_search"), Method("a rival", "optuna_mlp")
BOOSTING = Method("boosting", "reference", "boosting")


def record(data: DataSet, method: Method, seed: int, score: float | None) -> Record:
    blank = Record(data.name, method.name, seed, 1.0, 2)
    if score is None:
        return replace(blank, error="no training ended in time")
    test = dict.fromkeys(data.scores, score)
    return replace(blank, validation=score, test=test, trainings=7, seconds=61.0, peak_mib=100.0)


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(quality_tables)
    assert result.attempted > 0
    assert result.failed == 0


def test_mean_ranks_are_those_of_pandas_with_ties_and_failures_last() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 4, (9, 5)).astype(float)
    scores[2, 1] = scores[2, 3] = scores[6, 0] = np.nan
    expected = pd.DataFrame(scores).rank(axis=1, ascending=False, na_option="bottom").mean()
    rows = [[None if np.isnan(s) else float(s) for s in row] for row in scores]
    assert quality_tables.mean_ranks(rows) == pytest.approx(list(expected))


def test_a_mean_with_a_failure_is_none() -> None:
    ok = {seed: record(DATA, A, seed, 0.25 * seed) for seed in (1, 3)}
    assert quality_tables.mean_score(ok, "accuracy") == 0.5
    assert quality_tables.mean_score(ok | {2: record(DATA, A, 2, None)}, "accuracy") is None
    assert quality_tables.mean_score({}, "accuracy") is None


def test_methods_are_compared_on_the_seeds_that_all_were_tried_on() -> None:
    records = [record(DATA, A, seed, 0.5) for seed in (0, 1, 2)]
    records += [record(DATA, B, 0, 0.9), record(DATA, B, 2, None), record(OTHER, B, 1, 0.9)]
    results = quality_tables.by_method(records, DATA.name, [A, B])
    assert {name: list(seeds) for name, seeds in results.items()} == {
        "evonet": [0, 2],
        "a rival": [0, 2],
    }


def test_the_table_of_a_data_set_holds_means_intervals_and_failures() -> None:
    scores = [0.5, 0.75, 0.625]
    records = [record(DATA, A, seed, score) for seed, score in enumerate(scores)]
    records += [record(DATA, B, seed, score) for seed, score in enumerate([0.5, None, 0.75])]
    table = quality_tables.data_table(DATA, [B, A], records)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(scores), scale=stats.sem(scores))
    (_, _, rival, _, trainings, seconds, *_), (_, first, second, *_) = table.rows
    assert first == f"0.6250 ({low:.4f} to {high:.4f})"
    assert (second, rival, trainings, seconds) == ("0.6250", "0.6250", 7, 61)
    assert table.notes == ("a rival, seed 1: no training ended in time",)


def test_the_table_says_which_search_ran_over_its_limit() -> None:
    records = [record(DATA, A, 0, 0.6), replace(record(DATA, B, 0, 0.5), seconds=67.0)]
    records += [replace(record(DATA, BOOSTING, 0, 0.5), seconds=90.0)]  # no search, no limit
    notes = quality_tables.data_table(DATA, [A, B, BOOSTING], records).notes
    assert notes == ("a rival, seed 0: 67 of 60 s",)


@pytest.mark.parametrize(("score", "said"), [(0.9, True), (0.8, False), (0.7, False)])
def test_the_table_says_where_boosting_wins(score: float, said: bool) -> None:
    records = [record(DATA, A, 0, 0.6), record(DATA, B, 0, 0.8), record(DATA, BOOSTING, 0, score)]
    notes = quality_tables.data_table(DATA, [A, B, BOOSTING], records).notes
    expected = "boosting wins here: 0.9000 against 0.8000 of a rival, the best tuner."
    assert notes == ((expected,) if said else ())


def test_ranks_leave_out_data_sets_that_are_not_finished() -> None:
    finished = [record(DATA, A, 0, 0.6), record(DATA, B, 0, 0.8), record(DATA, BOOSTING, 0, 0.7)]
    unfinished = [record(OTHER, A, 0, 0.9), record(OTHER, B, 0, 0.1)]
    table = quality_tables.rank_table([DATA, OTHER], [A, B, BOOSTING], finished + unfinished)
    assert table.rows == (
        ("evonet", 2.0, 2.0, 3.0),
        ("a rival", 1.0, 1.0, 1.0),
        ("boosting", None, None, 2.0),
    )
    assert "1 data sets" in table.title


def test_a_search_that_ran_over_its_limit_is_also_ranked_behind_the_others() -> None:
    late = replace(record(DATA, B, 0, 0.8), seconds=67.0)
    records = [record(DATA, A, 0, 0.6), late, record(OTHER, A, 0, 0.6), record(OTHER, B, 0, 0.8)]
    table = quality_tables.rank_table([DATA, OTHER], [A, B], records)
    assert table.rows == (("evonet", 2.0, 1.5, 2.0), ("a rival", 1.0, 1.5, 1.0))


WANTED = [(seed, data, method) for seed in (0, 1) for data in (DATA, OTHER) for method in (A, B)]


class Jobs:
    """Jobs that answer at once, each with a score of its own; those in ``fail`` fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: tuple[int, ...] = ()) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self._fail = fail
        monkeypatch.setattr(quality, "run_job", self._run)

    def _run(
        self, job: str, arguments: Mapping[str, Any], environment: object, most_seconds: float
    ) -> processes.Finished:
        self.calls.append((job, arguments["metric"], arguments["seed"]))
        if len(self.calls) - 1 in self._fail:
            raise processes.JobError("it died")
        assert most_seconds > 60
        assert arguments["deadline"] == arguments["started"] + 60
        score = len(job) / 100 + arguments["seed"]
        result = {"validation": score, "test": {"r2": score}, "trainings": 3, "details": {}}
        return processes.Finished(60.0, 10.0, result)


def measured(file: Path, most: int = 1000, cpu: str = "one") -> list[Record]:
    """Measure what is wanted, at most so many of them."""
    left = iter(range(most))

    def is_over() -> bool:
        return next(left, None) is None

    where = {"versions": {"evonet": "1"}, "cpu": cpu}
    list(quality.measure(WANTED, 1.0, 2, Path("data"), file, where, is_over))
    return [replace(r, details={}) for r in quality.read_records(file)]


def test_a_benchmark_that_was_stopped_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs = Jobs(monkeypatch)
    whole = measured(tmp_path / "whole")
    assert len(whole) == len(WANTED) == len(jobs.calls)
    assert jobs.calls[2] == ("evonet_search", "rmse", 0)
    jobs = Jobs(monkeypatch)
    assert measured(tmp_path / "parts", most=3) == whole[:3]
    assert measured(tmp_path / "parts") == whole
    assert len(jobs.calls) == len(WANTED)


def test_a_line_that_was_cut_off_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs, file = Jobs(monkeypatch), tmp_path / "scores"
    whole = measured(file)
    text = file.read_text("utf-8")
    file.write_text(text[: len(text) - 30], "utf-8")
    assert measured(file) == whole
    assert len(jobs.calls) == len(WANTED) + 1
    assert len([json.loads(line) for line in file.read_text("utf-8").splitlines()]) == len(WANTED)


def test_a_failure_is_a_record_that_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs, file = Jobs(monkeypatch, fail=(1,)), tmp_path / "scores"
    first = measured(file)
    assert [r.error for r in first] == ["", "it died", *[""] * 6]
    assert not any(r.error for r in measured(file))
    assert jobs.calls[-1] == jobs.calls[1]
    assert len(jobs.calls) == len(WANTED) + 1


def test_processors_are_not_mixed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jobs, file = Jobs(monkeypatch), tmp_path / "scores"
    measured(file, most=3)
    with pytest.raises(SystemExit, match=r"was measured on one, and this is another: .* --scores"):
        measured(file, cpu="another")
    assert len(jobs.calls) == 3
    assert len(measured(file, most=0, cpu="another")) == 3  # only to print them
    measured(file)
    measured(file, cpu="another")  # nothing is left to measure


def test_other_minutes_and_cores_are_other_records() -> None:
    one = Record("vehicle", "evonet", 0, 1.0, 2)
    assert len({one.key, replace(one, minutes=2.0).key, replace(one, cores=4).key}) == 3
    assert replace(one, seconds=3.0).key == one.key


class Trial:
    """Chooses at random as Optuna's trial does, the same again for the same name."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.params: dict[str, Any] = {}
        self._rng = rng

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.params.setdefault(name, int(self._rng.integers(low, high + 1)))

    def suggest_categorical(self, name: str, values: list[Any]) -> Any:
        return self.params.setdefault(name, values[int(self._rng.integers(len(values)))])


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_tool_chooses_genomes_of_the_default_space_and_nothing_that_does_not_act(
    task: str,
) -> None:
    rng, space = np.random.default_rng(5), SearchSpace.default().for_task(task)
    momenta, asked = set(), set()
    for _ in range(200):
        trial = Trial(rng)
        genome = chosen_genome(optuna_choice(trial), default_values(task))
        assert space.admits(genome)
        assert ("momentum" in trial.params) == (genome.momentum is not None)
        assert ("weight_decay" in trial.params) == (genome.weight_decay is not None)
        assert sum(name.startswith("units_") for name in trial.params) == len(genome.layers)
        momenta.add(genome.momentum)
        asked |= trial.params.keys()
    assert asked == all_parameters(default_values(task)).keys()
    assert momenta == {None, *space.genes["momentum"].values}


def test_networks_of_scikit_learn_have_one_activation() -> None:
    values = {**default_values("binary"), **_CHANGES}
    rng = np.random.default_rng(6)
    genomes = [chosen_genome(optuna_choice(Trial(rng)), values, ["activation"]) for _ in range(99)]
    activations = [{layer.activation for layer in genome.layers} for genome in genomes]
    assert all(len(names) == 1 for names in activations)
    assert set.union(*activations) == {"relu", "tanh", "sigmoid"}


def test_a_network_of_scikit_learn_keeps_the_weights_of_its_best_epoch() -> None:
    dataset = read_data("iris")
    genome = Genome((Layer(30, "tanh"),), "he_normal", "adamw", 0.1, 16, weight_decay=1e-3)
    trained = train_mlp(genome, 3, dataset, Budget(25, 25))
    assert trained is not None
    network, predictions = trained
    settings = {"activation": "tanh", "learning_rate_init": 0.1, "batch_size": 16, "alpha": 1e-3}
    by_hand = MLPClassifier((30,), **settings, random_state=3)
    losses = []
    for _ in range(25):
        by_hand.partial_fit(dataset.train.x, dataset.train.y, classes=[0, 1, 2])
        p = by_hand.predict_proba(dataset.validation.x).astype(np.float64)
        losses.append(log_loss(dataset.validation.y, p / p.sum(axis=1, keepdims=True)))
    assert int(np.argmin(losses)) < 24  # or the best weights are the last ones anyhow
    kept = network.predict_proba(dataset.validation.x).astype(np.float64)
    assert kept == pytest.approx(predictions)
    kept /= kept.sum(axis=1, keepdims=True)
    assert log_loss(dataset.validation.y, kept) == pytest.approx(min(losses), rel=1e-5)


def test_a_network_without_time_is_none() -> None:
    genome = Genome((Layer(8, "relu"),), "he_normal", "adam", 0.01, 16)
    assert train_mlp(genome, 3, read_data("diabetes"), Budget(3, 3), deadline=0.0) is None


def test_balanced_accuracy_in_keras_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    several, truth = rng.normal(size=(60, 4)), rng.integers(0, 4, (60, 1))
    of_four = keras_searches._balanced_accuracy(4)
    of_four.update_state(truth[:25], several[:25])
    of_four.update_state(truth[25:], several[25:])
    expected = balanced_accuracy_score(truth[:, 0], several.argmax(axis=1))
    assert float(of_four.result()) == pytest.approx(expected, rel=1e-5)
    one, truth = rng.normal(size=(60, 1)), (rng.random((60, 1)) < 0.2).astype(int)
    of_two = keras_searches._balanced_accuracy(2)
    of_two.update_state(truth, one)
    expected = balanced_accuracy_score(truth[:, 0], one[:, 0] > 0)
    assert float(of_two.result()) == pytest.approx(expected, rel=1e-5)


def test_a_job_that_takes_too_long_is_ended() -> None:
    with pytest.raises(processes.JobError, match="best_product was ended after"):
        processes.run_job("best_product", {}, most_seconds=0.01)  # Python alone takes longer
