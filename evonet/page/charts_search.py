"""Pictures of a search: fitness by generation, learning curves, what it spent, its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from markupsafe import Markup

from evonet.page.svg import (
    Frame,
    area,
    axes,
    dot,
    fitted,
    join,
    line,
    picture,
    tag,
    whole_ticks,
)
from evonet.report.words import number

#: How far beyond the best and the medians a score is still drawn, in their range. Untuned.
_REACH = 1.0


@dataclass(frozen=True)
class Mark:
    """A training in a picture: where it lies, and its place among all trainings."""

    x: float
    y: float
    index: int
    class_: str = "muted"


def focus(core: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis: all of the core, and of the others what is near.

    Example:
        >>> focus([0.0, 1.0], [1.5, 40.0])
        (-0.09, 1.59)
    """
    low, high = min(core), max(core)
    size = high - low or 0.02 * abs(high) or 1.0
    near = [v for v in others if low - _REACH * size <= v <= high + _REACH * size]
    low, high = min([low, *near]), max([high, *near])
    pad = 0.06 * (high - low or size)
    return low - pad, high + pad


def draw_fitness(
    generations: pd.DataFrame,
    baselines: Sequence[tuple[str, float]],
    marks: Sequence[Mark],
    y_label: str,
    label: str,
    width: int,
) -> Markup:
    """Best, median and middle half of the population, every training, and the baselines."""
    narrow = width < 500
    frame = Frame(width, 300 if narrow else 380, left=58, right=14 if narrow else 150)
    best, median = generations["best"].tolist(), generations["median"].tolist()
    core = [*best, *median[len(median) // 2 :]] or [mark.y for mark in marks]
    quartiles = [*generations["lower_quartile"], *generations["upper_quartile"]]
    low, high = focus(core, [*quartiles, *(score for _, score in baselines)])
    last = max([*generations["generation"], *(round(mark.x) for mark in marks)], default=0)
    x, y = frame.x(-0.5, last + 0.5), frame.y(low, high)
    ticks = whole_ticks(0, last, 4 if narrow else 9) if last else [(0.0, "0")]
    parts = [axes(frame, x, y, "generation", y_label, x_ticks=ticks)]
    inside = [mark for mark in marks if y.inside(mark.y)]
    parts += [dot(x(m.x), y(m.y), m.class_, 2.6, data_c=m.index) for m in inside]
    at = [x(g) for g in generations["generation"]]
    if at:
        quarters = generations["lower_quartile"], generations["upper_quartile"]
        lower, upper = (
            [(a, y(min(max(v, low), high))) for a, v in zip(at, end, strict=True)]
            for end in quarters
        )
        parts.append(area(lower, upper, "blue"))
    drawn = [("median", median, "dashed blue"), ("best", best, "thick blue")]
    names = []
    for name, values, class_ in drawn:
        shown = [(a, y(v) if y.inside(v) else math.nan) for a, v in zip(at, values, strict=True)]
        parts.append(line(shown, class_))
        if values and y.inside(values[-1]):
            names.append((y(values[-1]), f"{name} {number(values[-1])}", "blue"))
    for i, (name, score) in enumerate(baselines):
        class_ = ("orange", "green", "purple")[i % 3]
        if y.inside(score):
            ends = [(frame.left, y(score)), (frame.width - frame.right, y(score))]
            parts.append(line(ends, f"dotted {class_}"))
            names.append((y(score), f"{name} {number(score)}", class_))
    parts.append(_names(names, frame, narrow))
    return picture(width, frame.height, label, *parts)


def _names(names: Sequence[tuple[float, str, str]], frame: Frame, narrow: bool) -> Markup:
    """Names of lines at their right ends, moved apart; on a phone above the lines."""
    parts, floor = [], -math.inf
    for place, text, class_ in sorted(names):
        at = max(place, floor + 15)
        floor = at
        if narrow:
            spot = {"x": frame.width - frame.right - 2, "y": at - 4, "text_anchor": "end"}
        else:
            spot = {"x": frame.width - frame.right + 8, "y": at + 4}
        parts.append(tag("text", fitted(text, 142), class_=f"line-name {class_}", **spot))
    return join(parts)


#: A small picture as a function of its width and height, and its height.
Panel = tuple[Callable[[int, int], Markup], int]


def grid(panels: Sequence[Panel], width: int, across: int, label: str) -> Markup:
    """Small pictures side by side; a row is as high as its highest."""
    each, top, parts = width // across, 0, []
    for first in range(0, len(panels), across):
        row = panels[first : first + across]
        for i, (draw, height) in enumerate(row):
            parts.append(tag("g", draw(each, height), transform=f"translate({each * i} {top})"))
        top += max(height for _, height in row)
    return picture(width, top, label, *parts)


def draw_curves(
    title: str, curves: dict[str, list[float]], limits: tuple[float, float], width: int, height: int
) -> Markup:
    """Training and validation loss by epoch, and the epoch whose weights are kept."""
    frame = Frame(width, height, left=46, right=12, top=26, bottom=34)
    n = max((len(curve) for curve in curves.values()), default=1)
    x, y = frame.x(1, max(n, 2)), frame.y(*limits, log=limits[0] > 0 and limits[1] > 8 * limits[0])
    parts = [
        tag("text", fitted(title, width - 50), class_="name", x=frame.left, y=14),
        axes(frame, x, y, "", "", x_ticks=whole_ticks(1, max(n, 2), 4), y_ticks=None),
    ]
    for part, class_ in (("training", "dashed orange"), ("validation", "blue")):
        curve = [v if y.inside(v) else math.nan for v in curves.get(part, [])]
        points = [(x(e), y(v) if math.isfinite(v) else math.nan) for e, v in enumerate(curve, 1)]
        parts.append(line(points, class_))
    validation = [v for v in curves.get("validation", []) if math.isfinite(v)]
    if validation and y.inside(min(validation)):
        kept = curves["validation"].index(min(validation))
        tip = f"{title}\nlowest validation loss {number(min(validation))}, epoch {kept + 1} of {n}"
        parts.append(dot(x(kept + 1), y(min(validation)), "blue", 5, data_tip=tip))
    return join(parts)


def draw_spent(
    rows: Sequence[tuple[int, dict[str, int], str]],
    kinds: Sequence[tuple[str, str]],
    label: str,
    width: int,
) -> Markup:
    """What became of the candidates of each generation, as bars on top of each other.

    Args:
        rows: number of the generation, candidates of each kind, and what to say of it.
        kinds: name and CSS class, from the bottom.
        label: what it shows.
        width: pixels.
    """
    frame = Frame(width, 230, left=46, right=12)
    most = max(sum(counts.values()) for _, counts, _ in rows) or 1
    first, last = rows[0][0], rows[-1][0]
    x, y = frame.x(first - 0.6, last + 0.6), frame.y(0, most)
    bar = max(1.0, min(36.0, 0.8 * (x(1) - x(0))))
    ticks = (
        whole_ticks(first, last, 4 if width < 500 else 9)
        if last > first
        else [(float(first), str(first))]
    )
    y_ticks = whole_ticks(0, most, 4)
    parts = [axes(frame, x, y, "generation", "candidates", ticks, y_ticks)]
    for number_, counts, tip in rows:
        floor = 0
        pieces = []
        for kind, class_ in kinds:
            n = counts.get(kind, 0)
            if n:
                top, bottom = y(floor + n), y(floor)
                place = {"x": x(number_) - bar / 2, "y": top, "width": bar, "height": bottom - top}
                pieces.append(tag("rect", class_=f"bar {class_}", **place))
            floor += n
        parts.append(tag("g", *pieces, data_tip=tip))
    return picture(width, frame.height, label, *parts)


def draw_front(
    marks: Sequence[Mark],
    front: Sequence[Mark],
    joined: bool,
    x_label: str,
    y_label: str,
    label: str,
    width: int,
) -> Markup:
    """Every training by cost and score; the front on top, as steps where two objectives make it."""
    frame = Frame(width, 300 if width < 500 else 380, left=58, right=16)
    costs = [m.x for m in [*marks, *front]]
    low, high = focus([m.y for m in front], [m.y for m in marks])
    x, y = frame.x(min(costs) / 1.1, max(costs) * 1.1, log=True), frame.y(low, high)
    parts = [axes(frame, x, y, x_label, y_label)]
    parts += [dot(x(m.x), y(m.y), m.class_, 3, data_c=m.index) for m in marks if y.inside(m.y)]
    along = sorted(front, key=lambda m: m.x)
    if joined:
        steps = [(x(a.x), y(a.y)) for a in along]
        corners = [p for a, b in pairwise(steps) for p in (a, (b[0], a[1]))]
        parts.append(line([*corners, *steps[-1:]], "orange"))
    parts += [dot(x(m.x), y(m.y), "orange", 5, data_c=m.index) for m in along]
    return picture(width, frame.height, label, *parts)
