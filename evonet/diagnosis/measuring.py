"""What a fitted network is measured by: losses of rows, units that are alive, gradients.

All with dropout and noise off and with the running means of batch normalisations: the network as it
predicts. So the same network gives the same numbers every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.diagnosis.losses import constant_outputs
from evonet.genome import Genome
from evonet.training.backend import load_backend
from evonet.training.keras_model import build_network, outputs_of
from evonet.training.trained import row_order

#: Batches of gradients at most, and at least where there are rows enough. Untuned.
_BATCHES = 32, 8


@dataclass(frozen=True)
class Measured:
    """A fitted network on the training and the validation part.

    Attributes:
        train_losses: ``(n_train,)`` loss of each row, with its weight.
        validation_losses: ``(n_validation,)``.
        constant_train_losses: ``(n_train,)`` of the constant guess.
        constant_validation_losses: ``(n_validation,)``.
        validation_outputs: ``(n_validation, n_outputs)``.
        kernels: ``(fan_in, units)`` of each layer, the output layer last.
        alive: of each hidden layer ``(units,)``, whether the activation of a unit is above 0 for
            any row of the training part.
        gradient_means: ``(fan_in, units)`` of each layer: mean over batches of the gradient of
            the mean loss by the kernel.
        gradient_spreads: standard deviation over the batches.
        n_batches: how many.
        batch_rows: rows of each batch.
    """

    train_losses: np.ndarray
    validation_losses: np.ndarray
    constant_train_losses: np.ndarray
    constant_validation_losses: np.ndarray
    validation_outputs: np.ndarray
    kernels: tuple[np.ndarray, ...]
    alive: tuple[np.ndarray, ...]
    gradient_means: tuple[np.ndarray, ...]
    gradient_spreads: tuple[np.ndarray, ...]
    n_batches: int
    batch_rows: int


def measure(
    genome: Genome, weights: Sequence[np.ndarray], dataset: Dataset, loss: str, seed: int
) -> Measured:
    """Measure a fitted network on the training and the validation part.

    Args:
        genome: the network.
        weights: in the order of ``keras.Model.get_weights``.
        dataset: its test part is not looked at.
        loss: as ``choose_loss`` returns it.
        seed: draws the batches.
    """
    network = build_network(genome, dataset.n_inputs, dataset.target.n_outputs)
    network.set_weights(list(weights))
    losses_of = _row_losses(loss, genome.label_smoothing)
    constant = constant_outputs(dataset, loss, genome.label_smoothing)

    def losses(part: Part, outputs: np.ndarray) -> np.ndarray:
        own = load_backend().ops.convert_to_numpy(losses_of(*_truth(part), outputs))
        return np.asarray(own, np.float64)

    outputs = outputs_of(network, dataset.validation.x)
    guesses = [np.tile(constant, (len(p), 1)) for p in (dataset.train, dataset.validation)]
    batches = gradient_batches(seed, len(dataset.train), genome.batch_size)
    gradients = [_gradients(network, losses_of, dataset.train, rows) for rows in batches]
    return Measured(
        train_losses=losses(dataset.train, outputs_of(network, dataset.train.x)),
        validation_losses=losses(dataset.validation, outputs),
        constant_train_losses=losses(dataset.train, guesses[0]),
        constant_validation_losses=losses(dataset.validation, guesses[1]),
        validation_outputs=outputs,
        kernels=tuple(load_backend().ops.convert_to_numpy(v) for v in _kernels(network)),
        alive=_alive(network, len(genome.layers), dataset.train.x),
        gradient_means=tuple(np.mean(own, axis=0) for own in zip(*gradients, strict=True)),
        gradient_spreads=tuple(np.std(own, axis=0) for own in zip(*gradients, strict=True)),
        n_batches=len(batches),
        batch_rows=len(batches[0]),
    )


def gradient_batches(seed: int, n_rows: int, batch_size: int) -> np.ndarray:
    """``(batches, rows)``: rows drawn without replacement, batches as large as in training.

    Smaller ones where there would be fewer than eight.
    """
    most, least = _BATCHES
    size = max(1, min(batch_size, n_rows // least))
    n_batches = min(most, n_rows // size)
    return row_order(seed, 0, n_rows)[: n_batches * size].reshape(n_batches, size)


def _truth(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Truth and weight of rows, both ``(n,)`` float32."""
    weight = np.ones(len(part), np.float32) if part.weight is None else part.weight
    return part.y.astype(np.float32), weight


def _row_losses(loss: str, smoothing: float) -> Callable[[Any, Any, Any], Any]:
    """The weighted loss of each row, of truths, weights and outputs."""
    of_rows = load_backend().loss(loss)

    def losses_of(y: Any, weight: Any, outputs: Any) -> Any:
        return of_rows(y, outputs, np.full(len(y), smoothing, np.float32)) * weight

    return losses_of


def _kernels(network: Any) -> list[Any]:
    """The kernels of a network's layers, the output layer's last."""
    return [variable for variable in network.trainable_variables if variable.name == "kernel"]


def _gradients(
    network: Any, losses_of: Callable[[Any, Any, Any], Any], part: Part, rows: np.ndarray
) -> list[np.ndarray]:
    """The gradient of the mean loss of some rows by each kernel."""
    backend = load_backend()
    ops, learned = backend.ops, network.trainable_variables
    weights, fixed = (
        backend.tensors(tuple(ops.convert_to_numpy(variable) for variable in variables))
        for variables in (learned, network.non_trainable_variables)
    )
    y, weight = _truth(part)

    def mean_loss(values: Any) -> tuple[Any, Any]:
        outputs, _ = network.stateless_call(values, fixed, part.x[rows], training=False)
        return ops.mean(losses_of(y[rows], weight[rows], outputs)), outputs

    _, found = backend.gradient(mean_loss, weights)
    return [
        np.asarray(ops.convert_to_numpy(gradient), np.float64)
        for variable, gradient in zip(learned, found, strict=True)
        if variable.name == "kernel"
    ]


def _alive(network: Any, n_layers: int, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each hidden layer ``(units,)``, whether a unit is above 0 for any row."""
    if not n_layers:
        return ()
    keras = load_backend().keras
    names = [f"activation_{i}" for i in range(n_layers)]
    # By name: of a list of one output Keras gives the output itself.
    model = keras.Model(network.inputs[0], {n: network.get_layer(n).output for n in names})
    rows = 2048  # of many layers at once
    found: list[np.ndarray] = []
    for first in range(0, len(x), rows):
        hidden = model(x[first : first + rows])
        above = [(keras.ops.convert_to_numpy(hidden[n]) > 0).any(axis=0) for n in names]
        found = [a | b for a, b in zip(found, above, strict=True)] if found else above
    return tuple(found)
