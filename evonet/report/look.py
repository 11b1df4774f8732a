"""How all pictures look: colours, fonts, words, titles, and labels that do not overlap.

Colours are those of Okabe & Ito 2008, "Color Universal Design" (https://jfly.uni-koeln.de/color/),
which colour-blind readers tell apart; line style, marker or place always says the same again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

BLUE, ORANGE, GREEN, PURPLE, INK, GREY = (
    "#0072B2",
    "#D55E00",
    "#00795A",  # Okabe & Ito's green, darker so that text in it can be read
    "#A34E7E",  # their purple, darker for the same reason
    "#222222",
    "#666666",
)
#: Lines with more points than this have no markers.
MAX_MARKERS = 40


@contextmanager
def style() -> Iterator[None]:
    """Fonts and lines of all pictures; figures are made and saved inside."""
    settings = {
        **sns.axes_style("ticks"),
        "figure.facecolor": "white",
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same letters everywhere
        "font.size": 10,
        "axes.labelsize": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.formatter.useoffset": False,
        "text.color": INK,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.8,
        "text.usetex": False,
        "svg.hashsalt": "evonet",  # equal pictures are equal files
    }
    with rc_context(settings):
        yield


def plain(text: object, width: int = 80) -> str:
    """Any text as matplotlib shows it letter by letter: one line, no formulas, at most ``width``.

    Control characters, which an SVG must not hold, become �.

    Example:
        >>> print(plain("cost in $ or $$"), plain("abcdefgh", 5))
        cost in \\$ or \\$\\$ ab…gh
    """
    line = "".join(c if c.isprintable() else "�" for c in " ".join(str(text).split()))
    if len(line) > width:
        half = (width - 1) // 2
        line = f"{line[: width - 1 - half]}…{line[-half:]}"
    return line.replace("$", r"\$")


@dataclass(frozen=True)
class Label:
    """The name of a line, at its right end.

    Attributes:
        value: the line's last value.
        text: what to write.
        colour: the line's colour.
        bold: whether it is the one to look at.
    """

    value: float
    text: str
    colour: str
    bold: bool = False


def label_right(axes: Axes, labels: Sequence[Label]) -> None:
    """Name lines to the right of the axes, moved apart where names would overlap.

    Args:
        axes: with its final limits.
        labels: of lines in any order. A value beyond an edge stands at that edge with an arrow,
            a value that is not finite at the lower edge.
    """
    low, high = axes.get_ylim()
    height = axes.bbox.height / axes.figure.dpi * 72  # points
    ascending = sorted(labels, key=lambda label: (math.isfinite(label.value), label.value))
    places = np.nan_to_num([(label.value - low) / (high - low) for label in ascending])
    wanted = np.clip(places, 0.03, 0.97).tolist()
    for label, place in zip(ascending, apart(wanted, step=17 / height), strict=True):
        inside = low <= label.value <= high
        text = label.text
        line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.6, "relpos": (0, 0.5)}
        if not inside and math.isfinite(label.value):
            text = f"{'↓' if label.value < low else '↑'} {text}, off the scale"
        axes.annotate(
            text,
            xy=(1, label.value),
            xycoords=("axes fraction", "data"),
            xytext=(1.04, place),
            textcoords="axes fraction",
            va="center",
            color=label.colour,
            weight="bold" if label.bold else "normal",
            arrowprops=line if inside else None,
            annotation_clip=False,
        )


def apart(places: Sequence[float], step: float) -> list[float]:
    """Ascending places, moved to stand ``step`` apart, and from 0 to 1 where that fits.

    Example:
        >>> apart([0.5, 0.5, 0.9], 0.25)
        [0.375, 0.625, 0.9]
    """
    groups: list[tuple[float, int]] = []  # centre and size of places that touch
    for place in places:
        groups.append((place, 1))
        while len(groups) > 1:
            (a, n), (b, m) = groups[-2:]
            if b - a >= step * (n + m) / 2:
                break
            groups[-2:] = [((a * n + b * m) / (n + m), n + m)]
    result = [centre + step * (i - (n - 1) / 2) for centre, n in groups for i in range(n)]
    for i in range(len(result)):
        result[i] = max(result[i], i * step)
    for i in range(len(result)):
        result[-1 - i] = min(result[-1 - i], 1 - i * step)
    return result


def title(axes: Axes, heading: str, lines: Sequence[str] = ()) -> None:
    """A heading and smaller lines under it, above the axes."""
    axes.set_title(heading, pad=8 + 12.5 * len(lines))
    below = axes.annotate(
        "\n".join(lines),
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        va="bottom",
        fontsize=9,
        color=GREY,
        linespacing=1.25,
    )
    below.set_in_layout(False)  # the heading's pad has its height; its width moves nothing


def legend(figure: Figure, heading: str, handles: Sequence[Artist]) -> None:
    """A heading for a figure of several axes, and its legend under it, above the axes."""
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=len(handles),
        title=heading,
        title_fontproperties={"size": 12, "weight": "bold"},
        alignment="left",
    )


def sign(figure: Figure, folder: Path, note: str = "") -> None:
    """The name of a run, and a note, in small letters at a figure's foot."""
    lines = [f"evonet run {plain(folder.resolve().name)}", note]
    text = "\n".join(line for line in lines if line)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=GREY)


def finish(axes: Axes, x_label: str, n_ticks: int = 6) -> None:
    """Whole numbers on the x axis, light lines for reading the y axis, no box."""
    axes.set_xlabel(x_label)
    axes.xaxis.set_major_locator(MaxNLocator(n_ticks, integer=True, min_n_ticks=1))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    sns.despine(ax=axes)


def log_axis(
    axes: Axes, low: float, high: float, base: int = 10, which: Literal["x", "y"] = "y"
) -> None:
    """A logarithmic axis for values from ``low`` to ``high``, with plain numbers at it."""
    set_scale, axis = (
        (axes.set_xscale, axes.xaxis) if which == "x" else (axes.set_yscale, axes.yaxis)
    )
    set_scale("log", base=base)
    steps = (1.0, 2.0, 5.0) if base == 10 and high <= 1000 * low else (1.0,)
    axis.set_major_locator(LogLocator(base, subs=steps))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")
    )
    axis.set_minor_formatter(NullFormatter())


def band(axes: Axes, x: pd.Series, lower: pd.Series, upper: pd.Series, alpha: float) -> None:
    """A light area from ``lower`` to ``upper``; a narrow one where there is one x."""
    if len(x) == 1:
        x, lower, upper = (pd.concat([series, series]) for series in (x, lower, upper))
        x = x + np.array([-0.02, 0.02])
    axes.fill_between(x, lower, upper, color=BLUE, alpha=alpha, linewidth=0)


def generation_limits(axes: Axes, generations: pd.Series) -> None:
    """From the first to the last generation, and a little more on both sides."""
    first, last = int(generations.min()), int(generations.max())
    pad = max(0.02 * (last - first), 0.15)
    axes.set_xlim(first - pad, last + pad)
