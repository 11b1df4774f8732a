"""What each operator has earned: offspring better than their parents, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: What a generation ago counts, against this one. Untuned.
_MEMORY = 0.9
#: Uses that an operator is given the common success for, before its own counts. Untuned.
_PRIOR_USES = 8.0
#: Least and most that success changes how often an operator is drawn. Untuned.
_LEAST, _MOST = 0.5, 2.0


class Credit(NamedTuple):
    """Of one operator; older generations count less.

    Attributes:
        uses: offspring that it took part in.
        successes: those better than the better of their parents.
    """

    uses: float = 0.0
    successes: float = 0.0


def earned(
    credits: Mapping[str, Credit], outcomes: Iterable[tuple[tuple[str, ...], bool]]
) -> dict[str, Credit]:
    """The credits after a generation.

    Args:
        credits: those before it.
        outcomes: of each offspring, the operators that made it, and whether it is a success.
    """
    after = {name: Credit(*(_MEMORY * value for value in c)) for name, c in credits.items()}
    for operators, success in outcomes:
        for name in set(operators):
            uses, successes = after.get(name, Credit())
            after[name] = Credit(uses + 1, successes + success)
    return after


def factors(credits: Mapping[str, Credit], names: Iterable[str]) -> dict[str, float]:
    """How much more often than by its own weight each operator is to be drawn.

    Its rate of success over that of all, towards 1 where it was seldom used.

    Example:
        >>> factors({"a": Credit(100, 60), "b": Credit(100, 20)}, ["a", "b", "new"])
        {'a': 1.463, 'b': 0.537, 'new': 1.0}
    """
    names = list(names)
    known = [credits.get(name, Credit()) for name in names]
    uses = sum(credit.uses for credit in known)
    common = sum(credit.successes for credit in known) / uses if uses else 0.0
    if not common:
        return dict.fromkeys(names, 1.0)
    rates = [
        (credit.successes + _PRIOR_USES * common) / (credit.uses + _PRIOR_USES) for credit in known
    ]
    bounded = [min(max(rate / common, _LEAST), _MOST) for rate in rates]
    return {name: round(factor, 3) for name, factor in zip(names, bounded, strict=True)}
