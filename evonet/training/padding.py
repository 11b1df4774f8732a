"""Genomes as the padded arrays of a group, and back: what the program of fused.py works on.

Widths are padded to a power of two, depths with layers that pass on what they receive; see plan.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from evonet.data.dataset import Dataset
from evonet.genome import Genome
from evonet.genome.genes import ACTIVATIONS, NORMALISATIONS
from evonet.training.optimizers import FIRST_V
from evonet.training.plan import Kind, padded_fan_ins, rows_at_once

Array = Any  # NumPy's, or of the backend


@dataclass(frozen=True)
class Shape:
    """What is compiled: groups with equal shapes run the same program.

    Attributes:
        networks: networks side by side.
        kind: of all of them, see plan.py.
        n_inputs: network inputs.
        n_outputs: network outputs.
        loss: as ``choose_loss`` returns it.
        n_train: rows of the training part.
        n_validation: rows of the validation part.
        precision: "float32", or "bfloat16" for the factors of products.
    """

    networks: int
    kind: Kind
    n_inputs: int
    n_outputs: int
    loss: str
    n_train: int
    n_validation: int
    precision: str = "float32"

    @property
    def n_steps(self) -> int:
        """Steps in an epoch; the last one may have fewer rows."""
        return -(-self.n_train // self.kind.batch_size)

    @property
    def rows_at_once(self) -> int:
        """Rows of the validation part at a time."""
        return rows_at_once(self.n_validation)


class Dense(NamedTuple):
    """What a layer of each network learns; ``(networks, ...)`` each.

    Attributes:
        kernel: ``(networks, fan_in, units)``.
        bias: ``(networks, units)``.
        scale: ``(networks, units)`` of the normalisation; not read without one.
        offset: the same.
    """

    kernel: Array
    bias: Array
    scale: Array
    offset: Array


class Moving(NamedTuple):
    """Running statistics of a batch normalisation, ``(networks, units)`` each."""

    mean: Array
    variance: Array


class Weights(NamedTuple):
    """The weights of a group: an entry for each hidden layer and, last, the output layer."""

    learned: tuple[Dense, ...]
    moving: tuple[Moving, ...]


class Members(NamedTuple):
    """The networks of a group as data; ``layers`` are hidden layers.

    Attributes:
        real: ``(networks, layers)`` float32, 1 for a layer the network has.
        units: ``(networks, layers, width)`` float32, 1 for a unit the layer has.
        activation: ``(networks, layers)`` int32, place in ``ACTIVATIONS``.
        normalisation: ``(networks, layers)`` int32, place in ``NORMALISATIONS``.
        dropout: ``(networks, layers)`` float32 rates.
        reads: ``(networks, layers + 1, layers + 1)`` float32: 1 where a layer reads the inputs
            (first) or a hidden layer before it.
        key: ``(networks,)`` int32, of all random numbers.
        smoothing: ``(networks,)`` float32, of labels.
        noise: ``(networks,)`` float32, of inputs.
        clip_norm: ``(networks,)`` float32; 0 does not clip.
    """

    real: Array
    units: Array
    activation: Array
    normalisation: Array
    dropout: Array
    reads: Array
    key: Array
    smoothing: Array
    noise: Array
    clip_norm: Array


class Data(NamedTuple):
    """The rows of a data set.

    Attributes:
        x: ``(n_train, n_inputs)`` float32.
        y: ``(n_train,)`` float32, class indices or numbers.
        weight: ``(n_train,)`` float32.
        validation_x: ``(chunks, rows_at_once, n_inputs)``, the validation part.
        validation_y: ``(chunks, rows_at_once)``.
        validation_weight: ``(chunks, rows_at_once)``, 0 for rows that only fill the last chunk.
    """

    x: Array
    y: Array
    weight: Array
    validation_x: Array
    validation_y: Array
    validation_weight: Array


class TrainingState(NamedTuple):
    """Where the trainings of a group stand between two epochs.

    Attributes:
        weights: now.
        m: first moments, as ``Weights.learned``; see optimizers.py.
        v: second moments.
        best: the weights of each network's lowest validation loss.
        best_loss: ``(networks,)``, infinite before the first epoch.
        best_outputs: ``(networks, chunks, rows_at_once, n_outputs)``, with the best weights.
        running: ``(networks,)`` bool, False for those that have stopped: their best stays.
        losses: ``(networks, 2)``, training and validation loss of the last epoch.
    """

    weights: Weights
    m: tuple[Dense, ...]
    v: tuple[Dense, ...]
    best: Weights
    best_loss: Array
    best_outputs: Array
    running: Array
    losses: Array


def members_of(shape: Shape, genomes: Sequence[Genome], keys: Sequence[int]) -> Members:
    """The networks of a group as data.

    Args:
        shape: has as many networks.
        genomes: of the shape's kind.
        keys: of their random numbers, from 0 up to 2^32.
    """
    n, depth = shape.networks, shape.kind.depth
    real = np.zeros((n, depth), np.float32)
    units = np.zeros((n, depth, shape.kind.width), np.float32)
    activation, normalisation = (np.zeros((n, depth), np.int32) for _ in range(2))
    dropout = np.zeros((n, depth), np.float32)
    reads = np.zeros((n, depth + 1, depth + 1), np.float32)
    for g, genome in enumerate(genomes):
        for i, layer in enumerate(genome.layers):
            real[g, i] = 1
            units[g, i, : layer.units] = 1
            activation[g, i] = ACTIVATIONS.index(layer.activation)
            normalisation[g, i] = NORMALISATIONS.index(layer.normalisation)
            dropout[g, i] = layer.dropout
        reads[g] = _reads(shape, genome)
    return Members(
        real,
        units,
        activation,
        normalisation,
        dropout,
        reads,
        np.asarray(keys, np.uint32).view(np.int32),
        *(
            np.asarray([getattr(genome, name) or 0.0 for genome in genomes], np.float32)
            for name in ("label_smoothing", "input_noise", "clip_norm")
        ),
    )


def initial_state(
    shape: Shape, genomes: Sequence[Genome], drawn: Sequence[Sequence[np.ndarray]]
) -> TrainingState:
    """The trainings of a group before their first epoch.

    Args:
        shape: has as many networks.
        genomes: of the shape's kind.
        drawn: the initial weights of each, in the order of ``keras.Model.get_weights``.
    """
    n = shape.networks
    units = [*[shape.kind.width] * shape.kind.depth, shape.n_outputs]

    def empty(value: float = 0.0) -> tuple[Dense, ...]:
        return tuple(
            Dense(*(np.full((n, *s), value, np.float32) for s in ((rows, m), (m,), (m,), (m,))))
            for rows, m in zip(padded_fan_ins(shape.kind, shape.n_inputs), units, strict=True)
        )

    learned, m, v = empty(), empty(), empty()
    moving = tuple(Moving(np.zeros((n, m), np.float32), np.ones((n, m), np.float32)) for m in units)
    now = Weights(learned, moving)
    for g, (genome, weights) in enumerate(zip(genomes, drawn, strict=True)):
        for views, array in zip(_views(shape, genome, now, g), weights, strict=True):
            first = 0
            for view in views:
                view[...] = array[first : first + len(view)]
                first += len(view)
        for layer in v:
            for part in layer:
                part[g] = FIRST_V.get(genome.optimizer, 0.0)
    chunks = -(-shape.n_validation // shape.rows_at_once)
    return TrainingState(
        weights=now,
        m=m,
        v=v,
        best=now,
        best_loss=np.full(n, np.inf, np.float32),
        best_outputs=np.zeros((n, chunks, shape.rows_at_once, shape.n_outputs), np.float32),
        running=np.ones(n, bool),
        losses=np.zeros((n, 2), np.float32),
    )


def padded_data(dataset: Dataset) -> Data:
    """The training part, and the validation part in chunks of rows, the last one filled."""
    train, validation = dataset.train, dataset.validation
    rows = rows_at_once(len(validation))

    def chunked(array: np.ndarray) -> np.ndarray:
        padded = np.zeros((-(-len(array) // rows) * rows, *array.shape[1:]), np.float32)
        padded[: len(array)] = array
        return padded.reshape(-1, rows, *array.shape[1:])

    weights = [np.ones(len(p)) if p.weight is None else p.weight for p in (train, validation)]
    return Data(
        np.asarray(train.x, np.float32),
        np.asarray(train.y, np.float32),
        np.asarray(weights[0], np.float32),
        chunked(validation.x),
        chunked(validation.y),
        chunked(weights[1]),
    )


def keras_weights(shape: Shape, genome: Genome, weights: Weights, g: int) -> list[np.ndarray]:
    """The weights of one network of a group, in the order of ``keras.Model.get_weights``."""
    return [np.concatenate(views) for views in _views(shape, genome, weights, g)]


def _views(shape: Shape, genome: Genome, weights: Weights, g: int) -> Iterator[list[np.ndarray]]:
    """For each of Keras' arrays, in their order, the parts of a group's arrays that make it up."""
    sources: list[int] = [-1]  # what a layer reads, as Keras orders it; -1 are the inputs
    for i, layer in enumerate([*genome.layers, None]):
        place = shape.kind.depth if layer is None else i
        units = shape.n_outputs if layer is None else layer.units
        dense, moving = weights.learned[place], weights.moving[place]
        kernel = []
        for source in sources:
            n_rows = shape.n_inputs if source < 0 else genome.layers[source].units
            first = shape.kind.width * (place - 1 - source) if shape.kind.skips else 0
            kernel.append(dense.kernel[g, first : first + n_rows, :units])
        yield kernel
        yield [dense.bias[g, :units]]
        if layer is None:
            return
        if layer.normalisation != "none":
            yield [dense.scale[g, :units]]
            yield [dense.offset[g, :units]]
        if layer.normalisation == "batch":
            yield [moving.mean[g, :units]]
            yield [moving.variance[g, :units]]
        sources = [i, *(sources if layer.skip == "concat" else [])]


def _reads(shape: Shape, genome: Genome) -> np.ndarray:
    """Which blocks, inputs first, each layer reads; see ``Members.reads``."""
    reads = np.zeros((shape.kind.depth + 1, shape.kind.depth + 1), np.float32)
    sources = [-1]
    for i, layer in enumerate(genome.layers):
        reads[i, [source + 1 for source in sources]] = 1
        sources = [i, *(sources if layer.skip == "concat" else [])]
    reads[shape.kind.depth, [source + 1 for source in sources]] = 1
    return reads
