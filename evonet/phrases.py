"""Shares, lists and suggestions as they stand in a sentence, wherever evonet writes one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

#: How the reason ends for which a search is over that has nothing left to try.
ALL_TRIED = "genomes are tried"


def percent(share: float) -> str:
    """A share in words, with a decimal where it is small.

    Example:
        >>> percent(0.256), percent(0.0312), percent(-0.5), percent(0.02)
        ('26 %', '3.1 %', '-50 %', '2 %')
    """
    digits = 1 if abs(share) < 0.0995 else 0
    return f"{100 * share:.{digits}f} %".replace(".0 %", " %")


def shortened(text: str, most: int) -> str:
    """The beginning of a text that is too long for where it stands.

    Example:
        >>> shortened("abcd", 4), shortened("abcde", 4)
        ('abcd', 'abc…')
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names of columns or classes in a sentence, shortened to what people read.

    Example:
        >>> print(listed(["a", "b"]), listed("abcd", most=2))
        'a', 'b' 'a', 'b' and 2 more
    """
    shown = ", ".join(repr(str(name)[:40]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question after a name that is not known, with a space before it; empty where none is near.

    Example:
        >>> did_you_mean("incom", ["age", "income"]), did_you_mean("x", ["age"])
        (" Did you mean 'income'?", '')
    """
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r:.200}?" if near else ""


def drops(columns: Iterable[str]) -> tuple[str, ...]:
    """The flags that leave columns out."""
    return tuple(word for name in columns for word in ("--drop", name))
