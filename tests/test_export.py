"""Export: every format is loaded by its own runtime and predicts what the run predicts."""

from __future__ import annotations

import json
import keyword
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import from_plain, seal
from strategies import examples

import evonet.deploy.exporting
import evonet.extras
from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import Network, Predictor
from evonet.config import make_config
from evonet.data.checking import labelled
from evonet.data.files import Features, read_table
from evonet.data.preparation import CategoricalColumn, TablePreparation, fit_preparation
from evonet.data.sources import EMBEDDED, read_source
from evonet.data.target import Target
from evonet.deploy.exporting import export
from evonet.deploy.formats import FORMATS
from evonet.deploy.onnx_model import onnx_model
from evonet.deploy.script import training_script
from evonet.deploy.script_network import Training
from evonet.deploy.serving import feed, places
from evonet.deploy.signature import UNSEEN, example_rows, pixel_kind, plain_names
from evonet.errors import ConfigError, ExportError, RecordError
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.genome.genes import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from evonet.run import train
from evonet.training.backend import load_keras
from evonet.training.keras_model import build_network, make_loss, make_optimizer

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


#: Real data, and their targets.
REAL = {
    "tabular/adult.csv.gz": {"target": "income"},
    "tabular/titanic3.csv.gz": {"target": "survived", "drop": ["boat", "body"]},
    "tabular/ames_housing.csv.gz": {"target": "SalePrice"},
    "mnist.npz": {},
}


@pytest.mark.slow
@pytest.mark.filterwarnings(r"ignore:\s*Warning.* tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("file", REAL)
def test_each_format_predicts_what_a_run_on_real_data_predicts(
    file: str, shared_data: Path, tmp_path: Path
) -> None:
    if not (shared_data / file).is_file():
        pytest.skip(f"no {file} in {shared_data}")
    settings = {"results": tmp_path, "final_epochs": 2, "final_fits": 2, **REAL[file]}
    layers = Layer(32, "relu", normalisation="batch"), Layer(16, "gelu", skip="concat")
    genome = Genome(layers, "matched_normal", "adam", 0.003, 128)
    folder = train(genome, make_config({"data": str(shared_data / file), **settings})).folder
    predictor = load_predictor(folder)
    rows = real_rows(predictor, str(shared_data / file), REAL[file].get("target"))
    expected = predictor.predictions(rows)
    for name, wanted in FORMATS.items():
        exported = export(folder, name, tmp_path / f"model{wanted.suffix}")
        assert exported.difference < 1e-4, name  # float32 sums; of a quantity in its deviations
        found = wanted.predict(predictor, wanted.names(predictor), exported.path, rows)
        difference = float(np.abs(found - expected).max() / predictor.target.scale)
        assert difference < 1e-4, name
        print(
            f"{file} {name}: {exported.difference:.1e} on {exported.n_rows} drawn rows, "
            f"{difference:.1e} on {len(rows)} of the file"
        )


def real_rows(predictor: Predictor, file: str, target: str | None) -> Features:
    """Rows of a file, as far as a model takes them."""
    features, preparation = read_source(file, target).features, predictor.preparation
    if not isinstance(features, pd.DataFrame):
        return features[:500].astype(pixel_kind(preparation))
    some = features.sample(500, random_state=0)
    return pd.DataFrame(
        {
            own.name: some[own.name].astype(object if isinstance(own, CategoricalColumn) else float)
            for own in preparation.columns
        }
    )


@pytest.mark.filterwarnings(r"ignore:\s*Warning.* tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("name", ["keras", "savedmodel", "onnx", "tflite"])
def test_an_ensemble_is_one_model(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    folder = next(f for f in runs.values() if has_ensemble(f))
    path = tmp_path / f"model{FORMATS[name].suffix}"
    assert export(folder, name, path, ensemble=True).difference < 1e-4
    with pytest.raises(ConfigError, match=r"format python holds one network\. Leave out --ens"):
        export(folder, "python", ensemble=True)


@pytest.mark.filterwarnings(r"ignore:\s*Warning.* tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("kind", ["words", "quantity", "images"])
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "python"])
def test_what_it_says_about_calling_it_works(
    runs: dict[str, Path], kind: str, name: str, tmp_path: Path
) -> None:
    wanted, predictor = FORMATS[name], load_predictor(runs[kind])
    exported = export(runs[kind], name, tmp_path / f"it's{wanted.suffix}")
    rows = example_rows(predictor.preparation, np.random.default_rng(1), 5)
    give = places if wanted.as_places else feed
    known = {"inputs": give(predictor, rows, wanted.names(predictor))}
    exec(exported.call, known)
    said = known["said"]
    if isinstance(said, dict):
        said = said["probabilities" if predictor.target.classes else "prediction"]
    elif isinstance(said, list):
        said = said[-1]  # in the order of the signature
    expected = predictor.predictions(rows)
    np.testing.assert_allclose(said, expected, rtol=1e-4, atol=1e-4)


def test_inputs_with_other_names_say_of_which_column_they_are(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    inputs = export(runs["words"], "tflite", tmp_path / "m.tflite").signature.inputs
    beside = json.loads((tmp_path / "m.tflite.json").read_text("utf-8"))
    assert beside["columns"]["a/b"] == "a_b"
    own_words = ['a "b"', "it's", "{x}", "ä", "\\n"]
    assert sorted(beside["words"][beside["columns"]["$x$"]]) == sorted(own_words)
    assert inputs["a_b"] == "of column 'a/b', a number; NaN where it is missing"
    assert inputs["c_1st_floor"].startswith("of column '1st floor', ")
    own = export(runs["words"], "onnx", tmp_path / "m.onnx").signature.inputs
    assert own["1st floor"] == "a number; NaN where it is missing"


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


def ran_script(path: Path, metric: str, *arguments: str) -> None:
    """Run an exported script from another folder than its own, and see that it trains."""
    command = [sys.executable, str(path), *arguments]
    ran = subprocess.run(command, cwd=path.parent.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-800:]
    assert "val_loss" in ran.stdout
    assert re.search(
        r"trained\.keras; lowest loss on the rows that stopped it: \d+\.\d{4}\n"
        rf"{metric} on them, which flatters: -?\d+\.\d{{4}}\n$",
        ran.stdout,
    )
    assert (path.parent / "trained.keras").is_file()


def test_the_script_without_its_file_says_what_it_takes(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    path = export(runs["words"], "python", tmp_path / "m.py").path
    for arguments, said in (
        ([], f"Usage: python {path} DATA\n"),
        (["no.csv"], "No file at no.csv\n"),
    ):
        command = [sys.executable, "-X", "importtime", str(path), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.endswith(said)
        assert "Traceback" not in ran.stderr
        assert "numpy" not in ran.stderr  # said at once


def test_the_script_refuses_other_data_in_a_line(runs: dict[str, Path], tmp_path: Path) -> None:
    script = runpy.run_path(str(export(runs["words"], "python", tmp_path / "m.py").path))
    (tmp_path / "t.csv").write_text("a/b,kind\n1,low\n")
    with pytest.raises(
        SystemExit, match=r"t\.csv has no column 'say \"hi\"', '<b>', .*'1st floor'; see COLUMNS"
    ):
        script["read"](str(tmp_path / "t.csv"))
    with pytest.raises(SystemExit, match=r"The labels have 'odd'; expected CLASSES"):
        script["encode"](["low", "odd"])


@pytest.mark.parametrize("kind", ["words", "quantity", "images"])
def test_the_script_predicts_as_evonet_does(
    runs: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    predictor = load_predictor(runs[kind])
    script = runpy.run_path(str(export(runs[kind], "python", tmp_path / "m.py").path))
    model = script["build_model"]()
    model.set_weights(predictor.networks[0].weights)
    rows = example_rows(predictor.preparation, np.random.default_rng(1))
    found = list(script["predict"](model, script["prepare"](rows)))
    expected = predictor.target.labels(predictor.predictions(rows))
    if predictor.target.classes:
        assert found == expected
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-4)


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
    ran_script(path, "Balanced accuracy", str(file))


def test_the_script_reads_semicolons_and_decimal_commas_as_evonet_does(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(
        'y;"a,b";mixed;flag;word\n1,5;2,5;NA;True;x,1\n?;-1;-4;True;\n'
        + "2.5;1.5;3,25;False;2,5\n" * 9
    )
    raw, _ = labelled(read_source(str(file), "y"))
    target = Target("y", "regression", mean=1.0, scale=2.0)
    script = script_of(raw.features, target, SMALLEST, replace(TRAINING, data=str(file)))
    table, labels = script["read"](str(file))
    assert labels.tolist() == [1.5, *[2.5] * 9]
    preparation, _ = fit_preparation(raw.features, 32)
    assert preparation.inputs[:4] == ["a,b", "mixed", "mixed missing", "flag"]
    assert preparation.inputs[4] == "word = 2,5"
    x = preparation.transform(raw.features)
    np.testing.assert_allclose(script["prepare"](table), x, rtol=1e-6)


@pytest.mark.parametrize("images", [False, True])
def test_the_script_names_arrays_that_are_missing(tmp_path: Path, images: bool) -> None:
    np.savez(tmp_path / "t.npz", x_train=np.zeros((3, 2)))
    features = np.zeros((9, 2, 2), np.uint8) + np.arange(2, dtype=np.uint8) if images else NUMBERS
    training = replace(TRAINING, data=str(tmp_path / "t.npz"))
    script = script_of(features, Target("y", "regression"), SMALLEST, training)
    with pytest.raises(SystemExit, match="has no array y_train; expected x_train and y_train"):
        script["read"](str(tmp_path / "t.npz"))


@pytest.mark.parametrize(("kind", "metric"), [("quantity", "R²"), ("images", "Accuracy")])
def test_the_script_of_embedded_data_needs_no_file(
    runs: dict[str, Path], tmp_path: Path, kind: str, metric: str
) -> None:
    ran_script(export(runs[kind], "python", tmp_path / "m.py").path, metric)


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


@pytest.mark.parametrize("images", [True, False])
def test_the_script_leaves_out_rows_without_a_target(tmp_path: Path, images: bool) -> None:
    file, y = tmp_path / "t.npz", np.array([0.0, np.nan, 1.0, 1.0])
    rows = np.arange(16.0).reshape((4, 2, 2) if images else (4, 4))
    np.savez(file, x_train=rows, y_train=y)
    features = rows if images else pd.DataFrame(rows).add_prefix("x")
    training = Training(str(file), "mse", Budget(1, 1), False)
    script = script_of(features, Target("y", "regression"), SMALLEST, training)
    found, labels = script["read"](file)
    assert np.asarray(found).tolist() == rows[[0, 2, 3]].tolist()
    assert labels.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "target",
    [Target("y", "regression"), Target("y", "binary", (0, 1)), Target("y", "binary", (0.5, 1))],
)
def test_the_script_reads_words_for_missing_beside_numbers_as_evonet_does(
    target: Target, tmp_path: Path
) -> None:
    file, low = tmp_path / "t.csv", "0.5" if 0.5 in target.classes else "0"
    rows = [low, "NA", "1.0", "?", "", "1"] * 4
    file.write_text("x,y\n" + "".join(f"{i},{y}\n" for i, y in enumerate(rows)), "utf-8")
    training = Training(str(file), "mse", Budget(1, 1), False)
    script = script_of(NUMBERS[["x"]], target, SMALLEST, training)
    table, labels = script["read"](str(file))
    theirs = labelled(read_source(str(file), "y"))[0]
    assert table["x"].tolist() == theirs.features["x"].tolist()
    assert len(labels) == 12
    encoded = target.encode(theirs.labels)
    np.testing.assert_allclose(script["encode"](labels), encoded.reshape(-1), rtol=1e-7)


SMALLEST = Genome((), "he_normal", "sgd", 0.1, 8)


class Stub:
    """In the place of a model: it keeps what it is compiled and fitted with."""

    def compile(self, optimizer: Any, loss: Any) -> None:
        self.optimizer, self.loss = optimizer, loss

    def fit(self, *data: Any, **how: Any) -> SimpleNamespace:
        self.data, self.how = data, how
        return SimpleNamespace(history={"val_loss": [3.0, 1.0, 2.0]})


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
    rows = np.zeros((22, 1)), y, np.zeros((4, 1)), np.array([0, 1, 1, 0])
    assert script["train"](model, *rows) == 1.0
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


SMALL = Genome((Layer(3, "relu"),), "he_normal", "sgd", 0.1, 8)
TRAINING = Training("t.csv", "mae", Budget(1, 1), False)
QUANTITY = Target("y", "regression", mean=3.0, scale=2.0)
CLASSES = Target("y", "multiclass", ("a", "b", "c"))


def made_predictor(features: Features, target: Target = QUANTITY, seed: int = 0) -> Predictor:
    """What a run on these features could predict with: a network that never trained."""
    preparation, _ = fit_preparation(features, 32)
    load_keras().utils.set_random_seed(seed)
    network = build_network(SMALL, len(preparation.inputs), target.n_outputs)
    return Predictor(preparation, target, (Network(SMALL, tuple(network.get_weights())),))


Exports = Callable[..., evonet.deploy.exporting.Exported]


@pytest.fixture
def exported_as(monkeypatch: pytest.MonkeyPatch) -> Exports:
    """Exports a predictor as if it were a run's; other functions of the format may take part."""

    def exported(predictor: Predictor, name: str, output: Path | None, **other: Any) -> Any:
        module, formats = evonet.deploy.exporting, {name: replace(FORMATS[name], **other)}
        monkeypatch.setattr(module, "load_predictor", lambda *_: predictor)
        monkeypatch.setattr(module, "_training", lambda _: TRAINING)
        monkeypatch.setattr(module, "FORMATS", formats)
        return export(Path("run"), name, output)

    return exported


NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0], "w": [3.0, 1.0, 1.0]})


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, those with a dot before their names too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_export_leaves_the_earlier_one_and_nothing_beside_it(
    exported_as: Exports, name: str, tmp_path: Path
) -> None:
    predictor, path = made_predictor(NUMBERS), tmp_path / f"m{FORMATS[name].suffix}"
    exported_as(predictor, name, path)
    before = contents(tmp_path)
    assert before
    other = made_predictor(NUMBERS, seed=1)

    def off(*args: Any) -> np.ndarray:
        return FORMATS[name].predict(*args) + 0.02

    def crash(*args: Any) -> np.ndarray:
        raise RuntimeError("crashed")

    with pytest.raises(ExportError, match=r"predicts something else than the run does, by 0\.01"):
        exported_as(other, name, path, predict=off)  # 0.02 are 0.01 deviations
    with pytest.raises(RuntimeError, match="crashed"):
        exported_as(other, name, path, predict=crash)
    assert contents(tmp_path) == before
    assert {p.name for p in tmp_path.iterdir()} == {Path(file).parts[0] for file in before}
    exported_as(other, name, path)
    after = contents(tmp_path)
    assert after != before or name == "python"  # a script has no weights
    assert set(after) == set(before)


@pytest.mark.parametrize("inside", ["precious.txt", "1/precious.txt"])
def test_a_folder_that_is_no_export_is_refused_and_kept(
    exported_as: Exports, inside: str, tmp_path: Path
) -> None:
    precious = tmp_path / "mine" / inside
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    with pytest.raises(ExportError, match=r"expected an empty folder or an earlier export\. Pass"):
        exported_as(made_predictor(NUMBERS), "savedmodel", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {inside: b"years of work"}


def test_a_saved_model_that_cannot_be_moved_leaves_the_earlier_one(
    exported_as: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "served"
    path.mkdir()  # an empty folder is taken
    exported_as(made_predictor(NUMBERS), "savedmodel", path)
    before, rename = contents(path), Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == path / "1" and self.name == "1":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ExportError, match=r"Cannot write .*served: No space left on device"):
        exported_as(made_predictor(NUMBERS), "savedmodel", path)
    assert contents(path) == before


def test_what_tensorflow_says_of_a_full_disk_is_said_in_a_sentence(
    exported_as: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    def full(*args: Any, **how: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "no space left")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(ExportError, match=r"Cannot write .*served: no space left\."):
        exported_as(made_predictor(NUMBERS), "savedmodel", tmp_path / "served")


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].suffix])
def test_a_name_that_does_not_suit_the_format_is_refused_at_once(name: str, tmp_path: Path) -> None:
    suffix = FORMATS[name].suffix
    wanted = rf"format {name} writes \{suffix} files, got .*model\.h5; .*model\{suffix}\.$"
    with pytest.raises(ConfigError, match=wanted):  # there is no run either
        export(tmp_path / "nowhere", name, tmp_path / "model.h5")


#: Words of Python, TensorFlow, Keras and ONNX, which have names of their own for what they hold.
TAKEN = [
    "class", "self", "features", "mean", "prediction", "probabilities", "network_0", "pixels",
    "evonet", "prepared_networks", "where", "cast", "cast_1", "string_lookup", "functional",
    "input_layer", "concatenate", "get_item", "constant_0", "IsNaN_0", "LabelEncoder_0", "名前",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_columns_may_have_names_that_a_format_uses_itself(
    exported_as: Exports, name: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({column: rng.normal(size=40) for column in TAKEN})
    frame["class"] = rng.choice(["a", "b", None], 40)
    predictor = made_predictor(frame, CLASSES)
    exported = exported_as(predictor, name, tmp_path / f"m{FORMATS[name].suffix}")
    assert exported.difference < 1e-4
    assert len(exported.signature.inputs) == len(TAKEN)


@pytest.mark.filterwarnings(r"ignore:\s*Warning.* tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_the_names_that_are_said_are_those_of_the_model(
    exported_as: Exports, name: str, tmp_path: Path
) -> None:
    import keras
    import onnxruntime
    import tensorflow as tf

    read: dict[str, Callable[[Path], Any]] = {
        "keras": lambda path: keras.models.load_model(path).input,
        "savedmodel": lambda path: (
            tf.saved_model.load(str(path / "1"))
            .signatures["serving_default"]
            .structured_input_signature[1]
        ),
        "onnx": lambda path: [i.name for i in onnxruntime.InferenceSession(path).get_inputs()],
        "tflite": lambda path: [
            given["name"] for given in tf.lite.Interpreter(str(path)).get_input_details()
        ],
        "python": lambda path: {"a/b", "prediction"},  # the table's own columns
    }
    frame = NUMBERS.set_axis(["a/b", "prediction"], axis=1)
    exported = exported_as(made_predictor(frame), name, tmp_path / f"m{FORMATS[name].suffix}")
    assert set(exported.to_dict()["inputs"]) == set(read[name](exported.path))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("words", [["", None, "x"], ["", "x", "y"]])
def test_empty_words_that_are_not_missing_ones_are_told_apart_or_refused(
    exported_as: Exports, name: str, words: list[str | None], tmp_path: Path
) -> None:
    frame = pd.DataFrame({"town": pd.Series(words * 5, dtype=object), "x": np.arange(15.0)})
    predictor, path = made_predictor(frame), tmp_path / f"m{FORMATS[name].suffix}"
    if name == "python":
        assert exported_as(predictor, name, path).difference < 1e-4
        return
    with pytest.raises(ConfigError, match=rf"Column 'town' holds empty words .* format {name} can"):
        exported_as(predictor, name, path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("classes", [(-1, 1), ("[UNK]", "b")])
@pytest.mark.parametrize("name", FORMATS)
def test_names_that_keras_uses_itself_may_be_classes_and_words(
    exported_as: Exports, name: str, classes: tuple[Any, ...], tmp_path: Path
) -> None:
    words = ["[UNK]", "b", None]
    frame = pd.DataFrame({"town": pd.Series(words * 5, dtype=object), "x": np.arange(15.0)})
    predictor = made_predictor(frame, Target("y", "binary", classes))
    exported = exported_as(predictor, name, tmp_path / f"m{FORMATS[name].suffix}")
    assert exported.difference < 1e-4
    if name == "keras":
        import keras

        given = {
            "town": np.array([["[UNK]"], ["b"], [""], ["new"]], object),
            "x": np.array([[3.0], [-90.0], [90.0], [0.0]]),
        }
        said = keras.models.load_model(exported.path)(
            {key: keras.ops.convert_to_tensor(column) for key, column in given.items()}
        )
        likeliest = np.asarray(said["probabilities"]).argmax(axis=1)
        names = [n.decode() if isinstance(n, bytes) else n for n in said["prediction"].numpy()]
        assert names == [classes[i] for i in likeliest]
        assert len(set(names)) == 2


def test_a_quantity_far_from_zero_keeps_its_digits(exported_as: Exports, tmp_path: Path) -> None:
    """Seconds since 1970, which float32 has to the nearest two minutes."""
    frame = pd.DataFrame({"t": 1.7e9 + np.arange(40.0)})
    made = made_predictor(frame)
    rows = pd.DataFrame({"t": 1.7e9 + np.linspace(0, 40, 9)})
    path = exported_as(made, "keras", tmp_path / "m.keras").path
    found = FORMATS["keras"].predict(made, {"t": "t"}, path, rows)
    np.testing.assert_allclose(found, made.predictions(rows), atol=1e-4)  # float32 sums


def test_digits_that_float32_has_are_kept_in_it(exported_as: Exports, tmp_path: Path) -> None:
    """Metres north of the equator, within a town: the mean needs more digits than float32 has."""
    frame = pd.DataFrame({"north": 5.4e6 + 1e3 * np.random.default_rng(0).normal(size=99) + 0.2})
    assert exported_as(made_predictor(frame), "tflite", tmp_path / "m.tflite").difference < 1e-5


def test_a_column_whose_digits_float32_has_not_is_refused_by_name(
    exported_as: Exports, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"t": 1.7e9 + np.arange(0.0, 9e4, 1e3), "x": np.arange(90.0)})
    with pytest.raises(ConfigError, match=r"Column 't' has numbers .* only in steps of 128\."):
        exported_as(made_predictor(frame), "tflite", tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings(r"ignore:\s*Warning.* tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "python"])
def test_images_may_have_numbers_below_zero(
    exported_as: Exports, name: str, tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(-100, 120, (20, 8, 3)).astype(np.int16)
    made = made_predictor(images)
    path = exported_as(made, name, tmp_path / f"m{FORMATS[name].suffix}").path
    found = FORMATS[name].predict(made, FORMATS[name].names(made), path, images.astype(np.int32))
    np.testing.assert_allclose(found, made.predictions(images), atol=1e-4)


def test_an_export_that_was_killed_is_in_nobodys_way(exported_as: Exports, tmp_path: Path) -> None:
    place = tmp_path / "served"

    def write(predictor: Any, names: Any, training: Any, written: Path) -> None:
        FORMATS["savedmodel"].write(predictor, names, training, written)
        shutil.copytree(written, tmp_path / "kept" / written.name)  # as it would be left behind

    exported_as(made_predictor(NUMBERS), "savedmodel", place, write=write)
    shutil.rmtree(place)
    (tmp_path / "kept").rename(place)
    exported_as(made_predictor(NUMBERS), "savedmodel", place)
    assert (place / "1" / "saved_model.pb").is_file()


def test_another_backend_than_tensorflow_exports_nothing(
    exported_as: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_predictor(NUMBERS)
    jax = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setattr("evonet.deploy.exporting.load_keras", lambda: jax)
    with pytest.raises(ConfigError, match=r"Unset KERAS_BACKEND, then export again"):
        exported_as(made, "keras", tmp_path / "m.keras")


def test_an_activation_that_onnx_is_not_told_of_is_named() -> None:
    predictor = made_predictor(NUMBERS)
    layer = Layer(3, "relu")
    object.__setattr__(layer, "activation", "swish9")
    genome = replace(SMALL)
    object.__setattr__(genome, "layers", (layer,))
    unknown = replace(predictor, networks=(replace(predictor.networks[0], genome=genome),))
    with pytest.raises(ExportError, match=r"format onnx knows no activation 'swish9'; expected"):
        onnx_model(unknown, {"x": "x", "w": "w"})


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        ("words", lambda winner, data, text: winner["budget"].update(patience_epochs=text)),
        ("words", lambda winner, data, text: winner["budget"].update(epochs=text)),
        ("images", lambda winner, data, text: data["preparation"].update(shape=[8, text])),
        ("images", lambda winner, data, text: data["preparation"].update(scale=text)),
        ("words", lambda winner, data, text: data["preparation"]["columns"][0].update(fill=text)),
    ],
)
def test_what_is_planted_in_a_record_is_refused_and_not_executed(
    runs: dict[str, Path], kind: str, plant: Callable[..., None], tmp_path: Path
) -> None:
    folder, marker = tmp_path / "run", tmp_path / "executed"
    shutil.copytree(runs[kind], folder)
    text = f'x"""\n    pass\nopen({str(marker)!r}, "w").close()\ndef planted():\n    """'
    with closing(sqlite3.connect(folder / "run.sqlite")) as file, file:
        ((winner,),) = file.execute("SELECT winner FROM winners")
        ((data,),) = file.execute("SELECT value FROM facts WHERE name = 'data'")
        winner, data = json.loads(winner), json.loads(data)
        plant(winner["winner"], data, text)
        file.execute("UPDATE winners SET winner = ?", [json.dumps(winner)])
        file.execute("UPDATE facts SET value = ? WHERE name = 'data'", [json.dumps(data)])
        seal(file)
    with pytest.raises(RecordError, match=r"is .*x\"\"\".*; input should be a valid "):
        export(folder, "python", tmp_path / "m.py")
    assert not marker.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": [{"kind": "numeric", "name": 3}]},
        {"columns": [{"mean": float("inf")}]},
        {"columns": [{"scale": 0.0}]},
        {"columns": [{"marks_missing": 1}]},
        {"columns": [{}, {"categories": ["a", 3]}]},
        {"columns": [{}, {"categories": "ab"}]},
        {"columns": [{}, {"pools_rare": None}]},
    ],
)
def test_fields_of_another_kind_are_refused(changed: dict[str, Any]) -> None:
    frame = pd.DataFrame({"x": np.arange(9.0), "town": ["a", "b", "c"] * 3})
    record = json.loads(json.dumps(fit_preparation(frame, 32)[0].to_dict()))
    assert from_plain(TablePreparation, record) == fit_preparation(frame, 32)[0]
    for column, change in zip(record["columns"], changed["columns"], strict=False):
        column.update(change)
    with pytest.raises(ValueError, match=r"^columns\.[01]\..* is .*; input should be "):
        from_plain(TablePreparation, record)


@pytest.mark.parametrize("value", ["3", 3.0, True, 0, None])
def test_budgets_are_whole_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^epochs is .*; input should be "):
        from_plain(Budget, {"epochs": value, "patience_epochs": 3})
    with pytest.raises(ValueError, match=r"^patience_epochs is .*; input should be "):
        from_plain(Budget, {"epochs": 3, "patience_epochs": value})


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "object"])
def test_the_script_encodes_labels_of_every_kind(kind: str) -> None:
    target = Target("y", "multiclass", (0, 1, 2))
    script = script_of(NUMBERS, target, SMALL, TRAINING)
    labels = np.array([2, 0, 1], kind)
    assert script["encode"](labels).tolist() == [2, 0, 1]
    assert script["encode"](pd.Series(labels)).tolist() == target.encode(pd.Series(labels)).tolist()
    words = Target("y", "multiclass", (0.5, 1, "x"))
    script = script_of(NUMBERS, words, SMALL, TRAINING)
    assert script["encode"](np.array([1.0, "x", 0.5], object)).tolist() == [1, 2, 0]


def test_the_script_of_two_classes_predicts_the_likelier_one() -> None:
    script = script_of(NUMBERS[["x"]], Target("y", "binary", ("a", "b")), SMALLEST, TRAINING)
    model = script["build_model"]()
    model.set_weights([np.array([[1.0]]), np.array([0.1])])
    x = script["prepare"](NUMBERS)  # -1.2, 0, 1.2
    assert script["predict"](model, x) == ["a", "b", "b"]


def test_the_script_spells_categories_as_evonet_does() -> None:
    frame = pd.DataFrame({"size": pd.Categorical([1.0, 2.0, 2.5] * 4)})
    preparation, _ = fit_preparation(frame, 32)
    script = script_of(frame, CLASSES, SMALL, TRAINING)
    assert script["prepare"](frame).sum() == 12  # each row has its category
    np.testing.assert_array_equal(script["prepare"](frame), preparation.transform(frame))


def test_the_script_reads_a_long_column_as_one(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    names, rest = "".join(f",c{i}" for i in range(62)), ",0" * 62  # pandas' portions are shorter
    rows = [f"1.50,0{rest}"] * 40_000 + [f"large,1{rest}"]
    file.write_text("\n".join([f"size,y{names}", *rows]))
    script = script_of(pd.DataFrame({"c1": [0.0, 1.0]}), QUANTITY, SMALL, TRAINING)
    features, _ = script["read"](str(file))
    assert features["size"].map(str).tolist() == read_table(file)["size"].tolist()


def test_a_missing_package_is_named(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evonet.extras, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"format onnx needs the package onnx, which is not ins"):
        export(runs["words"], "onnx")


def test_a_place_that_cannot_be_written_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"Cannot write .*m\.onnx: "):
        export(runs["words"], "onnx", tmp_path / "file" / "m.onnx")


WORDS = st.text(max_size=20) | st.sampled_from([*keyword.kwlist, "self", "class_", "Class"])


@given(st.lists(WORDS, unique=True, max_size=8))
@examples(100)
def test_plain_names_are_identifiers_and_differ(names: list[str]) -> None:
    found = plain_names(names)
    assert list(found) == names
    assert all(name.isidentifier() and name.isascii() for name in found.values())
    assert not any(keyword.iskeyword(name) or name == "self" for name in found.values())
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
