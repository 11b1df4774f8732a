"""Pictures as inline SVG: scales, axes and marks. Every text passes through ``tag``, which escapes.

Colours are classes of ``style.css``, so that a picture is light or dark with its page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

#: Height of a letter of 12 px, and the mean width of one, in pixels.
LINE, LETTER = 15, 6.6


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; None leaves an attribute out, and underscores in its name are hyphens.

    Example:
        >>> print(tag("text", "a < b", class_="small", x=1.25, text_anchor="end"))
        <text class="small" x="1.2" text-anchor="end">a &lt; b</text>
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>")


def _plain(value: object) -> object:
    """Coordinates to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def join(parts: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("").join(parts)


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: value at ``start``.
        high: value at ``end``.
        start: pixels.
        end: pixels.
        log: whether equal factors are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def inside(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high

    def ticks(self, most: int) -> list[float]:
        """Round values on the scale, about so many."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        return nice_ticks(self.low, self.high, most)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> nice_ticks(0, 1, 5), nice_ticks(3, 48, 5)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [10.0, 20.0, 30.0, 40.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**p for p in powers for m in steps]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def tick_text(value: float) -> str:
    """A number at an axis, short.

    Example:
        >>> [tick_text(v) for v in (0.25, 1200, 50000.0, 3e6, 1e-5)]
        ['0.25', '1,200', '50k', '3M', '1e-05']
    """
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:g}"


def labelled(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with their texts; evenly spaced fractions have as many digits as each other.

    Example:
        >>> labelled([0.85, 0.855, 0.86]), labelled([1, 10, 100])
        ([(0.85, '0.850'), (0.855, '0.855'), (0.86, '0.860')], [(1, '1'), (10, '10'), (100, '100')])
    """
    texts = [tick_text(tick) for tick in ticks]
    if all(re.fullmatch(r"-?0(\.\d+)?", text) for text in texts):
        digits = max(len(text.partition(".")[2]) for text in texts)
        texts = [f"{tick:.{digits}f}" for tick in ticks]
    return list(zip(ticks, texts, strict=True))


@dataclass(frozen=True)
class Frame:
    """The place of the axes in a picture, in pixels; y goes down."""

    width: int
    height: int
    left: float = 56
    right: float = 12
    top: float = 12
    bottom: float = 40

    def x(self, low: float, high: float, log: bool = False) -> Scale:
        """A scale from left to right."""
        return Scale(low, high, self.left, self.width - self.right, log)

    def y(self, low: float, high: float, log: bool = False) -> Scale:
        """A scale from bottom to top."""
        return Scale(low, high, self.height - self.bottom, self.top, log)


def picture(width: float, height: float, label: str, *children: Markup) -> Markup:
    """The whole of an SVG.

    Args:
        width: pixels.
        height: pixels.
        label: what it shows, read aloud in its place.
        children: what is drawn.
    """
    return tag(
        "svg",
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_label=label,
    )


def axes(
    frame: Frame,
    x: Scale,
    y: Scale,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_ticks: Sequence[tuple[float, str]] | None = None,
) -> Markup:
    """Grid lines, numbers and names of two axes."""
    bottom, right = frame.height - frame.bottom, frame.width - frame.right
    if x_ticks is None:
        x_ticks = labelled(x.ticks(max(2, int((right - frame.left) / 70))))
    if y_ticks is None:
        y_ticks = labelled(y.ticks(max(2, int((bottom - frame.top) / 40))))
    parts = []
    for value, text in y_ticks:
        at = y(value)
        parts.append(tag("line", class_="grid", x1=frame.left, x2=right, y1=at, y2=at))
        parts.append(
            tag("text", text, class_="tick", x=frame.left - 6, y=at + 4, text_anchor="end")
        )
    for value, text in x_ticks:
        parts.append(
            tag("text", text, class_="tick", x=x(value), y=bottom + 16, text_anchor="middle")
        )
    parts.append(tag("line", class_="axis", x1=frame.left, x2=right, y1=bottom, y2=bottom))
    middle = (frame.left + right) / 2
    if x_label:
        parts.append(
            tag("text", x_label, class_="label", x=middle, y=bottom + 34, text_anchor="middle")
        )
    if y_label:
        up = (frame.top + bottom) / 2
        turn = f"translate(13 {up:.1f}) rotate(-90)"
        parts.append(tag("text", y_label, class_="label", transform=turn, text_anchor="middle"))
    return tag("g", *parts)


def path(points: Iterable[tuple[float, float]]) -> str:
    """The ``d`` of a line through points; a point that is not finite breaks it."""
    words, pen = [], "M"
    for px, py in points:
        if math.isfinite(px) and math.isfinite(py):
            words.append(f"{pen}{_plain(float(px))} {_plain(float(py))}")
            pen = "L"
        else:
            pen = "M"
    return "".join(words)


def line(points: Iterable[tuple[float, float]], class_: str, **data: object) -> Markup:
    """A line through points; ``data_c`` is the place of its candidate."""
    return tag("path", class_=f"line {class_}", d=path(points), **data)


def area(
    lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]], class_: str
) -> Markup:
    """The area between two lines."""
    return tag("path", class_=f"area {class_}", d=f"{path([*lower, *reversed(upper)])}Z")


def dot(x: float, y: float, class_: str, radius: float = 3, **data: object) -> Markup:
    """A point; ``data_c`` is the place of its candidate, ``data_tip`` a text of its own."""
    return tag("circle", class_=class_, cx=float(x), cy=float(y), r=radius, **data)


def whole_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Whole numbers for an axis, such as generations."""
    ticks = sorted({round(v) for v in nice_ticks(low, high, most)})
    return [(float(v), f"{v:,}") for v in ticks if low <= v <= high]


def fitted(text: str, width: float) -> str:
    """As much of a text as goes into so many pixels."""
    most = max(2, int(width / LETTER))
    return text if len(text) <= most else text[: most - 1] + "…"
