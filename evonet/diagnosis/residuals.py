"""What the errors of a predicted quantity say: bias, growth with the prediction, large ones."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evonet.diagnosis.finding import Finding
from evonet.phrases import percent
from evonet.report.words import number

#: Points that are kept for pictures, at most.
_POINTS = 1000
#: Bias beyond so many standard errors, and beyond this share of the residuals' spread. Untuned.
_BEYOND_CHANCE, _LARGE_BIAS = 3.0, 0.1
#: Rank correlation of the size of errors and predictions that counts as growth, beyond chance.
#: Untuned.
_GROWTH, _SIGNIFICANT = 0.3, 0.001
#: Share of rows with the largest errors, and what share of all squared errors is a lot for them. Of
#: normal errors the largest hundredth has 8.5 %. Untuned.
_LARGEST, _HEAVY = 0.01, 0.25


@dataclass(frozen=True)
class Residuals:
    """Errors of predictions of a quantity, truth minus prediction, in the target's own unit.

    Attributes:
        n: rows.
        mean: of the residuals.
        deviation: their standard deviation.
        median_size: median of their absolute values.
        growth: Spearman's rank correlation of their absolute values with the predictions; None
            where it is not defined.
        growth_p: its p-value.
        heaviest: share of the sum of squares that the hundredth with the largest has.
        largest: prediction and truth of the row with the largest error.
        positive: whether all truths are above 0.
        predicted: predictions of some rows, evenly spread from lowest to highest.
        truth: of the same rows.
    """

    n: int
    mean: float
    deviation: float
    median_size: float
    growth: float | None
    growth_p: float | None
    heaviest: float
    largest: tuple[float, float]
    positive: bool
    predicted: tuple[float, ...]
    truth: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def residuals(truth: np.ndarray, predicted: np.ndarray) -> Residuals:
    """The errors of predictions.

    Args:
        truth: ``(n,)`` in the target's own unit.
        predicted: ``(n,)``.
    """
    from scipy.stats import spearmanr

    error, n = truth - predicted, len(truth)
    growth = p = None
    if n > 2 and np.ptp(np.abs(error)) > 0 and np.ptp(predicted) > 0:
        growth, p = (float(value) for value in spearmanr(np.abs(error), predicted))
    worst = int(np.abs(error).argmax())
    squares = np.sort(error**2)[::-1]
    heaviest = squares[: math.ceil(n * _LARGEST)].sum() / (squares.sum() or 1.0)
    order = np.argsort(predicted, kind="stable")
    kept = order[np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int)]
    return Residuals(
        n=n,
        mean=float(error.mean()),
        deviation=float(error.std()),
        median_size=float(np.median(np.abs(error))),
        growth=growth,
        growth_p=p,
        heaviest=float(heaviest),
        largest=(float(predicted[worst]), float(truth[worst])),
        positive=bool(truth.min() > 0),
        predicted=tuple(predicted[kept].tolist()),
        truth=tuple(truth[kept].tolist()),
    )


def residuals_findings(found: Residuals, loss: str) -> tuple[Finding, ...]:
    """Whether predictions are biased, errors grow with them, and a few errors are very large.

    Args:
        found: on the validation part.
        loss: what the network was trained on, as ``choose_loss`` returns it.
    """
    return _bias(found, loss), _growth(found), _large_errors(found, loss)


def _bias(found: Residuals, loss: str) -> Finding:
    topic = "bias"
    error = found.deviation / math.sqrt(found.n)
    rule = (
        f"On {found.n:,} validation rows truth minus prediction is {number(found.mean)} on average "
        f"(standard deviation {number(found.deviation)}), and half of the rows are within "
        f"{number(found.median_size)}; chance hardly moves the average beyond "
        f"{number(_BEYOND_CHANCE * error)} (three standard errors)."
    )
    if abs(found.mean) <= max(_BEYOND_CHANCE * error, _LARGE_BIAS * found.deviation):
        return Finding(topic, "none to speak of", rule, "Nothing to do.", True)
    verdict = f"predictions are too {'low' if found.mean > 0 else 'high'}"
    if loss != "mse":
        advice = "This loss aims at the median: where sums or means matter, pass --loss mse."
    else:
        advice = (
            f"See in the picture where; where sums or means matter, check on new rows whether "
            f"predictions are off by {number(found.mean)} there too, and add it."
        )
    return Finding(topic, verdict, rule, advice, False)


def _growth(found: Residuals) -> Finding:
    topic = "size of errors"
    if found.growth is None or found.growth_p is None:
        rule = "Errors or predictions are all the same, so that one cannot go with the other."
        return Finding(topic, "even", rule, "Nothing to do.", True)
    rule = (
        f"The size of the error and the prediction have a rank correlation of {found.growth:.2f}; "
        f"above {_GROWTH:g}, and beyond chance, errors grow with the prediction."
    )
    if found.growth <= _GROWTH or found.growth_p >= _SIGNIFICANT:
        return Finding(topic, "even", rule, "Nothing to do.", True)
    advice = "Large values have the most say in training: give them less with --loss mae or huber."
    if found.positive:
        advice = (
            "If shares matter more than differences, predict the logarithm: add it to the table as "
            "a column, make it the --target, and --drop the old one."
        )
    return Finding(topic, "grow with the prediction", rule, advice, False)


def _large_errors(found: Residuals, loss: str) -> Finding:
    topic = "large errors"
    rule = (
        f"The hundredth of the rows with the largest errors has {percent(found.heaviest)} of all "
        f"squared error; of normal errors it would have 8.5 %, and above {percent(_HEAVY)} is a "
        f"lot. The largest is that of a row predicted as {number(found.largest[0])}, which is "
        f"{number(found.largest[1])}."
    )
    if found.heaviest <= _HEAVY:
        return Finding(topic, "not out of the ordinary", rule, "Nothing to do.", True)
    against = "let them weigh less with --loss huber"
    if loss != "mse":
        against = "only columns that explain them help, since this loss weighs them little already"
    return Finding(
        topic,
        "a few weigh a lot",
        rule,
        f"Look at these rows first, for wrong values; if they are right, {against}.",
        False,
    )
