"""What a run logs for TensorBoard is what TensorBoard finds: read back by its own backend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fakes import FakeEvaluator, fake_training
from histories import genes_in_history, history, same
from test_run import StopAfter

from evonet.config import RunConfig, make_config
from evonet.errors import ConfigError, RecordError
from evonet.progress import GenerationSummary, Observer
from evonet.run import evolve, resume
from evonet.store.record import RunRecord
from evonet.training import latency

pytest.importorskip("tensorboard")  # an extra
# TensorBoard reads its files with TensorFlow where there is one, unless it has this module.
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.backend.event_processing.plugin_event_multiplexer import (  # noqa: E402
    EventMultiplexer,
)
from tensorboard.plugins.base_plugin import TBContext  # noqa: E402
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin  # noqa: E402
from werkzeug.test import Client  # noqa: E402

from evonet.logs.event_files import export_event_files  # noqa: E402

__all__ = ["fake_training"]

RESULTS = ("score", "parameters", "seconds", "epochs", "best_epoch")


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return make_config(
        {"data": "iris", "results": tmp_path, "name": "run", "population_size": 8, "offspring": 4}
        | {"generations": 3, "repeats": 0, "fidelity": "on", "epochs": 32, "tensorboard": True}
    )


def trials(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of the HParams dashboard by name, as its HTTP endpoint gives them."""
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    wanted = {"allowedStatuses": statuses, "startIndex": 0, "sliceSize": 10_000}
    groups = asked(folder, "/session_groups", wanted)["sessionGroups"]
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names))
    found = {}
    for group in groups:
        (session,) = group["sessions"]
        metrics = {m["name"]["tag"]: m["value"] for m in group.get("metricValues", ())}
        found[group["name"]] = {
            "genes": group["hparams"],
            "metrics": metrics,
            "status": session["status"],
        }
    return found


def asked(folder: Path, route: str, request: dict[str, Any]) -> dict[str, Any]:
    """What an HTTP endpoint of the HParams dashboard answers."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder / "tensorboard"))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder / "tensorboard"))
    apps = HParamsPlugin(TBContext(data_provider=provider)).get_plugin_apps()
    reply = Client(apps[route]).post(route, data=json.dumps(request))
    assert reply.status_code == 200, reply.get_data(as_text=True)
    return reply.get_json(force=True)


@pytest.mark.usefixtures("fake_training")
class TestTheDashboardOfHyperparameters:
    def test_it_has_every_candidate_once_with_its_genes_and_results(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        shown, table = trials(folder), history(folder)
        assert set(shown) == set(table.index)
        assert len(shown) == 8 + 3 * 16
        assert (table["dropped"] == "True").any()
        for name, row in table.iterrows():
            genes = genes_in_history(row)
            assert set(shown[name]["genes"]) == set(genes), name
            for gene, value in genes.items():
                assert same(shown[name]["genes"][gene], value), (name, gene)
            for result in RESULTS:  # as float32
                written = pytest.approx(float(row[result]), rel=1e-6)
                assert shown[name]["metrics"][result] == written, (name, result)

    def test_a_training_that_failed_is_a_failure_without_a_score_and_says_why(
        self, config: RunConfig, fake_training: type[FakeEvaluator]
    ) -> None:
        reason = "loss is <b>NaN</b>\n\n# 🙈 " + "x" * 10_000
        fails = lambda request: ("failed", reason) if request.genome.key < "4" else None  # noqa: E731
        fake_training.fails = staticmethod(fails)
        folder = evolve(config).folder
        failed = {name for name, row in history(folder).iterrows() if row["status"] == "failed"}
        assert failed
        for name, trial in trials(folder).items():
            assert (trial["status"] == "STATUS_FAILURE") == (name in failed)
            assert ("score" in trial["metrics"]) == (name not in failed)
        text = said(folder, min(failed))
        assert all(line.startswith("    ") for line in text.splitlines())  # literal in Markdown
        assert "failed: loss is <b>NaN</b>" in text
        assert text.endswith("x" * 10_000)

    def test_its_columns_are_genes_that_differ_and_results_with_the_score_first(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config.changed(fix=("optimizer=adam", "layers=2"))).folder
        reply = asked(folder, "/experiment", {"includeMetrics": True})
        assert [info["name"]["tag"] for info in reply["metricInfos"]] == list(RESULTS)
        said = reply["metricInfos"][0]["description"]
        assert said == "accuracy on the validation part; higher is better."
        columns = {info["name"] for info in reply["hparamInfos"]}
        table = history(folder)
        genes = [genes_in_history(row) for _, row in table.iterrows()]
        every = {name for of_one in genes for name in of_one}
        differ = {name for name in every if len({of_one.get(name) for of_one in genes}) > 1}
        assert differ <= columns
        assert not {"optimizer", "layers", "clip_norm"} & columns

    def test_the_time_of_inference_is_there_where_it_is_an_objective(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            latency, "inference_ms", lambda genome, dataset: 0.1 * genome.batch_size
        )
        folder = evolve(config.changed(objective=("score", "inference_ms"))).folder
        table = history(folder)
        for name, trial in trials(folder).items():
            written = float(table.loc[name, "inference_ms"])
            assert trial["metrics"]["inference_ms"] == pytest.approx(written, rel=1e-6)


def said(folder: Path, name: str) -> str:
    found = EventAccumulator(str(folder / "tensorboard" / name)).Reload()
    (event,) = found.Tensors("candidate")
    return event.tensor_proto.string_val[0].decode()


@pytest.mark.usefixtures("fake_training")
class TestCurves:
    def test_losses_and_scores_on_the_way_are_curves_over_epochs(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        with RunRecord(folder) as record:
            first = record.candidates()[0]
            e = record.evaluation(first.score_key).evaluation
        found = EventAccumulator(str(folder / "tensorboard" / "0000-0000")).Reload()
        for tag in ("train_loss", "validation_loss"):
            curve = [(event.step, event.value) for event in found.Scalars(tag)]
            assert curve == [(1, 1.0), (2, 0.5)], tag
        (rung,) = found.Scalars("rung_score")
        assert (rung.step, rung.value) == (2, pytest.approx(e.rungs[0].score, rel=1e-6))
        times = [event.wall_time for event in found.Scalars("train_loss")]
        assert times[1] - times[0] == pytest.approx(e.seconds / 2, abs=1e-5)

    def test_the_final_fit_of_the_winner_has_a_run_of_its_own_and_is_no_trial(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config).folder
        found = EventAccumulator(str(folder / "tensorboard" / "winner-1")).Reload()
        assert [event.value for event in found.Scalars("test_score")] == [0.5]
        assert [event.value for event in found.Scalars("train_loss")] == [1.0]
        assert "winner-1" not in trials(folder)


class Counts(Observer):
    """How many candidates were logged when each generation was over."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.seen: list[int] = []

    def on_generation(self, summary: GenerationSummary) -> None:
        self.seen.append(len(list(self.logs.glob("*/*tfevents*"))))


@pytest.mark.usefixtures("fake_training")
class TestWhenItIsWritten:
    def test_candidates_are_logged_as_soon_as_their_generation_is_over(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        observer = Counts(tmp_path / "run" / "tensorboard")
        evolve(config, observer)
        assert observer.seen == [8, 24, 40, 56]

    @pytest.mark.parametrize("n", [8, 25])
    def test_a_run_that_was_stopped_and_resumed_has_logged_each_candidate_once(
        self, config: RunConfig, n: int
    ) -> None:
        whole = evolve(config.changed(name="whole", results=config.results / "a")).folder
        stopper = StopAfter(n)
        stopped = evolve(config, stopper, stopper.asked).folder
        assert len(trials(stopped)) == {8: 8, 25: 24}[n]
        resumed = resume(stopped).folder
        assert trials(resumed) == trials(whole)
        assert len(list((resumed / "tensorboard").glob("0*/*"))) == 56

    def test_a_run_without_logs_is_exported_to_the_same_ones_and_never_twice(
        self, config: RunConfig
    ) -> None:
        logged = evolve(config).folder
        silent = config.changed(name="silent", tensorboard=False, results=config.results / "a")
        folder = evolve(silent).folder
        assert not (folder / "tensorboard").exists()
        assert export_event_files(folder) == 56
        assert trials(folder) == trials(logged)
        before = {path: path.read_bytes() for path in folder.glob("tensorboard/*/*")}
        assert export_event_files(folder) == 0
        assert {path: path.read_bytes() for path in folder.glob("tensorboard/*/*")} == before

    def test_what_a_kill_left_out_is_written_by_the_next_export(self, config: RunConfig) -> None:
        folder = evolve(config).folder
        before = trials(folder)
        for name in ("0001-0003", "0003-0000"):  # one killed before its file, one within it
            (folder / "tensorboard" / name / "events.out.tfevents.evonet").unlink()
        (folder / "tensorboard" / "0003-0000" / "unfinished-1").write_bytes(b"\x01\x02")
        assert export_event_files(folder) == 2
        assert trials(folder) == before

    def test_a_folder_that_cannot_be_written_is_one_line_that_says_how_to_go_on(
        self, config: RunConfig
    ) -> None:
        folder = evolve(config.changed(tensorboard=False)).folder
        (folder / "tensorboard").write_text("a file")
        with pytest.raises(RecordError, match=r"Cannot write into .*evonet to-tensorboard"):
            export_event_files(folder)

    def test_without_tensorboard_it_is_refused_before_there_is_a_run(
        self, config: RunConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.extras.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match=r"pip install tensorboard, or leave it out"):
            evolve(config)
        assert not (config.results / "run").exists()
