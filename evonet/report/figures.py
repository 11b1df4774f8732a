"""The figures of a run by name, and of several runs; how they become files. Seaborn comes late."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evonet.errors import EvonetError, RecordError
from evonet.metrics import METRICS
from evonet.report.tables import (
    baselines_table,
    curves_table,
    front_table,
    generations_table,
    objectives_table,
    population_table,
)
from evonet.store.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
#: Losses of regression, as ``--loss`` names them, in words.
_LOSSES = {
    "mse": "mean squared error, standardised target",
    "mae": "mean absolute error, standardised target",
    "huber": "Huber loss, standardised target",
}


def fitness_figure(record: RunRecord) -> Figure:
    """Best, median and spread of the population over the generations, against the baselines."""
    from evonet.report.plots import plot_fitness

    _refuse_unfinished(record)
    generations = generations_table(record)
    figure = new_figure(9, 5)
    metric = record.facts.metric
    plot_fitness(
        generations, baselines_table(record), figure.subplots(), metric.name, metric.maximise
    )
    candidates = int(generations[["trained", "cached"]].sum().sum())
    failed = int(generations["failed"].sum())
    return _signed(
        figure,
        record,
        f"{candidates:,} candidates, {failed or 'none'} failed. The best of many scores flatters: "
        "judge the winner by its test score.",
    )


def learning_curves_figure(record: RunRecord) -> Figure:
    """Losses by epoch of the best networks and of the winner's final fit."""
    from evonet.report.plots import grid_shape, plot_learning_curves

    if not record.winners():  # one training without a search has nothing else to show
        _refuse_unfinished(record)
    curves = curves_table(record)
    rows, columns = grid_shape(curves["network"].nunique())
    figure = new_figure(max(4.2 * columns, 8), 3.7 * rows + 0.8)
    plot_learning_curves(curves, figure, record.facts.metric.name, _loss_words(record))
    return _signed(figure, record)


def population_figure(record: RunRecord) -> Figure:
    """The genes of the population over the generations."""
    from evonet.report.population import plot_population

    _refuse_unfinished(record)
    figure = new_figure(13, 10)
    plot_population(population_table(record), figure)
    return _signed(
        figure,
        record,
        "In the maps darker is more, from 0 to 100 %; beside them, shares in the last generation.",
    )


def front_figure(record: RunRecord) -> Figure:
    """With several objectives: the Pareto front, and its hypervolume over the generations."""
    from evonet.report.pareto import plot_front

    _refuse_unfinished(record)
    front = front_table(record)
    costs = list(front.columns.drop(["genome", "score", "network"]))
    if not costs:
        raise RecordError(
            f"{record.folder} has one objective, and so no Pareto front. "
            "Start a run with --objective score,parameters"
        )
    trainings = objectives_table(record)
    volumes = generations_table(record).set_index("generation")["hypervolume"]
    figure, metric = new_figure(4 + 6 * len(costs), 5), record.facts.metric
    plot_front(trainings, front, volumes, figure, metric.name, metric.maximise)
    return _signed(figure, record)


#: To add a figure: add its function here; ``scripts/plot_NAME.py`` is one call of ``main``.
FIGURES: Mapping[str, Callable[[RunRecord], Figure]] = MappingProxyType(
    {
        "fitness": fitness_figure,
        "learning_curves": learning_curves_figure,
        "population": population_figure,
        "front": front_figure,
    }
)


def save_figures(folder: Path, names: Iterable[str], output: Path | None = None) -> list[Path]:
    """Draw figures of a run and write each as NAME.png and NAME.svg.

    Of several figures those are left out that the run cannot have: without a search all but
    learning curves, with one objective the front.

    Args:
        folder: the run's folder.
        names: of ``FIGURES``.
        output: where to write; ``figures`` in the run's folder where it is None.

    Returns:
        The written files.

    Raises:
        RecordError: there is no run, it has nothing to draw yet, or the files cannot be written.
    """
    from evonet.report.look import style

    names, output = list(names), output or folder / "figures"
    record = RunRecord(folder)
    try:
        if len(names) > 1:
            names = [name for name in names if name in _possible(record)] or names
        with style():
            return [path for n in names for path in saved(FIGURES[n](record), output, n)]
    finally:
        record.close()


def can_draw(folder: Path) -> bool:
    """Whether a run has anything to draw yet.

    Raises:
        RecordError: there is no run.
    """
    with RunRecord(folder) as record:
        return bool(record.winners() or record.generations())


def _possible(record: RunRecord) -> list[str]:
    """The figures of a run of its kind."""
    if record.winners() and not record.generations():
        return ["learning_curves"]
    several = len(record.objectives) > 1
    return [name for name in FIGURES if several or name != "front"]


def save_forest(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw runs side by side and write the picture.

    Args:
        rows: those of ``comparison.comparison``, at least one.
        file: where to write, as PNG or SVG by its ending; a file that is there is replaced.

    Raises:
        RecordError: the ending is another, or the file cannot be written.
    """
    from evonet.report.forest import forest_size, forest_table, plot_forest
    from evonet.report.look import style

    if file.suffix.lower() not in (".png", ".svg"):
        raise RecordError(f"Cannot draw into {file}: expected a name that ends in .png or .svg.")
    lines, metric = forest_table(rows), METRICS[rows[0]["metric"]]
    with style():
        figure = new_figure(*forest_size(lines))
        plot_forest(lines, figure, metric.name, metric.maximise)
        _save(figure, file)


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """One figure from the command line: the whole of ``scripts/plot_NAME.py``.

    Args:
        name: of ``FIGURES``.
        arguments: those of the command line where it is None.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=FIGURES[name].__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="Folder of the run.")
    parser.add_argument("--output", type=Path, help="Where to write; RUN/figures if left out.")
    parser.add_argument("--debug", action="store_true", help="Show where an error comes from.")
    options = parser.parse_args(arguments)
    try:
        for path in save_figures(options.run, [name], options.output):
            print(path)
    except EvonetError as error:
        if options.debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _refuse_unfinished(record: RunRecord) -> None:
    """RecordError where there is no finished generation to draw."""
    if record.generations():
        return
    if record.winners():
        raise RecordError(
            f"{record.folder} is one training without a search; all it has to draw are its "
            "learning_curves."
        )
    raise RecordError(
        f"{record.folder} has no finished generation yet, so there is nothing to draw. "
        f"Wait for the first one, or go on with the run: evonet resume {quote(str(record.folder))}"
    )


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches, within ``look.style``."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _signed(figure: Figure, record: RunRecord, note: str = "") -> Figure:
    """The figure with the run's name, and a note, in small letters at its foot."""
    from evonet.report.look import sign

    sign(figure, record.folder, note)
    return figure


def _loss_words(record: RunRecord) -> str:
    """What the networks were trained on, in words."""
    task, loss = record.facts.data.target.task, record.facts.config.loss
    if task != "regression":
        return "cross-entropy"
    return _LOSSES["mse" if loss == "auto" else loss]


def saved(figure: Figure, output: Path, name: str) -> list[Path]:
    """Write a figure as NAME.png and NAME.svg; RecordError where that cannot be."""
    paths = [output / f"{name}.png", output / f"{name}.svg"]
    for path in paths:
        _save(figure, path)
    return paths


def _save(figure: Figure, file: Path) -> None:
    svg = file.suffix.lower() == ".svg"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # A run's name may have letters that the font lacks; they become boxes.
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            # Of an SVG, the dpi is that of its maps.
            figure.savefig(
                file, dpi=2 * _DPI if svg else _DPI, metadata={"Date": None} if svg else None
            )
    except OSError as error:
        raise RecordError(
            f"Cannot write the figure {file}: {error.strerror or error}. Name another place."
        ) from None
