"""What a diagnosis finds: a verdict, the rule with its numbers, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evonet.errors import shown
from evonet.phrases import shortened


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it was, such as "learning curves".
        verdict: what was found, in a few words.
        rule: what the verdict was drawn from, with its numbers, in sentences.
        advice: one sentence on what to do.
        fine: whether nothing has to be done.
    """

    topic: str
    verdict: str
    rule: str
    advice: str
    fine: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def class_name(label: object) -> str:
    """A class as it stands in a sentence, whatever its letters.

    Example:
        >>> print(class_name("Barolo"), class_name(3), class_name("a\\nb"), class_name("x" * 50))
        'Barolo' 3 'a\\nb' 'xxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    """
    return shortened(shown(label), 30)
