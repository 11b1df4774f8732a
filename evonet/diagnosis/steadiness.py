"""Whether losses went down steadily or jumped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from evonet.diagnosis.finding import Finding
from evonet.phrases import percent

#: A loss that rises by this share of a constant guess's from one epoch to the next jumps, and a fit
#: with jumps in more than this share of its epochs is unsteady. Untuned.
_JUMP, _OFTEN = 0.1, 0.05


def jumps(curve: Sequence[float], unit: float) -> int:
    """How often a loss rises by a tenth of ``unit`` or more from one epoch to the next.

    Example:
        >>> jumps([1.0, 0.5, 0.6, 0.55, 0.9], unit=2.0)
        1
    """
    return sum(after - before >= _JUMP * unit for before, after in pairwise(curve))


def steadiness_finding(
    train_curve: Sequence[float], validation_curve: Sequence[float], constant: float
) -> Finding:
    """Whether many epochs undid what those before them had learned.

    Args:
        train_curve: mean training loss of each epoch.
        validation_curve: validation loss after each epoch.
        constant: loss of a constant guess.
    """
    topic, n = "steadiness", len(validation_curve)
    of_train, of_validation = (jumps(curve, constant) for curve in (train_curve, validation_curve))
    rule = (
        f"In {of_validation:,} of {n:,} epochs the validation loss rose by {percent(_JUMP)} of a "
        f"constant guess's or more, in {of_train:,} the training loss; more than {percent(_OFTEN)} "
        "of the epochs is unsteady."
    )
    if max(of_train, of_validation) <= _OFTEN * n:
        return Finding(topic, "steady", rule, "Nothing to do.", True)
    return Finding(
        topic,
        "unsteady",
        rule,
        "The kept epoch is a lucky one: search with smaller learning rates, larger batches, or a "
        "cut gradient (--fix clip_norm=1).",
        False,
    )
