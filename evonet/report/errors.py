"""What a network gets wrong: reliability, confusions, residuals; plain data in, axes filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from evonet.report.look import BLUE, GREY, INK, ORANGE, plain, title
from evonet.report.words import number

#: Of more classes those with the most mistakes are drawn.
_MOST_CLASSES = 15
#: Letters of the numbers in a line of the map, at most.
_MOST_LETTERS = 75


def plot_reliability(calibration: Mapping[str, Any], axes: Axes) -> None:
    """Share of right predictions by confidence, and how many predictions there are.

    Args:
        calibration: bins, error, by_chance, confidence, accuracy, as ``Calibration`` has them.
        axes: where to draw.
    """
    bins = [own for own in calibration["bins"] if own["n"]]
    n = sum(own["n"] for own in bins)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.4)
    width = bins[0]["high"] - bins[0]["low"]
    axes.bar(
        [own["low"] + width / 2 for own in bins],
        [own["n"] / n for own in bins],
        width=0.9 * width,
        color=BLUE,
        alpha=0.2,
    )
    x, y = ([own[key] for own in bins] for key in ("confidence", "accuracy"))
    # Half of the 95 % interval of a share of so many, were it as the network says.
    half = [1.96 * np.sqrt(c * (1 - c) / own["n"]) for c, own in zip(x, bins, strict=True)]
    axes.vlines(x, np.subtract(x, half).clip(0), np.add(x, half).clip(max=1), color=GREY)
    axes.plot(x, y, color=BLUE, marker="o", linewidth=2, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("share that is right")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.grid()
    axes.set_axisbelow(True)
    sns.despine(ax=axes)
    title(
        axes,
        f"Calibration error {calibration['error']:.1%}, by chance up to "
        f"{calibration['by_chance']:.1%}",
        [
            f"Says {calibration['confidence']:.0%}, is right in {calibration['accuracy']:.0%}. "
            "Bars: share of the rows.",
            "Dotted: perfect, with what chance does at each point (95 %).",
        ],
    )


def plot_confusion(confusion: Mapping[str, Any], axes: Axes) -> None:
    """How often each class is taken for each, as shares of the true class and in numbers.

    Args:
        confusion: classes and counts by true and predicted class, as ``Confusion`` has them.
        axes: where to draw.
    """
    counts = np.asarray(confusion["counts"])
    wrong = counts - np.diag(counts.diagonal())
    total = int(counts.sum())
    order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    shown = np.sort(order[:_MOST_CLASSES])
    part = counts[np.ix_(shown, shown)]
    names = [plain(confusion["classes"][i], 14) for i in shown]
    fits = len(f"{part.max():,}") * len(shown) <= _MOST_LETTERS
    shares = part / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    sns.heatmap(
        shares,
        ax=axes,
        vmin=0,
        vmax=1,
        cmap=sns.light_palette(BLUE, as_cmap=True),
        cbar=False,
        annot=part if fits else 100 * shares,
        fmt=",d" if fits else ".0f",
        annot_kws={"fontsize": 9},
        linewidths=1,
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_xticks(np.arange(len(shown)) + 0.5, names)
    axes.set_yticks(np.arange(len(shown)) + 0.5, names)
    axes.tick_params(axis="x", rotation=0 if max(map(len, names)) * len(names) <= 40 else 90)
    axes.tick_params(axis="y", rotation=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    left_out = len(counts) - len(shown)
    lines = ["Numbers: rows. Colour: share of the true class."]
    if not fits:
        lines = ["Numbers and colour: % of the true class."]
    if left_out:
        lines.append(f"The {len(shown)} classes with the most mistakes; {left_out} are left out.")
    title(axes, f"{int(wrong.sum()):,} of {total:,} rows are wrong", lines)


def plot_residuals(residuals: Mapping[str, Any], figure: Figure) -> None:
    """Residuals by prediction, and their distribution.

    Args:
        residuals: predicted and truth of some rows, n, mean, deviation, median_size, as
            ``Residuals`` has them.
        figure: where to draw.
    """
    predicted, truth = (np.asarray(residuals[key]) for key in ("predicted", "truth"))
    errors = truth - predicted
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1.3])
    left.axhline(0, color=INK, linewidth=1)
    left.plot(predicted, errors, "o", color=BLUE, alpha=0.4, markersize=4, markeredgewidth=0)
    if len(errors) >= 50:  # tenths of too few rows say nothing
        tenths = np.array_split(np.argsort(predicted, kind="stable"), 10)
        x = [float(np.median(predicted[rows])) for rows in tenths]
        for share in (0.1, 0.5, 0.9):
            quantiles = [float(np.quantile(errors[rows], share)) for rows in tenths]
            left.plot(x, quantiles, color=ORANGE, linewidth=2 if share == 0.5 else 1.2)
    left.set_xlabel("prediction")
    left.set_ylabel("truth minus prediction")
    left.xaxis.set_major_locator(MaxNLocator(6))
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    n, shown = residuals["n"], len(errors)
    title(
        left,
        f"{number(residuals['mean'])} on average, half within {number(residuals['median_size'])}",
        [
            (f"{shown:,} of {n:,} rows. " if shown < n else f"{n:,} rows. ")
            + "Orange: median, and the bounds of the lowest and highest tenth."
        ],
    )
    right.hist(errors, bins=40, orientation="horizontal", color=BLUE, alpha=0.6)
    right.set_xlabel("rows")
    title(right, "How often", [f"Standard deviation {number(residuals['deviation'])}."])
    for axes in (left, right):
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        sns.despine(ax=axes)
