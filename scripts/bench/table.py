"""Tables of figures as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """One part's figures.

    Attributes:
        title: one line above the table.
        columns: a name for each column.
        rows: a cell for each column; None where there is no figure.
        notes: sentences below the table.
        raw: what the figures were computed from, as plain values, for ``--json``.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    notes: tuple[str, ...] = ()
    raw: object = None

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            "title": self.title,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
            "raw": self.raw,
        }

    def __str__(self) -> str:
        lines = [self.title]
        if self.rows:
            cells = [self.columns, *(tuple(map(shown, row)) for row in self.rows)]
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            lines += [_line(row, widths) for row in cells]
            lines.insert(2, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def shown(cell: Cell) -> str:
    """A cell as text: three significant digits, whole numbers from 100 on.

    Example:
        >>> [shown(c) for c in (None, "fused", 12000, 1234.5, 3.14159, 0.00123456)]
        ['-', 'fused', '12,000', '1,234', '3.14', '0.00123']
    """
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, the others to the right."""
    first, *others = (
        text.ljust(width) if i == 0 else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
