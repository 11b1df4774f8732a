"""The fused program: one compiled call trains a network of any shape, epochs and all.

The program is an interpreter of tables (``tiles.py``): it knows tiles, not networks. Loops over
layers, blocks and pieces run on the device, as long as a network's tables say, so that depth,
widths, skips, activations, dropout, normalisation, optimizer, schedule and epochs are data, and one
compilation serves every genome of a batch size. Backpropagation is written out for products,
since what loops as long as data say cannot be differentiated backwards; everything between two
products is differentiated by the backend.

Buffers are updated in place, which XLA does only where a loop that writes a buffer reads it at no
other place than the one it writes: gradients are therefore collected first, and applied after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from evonet.genome.genes import NORMALISATIONS
from evonet.training.backend import Backend
from evonet.training.keras_model import (
    BATCH_MOMENTUM,
    NORMALISATION_EPSILON,
)
from evonet.training.optimizers import COEFFICIENTS
from evonet.training.tiles import (
    FUNCTIONS,
    PANEL,
    TILE,
    Capacity,
    LayerRow,
    Tables,
    Weights,
    blocks_of,
)

Array = Any  # of the backend

#: Tiles that are updated together.
_UPDATED_TOGETHER = 4
#: Odd numbers that spread the counters of random numbers: 2^32 / golden ratio, and a prime.
_STEP_STRIDE, _BLOCK_STRIDE = 0x9E3779B9, 0x85EBCA77


@dataclass(frozen=True)
class Shapes:
    """What is compiled: trainings with equal shapes run the same program.

    Attributes:
        n_inputs: network inputs.
        n_outputs: network outputs.
        loss: as ``choose_loss`` returns it.
        n_train: rows of the training part.
        n_validation: rows of the validation part.
        batch_size: rows per step, of validation too.
        epochs_at_once: most epochs in one call.
        capacity: room for the network.
        precision: "float32", or "bfloat16" for the factors of products.
    """

    n_inputs: int
    n_outputs: int
    loss: str
    n_train: int
    n_validation: int
    batch_size: int
    epochs_at_once: int
    capacity: Capacity
    precision: str = "float32"

    @property
    def n_steps(self) -> int:
        """Steps in an epoch; the last one may have fewer rows."""
        return -(-self.n_train // self.batch_size)

    @property
    def n_validation_steps(self) -> int:
        """Steps in a validation."""
        return -(-self.n_validation // self.batch_size)


class Data(NamedTuple):
    """The rows of a data set: those of the training part, then those of the validation part.

    Attributes:
        x: ``(n, input blocks * TILE)`` float32.
        y: ``(n,)`` class indices or numbers, float32.
        weight: ``(n,)`` float32.
    """

    x: Array
    y: Array
    weight: Array


class Settings(NamedTuple):
    """What a training is besides the network.

    Attributes:
        order: ``(epochs_at_once, (n_steps + n_validation_steps) * batch_size)`` int32, the rows of
            each step, those of validation last; the last step of each is filled with any rows.
        coefficients: ``(epochs_at_once * n_steps, len(COEFFICIENTS))`` float32, see optimizers.py.
        seed: scalar int32, of dropout and noise.
        numbers: ``(3,)`` float32: label smoothing, input noise, clipping norm.
        n_epochs: scalar int32, epochs to run in this call.
        patience: scalar int32.
    """

    order: Array
    coefficients: Array
    seed: Array
    numbers: Array
    n_epochs: Array
    patience: Array


class Course(NamedTuple):
    """Where a training stands between two calls.

    Attributes:
        weights: now.
        m: of the tiles and of the vectors, as in ``optimizers.py``.
        v: the same.
        best: the weights of the lowest validation loss.
        best_outputs: ``(n_validation_steps, batch_size, n_outputs)``, with the best weights.
        best_loss: lowest validation loss; infinite before the first epoch.
        best_epoch: its epoch, from 1.
        epoch: epochs done.
        waited: epochs since the best.
        running: False once the training has stopped by itself.
        losses: ``(2, epochs_at_once)``, training and validation losses of the epochs of one call.
    """

    weights: Weights
    m: tuple[Array, Array]
    v: tuple[Array, Array]
    best: Weights
    best_outputs: Array
    best_loss: Array
    best_epoch: Array
    epoch: Array
    waited: Array
    running: Array
    losses: Array


class _Work(NamedTuple):
    """Buffers of a pass. Columns are blocks: inputs, hidden layers, outputs.

    Attributes:
        z: ``(rows, blocks * TILE)`` what each layer computes before normalisation.
        h: the same shape, what each layer passes on.
        d: the same shape, the gradient of what a block passes on.
        dz: the same shape, the gradient of its z.
        statistics: ``(layers, rows, 2)`` mean and 1 / deviation of layer normalisation.
        tiles: gradients of the tiles.
        vectors: gradients of the vectors.
    """

    z: Array
    h: Array
    d: Array
    dz: Array
    statistics: Array
    tiles: Array
    vectors: Array


class _Batch(NamedTuple):
    """The rows of a step.

    Attributes:
        x: ``(rows, input blocks * TILE)``.
        y: ``(rows,)``.
        weight: ``(rows,)``, 0 for rows that are only there to fill the step.
        valid: ``(rows, 1)``, 1 for real rows and 0 for the others.
        n: number of real rows.
        key: scalar uint32, another one for every step.
        learning: whether this is a step of training rather than of validation.
    """

    x: Array
    y: Array
    weight: Array
    valid: Array
    n: Array
    key: Array
    learning: Array


@dataclass(frozen=True)
class Program:
    """The program for some shapes.

    Attributes:
        backend: what compiles and differentiates.
        shapes: what is compiled.
    """

    backend: Backend
    shapes: Shapes

    def compiled(
        self, course: Course, tables: Tables, settings: Settings, data: Data
    ) -> Callable[[Course, Tables, Settings, Data], Course]:
        """The compiled program: a training goes on by up to ``epochs_at_once`` epochs.

        Args: arrays of the shapes and types that it will be called with.
        """
        return self.backend.compiled(self._train, (course, tables, settings, data))

    # ---- a training ----

    def _train(self, course: Course, tables: Tables, settings: Settings, data: Data) -> Course:
        ops = self.backend.ops
        first = course.epoch

        def goes_on(state: Any) -> Any:
            course, _ = state
            return ops.logical_and(course.running, course.epoch - first < settings.n_epochs)

        def epoch(state: Any) -> Any:
            course, work = state
            place = course.epoch - first
            weights, m, v, work, outputs, losses = self._steps(
                course, work, tables, settings, data, place
            )
            kept = ops.slice_update(course.losses, (0, place), ops.reshape(losses, (2, 1)))
            course = course._replace(weights=weights, m=m, v=v, losses=kept)
            return self._judged(course, tables, settings, outputs, losses[0], losses[1]), work

        state = (course, self._no_work())
        return ops.while_loop(goes_on, lambda s: (epoch(s),), (state,))[0][0]

    def _judged(
        self,
        course: Course,
        tables: Tables,
        settings: Settings,
        outputs: Array,
        loss: Array,
        validation: Array,
    ) -> Course:
        """After an epoch: keep the best, stop where it is time (Keras' EarlyStopping)."""
        ops = self.backend.ops
        better = validation < course.best_loss
        n = ops.where(better, _chunks(tables.sizes[1], _UPDATED_TOGETHER), 0)

        def keep(i: Array, tiles: Array) -> Array:
            at = i * _UPDATED_TOGETHER
            now = _get(self.backend, course.weights.tiles, at, _UPDATED_TOGETHER)
            return _put(ops, tiles, at, now)

        best = Weights(
            ops.fori_loop(0, n, keep, course.best.tiles),
            ops.where(better, course.weights.vectors, course.best.vectors),
            ops.where(better, course.weights.moving, course.best.moving),
        )
        epoch = course.epoch + 1
        waited = ops.where(better, 0, course.waited + 1)
        tired = ops.logical_and(waited >= settings.patience, epoch > 1)
        finite = ops.logical_and(ops.isfinite(loss), ops.isfinite(validation))
        return course._replace(
            best=best,
            best_outputs=ops.where(better, outputs, course.best_outputs),
            best_loss=ops.where(better, validation, course.best_loss),
            best_epoch=ops.where(better, epoch, course.best_epoch),
            epoch=epoch,
            waited=waited,
            running=ops.logical_and(finite, ops.logical_not(tired)),
        )

    def _steps(
        self,
        course: Course,
        work: _Work,
        tables: Tables,
        settings: Settings,
        data: Data,
        place: Array,
    ) -> tuple[Weights, Any, Any, _Work, Array, Array]:
        """One epoch and its validation.

        The steps of both share the code of one loop, which halves the time to compile it; what
        only training does is a loop that validation goes through no time.

        Returns:
            Weights, m, v, buffers, outputs for the validation part, and the mean losses of
            training and validation ``(2,)``.
        """
        ops, shapes, n_coefficients = self.backend.ops, self.shapes, len(COEFFICIENTS)

        def step(i: Array, state: Any) -> Any:
            weights, m, v, work, outputs, losses = state
            batch = self._batch(i, course, settings, data, place)
            work = work._replace(h=ops.slice_update(work.h, (0, 0), batch.x))
            work, moving = self._forward(weights, work, tables, batch)
            out = self._outputs(work.z, tables)
            loss, d = self._loss(out, batch, settings.numbers[0])
            outputs = ops.slice_update(
                outputs, (ops.maximum(i - shapes.n_steps, 0), 0, 0), out[None]
            )
            losses = losses + ops.where(ops.stack([batch.learning, i >= shapes.n_steps]), loss, 0.0)
            work = self._backward(weights, work, tables, batch, d)
            done = place * shapes.n_steps + ops.minimum(i, shapes.n_steps - 1)
            row = self.backend.slice(settings.coefficients, (done, 0), (1, n_coefficients))
            c = [row[0, k] for k in range(n_coefficients)]
            n_tiles, n_blocks = (ops.where(batch.learning, tables.sizes[k], 0) for k in (1, 2))
            scale = self._clip(work, n_tiles, n_blocks, settings.numbers[2])
            tiles = self._updated(n_tiles, c, scale, (weights.tiles, m[0], v[0]), work.tiles)
            vectors = self._updated(n_blocks, c, scale, (weights.vectors, m[1], v[1]), work.vectors)
            weights = Weights(tiles[0], vectors[0], moving)
            return weights, (tiles[1], vectors[1]), (tiles[2], vectors[2]), work, outputs, losses

        outputs = ops.zeros((shapes.n_validation_steps, shapes.batch_size, shapes.n_outputs))
        start = (course.weights, course.m, course.v, work, outputs, ops.zeros((2,)))
        n = shapes.n_steps + shapes.n_validation_steps
        *rest, losses = ops.fori_loop(0, n, step, start)
        n_rows = ops.convert_to_tensor([float(shapes.n_train), float(shapes.n_validation)])
        return *rest, losses / n_rows

    def _batch(
        self, i: Array, course: Course, settings: Settings, data: Data, place: Array
    ) -> _Batch:
        """The rows of the i-th step of an epoch, with noise on the inputs while it learns."""
        ops, shapes = self.backend.ops, self.shapes
        size, learning = shapes.batch_size, i < shapes.n_steps
        rows = self.backend.slice(settings.order, (place, i * size), (1, size))[0]
        before = ops.where(learning, i, i - shapes.n_steps) * size
        n = ops.where(learning, shapes.n_train, shapes.n_validation)
        real = ops.cast(before + ops.arange(size) < n, "float32")
        key = self._key(settings.seed, course.epoch * shapes.n_steps + i)
        deviation = ops.where(learning, settings.numbers[1], 0.0)
        return _Batch(
            self._noisy(ops.take(data.x, rows, axis=0), deviation, key),
            ops.take(data.y, rows, axis=0),
            ops.take(data.weight, rows, axis=0) * real,
            ops.reshape(real, (size, 1)),
            ops.sum(real),
            key,
            learning,
        )

    # ---- forward ----

    def _forward(
        self, weights: Weights, work: _Work, tables: Tables, batch: _Batch
    ) -> tuple[_Work, Array]:
        """Fill ``z`` and ``h``; the inputs are in ``h``. Also the moving means and variances."""

        def layer(place: Array, state: Any) -> Any:
            work, moving = state
            row = self._row(tables, place)
            work = work._replace(z=self._products(weights, tables, row, work.h, work.z))
            work = self._measured(work, tables, row, place)
            return self._passed_on(weights, work, moving, tables, row, place, batch)

        n_layers = tables.sizes[0] + 1
        return self.backend.ops.fori_loop(0, n_layers, layer, (work, weights.moving))

    def _products(
        self, weights: Weights, tables: Tables, row: LayerRow, h: Array, z: Array
    ) -> Array:
        """``z`` with the products and biases of one layer."""
        ops, n_rows = self.backend.ops, h.shape[0]

        def piece(first: Array, n: int, z: Array) -> Array:
            own = row.first_block + first
            bias = self._vector(weights.vectors, 0, own, n)
            tile = row.first_tile + first * row.n_sources

            def source(k: Array, total: Array) -> Array:
                block = self._source(tables, row, k)
                kernel = self._kernel(weights.tiles, tile + k * n, n)
                return total + self._dot("bi,io->bo", self._columns(h, block, 1), kernel)

            total = ops.broadcast_to(bias, (n_rows, n * TILE))
            return self._put_columns(z, own, ops.fori_loop(0, row.n_sources, source, total))

        return self._over(row.n_blocks, piece, z)

    def _measured(self, work: _Work, tables: Tables, row: LayerRow, place: Array) -> _Work:
        """Mean and 1 / deviation over the units of a layer, where it is normalised by layers."""
        ops = self.backend.ops
        none = ops.zeros((self.shapes.batch_size, 1))

        def measure(_: Array, statistics: Array) -> Array:
            share = self._rates(tables, place)[1]

            def mean(i: Array, total: Array) -> Array:
                z = self._columns(work.z, row.first_block + i, 1)
                return total + ops.sum(z, axis=1, keepdims=True)  # padding is zero

            mu = ops.fori_loop(0, row.n_blocks, mean, none) * share

            def variance(i: Array, total: Array) -> Array:
                z = self._columns(work.z, row.first_block + i, 1)
                centred = (z - mu) * self._units(tables, row.first_block + i)
                return total + ops.sum(centred * centred, axis=1, keepdims=True)

            total = ops.fori_loop(0, row.n_blocks, variance, none)
            deviation = ops.rsqrt(total * share + NORMALISATION_EPSILON)
            both = ops.concatenate([mu, deviation], axis=1)[None]
            return ops.slice_update(statistics, (place, 0, 0), both)

        times = self._if(row.normalisation == NORMALISATIONS.index("layer"))
        return work._replace(statistics=ops.fori_loop(0, times, measure, work.statistics))

    def _passed_on(
        self,
        weights: Weights,
        work: _Work,
        moving: Array,
        tables: Tables,
        row: LayerRow,
        place: Array,
        batch: _Batch,
    ) -> tuple[_Work, Array]:
        """``h`` of one layer: normalisation, activation, dropout."""
        ops = self.backend.ops
        statistics = self._statistics(work, place)
        moving = self._moved(moving, work.z, row, batch)
        activations = [self.backend.activation(name) for name in FUNCTIONS]
        normalisers = [self._normaliser(name, batch) for name in (*NORMALISATIONS, "kept")]
        at_rest = row.normalisation == NORMALISATIONS.index("batch")
        at_rest = ops.logical_and(at_rest, ops.logical_not(batch.learning))
        kind = ops.where(at_rest, len(NORMALISATIONS), row.normalisation)
        rate = ops.where(batch.learning, self._rates(tables, place)[0], 0.0)

        def block(i: Array, state: Any) -> Any:
            h, d = state
            own = row.first_block + i
            z = self._columns(work.z, own, 1)
            inputs = (z, *self._scale_and_offset(weights, own), statistics, moving, own)
            y = ops.switch(kind, normalisers, *inputs)
            out = ops.switch(row.activation, activations, y) * self._units(tables, own)
            out = self._dropped(out, rate, batch.key, own)
            d = self._put_columns(d, own, ops.zeros_like(out))
            return self._put_columns(h, own, out), d

        h, d = ops.fori_loop(0, row.n_blocks, block, (work.h, work.d))
        return work._replace(h=h, d=d), moving

    # ---- backward ----

    def _backward(
        self, weights: Weights, work: _Work, tables: Tables, batch: _Batch, d: Array
    ) -> _Work:
        """Fill the gradients; ``d`` is that of the outputs, ``(rows, n_outputs)``."""
        ops = self.backend.ops
        n_hidden = tables.sizes[0]
        padding = blocks_of(self.shapes.n_outputs) * TILE - self.shapes.n_outputs
        d = ops.pad(d, ((0, 0), (0, padding)))
        last = self._row(tables, n_hidden)
        work = work._replace(d=self._put_columns(work.d, last.first_block, d))

        def layer(i: Array, work: _Work) -> _Work:
            place = n_hidden - i
            row = self._row(tables, place)
            work = self._derived(weights, work, tables, row, place, batch)
            return self._pulled(weights, work, tables, row)

        return ops.fori_loop(0, ops.where(batch.learning, n_hidden + 1, 0), layer, work)

    def _derived(
        self,
        weights: Weights,
        work: _Work,
        tables: Tables,
        row: LayerRow,
        place: Array,
        batch: _Batch,
    ) -> _Work:
        """From the gradient of what a layer passes on to that of its z."""
        ops, vjp = self.backend.ops, self.backend.vjp
        statistics = self._statistics(work, place)
        normalisers = [self._normaliser(name, batch) for name in NORMALISATIONS]

        def backwards(function: Callable[..., Any]) -> Callable[..., Any]:
            return lambda d, *inputs: vjp(function, inputs, d)

        def activated(name: str) -> Callable[..., Any]:
            function = self.backend.activation(name)
            return lambda d, y: vjp(function, (y,), d)[0]

        def block(i: Array, state: Any) -> Any:
            dz, vectors, d_statistics = state
            own = row.first_block + i
            d = self._columns(work.d, own, 1)
            d = self._dropped(d, self._rates(tables, place)[0], batch.key, own)
            z = self._columns(work.z, own, 1)
            inputs = (z, *self._scale_and_offset(weights, own), statistics)
            y = ops.switch(row.normalisation, normalisers, *inputs)
            d = d * self._units(tables, own)
            d = ops.switch(row.activation, [activated(name) for name in FUNCTIONS], d, y)
            d, d_scale, d_offset, d_block = ops.switch(
                row.normalisation, [backwards(f) for f in normalisers], d, *inputs
            )
            for which, gradient in ((0, ops.sum(d, axis=0)), (1, d_scale), (2, d_offset)):
                vectors = self._put_vector(vectors, which, own, gradient)
            return self._put_columns(dz, own, d), vectors, d_statistics + d_block

        state = (work.dz, work.vectors, ops.zeros_like(statistics))
        dz, vectors, d_statistics = ops.fori_loop(0, row.n_blocks, block, state)
        dz, vectors = self._through_statistics(
            dz, vectors, work.z, tables, row, place, statistics, d_statistics
        )
        return work._replace(dz=dz, vectors=vectors)

    def _through_statistics(
        self,
        dz: Array,
        vectors: Array,
        z: Array,
        tables: Tables,
        row: LayerRow,
        place: Array,
        statistics: Array,
        d_statistics: Array,
    ) -> tuple[Array, Array]:
        """Add the gradient of z by way of a layer's mean and 1 / deviation; the biases' too."""
        ops = self.backend.ops

        def block(i: Array, state: Any) -> Any:
            dz, vectors = state
            own = row.first_block + i
            share = self._rates(tables, place)[1]
            mu, deviation = statistics[:, :1], statistics[:, 1:]
            d_mu, d_deviation = d_statistics[:, :1], d_statistics[:, 1:]
            centred = self._columns(z, own, 1) - mu
            by_deviation = -d_deviation * deviation**3 * centred  # of rsqrt(mean((z - mu)^2) + e)
            added = (d_mu + by_deviation) * share * self._units(tables, own)
            dz = self._put_columns(dz, own, self._columns(dz, own, 1) + added)
            bias = ops.sum(self._columns(dz, own, 1), axis=0)
            return dz, self._put_vector(vectors, 0, own, bias)

        times = self._if(row.normalisation == NORMALISATIONS.index("layer"))
        return ops.fori_loop(0, times * row.n_blocks, block, (dz, vectors))

    def _pulled(self, weights: Weights, work: _Work, tables: Tables, row: LayerRow) -> _Work:
        """The gradients of a layer's kernel, and what it adds to those of the blocks it reads."""
        ops = self.backend.ops

        def hidden(k: Array, state: Any) -> Any:
            tiles, d = state
            block = self._source(tables, row, k)
            h = self._columns(work.h, block, 1)

            def piece(first: Array, n: int, state: Any) -> Any:
                tiles, total = state
                own = self._columns(work.dz, row.first_block + first, n)
                tile = row.first_tile + first * row.n_sources + k * n
                kernel = self._kernel(weights.tiles, tile, n)
                tiles = self._put_kernel(tiles, tile, n, self._dot("bi,bo->io", h, own))
                return tiles, total + self._dot("bo,io->bi", own, kernel)

            total = self._columns(d, block, 1)
            tiles, total = self._over(row.n_blocks, piece, (tiles, total))
            return tiles, self._put_columns(d, block, total)

        def of_input(k: Array, tiles: Array) -> Array:
            block = self._source(tables, row, k)
            h = self._columns(work.h, block, 1)

            def piece(first: Array, n: int, tiles: Array) -> Array:
                own = self._columns(work.dz, row.first_block + first, n)
                tile = row.first_tile + first * row.n_sources + k * n
                return self._put_kernel(tiles, tile, n, self._dot("bi,bo->io", h, own))

            return self._over(row.n_blocks, piece, tiles)

        state = (work.tiles, work.d)
        tiles, d = ops.fori_loop(0, row.n_hidden_sources, hidden, state)
        tiles = ops.fori_loop(row.n_hidden_sources, row.n_sources, of_input, tiles)
        return work._replace(tiles=tiles, d=d)

    # ---- update ----

    def _clip(self, work: _Work, n_tiles: Array, n_blocks: Array, norm: Array) -> Array:
        """What gradients are multiplied with so that their norm is at most ``norm``, if not 0."""
        ops = self.backend.ops

        def squares(array: Array, n: Array) -> Array:
            def chunk(i: Array, total: Array) -> Array:
                part = _get(self.backend, array, i * _UPDATED_TOGETHER, _UPDATED_TOGETHER)
                return total + ops.sum(part * part)

            n = ops.where(norm > 0, _chunks(n, _UPDATED_TOGETHER), 0)
            return ops.fori_loop(0, n, chunk, ops.zeros(()))

        total = squares(work.tiles, n_tiles) + squares(work.vectors, n_blocks)
        length = ops.sqrt(total)
        return ops.where(ops.logical_and(norm > 0, length > norm), norm / length, 1.0)

    def _updated(self, n: Array, c: list[Array], scale: Array, state: Any, gradient: Array) -> Any:
        """Weights, m and v after a step, the first ``n`` of the second axis; see optimizers.py."""
        ops, size = self.backend.ops, _UPDATED_TOGETHER
        a, b, c_, d, p, q, s, inner, outer, decay = c

        def chunk(i: Array, state: Any) -> Any:
            w, m, v = state
            at = i * size
            g = _get(self.backend, gradient, at, size) * scale
            m = _put(ops, m, at, a * _get(self.backend, m, at, size) + b * g)
            v = _put(ops, v, at, c_ * _get(self.backend, v, at, size) + d * g * g)
            step = (p * _get(self.backend, m, at, size) + q * g) / (
                ops.sqrt(s * _get(self.backend, v, at, size) + inner) + outer
            )
            old = _get(self.backend, w, at, size)
            return _put(ops, w, at, old - decay * old - step), m, v

        return ops.fori_loop(0, _chunks(n, size), chunk, state)

    # ---- between two products ----

    def _normaliser(self, name: str, batch: _Batch) -> Callable[..., Array]:
        """A normalisation of z, given scale, offset, a layer's statistics, and what was kept.

        "batch" is that of training; "kept" is its counterpart in validation.
        """
        ops = self.backend.ops

        def by_batch(z: Array, scale: Array, offset: Array, *_: Array) -> Array:
            mean, variance = self._batch_statistics(z, batch)
            return scale * (z - mean) * ops.rsqrt(variance + NORMALISATION_EPSILON) + offset

        def by_layer(z: Array, scale: Array, offset: Array, statistics: Array, *_: Array) -> Array:
            return scale * (z - statistics[:, :1]) * statistics[:, 1:] + offset

        def by_kept(
            z: Array, scale: Array, offset: Array, _: Array, moving: Array, own: Array
        ) -> Array:
            kept = self._moving(moving, own)
            return scale * (z - kept[:1]) * ops.rsqrt(kept[1:] + NORMALISATION_EPSILON) + offset

        kinds: dict[str, Callable[..., Array]] = {
            "none": lambda z, *_: z,
            "batch": by_batch,
            "layer": by_layer,
            "kept": by_kept,
        }
        return kinds[name]

    def _batch_statistics(self, z: Array, batch: _Batch) -> tuple[Array, Array]:
        """Mean and variance ``(1, TILE)`` over the real rows of a batch."""
        ops = self.backend.ops
        mean = ops.sum(z * batch.valid, axis=0, keepdims=True) / batch.n
        centred = (z - mean) * batch.valid
        return mean, ops.sum(centred * centred, axis=0, keepdims=True) / batch.n

    def _moved(self, moving: Array, z: Array, row: LayerRow, batch: _Batch) -> Array:
        """The moving means and variances after a step."""
        ops = self.backend.ops

        def block(i: Array, moving: Array) -> Array:
            own = row.first_block + i
            now = ops.concatenate(self._batch_statistics(self._columns(z, own, 1), batch), axis=0)
            value = BATCH_MOMENTUM * self._moving(moving, own) + (1 - BATCH_MOMENTUM) * now
            return _put(ops, moving, own - self._n_input_blocks, ops.reshape(value, (2, 1, TILE)))

        is_batch = row.normalisation == NORMALISATIONS.index("batch")
        moves = self._if(ops.logical_and(is_batch, batch.learning))
        return ops.fori_loop(0, moves * row.n_blocks, block, moving)

    def _dropped(self, h: Array, rate: Array, key: Array, own: Array) -> Array:
        """Dropout of one block; the same numbers come for the same key."""
        ops = self.backend.ops

        def drop() -> Array:
            kept = _uniform(ops, key + _u32(ops, own) * _u32(ops, _BLOCK_STRIDE), h.shape) >= rate
            return h * ops.cast(kept, "float32") / (1 - rate)

        return ops.cond(rate > 0, drop, lambda: h)

    def _noisy(self, x: Array, deviation: Array, key: Array) -> Array:
        """Inputs with normal noise (Box & Muller 1958)."""
        ops = self.backend.ops
        keys = [_scrambled(ops, key + _u32(ops, k)) for k in (1, 2)]

        def add() -> Array:
            u, angle = (_uniform(ops, key, x.shape) for key in keys)
            normal = ops.sqrt(-2 * ops.log(1 - u)) * ops.cos(2 * math.pi * angle)
            real = ops.cast(ops.arange(x.shape[1]) < self.shapes.n_inputs, "float32")
            return x + deviation * normal * real

        return ops.cond(deviation > 0, add, lambda: x)

    def _loss(self, outputs: Array, batch: _Batch, smoothing: Array) -> tuple[Array, Array]:
        """Sum of the losses of a batch, and the gradient of their mean by the outputs."""
        loss = self.backend.loss(self.shapes.loss)

        def total(outputs: Array) -> Array:
            return self.backend.ops.sum(loss(batch.y, outputs, smoothing) * batch.weight)

        one = self.backend.ops.ones(())
        (d,) = self.backend.vjp(total, (outputs,), one)
        return total(outputs), d / batch.n

    # ---- where things lie ----

    @property
    def _n_input_blocks(self) -> int:
        return blocks_of(self.shapes.n_inputs)

    def _no_work(self) -> _Work:
        ops, capacity = self.backend.ops, self.shapes.capacity
        n_rows = self.shapes.batch_size
        width = (self._n_input_blocks + capacity.blocks) * TILE
        z, h, d, dz = (ops.zeros((n_rows, width)) for _ in range(4))
        statistics = ops.zeros((capacity.layers, n_rows, 2))
        tiles = ops.zeros((1, capacity.tiles, TILE * TILE))
        return _Work(z, h, d, dz, statistics, tiles, ops.zeros((3, capacity.blocks, TILE)))

    def _over(self, n_blocks: Array, piece: Callable[[Array, int, Any], Any], state: Any) -> Any:
        """Loop over the pieces of so many blocks, wide ones first (``tiles.pieces_of``)."""
        ops = self.backend.ops
        n_wide = n_blocks // PANEL
        state = ops.fori_loop(0, n_wide, lambda i, s: piece(i * PANEL, PANEL, s), state)
        return ops.fori_loop(n_wide * PANEL, n_blocks, lambda i, s: piece(i, 1, s), state)

    def _if(self, condition: Array) -> Array:
        """1 or 0: times that a loop runs whose body is to run only under a condition.

        A conditional would copy the buffers that its branches update; a loop does not.
        """
        return self.backend.ops.where(condition, 1, 0)

    def _row(self, tables: Tables, place: Array) -> LayerRow:
        n = len(LayerRow._fields)
        row = self.backend.slice(tables.layers, (place, 0), (1, n))
        return LayerRow(*(row[0, i] for i in range(n)))

    def _source(self, tables: Tables, row: LayerRow, k: Array) -> Array:
        """The k-th block that a layer reads."""
        return self.backend.slice(tables.sources, (row.first_source + k,), (1,))[0]

    def _rates(self, tables: Tables, place: Array) -> Array:
        """Dropout rate and 1 / units of a layer: ``(2,)``."""
        return self.backend.slice(tables.rates, (place, 0), (1, 2))[0]

    def _outputs(self, z: Array, tables: Tables) -> Array:
        last = self._row(tables, tables.sizes[0])
        n = self.shapes.n_outputs
        return self._columns(z, last.first_block, blocks_of(n))[:, :n]

    def _columns(self, array: Array, block: Array, n: int) -> Array:
        """``n`` blocks of columns: ``(rows, n * TILE)``."""
        return self.backend.slice(array, (0, block * TILE), (array.shape[0], n * TILE))

    def _put_columns(self, array: Array, block: Array, value: Array) -> Array:
        return self.backend.ops.slice_update(array, (0, block * TILE), value)

    def _kernel(self, tiles: Array, tile: Array, n: int) -> Array:
        """A piece of a kernel: ``(TILE, n * TILE)``."""
        return self.backend.ops.reshape(_get(self.backend, tiles, tile, n), (TILE, n * TILE))

    def _put_kernel(self, tiles: Array, tile: Array, n: int, value: Array) -> Array:
        ops = self.backend.ops
        return _put(ops, tiles, tile, ops.reshape(value, (1, n, TILE * TILE)))

    def _vector(self, vectors: Array, which: int, own: Array, n: int) -> Array:
        """Biases, scales or offsets of ``n`` blocks: ``(1, n * TILE)``."""
        ops = self.backend.ops
        at = (which, own - self._n_input_blocks, 0)
        return ops.reshape(self.backend.slice(vectors, at, (1, n, TILE)), (1, n * TILE))

    def _scale_and_offset(self, weights: Weights, own: Array) -> tuple[Array, Array]:
        """Of the normalisation of a block: ``(1, TILE)`` each."""
        return self._vector(weights.vectors, 1, own, 1), self._vector(weights.vectors, 2, own, 1)

    def _put_vector(self, vectors: Array, which: int, own: Array, value: Array) -> Array:
        ops = self.backend.ops
        at = (which, own - self._n_input_blocks, 0)
        return ops.slice_update(vectors, at, ops.reshape(value, (1, 1, TILE)))

    def _units(self, tables: Tables, own: Array) -> Array:
        """1 for the units of a block and 0 for its padding: ``(1, TILE)``."""
        return self.backend.slice(tables.units, (own - self._n_input_blocks, 0), (1, TILE))

    def _moving(self, moving: Array, own: Array) -> Array:
        """Moving mean and variance of a block: ``(2, TILE)``."""
        ops = self.backend.ops
        return ops.reshape(_get(self.backend, moving, own - self._n_input_blocks, 1), (2, TILE))

    def _statistics(self, work: _Work, place: Array) -> Array:
        """Mean and 1 / deviation of a layer: ``(rows, 2)``."""
        n_rows = work.statistics.shape[1]
        return self.backend.slice(work.statistics, (place, 0, 0), (1, n_rows, 2))[0]

    def _dot(self, equation: str, a: Array, b: Array) -> Array:
        ops = self.backend.ops
        if self.shapes.precision == "float32":
            return ops.einsum(equation, a, b)
        a, b = (ops.cast(factor, self.shapes.precision) for factor in (a, b))
        return ops.cast(ops.einsum(equation, a, b), "float32")

    def _key(self, seed: Array, step: Array) -> Array:
        ops = self.backend.ops
        return _scrambled(ops, _scrambled(ops, _u32(ops, seed)) + _u32(ops, step))


def _chunks(n: Array, size: int) -> Array:
    return (n + size - 1) // size


def _get(backend: Backend, array: Array, at: Array, n: int) -> Array:
    """``array[:, at : at + n, :]``."""
    return backend.slice(array, (0, at, 0), (array.shape[0], n, array.shape[2]))


def _put(ops: Any, array: Array, at: Array, value: Array) -> Array:
    return ops.slice_update(array, (0, at, 0), value)


def _u32(ops: Any, value: Any) -> Array:
    return ops.cast(value, "uint32")


def _uniform(ops: Any, key: Array, shape: tuple[int, ...]) -> Array:
    """Numbers from 0 up to 1 that depend on key, row and column alone.

    A counter through a scrambler costs a fraction of the backends' own generators, and gives the
    same numbers on all of them.
    """
    counter = ops.reshape(ops.arange(math.prod(shape), dtype="int32"), shape)
    x = _scrambled(ops, _u32(ops, counter) * _u32(ops, _STEP_STRIDE) + key)
    return ops.cast(ops.cast(ops.right_shift(x, _u32(ops, 8)), "int32"), "float32") * 2.0**-24


def _scrambled(ops: Any, x: Array) -> Array:
    """The finaliser of MurmurHash3 (Appleby 2011): every bit of x changes half of the bits."""
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 16))) * _u32(ops, 0x85EBCA6B)
    x = ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 13))) * _u32(ops, 0xC2B2AE35)
    return ops.bitwise_xor(x, ops.right_shift(x, _u32(ops, 16)))
