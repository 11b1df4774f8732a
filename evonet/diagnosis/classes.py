"""What the predictions of classes say: how far probabilities can be trusted, which are confused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evonet.diagnosis.finding import Finding, class_name
from evonet.phrases import percent

#: Bins of confidence, equally wide. Untuned.
_BINS = 10
#: Draws of what a calibrated network would show, and how many of them are below its bound.
_DRAWS, _USUAL = 200, 0.95
#: A smaller calibration error does no harm, chance or not. Untuned.
_SMALL = 0.02
#: Where chance alone shows more, the rows are too few to tell. Untuned.
_TELLING = 0.05
#: A class that has fewer than this times the rows of the one it is taken for is the rarer. Untuned.
_RARER = 0.5


@dataclass(frozen=True)
class Bin:
    """Predictions of about the same confidence.

    Attributes:
        low: where the bin starts, itself excluded but for 0.
        high: where it ends.
        n: predictions in it.
        confidence: mean probability of the predicted class; None without any.
        accuracy: share that is right; None without any.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How far the probability of the predicted class can be trusted.

    Attributes:
        bins: from the least to the most confident.
        error: expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599,
            equation 3): the mean over predictions of the gap of their bin.
        by_chance: what 95 of 100 networks that are calibrated to perfection would show at most on
            as many rows with the same confidences.
        confidence: mean over all predictions.
        accuracy: share of all that are right.
    """

    bins: tuple[Bin, ...]
    error: float
    by_chance: float
    confidence: float
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def calibration(
    rng: np.random.Generator, truth: np.ndarray, probabilities: np.ndarray
) -> Calibration:
    """How far probabilities can be trusted.

    What chance does is found by resampling (Bröcker & Smith 2007, Increasing the reliability of
    reliability diagrams, https://doi.org/10.1175/WAF993.1).

    Args:
        rng: draws what a calibrated network would show.
        truth: ``(n,)`` class indices.
        probabilities: ``(n, n_classes)``.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    # Bin m holds confidences from above m / bins up to (m + 1) / bins.
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)

    def error(hits: np.ndarray) -> float:
        return float(np.abs(np.bincount(place, hits - confidence, _BINS)).sum() / len(truth))

    draws = [error(rng.random(len(truth)) < confidence) for _ in range(_DRAWS)]
    counts = np.bincount(place, minlength=_BINS)
    sums = [np.bincount(place, values, _BINS) for values in (confidence, right)]
    bins = tuple(
        Bin(m / _BINS, (m + 1) / _BINS, int(n), *(float(s[m] / n) if n else None for s in sums))
        for m, n in enumerate(counts)
    )
    by_chance = float(np.quantile(draws, _USUAL))
    return Calibration(bins, error(right), by_chance, float(confidence.mean()), float(right.mean()))


def calibration_finding(found: Calibration, n: int, balanced: bool) -> Finding:
    """What the calibration means.

    Args:
        found: on the validation part.
        n: its rows.
        balanced: whether all classes weighed the same in training.
    """
    topic = "calibration"
    rule = (
        f"On {n:,} validation rows the network says {percent(found.confidence)} on average and is "
        f"right in {percent(found.accuracy)}; the expected calibration error is "
        f"{percent(found.error)}, and a perfectly calibrated network would show up to "
        f"{percent(found.by_chance)} by chance (95 %)."
    )
    # Where nothing goes wrong in n rows, it may do so in 3 / n (Hanley & Lippman-Hand 1983).
    telling = max(found.by_chance, 3 / n) <= _TELLING
    if found.error <= max(found.by_chance, _SMALL):
        return Finding(
            topic,
            "calibrated" if telling else "no fault to be seen",
            rule,
            "Probabilities may be taken as they are."
            if telling
            else "So few rows would hide a fault: check probabilities again on more.",
            True,
        )
    if balanced:
        return Finding(
            topic,
            "of balanced classes",
            rule,
            "Classes weighed the same in training, so that probabilities are not those of the "
            "data: for these, pass --class-weight none.",
            False,
        )
    if found.confidence - found.accuracy > found.error / 2:
        return Finding(
            topic,
            "overconfident",
            rule,
            "Do not take its probabilities at their word: search with --fix label_smoothing=0.1, "
            "or divide the logits by a temperature fitted on rows of their own.",
            False,
        )
    if found.accuracy - found.confidence > found.error / 2:
        return Finding(
            topic,
            "underconfident",
            rule,
            "It is right more often than it says: use less label smoothing and dropout, or train "
            "for longer.",
            False,
        )
    return Finding(
        topic,
        "uneven",
        rule,
        "Too sure at some levels and not sure enough at others: look at the reliability diagram "
        "before you set a threshold, and set it on rows of their own.",
        False,
    )


@dataclass(frozen=True)
class Confusion:
    """Which classes are taken for which.

    Attributes:
        classes: labels in the order of rows and columns.
        counts: rows of the validation part by true class and predicted class.
    """

    classes: tuple[str | int | float | bool, ...]
    counts: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def confusion(
    classes: Sequence[str | int | float | bool], truth: np.ndarray, probabilities: np.ndarray
) -> Confusion:
    """Count predictions by true and predicted class.

    Args:
        classes: labels.
        truth: ``(n,)`` class indices.
        probabilities: ``(n, n_classes)``.
    """
    k = len(classes)
    cells = np.bincount(truth * k + probabilities.argmax(axis=1), minlength=k * k)
    return Confusion(tuple(classes), tuple(map(tuple, cells.reshape(k, k).tolist())))


def confusion_finding(found: Confusion, balanced: bool) -> Finding:
    """Which class is taken for which most often.

    Args:
        found: on the validation part.
        balanced: whether all classes weighed the same in training.
    """
    topic = "confusions"
    counts = np.asarray(found.counts)
    n, rows = int(counts.sum()), counts.sum(axis=1)
    wrong = counts - np.diag(counts.diagonal())
    total = int(wrong.sum())
    if not total:
        rule = f"All {n:,} validation rows are right."
        return Finding(topic, "none", rule, "Nothing to do.", True)
    true, taken = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    share = wrong[true, taken] / rows[true]
    names = class_name(found.classes[true]), class_name(found.classes[taken])
    rule = (
        f"{total:,} of {n:,} validation rows are wrong, {int(wrong.max()):,} of them because "
        f"{names[0]} is taken for {names[1]} ({percent(float(share))} of {names[0]})."
    )
    verdict = f"{names[0]} taken for {names[1]}"
    if rows[true] < _RARER * rows[taken] and not balanced:
        return Finding(
            topic,
            verdict,
            f"{rule} There are {int(rows[true]):,} rows of the one and {int(rows[taken]):,} of the "
            "other.",
            f"If a missed {names[0]} costs as much as a missed {names[1]}, search with --metric "
            "balanced_accuracy, which weighs rare classes up.",
            False,
        )
    return Finding(
        topic,
        verdict,
        rule,
        "Look at these rows: wrong labels come first, then columns that would tell the two apart.",
        False,
    )
