"""The layers of a fitted network in numbers: gradients, dead units, spread of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evonet.genome import Genome
from evonet.genome.genes import INITIALIZER_FAMILY, layer_initializer
from evonet.phrases import percent
from evonet.report.words import number
from evonet.training.initializers import kernel_deviation

#: Headings for ``LayerHealth.cells``.
COLUMNS = ("layer", "units", "activation", "gradient mean ± spread", "dead", "spread", "drawn")


@dataclass(frozen=True)
class LayerHealth:
    """One layer of a fitted network.

    Attributes:
        name: "hidden 1" and so on, and "output".
        units: its width.
        activation: "linear" for the output layer.
        normalisation: before the activation.
        initializer: what drew its weights, as Keras names it.
        family: the initializer family that suits the activation.
        gradient_mean: length of the mean over batches of the gradient by the kernel, in lengths of
            the kernel (Shwartz-Ziv & Tishby 2017, https://arxiv.org/abs/1703.00810, section 3.3);
            None where all weights are 0.
        gradient_spread: the same of the standard deviation over batches.
        dead_units: units that give 0 for every row of the training part; None but for ReLU.
        weight_spread: standard deviation of the weights of its kernel.
        drawn_spread: that of the distribution they were drawn from.
    """

    name: str
    units: int
    activation: str
    normalisation: str
    initializer: str
    family: str
    gradient_mean: float | None
    gradient_spread: float | None
    dead_units: int | None
    weight_spread: float
    drawn_spread: float

    @property
    def gradient_size(self) -> float | None:
        """Root mean square over batches of the gradient's length, in lengths of the kernel."""
        if self.gradient_mean is None or self.gradient_spread is None:
            return None
        return math.hypot(self.gradient_mean, self.gradient_spread)

    @property
    def dead_share(self) -> float | None:
        """Share of its units that are dead; None but for ReLU."""
        return None if self.dead_units is None else self.dead_units / self.units

    @property
    def growth(self) -> float:
        """Spread of its weights over that of their draw."""
        return self.weight_spread / self.drawn_spread

    @property
    def matched(self) -> bool:
        """Whether its initializer suits its activation."""
        return self.initializer.startswith(self.family)

    def cells(self) -> tuple[str, ...]:
        """The layer as a row of a table whose columns are ``COLUMNS``."""
        gradient = "-"
        if self.gradient_mean is not None and self.gradient_spread is not None:
            gradient = f"{self.gradient_mean:.2g} ± {self.gradient_spread:.2g}"
        dead = "-" if self.dead_share is None else percent(self.dead_share)
        spreads = number(self.weight_spread), number(self.drawn_spread)
        return (self.name, f"{self.units:,}", self.activation, gradient, dead, *spreads)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        derived = ("gradient_size", "dead_share", "growth", "matched")
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


def layer_table(
    genome: Genome,
    kernels: Sequence[np.ndarray],
    gradient_means: Sequence[np.ndarray],
    gradient_spreads: Sequence[np.ndarray],
    alive: Sequence[np.ndarray],
) -> tuple[LayerHealth, ...]:
    """Each hidden layer and, last, the output layer.

    Args:
        genome: the network.
        kernels: ``(fan_in, units)`` of each layer.
        gradient_means: mean over batches of the gradient by each kernel, shaped like it.
        gradient_spreads: standard deviation over batches, shaped like it.
        alive: of each hidden layer ``(units,)`` bool, whether a unit is above 0 for any row.
    """
    rows = []
    for i, kernel in enumerate(kernels):
        layer = genome.layers[i] if i < len(genome.layers) else None
        activation = layer.activation if layer else "linear"
        initializer = layer_initializer(genome.initializer, activation)
        length = float(np.linalg.norm(kernel))
        mean, spread = (
            float(np.linalg.norm(gradient[i])) / length if length else None
            for gradient in (gradient_means, gradient_spreads)
        )
        rows.append(
            LayerHealth(
                name=f"hidden {i + 1}" if layer else "output",
                units=kernel.shape[1],
                activation=activation,
                normalisation=layer.normalisation if layer else "none",
                initializer=initializer,
                family=INITIALIZER_FAMILY[activation],
                gradient_mean=mean,
                gradient_spread=spread,
                dead_units=int((~alive[i]).sum()) if activation == "relu" else None,
                weight_spread=float(kernel.std()),
                drawn_spread=kernel_deviation(initializer, *kernel.shape),
            )
        )
    return tuple(rows)
