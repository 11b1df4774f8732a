"""A short Python script that trains the winner's network anew and needs no evonet to run."""

from __future__ import annotations

import pprint
from collections.abc import Iterator
from dataclasses import dataclass

from evonet.champion.predictor import Predictor
from evonet.data.preparation import ImagePreparation, NumericColumn, TablePreparation
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


def training_script(predictor: Predictor, training: Training) -> str:
    """The text of the script; every name and value of the data stands in it as a literal.

    Args:
        predictor: one network alone.
        training: how it was trained.
    """
    images = isinstance(predictor.preparation, ImagePreparation)
    parts = [
        _head(training, images),
        _prepare_images(predictor.preparation)
        if isinstance(predictor.preparation, ImagePreparation)
        else _prepare_table(predictor.preparation),
        _encode(predictor),
        _build(predictor),
        _RATES if _is_scheduled(predictor.networks[0].genome) else "",
        _train(predictor, training),
        _MAIN_IMAGES if images else _MAIN_TABLE.format(target=repr(predictor.target.name)),
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def _head(training: Training, images: bool) -> str:
    packages = "keras numpy tensorflow" + ("" if images else " pandas")
    imports = "import numpy as np" + ("" if images else "\nimport pandas as pd")
    kind = "NPZ file with x_train and y_train" if images else "table"
    return f'''"""Trains the network that evonet found: python FILE.py DATA, DATA being a {kind}.

pip install {packages}
"""

import sys

import keras
{imports}

keras.utils.set_random_seed(0)
DATA = {training.data!r}
'''


def _prepare_images(preparation: ImagePreparation) -> str:
    return f'''def prepare(images):
    """Images {preparation.shape} to flat rows from 0 to 1."""
    return images.reshape(len(images), -1).astype("float32") / {preparation.scale!r}
'''


def _prepare_table(preparation: TablePreparation) -> str:
    columns: dict[str, tuple[object, ...]] = {}
    for column in preparation.columns:
        if isinstance(column, NumericColumn):
            columns[column.name] = (column.fill, column.mean, column.scale, column.marks_missing)
        else:
            columns[column.name] = (list(column.categories), column.pools_rare)
    literal = pprint.pformat(columns, width=100, sort_dicts=False, compact=True)
    return f'''# Learned from the training rows. Of a column of numbers: what stands for a missing
# one, mean, standard deviation, whether a second input marks missing ones. Of a column of words:
# those with an input of their own (None: a missing one), whether a last one stands for all others.
COLUMNS = {literal}


def prepare(table):
    """A table to the inputs of the network."""
    inputs = []
    for name, known in COLUMNS.items():
        column = table[name]
        if len(known) == 4:
            fill, mean, deviation, marks_missing = known
            values = pd.to_numeric(column, errors="coerce").to_numpy("float64")
            missing = np.isnan(values)
            inputs.append((np.where(missing, fill, values) - mean) / deviation)
            if marks_missing:
                inputs.append(missing)
        else:
            words, others = known
            values = [None if pd.isna(v) else str(v) for v in column]
            inputs += [np.array([v == word for v in values]) for word in words]
            if others:
                inputs.append(np.array([v not in words for v in values]))
    return np.stack(inputs, axis=1).astype("float32")
'''


def _encode(predictor: Predictor) -> str:
    target = predictor.target
    if target.task == "regression":
        return f'''MEAN, DEVIATION = {target.mean!r}, {target.scale!r}  # of the target


def encode(labels):
    """The target as the network learns it."""
    return ((np.asarray(labels, "float64") - MEAN) / DEVIATION).astype("float32")
'''
    literal = pprint.pformat(list(target.classes), width=100, compact=True)
    return f'''CLASSES = {literal}


def encode(labels):
    """Classes as their places in CLASSES."""
    places = {{str(label): i for i, label in enumerate(CLASSES)}}
    return np.array([places[str(label)] for label in labels])
'''


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
    yield f"inputs = x = keras.Input(({n_inputs},))"
    if genome.input_noise:
        yield f"x = layers.GaussianNoise({genome.input_noise!r})(x)"
    for layer in genome.layers:
        initializer = layer_initializer(genome.initializer, layer.activation)
        if layer.skip == "concat":
            yield "received = x"
        yield f"x = layers.Dense({layer.units}, kernel_initializer={initializer!r})(x)"
        epsilon = f"epsilon={NORMALISATION_EPSILON}"
        if layer.normalisation == "batch":
            yield f"x = layers.BatchNormalization(momentum={BATCH_MOMENTUM}, {epsilon})(x)"
        elif layer.normalisation == "layer":
            yield f"x = layers.LayerNormalization({epsilon})(x)"
        yield f"x = layers.Activation({layer.activation!r})(x)"
        if layer.dropout:
            yield f"x = layers.Dropout({layer.dropout!r})(x)"
        if layer.skip == "concat":
            yield "x = layers.Concatenate()([x, received])"
    initializer = layer_initializer(genome.initializer, "linear")
    yield f"outputs = layers.Dense({n_outputs}, kernel_initializer={initializer!r})(x)"


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
_BALANCED = """\
    counts = np.bincount(y, minlength=len(CLASSES))  # rare classes weigh as much as common ones
    weight = (len(y) / (len(CLASSES) * np.maximum(counts, 1)))[y]
"""


def _train(predictor: Predictor, training: Training) -> str:
    genome, budget = predictor.networks[0].genome, training.budget
    lines = "\n".join(f"    {line}" for line in _rate(genome, budget))
    weights = _BALANCED if training.balanced else "    weight = None\n"
    one_hot = _is_one_hot(predictor, training)
    truth = "np.eye(len(CLASSES))[{}]" if one_hot else "{}"
    return f'''def train(model, x, y, x_validation, y_validation):
    """Fit until the validation loss has not fallen for {budget.patience_epochs} epochs."""
{lines}
{weights}    model.compile({_optimizer(genome)}, {_loss(predictor, training)})
    stopping = keras.callbacks.EarlyStopping(
        patience={budget.patience_epochs}, restore_best_weights=True
    )
    model.fit(
        x,
        {truth.format("y")},
        sample_weight=weight,
        batch_size={genome.batch_size},
        epochs={budget.epochs},
        validation_data=(x_validation, {truth.format("y_validation")}),
        callbacks=[stopping],
        verbose=2,
    )
'''


def _is_one_hot(predictor: Predictor, training: Training) -> bool:
    smoothed = predictor.networks[0].genome.label_smoothing > 0
    return smoothed and training.loss == "sparse_categorical_crossentropy"


def _rate(genome: Genome, budget: Budget) -> Iterator[str]:
    if not _is_scheduled(genome):
        yield f"rate = {genome.learning_rate!r}"
        return
    yield f"n_steps = {budget.epochs} * -(-len(x) // {genome.batch_size})"
    yield "progress = np.arange(n_steps) / n_steps"
    yield f"rates = {genome.learning_rate!r} * {_SHARES[genome.schedule]}"
    if genome.warmup:
        yield f"n_warm = max({genome.warmup!r} * n_steps, 1.0)"
        yield "rates = rates * np.minimum(1.0, (np.arange(n_steps) + 1) / n_warm)"
    yield "rate = Rates(rates)"


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


_MAIN_TABLE = '''
def main():
    """Train on four fifths of the rows; stop by the others."""
    file = sys.argv[1] if len(sys.argv) > 1 else DATA
    table = pd.read_csv(file, keep_default_na=False, na_values=[""], sep=None, engine="python")
    x, y = prepare(table), encode(table[{target}])
    order = np.random.default_rng(0).permutation(len(x))
    validation, training = np.split(order, [len(x) // 5])
    model = build_model()
    train(model, x[training], y[training], x[validation], y[validation])
    model.save("trained.keras")


if __name__ == "__main__":
    main()
'''
_MAIN_IMAGES = '''
def main():
    """Train on four fifths of the images; stop by the others."""
    arrays = np.load(sys.argv[1] if len(sys.argv) > 1 else DATA)
    x, y = prepare(arrays["x_train"]), encode(arrays["y_train"].reshape(-1))
    order = np.random.default_rng(0).permutation(len(x))
    validation, training = np.split(order, [len(x) // 5])
    model = build_model()
    train(model, x[training], y[training], x[validation], y[validation])
    model.save("trained.keras")


if __name__ == "__main__":
    main()
'''
