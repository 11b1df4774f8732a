"""Trains groups of genomes side by side, with the program of fused.py: what a GPU wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import TypeVar

import numpy as np

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Request
from evonet.genome import Genome
from evonet.streams import stream
from evonet.training.backend import Backend, load_backend, mapped
from evonet.training.elementwise import random_key
from evonet.training.fused import Program
from evonet.training.initializers import initial_weights
from evonet.training.optimizers import coefficients
from evonet.training.padding import (
    Data,
    Members,
    Shape,
    TrainingState,
    Weights,
    initial_state,
    keras_weights,
    members_of,
    padded_data,
)
from evonet.training.plan import kind_of, places_in_group, places_when_packed
from evonet.training.trained import NO_RACE, Race, Stopping, Trained, row_order

T = TypeVar("T")


@dataclass(frozen=True)
class _Network:
    """A network of a group.

    Attributes:
        request: what is trained.
        number: its place among all requests.
        coefficients: ``(steps, 10)`` float32, of the optimizer in every step.
        stopping: how far it is.
    """

    request: Request
    number: int
    coefficients: np.ndarray
    stopping: Stopping


@dataclass(frozen=True)
class _Group:
    """Networks that train side by side, between two epochs.

    Attributes:
        shape: what is compiled for them.
        networks: one for each place; places that are left over train the last one again.
        members: the networks as data, on the device.
        state: where their trainings stand, on the device.
    """

    shape: Shape
    networks: Sequence[_Network]
    members: Members
    state: TrainingState


@dataclass(frozen=True)
class GroupTrainer:
    """Trains on one data set.

    Attributes:
        dataset: its training part is learned, its validation part decides when to stop.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        precision: "float32", or "bfloat16" for the factors of products.
        device: which of ``Backend.devices`` trains, from 0.
    """

    dataset: Dataset
    loss: str
    budget: Budget
    precision: str = "float32"
    device: int = 0

    def fit(self, requests: Sequence[Request], races: Sequence[Race] = ()) -> list[Trained]:
        """Train networks of one kind, each with early stopping on its own validation loss.

        A network that has stopped keeps its place until those that go on fit into a smaller group.

        Args:
            requests: of one kind (``plan.kind_of``), one at least.
            races: of each request, or none at all; may end its training earlier.

        Returns:
            What each request came to, in their order.
        """
        trained: dict[int, Trained] = {}
        with self._backend.on(self.device):
            group = self._started(requests, races or [NO_RACE] * len(requests))
            for epoch in range(self.budget.epochs):
                group = self._after_epoch(group, epoch)
                going_on = [g for g, n in enumerate(group.networks) if not n.stopping.over]
                if places_when_packed(len(going_on)) < group.shape.networks:
                    trained |= self._finished(group)
                    if not going_on:
                        break
                    group = self._packed(group, going_on)
        return [trained[number] for number in range(len(requests))]

    def shape(self, requests: Sequence[Request]) -> Shape:
        """What is compiled for a group of so many requests, which have one kind."""
        (kind,) = {kind_of(request.genome) for request in requests}
        return Shape(
            places_in_group(len(requests)),
            kind,
            self.dataset.n_inputs,
            self.dataset.target.n_outputs,
            self.loss,
            len(self.dataset.train),
            len(self.dataset.validation),
            self.precision,
        )

    def _started(self, requests: Sequence[Request], races: Sequence[Race]) -> _Group:
        """A group before its first epoch."""
        shape = self.shape(requests)
        n_steps = shape.n_steps * self.budget.epochs
        networks = [
            _Network(r, i, coefficients(r.genome, n_steps), Stopping(self.budget, race))
            for i, (r, race) in enumerate(zip(requests, races, strict=True))
        ]
        filled = _filled(requests, shape.networks)
        genomes = [request.genome for request in filled]
        members = members_of(shape, genomes, [random_key(request.seed) for request in filled])
        state = initial_state(shape, genomes, [self._drawn(request) for request in filled])
        return _Group(shape, networks, *self._backend.tensors((members, state)))

    def _after_epoch(self, group: _Group, epoch: int) -> _Group:
        """The group after a further epoch; those that have stopped keep their best."""
        shape, backend = group.shape, self._backend
        filled = _filled(group.networks, shape.networks)
        done = epoch * shape.n_steps
        order = [self._order(shape, network.request.seed, epoch) for network in filled]
        rows = [network.coefficients[done : done + shape.n_steps] for network in filled]
        running, *arguments = backend.tensors(
            (
                np.asarray([not network.stopping.over for network in filled]),
                np.stack(order, axis=1),
                np.stack(rows, axis=1),
                np.int32(done),
            )
        )
        state = group.state._replace(running=running)
        state = _program(shape, self.device)(state, group.members, *arguments, self._data)
        losses = backend.ops.convert_to_numpy(state.losses).tolist()
        for network, (train_loss, validation_loss) in zip(group.networks, losses, strict=False):
            if not network.stopping.over:
                network.stopping.add(train_loss, validation_loss)
        group = replace(group, state=state)
        if epoch + 1 in self.budget.rungs:
            for network, outputs in zip(group.networks, self._outputs(group), strict=False):
                network.stopping.look(outputs)
        return group

    def _packed(self, group: _Group, places: Sequence[int]) -> _Group:
        """A group of the networks in some places, with as few places as they need."""
        shape = replace(group.shape, networks=places_when_packed(len(places)))
        networks = [group.networks[g] for g in places]
        indices = np.asarray(_filled(places, shape.networks), np.int32)
        taken = partial(self._backend.ops.take, indices=indices, axis=0)
        return _Group(shape, networks, mapped(taken, group.members), mapped(taken, group.state))

    def _finished(self, group: _Group) -> dict[int, Trained]:
        """What those that have stopped came to, by their numbers."""
        shape, best = group.shape, group.state.best
        return {
            network.number: network.stopping.trained(
                outputs, partial(self._weights, shape, network.request.genome, best, g)
            )
            for g, (network, outputs) in enumerate(
                zip(group.networks, self._outputs(group), strict=False)
            )
            if network.stopping.over
        }

    def _outputs(self, group: _Group) -> Iterator[np.ndarray]:
        """Those of the best epoch of each network so far, ``(n_validation, n_outputs)``."""
        shape = group.shape
        for own in self._backend.ops.convert_to_numpy(group.state.best_outputs):
            yield own.reshape(-1, shape.n_outputs)[: shape.n_validation]

    def _weights(self, shape: Shape, genome: Genome, best: Weights, g: int) -> list[np.ndarray]:
        """Those of the network in a place, in the order of ``keras.Model.get_weights``."""
        numpy = self._backend.ops.convert_to_numpy
        own: Weights = mapped(lambda part: numpy(part[g : g + 1]), best)
        return keras_weights(shape, genome, own, 0)

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


def _filled(some: Sequence[T], n: int) -> list[T]:
    """As many as n; the last one again where there are fewer."""
    return [*some, *[some[-1]] * (n - len(some))]


@cache
def _program(shape: Shape, device: int) -> Callable[..., TrainingState]:  # noqa: ARG001
    """The programs of this process; each device has its own, which no other thread compiles."""
    return Program(load_backend(), shape).compiled()
