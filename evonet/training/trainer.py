"""Trains genomes on a CPU, one after the other in one process, with the loops of native.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.streams import stream
from evonet.training import native
from evonet.training.elementwise import random_key
from evonet.training.initializers import initial_weights
from evonet.training.layout import Layout
from evonet.training.losses import LOSSES
from evonet.training.optimizers import coefficients
from evonet.training.plan import ROWS_AT_ONCE, rows_per_pass
from evonet.training.products import blas
from evonet.training.tables import Rows
from evonet.training.trained import NO_RACE, Race, Stopping, Trained, row_order


@dataclass(frozen=True)
class _Best:
    """What belongs to the best epoch so far."""

    learned: np.ndarray
    moving: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True)
class Trainer:
    """Trains on one data set.

    Attributes:
        dataset: its training part is learned, its validation part decides when to stop.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
    """

    dataset: Dataset
    loss: str
    budget: Budget

    def fit(self, genome: Genome, seed: int, race: Race = NO_RACE) -> Trained:
        """Train the network of a genome with early stopping on the validation loss.

        Args:
            genome: what to build and how to train it.
            seed: decides initial weights, order of the rows, dropout and noise.
            race: may end it earlier.
        """
        data, n = self.dataset, len(self.dataset.train)
        n_inputs, n_outputs = data.n_inputs, data.target.n_outputs
        layout = Layout(genome, n_inputs, n_outputs)
        rng, network = stream(seed, "weights"), layout.network
        weights = layout.weights(initial_weights(rng, genome, n_inputs, n_outputs))
        work = layout.work(rows_per_pass(genome.batch_size, n))
        outputs = np.empty((len(data.validation), n_outputs), np.float32)
        n_steps = -(-n // genome.batch_size)
        steps = coefficients(genome, n_steps * self.budget.epochs)
        numbers = (genome.label_smoothing, genome.input_noise, genome.clip_norm)
        settings = np.asarray(numbers, np.float32)
        loss, key = LOSSES.index(self.loss), random_key(seed)
        best = _Best(weights.learned, weights.moving, outputs)
        stopping = Stopping(self.budget, race)
        while not stopping.over:
            done = stopping.n_epochs * n_steps
            train_loss = native.train_epoch(
                blas(),
                network,
                weights,
                work,
                self._train,
                row_order(seed, stopping.n_epochs, n),
                genome.batch_size,
                steps[done : done + n_steps],
                loss,
                settings,
                key,
                done,
            )
            validation_loss = native.validate(
                blas(),
                network,
                weights,
                work,
                self._validation,
                ROWS_AT_ONCE,
                loss,
                settings[0],
                outputs,
            )
            if stopping.add(train_loss, validation_loss):
                best = _Best(weights.learned.copy(), weights.moving.copy(), outputs.copy())
            stopping.look(best.outputs)
        make_weights = partial(layout.keras_weights, best.learned, best.moving)
        return stopping.trained(best.outputs, make_weights)

    @cached_property
    def _train(self) -> Rows:
        return _rows(self.dataset.train)

    @cached_property
    def _validation(self) -> Rows:
        return _rows(self.dataset.validation)


def _rows(part: Part) -> Rows:
    weight = np.ones(len(part)) if part.weight is None else part.weight
    x, y, weight = (np.asarray(array, np.float32, order="C") for array in (part.x, part.y, weight))
    return Rows(x, y, weight)
