"""Runs side by side as a forest plot: every score with its interval, methods as groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evonet.metrics import METRICS, Interval, mean_interval
from evonet.report.look import BLUE, GREY, ORANGE, legend, plain, title
from evonet.report.words import interval_text, metric_words, number

#: Panel: heading, its score, the score's colour and marker.
_PANELS = (
    ("Validation part", "revalidated", BLUE, "o"),
    ("Test part", "test", ORANGE, "D"),
)
_NOTE = (
    "Intervals: trained again, of the mean of these trainings; on the test part, of the score on "
    "all rows;\nof a mean, over the seeds of its runs, whose data are split anew."
)
_SCORES = ("search", "revalidated", "test")
_COLUMNS = (*_SCORES, *(f"{score}_{end}" for score in _SCORES[1:] for end in ("low", "high")))


def forest_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The lines of a forest plot from top to bottom.

    Args:
        rows: those of ``comparison.comparison``.

    Returns:
        Columns kind (group, run or mean), label, search, revalidated, test, and of the last two
        the ends of their intervals, as in test_low and test_high; NaN where there is none. A group
        has a mean where its runs have different seeds, two or more; its interval is over the seeds.
    """
    lines: list[dict[str, Any]] = []
    for group in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == group]
        lines.append({"kind": "group", "label": group})
        lines += [
            {"kind": "run", "label": row["run"]}
            | {name: row[name] for name in _SCORES}
            | {k: v for s in _SCORES[1:] for k, v in _ends(s, row[f"{s}_interval"]).items()}
            for row in own
        ]
        if len({row["seed"] for row in own}) == len(own) > 1:
            lines.append({"kind": "mean", "label": f"mean of {len(own)} seeds", **_mean(own)})
    table = pd.DataFrame(lines, columns=["kind", "label", *_COLUMNS])
    return table.astype(dict.fromkeys(_COLUMNS, float))


def _ends(score: str, interval: Interval | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{score}_low": low, f"{score}_high": high}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each score that every row has, and its 95 % interval over the rows."""
    found: dict[str, float | None] = {}
    limits = METRICS[rows[0]["metric"]].limits
    for score in _SCORES:
        values = [row[score] for row in rows]
        if None not in values:
            found |= {score: fmean(values), **_ends(score, mean_interval(values, limits=limits))}
    return found


def forest_size(lines: pd.DataFrame) -> tuple[float, float]:
    """Width and height in inches of a figure that holds these lines."""
    return 11.5, 2.1 + 0.26 * len(lines)


def plot_forest(lines: pd.DataFrame, figure: Figure, metric_name: str, maximise: bool) -> None:
    """A line for each run below the name of its group, and for the mean over its seeds.

    Args:
        lines: as ``forest_table`` returns them.
        figure: where to draw.
        metric_name: what the scores are.
        maximise: whether higher is better.
    """
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (heading, score, colour, marker) in zip(panels, _PANELS, strict=True):
        for y, line in lines.iterrows():
            if line["kind"] != "group":
                _draw_score(axes, int(str(y)), line, score, colour, marker)
        if score == "revalidated":
            hollow = {"markerfacecolor": "white", "markersize": 6, "zorder": 3}
            axes.plot(lines["search"], lines.index, "o", color=GREY, **hollow)
        title(axes, heading)
        better = "higher" if maximise else "lower"
        axes.set_xlabel(f"{metric_words(metric_name)}, {better} is better")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        sns.despine(ax=axes, left=True)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(lines)), [plain(name, 40) for name in lines["label"]])
    for label, kind in zip(panels[0].get_yticklabels(), lines["kind"], strict=True):
        label.set_fontweight("normal" if kind == "run" else "bold")
    panels[0].set_ylim(len(lines) - 0.4, -0.6)
    figure.supxlabel(_NOTE, x=0.01, ha="left", fontsize=9, color=GREY)
    n_runs = int((lines["kind"] == "run").sum())
    legend(
        figure,
        f"Winners of {n_runs} runs, with 95 % intervals",
        [
            Line2D([], [], color=GREY, marker="o", mfc="white", ls="", label="in the search"),
            Line2D([], [], color=BLUE, marker="o", label="trained again"),
            Line2D([], [], color=ORANGE, marker="D", label="on the test part"),
        ],
    )


def _draw_score(axes: Axes, y: int, line: pd.Series, score: str, colour: str, marker: str) -> None:
    """A score and its interval, and both in figures to the right of the axes."""
    value, low, high = line[score], line[f"{score}_low"], line[f"{score}_high"]
    mean = line["kind"] == "mean"
    text = "none"
    if math.isfinite(value):
        text = number(value)
        axes.plot([value], [y], marker, color=colour, markersize=8 if mean else 5, zorder=3.5)
    if math.isfinite(low):
        text += f" ({interval_text((low, high))})"
        width = 3 if mean else 1.5
        axes.plot([low, high], [y, y], color=colour, linewidth=width, zorder=2.5)
    axes.annotate(
        text,
        xy=(1.02, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9,
        weight="bold" if mean else "normal",
        annotation_clip=False,
    )
