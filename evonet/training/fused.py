"""The fused trainer on a GPU: one compiled program trains a group of networks side by side.

A GPU is idle while it trains one small network; it is busy with hundreds. Every array has a
leading axis of networks. What differs between them is data: widths are padded to a power of two
and masked, depths with layers that pass on what they receive, activations and normalisations are
chosen by masks, rates and optimizers are arrays with an entry for each network. So only few
shapes are ever compiled, and a compiled one serves every group of its shape.

Everything is ``keras.ops``; what differs between TensorFlow and JAX is in backend.py. On a CPU,
whose caches and instructions are busy with one network alone, native.py is several times faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evonet.genome import Genome
from evonet.genome.genes import ACTIVATIONS, NORMALISATIONS
from evonet.training.backend import Backend, mapped
from evonet.training.keras_model import BATCH_MOMENTUM, NORMALISATION_EPSILON
from evonet.training.optimizers import COEFFICIENTS, FIRST_V
from evonet.training.plan import GROUP_ROWS_AT_ONCE, Kind, padded_fan_ins

Array = Any  # of the backend

#: Rows at a time where nothing is learned. Untuned.
ROWS_AT_ONCE = GROUP_ROWS_AT_ONCE


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
        return min(self.n_validation, ROWS_AT_ONCE)


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
        checked_x: ``(chunks, rows_at_once, n_inputs)``, the validation part.
        checked_y: ``(chunks, rows_at_once)``.
        checked_weight: ``(chunks, rows_at_once)``, 0 for rows that only fill the last chunk.
    """

    x: Array
    y: Array
    weight: Array
    checked_x: Array
    checked_y: Array
    checked_weight: Array


class Course(NamedTuple):
    """Where the trainings of a group stand between two epochs.

    Attributes:
        weights: now.
        m: first moments, as ``Weights.learned``; see optimizers.py.
        v: second moments.
        best: the weights of each network's lowest validation loss.
        best_loss: ``(networks,)``, infinite before the first epoch.
        best_outputs: ``(chunks, networks, rows_at_once, n_outputs)``, with the best weights.
        running: ``(networks,)`` bool, False for those that have stopped: their best stays.
        losses: ``(2, networks)``, training and validation loss of the last epoch.
    """

    weights: Weights
    m: tuple[Dense, ...]
    v: tuple[Dense, ...]
    best: Weights
    best_loss: Array
    best_outputs: Array
    running: Array
    losses: Array


class _Batch(NamedTuple):
    """The rows of a step: ``(networks, rows, ...)``, and what is random about it."""

    x: Array
    y: Array
    weight: Array
    valid: Array  # (rows,), 0 for those that only fill the last step
    key: Array  # (networks,) uint32
    learning: bool


@dataclass(frozen=True)
class Program:
    """The program for a shape.

    Attributes:
        backend: what compiles and differentiates.
        shape: what is compiled.
    """

    backend: Backend
    shape: Shape

    def compiled(self) -> Callable[[Course, Members, Array, Array, Array, Data], Course]:
        """An epoch of the whole group, compiled on its first call.

        Its arguments: course, members, order ``(n_steps, networks, batch_size)`` int32,
        coefficients ``(n_steps, networks, 10)`` float32, steps done before (scalar int32), data.
        """
        return self.backend.compiled(self._epoch)

    def _epoch(
        self,
        course: Course,
        members: Members,
        order: Array,
        coefficients: Array,
        done: Array,
        data: Data,
    ) -> Course:
        ops, shape = self.backend.ops, self.shape

        def step(i: Array, state: Any) -> Any:
            weights, m, v, total = state
            batch = self._batch(i, members, order, done, data)
            (losses, moving), gradient = self.backend.gradient(
                partial(self._losses, weights.moving, members, batch), weights.learned
            )
            c = ops.take(coefficients, i, axis=0)
            learned, m, v = self._updated(weights.learned, m, v, gradient, c, members.clip_norm)
            return Weights(learned, moving), m, v, total + losses * ops.sum(batch.valid)

        start = (course.weights, course.m, course.v, ops.zeros((shape.networks,)))
        weights, m, v, total = ops.fori_loop(0, shape.n_steps, step, start)
        checked, outputs = self._validated(weights, members, data)
        better = ops.logical_and(checked < course.best_loss, course.running)
        return Course(
            weights=weights,
            m=m,
            v=v,
            best=self._where(better, weights, course.best),
            best_loss=ops.where(better, checked, course.best_loss),
            best_outputs=ops.where(better[None, :, None, None], outputs, course.best_outputs),
            running=course.running,
            losses=ops.stack([total / shape.n_train, checked]),
        )

    def _batch(self, i: Array, members: Members, order: Array, done: Array, data: Data) -> _Batch:
        """The rows of the i-th step of an epoch, each network's own, with noise on the inputs."""
        ops, shape = self.backend.ops, self.shape
        rows = ops.take(order, i, axis=0)
        valid = ops.cast(
            i * shape.kind.batch_size + ops.arange(shape.kind.batch_size) < shape.n_train, "float32"
        )
        key = _scrambled(ops, _u32(ops, members.key) + _u32(ops, done + i))
        x = self._noisy(ops.take(data.x, rows, axis=0), members.noise, key)
        weight = ops.take(data.weight, rows, axis=0) * valid
        return _Batch(x, ops.take(data.y, rows, axis=0), weight, valid, key, True)

    def _losses(
        self,
        moving: tuple[Moving, ...],
        members: Members,
        batch: _Batch,
        learned: tuple[Dense, ...],
    ) -> Any:
        """Sum over the networks of their mean losses; and these losses, and moving statistics."""
        outputs, moving = self._forward(Weights(learned, moving), members, batch)
        rows = self._row_losses(members, outputs, batch.y) * batch.weight
        losses = self.backend.ops.sum(rows, axis=1) / self.backend.ops.sum(batch.valid)
        return self.backend.ops.sum(losses), (losses, moving)

    def _row_losses(self, members: Members, outputs: Array, y: Array) -> Array:
        """``(networks, rows)``."""
        ops, n_rows = self.backend.ops, outputs.shape[1]
        smoothing = ops.repeat(members.smoothing, n_rows)
        flat = ops.reshape(outputs, (-1, self.shape.n_outputs))
        losses = self.backend.loss(self.shape.loss)(ops.reshape(y, (-1,)), flat, smoothing)
        return ops.reshape(losses, (self.shape.networks, n_rows))

    def _validated(self, weights: Weights, members: Members, data: Data) -> tuple[Array, Array]:
        """Mean losses ``(networks,)`` and outputs for the validation part."""
        ops, shape = self.backend.ops, self.shape
        n_chunks = data.checked_y.shape[0]
        n, rows = shape.networks, shape.rows_at_once

        def chunk(i: Array, state: Any) -> Any:
            total, kept = state
            x, y, weight = (
                ops.broadcast_to(ops.take(part, i, axis=0), (n, *part.shape[1:]))
                for part in (data.checked_x, data.checked_y, data.checked_weight)
            )
            no_key = ops.zeros((n,), "uint32")
            batch = _Batch(x, y, weight, ops.ones((rows,)), no_key, False)
            outputs, _ = self._forward(weights, members, batch)
            total = total + ops.sum(self._row_losses(members, outputs, y) * weight, axis=1)
            return total, ops.slice_update(kept, (i, 0, 0, 0), outputs[None])

        kept = ops.zeros((n_chunks, n, rows, shape.n_outputs))
        total, outputs = ops.fori_loop(0, n_chunks, chunk, (ops.zeros((n,)), kept))
        return total / shape.n_validation, outputs

    # ---- forward ----

    def _forward(
        self, weights: Weights, members: Members, batch: _Batch
    ) -> tuple[Array, tuple[Moving, ...]]:
        """Outputs ``(networks, rows, n_outputs)`` and the moving statistics after the step."""
        ops = self.backend.ops
        hidden: list[Array] = []
        moving: list[Moving] = []
        for i in range(self.shape.kind.depth):
            z = self._product(weights.learned[i], self._received(members, batch.x, hidden, i))
            y, moved = self._normalised(weights, members, batch, z, i)
            moving.append(moved)
            a = self._activated(y, members.activation[:, i]) * members.units[:, i, None, :]
            a = self._dropped(a, members, batch, i)
            if not self.shape.kind.skips and i > 0:
                a = ops.where(members.real[:, i, None, None] > 0, a, hidden[-1])
            hidden.append(a)
        received = self._received(members, batch.x, hidden, self.shape.kind.depth)
        return self._product(weights.learned[-1], received), (*moving, weights.moving[-1])

    def _received(self, members: Members, x: Array, hidden: Sequence[Array], i: int) -> Array:
        """What a layer reads: the hidden layers before it, the last one first, then the inputs."""
        if not self.shape.kind.skips:
            return hidden[-1] if hidden else x
        blocks = [x, *hidden]
        masked = [block * members.reads[:, i, j, None, None] for j, block in enumerate(blocks)]
        return self.backend.ops.concatenate(masked[::-1], axis=2)

    def _product(self, layer: Dense, received: Array) -> Array:
        ops = self.backend.ops
        kernel = layer.kernel
        if self.shape.precision != "float32":
            received, kernel = (ops.cast(a, self.shape.precision) for a in (received, kernel))
        return ops.cast(ops.matmul(received, kernel), "float32") + layer.bias[:, None, :]

    def _normalised(
        self, weights: Weights, members: Members, batch: _Batch, z: Array, i: int
    ) -> tuple[Array, Moving]:
        """What goes into an activation, and the moving statistics of the layer."""
        ops, layer, moving = self.backend.ops, weights.learned[i], weights.moving[i]
        kind = members.normalisation[:, i, None, None]
        units = members.units[:, i, None, :]
        if batch.learning:
            n = ops.sum(batch.valid)
            rows = batch.valid[None, :, None]
            mean = ops.sum(z * rows, axis=1) / n
            squares = ((z - mean[:, None, :]) * rows) ** 2
            variance = ops.sum(squares, axis=1) / n
            moved = Moving(
                BATCH_MOMENTUM * moving.mean + (1 - BATCH_MOMENTUM) * mean,
                BATCH_MOMENTUM * moving.variance + (1 - BATCH_MOMENTUM) * variance,
            )
        else:
            (mean, variance), moved = moving, moving
        by_batch = (z - mean[:, None, :]) * ops.rsqrt(variance[:, None, :] + NORMALISATION_EPSILON)
        n_units = ops.maximum(ops.sum(units, axis=2, keepdims=True), 1.0)
        row_mean = ops.sum(z * units, axis=2, keepdims=True) / n_units
        centred = (z - row_mean) * units
        spread = ops.sum(centred * centred, axis=2, keepdims=True) / n_units
        by_layer = centred * ops.rsqrt(spread + NORMALISATION_EPSILON)
        x = ops.where(kind == NORMALISATIONS.index("batch"), by_batch, by_layer)
        scaled = x * layer.scale[:, None, :] + layer.offset[:, None, :]
        return ops.where(kind == NORMALISATIONS.index("none"), z, scaled), moved

    def _activated(self, y: Array, kind: Array) -> Array:
        ops, a = self.backend.ops, y
        for place, name in enumerate(ACTIVATIONS):
            own = kind[:, None, None] == place
            # What others make of it must not overflow: 0 * infinity is no gradient.
            a = ops.where(own, self.backend.activation(name)(ops.where(own, y, 0.0)), a)
        return a

    def _dropped(self, a: Array, members: Members, batch: _Batch, i: int) -> Array:
        """Dropout with the numbers of elementwise.py: the same in every program."""
        if not batch.learning:
            return a
        ops = self.backend.ops
        n_units = _u32(ops, ops.sum(members.units[:, i], axis=1))[:, None, None]
        row = _u32(ops, ops.arange(a.shape[1]))[None, :, None]
        column = _u32(ops, ops.arange(a.shape[2]))[None, None, :]
        key = batch.key + _u32(ops, i + 1) * _u32(ops, 0x85EBCA77)
        rate = members.dropout[:, i, None, None]
        kept = _uniform(ops, key[:, None, None], row * n_units + column) >= rate
        return ops.where(kept, a / (1 - rate), 0.0)

    def _noisy(self, x: Array, deviation: Array, key: Array) -> Array:
        """Inputs with normal noise (Box & Muller 1958), where there is any."""
        ops, (_, n_rows, n_inputs) = self.backend.ops, x.shape
        counter = _u32(ops, ops.reshape(ops.arange(n_rows * n_inputs), (1, n_rows, n_inputs)))
        first, second = (_scrambled(ops, key + _u32(ops, k))[:, None, None] for k in (1, 2))
        length = ops.sqrt(-2 * ops.log(1 - _uniform(ops, first, counter)))
        angle = 2 * math.pi * _uniform(ops, second, counter)
        return x + deviation[:, None, None] * length * ops.cos(angle)

    # ---- update ----

    def _updated(
        self,
        learned: tuple[Dense, ...],
        m: tuple[Dense, ...],
        v: tuple[Dense, ...],
        gradient: tuple[Dense, ...],
        c: Array,
        clip_norm: Array,
    ) -> tuple[tuple[Dense, ...], tuple[Dense, ...], tuple[Dense, ...]]:
        """Weights, m and v after a step; see optimizers.py."""
        ops = self.backend.ops
        squares = [
            ops.sum(ops.reshape(g, (self.shape.networks, -1)) ** 2, axis=1)
            for layer in gradient
            for g in layer
        ]
        length = ops.sqrt(sum(squares))
        clips = ops.logical_and(clip_norm > 0, length > clip_norm)
        scale = ops.where(clips, clip_norm / ops.maximum(length, 1e-30), 1.0)

        def one(w: Array, m: Array, v: Array, g: Array) -> tuple[Array, Array, Array]:
            own = (self.shape.networks, *[1] * (len(w.shape) - 1))
            k = {name: ops.reshape(c[:, i], own) for i, name in enumerate(COEFFICIENTS)}
            g = g * ops.reshape(scale, own)
            m = k["a"] * m + k["b"] * g
            v = k["c"] * v + k["d"] * g * g
            step = (k["p"] * m + k["q"] * g) / (ops.sqrt(k["s"] * v + k["inner"]) + k["outer"])
            return (1 - k["decay"]) * w - step, m, v

        done = [
            [one(*parts) for parts in zip(*layer, strict=True)]
            for layer in zip(learned, m, v, gradient, strict=True)
        ]
        w, m, v = (tuple(Dense(*(part[i] for part in layer)) for layer in done) for i in range(3))
        return w, m, v

    def _where(self, chosen: Array, a: Any, b: Any) -> Any:
        """``a`` for the networks that are chosen, ``b`` for the others, in nested tuples."""
        ops = self.backend.ops

        def one(x: Array, y: Array) -> Array:
            own = (self.shape.networks, *[1] * (len(x.shape) - 1))
            return ops.where(ops.reshape(chosen, own), x, y)

        return mapped(one, a, b)


# ---- from genomes to arrays, and back ----


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


def first_course(
    shape: Shape, genomes: Sequence[Genome], drawn: Sequence[Sequence[np.ndarray]]
) -> Course:
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
    return Course(
        weights=now,
        m=m,
        v=v,
        best=now,
        best_loss=np.full(n, np.inf, np.float32),
        best_outputs=np.zeros((chunks, n, shape.rows_at_once, shape.n_outputs), np.float32),
        running=np.ones(n, bool),
        losses=np.zeros((2, n), np.float32),
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


# ---- random numbers, as in elementwise.py ----


def _u32(ops: Any, value: Any) -> Array:
    return ops.cast(value, "uint32")


def _uniform(ops: Any, key: Array, counter: Array) -> Array:
    """Numbers from 0 up to 1 that depend on key and counter alone."""
    x = _scrambled(ops, counter * _u32(ops, 0x9E3779B9) + key)
    return ops.cast(ops.cast(ops.right_shift(x, _u32(ops, 8)), "int32"), "float32") * 2.0**-24


def _scrambled(ops: Any, x: Array) -> Array:
    """The finaliser of MurmurHash3 (Appleby 2011): every bit of x changes half of the bits."""
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 16))) * _u32(ops, 0x85EBCA6B)
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 13))) * _u32(ops, 0xC2B2AE35)
    return ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 16)))
