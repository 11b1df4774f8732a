"""A short Python script that trains the winner's network anew and needs no evonet to run."""

from __future__ import annotations

import pprint

from evonet.champion.predictor import Predictor
from evonet.data.preparation import ImagePreparation, NumericColumn, TablePreparation
from evonet.data.target import Target
from evonet.deploy.script_network import Training, network_text
from evonet.deploy.script_reading import Source, source_of


def training_script(predictor: Predictor, training: Training) -> str:
    """The text of the script; every name and value of the data stands in it as a literal.

    Args:
        predictor: one network alone.
        training: how it was trained.
    """
    preparation = predictor.preparation
    images = isinstance(preparation, ImagePreparation)
    source = source_of(training.data, images, predictor.target)
    parts = [
        _head(source, images),
        source.text,
        _SPELLED if predictor.target.classes or preparation.words else "",
        _prepare_images(preparation)
        if isinstance(preparation, ImagePreparation)
        else _prepare_table(preparation),
        _encode(predictor),
        *network_text(predictor, training),
        _predict(predictor.target),
        _MAIN.format(
            file="sys.argv[1]" if source.file else "",
            score=_R2
            if predictor.target.task == "regression"
            else _BALANCED_ACCURACY
            if training.balanced
            else _ACCURACY,
        ),
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def _head(source: Source, images: bool) -> str:
    packages = ["keras", "tensorflow", "numpy", *([] if images else ["pandas"]), *source.packages]
    imports = ["import keras", "import numpy as np", *([] if images else ["import pandas as pd"])]
    if not source.file:
        imports.append("from sklearn import datasets")
    usage = f"python FILE.py DATA, DATA being {source.file}" if source.file else "python FILE.py"
    rows, kind = ("images", "an array") if images else ("table", "a pandas table")
    lines = [
        f'"""Trains the network that evonet found: {usage}.',
        "",
        f"pip install {' '.join(packages)}",
        "",
        f"Then, in the folder of this file, predict new rows, {kind}, with",
        "    from FILE import keras, predict, prepare",
        f'    predict(keras.models.load_model("trained.keras", compile=False), prepare({rows}))',
        '"""',
        "",
        source.head,
        *imports,
        "",
        "keras.utils.set_random_seed(0)",
    ]
    return "\n".join(lines)


_SPELLED = '''
def spelled(value):
    """A value as text; whole numbers are spelled without a point."""
    value = value.item() if isinstance(value, np.generic) else value
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)
'''


def _prepare_images(preparation: ImagePreparation) -> str:
    return f'''def prepare(images):
    """Images {preparation.shape!r} to flat rows from 0 to 1."""
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
            values = [None if pd.isna(v) else spelled(v) for v in column]
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
    places = {{spelled(label): i for i, label in enumerate(CLASSES)}}
    if unknown := sorted({{spelled(label) for label in labels}} - set(places)):
        wrong = ", ".join(map(repr, unknown))
        raise SystemExit(f"The labels have {{wrong}}; expected CLASSES. Leave such rows out.")
    return np.array([places[spelled(label)] for label in labels])
'''


def _predict(target: Target) -> str:
    if target.task == "regression":
        made = "model.predict(x, verbose=0)[:, 0] * DEVIATION + MEAN"
    else:
        likeliest = "[:, 0] > 0" if target.task == "binary" else ".argmax(axis=1)"
        made = f"[CLASSES[i] for i in (model.predict(x, verbose=0){likeliest}).astype(int)]"
    return f'''def predict(model, x):
    """The target of prepared rows."""
    return {made}
'''


_ACCURACY = """
    right = encode(predict(model, x[validation])) == y[validation]
    print(f"Accuracy on them, which flatters: {np.mean(right):.4f}")"""
_BALANCED_ACCURACY = """
    right = encode(predict(model, x[validation])) == y[validation]
    recalls = [np.mean(right[y[validation] == k]) for k in np.unique(y[validation])]
    print(f"Balanced accuracy on them, which flatters: {np.mean(recalls):.4f}")"""
_R2 = """
    error = encode(predict(model, x[validation])) - y[validation]
    print(f"R² on them, which flatters: {1 - np.mean(error**2) / np.var(y[validation]):.4f}")"""
_MAIN = '''
def main():
    """Train on four fifths of the rows; stop by the others, so that scores on them flatter."""
    features, labels = read({file})
    x, y = prepare(features), encode(labels)
    order = np.random.default_rng(0).permutation(len(x))
    validation, training = np.split(order, [len(x) // 5])
    model = build_model()
    loss = train(model, x[training], y[training], x[validation], y[validation])
    file = Path(__file__).with_name("trained.keras")
    model.save(file)
    print(f"Written: {{file}}; lowest loss on the rows that stopped it: {{loss:.4f}}"){score}


if __name__ == "__main__":
    main()
'''
