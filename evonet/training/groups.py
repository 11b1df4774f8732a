"""Trains groups of genomes side by side, with the program of fused.py: what a GPU wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import numpy as np

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Request, Rung
from evonet.genome import Genome
from evonet.streams import stream
from evonet.training.backend import Backend, load_backend, mapped
from evonet.training.elementwise import random_key
from evonet.training.fused import Program
from evonet.training.initializers import initial_weights
from evonet.training.optimizers import coefficients
from evonet.training.padding import (
    Data,
    Shape,
    TrainingState,
    Weights,
    initial_state,
    keras_weights,
    members_of,
    padded_data,
)
from evonet.training.plan import kind_of, places_in_group
from evonet.training.trained import Race, Trained, row_order


@dataclass(frozen=True)
class GroupTrainer:
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

    def fit(self, requests: Sequence[Request], races: Sequence[Race] = ()) -> list[Trained]:
        """Train networks of one kind, each with early stopping on its own validation loss.

        Args:
            requests: of one kind (``plan.kind_of``), one at least. Places of the group that are
                left over train the last one again.
            races: of each request, or none; may end its training earlier.

        Returns:
            What each request came to, in their order.
        """
        backend, budget = self._backend, self.budget
        n_left_over = places_in_group(len(requests)) - len(requests)
        filled = [*requests, *[requests[-1]] * n_left_over]
        shape = self.shape(filled)
        genomes, seeds = [r.genome for r in filled], [r.seed for r in filled]
        program = _program(shape)
        keys = [random_key(seed) for seed in seeds]
        members = backend.tensors(members_of(shape, genomes, keys))
        state = backend.tensors(initial_state(shape, genomes, [self._drawn(r) for r in filled]))
        steps = [coefficients(genome, shape.n_steps * budget.epochs) for genome in genomes]
        running = np.ones(shape.networks, bool)
        losses = np.zeros((budget.epochs, 2, shape.networks), np.float32)
        n_epochs, best_epoch = (np.zeros(shape.networks, int) for _ in range(2))
        best_loss = np.full(shape.networks, np.inf)
        rungs: list[list[Rung]] = [[] for _ in requests]
        dropped = np.zeros(shape.networks, bool)
        for epoch in range(budget.epochs):
            done = epoch * shape.n_steps
            order = np.stack([self._order(shape, seed, epoch) for seed in seeds], axis=1)
            rows = np.stack([own[done : done + shape.n_steps] for own in steps], axis=1)
            flags = backend.ops.convert_to_tensor(running)
            arguments = backend.tensors((order, rows, np.int32(done)))
            state = program(state._replace(running=flags), members, *arguments, self._data)
            losses[epoch] = backend.ops.convert_to_numpy(state.losses)
            n_epochs[running] = epoch + 1
            better = running & (losses[epoch, 1] < best_loss)
            best_loss[better], best_epoch[better] = losses[epoch, 1, better], epoch + 1
            tired = (epoch > 0) & (epoch + 1 - best_epoch >= max(1, budget.patience_epochs))
            running &= np.isfinite(losses[epoch]).all(axis=0) & ~tired
            if epoch + 1 in budget.rungs:
                outputs = backend.ops.convert_to_numpy(state.best_outputs)
                for g, race in enumerate(races):
                    if running[g]:
                        rung = race.rung(epoch + 1, partial(_outputs, shape, outputs, g))
                        rungs[g] += [rung] if rung else []
                        dropped[g] = rung is not None and race.is_lost(rung)
                dropped[len(requests) :] = dropped[len(requests) - 1]
                running &= ~dropped
            if not running.any():
                break
        trained = self._trained(
            shape, genomes[: len(requests)], state, losses, n_epochs, best_epoch
        )
        return [
            replace(one, rungs=tuple(own), dropped=bool(lost))
            for one, own, lost in zip(trained, rungs, dropped, strict=False)
        ]

    def shape(self, requests: Sequence[Request]) -> Shape:
        """What is compiled for a group."""
        (kind,) = {kind_of(request.genome) for request in requests}
        return Shape(
            len(requests),
            kind,
            self.dataset.n_inputs,
            self.dataset.target.n_outputs,
            self.loss,
            len(self.dataset.train),
            len(self.dataset.validation),
            self.precision,
        )

    def _trained(
        self,
        shape: Shape,
        genomes: Sequence[Genome],
        state: TrainingState,
        losses: np.ndarray,
        n_epochs: np.ndarray,
        best_epoch: np.ndarray,
    ) -> list[Trained]:
        ops = self._backend.ops
        outputs = ops.convert_to_numpy(state.best_outputs)
        return [
            Trained(
                tuple(losses[: n_epochs[g], 0, g].tolist()),
                tuple(losses[: n_epochs[g], 1, g].tolist()),
                int(best_epoch[g]),
                _outputs(shape, outputs, g),
                partial(self._weights, shape, genome, state, g),
            )
            for g, genome in enumerate(genomes)
        ]

    def _weights(
        self, shape: Shape, genome: Genome, state: TrainingState, g: int
    ) -> list[np.ndarray]:
        best: Weights = mapped(self._backend.ops.convert_to_numpy, state.best)
        return keras_weights(shape, genome, best, g)

    def _drawn(self, request: Request) -> list[np.ndarray]:
        return initial_weights(
            stream(request.seed, "weights"),
            request.genome,
            self.dataset.n_inputs,
            self.dataset.target.n_outputs,
        )

    def _order(self, shape: Shape, seed: int, epoch: int) -> np.ndarray:
        """``(n_steps, batch_size)``; the last step is filled with any rows."""
        order = np.zeros(shape.n_steps * shape.kind.batch_size, np.int32)
        order[: shape.n_train] = row_order(seed, epoch, shape.n_train)
        return order.reshape(shape.n_steps, shape.kind.batch_size)

    @cached_property
    def _backend(self) -> Backend:
        return load_backend()

    @cached_property
    def _data(self) -> Data:
        """The rows on the device."""
        return self._backend.tensors(padded_data(self.dataset))


def _outputs(shape: Shape, outputs: np.ndarray, g: int) -> np.ndarray:
    """Those of one network ``(n_validation, n_outputs)`` out of a group's, chunk by chunk."""
    return outputs[:, g].reshape(-1, shape.n_outputs)[: shape.n_validation]


@cache
def _program(shape: Shape) -> Callable[..., TrainingState]:
    """The programs of this process."""
    return Program(load_backend(), shape).compiled()
