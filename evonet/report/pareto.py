"""The picture of a run with several objectives: its Pareto front, and how it grew."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evonet.report.look import BLUE, GREY, ORANGE, finish, log_axis, title
from evonet.report.words import metric_words, number

_COST_WORDS = {
    "parameters": "trainable parameters (log)",
    "inference_ms": "milliseconds for 32 rows (log)",
}
#: Share of all trainings, those with the poorest scores, that lie beyond the picture. Untuned.
_CUT = 0.1


def plot_front(
    trainings: pd.DataFrame,
    front: pd.DataFrame,
    volumes: pd.Series,
    figure: Figure,
    metric_name: str,
    maximise: bool,
) -> None:
    """Every training and the Pareto front by score and each cost, and the hypervolume.

    Args:
        trainings: those of the search that succeeded; columns score and the costs.
        front: those that no other beats in all; the same columns, best score first.
        volumes: hypervolume by generation.
        figure: where to draw.
        metric_name: as in ``--metric``.
        maximise: whether higher is better.
    """
    costs = [column for column in front if column in _COST_WORDS]
    *panels, last = figure.subplots(1, len(costs) + 1, width_ratios=[*[3] * len(costs), 2])
    for axes, cost in zip(panels, costs, strict=True):
        _draw_front(trainings, front, axes, cost, maximise)
        axes.set_ylabel(
            f"validation {metric_words(metric_name)}\n{'higher' if maximise else 'lower'} is better"
        )
    last.plot(volumes.index, volumes, color=BLUE, linewidth=2, drawstyle="steps-post")
    start, end = float(volumes.iloc[0]), float(volumes.iloc[-1])
    title(last, "Hypervolume", [f"from {number(start)} to {number(end)}"])
    finish(last, "generation")


def _draw_front(
    trainings: pd.DataFrame, front: pd.DataFrame, axes: Axes, cost: str, maximise: bool
) -> None:
    """Trainings as dots; the front as diamonds, joined as steps where two objectives make it."""
    axes.plot(trainings[cost], trainings["score"], "o", color=GREY, alpha=0.4, markersize=4)
    along = front.sort_values(cost)
    joined = [column for column in front if column in _COST_WORDS] == [cost]
    axes.plot(
        along[cost],
        along["score"],
        color=ORANGE,
        marker="D",
        markersize=6,
        linewidth=1.5,
        linestyle="-" if joined else "",
        drawstyle="steps-post",
    )
    scores = trainings["score"]
    worst = scores.quantile(_CUT if maximise else 1 - _CUT)
    low, high = (f(worst, *front["score"]) for f in (min, max))
    pad = 0.06 * (high - low) or 0.01
    axes.set_ylim(low - pad, high + pad)
    off = int(((scores < low - pad) | (scores > high + pad)).sum())
    title(
        axes,
        f"Pareto front: {len(front)} network{'' if len(front) == 1 else 's'} that no other beats "
        "in all",
        [
            f"Diamonds: the front. Dots: the other {len(trainings) - len(front)} networks"
            + (f", {off} of them off the scale." if off else ".")
        ],
    )
    finish(axes, _COST_WORDS[cost])
    log_axis(axes, trainings[cost].min(), trainings[cost].max(), which="x")
