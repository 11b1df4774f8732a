"""The pictures of a run show what its record says, and can be read."""

from __future__ import annotations

import doctest
import itertools
import math
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from planted import Planted, crown, facts

from evonet.errors import RecordError
from evonet.evaluation import Evaluation
from evonet.genome import Genome, Layer
from evonet.report import look, plots, population
from evonet.report.figures import FIGURES, main, save_figures
from evonet.report.tables import generations_table, population_table
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate, StoredEvaluation, StoredGeneration

ROOT = Path(__file__).parents[1]
#: Scores by generation and candidate; None is a failed training.
SCORES = ((0.50, 0.90, None, 0.60), (0.80, 0.70, 0.95, 0.75), (0.85, 0.92, 0.97, 0.96))
BASELINES = (("majority", 0.1), ("linear", 0.91), ("default MLP", 0.93))


def genome(index: int, n_layers: int = 1) -> Genome:
    """Genomes that all differ, whatever their depth."""
    layers = tuple(Layer(8 * 2 ** (index % 5), "relu", 0.1) for _ in range(n_layers))
    return Genome(layers, "matched_normal", "adam", 1e-4 * (1 + index), 2 ** (4 + index % 3))


def evaluation(of: Genome, score: float | None, n_epochs: int = 3) -> Evaluation:
    curve = tuple(1.0 / (epoch + 1) for epoch in range(n_epochs)) if score is not None else ()
    status = "ok" if score is not None else "diverged"
    return Evaluation(of.key, 0, status, "", score, len(curve), curve, curve, 1000, 0.1)


def make_run(
    folder: Path,
    scores: Sequence[Sequence[float | None]] = SCORES,
    baselines: Sequence[tuple[str, float | None]] = BASELINES,
    maximise: bool = True,
    n_layers: int = 1,
    winner: bool = True,
    task: str = "multiclass",
) -> Path:
    """A run written by hand: in each generation, whoever succeeded is the population."""
    known = facts(
        metric="accuracy" if maximise else "rmse",
        task=task,
        baselines=[(name, score, 0.77) for name, score in baselines],
    )
    record = RunRecord.new(folder.parent, folder.name, "data", known)
    index = itertools.count()
    for number, row in enumerate(scores):
        trained = [(genome(next(index), n_layers), score) for score in row]
        for slot, (g, score) in enumerate(trained):
            key = f"{number} {slot}"
            record.add_evaluation(StoredEvaluation(key, "trained", g, evaluation(g, score)))
        alive = [(g.key, s if maximise else -s) for g, s in trained if s is not None]
        record.commit_generation(
            StoredGeneration(number, tuple(sorted(alive, key=lambda m: -m[1])), 0, 1.0),
            [
                StoredCandidate(number, slot, g.key, f"{number} {slot}", "random", ())
                for slot, (g, _) in enumerate(trained)
            ],
        )
    if winner:
        add_winner(record, genome(0, n_layers))
    record.close()
    return folder


def add_winner(record: RunRecord, of: Genome) -> None:
    losses = (3.0, 2.0, 2.5, 1.5, 1.75)
    crown(record, Planted(of, 0.9), 0.9, train_loss=losses, validation_loss=losses)


def draw(folder: Path, name: str) -> Figure:
    """A figure of a run, laid out as it is when it is saved."""
    record = RunRecord(folder)
    try:
        with look.style():
            figure = FIGURES[name](record)
            FigureCanvasAgg(figure).draw()
    finally:
        record.close()
    return figure


def line(axes: Axes, label: str) -> list[float]:
    (found,) = (line for line in axes.get_lines() if line.get_label() == label)
    return [float(y) for y in np.asarray(found.get_ydata())]


def texts(figure: Figure) -> list[Text]:
    """All that is written in a figure; ticks beyond the axes are not."""
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    ticks = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not axes.axison or not between(tick.get_loc(), axis.get_view_interval())
    }
    return [text for text in found if id(text) not in ticks]


def between(value: float, interval: Sequence[float]) -> bool:
    return min(interval) - 1e-9 <= value <= max(interval) + 1e-9


class TestFitness:
    def test_lines_are_the_best_and_the_median_of_each_generation(self, tmp_path: Path) -> None:
        (axes,) = draw(make_run(tmp_path / "run"), "fitness").axes
        assert line(axes, "best") == [0.90, 0.95, 0.97]
        assert line(axes, "median") == pytest.approx([0.60, 0.775, 0.94])

    def test_best_of_a_minimised_metric_is_the_smallest(self, tmp_path: Path) -> None:
        scores = [[9.0, 4.0, 6.0], [3.0, 8.0, None]]
        folder = make_run(tmp_path / "run", scores, (), maximise=False, task="regression")
        (axes,) = draw(folder, "fitness").axes
        assert line(axes, "best") == [4.0, 3.0]
        assert axes.get_ylabel() == "validation RMSE in the target's unit\nlower is better"
        assert axes.get_title(loc="left") == "Best network: validation RMSE from 4.000 to 3.000"

    def test_band_reaches_from_quartile_to_quartile(self, tmp_path: Path) -> None:
        scores = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.5, 0.6, 0.9, 0.9]]
        (axes,) = draw(make_run(tmp_path / "run", scores, ()), "fitness").axes
        (band,) = axes.collections
        corners = {(round(x, 6), round(y, 6)) for x, y in band.get_paths()[0].vertices}
        assert corners == {(0, 0.2), (0, 0.4), (1, 0.5), (1, 0.9)}

    def test_baselines_in_reach_are_lines_at_their_scores(self, tmp_path: Path) -> None:
        (axes,) = draw(make_run(tmp_path / "run"), "fitness").axes
        assert line(axes, "linear") == [0.91, 0.91]
        assert line(axes, "default MLP") == [0.93, 0.93]
        looks = [(line.get_linestyle(), line.get_marker()) for line in axes.get_lines()]
        assert len(set(looks)) == len(looks), "colour must not be the only difference"

    def test_baseline_far_off_is_named_and_does_not_squash_the_curve(self, tmp_path: Path) -> None:
        scores = [[0.90, 0.95], [0.96, 0.97]]
        figure = draw(make_run(tmp_path / "run", scores), "fitness")
        assert figure.axes[0].get_ylim()[0] > 0.85
        assert "majority" not in [line.get_label() for line in figure.axes[0].get_lines()]
        assert "↓ majority 0.1000, off the scale" in [t.get_text() for t in texts(figure)]

    def test_whatever_the_scores_the_best_curve_is_inside_the_axes(self, tmp_path: Path) -> None:
        for i, scores in enumerate(([[0.1, 0.1], [0.9, 0.1]], [[1.0, -50.0], [1.0, 0.99]])):
            (axes,) = draw(make_run(tmp_path / f"run{i}", scores), "fitness").axes
            low, high = axes.get_ylim()
            assert all(low < y < high for y in line(axes, "best"))

    def test_cut_population_is_admitted(self, tmp_path: Path) -> None:
        def subtitle(name: str, worst: float) -> str:
            scores = [[worst, worst, 0.9], [0.91, 0.92, 0.93], [0.92, 0.93, 0.94]]
            figure = draw(make_run(tmp_path / name, scores, ()), "fitness")
            return next(t.get_text() for t in texts(figure) if t.get_text().startswith("Line:"))

        assert subtitle("near", 0.89).endswith("(quartiles).")
        assert subtitle("far", -9.0).endswith("Some of it is off the scale.")

    def test_baseline_without_a_score_is_named_and_not_drawn(self, tmp_path: Path) -> None:
        figure = draw(make_run(tmp_path / "run", SCORES, [("default MLP", None)]), "fitness")
        assert "default MLP" not in [line.get_label() for line in figure.axes[0].get_lines()]
        assert "default MLP: no score" in [t.get_text() for t in texts(figure)]

    def test_failed_candidates_are_counted_in_words(self, tmp_path: Path) -> None:
        figure = draw(make_run(tmp_path / "run"), "fitness")
        assert "12 candidates, 1 failed." in figure.get_supxlabel()
        assert figure.get_supxlabel().startswith("evonet run run\n")


class TestLearningCurves:
    def test_panels_are_the_five_best_and_the_winner(self, tmp_path: Path) -> None:
        figure = draw(make_run(tmp_path / "run"), "learning_curves")
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        best = [0.97, 0.96, 0.95, 0.92, 0.90]
        assert titles == [
            *(f"Rank {i}: accuracy {score:.4f}" for i, score in enumerate(best, start=1)),
            "Winner, final fit: accuracy 0.9000",
        ]

    def test_curves_are_the_recorded_losses_and_the_diamond_is_the_lowest(
        self, tmp_path: Path
    ) -> None:
        axes = draw(make_run(tmp_path / "run"), "learning_curves").axes[-1]
        validation, kept, training = axes.get_lines()
        for curve in (training, validation):
            assert list(curve.get_xdata()) == [1, 2, 3, 4, 5]
            assert list(curve.get_ydata()) == [3.0, 2.0, 2.5, 1.5, 1.75]
        assert training.get_linestyle() != validation.get_linestyle()
        assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([4], [1.5])

    def test_one_loss_far_above_all_others_is_cut_and_said_to_be(self) -> None:
        losses = [1e6] + [1.0, 0.9] * 40
        table = pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses}).assign(
            network="rank 1", genome="8 relu | adam", score=0.9, part="validation"
        )
        figure = Figure(layout="constrained")
        plots.plot_learning_curves(table, figure, "accuracy")
        assert figure.axes[0].get_ylim()[1] == pytest.approx(2.0)
        assert figure.legends[0].get_title().get_text().endswith("Losses above 2 are cut.")

    def test_training_without_a_search_has_learning_curves_alone(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", scores=())
        assert [p.stem for p in save_figures(folder, FIGURES)] == ["learning_curves"] * 2
        with pytest.raises(RecordError, match="one training without a search"):
            save_figures(folder, ["fitness"])


class TestPopulation:
    def test_median_of_a_gene_is_drawn_for_every_generation(self, tmp_path: Path) -> None:
        figure = draw(make_run(tmp_path / "run"), "population")
        (axes,) = (a for a in figure.axes if a.get_title(loc="left") == "Learning rate (log)")
        # Genomes 0, 1 and 3, then 4 to 7, then 8 to 11: number 2 failed.
        medians, best = [2e-4, 6.5e-4, 10.5e-4], [2e-4, 7e-4, 11e-4]
        assert list(axes.get_lines()[0].get_ydata()) == pytest.approx(medians)
        assert list(axes.get_lines()[-1].get_ydata()) == pytest.approx(best)
        assert axes.get_yscale() == "log"

    def test_shares_are_counted_by_hand(self) -> None:
        table = pd.DataFrame(
            {"generation": [0, 0, 1, 1, 2], "activation": ["relu relu", "elu", "elu", "elu", ""]}
        )
        shares = population.choice_shares(table, "activation")
        assert sorted(shares.index) == ["elu", "relu"]
        assert shares.loc["relu"].to_list() == pytest.approx([2 / 3, 0, math.nan], nan_ok=True)
        assert shares.loc["elu"].to_list() == pytest.approx([1 / 3, 1, math.nan], nan_ok=True)

    def test_commonest_choice_of_the_last_generation_comes_first(self) -> None:
        table = pd.DataFrame({"generation": [0, 0, 1], "optimizer": ["adam", "adam", "sgd"]})
        assert population.choice_shares(table, "optimizer").index.to_list() == ["sgd", "adam"]

    def test_map_holds_the_shares(self, tmp_path: Path) -> None:
        figure = draw(make_run(tmp_path / "run"), "population")
        axes = figure.axes[6]
        assert axes.get_title(loc="left") == "Optimizer, share of networks"
        assert [t.get_text() for t in axes.get_yticklabels()] == ["adam"]
        assert np.asarray(axes.collections[0].get_array()).ravel().tolist() == [1.0, 1.0, 1.0]


ALL = tuple(name for name in FIGURES if name != "front")
#: Runs that are hard to draw: the figures that could go wrong, and the arguments of make_run.
HARD: dict[str, tuple[tuple[str, ...], dict]] = {
    "plain": (ALL, {}),
    "one generation": (("fitness", "population"), {"scores": SCORES[:1]}),
    "one member, no winner": (("fitness", "learning_curves"), {"scores": [[0.9]], "winner": False}),
    "no layers": (("population",), {"n_layers": 0}),
    "64 layers": (("learning_curves",), {"n_layers": 64}),
    "minimised": (
        ("fitness", "learning_curves"),
        {"scores": [[9e5, 70.0], [60.0, 65.0]], "maximise": False, "task": "regression"},
    ),
    "equal scores": (
        ("fitness",),
        {"scores": [[1.0, 1.0]] * 3, "baselines": [("a", 1.0), ("b", 1.0), ("c", 1.0)]},
    ),
    "scores of zero": (("fitness",), {"scores": [[0.0, 0.0]] * 3, "baselines": [("a", 0.0)]}),
    "no baselines": (("fitness",), {"baselines": ()}),
    "long names": (("fitness",), {"baselines": [("μ" * 99, 0.9), ("<b>&amp;</b> $x_{$", 0.92)]}),
    "$x_{$ & <b> 中文 " + "long " * 20: (("fitness",), {}),
}


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # letters that the font lacks
@pytest.mark.parametrize(
    ("run", "name"), [(run, name) for run, (names, _) in HARD.items() for name in names]
)
def test_texts_are_inside_readable_and_do_not_overlap(tmp_path: Path, run: str, name: str) -> None:
    figure = draw(make_run(tmp_path / run, **HARD[run][1]), name)
    # Text.get_window_extent: that of an Annotation holds its leader line too.
    boxes = [(t.get_text(), Text.get_window_extent(t)) for t in texts(figure)]
    width, height = figure.bbox.size
    for text, box in boxes:
        assert -1 <= box.x0 <= box.x1 <= width + 1, f"{text!r} leaves the figure"
        assert -1 <= box.y0 <= box.y1 <= height + 1, f"{text!r} leaves the figure"
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= 1 or down <= 1, f"{a!r} overlaps {b!r}"
    assert min(t.get_fontsize() for t in texts(figure)) >= 9


def test_files_are_whole_and_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(plt.rcParams)
    folder = make_run(tmp_path / "$x_{$ & <b> 中文", scores=SCORES[:1])
    written = save_figures(folder, FIGURES)
    assert {p.name for p in written} == {f"{n}.{e}" for n in ALL for e in ("png", "svg")}
    for path in written:
        assert path.parent == folder / "figures"
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
        else:
            root = xml.etree.ElementTree.parse(path).getroot()
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert dict(plt.rcParams) == before
    assert plt.get_fignums() == []


def test_dollars_in_names_are_dollars_and_not_formulas(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "costs $a$", SCORES, [("$b$ or $c", 0.9)])
    figure = draw(folder, "fitness")
    drawn = [t.get_text() for t in texts(figure) if "$" in t.get_text()]
    assert len(drawn) == 2
    for text in drawn:
        assert not is_math_text(text)
        assert text.count("$") == text.count(r"\$")


def test_equal_runs_give_equal_files_that_hold_no_date(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SCORES[:2])
    first, second = (save_figures(folder, ["population"], tmp_path / o) for o in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one
        if one.suffix == ".svg":
            assert "<dc:date>" not in one.read_text("utf-8")


def test_five_hundred_generations_are_one_line_without_markers() -> None:
    best = np.linspace(0.5, 0.9, 500)
    table = pd.DataFrame({"generation": range(500), "best": best, "median": best - 0.1}).assign(
        lower_quartile=best - 0.15, upper_quartile=best - 0.05
    )
    axes = Figure().subplots()
    baselines = pd.DataFrame(columns=["name", "validation_score"])
    plots.plot_fitness(table, baselines, axes, "accuracy", maximise=True)
    assert line(axes, "best") == best.tolist()
    assert {str(line.get_marker()) for line in axes.get_lines()} == {"None"}


def test_tables_have_the_same_columns_with_and_without_layers(tmp_path: Path) -> None:
    columns = []
    for n_layers in (0, 2):
        record = RunRecord(make_run(tmp_path / str(n_layers), n_layers=n_layers))
        columns.append([list(population_table(record)), list(generations_table(record))])
        record.close()
    assert columns[0] == columns[1]


@pytest.mark.parametrize("name", ALL)
def test_script_writes_the_figure_without_tensorflow(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path / "run")
    result = subprocess.run(
        [
            *(sys.executable, "-X", "importtime", ROOT / "scripts" / f"plot_{name}.py"),
            *(folder, "--output", tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [tmp_path / "out" / f"{name}.{suffix}" for suffix in ("png", "svg")]
    assert result.stdout.splitlines() == [str(path) for path in expected]
    assert all(path.stat().st_size > 1000 for path in expected)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "seaborn" in imported
    assert not {"tensorflow", "keras", "jax"} & imported


@pytest.mark.parametrize("name", ALL)
def test_run_with_nothing_to_draw_is_one_line_on_stderr(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "run", scores=(), winner=False)
    assert main(name, [str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert re.match("Error: .*no finished generation yet.*evonet resume", captured.err)
    assert not (folder / "figures").exists()
    with pytest.raises(RecordError, match="no finished generation"):
        main(name, [str(folder), "--debug"])


def test_output_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match=r"Cannot write the figure .*: .* Name another place"):
        save_figures(make_run(tmp_path / "run"), ["fitness"], tmp_path / "file")


def test_examples_in_the_docstrings_hold() -> None:
    for module in (look, plots):
        assert doctest.testmod(module).failed == 0


def test_control_characters_of_names_are_not_drawn() -> None:
    assert look.plain("a\x1b[31mb\x00\ud800") == "a�[31mb��"
