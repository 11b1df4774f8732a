"""What a check of the data says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: serious: scores of a run may mislead. notable: good to know.
Severity = Literal["serious", "notable"]


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about data.

    Attributes:
        kind: what was looked for, such as "leak"; a name of ``CHECKS``.
        severity: whether scores may mislead.
        seen: a sentence with its figures.
        why: a sentence that says why it matters.
        advice: what to do, in words.
        flags: the same as arguments of ``evonet evolve``; empty where it has none for it.
        columns: the columns it is about, by their full names.
        figures: what was measured, by column or by name.
    """

    kind: str
    severity: Severity
    seen: str
    why: str
    advice: str
    flags: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The flags as a shell takes them."""
        return shlex.join(self.flags)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "command": self.command}


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names of columns or classes in a sentence, shortened to what people read."""
    shown = ", ".join(repr(str(name)[:40]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def drops(columns: Iterable[str]) -> tuple[str, ...]:
    """The flags that leave columns out."""
    return tuple(word for name in columns for word in ("--drop", name))


def percent(share: float) -> str:
    """A share as people read it.

    Example:
        >>> percent(0.847), percent(0.0123), percent(0.99996), percent(0.00002), percent(1)
        ('85 %', '1.2 %', '99.99 %', '0.01 %', '100 %')
    """
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    if 10 <= value <= 99:
        return f"{value:.0f} %"
    if value > 99:
        return f"{min(value, 99.99):.4g} %"
    return f"{max(value, 0.01):.2g} %"
