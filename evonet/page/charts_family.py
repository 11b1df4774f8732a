"""The picture of a family tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from evonet.page.svg import (
    dot,
    picture,
    tag,
)
from evonet.report.ancestry import Ancestor


def draw_family(
    tree: Sequence[Ancestor],
    line_keys: Sequence[str],
    index_of: Mapping[str, int],
    label: str,
    width: int,
) -> Markup:
    """A family tree, a column (on a phone a row) for each generation, its main line numbered."""
    down = width < 500
    generations = sorted({ancestor.generation for ancestor in tree})
    columns = [[a for a in tree if a.generation == g] for g in generations]
    most = max(len(column) for column in columns) + 1
    long = max(46 * len(generations), 120) + 60 if down else width
    high = 34 * most + 60
    along = [30 + (long - 70) * (i + 0.5) / len(generations) for i in range(len(generations))]
    places: dict[str, tuple[float, float]] = {}
    order: dict[str, float] = {}
    main = set(line_keys)
    for i in reversed(range(len(columns))):  # children first: parents stand near them

        def wanted(ancestor: Ancestor) -> tuple[bool, float]:
            children = [order[c.key] for c in tree if ancestor.key in c.parents and c.key in order]
            return ancestor.key not in main, sum(children) / len(children) if children else 0.0

        others = 0 if any(a.key in main for a in columns[i]) else 1  # the first row is the line's
        for j, ancestor in enumerate(sorted(columns[i], key=wanted), start=others):
            order[ancestor.key] = j
            across = 24 + 34 * j if not down else 60 + (width - 80) * (j + 0.5) / most
            places[ancestor.key] = (across, along[i]) if down else (along[i], across)
    parts = []
    for ancestor in tree:
        for parent in ancestor.parents:
            class_ = "edge main" if {ancestor.key, parent} <= main else "edge"
            parts.append(_edge(places[parent], places[ancestor.key], down, class_))
    for ancestor in tree:
        x, y = places[ancestor.key]
        class_ = (
            "orange"
            if ancestor.key == line_keys[-1]
            else "blue"
            if ancestor.key in main
            else "muted"
        )
        parts.append(
            dot(
                x,
                y,
                f"solid {class_}",
                10 if ancestor.key in main else 6,
                data_c=index_of[ancestor.key],
            )
        )
        if ancestor.key in main:
            parts.append(
                tag("text", line_keys.index(ancestor.key) + 1, class_="in-dot mid", x=x, y=y + 4)
            )
    for g, at in zip(generations, along, strict=True):
        spot = (
            {"x": 8.0, "y": at + 4}
            if down
            else {"x": at, "y": high - 26.0, "text_anchor": "middle"}
        )
        parts.append(tag("text", f"gen {g}" if down else g, class_="tick", **spot))
    if not down:
        parts.append(tag("text", "generation", class_="label mid", x=width / 2, y=high - 6))
    return picture(width, long if down else high, label, *parts)


def _edge(a: tuple[float, float], b: tuple[float, float], down: bool, class_: str) -> Markup:
    """A curve from parent to child."""
    if down:
        middle = (a[1] + b[1]) / 2
        bend = f"{a[0]:.0f} {middle:.0f} {b[0]:.0f} {middle:.0f}"
    else:
        middle = (a[0] + b[0]) / 2
        bend = f"{middle:.0f} {a[1]:.0f} {middle:.0f} {b[1]:.0f}"
    return tag(
        "path", class_=f"line {class_}", d=f"M{a[0]:.0f} {a[1]:.0f}C{bend} {b[0]:.0f} {b[1]:.0f}"
    )
