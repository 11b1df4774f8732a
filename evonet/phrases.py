"""Shares and lists as they stand in a sentence, the same wherever evonet writes one."""

from __future__ import annotations

from collections.abc import Sequence

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
