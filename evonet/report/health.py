"""How a network learned, and its layers: arrays or a table and axes, or a figure, in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, PercentFormatter

from evonet.report.look import BLUE, GREY, INK, ORANGE, finish, legend, log_axis, title

_DASHED = (0, (4, 2))
#: Losses above this many times a constant guess's are cut. Untuned.
_FAR = 1.5
#: From here on, powers of ten are ticks enough.
_WIDE = 20
#: Of deeper networks the first and last layers are drawn.
_MOST_LAYERS = 24


def plot_curves(
    train: Sequence[float],
    validation: Sequence[float],
    best_epoch: int,
    kept_train: float,
    constant: float,
    figure: Figure,
    heading: str,
) -> None:
    """Losses by epoch, the kept epoch, and the training loss there without dropout and noise.

    Args:
        train: mean training loss of each epoch, with dropout and noise.
        validation: validation loss after each epoch.
        best_epoch: the epoch whose weights are kept, from 1.
        kept_train: training loss of these weights, without dropout and noise.
        constant: validation loss of a constant guess.
        figure: where to draw.
        heading: of the figure.
    """
    axes = figure.subplots()
    epochs = range(1, len(validation) + 1)
    alone = len(validation) == 1
    axes.plot(epochs, validation, color=BLUE, linewidth=2, marker="o" if alone else None)
    axes.plot(epochs, train, color=ORANGE, linewidth=1.5, linestyle=_DASHED)
    axes.axhline(constant, color=GREY, linestyle=":", linewidth=1.4)
    axes.axvline(best_epoch, color=GREY, linewidth=0.8, zorder=1)
    kept = validation[best_epoch - 1]
    axes.plot([best_epoch], [kept], "D", color=BLUE, markersize=7, zorder=4)
    axes.plot([best_epoch], [kept_train], "s", color=ORANGE, markersize=7, zorder=4)
    everything = [*train, *validation, constant, kept_train]
    shown = [loss for loss in everything if loss <= _FAR * constant] or everything
    low, high = min(shown), max(shown)
    log = 0 < 8 * low < high and low > 1e-6 * high
    if log:
        log_axis(axes, low, high)
        axes.set_ylim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
    else:
        axes.set_ylim(min(0.0, low) - 0.03 * high, high * 1.06)
    axes.set_xlim(1 - 0.02 * len(validation), len(validation) * 1.02)
    axes.set_ylabel("loss (log)" if log else "loss")
    finish(axes, "epoch", n_ticks=10)
    legend(
        figure,
        heading,
        [
            Line2D([], [], color=BLUE, linewidth=2, label="validation, after the epoch"),
            Line2D([], [], color=ORANGE, linestyle=_DASHED, label="training, during it"),
            Line2D([], [], color=GREY, linestyle=":", label="a constant guess"),
            Line2D([], [], color=BLUE, marker="D", linestyle="", label="kept epoch"),
            Line2D([], [], color=ORANGE, marker="s", ls="", label="training there, no dropout"),
        ],
    )


def plot_layers(layers: pd.DataFrame, figure: Figure) -> None:
    """A line for each layer: gradient, dead units, spread of the weights.

    Args:
        layers: columns name, units, activation, gradient_mean, gradient_spread, dead_share,
            weight_spread, drawn_spread; a row per layer from input to output.
        figure: where to draw.
    """
    half = _MOST_LAYERS // 2
    if len(layers) > _MOST_LAYERS:
        layers = pd.concat([layers.iloc[:half], layers.iloc[-half:]])
    y = np.arange(len(layers))
    panels = figure.subplots(1, 3, sharey=True)
    gradients = layers[["gradient_mean", "gradient_spread"]].astype(float)
    _draw_pairs(panels[0], y, gradients)
    lines = ["Dot: mean over batches. Diamond: spread (log)."]
    title(panels[0], "Gradient, in lengths of the weights", lines)
    dead = layers["dead_share"].astype(float)
    panels[1].barh(y, dead.fillna(0.0), height=0.55, color=BLUE)
    panels[1].set_xlim(0, 1)
    for place, share in zip(y, dead, strict=True):
        text = "no ReLU" if np.isnan(share) else f"{share:.0%}"
        at = 0.0 if np.isnan(share) else min(share, 0.85)
        panels[1].annotate(
            text,
            (at, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=GREY,
            fontsize=9,
        )
    panels[1].xaxis.set_major_formatter(PercentFormatter(1))
    title(panels[1], "Dead units", ["Share of its units that give 0 for every row."])
    spreads = layers[["drawn_spread", "weight_spread"]].astype(float)
    _draw_pairs(panels[2], y, spreads)
    title(panels[2], "Spread of the weights", ["Dot: as drawn. Diamond: after training (log)."])
    names = layers["name"] + ", " + layers["units"].map("{:,}".format) + " " + layers["activation"]
    panels[0].set_yticks(y, names)
    panels[0].set_ylim(len(layers) - 0.4, -0.6)
    for axes in panels:
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        sns.despine(ax=axes, left=True)


def _draw_pairs(axes: Axes, y: np.ndarray, pairs: pd.DataFrame) -> None:
    """Two values of each layer, joined: a dot and a diamond."""
    first, second = (pairs[column].to_numpy() for column in pairs)
    axes.hlines(y, np.fmin(first, second), np.fmax(first, second), color=GREY, linewidth=1)
    axes.plot(first, y, "o", color=INK, markersize=6)
    axes.plot(second, y, "D", color=BLUE, markersize=6)
    known = pairs.to_numpy()[pairs.to_numpy() > 0]
    if len(known):
        low, high = float(known.min()), float(known.max())
        log_axis(axes, low, high, which="x")
        if high > _WIDE * low:
            axes.xaxis.set_major_locator(LogLocator(10, numticks=5))
        axes.set_xlim(low / 2, high * 2)
