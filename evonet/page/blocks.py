"""What a page is made of: sections of blocks, which are plain values. The template draws them.

All texts may hold anything; the template escapes them. Only ``Chart`` holds markup, made by
``svg.py``, which escapes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

#: How a paragraph looks: as text, as good news, as a warning, or small.
Tone = Literal["plain", "good", "warning", "note"]
#: Widths a chart is drawn for, in pixels: on a desktop, and on a phone.
WIDE, NARROW = 860, 350
#: Most letters of a text from data, such as the name of a column.
MOST_LETTERS = 120


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    tone: Tone = "plain"
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their headings.
        rows: cells as texts.
        caption: what it says, also where it is folded.
        align: a letter for each column, l or r.
        folded: whether it is shown on request.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    align: str
    folded: bool = False
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Chart:
    """A picture, drawn for a wide and for a narrow screen.

    Attributes:
        title: what it shows, as a sentence where there is one to say.
        wide: SVG of ``WIDE`` pixels.
        narrow: SVG of ``NARROW`` pixels.
        legend: pairs of a CSS class of ``style.css`` and what is drawn in it.
        note: how to read it.
        table: the same in numbers, for who cannot see it.
    """

    title: str
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""
    table: Table | None = None
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Tile:
    """A number to take away: what it is, its value, and what to think of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Numbers side by side."""

    tiles: tuple[Tile, ...]
    kind: ClassVar[str] = "tiles"


@dataclass(frozen=True)
class Step:
    """Something to try.

    Attributes:
        title: what was seen, in a few words.
        text: what that means and what to do.
        command: what to type; empty where there is nothing.
    """

    title: str
    text: str
    command: str = ""


@dataclass(frozen=True)
class Steps:
    """Things to try, the most important first."""

    steps: tuple[Step, ...]
    kind: ClassVar[str] = "steps"


Block = Text | Table | Chart | Tiles | Steps


@dataclass(frozen=True)
class Section:
    """A section: a heading, a sentence that says what it is for, and blocks."""

    title: str
    lead: str
    blocks: tuple[Block, ...]


def chart(
    title: str,
    draw: Callable[[int], Markup],
    legend: tuple[tuple[str, str], ...] = (),
    note: str = "",
    table: Table | None = None,
) -> Chart:
    """A chart drawn by a function of its width in pixels."""
    return Chart(title, draw(WIDE), draw(NARROW), legend, note, table)


def brief(text: object, most: int = MOST_LETTERS) -> str:
    """A text from data on one line, at most so many letters of it, nothing invisible in it.

    Example:
        >>> brief("a\\nb"), brief("x" * 9, 5)
        ('a b', 'xxxx…')
    """
    line = "".join(c if c.isprintable() else "�" for c in " ".join(str(text)[: 4 * most].split()))
    return line if len(line) <= most else line[: most - 1] + "…"
