"""The fused trainer on a CPU: a whole epoch of any network in one call of compiled loops.

Numba compiles the functions below once for a machine; the network is data: tables (tables.py)
say how wide each layer is and what it does, and every array of a training lies in one flat buffer.
Nothing is padded and nothing is compiled for a new genome. Products go by tiles (products.py);
everything else is a few loops that the compiler turns into vector instructions (elementwise.py,
losses.py). The forward pass keeps the slope of every unit, dropout included, so that the backward
pass is one multiplication however the unit was activated.
"""

from __future__ import annotations

import math

import numpy as np

from evonet.genome.genes import NORMALISATIONS
from evonet.training.compiling import compiled, summing
from evonet.training.elementwise import (
    activate,
    add_noise,
    before_batch_normalisation,
    before_layer_normalisation,
    drop,
    normalise_batch,
    normalise_layer,
    scrambled,
)
from evonet.training.losses import sum_losses
from evonet.training.products import Blas, add_product, product_at, product_bt
from evonet.training.tables import Network, Rows, Weights, Work

_LAYER = NORMALISATIONS.index("layer")
#: Whether a batch is trained on; as literals, each would be compiled for itself.
_TRAINING, _VALIDATING = np.bool_(True), np.bool_(False)

F = np.float32
U = np.uint32
_ZERO, _ONE = F(0.0), F(1.0)

# ---- an epoch ----


@compiled
def train_epoch(
    blas: Blas,
    network: Network,
    weights: Weights,
    work: Work,
    rows: Rows,
    order: np.ndarray,
    batch_size: int,
    coefficients: np.ndarray,
    loss: int,
    numbers: np.ndarray,
    key: int,
    first_step: int,
) -> float:
    """Train one epoch, in place.

    Args:
        blas: multiplies.
        network: what to train.
        weights: changed by every step.
        work: buffers with room for ``batch_size`` rows.
        rows: the training part.
        order: ``(n,)`` the order in which its rows are visited.
        batch_size: rows per step; the last one may have fewer.
        coefficients: ``(steps, 10)`` float32, of the optimizer; see optimizers.py.
        loss: place in ``LOSSES``.
        numbers: ``(3,)`` float32: label smoothing, input noise, clipping norm.
        key: of dropout and noise.
        first_step: steps done before this epoch.

    Returns:
        Mean loss of the rows, each as it was before the step that learned from it.
    """
    total, n = 0.0, len(order)
    for i in range(len(coefficients)):
        batch = order[i * batch_size : min(n, (i + 1) * batch_size)]
        step_key = scrambled(U(key) + U(first_step + i))
        n_rows, n_inputs = len(batch), network.fan_in[0]
        x = _matrix(work.received, 0, n_rows, n_inputs)
        _take_rows(rows.x, batch, x)
        if numbers[1] > 0:
            add_noise(x, numbers[1], step_key)
        _forward(blas, network, weights, work, n_rows, _TRAINING, step_key)
        total += _loss(network, work, rows, batch, loss, numbers[0])
        _backward(blas, network, weights, work, n_rows)
        scale = _clipped(work.gradient, numbers[2]) if numbers[2] > 0 else _ONE
        _update(weights, work.gradient, coefficients[i], scale)
    return total / n


@compiled
def validate(
    blas: Blas,
    network: Network,
    weights: Weights,
    work: Work,
    rows: Rows,
    batch_size: int,
    loss: int,
    smoothing: float,
    outputs: np.ndarray,
) -> float:
    """Fill ``outputs`` ``(n, n_outputs)`` for some rows; returns their mean loss."""
    total, n, last = 0.0, len(rows.y), len(network.units) - 1
    order = np.arange(n)
    for first in range(0, n, batch_size):
        batch = order[first : min(n, first + batch_size)]
        x = _matrix(work.received, 0, len(batch), network.fan_in[0])
        _take_rows(rows.x, batch, x)
        _forward(blas, network, weights, work, len(batch), _VALIDATING, U(0))
        at = network.passed[last] * len(batch)
        _copy_columns(_matrix(work.z, at, len(batch), network.units[last]), outputs, first, 0)
        total += _loss(network, work, rows, batch, loss, F(smoothing))
    return total / n


# ---- forward ----


@compiled
def _forward(
    blas: Blas, network: Network, weights: Weights, work: Work, n: int, training: bool, key: int
) -> None:
    """Fill ``z``, ``slope`` and ``received`` from the inputs, which are received already."""
    last = len(network.units) - 1
    for layer in range(last + 1):
        fan_in, units = network.fan_in[layer], network.units[layer]
        kernel, at = network.kernel[layer], n * network.passed[layer]
        received = _matrix(work.received, n * network.received[layer], n, fan_in)
        z = _matrix(work.z, at, n, units)
        bias = kernel + fan_in * units
        _fill_rows(z, weights.learned[bias : bias + units])
        add_product(blas, received, _matrix(weights.learned, kernel, fan_in, units), z)
        if layer == last:
            return
        y = work.z[at : at + n * units]
        if network.normalisation[layer] > 0:
            y = work.y[: n * units]
            scale = weights.learned[bias + units : bias + 2 * units]
            offset = weights.learned[bias + 2 * units : bias + 3 * units]
            inverse_deviation = work.inverse_deviation[layer]
            if network.normalisation[layer] == _LAYER:
                normalise_layer(z, inverse_deviation)
            else:
                moving = network.moving[layer]
                mean = weights.moving[moving : moving + units]
                variance = weights.moving[moving + units : moving + 2 * units]
                normalise_batch(z, inverse_deviation, mean, variance, training)
            _scale_rows(z, scale, offset, y.reshape(n, units))
        slope = work.slope[at : at + n * units]
        passed = work.received[n * network.received[layer + 1] :]
        skip = network.skip[layer]
        if skip:
            passed = work.d  # not in use before the backward pass
        a = passed[: n * units]
        activate(network.activation[layer], y, a, slope)
        if training and network.dropout[layer] > 0:
            drop(
                a.reshape(n, units), slope.reshape(n, units), network.dropout[layer], key, layer + 1
            )
        if skip:
            width = units + fan_in
            both = _matrix(work.received, n * network.received[layer + 1], n, width)
            _copy_columns(a.reshape(n, units), both, 0, 0)
            _copy_columns(received, both, 0, units)


@compiled
def _take_rows(x: np.ndarray, index: np.ndarray, taken: np.ndarray) -> None:
    for r in range(len(index)):
        row, place = x[index[r]], taken[r]
        for j in range(len(row)):
            place[j] = row[j]


@compiled
def _copy_columns(x: np.ndarray, place: np.ndarray, row: int, column: int) -> None:
    for r in range(x.shape[0]):
        for j in range(x.shape[1]):
            place[row + r, column + j] = x[r, j]


@compiled
def _fill_rows(z: np.ndarray, row: np.ndarray) -> None:
    for r in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[r, j] = row[j]


@compiled
def _scale_rows(z: np.ndarray, scale: np.ndarray, offset: np.ndarray, y: np.ndarray) -> None:
    for r in range(z.shape[0]):
        for j in range(z.shape[1]):
            y[r, j] = z[r, j] * scale[j] + offset[j]


# ---- backward ----


@compiled
def _loss(
    network: Network, work: Work, rows: Rows, batch: np.ndarray, loss: int, smoothing: float
) -> float:
    """Sum of the losses of a batch; ``d`` becomes the gradient of their mean by the outputs."""
    last, n = len(network.units) - 1, len(batch)
    outputs = _matrix(work.z, n * network.passed[last], n, network.units[last])
    return sum_losses(
        loss, outputs, _matrix(work.d, 0, n, network.units[last]), rows, batch, smoothing
    )


@compiled
def _backward(blas: Blas, network: Network, weights: Weights, work: Work, n: int) -> None:
    """Fill ``gradient`` from ``d``, the gradient by the outputs."""
    last = len(network.units) - 1
    d, d_before = work.d, work.d_before
    for back in range(last + 1):
        layer = last - back
        fan_in, units, live = network.fan_in[layer], network.units[layer], network.live[layer]
        kernel, at = network.kernel[layer], n * network.passed[layer]
        bias = kernel + fan_in * units
        passed = _matrix(d, 0, n, units)
        dz = passed
        if layer < last:
            passed = _matrix(d, 0, n, network.live[layer + 1])
            dz = _matrix(work.y, 0, n, units)
            _times(passed, _matrix(work.slope, at, n, units), dz)
            if network.normalisation[layer] > 0:
                z = _matrix(work.z, at, n, units)
                inverse_deviation = work.inverse_deviation[layer]
                scale = weights.learned[bias + units : bias + 2 * units]
                d_scale = work.gradient[bias + units : bias + 2 * units]
                d_offset = work.gradient[bias + 2 * units : bias + 3 * units]
                _sum_rows_of_product(dz, z, d_scale)
                _sum_rows(dz, d_offset)
                if network.normalisation[layer] == _LAYER:
                    before_layer_normalisation(dz, z, scale, inverse_deviation)
                else:
                    before_batch_normalisation(dz, z, scale, inverse_deviation, d_scale, d_offset)
        received = _matrix(work.received, n * network.received[layer], n, fan_in)
        product_at(blas, received, dz, _matrix(work.gradient, kernel, fan_in, units))
        _sum_rows(dz, work.gradient[bias : bias + units])
        if live > 0:
            before = _matrix(d_before, 0, n, live)
            product_bt(blas, dz, _matrix(weights.learned, kernel, live, units), before)
            if network.skip[layer]:
                for r in range(n):
                    for j in range(live):
                        before[r, j] += passed[r, units + j]
            d, d_before = d_before, d


@compiled
def _times(d: np.ndarray, slope: np.ndarray, dz: np.ndarray) -> None:
    """``dz = d * slope`` for the columns that ``dz`` has."""
    for r in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            dz[r, j] = d[r, j] * slope[r, j]


@compiled
def _sum_rows(d: np.ndarray, total: np.ndarray) -> None:
    for j in range(len(total)):
        total[j] = _ZERO
    for r in range(d.shape[0]):
        for j in range(d.shape[1]):
            total[j] += d[r, j]


@compiled
def _sum_rows_of_product(d: np.ndarray, z: np.ndarray, total: np.ndarray) -> None:
    for j in range(len(total)):
        total[j] = _ZERO
    for r in range(d.shape[0]):
        for j in range(d.shape[1]):
            total[j] += d[r, j] * z[r, j]


# ---- update ----


@summing
def _clipped(gradient: np.ndarray, norm: float) -> float:
    """What the gradient is multiplied with so that its length is at most ``norm``."""
    squares = _ZERO
    for i in range(len(gradient)):
        squares += gradient[i] * gradient[i]
    length = math.sqrt(squares)
    return norm / length if length > norm else _ONE


@compiled
def _update(weights: Weights, gradient: np.ndarray, row: np.ndarray, scale: float) -> None:
    """One step of the optimizer; see optimizers.py. Moments that it has not are not touched."""
    w, m, v = weights.learned, weights.m, weights.v
    a, b, c, d, p = row[0], row[1], row[2], row[3], row[4]
    q, s, inner, outer, keep = row[5], row[6], row[7], row[8], _ONE - row[9]
    if d == 0 and b == 0:
        for i in range(len(w)):
            w[i] = keep * w[i] - q * scale * gradient[i]
    elif d == 0:
        for i in range(len(w)):
            g = scale * gradient[i]
            m[i] = a * m[i] + b * g
            w[i] = keep * w[i] - (p * m[i] + q * g)
    elif b == 0:
        for i in range(len(w)):
            g = scale * gradient[i]
            v[i] = c * v[i] + d * g * g
            w[i] = keep * w[i] - q * g / (math.sqrt(s * v[i] + inner) + outer)
    else:
        for i in range(len(w)):
            g = scale * gradient[i]
            m[i] = a * m[i] + b * g
            v[i] = c * v[i] + d * g * g
            w[i] = keep * w[i] - (p * m[i] + q * g) / (math.sqrt(s * v[i] + inner) + outer)


@compiled
def _matrix(flat: np.ndarray, at: int, n: int, m: int) -> np.ndarray:
    return flat[at : at + n * m].reshape(n, m)
