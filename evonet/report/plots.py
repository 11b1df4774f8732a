"""The pictures of a run: a tidy table and axes, or a figure, in; nothing else."""

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
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from evonet.report.look import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    Label,
    finish,
    label_right,
    legend,
    log_axis,
    metric_words,
    plain,
    title,
)
from evonet.report.words import number

#: Lines with more points than this have no markers.
_MAX_MARKERS = 40
_DASHED = (0, (4, 2))


def _band(axes: Axes, x: pd.Series, lower: pd.Series, upper: pd.Series, alpha: float) -> None:
    """A light area from ``lower`` to ``upper``; a narrow one where there is one x."""
    if len(x) == 1:
        x, lower, upper = (pd.concat([series, series]) for series in (x, lower, upper))
        x = x + np.array([-0.02, 0.02])
    axes.fill_between(x, lower, upper, color=BLUE, alpha=alpha, linewidth=0)


def _generation_limits(axes: Axes, generations: pd.Series) -> None:
    """From the first to the last generation, and a little more on both sides."""
    first, last = int(generations.min()), int(generations.max())
    pad = max(0.02 * (last - first), 0.15)
    axes.set_xlim(first - pad, last + pad)


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
    _generation_limits(axes, generations["generation"])
    quartiles = generations["lower_quartile"], generations["upper_quartile"]
    _band(axes, generations["generation"], *quartiles, alpha=0.2)
    labels, many = [], len(generations) > _MAX_MARKERS
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


# Population

#: The ordered genes: column, title, and base of a logarithmic axis or 0.
_ORDERED = (
    ("layers", "Hidden layers", 0),
    ("mean_units", "Units, mean of the layers (log)", 2),
    ("mean_dropout", "Dropout rate, mean of the layers", 0),
    ("learning_rate", "Learning rate (log)", 10),
    ("batch_size", "Batch size in rows (log)", 2),
    ("parameters", "Trainable parameters (log)", 10),
)
#: The choices: column and title.
_CHOICES = (
    ("optimizer", "Optimizer, share of networks"),
    ("activation", "Activation, share of layers"),
    ("initializer", "Initializer, share of networks"),
)


def plot_population(population: pd.DataFrame, figure: Figure) -> None:
    """How the genes of the population change over the generations, a panel for each gene.

    Args:
        population: one row per generation and member; columns generation, rank (0 is the best),
            layers, mean_units, mean_dropout, learning_rate, batch_size, parameters, optimizer,
            activation, initializer.
        figure: where to draw.
    """
    grid = figure.subplots(3, 3)
    for axes, (column, heading, base) in zip(grid[:2].flat, _ORDERED, strict=True):
        _draw_ordered(population, column, axes, base)
        title(axes, heading)
    for axes, (column, heading) in zip(grid[2], _CHOICES, strict=True):
        _draw_choice(choice_shares(population, column), axes)
        title(axes, heading)
    legend(
        figure,
        "Genes of the population, generation by generation",
        [
            Line2D([], [], color=ORANGE, marker="D", markersize=4, ls=":", label="best network"),
            Line2D([], [], color=BLUE, linewidth=2, label="median of the population"),
            Patch(color=BLUE, alpha=0.37, linewidth=0, label="its middle half"),
            Patch(color=BLUE, alpha=0.12, linewidth=0, label="smallest to largest"),
        ],
    )


def _draw_ordered(population: pd.DataFrame, column: str, axes: Axes, base: int) -> None:
    """Median, middle half and range of a gene, and the best network's value."""
    values = population[["generation", "rank", column]].dropna()
    if values.empty:
        axes.set_axis_off()
        axes.text(0, 0.5, "no network has layers", transform=axes.transAxes, color=GREY)
        return
    shares = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    quantiles = values.groupby("generation")[column].quantile(shares).unstack()
    generations, n_generations = quantiles.index.to_series(), len(quantiles)
    _band(axes, generations, quantiles[0.0], quantiles[1.0], alpha=0.12)
    _band(axes, generations, quantiles[0.25], quantiles[0.75], alpha=0.25)
    sns.lineplot(
        quantiles[0.5],
        ax=axes,
        estimator=None,
        color=BLUE,
        linewidth=2,
        marker="s" if n_generations == 1 else None,
    )
    sns.lineplot(
        data=values[values["rank"] == 0],
        x="generation",
        y=column,
        ax=axes,
        estimator=None,
        color=ORANGE,
        linestyle=":",
        marker="D" if n_generations <= _MAX_MARKERS else None,
        markersize=4,
    )
    if base:
        log_axis(axes, values[column].min(), values[column].max(), base)
    elif pd.api.types.is_integer_dtype(values[column]):
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_ylabel("")
    _generation_limits(axes, population["generation"])
    finish(axes, "generation")


def choice_shares(population: pd.DataFrame, column: str) -> pd.DataFrame:
    """The share of each value of a choice in each generation.

    Args:
        population: columns generation and ``column``, which may hold several values in one text.
        column: the gene.

    Returns:
        A row per value, the commonest at the end first; a column per generation; NaN where the
        gene has no values, as activations of networks without layers.
    """
    values = population[["generation"]].assign(value=population[column].str.split())
    counts = values.explode("value").value_counts().unstack(fill_value=0)
    counts = counts.reindex(sorted(population["generation"].unique()), fill_value=0)
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
    filled = shares.fillna(0.0)
    order = pd.DataFrame({"end": filled.iloc[-1], "mean": filled.mean()})
    return shares.T.loc[order.sort_values(["end", "mean"], ascending=False, kind="stable").index]


def _draw_choice(shares: pd.DataFrame, axes: Axes) -> None:
    """A map of shares, a row per value and a column per generation, the last share beside it."""
    if shares.empty:
        axes.set_axis_off()
        axes.text(0, 0.5, "no network has layers", transform=axes.transAxes, color=GREY)
        return
    sns.heatmap(
        shares,
        ax=axes,
        vmin=0,
        vmax=1,
        cmap=sns.light_palette(BLUE, as_cmap=True),
        cbar=False,
        xticklabels=False,
        yticklabels=[plain(value, 24) for value in shares.index],
        rasterized=True,  # hundreds of generations would be thousands of shapes
    )
    axes.hlines(range(1, len(shares)), *axes.get_xlim(), color="white", linewidth=2)
    for row, share in enumerate(shares.iloc[:, -1].fillna(0.0)):
        axes.annotate(
            f"{share:.0%}",
            xy=(1, row + 0.5),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    generations = [int(generation) for generation in shares.columns]
    locator = MaxNLocator(6, integer=True)
    ticks = locator.tick_values(generations[0], generations[-1])
    shown = [int(tick) for tick in ticks if tick in generations]
    axes.set_xticks([generations.index(g) + 0.5 for g in shown], [str(g) for g in shown])
    axes.tick_params(axis="y", rotation=0, length=0)
    axes.set_ylim(max(len(shares), 4), 0)  # few rows are not blown up
    axes.spines["bottom"].set_position(("data", len(shares)))
    axes.set_xlabel("generation")
    axes.set_ylabel("")
