"""The fused trainer on a GPU: one compiled program trains a group of networks side by side.

A GPU is idle while it trains one small network; it is busy with hundreds. Every array has a
leading axis of networks. What differs between them is data (padding.py): widths and depths are
padded and masked, activations and normalisations are chosen by masks, rates and optimizers are
arrays with an entry for each network. So only few shapes are ever compiled, and a compiled one
serves every group of its shape.

Everything is ``keras.ops``; what differs between TensorFlow and JAX is in backend.py. On a CPU,
whose caches and instructions are busy with one network alone, native.py is several times faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from evonet.genome.genes import ACTIVATIONS, NORMALISATIONS
from evonet.training.backend import Backend, mapped
from evonet.training.keras_model import BATCH_MOMENTUM, NORMALISATION_EPSILON
from evonet.training.optimizers import COEFFICIENTS
from evonet.training.padding import (
    Array,
    Data,
    Dense,
    Members,
    Moving,
    Shape,
    TrainingState,
    Weights,
)


class _Batch(NamedTuple):
    """The rows of a step: ``(networks, rows, ...)``, and what is random about it."""

    x: Array
    y: Array
    weight: Array
    valid: Array  # (rows,), 0 for those that only fill the last step
    key: Array  # (networks,) uint32
    training: bool


@dataclass(frozen=True)
class Program:
    """The program for a shape.

    Attributes:
        backend: what compiles and differentiates.
        shape: what is compiled.
    """

    backend: Backend
    shape: Shape

    def compiled(
        self,
    ) -> Callable[[TrainingState, Members, Array, Array, Array, Data], TrainingState]:
        """An epoch of the whole group, compiled on its first call.

        Its arguments: state, members, order ``(n_steps, networks, batch_size)`` int32,
        coefficients ``(n_steps, networks, 10)`` float32, steps done before (scalar int32), data.
        """
        return self.backend.compiled(self._epoch)

    def _epoch(
        self,
        state: TrainingState,
        members: Members,
        order: Array,
        coefficients: Array,
        done: Array,
        data: Data,
    ) -> TrainingState:
        ops, shape = self.backend.ops, self.shape

        def step(i: Array, carry: Any) -> Any:
            weights, m, v, total = carry
            batch = self._batch(i, members, order, done, data)
            (losses, moving), gradient = self.backend.gradient(
                partial(self._losses, weights.moving, members, batch), weights.learned
            )
            c = ops.take(coefficients, i, axis=0)
            learned, m, v = self._updated(weights.learned, m, v, gradient, c, members.clip_norm)
            return Weights(learned, moving), m, v, total + losses * ops.sum(batch.valid)

        start = (state.weights, state.m, state.v, ops.zeros((shape.networks,)))
        weights, m, v, total = ops.fori_loop(0, shape.n_steps, step, start)
        validation_loss, outputs = self._validated(weights, members, data)
        best, best_loss, best_outputs = self._where(
            ops.logical_and(validation_loss < state.best_loss, state.running),
            (weights, validation_loss, outputs),
            (state.best, state.best_loss, state.best_outputs),
        )
        return TrainingState(
            weights=weights,
            m=m,
            v=v,
            best=best,
            best_loss=best_loss,
            best_outputs=best_outputs,
            running=state.running,
            losses=ops.stack([total / shape.n_train, validation_loss], axis=1),
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
        n_chunks = data.validation_y.shape[0]
        n, rows = shape.networks, shape.rows_at_once

        def chunk(i: Array, carry: Any) -> Any:
            total, kept = carry
            x, y, weight = (
                ops.broadcast_to(ops.take(part, i, axis=0), (n, *part.shape[1:]))
                for part in (data.validation_x, data.validation_y, data.validation_weight)
            )
            no_key = ops.zeros((n,), "uint32")
            batch = _Batch(x, y, weight, ops.ones((rows,)), no_key, False)
            outputs, _ = self._forward(weights, members, batch)
            total = total + ops.sum(self._row_losses(members, outputs, y) * weight, axis=1)
            return total, ops.slice_update(kept, (0, i, 0, 0), outputs[:, None])

        kept = ops.zeros((n, n_chunks, rows, shape.n_outputs))
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
        if batch.training:
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
        row_variance = ops.sum(centred * centred, axis=2, keepdims=True) / n_units
        by_layer = centred * ops.rsqrt(row_variance + NORMALISATION_EPSILON)
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
        if not batch.training:
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
