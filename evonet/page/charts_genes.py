"""Pictures of genes: over the generations, what their values are worth, and all side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
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
    tick_text,
    whole_ticks,
)
from evonet.report.tables import choice_shares

#: Columns of a map of shares, at most; of more generations some are left out.
_MOST_COLUMNS = 40


def draw_ordered(
    title: str, table: pd.DataFrame, column: str, log: bool, width: int, height: int
) -> Markup:
    """Median, middle half and range of a gene in each population, and the best network's value.

    Args:
        title: of the panel.
        table: columns generation, rank, and the gene.
        column: the gene.
        log: whether equal factors are equally far apart; not where a value is 0.
        width: pixels.
        height: pixels.
    """
    frame = Frame(width, height, left=50, right=14, top=26, bottom=34)
    heading = tag("text", fitted(title, width - 54), class_="name", x=frame.left, y=14)
    values = table[["generation", "rank", column]].dropna()
    if values.empty:
        return join([heading, tag("text", "no network has it", class_="tick", x=frame.left, y=50)])
    values = values.astype({column: float})
    low, high = float(values[column].min()), float(values[column].max())
    log = log and low > 0
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    last = int(table["generation"].max())
    x, y = frame.x(0, max(last, 1)), frame.y(low, high, log)
    shares = (
        values.groupby("generation")[column].quantile(np.array([0, 0.25, 0.5, 0.75, 1])).unstack()
    )
    at = [x(g) for g in shares.index]
    lines = {q: [(a, y(v)) for a, v in zip(at, shares[q], strict=True)] for q in shares}
    best = values[values["rank"] == 0]
    points = [(x(g), y(v)) for g, v in zip(best["generation"], best[column], strict=True)]
    return join(
        [
            heading,
            axes(
                frame,
                x,
                y,
                "",
                "",
                whole_ticks(0, max(last, 1), 4),
                [(v, tick_text(v)) for v in y.ticks(4)],
            ),
            area(lines[0.0], lines[1.0], "blue light"),
            area(lines[0.25], lines[0.75], "blue"),
            line(lines[0.5], "blue"),
            line(points, "dashed orange"),
            *(
                [
                    dot(
                        *points[-1],
                        "orange",
                        4,
                        data_tip=f"{title}\nbest network: {best[column].iloc[-1]:g}",
                    )
                ]
                if points
                else []
            ),
        ]
    )


def draw_choice(title: str, table: pd.DataFrame, column: str, width: int, height: int) -> Markup:
    """The share of each name among the networks (or their layers), a column per generation."""
    left, top = 122.0, 26.0
    heading = tag("text", fitted(title, width - 8), class_="name", x=8, y=14)
    shares = choice_shares(table, column)
    if shares.empty:
        return join([heading, tag("text", "no network has it", class_="tick", x=8, y=50)])
    kept = sorted(
        set(
            np.linspace(0, shares.shape[1] - 1, min(_MOST_COLUMNS, shares.shape[1]))
            .round()
            .astype(int)
        )
    )
    drawn = shares.iloc[:, kept]
    wide = (width - left - 44) / len(kept)
    tall = min(20.0, (height - top - 8) / len(drawn))
    parts = [heading]
    for i, (name, row) in enumerate(drawn.iterrows()):
        y = top + tall * i
        middle = y + tall / 2 + 4
        parts.append(
            tag(
                "text",
                fitted(str(name), left - 8),
                class_="tick",
                x=left - 6,
                y=middle,
                text_anchor="end",
            )
        )
        for j, share in enumerate(row.fillna(0.0)):
            if share > 0:
                opacity = f"{0.08 + 0.92 * share:.2f}"
                place = {"x": left + wide * j, "y": y + 1, "width": wide + 0.3, "height": tall - 2}
                parts.append(tag("rect", class_="bar blue", fill_opacity=opacity, **place))
        parts.append(
            tag("text", f"{row.fillna(0.0).iloc[-1]:.0%}", class_="tick", x=width - 40, y=middle)
        )
    return join(parts)


def draw_effects(
    title: str,
    effect: Sequence[tuple[object, float]],
    limits: tuple[float, float],
    width: int,
    height: int,
) -> Markup:
    """The mean rank that is expected for each value of a gene."""
    frame = Frame(width, height, left=50, right=14, top=26, bottom=34)
    x, y = frame.x(-0.5, len(effect) - 0.5), frame.y(*limits)
    names = [f"{v:g}" if isinstance(v, float) else str(v) for v, _ in effect]
    room = (width - 64) / len(effect)
    every = max(1, -(-int(max(map(len, names)) * 6.8 + 4) // max(int(room), 1)))
    ticks = [(float(i), names[i]) for i in range(0, len(names), every)]
    points = [(x(i), y(rank)) for i, (_, rank) in enumerate(effect)]
    parts = [
        tag("text", fitted(title, width - 54), class_="name", x=frame.left, y=14),
        axes(frame, x, y, "", "", ticks, [(v, f"{v:.0%}") for v in y.ticks(4)]),
    ]
    if all(isinstance(v, int | float) for v, _ in effect):
        parts.append(line(points, "blue"))
    best = max(rank for _, rank in effect)
    parts += [
        dot(
            *at,
            "orange" if rank == best else "blue",
            4,
            data_tip=f"{title} {name}\nexpected place: {rank:.0%} (100 % is the best)",
        )
        for at, name, (_, rank) in zip(points, names, effect, strict=True)
    ]
    return join(parts)


@dataclass(frozen=True)
class Track:
    """A training in parallel coordinates: on each axis the place of its value, and its index."""

    places: tuple[float, ...]
    index: int
    class_: str


def draw_parallel(
    names: Sequence[str],
    values: Mapping[str, Sequence[str]],
    tracks: Sequence[Track],
    label: str,
    width: int,
) -> Markup:
    """Networks as lines from axis to axis; an axis is a row, so that all names are level.

    Args:
        names: of the axes, from the top.
        values: by axis, what stands at the places 0, 1, 2 and so on.
        tracks: the networks, those on top last.
        label: what it shows.
        width: pixels.
    """
    narrow = width < 500
    step, left, right, top = (46, 14.0, 14.0, 26.0) if narrow else (44, 130.0, 24.0, 14.0)
    height = top + step * (len(names) - 1) + 34
    parts: list[Markup] = []
    names_drawn: list[Markup] = []
    scales = {}
    for i, name in enumerate(names):
        y, count = top + step * i, len(values[name])
        frame = Frame(width, int(height), left=left, right=right)
        scales[name] = frame.x(-0.5, count - 0.5)
        where = (
            {"x": left, "y": y - 9}
            if narrow
            else {"x": left - 14, "y": y + 4, "text_anchor": "end"}
        )
        parts += [
            tag("line", class_="axis", x1=left, x2=width - right, y1=y, y2=y),
        ]
        names_drawn.append(tag("text", name, class_="name halo", **where))
    for track in tracks:
        points = [
            (scales[n](p), top + step * i)
            for i, (n, p) in enumerate(zip(names, track.places, strict=True))
        ]
        parts.append(line(points, f"track {track.class_}", data_c=track.index))
    for i, name in enumerate(names):
        room = (width - left - right) / len(values[name])
        every = max(1, -(-int(max(map(len, values[name])) * 6.4 + 6) // max(int(room), 1)))
        parts += [
            tag("text", text, class_="tick halo mid", x=scales[name](j), y=top + step * i + 15)
            for j, text in enumerate(values[name])
            if j % every == 0
        ]
    return picture(width, height, label, *parts, *names_drawn)
