"""The arithmetic behind the figures: floating-point operations, rates, intervals, correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evonet.genome import Genome


def multiply_adds(genome: Genome, n_inputs: int, n_outputs: int) -> int:
    """Multiply-adds of the matrix products that carry one row forward: one for each weight.

    Biases, activations and what else a layer may do besides its product are not counted.
    """
    units = [*(layer.units for layer in genome.layers), n_outputs]
    return sum(n * m for n, m in zip(genome.fan_ins(n_inputs), units, strict=True))


def training_flops(multiply_adds: int, train_rows: int, validation_rows: int, epochs: int) -> int:
    """Floating-point operations of a training that nothing can avoid, by the usual count.

    A multiply-add is two operations. Forward takes one product, backward two (the gradients of
    the weights and of the inputs), validation one.
    """
    return 2 * multiply_adds * (3 * train_rows + validation_rows) * epochs


def first_layer_flops(genome: Genome, n_inputs: int, train_rows: int, epochs: int) -> int:
    """The part of ``training_flops`` that an engine can leave out after all.

    Nobody needs the gradient of the network's own inputs: one product of the first layer less.
    """
    first = genome.layers[0].units if genome.layers else 0
    return 2 * n_inputs * first * train_rows * epochs


def per_minute(process_seconds: float, loop_seconds: float, measured: int, wanted: int) -> float:
    """Candidates a minute of a whole process that trains ``wanted`` of them.

    Args:
        process_seconds: from the start of the measured process to its end.
        loop_seconds: the share of it that grows with the candidates.
        measured: candidates of the measured process.
        wanted: candidates of the process that the figure is for.

    Example:
        >>> per_minute(process_seconds=15, loop_seconds=10, measured=5, wanted=50)
        28.571428571428573
    """
    return 60 * wanted / (process_seconds - loop_seconds + loop_seconds * wanted / measured)


def growth_against_work(seconds: Sequence[float], work: Sequence[float]) -> list[float | None]:
    """How much more each step up costs than its work grows; None for the first step.

    Example:
        >>> growth_against_work([1, 2, 12], [10, 20, 40])  # the last step is a cliff
        [None, 1.0, 3.0]
    """
    steps = zip(pairwise(seconds), pairwise(work), strict=True)
    return [None, *((t2 / t1) / (w2 / w1) for (t1, t2), (w1, w2) in steps)]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean with Student's interval; it needs two values at least."""
    from scipy.stats import t

    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    half = float(t.ppf(0.975, len(x) - 1)) * float(x.std(ddof=1)) / len(x) ** 0.5
    return Interval(mean, mean - half, mean + half)


def rank_correlation(a: Sequence[float], b: Sequence[float], resamples: int = 1000) -> Interval:
    """Spearman's rank correlation of two lists of scores, pair by pair.

    The interval is the percentile bootstrap over the pairs (Efron & Tibshirani 1993, ch. 13).
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    rng = np.random.default_rng(0)
    draws = (rng.integers(len(x), size=len(x)) for _ in range(resamples))
    resampled = [_spearman(x[rows], y[rows]) for rows in draws]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Interval(_spearman(x, y), float(low), float(high))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of the ranks, ties at their mean rank; NaN where all values tie."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(x), rankdata(y)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / spread) if spread > 0 else float("nan")
