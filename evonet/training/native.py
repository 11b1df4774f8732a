"""The fused trainer on a CPU: a whole epoch of any network in one call of compiled loops.

Numba compiles the functions below once for a machine; the network is data: tables say how wide
each layer is and what it does, and every array of a training lies in one flat buffer. Nothing is
padded and nothing is compiled for a new genome. Products go to BLAS (products.py); everything else
is a few loops that the compiler turns into vector instructions (elementwise.py). The forward pass
keeps the slope of every unit, dropout included, so that the backward pass is one multiplication
however the unit was activated.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from evonet.genome.genes import NORMALISATIONS
from evonet.training.compiling import compiled, summing
from evonet.training.elementwise import (
    activate,
    add_noise,
    before_batch_normalisation,
    before_layer_normalisation,
    drop,
    exp,
    normalise_batch,
    normalise_layer,
    scrambled,
)
from evonet.training.products import Blas, add_product, product_at, product_bt

LOSSES = ("mse", "mae", "huber", "binary_crossentropy", "sparse_categorical_crossentropy")
_LAYER = NORMALISATIONS.index("layer")
_MSE, _MAE, _HUBER, _BINARY, _CLASSES = range(len(LOSSES))
#: Whether batches are learned from; as literals, each would be compiled for itself.
_LEARNING, _VALIDATING = np.bool_(True), np.bool_(False)

F = np.float32
U = np.uint32
_ZERO, _HALF, _ONE, _TWO = F(0.0), F(0.5), F(1.0), F(2.0)


class Network(NamedTuple):
    """A network as tables, with an entry for each hidden layer and, last, the output layer.

    Attributes:
        fan_in: ``(layers,)`` int64, numbers a layer receives.
        live: ``(layers,)`` int64, how many of them come from hidden layers: these stand first, and
            only they have a gradient.
        units: ``(layers,)`` int64.
        activation: ``(layers,)`` int64, place in ``ACTIVATIONS``; not read for the output layer.
        normalisation: ``(layers,)`` int64, place in ``NORMALISATIONS``.
        skip: ``(layers,)`` bool, whether what it received goes on beside its outputs.
        dropout: ``(layers,)`` float32 rates.
        kernel: ``(layers,)`` int64, where its weights start among the learned ones: kernel
            ``(fan_in, units)``, bias ``(units,)``, and if it is normalised, scale and offset.
        moving: ``(layers,)`` int64, where mean and variance of its batch normalisation start.
        received: ``(layers,)`` int64, where what it receives starts, for one row.
        passed: ``(layers,)`` int64, where its own outputs start, for one row.
    """

    fan_in: np.ndarray
    live: np.ndarray
    units: np.ndarray
    activation: np.ndarray
    normalisation: np.ndarray
    skip: np.ndarray
    dropout: np.ndarray
    kernel: np.ndarray
    moving: np.ndarray
    received: np.ndarray
    passed: np.ndarray


class Weights(NamedTuple):
    """What a training changes; flat float32 arrays.

    Attributes:
        learned: ``(parameters,)``, layer after layer; see ``Network.kernel``.
        m: ``(parameters,)`` first moments of the optimizer, see optimizers.py.
        v: ``(parameters,)`` second moments.
        moving: running means and variances of batch normalisations.
    """

    learned: np.ndarray
    m: np.ndarray
    v: np.ndarray
    moving: np.ndarray


class Rows(NamedTuple):
    """Rows to train or validate on.

    Attributes:
        x: ``(n, n_inputs)`` float32.
        y: ``(n,)`` float32, class indices or numbers.
        weight: ``(n,)`` float32.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


class Work(NamedTuple):
    """Buffers of a pass over a batch.

    Attributes:
        received: what each layer receives.
        z: what each layer computes; normalised without scale and offset, where it is normalised.
        slope: derivative of each layer's outputs by what goes into its activation.
        spread: ``(layers, rows or units)``, 1 / deviation of each normalisation.
        y: ``(rows * units,)``, what goes into an activation behind a normalisation; in the backward
            pass the gradient by what a layer computes.
        d: gradient of what a layer passes on; in the forward pass what goes beside a skip.
        d_before: the same of the layer before it.
        gradient: ``(parameters,)``.
    """

    received: np.ndarray
    z: np.ndarray
    slope: np.ndarray
    spread: np.ndarray
    y: np.ndarray
    d: np.ndarray
    d_before: np.ndarray
    gradient: np.ndarray


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
        _forward(blas, network, weights, work, n_rows, _LEARNING, step_key)
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
    blas: Blas, network: Network, weights: Weights, work: Work, n: int, learning: bool, key: int
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
            spread = work.spread[layer]
            if network.normalisation[layer] == _LAYER:
                normalise_layer(z, spread)
            else:
                moving = network.moving[layer]
                mean = weights.moving[moving : moving + units]
                variance = weights.moving[moving + units : moving + 2 * units]
                normalise_batch(z, spread, mean, variance, learning)
            _scale_rows(z, scale, offset, y.reshape(n, units))
        slope = work.slope[at : at + n * units]
        passed = work.received[n * network.received[layer + 1] :]
        skip = network.skip[layer]
        if skip:
            passed = work.d  # not in use before the backward pass
        a = passed[: n * units]
        activate(network.activation[layer], y, a, slope)
        if learning and network.dropout[layer] > 0:
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
    n_outputs = network.units[last]
    outputs = _matrix(work.z, n * network.passed[last], n, n_outputs)
    d = _matrix(work.d, 0, n, n_outputs)
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
    log_total, spread = F(math.log(total)), smoothing / F(n)
    for j in range(n):
        truth = spread + (_ONE - smoothing if j == y else _ZERO)
        value += truth * (log_total - (outputs[j] - highest))
        d[j] = d[j] / total - truth
    return value


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
                z, spread = _matrix(work.z, at, n, units), work.spread[layer]
                scale = weights.learned[bias + units : bias + 2 * units]
                d_scale = work.gradient[bias + units : bias + 2 * units]
                d_offset = work.gradient[bias + 2 * units : bias + 3 * units]
                _sum_rows_of_product(dz, z, d_scale)
                _sum_rows(dz, d_offset)
                if network.normalisation[layer] == _LAYER:
                    before_layer_normalisation(dz, z, scale, spread)
                else:
                    before_batch_normalisation(dz, z, scale, spread, d_scale, d_offset)
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


@compiled
def _sign(x: float) -> float:
    return _ONE if x > _ZERO else (-_ONE if x < _ZERO else _ZERO)
