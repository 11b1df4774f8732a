"""Pictures of what a run came to: scores with their intervals, a network, shares as bars."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evonet.genome import Genome
from evonet.metrics import Interval
from evonet.page.svg import (
    LETTER,
    LINE,
    Frame,
    Scale,
    axes,
    dot,
    fitted,
    join,
    labelled,
    picture,
    tag,
    tick_text,
)
from evonet.report.words import interval_text, number

#: A value is off the scale where it is so many times the others' range away. Untuned.
_FAR = 2.0


@dataclass(frozen=True)
class Score:
    """A row of a picture of scores.

    Attributes:
        name: what has the score.
        value: the score; None where there is none.
        interval: of 95 %; None where unknown.
        class_: of its mark.
        other: another score of the same, drawn hollow.
    """

    name: str
    value: float | None
    interval: Interval | None = None
    class_: str = "blue"
    other: float | None = None


def draw_scores(rows: Sequence[Score], x_label: str, label: str, width: int) -> Markup:
    """A line for each score, with its interval; what lies far off is named at the edge."""
    narrow = width < 500
    left = 12.0 if narrow else 190.0
    step = 52 if narrow else 36
    frame = Frame(width, step * len(rows) + 52, left=left, right=70, top=8, bottom=40)
    known = [v for row in rows for v in (row.value, row.other) if v is not None]
    if not known:
        return picture(width, 40, label, tag("text", "no scores yet", class_="tick", x=8, y=24))
    low, high = _range(rows, known)
    x, y = frame.x(low, high), frame.y(0, 1)
    ticks = labelled(x.ticks(3 if narrow else 6))
    parts = [axes(frame, x, y, x_label, "", ticks, [])]
    for tick, _ in ticks:
        at = x(tick)
        parts.append(
            tag("line", class_="grid", x1=at, x2=at, y1=frame.top, y2=step * len(rows) + 8)
        )
    for i, row in enumerate(rows):
        middle = frame.top + step * (i + (0.66 if narrow else 0.5))
        if narrow:
            name = tag("text", fitted(row.name, width - 24), class_="name", x=12, y=middle - 14)
        else:
            place = {"x": left - 12, "y": middle + 4, "text_anchor": "end"}
            name = tag("text", fitted(row.name, left - 24), class_="name", **place)
        parts.append(name)
        parts.append(_score(row, x, middle, frame))
    return picture(width, frame.height, label, *parts)


def _range(rows: Sequence[Score], known: Sequence[float]) -> tuple[float, float]:
    """From the smallest to the largest, without one that lies far below or above the others."""
    ends = [end for row in rows if row.value is not None for end in row.interval or ()]
    values = sorted([*known, *ends])
    while len(set(known)) > 2 and len(values) > 3:
        size = values[-2] - values[1]
        if size > 0 and values[1] - values[0] > _FAR * size:
            values = values[1:]
        elif size > 0 and values[-1] - values[-2] > _FAR * size:
            values = values[:-1]
        else:
            inner = [v for v in values if v != values[0]]
            below = inner[0] - values[0] if inner else 0.0
            if inner and len(inner) > 2 and below > _FAR * (inner[-1] - inner[0]) > 0:
                values = inner
                continue
            break
    pad = 0.08 * (values[-1] - values[0]) or 0.02 * abs(values[0]) or 0.01
    return values[0] - pad, values[-1] + pad


def _score(row: Score, x: Scale, middle: float, frame: Frame) -> Markup:
    """The marks of one row."""
    if row.value is None:
        return tag("text", "no score", class_="tick", x=frame.left + 4, y=middle + 4)
    text = number(row.value)
    if not x.inside(row.value):
        arrow = f"◂ {text}, off the scale" if row.value < x.low else f"{text}, off the scale ▸"
        end = row.value > x.high
        at = frame.width - frame.right if end else frame.left + 2
        anchor = "end" if end else "start"
        return tag("text", arrow, class_="value", x=at, y=middle + 4, text_anchor=anchor)
    parts, at = [], x(row.value)
    interval = ""
    if row.interval is not None:
        a, b = (x(min(max(end, x.low), x.high)) for end in row.interval)
        interval = f"\n{interval_text(row.interval)} (95 %)"
        parts.append(tag("line", class_=f"interval {row.class_}", x1=a, x2=b, y1=middle, y2=middle))
    if row.other is not None and x.inside(row.other):
        tip = f"{row.name}\nvalidation {number(row.other)}"
        parts.append(dot(x(row.other), middle, f"hollow {row.class_}", 5, data_tip=tip))
    parts.append(dot(at, middle, row.class_, 6, data_tip=f"{row.name}\n{text}{interval}"))
    parts.append(tag("text", text, class_="value", x=frame.width - frame.right + 10, y=middle + 4))
    return tag("g", *parts)


def draw_network(genome: Genome, n_inputs: int, output: str, label: str, width: int) -> Markup:
    """A network from its inputs to its output, a box for each layer."""
    boxes = [(f"{n_inputs:,} inputs", "from your columns", "muted")]
    for layer in genome.layers:
        words = str(layer).split(" ", 2)
        more = words[2] if len(words) > 2 else ""
        boxes.append((f"{layer.units} {layer.activation}", more, "blue"))
    boxes.append((output, "output", "orange"))
    across = len(boxes) if width >= 140 * len(boxes) else max(1, width // 160)
    wide, gap, tall = (width - 4) / across, 22.0, 66.0
    parts = []
    for i, (name, more, class_) in enumerate(boxes):
        left, top = 2 + wide * (i % across), 4 + (tall + gap) * (i // across)
        box = {"x": left, "y": top, "width": wide - gap, "height": tall, "rx": 8}
        middle = left + (wide - gap) / 2
        lines = textwrap.wrap(
            more, max(4, int((wide - gap - 6) / LETTER)), max_lines=2, placeholder="…"
        ) or [""]
        texts = [
            tag("text", fitted(name, wide - gap - 8), class_="name", x=middle, y=top + 23),
            *(
                tag("text", words, class_="tick", x=middle, y=top + 40 + LINE * k)
                for k, words in enumerate(lines)
            ),
        ]
        tip = f"{name}\n{more}" if more else name
        parts.append(
            tag("g", tag("rect", class_=f"box {class_}", **box), *texts, class_="mid", data_tip=tip)
        )
        if i + 1 < len(boxes):
            end = i % across == across - 1
            at = (middle, top + tall + 15) if end else (left + wide - gap / 2, top + tall / 2 + 5)
            arrow = "↓" if across == 1 else "↵" if end else "→"
            parts.append(tag("text", arrow, class_="arrow mid", x=at[0], y=at[1]))
    rows = -(-len(boxes) // across)
    return picture(width, rows * (tall + gap) - gap + 8, label, *parts)


@dataclass(frozen=True)
class Bar:
    """A bar: its name, its length as a share, an interval of it, and what stands at its end."""

    name: str
    share: float
    text: str
    low: float | None = None
    high: float | None = None
    class_: str = "blue"
    tip: str = ""


def draw_bars(bars: Sequence[Bar], x_label: str, label: str, width: int) -> Markup:
    """Bars from the left, one below the other."""
    narrow = width < 500
    left, step = (148.0, 26) if narrow else (190.0, 28)
    right = 16 + LETTER * max((len(bar.text) for bar in bars), default=0)
    frame = Frame(width, step * len(bars) + 48, left=left, right=right, top=6, bottom=40)
    most = max((max(b.share, b.high or 0) for b in bars), default=0.0) or 1.0
    x = frame.x(0, most)
    ticks = [
        (v, f"{v:.0%}" if v == 0 or v >= 0.01 else tick_text(v))
        for v in x.ticks(2 if narrow else 5)
    ]
    parts = [axes(frame, x, frame.y(0, 1), x_label, "", x_ticks=ticks, y_ticks=[])]
    for i, bar in enumerate(bars):
        top = frame.top + step * i + 4
        length = max(x(bar.share) - left, 1.0)
        parts += [
            tag(
                "text",
                fitted(bar.name, left - 10),
                class_="name",
                x=left - 8,
                y=top + 14,
                text_anchor="end",
            ),
            tag(
                "rect",
                class_=f"bar {bar.class_}",
                x=left,
                y=top,
                width=length,
                height=step - 8,
                rx=2,
                data_tip=bar.tip or f"{bar.name}\n{bar.text}",
            ),
        ]
        end = left + length
        if bar.low is not None and bar.high is not None:
            middle, end = top + (step - 8) / 2, max(end, x(bar.high))
            parts.append(
                tag("line", class_="whisker", x1=x(bar.low), x2=x(bar.high), y1=middle, y2=middle)
            )
        parts.append(tag("text", bar.text, class_="value", x=end + 6, y=top + 14))
    return picture(width, frame.height, label, join(parts))
