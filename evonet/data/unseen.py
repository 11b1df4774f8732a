"""Words of new rows that a network has no input for, since training had none or few of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Words that are kept of a column, to name them.
EXAMPLES = 3


@dataclass(frozen=True)
class Unseen:
    """Words of a column that have no input of their own.

    Attributes:
        column: the column.
        n_rows: rows that hold one.
        examples: the first few of them, None standing for a missing value.
        as_rare: whether they count as the rare words of training, which some of them may be; else
            they are new, and set no input.
    """

    column: str
    n_rows: int
    examples: tuple[str | None, ...]
    as_rare: bool

    def __add__(self, other: Unseen) -> Unseen:
        """Both, of the same column in different rows."""
        examples = dict.fromkeys([*self.examples, *other.examples])
        return Unseen(
            self.column, self.n_rows + other.n_rows, tuple(examples)[:EXAMPLES], self.as_rare
        )

    def __str__(self) -> str:
        """A sentence for people.

        Example:
            >>> print(Unseen("town", 2, ("Rome", None), False))
            Column 'town': 2 rows have words that training had not, such as 'Rome', (none).
        """
        words = ["(none)" if w is None else repr(w[:40]) for w in self.examples]
        rows = "1 row has" if self.n_rows == 1 else f"{self.n_rows:,} rows have"
        not_there = "hardly had, or not at all" if self.as_rare else "had not"
        return (
            f"Column {self.column[:40]!r}: {rows} words that training {not_there}, such as "
            f"{', '.join(words)}."
        )


def together(found: Iterable[Unseen]) -> list[Unseen]:
    """One for each column, of those in several portions of rows; most rows first."""
    of: dict[str, Unseen] = {}
    for unseen in found:
        of[unseen.column] = of[unseen.column] + unseen if unseen.column in of else unseen
    return sorted(of.values(), key=lambda unseen: -unseen.n_rows)
