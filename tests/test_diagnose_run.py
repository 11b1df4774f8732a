"""``evonet diagnose`` on real small runs, and its pictures on what is hard to draw."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import fake_training
from markupsafe import escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.text import Text
from predicted import tables_of
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import confusion_matrix
from test_plots import texts

from evonet.__main__ import main
from evonet.champion.prediction import load_predictor
from evonet.config import make_config
from evonet.diagnosis.diagnosis import Diagnosis, diagnose_run
from evonet.diagnosis.finding import Finding
from evonet.diagnosis.lines import diagnosis_lines
from evonet.diagnosis.subject import load_subject
from evonet.errors import DataError, RecordError
from evonet.genome import Genome, Layer
from evonet.page import html
from evonet.page.html import write_report
from evonet.report import look
from evonet.report.diagnosis import DIAGNOSIS_FIGURES, save_diagnosis
from evonet.run import evolve, train
from evonet.store.record import RunRecord
from evonet.store.snapshot import Snapshot

__all__ = ["fake_training"]

GENOME = Genome((Layer(16, "relu", 0.3), Layer(8, "tanh")), "he_normal", "adam", 0.01, 16)
SETTINGS = {"final_epochs": 20, "final_fits": 1, "workers": 1}


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on three classes whose names hold what a page or a terminal would obey."""
    folder = tmp_path_factory.mktemp("classes")
    data = load_wine(as_frame=True)
    names = np.array(["<script>alert(1)</script>", "$x_{$\x1b[31m", "Barbera 🍷" + "a" * 200])
    frame = data.data.assign(kind=names[data.target])
    frame.to_csv(folder / "wine.csv", index=False)
    given = {"data": str(folder / "wine.csv"), "target": "kind", "results": folder, "name": "run"}
    return train(GENOME, make_config({**SETTINGS, **given})).folder


@pytest.fixture(scope="module")
def quantity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a quantity, in which candidates had folds."""
    folder = tmp_path_factory.mktemp("quantity")
    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(folder / "diabetes.csv", index=False)
    given = {"data": str(folder / "diabetes.csv"), "target": "target", "folds": 3}
    config = make_config({**SETTINGS, **given, "results": folder, "name": "run"})
    return train(GENOME, config).folder


@pytest.fixture(scope="module")
def diagnoses(classes: Path, quantity: Path) -> dict[Path, Diagnosis]:
    """The diagnosis of each run."""
    return {folder: diagnose_run(folder) for folder in (classes, quantity)}


@pytest.fixture
def evonet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Call the command line in this process: (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evonet", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


class TestRuns:
    def test_losses_of_the_kept_weights_are_those_of_the_record(self, diagnoses) -> None:
        for folder, found in diagnoses.items():
            with RunRecord(folder) as record:
                winner = record.winners()[-1].winner
            kept = winner.validation_loss[winner.best_epoch - 1]
            assert found.validation.loss == pytest.approx(kept, rel=1e-4)  # float32 sums
            # Dropout is off: the training loss is not that of the epoch.
            assert found.train.loss < winner.train_loss[winner.best_epoch - 1]

    def test_confusions_are_those_of_the_predictions_of_the_run(self, classes, diagnoses) -> None:
        table = classes.parent / "wine.csv"
        with RunRecord(classes) as record:
            config = record.facts.config
        from evonet.data.splitting import split_rows

        truth = pd.read_csv(table)["kind"]
        rows = split_rows(truth, "multiclass", config.seed, 0.2, 0.2).validation
        predicted = pd.concat(tables_of(load_predictor(classes), table))["prediction"]
        found = diagnoses[classes].confusion
        assert found is not None
        expected = confusion_matrix(truth.iloc[rows], predicted.iloc[rows], labels=found.classes)
        assert [list(row) for row in found.counts] == expected.tolist()

    def test_errors_are_those_of_the_predictions_of_the_run(self, quantity, diagnoses) -> None:
        found = diagnoses[quantity]
        assert found.residuals is not None
        assert found.calibration is None
        assert found.confusion is None
        table = quantity.parent / "diabetes.csv"
        known = set(
            np.round(pd.concat(tables_of(load_predictor(quantity), table))["prediction"], 2)
        )
        assert set(np.round(found.residuals.predicted, 2)) <= known
        assert [f.topic for f in found.findings][-3:] == ["bias", "size of errors", "large errors"]

    def test_the_test_part_is_not_there_to_be_looked_at(self, classes) -> None:
        subject = load_subject(classes)
        assert len(subject.dataset.test) == 0
        assert subject.dataset.folds == ()

    def test_it_says_the_same_again(self, classes, diagnoses) -> None:
        assert diagnose_run(classes) == diagnoses[classes]

    def test_every_finding_has_one_sentence_of_advice(self, diagnoses) -> None:
        for diagnosis in diagnoses.values():
            for found in diagnosis.findings:
                assert found.advice.endswith(".")
                assert found.rule.endswith(".")
                assert len(found.advice) < 250


class TestCommand:
    def test_json_is_one_object_and_the_pictures_are_whole(self, evonet, classes) -> None:
        code, output, errors = evonet("diagnose", classes, "--json")
        assert (code, errors) == (0, "")
        found = json.loads(output)
        assert {"run", "network", "findings", "layers", "confusion", "figures"} <= set(found)
        assert [own["name"] for own in found["layers"]] == ["hidden 1", "hidden 2", "output"]
        assert found["layers"][1]["matched"] is False  # He for tanh
        assert len(found["figures"]) == 6
        for file in map(Path, found["figures"]):
            assert file.parent == classes / "figures"
            if file.suffix == ".png":
                assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
            else:
                text = file.read_text("utf-8")
                xml.etree.ElementTree.fromstring(text)
                assert "<script" not in text.lower()

    def test_terminal_shows_findings_layers_and_files_and_obeys_nothing(
        self, evonet, classes, monkeypatch
    ) -> None:
        monkeypatch.setattr("evonet.report.diagnosis.saved", lambda _, folder, n: [folder / n])
        code, output, errors = evonet("diagnose", "run", "--results", classes.parent)
        assert (code, errors) == (0, "")
        assert "\x1b" not in output
        for words in (
            "Learning curves: ",
            "Initializer: does not suit",
            "→ ",
            "hidden 2",
            "diagnosis_layers",
        ):
            assert words in output

    def test_other_data_are_refused_in_one_line(self, evonet, classes, tmp_path) -> None:
        table = classes.parent / "wine.csv"
        whole = table.read_bytes()
        try:
            pd.read_csv(table).iloc[1:].to_csv(table, index=False)
            code, output, errors = evonet("diagnose", classes)
        finally:
            table.write_bytes(whole)
        assert (code, output, len(errors.splitlines())) == (1, "", 1)
        assert "are not what they were when" in errors

    def test_data_that_are_gone_are_named(self, classes, tmp_path) -> None:
        table = classes.parent / "wine.csv"
        table.rename(tmp_path / "moved.csv")
        try:
            with pytest.raises(DataError, match=r"wine\.csv"):
                diagnose_run(classes)
        finally:
            (tmp_path / "moved.csv").rename(table)

    def test_a_model_that_is_gone_or_damaged_is_named(self, classes, tmp_path) -> None:
        folder = tmp_path / "run"
        shutil.copytree(classes, folder)
        (folder / "networks.npz").write_bytes(b"PK")
        with pytest.raises(RecordError, match=r"networks\.npz is damaged"):
            diagnose_run(folder)
        (folder / "networks.npz").unlink()
        with pytest.raises(RecordError, match=r"networks\.npz is gone.*evonet resume"):
            diagnose_run(folder)

    def test_another_preparation_is_refused(self, classes, tmp_path) -> None:
        folder = tmp_path / "run"
        shutil.copytree(classes, folder)
        with RunRecord(folder) as record:
            data = record.facts.data
            first, *others = data.preparation.columns
            moved = replace(first, mean=first.mean + 1)
            preparation = replace(data.preparation, columns=(moved, *others))
            record.set_facts(data=replace(data, preparation=preparation))
        with pytest.raises(RecordError, match="prepares data in another way"):
            diagnose_run(folder)

    def test_a_run_without_a_winner_is_told_how_to_get_one(self, tmp_path, fake_training) -> None:
        settings = {"data": "iris", "generations": 3, "results": tmp_path, "name": "run"}
        evolve(make_config(settings), should_stop=lambda: True)
        with pytest.raises(RecordError, match=r"no winner yet.*evonet resume"):
            diagnose_run(tmp_path / "run")


def layer(i: int, n: int, share: float | None = 0.5) -> dict[str, Any]:
    return {
        "name": "output" if i == n - 1 else f"hidden {i + 1}",
        "units": 4096,
        "activation": "leaky_relu",
        "gradient_mean": 10.0 ** -(i % 9) if share is not None else None,
        "gradient_spread": 3 * 10.0 ** -(i % 9) if share is not None else None,
        "dead_share": share,
        "weight_spread": 0.1 * (i + 1),
        "drawn_spread": 0.1,
    }


def found(
    n_layers: int = 3,
    n_classes: int = 2,
    label: str = "a",
    curve: tuple[float, ...] = (1.0, 0.5, 0.6),
    errors: np.ndarray | None = None,
) -> dict[str, Any]:
    """A diagnosis as plain data, written by hand."""
    words = "With the weights of epoch 2 of 3 the loss is as it is, and that is what it is. " * 8
    topics = ("learning curves", "gradients", "dead ReLU units", "weight spread", "initializer")
    bins = [
        {"low": m / 10, "high": (m + 1) / 10, "n": m, "confidence": None, "accuracy": None}
        | ({"confidence": m / 10 + 0.05, "accuracy": m / 10} if m else {})
        for m in range(10)
    ]
    made: dict[str, Any] = {
        "findings": [
            Finding(t, "unrepresentative part", words, words, False).to_dict() for t in topics
        ],
        "train_curve": list(curve),
        "validation_curve": list(curve),
        "best_epoch": int(np.argmin(curve)) + 1,
        "train": {"loss": 0.4},
        "validation": {"constant": 1.1},
        "layers": [layer(i, n_layers, None if i % 2 else 1.0) for i in range(n_layers)],
        "calibration": {
            "bins": bins,
            "error": 0.05,
            "by_chance": 0.02,
            "confidence": 0.9,
            "accuracy": 0.85,
        },
        "confusion": {
            "classes": [f"{label}{i}" for i in range(n_classes)],
            "counts": (np.arange(n_classes**2) * 997).reshape(n_classes, n_classes).tolist(),
        },
        "residuals": None,
    }
    if errors is not None:
        predicted = np.linspace(-1e6, 1e7, len(errors))
        made["residuals"] = {
            "predicted": predicted.tolist(),
            "truth": (predicted + errors).tolist(),
            "n": 2 * len(errors),
            "mean": float(errors.mean()),
            "deviation": float(errors.std()),
            "median_size": float(np.median(np.abs(errors))),
        }
    return made


CURVES, LAYERS, PREDICTIONS = DIAGNOSIS_FIGURES
#: What is hard to draw: the figures that could go wrong, and the arguments of found.
HARD: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "plain": ((CURVES, LAYERS, PREDICTIONS), {}),
    "64 layers": ((LAYERS,), {"n_layers": 64}),
    "a linear model": ((LAYERS,), {"n_layers": 1}),
    "26 classes of long names": ((PREDICTIONS,), {"n_classes": 26, "label": "long name " * 9}),
    "$x_{$ <b> 中文": ((CURVES, PREDICTIONS), {"label": "$x_{$ <b> "}),
    "one epoch": ((CURVES,), {"curve": (0.9,)}),
    "a thousand epochs": ((CURVES,), {"curve": tuple(1e3 / (1 + np.arange(1000.0)))}),
    "losses of zero": ((CURVES,), {"curve": (0.5, 0.0, 0.0)}),
    "three rows": ((PREDICTIONS,), {"errors": np.array([0.0, 1e9, -2.0])}),
    "many rows": ((PREDICTIONS,), {"errors": np.random.default_rng(0).normal(size=1000) * 1e5}),
}


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # letters that the font lacks
@pytest.mark.parametrize(
    ("case", "name"), [(case, name) for case, (names, _) in HARD.items() for name in names]
)
def test_texts_are_inside_readable_and_do_not_overlap(case: str, name: str) -> None:
    with look.style():
        figure = DIAGNOSIS_FIGURES[name](found(**HARD[case][1]), Path(case))
        FigureCanvasAgg(figure).draw()
    boxes = [(t.get_text(), Text.get_window_extent(t)) for t in texts(figure)]
    width, height = figure.bbox.size
    for text, box in boxes:
        assert -1 <= box.x0 <= box.x1 <= width + 1, f"{text!r} leaves the figure"
        assert -1 <= box.y0 <= box.y1 <= height + 1, f"{text!r} leaves the figure"
        assert not is_math_text(text) or "mathdefault" in text
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= 1 or down <= 1, f"{a!r} overlaps {b!r}"
    assert min(t.get_fontsize() for t in texts(figure)) >= 9


def test_figures_show_what_was_found() -> None:
    with look.style():
        figures = {name: draw(found(), Path("run")) for name, draw in DIAGNOSIS_FIGURES.items()}
    (curves,) = figures["diagnosis_curves"].axes
    assert list(curves.get_lines()[0].get_ydata()) == [1.0, 0.5, 0.6]
    square = curves.get_lines()[-1]
    assert (list(square.get_xdata()), list(square.get_ydata())) == ([2], [0.4])
    gradients, dead, _ = figures["diagnosis_layers"].axes
    assert list(gradients.get_lines()[0].get_ydata()) == [0, 1, 2]
    assert [bar.get_width() for bar in dead.patches] == [1.0, 0.0, 1.0]
    _, confused = figures["diagnosis_predictions"].axes
    assert [t.get_text() for t in confused.texts[:4]] == ["0", "997", "1,994", "2,991"]
    assert confused.get_title(loc="left") == "2,991 of 5,982 rows are wrong"


def test_figures_that_cannot_be_written_are_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(RecordError, match=r"Cannot write the figure .*: .* Name another place"):
        save_diagnosis(found(), tmp_path)


def test_lines_are_no_wider_than_a_terminal(diagnoses: dict[Path, Diagnosis]) -> None:
    for diagnosis in diagnoses.values():
        lines = [line for line, _ in diagnosis_lines(diagnosis)]
        assert max(map(len, lines[1:])) <= 110


def test_the_report_has_a_diagnosis_as_long_as_the_data_are_there(
    classes: Path, diagnoses: dict[Path, Diagnosis], tmp_path: Path
) -> None:
    page = write_report(classes, tmp_path / "with.html").read_text("utf-8")
    assert "Health of the winner" in page
    for finding in diagnoses[classes].findings:
        assert escape(finding.verdict[:30]) in page
    assert "<script>alert" not in page
    table = classes.parent / "wine.csv"
    moved = table.rename(table.with_suffix(".moved"))
    try:
        page = write_report(classes, tmp_path / "without.html").read_text("utf-8")
    finally:
        moved.rename(table)
    assert f"this says it: evonet diagnose {classes}" in page
    assert "the rules they were drawn from" not in page


def test_the_report_is_of_one_moment(classes: Path, tmp_path: Path, monkeypatch) -> None:
    folder = shutil.copytree(classes, tmp_path / "run")
    before = write_report(folder, tmp_path / "before.html").read_text("utf-8")

    class Crowned(Snapshot):
        """A snapshot after which the run finds another winner."""

        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            with RunRecord(folder) as record:
                last = record.winners()[-1]
                losses = {"validation_loss": (9.0,) * 20, "train_loss": (9.0,) * 20}
                record.add_winner(replace(last, winner=replace(last.winner, **losses)))

    monkeypatch.setattr(html, "Snapshot", Crowned)
    assert write_report(folder, tmp_path / "after.html").read_text("utf-8") == before
