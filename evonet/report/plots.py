"""Fitness and learning curves of a run: a tidy table and axes, or a figure, in; nothing else."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evonet.report.look import (
    BLUE,
    GREEN,
    INK,
    MAX_MARKERS,
    ORANGE,
    PURPLE,
    Label,
    band,
    finish,
    generation_limits,
    label_right,
    legend,
    log_axis,
    plain,
    title,
)
from evonet.report.words import metric_words, number

_DASHED = (0, (4, 2))


# Fitness

#: Colour and dashes of the baselines, in their order.
_BASELINES: tuple[tuple[str, Any], ...] = (
    (INK, ":"),
    (GREEN, "-."),
    (ORANGE, (0, (7, 3))),
    (PURPLE, (0, (3, 1, 1, 1, 1, 1))),
)
#: What is farther off than this many times the range of best and late median is cut. Untuned.
_REACH = 1.0
#: The range that flat curves count as having, as a share of their level. Untuned.
_SMALLEST_RANGE = 0.05
_UNITS = {"rmse": " in the target's unit", "mae": " in the target's unit"}


def plot_fitness(
    generations: pd.DataFrame,
    baselines: pd.DataFrame,
    axes: Axes,
    metric_name: str,
    maximise: bool,
) -> None:
    """Best, median and middle half of the population in every generation, and the baselines.

    The score axis follows the best network. What lies far off, such as a baseline that always
    says the same, is named at the edge it lies behind rather than drawn.

    Args:
        generations: columns generation, best, median, lower_quartile, upper_quartile.
        baselines: columns name, validation_score; may have no rows.
        axes: where to draw.
        metric_name: as in ``--metric``.
        maximise: whether higher is better.
    """
    scores = baselines["validation_score"].astype(float)
    low, high = _score_range(generations, scores)
    axes.set_ylim(low, high)
    generation_limits(axes, generations["generation"])
    quartiles = generations["lower_quartile"], generations["upper_quartile"]
    band(axes, generations["generation"], *quartiles, alpha=0.2)
    labels, many = [], len(generations) > MAX_MARKERS
    for column, dashes, width, marker in (("median", _DASHED, 1.5, "s"), ("best", "-", 2.5, "o")):
        sns.lineplot(
            data=generations,
            x="generation",
            y=column,
            ax=axes,
            estimator=None,
            color=BLUE,
            linestyle=dashes,
            linewidth=width / 1.5 if many else width,
            marker=None if many else marker,
            markersize=5,
            label=column,
            legend=False,
        )
        end = float(generations[column].iloc[-1])
        labels.append(Label(end, f"{column} {number(end)}", BLUE, bold=column == "best"))
    for i, (name, score) in enumerate(zip(baselines["name"], scores, strict=True)):
        colour, dashes = _BASELINES[i % len(_BASELINES)]
        if low <= score <= high:
            line = axes.axhline(score, color=colour, linestyle=dashes, linewidth=1.4, zorder=1.5)
            line.set_label(plain(name))
        value = f" {number(score)}" if math.isfinite(score) else ": no score"
        labels.append(Label(score, plain(name, 20) + value, colour))
    label_right(axes, labels)
    words = metric_words(metric_name)
    drawn = generations[["median", "lower_quartile", "upper_quartile"]].to_numpy()
    cut = " Some of it is off the scale." if drawn.min() < low or drawn.max() > high else ""
    start, end = (float(generations["best"].iloc[i]) for i in (0, -1))
    change = number(end) if start == end else f"from {number(start)} to {number(end)}"
    title(
        axes,
        f"Best network: validation {words} {change}",
        ["Line: best of the population. Dashes: median. Band: middle half (quartiles)." + cut],
    )
    direction = "higher" if maximise else "lower"
    axes.set_ylabel(f"validation {words}{_UNITS.get(metric_name, '')}\n{direction} is better")
    finish(axes, "generation", n_ticks=10)


def _score_range(generations: pd.DataFrame, baselines: pd.Series) -> tuple[float, float]:
    """Limits of the score axis: the best, the later medians, and what else is within reach."""
    later = generations["median"].iloc[len(generations) // 2 :]
    core = pd.concat([generations["best"], later])
    low, high = float(core.min()), float(core.max())
    size = max(high - low, _SMALLEST_RANGE * max(abs(low), abs(high))) or 1.0
    spread = [generations[c] for c in ("median", "lower_quartile", "upper_quartile")]
    others = pd.concat([series for series in (*spread, baselines) if len(series)])
    near = others[others.between(low - _REACH * size, high + _REACH * size)]
    low, high = min(low, near.min()), max(high, near.max())
    pad = 0.06 * max(high - low, size)
    return low - pad, high + pad


# Learning curves

#: Losses are cut where the largest is ``_FAR`` times the one that this share is below. Untuned.
_USUAL, _FAR = 0.98, 5.0


def grid_shape(n_panels: int) -> tuple[int, int]:
    """Rows and columns for that many panels.

    Example:
        >>> [grid_shape(n) for n in (1, 2, 3, 4, 5, 6)]
        [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 3)]
    """
    columns = {1: 1, 2: 2, 4: 2}.get(n_panels, 3)
    return math.ceil(n_panels / columns), columns


def plot_learning_curves(
    curves: pd.DataFrame, figure: Figure, metric_name: str, loss_words: str = "loss"
) -> None:
    """Training and validation loss of each network in a panel of its own, on one loss axis.

    Args:
        curves: columns network, genome, score, epoch, part (training or validation), loss.
        figure: where to draw.
        metric_name: what ``score`` is.
        loss_words: the label of the loss axis.
    """
    panels = [panel for _, panel in curves.groupby("network", sort=False)]
    rows, columns = grid_shape(len(panels))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    width = int(11.5 * figure.get_figwidth() / columns)  # letters of 9 points in a panel
    names = [_genome_lines(panel["genome"].iloc[0], width) for panel in panels]
    n_lines = max(len(lines) for lines in names)
    low, high, cut = _loss_range(curves["loss"])
    log = 0 < 8 * low < high
    for i, (panel, lines) in enumerate(zip(panels, names, strict=True)):
        _draw_curves(panel, grid[i])
        network, score = panel["network"].iloc[0], number(panel["score"].iloc[0])
        heading = plain(f"{network}: {metric_words(metric_name)} {score}", width)
        title(grid[i], f"{heading[0].upper()}{heading[1:]}", lines + [""] * (n_lines - len(lines)))
        grid[i].set_ylabel("")
        finish(grid[i], "epoch")
    if log:  # after drawing: seaborn would take logarithms and back
        log_axis(grid[0], low, high)
    pad = (high / low) ** 0.06 if log else 1.03
    grid[0].set_ylim(low / pad if log else min(0.0, low * pad), high if cut else high * pad)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.supylabel(f"{loss_words}{' (log)' if log else ''}", fontsize=10)
    heading = "Learning curves of the best networks, with their scores on the validation part"
    legend(
        figure,
        f"{heading}. Losses above {high:.2g} are cut." if cut else heading,
        [
            Line2D([], [], color=BLUE, linewidth=2, label="validation, after the epoch"),
            Line2D([], [], color=ORANGE, linestyle=_DASHED, label="training, with dropout"),
            Line2D([], [], color=BLUE, marker="D", linestyle="", label="lowest: weights kept"),
        ],
    )


def _loss_range(losses: pd.Series) -> tuple[float, float, bool]:
    """Smallest and largest loss to show, and whether a few that are far larger are cut."""
    losses = losses[np.isfinite(losses)]
    if losses.empty:
        return 0.0, 1.0, False
    low, usual, high = (float(losses.quantile(q)) for q in (0, _USUAL, 1))
    cut = high > _FAR * usual > 0
    return low, 2 * usual if cut else high, cut


def _draw_curves(panel: pd.DataFrame, axes: Axes) -> None:
    """The curves of one network, and a diamond at the epoch whose weights are kept."""
    for part, colour, dashes, width in (
        ("validation", BLUE, "-", 2.0),
        ("training", ORANGE, _DASHED, 1.5),
    ):
        curve = panel[panel["part"] == part]
        sns.lineplot(
            data=curve,
            x="epoch",
            y="loss",
            ax=axes,
            estimator=None,
            color=colour,
            linestyle=dashes,
            linewidth=width,
            marker="o" if len(curve) == 1 else None,
        )
        if part == "validation" and curve["loss"].notna().any():
            kept = curve[curve["loss"] == curve["loss"].min()].iloc[0]
            axes.plot([kept["epoch"]], [kept["loss"]], "D", color=colour, markersize=6, zorder=3)
    axes.tick_params(labelleft=True)
    epochs = int(panel["epoch"].max())
    pad = min(max(0.04 * epochs, 0.3), 0.9)
    axes.set_xlim(1 - pad, epochs + pad)


def _genome_lines(genome: str, width: int) -> list[str]:
    """A genome in up to three lines of layers, broken between layers, and two of training."""
    layers, _, training = genome.partition(" | ")
    whole = layers.replace(" ", "\N{NO-BREAK SPACE}").replace("→\N{NO-BREAK SPACE}", "→ ")
    rest = f" … {layers.count('→') + 1} layers in all"
    lines = [
        line
        for text, most in ((whole, 3), (training, 2))
        for line in textwrap.wrap(text, width, max_lines=most, placeholder=rest)
    ]
    return [plain(line, width + 2) for line in lines]
