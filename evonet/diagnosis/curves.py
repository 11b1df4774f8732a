"""What learning curves say. The names of the verdicts are those of Brownlee 2019,
https://machinelearningmastery.com/learning-curves-for-diagnosing-machine-learning-model-performance

Losses on the way cannot be compared: that of the training part is measured with dropout and noise,
while weights still change. So the gap between the parts is that of the kept weights, without both.

Losses are relative to a constant guess's, see ``losses.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evonet.diagnosis.finding import Finding
from evonet.diagnosis.losses import RelativeLoss
from evonet.phrases import percent
from evonet.report.words import number

#: The lowest loss lies in the last tenth of the epochs, and the last fifth brought it down by one
#: hundredth of a constant guess's. Untuned.
_LATE, _RECENT, _STILL_FALLING = 10, 5, 0.01
#: A network that keeps more than this of a constant guess's loss has learned too little. Untuned.
_UNDERFIT = 0.9
#: What is lost from one part to the other, as a share of what was learned. Untuned.
_LARGE_GAP = 0.2
#: Half of the 95 % interval of the validation loss, as a share of what was learned. Untuned.
_UNSURE = 0.25
#: How far validation losses rise after the kept epoch, in losses of a constant guess. Untuned.
_TURNED = 0.02
#: Standard errors that chance hardly exceeds: of a gap, and of one the other way round, which the
#: choice of fit and epoch on the validation part makes likelier.
_BEYOND_CHANCE, _FAR_BEYOND_CHANCE = 1.96, 3.0

TOPIC = "learning curves"


@dataclass(frozen=True)
class Learned:
    """What the rules look at; see ``curves_finding``.

    Attributes:
        n_epochs: epochs of the fit.
        best_epoch: the epoch whose weights are kept, from 1.
        train: of the kept weights on the training part.
        validation: of the kept weights on the validation part.
        fall: see ``recent_fall``.
        rise: see ``later_rise``.
    """

    n_epochs: int
    best_epoch: int
    train: RelativeLoss
    validation: RelativeLoss
    fall: float
    rise: float

    @property
    def learned(self) -> float:
        """What the network took off a constant guess's loss on the training part."""
        return max(0.0, 1 - self.train.ratio)

    @property
    def gap(self) -> float:
        """How much larger the relative loss is on the validation part."""
        return self.validation.ratio - self.train.ratio

    @property
    def gap_error(self) -> float:
        """Standard error of the gap."""
        return math.hypot(self.train.error, self.validation.error)

    @property
    def unsure(self) -> float:
        """Half of the 95 % interval of the relative validation loss."""
        return _BEYOND_CHANCE * self.validation.error

    @property
    def late(self) -> int:
        """How many of the last epochs count as the end of the fit."""
        return max(1, self.n_epochs // _LATE)


#: A verdict, the rule with its numbers, and advice; None where the rule does not hold.
Judged = tuple[str, str, str] | None


def curves_finding(
    validation_curve: Sequence[float],
    best_epoch: int,
    train: RelativeLoss,
    validation: RelativeLoss,
) -> Finding:
    """The first verdict of ``RULES`` whose rule holds; "good fit" where none does.

    Args:
        validation_curve: loss after each epoch, one at least.
        best_epoch: the epoch whose weights are kept, from 1.
        train: of the kept weights on the training part.
        validation: of the kept weights on the validation part.
    """
    fit = Learned(
        len(validation_curve),
        best_epoch,
        train,
        validation,
        recent_fall(validation_curve, validation.constant),
        later_rise(validation_curve, best_epoch, validation.constant),
    )
    verdict, rule, advice = next(filter(None, (rule(fit) for rule in RULES)), _good(fit))
    where = (
        f"With the weights of epoch {best_epoch} of {fit.n_epochs}, without dropout and noise, the "
        f"loss is {_said(train)} on the training part and {_said(validation)} on the validation "
        "part."
    )
    return Finding(TOPIC, verdict, f"{where} {rule}", advice, verdict == GOOD)


def _still_improving(fit: Learned) -> Judged:
    if fit.best_epoch <= fit.n_epochs - fit.late or fit.fall < _STILL_FALLING:
        return None
    return (
        "still improving",
        f"The lowest validation loss is at the end (epoch {fit.best_epoch} of {fit.n_epochs}), and "
        f"the last fifth of the epochs brought it down by {percent(fit.fall)} of a constant "
        f"guess's; {percent(_STILL_FALLING)} or more is still improving.",
        f"Fit it for longer: evonet train with the run's best_genome.json and --final-epochs "
        f"{2 * fit.n_epochs}.",
    )


def _underfit(fit: Learned) -> Judged:
    if fit.train.ratio <= _UNDERFIT:
        return None
    rule = (
        f"Even on the rows it learned from it keeps more than {percent(_UNDERFIT)} of what a "
        "constant guess loses."
    )
    if fit.rise >= _TURNED:
        return (
            "underfit",
            f"{rule} After that epoch the validation loss rose by {percent(fit.rise)} of it.",
            "What it learned later held on the training rows alone: check the labels, add columns "
            "that tell more, or get more rows.",
        )
    return (
        "underfit",
        rule,
        "Search larger networks and other learning rates, or add columns that tell more; if the "
        "linear baseline is as good, the columns at hand may hold no more.",
    )


def _easy_validation(fit: Learned) -> Judged:
    lead = -fit.gap
    if lead <= _FAR_BEYOND_CHANCE * fit.gap_error or lead <= _LARGE_GAP * fit.learned:
        return None
    return (
        "unrepresentative validation part",
        f"The validation rows are easier by {percent(lead)} of a constant guess's loss; chance "
        f"hardly goes beyond {percent(_FAR_BEYOND_CHANCE * fit.gap_error)} (three standard "
        "errors).",
        "Score on all rows in turn with --folds 5, and look for rows that stand in both parts.",
    )


def _small_validation(fit: Learned) -> Judged:
    if fit.unsure <= _UNSURE * fit.learned:
        return None
    return (
        "unrepresentative validation part",
        f"On {fit.validation.n:,} rows the validation loss is known to ± {percent(fit.unsure)} of "
        f"a constant guess's (95 %), more than a quarter of the {percent(fit.learned)} that the "
        "network took off it: too few rows to tell one fit from another.",
        "Score on all rows in turn with --folds 5, or get more rows.",
    )


def _large_gap(fit: Learned) -> str | None:
    """The rule in words where too much of what was learned does not hold elsewhere."""
    if fit.gap <= _BEYOND_CHANCE * fit.gap_error or fit.gap <= _LARGE_GAP * fit.learned:
        return None
    return (
        f"Of the {percent(fit.learned)} that the network took off a constant guess's loss on the "
        f"training part, {percent(fit.gap)} do not hold on the validation part: more than a fifth, "
        f"and more than chance does ({percent(_BEYOND_CHANCE * fit.gap_error)}, 95 %)."
    )


def _overfit(fit: Learned) -> Judged:
    if (rule := _large_gap(fit)) is None or fit.rise < _TURNED:
        return None
    return (
        "overfit",
        f"{rule} After epoch {fit.best_epoch} the validation loss rose by {percent(fit.rise)} of a "
        f"constant guess's; {percent(_TURNED)} or more is a turn.",
        "Regularise: search with more dropout and weight decay or fewer units (--max-parameters), "
        "or get more rows; stopping early alone has not closed the gap.",
    )


def _unrepresentative_training(fit: Learned) -> Judged:
    if (rule := _large_gap(fit)) is None or fit.rise >= _TURNED:
        return None
    return (
        "unrepresentative training part",
        f"{rule} Yet after epoch {fit.best_epoch} the validation loss did not turn: it rose by "
        f"{percent(fit.rise)} of a constant guess's, and {percent(_TURNED)} would be overfitting.",
        "More training rows help most, dropout or weight decay next; see that the parts are alike, "
        "as rows of one person or one day in one part alone make them differ.",
    )


def _good(fit: Learned) -> tuple[str, str, str]:
    within = f"at most a fifth of the {percent(fit.learned)} that the network took off it"
    if fit.gap > _LARGE_GAP * fit.learned:
        within = f"which may be chance ({percent(_BEYOND_CHANCE * fit.gap_error)}, 95 %)"
    return (
        GOOD,
        f"The parts differ by {percent(abs(fit.gap))} of a constant guess's loss, {within}.",
        "Nothing to do: what it learned on the training part holds on the validation part.",
    )


GOOD = "good fit"
#: In their order: the first that holds is the verdict.
RULES: tuple[Callable[[Learned], Judged], ...] = (
    _still_improving,
    _underfit,
    _easy_validation,
    _overfit,
    _unrepresentative_training,
    _small_validation,
)


def recent_fall(curve: Sequence[float], before: float) -> float:
    """How far the last fifth of the epochs brought the lowest loss down, as a share of ``before``.

    Args:
        curve: loss after each epoch, one at least.
        before: the loss before the first epoch: a constant guess's.

    Example:
        >>> recent_fall([1.0, 0.8, 0.7, 0.6, 0.5], before=2.0)
        0.05
    """
    recent = math.ceil(len(curve) / _RECENT)
    lowest = min(curve[:-recent], default=before)
    return round((lowest - min(lowest, *curve)) / before, 12) if before > 0 else 0.0


def later_rise(curve: Sequence[float], best_epoch: int, unit: float) -> float:
    """How far the losses after an epoch are above those around it, as a share of ``unit``.

    Medians, of the last half of the epochs after it and of up to five around it, so that neither
    a lucky epoch nor a jump is a turn; 0 where no epoch follows.

    Example:
        >>> later_rise([1.0, 0.5, 0.6, 0.7, 0.9], 2, unit=2.0)
        0.075
    """
    later, at = curve[best_epoch:], best_epoch - 1
    if not later or not unit > 0:
        return 0.0
    around, late = curve[max(0, at - 2) : at + 3], later[len(later) // 2 :]
    return max(0.0, round(float(np.median(late) - np.median(around)) / unit, 12))


def _said(part: RelativeLoss) -> str:
    share = f"{percent(part.ratio)} of a constant guess's ({number(part.constant)})"
    return f"{number(part.loss)}, {share},"
