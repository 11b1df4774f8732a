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
from evonet.config import make_config
from evonet.data.preparation import CategoricalColumn, fit_preparation
from evonet.deploy.exporting import export
from evonet.deploy.formats import FORMATS
from evonet.deploy.signature import UNSEEN, example_rows, plain_names
from evonet.errors import ConfigError, ExportError
from evonet.genome import Genome, Layer
from evonet.genome.genes import ACTIVATIONS
from evonet.run import train

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


def test_the_script_trains_without_evonet(runs: dict[str, Path], tmp_path: Path) -> None:
    path = export(runs["words"], "python", tmp_path / "m.py").path
    assert "evonet" not in path.read_text("utf-8").replace("that evonet found", "")
    ran = subprocess.run(
        [sys.executable, str(path), str(runs["words"].parent / "t.csv")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-800:]
    assert "val_loss" in ran.stdout
    assert (tmp_path / "trained.keras").is_file()


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
