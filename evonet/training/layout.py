"""Where the weights of a network lie in flat arrays, and its shape as tables for native.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from evonet.genome import Genome
from evonet.genome.genes import ACTIVATIONS, NORMALISATIONS
from evonet.training.optimizers import FIRST_V
from evonet.training.tables import Network, Weights, Work


@dataclass(frozen=True)
class Layout:
    """A network's place in flat arrays.

    Attributes:
        genome: the network.
        n_inputs: its inputs.
        n_outputs: its outputs.
    """

    genome: Genome
    n_inputs: int
    n_outputs: int

    @cached_property
    def network(self) -> Network:
        """The network as tables."""
        layers, fan_in, units = self.genome.layers, self._fan_ins, self._units
        live = [0]
        for layer in layers:
            live.append(layer.units + (live[-1] if layer.skip == "concat" else 0))
        return Network(
            fan_in=_integers(fan_in),
            live=_integers(live),
            units=_integers(units),
            activation=_integers([*(ACTIVATIONS.index(layer.activation) for layer in layers), 0]),
            normalisation=_integers(map(NORMALISATIONS.index, self._normalisations)),
            skip=np.asarray([*(layer.skip == "concat" for layer in layers), False]),
            dropout=np.asarray([*(layer.dropout for layer in layers), 0.0], np.float32),
            kernel=_starts(self._n_learned),
            moving=_starts(self._n_moving),
            received=_starts(fan_in),
            passed=_starts(units),
        )

    def weights(self, drawn: Sequence[np.ndarray]) -> Weights:
        """A training's start from weights in the order of ``keras.Model.get_weights``."""
        learned, moving, rest = [], [], list(drawn)
        for normalisation in self._normalisations:
            n = 2 if normalisation == "none" else 4
            learned += rest[:n]
            n_moving = 2 if normalisation == "batch" else 0
            moving += rest[n : n + n_moving]
            rest = rest[n + n_moving :]
        flat = np.concatenate([part.ravel() for part in learned])
        first_v = np.full_like(flat, FIRST_V.get(self.genome.optimizer, 0.0))
        none = np.zeros(0, np.float32)
        return Weights(flat, np.zeros_like(flat), first_v, np.concatenate([none, *moving]))

    def keras_weights(self, learned: np.ndarray, moving: np.ndarray) -> list[np.ndarray]:
        """Flat arrays as in ``Weights``, in the order and shapes of Keras' ``get_weights``."""
        network, found = self.network, []
        for i, normalisation in enumerate(self._normalisations):
            fan_in, units = self._fan_ins[i], self._units[i]
            at = network.kernel[i]
            found.append(learned[at : at + fan_in * units].reshape(fan_in, units))
            at += fan_in * units
            n_vectors = 1 if normalisation == "none" else 3
            found += np.split(learned[at : at + n_vectors * units], n_vectors)
            if normalisation == "batch":
                found += np.split(moving[network.moving[i] :][: 2 * units], 2)
        return [part.copy() for part in found]

    def work(self, n_rows: int) -> Work:
        """Buffers for batches of up to so many rows."""
        network = self.network
        units = sum(self._units)
        widest = max(*self._units, *network.live)
        return Work(
            received=_zeros(n_rows * sum(self._fan_ins)),
            z=_zeros(n_rows * units),
            slope=_zeros(n_rows * units),
            inverse_deviation=_zeros(len(self._units), max(n_rows, *self._units)),
            y=_zeros(n_rows * max(self._units)),
            d=_zeros(n_rows * widest),
            d_before=_zeros(n_rows * widest),
            gradient=_zeros(sum(self._n_learned)),
        )

    @property
    def n_numbers(self) -> int:
        """All numbers that a network of this layout has: learned ones and running means."""
        return sum(self._n_learned) + sum(self._n_moving)

    @property
    def _fan_ins(self) -> tuple[int, ...]:
        return self.genome.fan_ins(self.n_inputs)

    @property
    def _units(self) -> tuple[int, ...]:
        return (*(layer.units for layer in self.genome.layers), self.n_outputs)

    @property
    def _normalisations(self) -> tuple[str, ...]:
        return (*(layer.normalisation for layer in self.genome.layers), "none")

    @property
    def _n_learned(self) -> list[int]:
        """Numbers in the kernel, the bias, and what a normalisation learns, of each layer."""
        sizes = zip(self._fan_ins, self._units, self._normalisations, strict=True)
        return [(fan_in + (1 if kind == "none" else 3)) * units for fan_in, units, kind in sizes]

    @property
    def _n_moving(self) -> list[int]:
        """Numbers in the running mean and variance of each layer."""
        sizes = zip(self._units, self._normalisations, strict=True)
        return [2 * units if kind == "batch" else 0 for units, kind in sizes]


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.asarray(list(values), np.int64)


def _starts(sizes: Sequence[int]) -> np.ndarray:
    """Where each part starts if they lie one behind the other."""
    return _integers([0, *accumulate(sizes)][:-1])


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)
