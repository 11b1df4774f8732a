"""Trains genomes one after the other in one process, each by a program compiled for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.streams import stream
from evonet.training.backend import Backend, load_backend
from evonet.training.fused import Course, Data, Program, Settings, Shapes
from evonet.training.initializers import initial_weights
from evonet.training.optimizers import FIRST_V, coefficients
from evonet.training.tiles import TILE, Layout, Tables, Weights, blocks_of

#: Most rows that one call trains on, so that it ends in reasonable time.
_ROWS_PER_CALL = 4_000_000


#: The programs of this process.
_programs: dict[Shapes, Callable[[Course, Tables, Settings, Data], Course]] = {}


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        train_loss: mean training loss of each epoch.
        validation_loss: validation loss after each epoch.
        best_epoch: the epoch of the lowest validation loss, from 1; 0 where no loss is a number.
        outputs: ``(n_validation, n_outputs)`` float32 of the network of the best epoch.
        layout: where the parts of the network lie.
        packed: its weights at the best epoch.
    """

    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: int
    outputs: np.ndarray
    layout: Layout
    packed: Weights

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        return not np.isfinite([*self.train_loss, *self.validation_loss]).all()

    @property
    def weights(self) -> list[np.ndarray]:
        """The weights of the best epoch, in the order of ``keras.Model.get_weights``."""
        return self.layout.unpack(Weights(*(np.asarray(part) for part in self.packed)))


@dataclass(frozen=True)
class Trainer:
    """Trains on one data set.

    Attributes:
        dataset: its training part is learned, its validation part decides when to stop.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        precision: "float32", or "bfloat16" for the factors of products.
    """

    dataset: Dataset
    loss: str
    budget: Budget
    precision: str = "float32"

    def prepare(self, batch_sizes: Sequence[int]) -> None:
        """Make the programs for these batch sizes ready, before anything else is done.

        In a fixed order, and first of all: only then does TensorFlow give its programs the names
        under which an earlier process has left them on disk.
        """
        for size in sorted(batch_sizes):
            linear = Genome((), "he_normal", "sgd", 0.1, size)
            layout = Layout(linear, self.dataset.n_inputs, self.dataset.target.n_outputs)
            self._program(layout)

    def fit(self, genome: Genome, seed: int) -> Trained:
        """Train the network of a genome with early stopping on the validation loss.

        Args:
            genome: what to build and how to train it.
            seed: decides initial weights, order of the rows, dropout and noise.
        """
        layout = Layout(genome, self.dataset.n_inputs, self.dataset.target.n_outputs)
        shapes, program = self.shapes(layout), self._program(layout)
        backend = self._backend
        tables = backend.tensors(layout.tables())
        course = backend.tensors(self._start(layout, shapes, seed))
        rows = coefficients(genome, shapes.n_steps * self.budget.epochs)
        losses: list[np.ndarray] = []
        done, running = 0, True
        while running and done < self.budget.epochs:
            settings = backend.tensors(self._settings(genome, shapes, seed, done, rows))
            course = program(course, tables, settings, self._data)
            before, done, running = done, int(course.epoch), bool(course.running)
            losses.append(backend.ops.convert_to_numpy(course.losses)[:, : done - before])
        train_loss, validation_loss = np.concatenate(losses, axis=1).tolist()
        outputs = backend.ops.convert_to_numpy(course.best_outputs).reshape(-1, shapes.n_outputs)
        return Trained(
            tuple(train_loss),
            tuple(validation_loss),
            int(course.best_epoch),
            outputs[: shapes.n_validation],
            layout,
            course.best,
        )

    def _program(self, layout: Layout) -> Callable[[Course, Tables, Settings, Data], Course]:
        """The compiled program for a network, made on the first call."""
        shapes = self.shapes(layout)
        if shapes not in _programs:
            genome = layout.genome
            rows = coefficients(genome, shapes.n_steps * self.budget.epochs)
            _programs[shapes] = Program(self._backend, shapes).compiled(
                self._start(layout, shapes, 0),
                layout.tables(),
                self._settings(genome, shapes, 0, 0, rows),
                self._rows,
            )
        return _programs[shapes]

    def shapes(self, layout: Layout) -> Shapes:
        """What is compiled for a network."""
        n_train = len(self.dataset.train)
        return Shapes(
            layout.n_inputs,
            layout.n_outputs,
            self.loss,
            n_train,
            len(self.dataset.validation),
            layout.genome.batch_size,
            max(1, min(self.budget.epochs, _ROWS_PER_CALL // n_train)),
            layout.capacity,
            self.precision,
        )

    @cached_property
    def _backend(self) -> Backend:
        return load_backend()

    @cached_property
    def _data(self) -> Data:
        """The rows on the device."""
        return self._backend.tensors(self._rows)

    @cached_property
    def _rows(self) -> Data:
        """The rows, padded to whole blocks of inputs."""
        parts = (self.dataset.train, self.dataset.validation)
        n, n_inputs = sum(map(len, parts)), self.dataset.n_inputs
        x = np.zeros((n, blocks_of(n_inputs) * TILE), np.float32)
        np.concatenate([part.x for part in parts], out=x[:, :n_inputs])
        y = np.concatenate([part.y for part in parts]).astype(np.float32)
        weights = [np.ones(len(p)) if p.weight is None else p.weight for p in parts]
        weight = np.concatenate(weights).astype(np.float32)
        return Data(x, y, weight)

    def _start(self, layout: Layout, shapes: Shapes, seed: int) -> Course:
        """A training before its first epoch, as arrays."""
        drawn = initial_weights(
            stream(seed, "weights"), layout.genome, layout.n_inputs, layout.n_outputs
        )
        packed = layout.pack(drawn)
        first_v = FIRST_V.get(layout.genome.optimizer, 0.0)
        outputs = (shapes.n_validation_steps, shapes.batch_size, shapes.n_outputs)
        learned = packed.tiles, packed.vectors
        return Course(
            weights=packed,
            m=(np.zeros_like(learned[0]), np.zeros_like(learned[1])),
            v=(np.full_like(learned[0], first_v), np.full_like(learned[1], first_v)),
            best=Weights(*map(np.zeros_like, packed)),
            best_outputs=np.zeros(outputs, np.float32),
            best_loss=np.float32(np.inf),
            best_epoch=np.int32(0),
            epoch=np.int32(0),
            waited=np.int32(0),
            running=np.bool_(True),
            losses=np.zeros((2, shapes.epochs_at_once), np.float32),
        )

    def _settings(
        self, genome: Genome, shapes: Shapes, seed: int, first_epoch: int, rows: np.ndarray
    ) -> Settings:
        """What the next call needs to know besides the network."""
        n = shapes.epochs_at_once
        n_steps = shapes.n_steps + shapes.n_validation_steps
        order = np.zeros((n, n_steps * shapes.batch_size), np.int32)
        first_validated = shapes.n_steps * shapes.batch_size
        n_epochs = min(n, self.budget.epochs - first_epoch)
        for i in range(n_epochs):
            order[i, : shapes.n_train] = row_order(seed, first_epoch + i, shapes.n_train)
            validated = order[i, first_validated:][: shapes.n_validation]
            validated[:] = shapes.n_train + np.arange(shapes.n_validation)
        own = np.zeros((n * shapes.n_steps, rows.shape[1]), np.float32)
        part = rows[first_epoch * shapes.n_steps :][: len(own)]
        own[: len(part)] = part
        numbers = (genome.label_smoothing, genome.input_noise, genome.clip_norm)
        return Settings(
            order,
            own,
            np.int32(seed),
            np.asarray(numbers, np.float32),
            np.int32(n_epochs),
            np.int32(self.budget.patience_epochs),
        )


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch, from 0, visits ``n`` rows: ``(n,)`` int."""
    return stream(seed, "order", epoch).permutation(n)
