"""Export: every format is loaded by its own runtime and predicts what the run predicts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

import evonet.deploy.exporting
import evonet.extras
from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import Network, Predictor
from evonet.config import make_config
from evonet.data.files import Features
from evonet.data.preparation import CategoricalColumn, fit_preparation
from evonet.data.sources import EMBEDDED, read_source
from evonet.data.target import Target
from evonet.deploy.exporting import export
from evonet.deploy.formats import FORMATS
from evonet.deploy.script import training_script
from evonet.deploy.script_network import Training
from evonet.deploy.signature import UNSEEN, example_rows, plain_names
from evonet.errors import ConfigError, ExportError
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.genome.genes import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from evonet.run import train
from evonet.training.keras_model import make_loss, make_optimizer

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

#: A network with something of everything that inference depends on.
MIXED = Genome(
    (
        Layer(9, "gelu", normalisation="batch"),
        Layer(8, "leaky_relu", normalisation="layer", skip="concat"),
        *(Layer(6, name) for name in ACTIVATIONS if name not in ("gelu", "leaky_relu")),
    ),
    "matched_normal",
    "adam",
    0.003,
    16,
    schedule="cosine",
    label_smoothing=0.1,
)
HOSTILE = ['say "hi"', "a/b", "<b>", "$x$", "名前", "1st floor"]


def table(folder: Path) -> Path:
    """Columns with odd names, words that need quoting, missing values; three classes."""
    rng = np.random.default_rng(0)
    n = 240
    frame = pd.DataFrame({name: rng.normal(size=n) for name in HOSTILE[:3]})
    frame[HOSTILE[3]] = rng.choice(["it's", 'a "b"', "ä", "\\n", "{x}"], n)
    frame[HOSTILE[4]] = rng.choice(["x", "y", None], n)
    frame[HOSTILE[5]] = np.where(rng.random(n) < 0.2, np.nan, 1e6 * rng.normal(size=n) + 5e6)
    score = frame[HOSTILE[0]] + (frame[HOSTILE[4]] == "x")
    frame["kind"] = np.select([score < 0, score < 0.8], ["low", "it's"], "high")
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs with classes as words, with a quantity, and with images."""
    folder = tmp_path_factory.mktemp("export")
    settings: dict[str, Any] = {"results": folder, "final_epochs": 6, "final_fits": 3}
    words = {"data": str(table(folder)), "target": "kind", "metric": "balanced_accuracy"}
    made = {"words": words, "quantity": {"data": "diabetes"}, "images": {"data": "digits"}}
    return {
        name: train(MIXED, make_config({**settings, **own, "name": name})).folder
        for name, own in made.items()
    }


def has_ensemble(folder: Path) -> bool:
    with np.load(folder / "networks.npz") as arrays:
        return not arrays.files[-1].startswith("0.")


@pytest.mark.parametrize("kind", ["words", "quantity", "images"])
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_predicts_what_the_run_predicts(
    runs: dict[str, Path], kind: str, name: str, tmp_path: Path
) -> None:
    exported = export(runs[kind], name, tmp_path / f"model{FORMATS[name].suffix}")
    assert exported.path.exists()
    assert exported.difference < 1e-4
    assert exported.n_rows >= 64


@pytest.mark.parametrize("name", ["keras", "onnx"])
def test_an_ensemble_is_one_model(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    folder = next(f for f in runs.values() if has_ensemble(f))
    path = tmp_path / f"model{FORMATS[name].suffix}"
    assert export(folder, name, path, ensemble=True).difference < 1e-4
    with pytest.raises(ConfigError, match=r"format python holds one network\. Leave out --ens"):
        export(folder, "python", ensemble=True)


def test_an_onnx_file_runs_without_evonet(runs: dict[str, Path], tmp_path: Path) -> None:
    import onnxruntime

    path = export(runs["words"], "onnx", tmp_path / "m.onnx").path
    session = onnxruntime.InferenceSession(path)
    feed = {
        given.name: np.full((5, 1), "x", object)
        if "string" in given.type
        else np.random.default_rng(0).normal(size=(5, 1))
        for given in session.get_inputs()
    }
    assert set(feed) == set(HOSTILE)
    label, probabilities = session.run(["prediction", "probabilities"], feed)
    classes = ["high", "it's", "low"]
    assert probabilities.shape == (5, 3)
    assert [classes[i] for i in probabilities.argmax(axis=1)] == label.tolist()


def test_a_saved_model_answers_through_its_serving_signature(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    import tensorflow as tf

    path = export(runs["words"], "savedmodel", tmp_path / "served").path
    assert (path / "1" / "saved_model.pb").is_file()  # as TensorFlow Serving looks for it
    serve = tf.saved_model.load(str(path / "1")).signatures["serving_default"]
    columns = json.loads((path / "signature.json").read_text("utf-8"))["columns"]
    row = {HOSTILE[0]: 0.1, HOSTILE[1]: -1.0, HOSTILE[2]: 2.0, HOSTILE[3]: "ä", HOSTILE[4]: ""}
    row[HOSTILE[5]] = float("nan")
    kinds = {name: "string" if isinstance(value, str) else "float64" for name, value in row.items()}
    said = serve(**{columns[n]: tf.constant([[value]], kinds[n]) for n, value in row.items()})
    frame = pd.DataFrame([row]).replace("", None)
    expected = load_predictor(runs["words"]).predictions(frame)
    np.testing.assert_allclose(said["probabilities"], expected, atol=1e-5)  # float32 sums
    assert said["prediction"].numpy()[0].decode() in ("high", "it's", "low")


def ran_script(path: Path, *arguments: str) -> None:
    """Run an exported script from its own folder, and see that it trains."""
    command = [sys.executable, str(path), *arguments]
    ran = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-800:]
    assert "val_loss" in ran.stdout
    assert (path.parent / "trained.keras").is_file()


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet"])
def test_the_script_trains_without_evonet(
    runs: dict[str, Path], tmp_path: Path, ending: str
) -> None:
    path = export(runs["words"], "python", tmp_path / "m.py").path
    assert "evonet" not in path.read_text("utf-8").replace("that evonet found", "")
    frame = pd.read_csv(runs["words"].parent / "t.csv")
    frame.loc[3, "kind"] = None
    file = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False, sep="," if ending == "csv" else "\t")
    ran_script(path, str(file))


@pytest.mark.parametrize("kind", ["quantity", "images"])
def test_the_script_of_embedded_data_needs_no_file(
    runs: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    ran_script(export(runs[kind], "python", tmp_path / "m.py").path)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_script_reads_embedded_data_as_evonet_does(name: str) -> None:
    raw = read_source(name, None)
    genome = Genome((), "he_normal", "sgd", 0.1, 8)
    target = Target("y", "multiclass", ("a", "b", "c"))
    training = Training(name, "sparse_categorical_crossentropy", Budget(1, 1), False)
    features, labels = script_of(raw.features, target, genome, training)["read"]()
    np.testing.assert_array_equal(features, raw.features)
    np.testing.assert_array_equal(labels, raw.labels)
    if isinstance(raw.features, pd.DataFrame):
        assert list(features) == list(raw.features)


def script_of(
    features: Features, target: Target, genome: Genome, training: Training
) -> dict[str, Any]:
    """The functions of the script of a network that never trained."""
    preparation, _ = fit_preparation(features, 32)
    predictor = Predictor(preparation, target, (Network(genome, ()),))
    script: dict[str, Any] = {"__name__": "checked"}
    exec(training_script(predictor, training), script)
    return script


class Stub:
    """In the place of a model: it keeps what it is compiled and fitted with."""

    def compile(self, optimizer: Any, loss: Any) -> None:
        self.optimizer, self.loss = optimizer, loss

    def fit(self, *data: Any, **how: Any) -> None:
        self.data, self.how = data, how


GENES = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(OPTIMIZERS),
        "schedule": st.sampled_from(SCHEDULES),
        "warmup": st.sampled_from([0.0, 0.001, 0.3]),
        "weight_decay": st.sampled_from([0.0, 0.01]),
        "clip_norm": st.sampled_from([0.0, 2.0]),
        "label_smoothing": st.sampled_from([0.0, 0.1]),
    }
)


@given(genes=GENES, loss=st.sampled_from(["mae", "binary", "several"]), balanced=st.booleans())
@examples(60)
def test_the_script_trains_as_evonet_does(genes: dict[str, Any], loss: str, balanced: bool) -> None:
    momentum = 0.8 if genes["optimizer"] in ("momentum", "nesterov") else None
    genes = {**genes, "label_smoothing": 0.0 if loss == "mae" else genes["label_smoothing"]}
    if genes["optimizer"] == "adam":
        genes["weight_decay"] = 0.0
    genome = Genome((), "he_normal", learning_rate=0.02, batch_size=8, momentum=momentum, **genes)
    target, named = {
        "mae": (Target("y", "regression"), "mae"),
        "binary": (Target("y", "binary", (0, 1)), "binary_crossentropy"),
        "several": (Target("y", "multiclass", (0, 1, 2)), "sparse_categorical_crossentropy"),
    }[loss]
    balanced = balanced and loss != "mae"
    training = Training("t.csv", named, Budget(5, 2), balanced)
    script = script_of(pd.DataFrame({"x": [0.0, 1.0, 2.0]}), target, genome, training)
    model, y = Stub(), np.array([0, 1] * 9 + [0, 0, 0, 1])
    script["train"](model, np.zeros((22, 1)), y, np.zeros((4, 1)), np.array([0, 1, 1, 0]))
    n_steps = 5 * 3
    (found, rates), (expected, planned) = map(
        settings, (model.optimizer, make_optimizer(genome, n_steps))
    )
    assert found == expected
    assert rates == pytest.approx(planned, rel=1e-6)
    assert model.loss.get_config() == make_loss(named, genome.label_smoothing).get_config()
    assert (model.how["batch_size"], model.how["epochs"]) == (8, 5)
    assert model.how["callbacks"][0].patience == 2
    assert ("sample_weight" in model.how) == balanced == (len(model.how["validation_data"]) == 3)
    if balanced:  # rows of a class weigh n / (n_classes * n of the class)
        n = target.n_outputs if loss == "several" else 2
        assert model.how["sample_weight"][[0, 1]] == pytest.approx([22 / n / 12, 22 / n / 10])
    one_hot = loss == "several" and genome.label_smoothing > 0
    assert model.data[1].shape == ((22, 3) if one_hot else (22,))


def settings(optimizer: Any) -> tuple[dict[str, Any], list[float]]:
    """An optimizer's kind and settings, and its learning rate at every step."""
    config = optimizer.get_config()
    rates = config.pop("learning_rate")
    rates = rates["config"]["rates"] if isinstance(rates, dict) else [rates]
    return {**config, "name": type(optimizer).__name__}, rates  # names are counted up


def test_a_model_that_predicts_something_else_is_refused(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    onnx = FORMATS["onnx"]

    def off(*args: Any) -> np.ndarray:
        return onnx.predict(*args) + 0.01

    monkeypatch.setattr(evonet.deploy.exporting, "FORMATS", {"onnx": replace(onnx, predict=off)})
    with pytest.raises(ExportError, match=r"predicts something else than the run does, by 0\.01"):
        export(runs["words"], "onnx", tmp_path / "m.onnx")


def test_a_missing_package_is_named(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evonet.extras, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"format onnx needs the package onnx, which is not ins"):
        export(runs["words"], "onnx")


def test_a_place_that_cannot_be_written_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"Cannot write .*m\.onnx: "):
        export(runs["words"], "onnx", tmp_path / "file" / "m.onnx")


@given(st.lists(st.text(max_size=20), unique=True, max_size=8))
@examples(100)
def test_plain_names_are_identifiers_and_differ(names: list[str]) -> None:
    found = plain_names(names)
    assert list(found) == names
    assert all(name.isidentifier() and name.isascii() for name in found.values())
    assert len({name.lower() for name in found.values()}) == len(names)


def test_example_rows_hold_every_category_and_what_is_missing(tmp_path: Path) -> None:
    frame = pd.read_csv(table(tmp_path)).drop(columns="kind")
    preparation, _ = fit_preparation(frame, 32)
    rows = example_rows(preparation, np.random.default_rng(0))
    assert list(rows) == HOSTILE
    for column in preparation.columns:
        values = rows[column.name]
        if isinstance(column, CategoricalColumn):
            words = {word for word in column.categories if word is not None}
            assert {*words, UNSEEN} <= set(values.dropna())
            assert values.isna().any()
        else:
            assert values.isna().any() == column.marks_missing
