"""The part of a training script that builds the winner's network and trains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evonet.champion.predictor import Predictor
from evonet.evaluation import Budget
from evonet.genome import Genome
from evonet.genome.genes import layer_initializer
from evonet.training.keras_model import BATCH_MOMENTUM, NORMALISATION_EPSILON


@dataclass(frozen=True)
class Training:
    """How the winner was trained, besides its genome.

    Attributes:
        data: where the run's data came from.
        loss: as ``choose_loss`` returns it.
        budget: of its final fit.
        balanced: whether rare classes weighed as much as common ones.
    """

    data: str
    loss: str
    budget: Budget
    balanced: bool


def network_text(predictor: Predictor, training: Training) -> list[str]:
    """The functions ``build_model`` and ``train`` of a script, and what they need.

    Args:
        predictor: one network alone.
        training: how it was trained.
    """
    rates = _RATES if _is_scheduled(predictor.networks[0].genome) else ""
    return [_build(predictor), rates, _train(predictor, training)]


def _build(predictor: Predictor) -> str:
    genome, n_outputs = predictor.networks[0].genome, predictor.target.n_outputs
    n_inputs = len(predictor.preparation.inputs)
    lines = "\n".join(f"    {line}" for line in _layers(genome, n_inputs, n_outputs))
    return f'''def build_model():
    """The network, which ends in {_ends_in(predictor)}."""
    layers = keras.layers
{lines}
    return keras.Model(inputs, outputs)
'''


def _ends_in(predictor: Predictor) -> str:
    return "a standardised number" if predictor.target.task == "regression" else "logits"


def _layers(genome: Genome, n_inputs: int, n_outputs: int) -> Iterator[str]:
    """The lines that build a network as ``build_network`` of keras_model.py builds it."""
    yield f"inputs = x = keras.Input(({n_inputs!r},))"
    if genome.input_noise:
        yield f"x = layers.GaussianNoise({genome.input_noise!r})(x)"
    for layer in genome.layers:
        initializer = layer_initializer(genome.initializer, layer.activation)
        if layer.skip == "concat":
            yield "received = x"
        yield f"x = layers.Dense({layer.units!r}, kernel_initializer={initializer!r})(x)"
        epsilon = f"epsilon={NORMALISATION_EPSILON!r}"
        if layer.normalisation == "batch":
            yield f"x = layers.BatchNormalization(momentum={BATCH_MOMENTUM!r}, {epsilon})(x)"
        elif layer.normalisation == "layer":
            yield f"x = layers.LayerNormalization({epsilon})(x)"
        yield f"x = layers.Activation({layer.activation!r})(x)"
        if layer.dropout:
            yield f"x = layers.Dropout({layer.dropout!r})(x)"
        if layer.skip == "concat":
            yield "x = layers.Concatenate()([x, received])"
    initializer = layer_initializer(genome.initializer, "linear")
    yield f"outputs = layers.Dense({n_outputs!r}, kernel_initializer={initializer!r})(x)"


def _is_scheduled(genome: Genome) -> bool:
    return genome.schedule != "constant" or genome.warmup > 0


_RATES = '''
class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate for each step; the last one holds ever after."""

    def __init__(self, rates):
        self.rates = list(map(float, rates))
        self.table = keras.ops.convert_to_tensor(self.rates, "float32")

    def __call__(self, step):
        return keras.ops.take(self.table, keras.ops.minimum(step, len(self.rates) - 1))

    def get_config(self):
        return {"rates": self.rates}
'''
#: Of each schedule the share of the highest rate, by ``progress`` from 0 to 1; see schedules.py.
_SHARES = {
    "constant": "np.ones(n_steps)",
    "exponential": "0.1**progress",
    "power": "1 / (1 + 10 * progress)",
    "cosine": "(1 + np.cos(np.pi * progress)) / 2",
    "one_cycle": "np.interp(progress, (0.0, 0.45, 0.9, 1.0), (0.1, 1.0, 0.1, 0.001))",
}
#: King & Zeng 2001, as ``Dataset`` has it.
_WEIGHT = """
    counts = np.bincount(y, minlength=len(CLASSES))
    weight = len(y) / (len(CLASSES) * np.maximum(counts, 1))  # rare classes as much as common ones
"""


def _train(predictor: Predictor, training: Training) -> str:
    genome, budget = predictor.networks[0].genome, training.budget
    truth = "np.eye(len(CLASSES))[{}]" if _is_one_hot(predictor, training) else "{}"
    y, y_validation = truth.format("y"), truth.format("y_validation")
    weigh, sample_weight = "", ""
    if training.balanced:
        weigh, sample_weight = _WEIGHT.strip("\n") + "\n", "\n        sample_weight=weight[y],"
        y_validation += ", weight[y_validation]"
    return f'''def train(model, x, y, x_validation, y_validation):
    """Fit until the validation loss has not fallen for {budget.patience_epochs!r} epochs.

    Returns the lowest one, whose weights are kept.
    """
{_rate(genome, budget)}{weigh}    model.compile({_optimizer(genome)}, {_loss(predictor, training)})
    stopping = keras.callbacks.EarlyStopping(
        patience={budget.patience_epochs!r}, restore_best_weights=True
    )
    fitted = model.fit(
        x,
        {y},{sample_weight}
        batch_size={genome.batch_size!r},
        epochs={budget.epochs!r},
        validation_data=(x_validation, {y_validation}),
        callbacks=[stopping],
        verbose=2,
    )
    return min(fitted.history["val_loss"])
'''


def _is_one_hot(predictor: Predictor, training: Training) -> bool:
    smoothed = predictor.networks[0].genome.label_smoothing > 0
    return smoothed and training.loss == "sparse_categorical_crossentropy"


def _rate(genome: Genome, budget: Budget) -> str:
    """The lines that plan the learning rate, as ``learning_rates`` of schedules.py does."""
    if not _is_scheduled(genome):
        return f"    rate = {genome.learning_rate!r}\n"
    lines = [
        f"n_steps = {budget.epochs!r} * -(-len(x) // {genome.batch_size!r})",
        "progress = np.arange(n_steps) / n_steps",
        f"rates = {genome.learning_rate!r} * {_SHARES[genome.schedule]}",
    ]
    if genome.warmup:
        lines.append(f"n_warm = max({genome.warmup!r} * n_steps, 1.0)")
        lines.append("rates = rates * np.minimum(1.0, (np.arange(n_steps) + 1) / n_warm)")
    return "".join(f"    {line}\n" for line in [*lines, "rate = Rates(rates)"])


def _optimizer(genome: Genome) -> str:
    """The call that makes the optimizer, as ``make_optimizer`` of keras_model.py makes it."""
    name, settings = genome.optimizer, ["rate"]
    classes = {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "nadam": "Nadam"}
    classes["adagrad"] = "Adagrad"  # the others are SGD
    if genome.momentum is not None:
        settings.append(f"momentum={genome.momentum!r}, nesterov={name == 'nesterov'}")
    if genome.weight_decay or name == "adamw":
        settings.append(f"weight_decay={genome.weight_decay!r}")
    if genome.clip_norm:
        settings.append(f"global_clipnorm={genome.clip_norm!r}")
    return f"keras.optimizers.{classes.get(name, 'SGD')}({', '.join(settings)})"


def _loss(predictor: Predictor, training: Training) -> str:
    """The call that makes the loss, as ``make_loss`` of keras_model.py makes it."""
    names = {"mse": "MeanSquaredError", "mae": "MeanAbsoluteError", "huber": "Huber"}
    if training.loss in names:
        return f"keras.losses.{names[training.loss]}()"
    smoothing = predictor.networks[0].genome.label_smoothing
    settings = "from_logits=True" + (f", label_smoothing={smoothing!r}" if smoothing else "")
    if training.loss == "binary_crossentropy":
        return f"keras.losses.BinaryCrossentropy({settings})"
    kind = "Categorical" if smoothing else "SparseCategorical"
    return f"keras.losses.{kind}Crossentropy({settings})"
