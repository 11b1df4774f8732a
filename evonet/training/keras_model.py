"""From a genome to a Keras model, and its training: the reference, and what users get.

The network ends in logits (classes) or a standardised number (regression), which is what losses
are computed on; ``with_output`` adds what turns them into probabilities or the target's own unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.data.target import Target
from evonet.errors import ConfigError
from evonet.evaluation import Budget, Rung
from evonet.genome import Genome
from evonet.genome.genes import layer_initializer
from evonet.streams import keras_seeded
from evonet.training.backend import load_keras
from evonet.training.schedules import learning_rates
from evonet.training.trained import NO_RACE, Race

#: Raise it when a genome comes to train in another way, so that old scores are not taken for new.
#: 2: "adamw" decays by the gene weight_decay; before, by Keras' default of 0.004.
#: 3, 4: the fused engine sums in another order.
VERSION = 4
#: Rows per step where nothing is learned: large, for speed.
_ROWS_AT_ONCE = 8192
#: Batches that Keras runs in one call; changes the speed and nothing else. On digits with 34
#: batches an epoch, 64-64 units, 20 epochs: 2.8 s for 1, 2.2 s for 32; deep networks gain less.
_STEPS_AT_ONCE = 32
#: Share of its running mean and variance that a batch normalisation keeps at each step. Keras'
#: 0.99 is for long trainings: after ten epochs of ten steps, 0.99**100 = 37 % of a mean would still
#: be the 0 it started from.
BATCH_MOMENTUM = 0.9
#: Added to variances, so that no division is by zero: Keras' own.
NORMALISATION_EPSILON = 1e-3


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
    layers = keras.layers
    inputs = keras.Input((n_inputs,), name="features")
    x = inputs
    if genome.input_noise:
        x = layers.GaussianNoise(genome.input_noise, name="input_noise")(x)
    for i, layer in enumerate(genome.layers):
        received = x
        initializer = layer_initializer(genome.initializer, layer.activation)
        x = layers.Dense(layer.units, kernel_initializer=initializer, name=f"hidden_{i}")(x)
        if layer.normalisation == "batch":
            x = layers.BatchNormalization(
                momentum=BATCH_MOMENTUM, epsilon=NORMALISATION_EPSILON, name=f"normalisation_{i}"
            )(x)
        elif layer.normalisation == "layer":
            x = layers.LayerNormalization(epsilon=NORMALISATION_EPSILON, name=f"normalisation_{i}")(
                x
            )
        x = layers.Activation(layer.activation, name=f"activation_{i}")(x)
        if layer.dropout:
            x = layers.Dropout(layer.dropout, name=f"dropout_{i}")(x)
        if layer.skip == "concat":
            x = layers.Concatenate(name=f"skip_{i}")([x, received])
    outputs = layers.Dense(
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


def make_optimizer(genome: Genome, n_steps: int) -> Any:
    """The Keras optimizer of a genome, for a training with ``n_steps`` planned steps."""
    optimizers = load_keras().optimizers
    rate: Any = genome.learning_rate
    if genome.schedule != "constant" or genome.warmup:
        rate = _schedule_of(learning_rates(genome, n_steps))
    settings: dict[str, Any] = {
        "weight_decay": genome.weight_decay or None,
        "global_clipnorm": genome.clip_norm or None,
    }
    if genome.optimizer == "sgd":
        return optimizers.SGD(rate, **settings)
    if genome.optimizer in ("momentum", "nesterov"):
        nesterov = genome.optimizer == "nesterov"
        return optimizers.SGD(rate, genome.momentum, nesterov=nesterov, **settings)
    if genome.optimizer == "adamw":  # its own default is 0.004, and None is refused
        return optimizers.AdamW(rate, **{**settings, "weight_decay": genome.weight_decay})
    classes = {
        "rmsprop": optimizers.RMSprop,
        "adam": optimizers.Adam,
        "nadam": optimizers.Nadam,
        "adagrad": optimizers.Adagrad,
    }
    return classes[genome.optimizer](rate, **settings)


def _schedule_of(rates: np.ndarray) -> Any:
    """A Keras schedule that looks each step up in ``rates``; the last one holds ever after.

    It belongs to the optimizer of a training. Models that are saved have no optimizer (see
    ``with_output``), so that nobody needs this class to load one.
    """
    keras = load_keras()
    base: Any = keras.optimizers.schedules.LearningRateSchedule

    class Rates(base):
        def __init__(self, rates: list[float]) -> None:
            self.rates = rates
            self._table = keras.ops.convert_to_tensor(rates, "float32")

        def __call__(self, step: Any) -> Any:
            return keras.ops.take(self._table, keras.ops.minimum(step, len(self.rates) - 1))

        def get_config(self) -> dict[str, Any]:
            return {"rates": self.rates}

    return Rates(rates.tolist())


def make_loss(loss: str, label_smoothing: float = 0.0) -> Any:
    """The Keras loss of a name that ``choose_loss`` returns, on logits where there are classes.

    Args:
        loss: as ``choose_loss`` returns it.
        label_smoothing: share of the probability given to all classes alike (Szegedy et al.
            2016, https://arxiv.org/abs/1512.00567). Above 0, the truth of several classes has
            to be one-hot. It means nothing in regression.
    """
    losses = load_keras().losses
    if label_smoothing and loss == "sparse_categorical_crossentropy":
        return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    classes = {
        "mse": losses.MeanSquaredError,
        "mae": losses.MeanAbsoluteError,
        "huber": losses.Huber,
        "binary_crossentropy": lambda: losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        ),
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
        rungs: its scores on the way.
        dropped: whether it was given up at the last of them.
    """

    network: Any
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    rungs: tuple[Rung, ...] = ()
    dropped: bool = False

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, from 1; 0 where no loss is a number."""
        losses = np.asarray(self.validation_loss)
        return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else 0

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        return not np.isfinite([*self.train_loss, *self.validation_loss]).all()


def fit_network(
    genome: Genome,
    dataset: Dataset,
    loss: str,
    budget: Budget,
    seed: int,
    race: Race = NO_RACE,
) -> Fitted:
    """Train the network of a genome with early stopping on the validation loss.

    Args:
        genome: what to build and how to train it.
        dataset: its training part is learned, its validation part decides when to stop.
        loss: as ``choose_loss`` returns it.
        budget: how long to train.
        seed: decides initial weights, order of the rows, dropout and noise.
        race: may end it earlier.

    Returns:
        The network with the weights of its best epoch, and its learning curves.
    """
    keras = load_keras()
    keras.backend.clear_session()  # or every network ever built stays in memory
    train, validation = dataset.train, dataset.validation
    steps_per_epoch = -(-len(train) // genome.batch_size)
    one_hot = genome.label_smoothing > 0 and loss == "sparse_categorical_crossentropy"
    n_classes = dataset.target.n_outputs if one_hot else None
    early_stopping = keras.callbacks.EarlyStopping(
        patience=budget.patience_epochs, restore_best_weights=True
    )
    rungs: list[Rung] = []

    def look(epoch: int, losses: Mapping[str, float]) -> None:
        """After each epoch: stop what is lost."""
        if not np.isfinite(list(losses.values())).all():
            network.stop_training = True  # nothing brings it back
        if network.stop_training:
            return
        if epoch + 1 in race.epochs:
            outputs = _outputs_with(network, early_stopping.best_weights, validation.x)
            rungs.append(Rung(epoch + 1, race.score_of(outputs)))
            network.stop_training = race.is_lost(rungs[-1])

    with keras_seeded(seed):
        network = build_network(genome, dataset.n_inputs, dataset.target.n_outputs)
        network.compile(
            make_optimizer(genome, budget.epochs * steps_per_epoch),
            make_loss(loss, genome.label_smoothing),
            jit_compile=False,  # compiling costs more than it saves in a brief training
            steps_per_execution=min(steps_per_epoch, _STEPS_AT_ONCE),
        )
        history = network.fit(
            train.x,
            _truth(train.y, n_classes),
            sample_weight=train.weight,
            batch_size=genome.batch_size,
            epochs=budget.epochs,
            validation_data=_with_weight(validation, n_classes),
            validation_batch_size=_ROWS_AT_ONCE,
            verbose=0,
            callbacks=[
                early_stopping,
                keras.callbacks.LambdaCallback(on_epoch_end=look),
            ],
        ).history
    return Fitted(
        network,
        tuple(map(float, history.get("loss", ()))),
        tuple(map(float, history.get("val_loss", ()))),
        tuple(rungs),
        bool(rungs) and len(history["loss"]) == rungs[-1].epoch and race.is_lost(rungs[-1]),
    )


def outputs_of(model: Any, x: np.ndarray) -> np.ndarray:
    """A model's outputs ``(n, n_outputs)`` float32 for inputs ``(n, n_inputs)`` float32."""
    keras = load_keras()
    chunks = [x[i : i + _ROWS_AT_ONCE] for i in range(0, len(x), _ROWS_AT_ONCE)]
    outputs = [keras.ops.convert_to_numpy(model(chunk, training=False)) for chunk in chunks]
    return np.concatenate(outputs)


def _outputs_with(network: Any, weights: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    """A network's outputs with other weights than its own, which it keeps."""
    own = network.get_weights()
    network.set_weights(weights)
    outputs = outputs_of(network, x)
    network.set_weights(own)
    return outputs


def _truth(y: np.ndarray, n_classes: int | None) -> np.ndarray:
    """``(n,)`` to ``(n, 1)``, or to one-hot ``(n, n_classes)`` float32 where that is given."""
    return y[:, np.newaxis] if n_classes is None else np.eye(n_classes, dtype=np.float32)[y]


def _with_weight(part: Part, n_classes: int | None) -> tuple[np.ndarray, ...]:
    truth = _truth(part.y, n_classes)
    return (part.x, truth) if part.weight is None else (part.x, truth, part.weight)
