"""A run as a study of Optuna's says what the run's history says."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import fakes
import pandas as pd
import pytest
from fakes import FakeEvaluator, fake_training
from histories import genes_in_history, history, same
from test_run import StopAfter

from evonet.config import RunConfig, make_config
from evonet.errors import ConfigError, RecordError
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.files import write_genomes
from evonet.logs.candidates import hyperparameters
from evonet.run import evolve, resume

optuna = pytest.importorskip("optuna")  # an extra

from optuna.distributions import (  # noqa: E402
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage  # noqa: E402
from optuna.storages.journal import JournalFileBackend  # noqa: E402

from evonet.logs.optuna_study import distributions, export_study  # noqa: E402

__all__ = ["fake_training"]

STATES = {"ok": "COMPLETE", "failed": "FAIL"}


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(
        {"data": "iris", "results": tmp_path, "name": "run", "population_size": 8, "offspring": 4}
        | {"generations": 3, "repeats": 0, "fidelity": "on", "epochs": 32}
    )


def study_of(folder: Path, name: str | None = None) -> optuna.Study:
    """The study that lies in a run's folder, loaded as Optuna's own documentation says."""
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    return optuna.load_study(study_name=name or folder.name, storage=storage)


def study_of_any(storage: Any) -> optuna.Study:
    return optuna.load_study(study_name="run", storage=storage)


def asked(app: Any, path: str) -> Any:
    """What a server answers."""
    environment: dict[str, Any] = {}
    setup_testing_defaults(environment)
    environment["PATH_INFO"] = path
    said: list[str] = []
    body = b"".join(app(environment, lambda status, *_: said.append(status)))
    assert said == ["200 OK"], body
    return json.loads(body)


def fail_some(fake: type[FakeEvaluator]) -> None:
    fails = lambda request: ("failed", "no <b>luck</b> 🙈") if request.genome.key < "4" else None  # noqa: E731
    fake.fails = staticmethod(fails)


@pytest.mark.usefixtures("fake_training")
class TestTrials:
    def test_every_candidate_is_a_trial_with_its_genes_score_state_and_origin(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        fail_some(fake_training)
        folder = evolve(config).folder
        export_study(folder, None, None)
        trials, table = study_of(folder).trials, history(folder)
        assert [trial.number for trial in trials] == list(range(len(table)))
        assert {"True", "False"} == set(table["dropped"])
        assert {"ok", "failed"} == set(table["status"])
        for trial, (_, row) in zip(trials, table.iterrows(), strict=True):
            genes = genes_in_history(row)
            assert set(trial.params) == set(trial.distributions) == set(genes)
            assert all(same(trial.params[gene], value) for gene, value in genes.items())
            state = "PRUNED" if row["dropped"] == "True" else STATES[row["status"]]
            assert trial.state.name == state
            assert trial.values == (None if state == "FAIL" else [float(row["score"])])
            said = trial.user_attrs
            assert said["genome"] == row["genome"]
            assert [said["generation"], said["slot"]] == [int(row["generation"]), int(row["slot"])]
            assert said["operator"] == row["operator"]
            assert said.get("parents", []) == row["parents"].split()
            assert said.get("reason", "") == row["reason"]
            assert trial.duration.total_seconds() == pytest.approx(float(row["seconds"]), abs=1e-5)

    def test_intermediate_values_are_scores_on_the_way_and_at_the_end(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        export_study(folder, None, None)
        for trial in study_of(folder).trials:  # fakes train for two epochs, and score after both
            assert trial.intermediate_values == {2: trial.value}

    def test_a_metric_that_is_minimised_is(self, config: RunConfig) -> None:
        folder = evolve(config.changed(metric="log_loss")).folder
        export_study(folder, None, None)
        study, table = study_of(folder), history(folder)
        assert study.direction.name == "MINIMIZE"
        whole = table[table["dropped"] == "False"]
        assert study.best_value == whole["score"].astype(float).min()

    def test_several_objectives_are_values_and_optuna_finds_the_same_front(
        self, config: RunConfig
    ) -> None:
        changed = config.changed(objective=("score", "parameters"), fidelity="off")
        folder = evolve(changed).folder
        export_study(folder, None, None)
        study = study_of(folder)
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
        assert study.metric_names == ["accuracy", "parameters"]
        front = pd.read_csv(folder / "pareto_front.csv")
        assert {trial.user_attrs["genome"] for trial in study.best_trials} == set(front["genome"])

    def test_optuna_finds_which_gene_matters(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        score = lambda request, fold=0: -math.log10(request.genome.learning_rate)  # noqa: E731
        monkeypatch.setattr(fakes, "fake_score", score)
        folder = evolve(config.changed(population_size=60, generations=1, fidelity="off")).folder
        export_study(folder, None, None)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = optuna.importance.get_param_importances(study_of(folder), evaluator=evaluator)
        assert shares["learning_rate"] > 0.8


class TestDistributions:
    def test_numbers_have_the_range_of_the_space_and_names_its_names(self) -> None:
        space = SearchSpace.default()
        genome = Genome((Layer(8, "relu"),), "he_normal", "momentum", 1e-3, 32, momentum=0.9)
        found = distributions(space, [hyperparameters(genome)])
        assert found["layers"] == IntDistribution(1, 6)
        assert found["layer_0_units"] == IntDistribution(8, 512, log=True)
        assert found["learning_rate"] == FloatDistribution(1e-4, 0.1, log=True)
        assert found["momentum"] == FloatDistribution(0.8, 0.99)
        assert found["layer_0_dropout"] == FloatDistribution(0.0, 0.5)
        assert found["schedule"] == CategoricalDistribution(
            ["constant", "exponential", "cosine", "one_cycle"]
        )
        assert "layer_1_units" not in found

    def test_what_founders_have_outside_the_space_is_in_the_distribution(self) -> None:
        layers = Layer(1000, "mish"), Layer(8, "relu")
        founder = Genome(layers, "he_normal", "adagrad", 1.0, 32)
        found = distributions(SearchSpace.default(), [hyperparameters(founder)])
        assert found["layer_0_units"] == found["layer_1_units"] == IntDistribution(8, 1000, True)
        assert found["learning_rate"] == FloatDistribution(1e-4, 1.0, log=True)
        assert found["optimizer"].choices[-1] == "adagrad"
        assert found["layer_1_activation"].choices[-1] == "mish"


@pytest.mark.usefixtures("fake_training")
class TestStorage:
    def test_a_study_that_holds_the_run_gets_nothing_again(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        first, again = (export_study(folder, None, None) for _ in range(2))
        assert (first["written"], again["written"], again["trials"]) == (56, 0, 56)
        assert len(study_of(folder).trials) == 56

    def test_a_study_goes_on_with_a_run_that_goes_on(self, config: RunConfig) -> None:
        stopper = StopAfter(25)
        folder = evolve(config, stopper, stopper.asked).folder
        assert export_study(folder, None, None)["written"] == 24
        resume(folder)
        assert export_study(folder, None, None)["written"] == 32
        export_study(folder, None, "at once")
        parts, whole = study_of(folder).trials, study_of(folder, "at once").trials
        assert [t.user_attrs for t in parts] == [t.user_attrs for t in whole]
        assert [t.params for t in parts] == [t.params for t in whole]

    def test_the_study_of_another_run_or_one_that_optuna_went_on_with_is_left_alone(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        export_study(folder, None, None)
        other = evolve(config.changed(name="other", seed=1)).folder
        with pytest.raises(RecordError, match=r"study 'run' that is not of this run alone"):
            export_study(other, str(folder / "optuna.log"), "run")
        study_of(folder).enqueue_trial({"layers": 2})
        with pytest.raises(RecordError, match=r"not of this run alone.*Pass another --study"):
            export_study(folder, None, None)
        assert len(study_of(folder).trials) == 57

    @pytest.mark.parametrize("storage", ["sqlite:///{}/a.db", "{}/a b#%.sqlite"])
    def test_a_database_holds_what_the_journal_holds(
        self, config: RunConfig, tmp_path: Path, storage: str
    ) -> None:
        folder = evolve(config.changed(generations=0, population_size=4)).folder
        made = export_study(folder, storage.format(tmp_path), None)
        export_study(folder, None, None)
        study = optuna.load_study(study_name="run", storage=made["storage"])
        assert export_study(folder, storage.format(tmp_path), None)["written"] == 0
        for ours, journals in zip(study.trials, study_of(folder).trials, strict=True):
            assert (ours.params, ours.values) == (journals.params, journals.values)
            assert ours.user_attrs == journals.user_attrs
            assert ours.distributions == journals.distributions
        study._storage._backend.engine.dispose()

    @pytest.mark.parametrize("storage", ["{}/run/optuna.log", "sqlite:///{}/a.db"])
    def test_optuna_dashboard_shows_it(
        self, config: RunConfig, tmp_path: Path, fake_training: type[FakeEvaluator], storage: str
    ) -> None:
        """Asked as a browser asks it, through its own server."""
        dashboard = pytest.importorskip("optuna_dashboard")
        fail_some(fake_training)
        folder = evolve(config).folder
        place = storage.format(tmp_path)
        export_study(folder, place, None)
        if not place.startswith("sqlite"):
            place = JournalStorage(JournalFileBackend(place))
        app = dashboard.wsgi(place)
        (study,) = asked(app, "/api/studies")["study_summaries"]
        assert study["study_name"] == "run"
        trials = asked(app, f"/api/studies/{study['study_id']}")["trials"]
        states = Counter(trial["state"] for trial in trials)
        assert states["Fail"] > 0
        assert states == Counter(t.state.name.capitalize() for t in study_of_any(place).trials)
        best = max(t["values"][0] for t in trials if t["state"] == "Complete")
        assert best == pytest.approx(study_of_any(place).best_value)

    def test_optuna_writes_into_nothing_that_is_not_its_own(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        folder = evolve(config).folder
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "notes.json").write_text(json.dumps({"mine": 1}))
        for file in ("run/run.sqlite", "scores.sqlite", "notes.txt", "notes.json"):
            before = (tmp_path / file).read_bytes()
            with pytest.raises(RecordError, match=r"of something else\. Pass --storage FILE"):
                export_study(folder, str(tmp_path / file), None)
            assert (tmp_path / file).read_bytes() == before

    @pytest.mark.parametrize(
        ("storage", "reason"),
        [
            ("nowhere/at/all.log", "No such file"),
            ("nowhere/at/all.db", "unable to open"),
            ("smoke://signals", "Can't load plugin"),
            ("postgresql://me:secret@host:word/db", "invalid literal"),
        ],
    )
    def test_a_storage_that_cannot_be_used_is_one_line(
        self, config: RunConfig, tmp_path: Path, storage: str, reason: str
    ) -> None:
        folder = evolve(config.changed(generations=0)).folder
        place = storage if "://" in storage else str(tmp_path / storage)
        with pytest.raises(RecordError, match=f"Cannot keep a study in .*{reason}") as caught:
            export_study(folder, place, None)
        assert "secret" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1

    def test_optuna_says_nothing(self, config: RunConfig, capfd: pytest.CaptureFixture) -> None:
        folder = evolve(config).folder
        export_study(folder, None, None)
        assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("fake_training")
def test_genomes_of_every_kind_come_through(config: RunConfig, tmp_path: Path) -> None:
    """A linear model, one far outside the space, and inactive genes on either side."""
    wide = tuple(Layer(n, "tanh", 0.9, "batch", "concat") for n in (1000, 3))
    founders = [
        Genome((), "glorot_uniform", "adam", 5.0, 7),
        Genome(wide, "lecun_normal", "nesterov", 1e-5, 1000, 0.123, "power", 0.5, 0.3, 1.0),
    ]
    write_genomes(tmp_path / "g.json", [("", "", genome) for genome in founders])
    space = tmp_path / "s.toml"
    space.write_text("warmup = [0.0, 0.1]\nclip_norm = [0.0, 2.0]\n")
    folder = evolve(config.changed(population=tmp_path / "g.json", space=space)).folder
    export_study(folder, None, None)
    first, second = (trial.params for trial in study_of(folder).trials[:2])
    assert first["layers"] == 0
    assert not {"layer_0_units", "momentum", "weight_decay"} & set(first)
    assert (second["layer_1_units"], second["momentum"], second["warmup"]) == (3, 0.123, 0.5)


def test_without_optuna_the_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from evonet.cli.logs import to_optuna_command

    monkeypatch.setattr("evonet.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"to-optuna needs .*pip install optuna\."):
        to_optuna_command(run="run")
