"""Losses as shares of what a constant guess loses, the *relative loss*.

0 is a perfect network,
1 one that has learned nothing. Of mean squared errors this is 1 - R², of the cross-entropy 1 minus
the R² of McFadden 1974.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evonet.data.dataset import Dataset


@dataclass(frozen=True)
class RelativeLoss:
    """The mean loss of a part and of a constant guess there.

    Attributes:
        loss: of the network, without dropout and noise.
        constant: of the constant guess.
        ratio: one over the other.
        error: standard error of the ratio.
        n: rows.
    """

    loss: float
    constant: float
    ratio: float
    error: float
    n: int

    @classmethod
    def of(cls, losses: np.ndarray, constant: np.ndarray) -> RelativeLoss:
        """That of rows.

        The standard error is that of a ratio of means (Cochran 1977, Sampling Techniques, 2.11).

        Args:
            losses: ``(n,)`` of the network.
            constant: ``(n,)`` of the constant guess.
        """
        own, other, n = losses.mean(dtype=float), constant.mean(dtype=float), len(losses)
        if not other > 0:  # rows that a constant guess predicts without a loss
            return cls(float(own), float(other), 1.0, 0.0, n)
        ratio = float(own / other)
        residuals = (losses - ratio * constant) / other
        error = float(residuals.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        return cls(float(own), float(other), ratio, error, n)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; None for an error that is not known."""
        return {**asdict(self), "error": self.error if math.isfinite(self.error) else None}


def constant_outputs(dataset: Dataset, loss: str, smoothing: float) -> np.ndarray:
    """``(n_outputs,)`` float32 outputs of the network that always guesses the same.

    It guesses the shares of the classes in the training part, with the weights and the label
    smoothing of training, or the mean, and the median where the loss is not squared: the best guess
    of absolute errors, and nearly that of Huber's loss.

    Args:
        dataset: its training part.
        loss: as ``choose_loss`` returns it.
        smoothing: of labels, see ``Genome``.
    """
    part, target = dataset.train, dataset.target
    if target.task == "regression":
        middle = np.mean(part.y) if loss == "mse" else np.median(part.y)
        return np.asarray([middle], np.float32)
    n_classes = len(target.classes)
    counts = np.bincount(part.y, part.weight, n_classes)
    counts = np.maximum(counts, 0.5)  # a class that the part lacks is not impossible
    shares = counts / counts.sum() * (1 - smoothing) + smoothing / n_classes
    logits = np.log(shares)
    return np.asarray(logits[1:] - logits[0] if target.task == "binary" else logits, np.float32)
