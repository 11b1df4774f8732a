"""From a genome to a Keras model, and its training: the reference, and what users get.

The network ends in logits (classes) or a standardised number (regression), which is what losses
are computed on; ``with_output`` adds what turns them into probabilities or the target's own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.data.target import Target
from evonet.errors import ConfigError
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.genome.genes import layer_initializer
from evonet.streams import keras_seeded
from evonet.training.backend import load_keras

#: Rows per step where nothing is learned: large, for speed.
_ROWS_AT_ONCE = 8192
#: Batches that Keras runs in one call; changes the speed and nothing else. On digits with 34
#: batches an epoch, 64-64 units, 20 epochs: 2.8 s for 1, 2.2 s for 32; deep networks gain less.
_STEPS_AT_ONCE = 32


def choose_loss(name: str, target: Target) -> str:
    """The loss of a run, as Keras names it.

    Args:
        name: as in ``--loss``.
        target: what is predicted.

    Raises:
        ConfigError: the loss does not fit the task.
    """
    if target.task == "regression":
        return {"auto": "mse"}.get(name, name)
    if name != "auto":
        raise ConfigError(
            f"loss {name} is for regression, the task is {target.task}. Leave out --loss."
        )
    return "binary_crossentropy" if target.task == "binary" else "sparse_categorical_crossentropy"


def build_network(genome: Genome, n_inputs: int, n_outputs: int) -> Any:
    """The untrained ``keras.Model`` of a genome, ``(n, n_inputs)`` to ``(n, n_outputs)`` logits."""
    keras = load_keras()
    inputs = keras.Input((n_inputs,), name="features")
    x = inputs
    for i, layer in enumerate(genome.layers):
        x = keras.layers.Dense(
            layer.units,
            activation=layer.activation,
            kernel_initializer=layer_initializer(genome.initializer, layer.activation),
            name=f"hidden_{i}",
        )(x)
        if layer.dropout:
            x = keras.layers.Dropout(layer.dropout, name=f"dropout_{i}")(x)
    outputs = keras.layers.Dense(
        n_outputs, kernel_initializer=layer_initializer(genome.initializer, "linear"), name="logits"
    )(x)
    return keras.Model(inputs, outputs, name="evonet")


def with_output(network: Any, target: Target) -> Any:
    """A network with a last layer that gives probabilities, or numbers in the target's unit.

    This is what users get. Scores are not computed from it but from the network itself, since a
    float32 layer cannot tell 1,000,000,001 from 1,000,000,002.
    """
    keras = load_keras()
    if target.task == "regression":
        last = keras.layers.Rescaling(target.scale, offset=target.mean, name="prediction")
    else:
        function = "sigmoid" if target.task == "binary" else "softmax"
        last = keras.layers.Activation(function, name="prediction")
    return keras.Model(network.inputs[0], last(network.outputs[0]), name="evonet")


def make_optimizer(genome: Genome) -> Any:
    """The Keras optimizer of a genome."""
    optimizers = load_keras().optimizers
    rate = genome.learning_rate
    if genome.optimizer == "sgd":
        return optimizers.SGD(rate)
    if genome.optimizer in ("momentum", "nesterov"):
        return optimizers.SGD(rate, genome.momentum, nesterov=genome.optimizer == "nesterov")
    classes = {
        "rmsprop": optimizers.RMSprop,
        "adam": optimizers.Adam,
        "adamw": optimizers.AdamW,
        "nadam": optimizers.Nadam,
        "adagrad": optimizers.Adagrad,
    }
    return classes[genome.optimizer](rate)


def make_loss(loss: str) -> Any:
    """The Keras loss of a name that ``choose_loss`` returns, on logits where there are classes."""
    losses = load_keras().losses
    classes = {
        "mse": losses.MeanSquaredError,
        "mae": losses.MeanAbsoluteError,
        "huber": losses.Huber,
        "binary_crossentropy": lambda: losses.BinaryCrossentropy(from_logits=True),
        "sparse_categorical_crossentropy": lambda: losses.SparseCategoricalCrossentropy(
            from_logits=True
        ),
    }
    return classes[loss]()


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: the ``keras.Model`` with the weights of its best epoch.
        train_loss: mean training loss of each epoch.
        validation_loss: validation loss after each epoch.
    """

    network: Any
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, from 1; 0 where no loss is a number."""
        losses = np.asarray(self.validation_loss)
        return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else 0

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        return not np.isfinite([*self.train_loss, *self.validation_loss]).all()


def fit_network(genome: Genome, dataset: Dataset, loss: str, budget: Budget, seed: int) -> Fitted:
    """Train the network of a genome with early stopping on the validation loss.

    Args:
        genome: what to build and how to train it.
        dataset: its training part is learned, its validation part decides when to stop.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        seed: decides initial weights, order of the rows and dropout.

    Returns:
        The network with the weights of its best epoch, and its learning curves.
    """
    keras = load_keras()
    keras.backend.clear_session()  # or every network ever built stays in memory
    train, validation = dataset.train, dataset.validation
    n_steps = -(-len(train) // genome.batch_size)
    with keras_seeded(seed):
        network = build_network(genome, dataset.n_inputs, dataset.target.n_outputs)
        network.compile(
            make_optimizer(genome),
            make_loss(loss),
            jit_compile=False,  # compiling costs more than it saves in a brief training
            steps_per_execution=min(n_steps, _STEPS_AT_ONCE),
        )
        history = network.fit(
            train.x,
            _column(train.y),
            sample_weight=train.weight,
            batch_size=genome.batch_size,
            epochs=budget.epochs,
            validation_data=_with_weight(validation),
            validation_batch_size=_ROWS_AT_ONCE,
            verbose=0,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    patience=budget.patience_epochs, restore_best_weights=True
                ),
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda _, losses: _stop_if_lost(network, losses)
                ),
            ],
        ).history
    return Fitted(
        network,
        tuple(map(float, history.get("loss", ()))),
        tuple(map(float, history.get("val_loss", ()))),
    )


def outputs_of(model: Any, x: np.ndarray) -> np.ndarray:
    """A model's outputs ``(n, n_outputs)`` float32 for inputs ``(n, n_inputs)`` float32."""
    keras = load_keras()
    chunks = [x[i : i + _ROWS_AT_ONCE] for i in range(0, len(x), _ROWS_AT_ONCE)]
    outputs = [keras.ops.convert_to_numpy(model(chunk, training=False)) for chunk in chunks]
    return np.concatenate(outputs)


def _stop_if_lost(network: Any, losses: Mapping[str, float]) -> None:
    """Stop a training whose loss is no longer a number: nothing brings it back."""
    if not np.isfinite(list(losses.values())).all():
        network.stop_training = True


def _column(y: np.ndarray) -> np.ndarray:
    """``(n,)`` to ``(n, 1)``, the shape of a network's single output."""
    return y[:, np.newaxis]


def _with_weight(part: Part) -> tuple[np.ndarray, ...]:
    if part.weight is None:
        return part.x, _column(part.y)
    return part.x, _column(part.y), part.weight
