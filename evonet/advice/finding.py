"""What a check of the data says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: Checks whose findings make the score of the test part flatter too.
FLATTERING = ("leak", "outcome mark", "duplicates")

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

    @property
    def flatters_test(self) -> bool:
        """Whether the score of the test part may flatter too."""
        if self.kind == "duplicates":
            return bool(self.figures.get("test"))
        return self.kind in FLATTERING

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "command": self.command}
