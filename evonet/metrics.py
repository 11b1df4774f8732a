"""The metrics a run can improve. Each is scikit-learn's own function on the same arguments."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np

from evonet.errors import ConfigError

if TYPE_CHECKING:
    from evonet.data.target import Target

#: The lower and the upper end of a 95 % interval.
Interval = tuple[float, float]
#: Samples of a bootstrap: its ends are known to about a tenth of its width.
_RESAMPLES = 200
#: Rows of one: of ten classes, ROC AUC then takes some seconds.
_MOST_RESAMPLED = 2_000


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes:
        name: as in ``--metric``.
        maximise: whether higher is better.
        compute: (truth, predictions) to score. Classification: truth ``(n,)`` class indices,
            predictions ``(n, n_classes)`` probabilities. Regression: both ``(n,)``, in the
            target's own unit.
        limits: the least and the largest score there can be; intervals end there.
    """

    name: str
    maximise: bool
    compute: Callable[[np.ndarray, np.ndarray], float]
    limits: Interval = (-math.inf, math.inf)

    @property
    def sign(self) -> int:
        """1 or -1: what turns a score into a number of which more is better, and back."""
        return 1 if self.maximise else -1

    @property
    def perfect(self) -> float:
        """The best score there can be."""
        return self.limits[1] if self.maximise else self.limits[0]

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` beats score ``b``."""
        return self.sign * a > self.sign * b


def _accuracy(truth: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean(p.argmax(axis=1) == truth))


def _balanced_accuracy(truth: np.ndarray, p: np.ndarray) -> float:
    from sklearn.metrics import recall_score

    present = np.unique(truth)  # a class without rows has no recall
    return float(recall_score(truth, p.argmax(axis=1), labels=present, average="macro"))


def _f1_macro(truth: np.ndarray, p: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, p.argmax(axis=1), average="macro", zero_division=0.0))


def _log_loss(truth: np.ndarray, p: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    p = p.astype(np.float64)
    p /= p.sum(axis=1, keepdims=True)  # float32 probabilities sum to 1 only nearly
    return float(log_loss(truth, p, labels=np.arange(p.shape[1])))


def _roc_auc(truth: np.ndarray, p: np.ndarray) -> float:
    """One class against the rest, averaged over the classes that occur ("ovr", "macro")."""
    from sklearn.metrics import roc_auc_score

    if p.shape[1] == 2:
        return float(roc_auc_score(truth, p[:, 1]))
    return float(np.mean([roc_auc_score(truth == k, p[:, k]) for k in np.unique(truth)]))


def _rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(truth - prediction, dtype=np.float64))))


def _mae(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.mean(np.abs(truth - prediction), dtype=np.float64))


def _r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(truth, prediction))


CLASSIFICATION_METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True, _accuracy, (0.0, 1.0)),
        Metric("balanced_accuracy", True, _balanced_accuracy, (0.0, 1.0)),
        Metric("f1_macro", True, _f1_macro, (0.0, 1.0)),
        Metric("log_loss", False, _log_loss, (0.0, math.inf)),
        Metric("roc_auc", True, _roc_auc, (0.0, 1.0)),
    )
}
REGRESSION_METRICS = {
    metric.name: metric
    for metric in (
        Metric("rmse", False, _rmse, (0.0, math.inf)),
        Metric("mae", False, _mae, (0.0, math.inf)),
        Metric("r2", True, _r2, (-math.inf, 1.0)),
    )
}
METRICS = CLASSIFICATION_METRICS | REGRESSION_METRICS


def score(
    metric: Metric, target: Target, encoded: np.ndarray, predictions: np.ndarray
) -> float | None:
    """The score of some predictions, or None where they or it are not finite.

    Args:
        metric: what to compute.
        target: what is predicted.
        encoded: ``(n,)`` what is true, as ``Target.encode`` returns it.
        predictions: as ``Target.predictions`` returns them.
    """
    if not np.isfinite(predictions).all():
        return None
    value = metric.compute(target.truth(encoded), predictions)
    return value if np.isfinite(value) else None


def score_interval(
    metric: Metric, truth: np.ndarray, predictions: np.ndarray, rng: np.random.Generator
) -> Interval | None:
    """The 95 % interval of the score on all rows that these are a sample of.

    Of an accuracy it is Wilson's for a proportion (1927, Probable Inference, the Law of
    Succession, and Statistical Inference, https://doi.org/10.1080/01621459.1927.10502953), which
    holds where all predictions are right, too. Of any other score it is the percentile bootstrap
    (Efron & Tibshirani 1993, ch. 13), for many rows of smaller samples, whose spread is then
    larger by the root of the ratio (Bickel et al. 1997, Resampling Fewer Than n Observations).

    Args:
        metric: what the score is.
        truth: as ``Metric.compute`` takes it, one row at least.
        predictions: of the same rows.
        rng: draws the resamples.

    Returns:
        None where resamples do not differ, or have no score: of perfect predictions a bootstrap
        learns nothing.
    """
    from scipy.stats import binomtest

    n, whole = len(truth), metric.compute(truth, predictions)
    if metric.name == "accuracy":
        wilson = binomtest(round(n * whole), n).proportion_ci(method="wilson")
        return float(wilson.low), float(wilson.high)
    n_drawn = min(n, _MOST_RESAMPLED)
    draws = (rng.integers(n, size=n_drawn) for _ in range(_RESAMPLES))
    with warnings.catch_warnings():  # of a resample that lacks a class, say, which counts for none
        warnings.simplefilter("ignore")
        scores = np.asarray([metric.compute(truth[rows], predictions[rows]) for rows in draws])
    known = scores[np.isfinite(scores)]
    if not len(known) or known.min() == known.max():
        return None
    low, high = whole + (np.quantile(known, [0.025, 0.975]) - whole) * math.sqrt(n_drawn / n)
    return _within(metric.limits, float(low), float(high))


#: A score on fewer validation rows is noisy: of 5,000, an accuracy of 0.9 is known to 0.008 (95 %).
FEW_ROWS = 5_000


def mean_interval(
    scores: Sequence[float], of_folds: bool = False, limits: Interval = (-math.inf, math.inf)
) -> Interval | None:
    """The 95 % interval of the mean of some scores (Student's t); None below two.

    Args:
        scores: to be averaged.
        of_folds: whether they are of the folds of a cross-validation; see ``variance_of_mean``.
        limits: the least and the largest score there can be.
    """
    from scipy.stats import t

    if len(scores) < 2:
        return None
    share = variance_of_mean(len(scores), of_folds)
    half = float(t.ppf(0.975, len(scores) - 1)) * stdev(scores) * math.sqrt(share)
    mean = fmean(scores)
    return _within(limits, mean - half, mean + half)


def _within(limits: Interval, low: float, high: float) -> Interval:
    return max(low, limits[0]), min(high, limits[1])


def variance_of_mean(n: int, of_folds: bool) -> float:
    """The variance of a mean of ``n`` scores, in variances of one of them.

    The training parts of folds overlap, so that their scores err together: 1 / n becomes 1 / n
    plus validation rows over training rows (Nadeau & Bengio 2003, Inference for the Generalization
    Error, https://doi.org/10.1023/A:1024068626366).

    Example:
        >>> variance_of_mean(4, of_folds=False), variance_of_mean(5, of_folds=True)
        (0.25, 0.45)
    """
    return 1 / n + (1 / (n - 1) if of_folds else 0.0)


def metrics_of(target: Target) -> dict[str, Metric]:
    """The metrics that fit the target's task, by name; the first is the default."""
    return REGRESSION_METRICS if target.task == "regression" else CLASSIFICATION_METRICS


def choose_metric(name: str, target: Target) -> Metric:
    """The metric of that name, or the task's default for "auto".

    Raises:
        ConfigError: the metric does not fit the task.
    """
    fitting = metrics_of(target)
    if name == "auto":
        return next(iter(fitting.values()))
    if name not in fitting:
        raise ConfigError(
            f"metric {name} does not fit a {target.task} target; "
            f"expected one of {', '.join(fitting)}. Change --metric, or --task."
        )
    return fitting[name]
