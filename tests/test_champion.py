"""Baselines, the winner and prediction, end to end on small real runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predicted import tables_of
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from test_engine import Deadly

from evonet.champion import crowning, prediction
from evonet.champion.baselines import fit_baselines
from evonet.champion.crowning import crown, keras_model, save_winner
from evonet.champion.fitting import Fitter, best_fit, fits_of
from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import networks_digest
from evonet.cli.winners import predict_command
from evonet.config import make_config
from evonet.data.dataset import load_dataset
from evonet.data.files import read_portions
from evonet.errors import ConfigError, DataError, RecordError, TrainingError
from evonet.evaluation import Budget, Evaluation
from evonet.genome import Genome, Layer
from evonet.genome.files import read_genomes
from evonet.metrics import METRICS, choose_metric
from evonet.outcome import FINAL_REPEAT, Finalist
from evonet.progress import Observer, RunResult
from evonet.run import resume, train
from evonet.store.record import RunRecord
from evonet.streams import training_seed
from evonet.training.evaluator import Outcome
from evonet.training.processes import ProcessDiedError
from evonet.training.slots import WithinMemory
from evonet.training.trained import Trained
from evonet.training.trainer import Trainer

GENOME = Genome((Layer(16, "relu", 0.1),), "matched_normal", "adam", 0.01, 16)
DIVERGES = Genome((Layer(64, "relu"),) * 4, "he_normal", "sgd", 100.0, 16)
SEARCHED = Evaluation(GENOME.key, 1, "ok", "", 0.8, 1, (1.0,), (1.0,), 7, 1.0)


def predict(run: Path, file: Path, probabilities: bool = False) -> pd.DataFrame:
    return pd.concat(tables_of(load_predictor(run), file, probabilities), ignore_index=True)


def fitter(workers: int = 1) -> Fitter:
    dataset = load_dataset(make_config({"data": "iris"}))
    metric = choose_metric("auto", dataset.target)
    return Fitter(dataset, metric, "sparse_categorical_crossentropy", workers)


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    """A trained genome on a table with words, numbers, a boolean and missing values; the table."""
    folder = tmp_path_factory.mktemp("wine")
    data = load_wine(as_frame=True)
    frame = data.data.copy()
    frame["strong"] = frame["alcohol"] > 13
    frame["hue"] = np.where(frame["hue"] > 1, "warm", "cold")
    frame.loc[::7, "hue"] = None
    frame.loc[::5, "magnesium"] = np.nan
    frame["kind"] = np.array(["Barolo", "Grignolino", "Barbera"])[data.target]
    table = folder / "wine.csv"
    frame.to_csv(table, index=False)
    settings = {"data": str(table), "target": "kind", "results": folder, "final_epochs": 40}
    return train(GENOME, make_config({**settings, "name": "run"})), table


def test_winner_is_saved_with_genome_and_scores(wine: tuple[RunResult, Path]) -> None:
    result, _ = wine
    assert result.winner is not None
    assert read_genomes(result.folder / "best_genome.json") == (GENOME,)
    assert (result.folder / "model.keras").is_file()
    assert set(result.winner.test_scores) >= {"accuracy", "balanced_accuracy", "log_loss"}
    assert result.winner.test_scores["accuracy"] == result.winner.test_score > 0.8


def test_predictions_of_raw_rows_give_the_reported_test_score(wine: tuple[RunResult, Path]) -> None:
    result, table = wine
    predicted = predict(result.folder, table)["prediction"]
    truth = pd.read_csv(table)["kind"]
    record = RunRecord(result.folder)
    config = record.facts.config
    record.close()
    from evonet.data.splitting import split_rows

    split = split_rows(truth, "multiclass", config.seed, 0.2, 0.2)
    score = accuracy_score(truth.iloc[split.test], predicted.iloc[split.test])
    assert result.winner is not None
    assert score == pytest.approx(result.winner.test_score)


def test_predictions_do_not_depend_on_column_order_or_extra_columns(wine, tmp_path) -> None:
    result, table = wine
    frame = pd.read_csv(table)
    shuffled = frame.drop(columns="kind")[frame.columns[-2::-1]].assign(more="x")
    shuffled.to_csv(tmp_path / "s.csv", index=False)
    expected = predict(result.folder, table, probabilities=True)
    pd.testing.assert_frame_equal(predict(result.folder, tmp_path / "s.csv", True), expected)


def test_probabilities_have_a_column_for_each_class_and_sum_to_one(wine) -> None:
    result, table = wine
    predicted = predict(result.folder, table, probabilities=True)
    p = predicted.drop(columns="prediction")
    assert list(p) == [f"probability of {c}" for c in ("Barbera", "Barolo", "Grignolino")]
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=3e-6)  # rounded to six digits
    best = p.idxmax(axis=1).str.removeprefix("probability of ")
    assert (best == predicted["prediction"]).all()


def test_a_category_never_seen_is_predicted_all_the_same(wine, tmp_path) -> None:
    result, table = wine
    pd.read_csv(table).assign(hue="ultraviolet").to_csv(tmp_path / "n.csv", index=False)
    assert len(predict(result.folder, tmp_path / "n.csv")) == 178


def test_a_missing_column_is_named(wine, tmp_path) -> None:
    result, table = wine
    pd.read_csv(table).drop(columns="alcohol").to_csv(tmp_path / "n.csv", index=False)
    with pytest.raises(DataError, match=r"1 of 14 columns of training is missing: 'alcohol'"):
        predict(result.folder, tmp_path / "n.csv")


def test_words_in_a_column_of_numbers_are_named_with_their_row(wine, tmp_path) -> None:
    result, table = wine
    frame = pd.read_csv(table).astype({"alcohol": object})
    frame.loc[4, "alcohol"] = "strong"
    frame.to_csv(tmp_path / "n.csv", index=False)
    with pytest.raises(
        DataError, match=r"Column 'alcohol' holds 'strong' in row 5; expected a numb"
    ):
        predict(result.folder, tmp_path / "n.csv")


def test_damaged_networks_are_named(wine, tmp_path) -> None:
    result, table = wine
    shutil.copytree(result.folder, tmp_path / "run")
    networks = tmp_path / "run" / "networks.npz"
    networks.write_bytes(networks.read_bytes()[:2000])
    with pytest.raises(RecordError, match=r"networks\.npz is damaged: .*delete it and run evonet"):
        predict(tmp_path / "run", table)


def test_a_row_of_which_the_network_makes_no_number_is_named(wine, tmp_path) -> None:
    _, csv = wine
    rows = pd.read_csv(csv).iloc[:5]
    rows.loc[3, ["alcohol", "ash", "proline"]] = -3.4028234e38  # the usual "no data" of rasters
    rows.to_csv(tmp_path / "raster.csv", index=False)
    with pytest.raises(DataError, match=r"What the network makes of row 4 is too large .* units"):
        predict(wine[0].folder, tmp_path / "raster.csv")


def test_of_no_rows_there_are_no_predictions(wine) -> None:
    result, table = wine
    assert load_predictor(result.folder).predictions(pd.read_csv(table).iloc[:0]).shape == (0, 3)


class TestPredictCommand:
    """What is written is whole, and who reads only the beginning hears no complaint."""

    def in_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(read_portions, "__defaults__", ((), 50))

    def test_an_error_in_a_later_row_leaves_the_file_as_it_was(
        self, wine: tuple[RunResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result, table = wine
        frame = pd.read_csv(table).astype({"alcohol": object})
        frame.loc[120, "alcohol"] = "strong"
        frame.to_csv(tmp_path / "n.csv", index=False)
        self.in_portions(monkeypatch)
        output = tmp_path / "out" / "p.csv"
        output.parent.mkdir()
        for before in (None, "precious\n"):
            if before:
                output.write_text(before)
            with pytest.raises(DataError, match="Column 'alcohol' holds 'strong'"):
                predict_command(run=str(result.folder), file=tmp_path / "n.csv", output=output)
            assert (output.read_text() if output.exists() else None) == before
            assert list(output.parent.iterdir()) == ([output] if before else [])

    def test_words_that_training_had_not_are_told_once_for_all_portions(
        self, wine: tuple[RunResult, Path], tmp_path: Path, capsys, monkeypatch
    ) -> None:
        result, table = wine
        frame = pd.read_csv(table)
        frame.loc[[3, 100, 170], "hue"] = ["odd", "\x1b[31mred", "odd"]
        frame.to_csv(tmp_path / "n.csv", index=False)
        self.in_portions(monkeypatch)
        for output in (None, tmp_path / "out.csv"):
            predict_command(run=str(result.folder), file=tmp_path / "n.csv", output=output)
            assert capsys.readouterr().err == (
                "evonet: Column 'hue': 3 rows have words that training had not, such as 'odd', "
                "'\\x1b[31mred'.\n"
            )
        predict_command(run=str(result.folder), file=table)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_nothing_in_a_class_is_obeyed_by_a_terminal_and_a_file_has_it_as_it_is(
        self, wine: tuple[RunResult, Path], capsys, monkeypatch, is_terminal: bool
    ) -> None:
        result, table = wine
        classes = pd.DataFrame({"class": ["\x1b[2Jred", "é,\tü\u3000"]})
        monkeypatch.setattr(prediction, "predict_file", lambda *_: iter([(classes, [])]))
        monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
        predict_command(run=str(result.folder), file=table)
        escape = "�" if is_terminal else "\x1b"
        assert capsys.readouterr().out == f'class\n{escape}[2Jred\n"é,\tü\u3000"\n'

    def test_output_is_what_standard_output_gets_and_links_stay(
        self, wine: tuple[RunResult, Path], tmp_path: Path, capsys, monkeypatch
    ) -> None:
        result, table = wine
        self.in_portions(monkeypatch)
        predict_command(run=str(result.folder), file=table)
        printed = capsys.readouterr().out
        (tmp_path / "link.csv").symlink_to(tmp_path / "p.csv")
        predict_command(run=str(result.folder), file=table, output=tmp_path / "link.csv")
        assert (tmp_path / "p.csv").read_text() == printed
        assert (tmp_path / "link.csv").is_symlink()
        expected = predict(result.folder, table)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "p.csv"), expected)

    def test_a_pipe_with_a_name_is_written_to_and_not_replaced(
        self, wine: tuple[RunResult, Path], tmp_path: Path
    ) -> None:
        result, table = wine
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        predict_command(run=str(result.folder), file=table, output=tmp_path / "pipe")
        assert len(os.read(reader, 2**16).splitlines()) == 179
        os.close(reader)
        assert (tmp_path / "pipe").is_fifo()

    def test_output_that_cannot_be_written_is_named(
        self, wine: tuple[RunResult, Path], tmp_path: Path
    ) -> None:
        result, table = wine
        for output in (tmp_path, tmp_path / "none" / "p.csv"):
            with pytest.raises(DataError, match=r"Cannot write .*(a directory|No such file)"):
                predict_command(run=str(result.folder), file=table, output=output)

    def test_who_reads_the_first_lines_only_hears_no_complaint(
        self, wine: tuple[RunResult, Path], tmp_path: Path
    ) -> None:
        result, table = wine
        # Some megabytes of predictions: more than a pipe holds.
        pd.concat([pd.read_csv(table)] * 600).to_csv(tmp_path / "long.csv", index=False)
        long, flags = str(tmp_path / "long.csv"), ["--probabilities"]
        process = subprocess.Popen(
            [sys.executable, "-m", "evonet", "predict", str(result.folder), long, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("prediction,")
        process.stdout.close()
        with process.stderr:
            assert process.stderr.read() == ""
        assert process.wait() == 1  # as Python and its tools end where nobody reads on


class TestNetworksOfTheRecord:
    """Only arrays that the record's winner has are predicted with."""

    @pytest.fixture
    def run(self, wine: tuple[RunResult, Path], tmp_path: Path) -> Path:
        return Path(shutil.copytree(wine[0].folder, tmp_path / "run"))

    def rewrite(self, run: Path, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
        """Change the winner's arrays, and let the record have the digest of the new file."""
        file = run / "networks.npz"
        with np.load(file) as arrays:
            own = [arrays[name] for name in arrays.files if name.startswith("0.")]
        np.savez(file, **{f"0.{i}": array for i, array in enumerate(change(own))})
        with RunRecord(run) as record:
            record.add_winner(replace(record.winners()[-1], networks=networks_digest(file)))

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda own: [own[0].T, *own[1:]], id="turned"),
            pytest.param(lambda own: [own[0], *own[:0:-1]], id="another order"),
            pytest.param(lambda own: [a.astype(np.float64) for a in own], id="another kind"),
            pytest.param(lambda own: own[:-1], id="one too few"),
        ],
    )
    def test_arrays_that_do_not_fit_are_refused(self, run: Path, change: Callable) -> None:
        self.rewrite(run, lambda own: own)
        load_predictor(run)  # as they are, they fit
        self.rewrite(run, change)
        with pytest.raises(RecordError, match=r"networks\.npz is of another run.* delete it and"):
            load_predictor(run)

    def test_a_preparation_with_fewer_inputs_is_refused(self, run: Path) -> None:
        with RunRecord(run) as record:
            data = record.facts.data
            fewer = replace(data.preparation, columns=data.preparation.columns[1:])
            record.set_facts(data=replace(data, preparation=fewer))
        with pytest.raises(RecordError, match=r"networks\.npz is of another run"):
            load_predictor(run)

    def test_another_compression_is_damage(self, run: Path) -> None:
        file = run / "networks.npz"
        content = bytearray(file.read_bytes())
        at = content.rindex(b"PK\x01\x02")  # the last file's entry; its method is 10 bytes on
        content[at + 10] = 97
        file.write_bytes(content)
        with pytest.raises(RecordError, match=r"networks\.npz is damaged: .*compression"):
            load_predictor(run)

    def other_fit(self, run: Path) -> crowning.Crowned:
        """The same genome on the same data, from another seed."""
        with RunRecord(run) as record:
            dataset = load_dataset(record.facts.config)
        loss, metric = "sparse_categorical_crossentropy", choose_metric("auto", dataset.target)
        crowned = crown([Finalist(GENOME)], Fitter(dataset, metric, loss), [Budget(2, 2)], 99)
        assert crowned.networks[0].genome == GENOME
        return crowned

    def test_killed_between_files_and_record_predicts_nothing_and_resumes(
        self, run: Path, wine: tuple[RunResult, Path]
    ) -> None:
        result, table = wine
        predictor = load_predictor(run)
        save_winner(run, self.other_fit(run), len(predictor.preparation.inputs), predictor.target)
        with pytest.raises(RecordError, match="of another fit than the winner in the record"):
            predict(run, table)
        resume(run)
        assert predict(run, table, True).equals(predict(result.folder, table, True))
        assert not (run / "new_winner").exists()

    def test_killed_while_files_are_written_predicts_as_before_and_resumes(
        self, run: Path, wine: tuple[RunResult, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result, table = wine
        predictor, crowned = load_predictor(run), self.other_fit(run)
        n_inputs = len(predictor.preparation.inputs)
        with monkeypatch.context() as patch:
            patch.setattr(crowning, "keras_model", _interrupted)
            with pytest.raises(KeyboardInterrupt, match="as a kill would"):
                save_winner(run, crowned, n_inputs, predictor.target)
        assert predict(run, table, True).equals(predict(result.folder, table, True))
        save_winner(run, crowned, n_inputs, predictor.target)  # what was left over is in no way
        assert not (run / "new_winner").exists()

    def test_networks_of_which_the_record_says_nothing_are_not_used(self, run: Path) -> None:
        with RunRecord(run) as record:
            record.add_winner(replace(record.winners()[-1], networks=""))
        with pytest.raises(RecordError, match=r"of another run, or of another fit"):
            load_predictor(run)

    def test_networks_that_are_gone_are_made_again(
        self, run: Path, wine: tuple[RunResult, Path]
    ) -> None:
        result, table = wine
        (run / "networks.npz").unlink()
        resume(run)
        assert predict(run, table, True).equals(predict(result.folder, table, True))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt("as a kill would, in the middle")


def test_linear_baseline_is_scikit_learns_on_the_same_rows() -> None:
    dataset = load_dataset(make_config({"data": "breast_cancer"}))
    terms = Fitter(dataset, choose_metric("auto", dataset.target), "binary_crossentropy")
    majority, linear, default = fit_baselines(terms, [Budget(1, 1)], 0)
    counts = np.bincount(dataset.train.y)
    assert majority.test_score == np.mean(dataset.test.y == counts.argmax())
    model = LogisticRegression(max_iter=300).fit(dataset.train.x, dataset.train.y)
    assert linear.test_score == model.score(dataset.test.x, dataset.test.y)
    assert linear.validation_score == model.score(dataset.validation.x, dataset.validation.y)
    assert 0 < default.test_score <= 1


def test_a_finalist_whose_final_fit_diverges_makes_way_for_the_next() -> None:
    both = [Finalist(DIVERGES), Finalist(GENOME, SEARCHED)]
    winner = crown(both, fitter(), [Budget(3, 2)], 0).winner
    assert (winner.genome, winner.search_score) == (GENOME, 0.8)
    with pytest.raises(
        TrainingError, match=r"final fit failed for the best 1 genomes \(a loss was not finite"
    ):
        crown([Finalist(DIVERGES)], fitter(), [Budget(3, 2)], 0)


def test_the_final_fit_draws_other_numbers_than_the_search_did() -> None:
    terms, budget = fitter(), Budget(2, 2)
    winner = crown([Finalist(GENOME)], terms, [budget], 7).winner
    search, fresh = (
        Trainer(terms.dataset, terms.loss, budget).fit(GENOME, training_seed(7, GENOME.key, repeat))
        for repeat in (0, 1)
    )
    assert winner.validation_loss == fresh.validation_loss != search.validation_loss


class DeadlyFits(Deadly):
    """Some fits, by their number, kill their worker."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        _, [(number, _)] = arguments
        if number in self.seeds:
            future.set_exception(ProcessDiedError(-9))
        else:
            future.set_result(function(*arguments))
        return future


def test_a_final_fit_that_kills_its_worker_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evonet.champion.fitting.processes_here", lambda _: DeadlyFits(1))
    fits = fits_of(GENOME, [Budget(2, 2)] * 3, seed=0)
    first, lost, last = fitter(2).fit_all(fits)
    assert (first.status, last.status) == ("ok", "ok")
    assert (lost.status, lost.reason) == ("out_of_memory", "its process died: exit code -9")
    alone = [fitter(1).fit_all([own])[0].fitted for own in (fits[0], fits[2])]
    assert first.fitted is not None
    assert last.fitted is not None
    curves = [trained.validation_loss for trained in alone if trained is not None]
    assert [first.fitted.validation_loss, last.fitted.validation_loss] == curves
    assert curves[0] != curves[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_between_final_fits_is_heard_and_resumed(workers: int, tmp_path: Path) -> None:
    class Watch(Observer):
        fits_began = False

        def on_search_end(self, reason: str) -> None:
            self.fits_began = True

    watch, asked = Watch(), []

    def third_time() -> bool:
        asked.append(watch.fits_began)
        return sum(asked) == 3

    settings = {"data": "iris", "final_epochs": 2, "workers": workers, "final_fits": 6}
    whole = train(GENOME, make_config({**settings, "results": tmp_path / "a"}))
    stopped = train(GENOME, make_config({**settings, "results": tmp_path}), watch, third_time)
    assert stopped.interrupted
    assert stopped.winner is None
    assert sum(asked) == 3
    assert resume(stopped.folder).winner == whole.winner


def test_final_fits_that_memory_has_no_room_for_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[float] = []

    class Watched(WithinMemory):
        def _begin(self) -> None:
            super()._begin()
            taken.append(self._taken)

    monkeypatch.setattr("evonet.champion.fitting.processes_here", lambda _: DeadlyFits())
    monkeypatch.setattr("evonet.champion.fitting.WithinMemory", Watched)
    monkeypatch.setattr("evonet.training.plan.memory_bytes", lambda: 2**29)  # a process has 350 MiB
    outcomes = fitter(2).fit_all(fits_of(GENOME, [Budget(2, 2)] * 3, 0))
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3
    assert 350 * 2**20 < max(taken) < 2**29


@pytest.mark.parametrize("workers", [1, 2])
def test_of_several_final_fits_the_lowest_validation_loss_is_kept(workers: int) -> None:
    terms, budgets = fitter(workers), [Budget(2, 2), Budget(4, 4), Budget(3, 3)]
    crowned = crown([Finalist(GENOME)], terms, budgets, 7)
    first = training_seed(7, GENOME.key, FINAL_REPEAT)
    seeds = [first, training_seed(first, GENOME.key, 1), training_seed(first, GENOME.key, 2)]
    trainers = [Trainer(terms.dataset, terms.loss, budget) for budget in budgets]
    fits = [trainer.fit(GENOME, seed) for trainer, seed in zip(trainers, seeds, strict=True)]
    best = min(fits, key=lambda fitted: min(fitted.validation_loss))
    assert best is not fits[0]  # or nothing is tested
    assert crowned.winner.validation_loss == best.validation_loss
    data = terms.dataset
    model = keras_model(crowned.networks[0], data.n_inputs, data.target)
    for kept, expected in zip(model.get_weights(), best.weights, strict=True):
        assert (kept == expected).all()
    rows = np.asarray(model(data.test.x)).argmax(axis=1)
    assert crowned.winner.test_score == accuracy_score(data.test.y, rows)


def _fit(status: str, loss: float, score: float | None) -> Outcome:
    return Outcome(status, "", Trained((1.0,), (loss,), 1, np.zeros((1, 1)), list), score)


def test_a_final_fit_that_diverges_on_one_seed_is_left_out() -> None:
    good, bad = _fit("ok", 0.5, 0.9), _fit("diverged", 0.1, None)
    accuracy = METRICS["accuracy"]
    assert best_fit([bad, good], accuracy, 100) is good
    assert best_fit([bad, bad], accuracy, 100) is bad


@pytest.mark.parametrize(("metric", "better"), [("accuracy", 0.9), ("rmse", 0.8)])
def test_fits_are_chosen_by_score_of_many_rows_and_by_loss_of_few(
    metric: str, better: float
) -> None:
    worse = 1.7 - better
    by_score, by_loss = _fit("ok", 0.5, better), _fit("ok", 0.4, worse)
    assert best_fit([by_loss, by_score], METRICS[metric], 5_000) is by_score
    assert best_fit([by_score, by_loss], METRICS[metric], 4_999) is by_loss
    equal = _fit("ok", 0.3, better)
    assert best_fit([by_score, equal], METRICS[metric], 5_000) is equal


def test_regression_predicts_in_the_targets_own_unit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    y = 5000 + 1000 * (x @ [1.0, -2.0, 0.5])
    table = tmp_path / "t.csv"
    pd.DataFrame(x, columns=["a", "b", "c"]).assign(price=y).to_csv(table, index=False)
    settings = {"data": str(table), "target": "price", "results": tmp_path, "final_epochs": 60}
    result = train(GENOME, make_config({**settings, "metric": "rmse", "loss": "huber"}))
    assert result.winner is not None
    assert result.winner.test_score < 400  # the target's standard deviation is about 2,300
    assert set(result.winner.test_scores) == {"rmse", "mae", "r2"}
    predicted = predict(result.folder, table)["prediction"]
    assert np.abs(predicted - y).mean() < 400
    assert json.dumps(result.to_dict())
    with pytest.raises(ConfigError, match="A quantity has no probabilities"):
        predict(result.folder, table, probabilities=True)


def test_words_that_look_like_numbers_are_words_in_prediction_too(tmp_path: Path) -> None:
    codes = ["007", "1.0", "true", "x"]
    rows = [f"{codes[i % 4]},{i % 5},{'yn'[i % 4 < 2]}" for i in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["code,n,y", *rows]))
    settings = {"data": str(tmp_path / "t.csv"), "target": "y", "results": tmp_path}
    result = train(GENOME, make_config({**settings, "final_epochs": 30}))
    (tmp_path / "n.csv").write_text("code,n\n007,1\n1.0,1\n")  # without x, all look like numbers
    predicted = predict(result.folder, tmp_path / "n.csv", probabilities=True)
    expected = predict(result.folder, tmp_path / "t.csv", probabilities=True)
    whole = pd.read_csv(tmp_path / "t.csv", dtype=str)
    same = [whole.index[(whole.code == c) & (whole.n == "1")][0] for c in ("007", "1.0")]
    pd.testing.assert_frame_equal(predicted, expected.iloc[same].reset_index(drop=True))
