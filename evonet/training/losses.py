"""Losses and their gradients, in compiled loops."""

from __future__ import annotations

import math

import numpy as np

from evonet.training.compiling import compiled
from evonet.training.elementwise import exp
from evonet.training.tables import Rows

LOSSES = ("mse", "mae", "huber", "binary_crossentropy", "sparse_categorical_crossentropy")
_MSE, _MAE, _HUBER, _BINARY, _CLASSES = range(len(LOSSES))

F = np.float32
_ZERO, _HALF, _ONE, _TWO = F(0.0), F(0.5), F(1.0), F(2.0)


@compiled
def sum_losses(
    loss: int, outputs: np.ndarray, d: np.ndarray, rows: Rows, batch: np.ndarray, smoothing: float
) -> float:
    """The sum of the losses of a batch.

    Args:
        loss: place in ``LOSSES``.
        outputs: ``(n, n_outputs)`` of the network.
        d: ``(n, n_outputs)``; becomes the gradient of the mean loss by the outputs.
        rows: their truths and weights.
        batch: ``(n,)``, which of the rows these are.
        smoothing: of labels.
    """
    n, n_outputs = outputs.shape
    total, share = 0.0, _ONE / F(n)
    for r in range(n):
        y, weight = rows.y[batch[r]], rows.weight[batch[r]]
        out, error = outputs[r, 0], outputs[r, 0] - y
        if loss == _MSE:
            value, d[r, 0] = error * error, _TWO * error
        elif loss == _MAE:
            value, d[r, 0] = abs(error), _sign(error)
        elif loss == _HUBER:
            near = abs(error) <= _ONE
            value = _HALF * error * error if near else abs(error) - _HALF
            d[r, 0] = error if near else _sign(error)
        elif loss == _BINARY:
            truth = y * (_ONE - smoothing) + _HALF * smoothing
            value = (out if out > _ZERO else _ZERO) - out * truth + math.log1p(exp(-abs(out)))
            if out != out:
                value = out
            d[r, 0] = _ONE / (_ONE + exp(-out)) - truth
        else:
            value = _cross_entropy(outputs[r], d[r], int(y), smoothing)
        total += value * weight
        for j in range(n_outputs):
            d[r, j] *= weight * share
    return total


@compiled
def _cross_entropy(outputs: np.ndarray, d: np.ndarray, y: int, smoothing: float) -> float:
    """The cross-entropy of one row; ``d`` becomes its gradient by the outputs."""
    n = len(outputs)
    highest, total, value = outputs[0], _ZERO, _ZERO
    for j in range(n):
        highest = outputs[j] if outputs[j] > highest else highest
    for j in range(n):
        d[j] = exp(outputs[j] - highest)
        total += d[j]
    log_total, share = F(math.log(total)), smoothing / F(n)
    for j in range(n):
        truth = share + (_ONE - smoothing if j == y else _ZERO)
        value += truth * (log_total - (outputs[j] - highest))
        d[j] = d[j] / total - truth
    return value


@compiled
def _sign(x: float) -> float:
    return _ONE if x > _ZERO else (-_ONE if x < _ZERO else _ZERO)
