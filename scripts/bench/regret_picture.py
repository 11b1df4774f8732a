"""The regrets of searches as a picture: a row for each search, a mark for each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.arithmetic import Interval
from evonet.report.look import BLUE, GREEN, GREY, ORANGE, PURPLE, legend, style, title

_COLOURS = (PURPLE, ORANGE, GREEN, BLUE)
_MARKERS = ("v", "s", "D", "o")
_OFFSET = 0.17  # between the marks of one row


def draw_regrets(
    panels: Mapping[str, Mapping[tuple[str, int], Interval]],
    names: Sequence[str],
    trainings: Sequence[int],
    file: Path,
    whole: str | None = None,
) -> None:
    """Draw mean regrets with their intervals, on a log scale; or how much more they are.

    Args:
        panels: by heading, the estimate for each (search, trainings).
        names: of the searches, from top to bottom.
        trainings: the budgets.
        file: a picture of the kind that its name says is written there.
        whole: the search whose regret was taken from that of all, pair by pair.
    """
    heading_of_all = "What a search finds in a table of trained networks"
    said, note = "mean regret: configurations that are better, %", ""
    if whole is not None:
        heading_of_all = f"What a search finds without one of the parts of {whole}"
        said, note = f"mean regret more than that of {whole}, %", " Right of 0: the part helps."
    with style():
        figure = Figure(figsize=(10.5, 1.9 + 0.55 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (heading, estimates) in zip(axes, panels.items(), strict=True):
            for i, n in enumerate(trainings):
                shift = (i - (len(trainings) - 1) / 2) * _OFFSET
                for row, name in enumerate(names):
                    e, y = estimates[name, n], row + shift
                    ax.plot([e.low, e.high], [y, y], color=_COLOURS[i], linewidth=1.5)
                    ax.plot([e.value], [y], _MARKERS[i], color=_COLOURS[i], markersize=5)
            title(ax, heading)
            if whole is None:
                ax.set_xscale("log")
            else:
                ax.axvline(0, color=GREY, linewidth=1)
            ax.set_xlabel(said)
            ax.grid(axis="x")
            ax.set_axisbelow(True)
            ax.tick_params(axis="y", length=0)
            sns.despine(ax=ax, left=True)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        note = f"Intervals (95 %): bootstrap over repeats within each table. Lower is better.{note}"
        figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color=GREY)
        marks = [
            Line2D([], [], color=_COLOURS[i], marker=_MARKERS[i], label=f"{n} trainings")
            for i, n in enumerate(trainings)
        ]
        legend(figure, heading_of_all, marks)
        figure.savefig(file, dpi=130)
