"""What happens to every unit between two products, in compiled loops: written once per activation,
normalisation and kind of noise, and fast because the compiler turns it into vector instructions.

Functions of arrays work in place; numbers are float32.
"""

from __future__ import annotations

import math

import numpy as np

from evonet.genome.genes import ACTIVATIONS
from evonet.training.compiling import compiled, summing
from evonet.training.keras_model import BATCH_MOMENTUM, NORMALISATION_EPSILON

_RELU, _LEAKY_RELU, _ELU, _SELU, _GELU, _SILU, _MISH, _TANH = map(
    ACTIVATIONS.index,
    ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "tanh"),
)
F = np.float32
U = np.uint32
_ZERO, _HALF, _ONE, _TWO = F(0.0), F(0.5), F(1.0), F(2.0)
_EPSILON = F(NORMALISATION_EPSILON)
_KEEP, _TAKE = F(BATCH_MOMENTUM), F(1 - BATCH_MOMENTUM)
_LEAK = F(0.2)  # Keras' slope of a leaky ReLU below 0
_SELU_SCALE, _SELU_ALPHA = F(1.05070098), F(1.67326324)  # Klambauer et al. 2017
_SQRT_HALF, _NORMAL_PEAK = F(math.sqrt(0.5)), F(1 / math.sqrt(2 * math.pi))

# ---- activations ----


@compiled
def activate(kind: int, y: np.ndarray, a: np.ndarray, slope: np.ndarray) -> None:
    """An activation and its derivative, as Keras defines them; NaN stays NaN."""
    if kind == _RELU:
        for i in range(len(y)):
            a[i] = _ZERO if y[i] < _ZERO else y[i]
            slope[i] = _ONE if y[i] > _ZERO else _ZERO
    elif kind == _LEAKY_RELU:
        for i in range(len(y)):
            slope[i] = _ONE if y[i] > _ZERO else _LEAK
            a[i] = y[i] * slope[i]
    elif kind == _ELU:
        for i in range(len(y)):
            e = exp(min_(y[i], _ZERO))
            a[i] = y[i] if y[i] > _ZERO else e - _ONE
            slope[i] = _ONE if y[i] > _ZERO else e
    elif kind == _SELU:
        for i in range(len(y)):
            e = _SELU_ALPHA * exp(min_(y[i], _ZERO))
            a[i] = _SELU_SCALE * (y[i] if y[i] > _ZERO else e - _SELU_ALPHA)
            slope[i] = _SELU_SCALE * (_ONE if y[i] > _ZERO else e)
    elif kind == _GELU:
        for i in range(len(y)):
            below = _HALF + _HALF * erf(y[i] * _SQRT_HALF)
            a[i] = y[i] * below
            slope[i] = below + y[i] * _NORMAL_PEAK * exp(-_HALF * y[i] * y[i])
    elif kind == _SILU:
        for i in range(len(y)):
            s = _ONE / (_ONE + exp(-y[i]))
            a[i] = y[i] * s
            slope[i] = s * (_ONE + y[i] * (_ONE - s))
    elif kind == _MISH:
        for i in range(len(y)):
            e = exp(min_(y[i], F(20.0)))  # tanh(log(1 + e)) = (e^2 + 2 e) / (e^2 + 2 e + 2)
            t = e * (e + _TWO) / (e * (e + _TWO) + _TWO)
            a[i] = y[i] * t
            slope[i] = t + y[i] * (_ONE - t * t) * e / (_ONE + e)
    elif kind == _TANH:
        for i in range(len(y)):
            a[i] = tanh(y[i])
            slope[i] = _ONE - a[i] * a[i]
    else:  # sigmoid
        for i in range(len(y)):
            a[i] = _ONE / (_ONE + exp(-y[i]))
            slope[i] = a[i] * (_ONE - a[i])


# ---- normalisations ----


@summing
def normalise_layer(z: np.ndarray, spread: np.ndarray) -> None:
    """Every row to mean 0 and variance 1; ``spread`` keeps 1 / deviation of each."""
    share = _ONE / F(z.shape[1])
    for r in range(z.shape[0]):
        total, squares = _ZERO, _ZERO
        for j in range(z.shape[1]):
            total += z[r, j]
        mean = total * share
        for j in range(z.shape[1]):
            z[r, j] -= mean
            squares += z[r, j] * z[r, j]
        spread[r] = _ONE / math.sqrt(squares * share + _EPSILON)
        for j in range(z.shape[1]):
            z[r, j] *= spread[r]


@compiled
def normalise_batch(
    z: np.ndarray, spread: np.ndarray, mean: np.ndarray, variance: np.ndarray, learning: bool
) -> None:
    """Every column to mean 0 and variance 1, or by the running values where nothing is learned."""
    n, units = z.shape
    share = _ONE / F(n)
    now, squares = mean, variance
    if learning:
        now, squares = np.zeros(units, F), np.zeros(units, F)
        for r in range(n):
            for j in range(units):
                now[j] += z[r, j]
        for j in range(units):
            now[j] *= share
    for r in range(n):
        for j in range(units):
            z[r, j] -= now[j]
    if learning:
        for r in range(n):
            for j in range(units):
                squares[j] += z[r, j] * z[r, j]
        for j in range(units):
            squares[j] *= share
            mean[j] = _KEEP * mean[j] + _TAKE * now[j]
            variance[j] = _KEEP * variance[j] + _TAKE * squares[j]
    for j in range(units):
        spread[j] = _ONE / math.sqrt(squares[j] + _EPSILON)
    for r in range(n):
        for j in range(units):
            z[r, j] *= spread[j]


@summing
def before_layer_normalisation(
    dz: np.ndarray, z: np.ndarray, scale: np.ndarray, spread: np.ndarray
) -> None:
    """From the gradient behind scale and offset to that before the normalisation, in place."""
    share = _ONE / F(dz.shape[1])
    for r in range(dz.shape[0]):
        mean, along = _ZERO, _ZERO
        for j in range(dz.shape[1]):
            dz[r, j] *= scale[j]
            mean += dz[r, j]
            along += dz[r, j] * z[r, j]
        mean, along = mean * share, along * share
        for j in range(dz.shape[1]):
            dz[r, j] = spread[r] * (dz[r, j] - mean - z[r, j] * along)


@compiled
def before_batch_normalisation(
    dz: np.ndarray,
    z: np.ndarray,
    scale: np.ndarray,
    spread: np.ndarray,
    d_scale: np.ndarray,
    d_offset: np.ndarray,
) -> None:
    """The same for a normalisation over the rows, whose sums are the other two gradients."""
    share = _ONE / F(dz.shape[0])
    for r in range(dz.shape[0]):
        for j in range(dz.shape[1]):
            centred = dz[r, j] - share * (d_offset[j] + z[r, j] * d_scale[j])
            dz[r, j] = scale[j] * spread[j] * centred


# ---- random numbers ----


@compiled
def scrambled(x: int) -> int:
    """The finaliser of MurmurHash3 (Appleby 2011) on 32 bits: each changes half of the others."""
    x = U(x)  # sums of Numba's are of 64 bits
    x = U(U(x ^ (x >> U(16))) * U(0x85EBCA6B))
    x = U(U(x ^ (x >> U(13))) * U(0xC2B2AE35))
    return U(x ^ (x >> U(16)))


def random_key(seed: int) -> int:
    """The key of a training's dropout and noise, from 0 up to 2^32."""
    return int(scrambled(np.uint32(seed % 2**32)))


@compiled
def bits(key: int, counter: int) -> int:
    """24 random bits that depend on key and counter alone."""
    return U(scrambled(U(U(U(counter) * U(0x9E3779B9)) + U(key))) >> U(8))


@compiled
def uniform(key: int, counter: int) -> float:
    """A number from 0 up to 1 that depends on key and counter alone."""
    return F(np.int32(bits(key, counter))) * F(2.0**-24)


@compiled
def drop(a: np.ndarray, slope: np.ndarray, rate: float, key: int, layer: int) -> None:
    """Dropout of a layer's outputs and of their slopes: where ``uniform`` is at least the rate."""
    kept = _ONE / (_ONE - rate)
    layer_key = U(U(key) + U(U(layer) * U(0x85EBCA77)))
    least = U(math.ceil(rate * F(2.0**24)))  # of its bits: as exact, without a conversion each
    for r in range(a.shape[0]):
        first = U(r * a.shape[1])
        for j in range(a.shape[1]):
            factor = kept if bits(layer_key, U(first + U(j))) >= least else _ZERO
            a[r, j] *= factor
            slope[r, j] *= factor


@compiled
def add_noise(x: np.ndarray, deviation: float, key: int) -> None:
    """Normal noise (Box & Muller 1958)."""
    first, second = scrambled(U(key) + U(1)), scrambled(U(key) + U(2))
    for r in range(x.shape[0]):
        for j in range(x.shape[1]):
            counter = r * x.shape[1] + j
            length = math.sqrt(-_TWO * math.log(_ONE - uniform(first, counter)))
            angle = F(2 * math.pi) * uniform(second, counter)
            x[r, j] += deviation * F(length * math.cos(angle))


# ---- functions of one number ----


@compiled
def min_(x: float, limit: float) -> float:
    """The smaller number; NaN where x is NaN."""
    return limit if x > limit else x


@compiled
def exp(x: float) -> float:
    """e^x within 2 ulp (Cephes' expf, Moshier 1989); x is cut to where float32 has a value."""
    x = F(-87.3) if x < F(-87.3) else min_(x, F(88.0))
    n = np.floor(x * F(1.44269504) + _HALF)
    x = x - n * F(0.693359375) - n * F(-2.12194440e-4)
    y = F(1.9875691500e-4)
    y = y * x + F(1.3981999507e-3)
    y = y * x + F(8.3334519073e-3)
    y = y * x + F(4.1665795894e-2)
    y = y * x + F(1.6666665459e-1)
    y = y * x + F(5.0000001201e-1)
    y = y * x * x + x + _ONE
    return y * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(F)


@compiled
def tanh(x: float) -> float:
    """The hyperbolic tangent; by its series near 0, where e^2x - 1 would lose digits."""
    e = exp(_TWO * x)
    s = x * x
    near = x * (_ONE + s * (F(-0.333333333) + s * (F(0.133333333) + s * F(-0.0539682540))))
    return near if abs(x) < F(0.1) else _ONE - _TWO / (e + _ONE)


@compiled
def erf(x: float) -> float:
    """The error function (the rational approximation of Eigen and XLA)."""
    x = F(-3.8325069) if x < F(-3.8325069) else min_(x, F(3.8325069))
    s = x * x
    p = F(0.00022905065861350646)
    p = p * s + F(0.0034082910107109506)
    p = p * s + F(0.050955695062380861)
    p = p * s + F(0.18520832239976145)
    p = p * s + F(1.128379143519084)
    q = F(-1.1791602954361697e-7)
    q = q * s + F(0.000023547966471313185)
    q = q * s + F(0.0010179625278914885)
    q = q * s + F(0.014070470171167667)
    q = q * s + F(0.11098505178285362)
    q = q * s + F(0.49746925110067538)
    return x * p / (q * s + _ONE)
