"""Several networks that predict together: greedy selection (Caruana et al. 2004).

https://doi.org/10.1145/1015330.1015432. The network is added that helps most, as often as it does,
and the mean of all that were added is what predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from scipy.special import huber

from evonet.data.dataset import Dataset
from evonet.metrics import FEW_ROWS, Metric, score

#: Additions of a network, counting repeats. Untuned.
_ADDITIONS = 25
#: Keeps the logarithm of a probability finite.
_LEAST_PROBABILITY = 1e-7

#: Predictions as ``Target.predictions`` gives them to what is wrong with them: less is better.
Criterion = Callable[[np.ndarray], float]


#: Losses of quantities, of errors in standard deviations of the target.
_LOSSES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "mse": np.square,
    "mae": np.abs,
    "huber": partial(huber, 1.0),
}


def criterion_on_validation(dataset: Dataset, metric: Metric, loss: str) -> Criterion:
    """What an ensemble is chosen by: the metric, or the loss where rows are few and it tells more.

    As the final fits of one network are, see ``fitting.best_fit``.

    Args:
        dataset: its validation part.
        metric: the run's.
        loss: the run's, as ``choose_loss`` returns it.

    Returns:
        A function of predictions of the validation part, ``(n, n_classes)`` or ``(n,)`` float64;
        infinite where the metric is not finite.
    """
    part, target = dataset.validation, dataset.target
    if len(part) >= FEW_ROWS:

        def behind(p: np.ndarray) -> float:
            value = score(metric, target, part.y, p)
            return np.inf if value is None else -metric.sign * value

        return behind
    truth, weight = target.truth(part.y), part.weight
    if target.task == "regression":
        of_errors = _LOSSES[loss]
        return lambda p: float(np.average(of_errors((p - truth) / target.scale), weights=weight))
    rows = np.arange(len(truth))

    def cross_entropy(p: np.ndarray) -> float:
        return float(
            np.average(-np.log(np.maximum(p[rows, truth], _LEAST_PROBABILITY)), weights=weight)
        )

    return cross_entropy


def greedy_shares(predictions: Sequence[np.ndarray], criterion: Criterion) -> list[float]:
    """The share of each network in the best ensemble that greedy selection comes by.

    Args:
        predictions: of each network ``(n, n_classes)`` or ``(n,)`` float64, the best first.
        criterion: of their weighted mean.

    Returns:
        Shares that sum to 1; one alone has all where no mixture was better, the first where nothing
        is finite.

    Example:
        >>> high, low = np.array([3.0]), np.array([0.0])
        >>> greedy_shares([high, low], lambda p: abs(p[0] - 1.0))
        [0.3333333333333333, 0.6666666666666666]
    """
    counts = np.zeros(len(predictions), int)
    total = np.zeros_like(predictions[0], dtype=np.float64)
    best, best_counts = np.inf, np.eye(1, len(counts), dtype=int)[0]  # all weight on the first
    for n in range(1, _ADDITIONS + 1):
        worths = [criterion((total + p) / n) for p in predictions]
        chosen = int(np.argmin(worths))
        counts[chosen] += 1
        total = total + predictions[chosen]
        if worths[chosen] < best:
            best, best_counts = worths[chosen], counts.copy()
    return (best_counts / best_counts.sum()).tolist()


def mixture(predictions: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    """The mean of predictions ``(n, n_classes)`` or ``(n,)`` float64, each by its share."""
    return np.sum([share * p for share, p in zip(shares, predictions, strict=True)], axis=0)
