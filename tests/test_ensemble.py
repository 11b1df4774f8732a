"""The ensemble beside the winner: greedy selection, its scores, and prediction with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import from_plain
from predicted import tables_of
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error, r2_score
from strategies import examples

from evonet.champion.crowning import crown, final_seed, keras_model
from evonet.champion.ensemble import criterion_on_validation, greedy_shares
from evonet.champion.fitting import Fit, Fitter
from evonet.champion.prediction import load_predictor
from evonet.config import make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.data.files import read_portions
from evonet.errors import RecordError
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.metrics import METRICS
from evonet.outcome import Finalist, Winner
from evonet.progress import RunResult
from evonet.run import train

CLASSES = "sparse_categorical_crossentropy"
SMALL = Genome((Layer(4, "tanh"),), "matched_normal", "adam", 0.01, 16)
OTHER = Genome((Layer(12, "relu"),), "matched_normal", "sgd", 0.1, 16)
LINEAR = Genome((), "matched_normal", "adam", 0.03, 16)


def squared_error_to(truth: np.ndarray):
    return lambda p: float(np.square(p - truth).mean())


class TestGreedySelection:
    @given(st.integers(0, 2**32), st.integers(1, 6))
    @examples(50)
    def test_the_mixture_is_as_good_as_the_best_network_at_least(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        truth, predictions = rng.normal(size=20), list(rng.normal(size=(n, 20)))
        wrong = squared_error_to(truth)
        shares = greedy_shares(predictions, wrong)
        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= 0
        assert wrong(np.tensordot(shares, predictions, 1)) <= min(map(wrong, predictions)) + 1e-12

    @given(st.integers(0, 2**32))
    @examples(20)
    def test_two_networks_are_mixed_as_well_as_can_be(self, seed: int) -> None:
        # Of two, each greedy step only chooses which; all mixtures of up to 25 are the oracle.
        rng = np.random.default_rng(seed)
        truth, predictions = rng.normal(size=9), rng.normal(size=(2, 9))
        wrong = squared_error_to(truth)
        means = [
            predictions[list(some)].mean(axis=0)
            for n in range(1, 26)
            for some in combinations_with_replacement([0, 1], n)
        ]
        found = wrong(np.tensordot(greedy_shares(list(predictions), wrong), predictions, 1))
        assert found <= min(map(wrong, means)) * 1.02 + 1e-3  # greedy is near, not exact

    def test_one_that_is_right_stands_alone(self) -> None:
        truth = np.arange(5.0)
        assert greedy_shares([truth + 1, truth, truth - 2], squared_error_to(truth)) == [0, 1, 0]

    def test_of_equal_ones_the_first_is_taken(self) -> None:
        truth = np.arange(5.0)
        assert greedy_shares([truth + 1, truth + 1], squared_error_to(truth)) == [1, 0]

    def test_where_nothing_is_finite_the_first_has_all(self) -> None:
        nothing = np.full(5, np.nan)
        assert greedy_shares([nothing] * 3, lambda _: np.inf) == [1, 0, 0]
        # The choice among equals is none of criterion's business: argmin of NaN is not the first.
        wrong = iter([np.inf, np.inf, np.nan] * 25)
        assert greedy_shares([nothing] * 3, lambda _: next(wrong)) == [1, 0, 0]


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris"}))


class TestCriterion:
    def test_of_few_rows_it_is_the_loss(self, iris: Dataset) -> None:
        p = np.random.default_rng(0).dirichlet(np.ones(3), len(iris.validation))
        wrong = criterion_on_validation(iris, METRICS["accuracy"], CLASSES)
        assert wrong(p) == pytest.approx(log_loss(iris.validation.y, p))

    def test_classes_weigh_as_in_training(self) -> None:
        config = make_config({"data": "breast_cancer", "metric": "balanced_accuracy"})
        part = (data := load_dataset(config)).validation
        assert part.weight is not None
        p = np.random.default_rng(0).dirichlet(np.ones(2), len(part))
        expected = log_loss(part.y, p, sample_weight=part.weight)
        wrong = criterion_on_validation(data, METRICS["balanced_accuracy"], CLASSES)
        assert wrong(p) == pytest.approx(expected)

    @pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
    def test_of_quantities_it_is_the_runs_loss(self, loss: str) -> None:
        import keras

        data = load_dataset(make_config({"data": "diabetes"}))
        truth = data.target.truth(data.validation.y)
        p = truth + np.random.default_rng(0).normal(0, 2 * data.target.scale, len(truth))
        standardised = [(values - data.target.mean) / data.target.scale for values in (truth, p)]
        wrong = criterion_on_validation(data, METRICS["mae"], loss)
        expected = np.mean(keras.losses.get(loss)(*(v[:, None] for v in standardised)))
        assert wrong(p) == pytest.approx(float(expected), rel=1e-5)  # Keras in float32

    @pytest.mark.parametrize(("metric", "sign"), [("accuracy", -1), ("log_loss", 1)])
    def test_of_many_rows_it_is_the_metric(
        self, iris: Dataset, metric: str, sign: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.champion.ensemble.FEW_ROWS", len(iris.validation))
        p = np.random.default_rng(0).dirichlet(np.ones(3), len(iris.validation))
        score = METRICS[metric].compute(iris.validation.y, p)
        wrong = criterion_on_validation(iris, METRICS[metric], CLASSES)
        assert wrong(p) == sign * score
        p[0] = np.nan
        assert wrong(p) == np.inf


def test_an_ensemble_predicts_the_mean_of_its_networks() -> None:
    data = load_dataset(make_config({"data": "diabetes"}))
    fitter = Fitter(data, METRICS["r2"], "mse")
    rivals = [Fit(g, Budget(30, 30), final_seed(3, g)) for g in (OTHER, LINEAR)]
    crowned = crown([Finalist(SMALL)], fitter, [Budget(30, 30)] * 2, 3, rivals)
    ensemble = crowned.winner.ensemble
    assert ensemble is not None
    assert set(ensemble.genomes) <= {SMALL, OTHER, LINEAR}
    assert len(crowned.networks) == 1 + len(ensemble.genomes)
    models = [keras_model(n, data.n_inputs, data.target) for n in crowned.networks[1:]]
    p = np.tensordot(ensemble.shares, [np.asarray(m(data.test.x))[:, 0] for m in models], 1)
    truth = data.target.truth(data.test.y)
    assert ensemble.test_score == pytest.approx(r2_score(truth, p), rel=1e-4)  # float32 sums
    error = mean_absolute_error(truth, p)
    assert ensemble.test_scores["mae"] == pytest.approx(error, rel=1e-4)
    assert ensemble.parameters == sum(data.parameter_count(g) for g in ensemble.genomes)
    assert from_plain(Winner, crowned.winner.to_dict()) == crowned.winner


def test_a_rival_that_diverges_is_left_out(iris: Dataset) -> None:
    fitter = Fitter(iris, METRICS["accuracy"], "sparse_categorical_crossentropy")
    bad = Genome((Layer(64, "relu"),) * 4, "he_normal", "sgd", 100.0, 16)
    crowned = crown([Finalist(SMALL)], fitter, [Budget(3, 2)], 0, [Fit(bad, Budget(3, 2), 1)])
    assert crowned.winner.ensemble is None
    assert len(crowned.networks) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    folder = tmp_path_factory.mktemp("diabetes")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame["y"] = 100 + 10 * np.sin(2 * frame["a"]) + 5 * frame["b"] + rng.normal(size=300)
    frame.to_csv(folder / "t.csv", index=False)
    settings = {"data": str(folder / "t.csv"), "target": "y", "results": folder, "name": "run"}
    return train(OTHER, make_config({**settings, "final_epochs": 20})), folder / "t.csv"


def test_the_final_fits_of_one_network_may_be_an_ensemble(run: tuple[RunResult, Path]) -> None:
    result, table = run
    assert result.winner is not None
    ensemble = result.winner.ensemble
    assert ensemble is not None
    assert set(ensemble.genomes) == {OTHER}
    frame = pd.read_csv(table)
    alone, together = (
        pd.concat(tables_of(load_predictor(result.folder, e), table))["prediction"]
        for e in (False, True)
    )
    assert not np.allclose(alone, together)
    error = [np.sqrt(mean_squared_error(frame["y"], p)) for p in (alone, together)]
    assert error[1] < error[0] * 1.1


def test_portions_of_a_file_are_predicted_as_the_whole(
    run: tuple[RunResult, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, table = run
    predictor = load_predictor(result.folder)
    whole = pd.concat(tables_of(predictor, table))
    monkeypatch.setattr(read_portions, "__defaults__", ((), 7))
    portions = list(tables_of(predictor, table))
    assert [len(portion) for portion in portions] == [7] * 42 + [6]
    pd.testing.assert_frame_equal(pd.concat(portions).reset_index(drop=True), whole)


def test_a_run_without_ensemble_says_so(tmp_path: Path) -> None:
    settings = {"data": "iris", "results": tmp_path, "final_epochs": 2, "final_fits": 1}
    result = train(LINEAR, make_config(settings))
    with pytest.raises(RecordError, match=r"has no ensemble: .* Leave out --ensemble"):
        load_predictor(result.folder, ensemble=True)


def test_networks_of_another_run_are_refused(run: tuple[RunResult, Path], tmp_path: Path) -> None:
    shutil.copytree(run[0].folder, tmp_path / "run")
    other = train(LINEAR, make_config({"data": "iris", "results": tmp_path, "final_epochs": 2}))
    shutil.copy(other.folder / "networks.npz", tmp_path / "run" / "networks.npz")
    with pytest.raises(RecordError, match=r"networks\.npz is of another run, .* Make it again"):
        load_predictor(tmp_path / "run")


def test_prediction_needs_no_tensorflow(run: tuple[RunResult, Path]) -> None:
    result, table = run
    command = [sys.executable, "-X", "importtime", "-m", "evonet", "predict"]
    ran = subprocess.run(
        [*command, str(result.folder), str(table), "--ensemble"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    assert len(ran.stdout.splitlines()) == 301
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "numba" in imported
    assert not {"tensorflow", "keras", "jax"} & imported
