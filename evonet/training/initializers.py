"""Initial weights, drawn in numpy from the distributions of Keras' initializers.

Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998; a normal one is cut at two standard
deviations and widened to keep its variance, as Keras does.
"""

from __future__ import annotations

import math

import numpy as np

from evonet.genome import Genome
from evonet.genome.genes import layer_initializer

#: Standard deviation of a normal distribution cut at two standard deviations.
_CUT = 0.87962566103423978


def initial_weights(
    rng: np.random.Generator, genome: Genome, n_inputs: int, n_outputs: int
) -> list[np.ndarray]:
    """The weights a training starts with, in the order of ``keras.Model.get_weights``.

    Returns:
        Float32 arrays: for each layer kernel ``(fan_in, units)`` and bias ``(units,)``, then
        scale and offset if it is normalised, and mean and variance if by batches.
    """
    weights = []
    widths = [*(layer.units for layer in genome.layers), n_outputs]
    for i, (fan_in, units) in enumerate(zip(genome.fan_ins(n_inputs), widths, strict=True)):
        layer = genome.layers[i] if i < len(genome.layers) else None
        activation = layer.activation if layer else "linear"
        name = layer_initializer(genome.initializer, activation)
        weights += [draw_kernel(rng, name, fan_in, units), np.zeros(units, np.float32)]
        if layer and layer.normalisation != "none":
            weights += [np.ones(units, np.float32), np.zeros(units, np.float32)]
        if layer and layer.normalisation == "batch":
            weights += [np.zeros(units, np.float32), np.ones(units, np.float32)]
    return weights


def draw_kernel(
    rng: np.random.Generator, initializer: str, fan_in: int, fan_out: int
) -> np.ndarray:
    """A kernel ``(fan_in, fan_out)`` float32 from an initializer that Keras knows by this name."""
    family, distribution = initializer.rsplit("_", 1)
    fan = _fan(family, fan_in, fan_out)
    if distribution == "uniform":
        limit = math.sqrt(3 / fan)
        return rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
    draws = rng.standard_normal((fan_in, fan_out), np.float32)
    while (outside := np.abs(draws) > 2).any():
        draws[outside] = rng.standard_normal(int(outside.sum()), np.float32)
    return draws * np.float32(math.sqrt(1 / fan) / _CUT)


def kernel_deviation(initializer: str, fan_in: int, fan_out: int) -> float:
    """Standard deviation of what ``draw_kernel`` draws.

    Example:
        >>> kernel_deviation("he_normal", 50, 10), kernel_deviation("glorot_uniform", 30, 20)
        (0.2, 0.2)
    """
    return math.sqrt(1 / _fan(initializer.rsplit("_", 1)[0], fan_in, fan_out))


def _fan(family: str, fan_in: int, fan_out: int) -> float:
    """One over the variance of a kernel."""
    return {"glorot": (fan_in + fan_out) / 2, "he": fan_in / 2, "lecun": fan_in}[family]
