"""A short Python script that trains the winner's network anew and needs no evonet to run."""

from __future__ import annotations

import pprint
from dataclasses import dataclass

from evonet.champion.predictor import Predictor
from evonet.data.preparation import ImagePreparation, NumericColumn, TablePreparation
from evonet.data.sources import EMBEDDED
from evonet.data.target import Target
from evonet.deploy.script_network import Training, network_text


def training_script(predictor: Predictor, training: Training) -> str:
    """The text of the script; every name and value of the data stands in it as a literal.

    Args:
        predictor: one network alone.
        training: how it was trained.
    """
    preparation = predictor.preparation
    images = isinstance(preparation, ImagePreparation)
    source = _source(training.data, images)
    parts = [
        _head(source, images),
        source.text.format(target=repr(predictor.target.name), numbers=_numbers(predictor.target)),
        _SPELLED if predictor.target.classes or preparation.words else "",
        _prepare_images(preparation)
        if isinstance(preparation, ImagePreparation)
        else _prepare_table(preparation),
        _encode(predictor),
        *network_text(predictor, training),
        _MAIN.format(check=_CHECK_USAGE, file="sys.argv[1]")
        if source.file
        else _MAIN.format(check="", file=""),
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


@dataclass(frozen=True)
class _Source:
    """Where a script's data come from.

    Attributes:
        file: what the file that it is given holds, in words; empty where it needs none.
        text: the function that reads them.
        package: what has to be installed for it.
    """

    file: str
    text: str
    package: str = ""


def _source(data: str, images: bool) -> _Source:
    if data in EMBEDDED:
        return _Source("", _EMBEDDED[data], "scikit-learn")
    if data.endswith(".npz"):
        text = _READ_IMAGES if images else _READ_MATRIX
        return _Source("an NPZ file with x_train and y_train", text)
    return _Source("a CSV, TSV, Parquet or Feather file", _READ_TABLE)


def _numbers(target: Target) -> str:
    """What reads a target of numbers as such, whatever stands for a missing one."""
    numbers = all(type(label) in (int, float) for label in target.classes)  # a quantity has none
    return _NUMBERS.format(target=repr(target.name)) if numbers else ""


def _head(source: _Source, images: bool) -> str:
    packages = ["keras", "tensorflow", "numpy", "" if images else "pandas", source.package]
    if source.text == _READ_TABLE:
        packages.append("pyarrow")  # by which pandas reads Parquet and Feather
    imports = ["import keras", "import numpy as np", "" if images else "import pandas as pd"]
    if source.package:
        imports.append("from sklearn import datasets")
    usage = f"python FILE.py DATA, DATA being {source.file}" if source.file else "python FILE.py"
    lines = [
        f'"""Trains the network that evonet found: {usage}.',
        "",
        "pip install " + " ".join(filter(None, packages)),
        '"""',
        "",
        *(["import sys", ""] if source.file else []),
        *filter(None, imports),
        "",
        "keras.utils.set_random_seed(0)",
    ]
    return "\n".join(lines)


_READ_TABLE = '''
def read(file):
    """Features and labels of a table."""
    if file.endswith((".parquet", ".feather")):
        table = pd.read_parquet(file) if file.endswith(".parquet") else pd.read_feather(file)
    else:
        separator = "\\t" if ".tsv" in file else ","
        table = pd.read_csv(
            file, sep=separator, keep_default_na=False, na_values=[""], low_memory=False
        )
{numbers}    table = table.dropna(subset=[{target}])
    return table, table[{target}]
'''
_NUMBERS = """    # Words for "missing" beside numbers are missing.
    table[{target}] = pd.to_numeric(table[{target}], errors="coerce")
"""
_READ_IMAGES = '''
def read(file):
    """Images and labels."""
    arrays = np.load(file)
    labels = arrays["y_train"].reshape(-1)
    known = labels == labels  # a missing one is not equal to itself
    return arrays["x_train"][known], labels[known]
'''
_READ_MATRIX = '''
def read(file):
    """Features, as a table with the columns x0, x1, ..., and labels."""
    arrays = np.load(file)
    labels = arrays["y_train"].reshape(-1)
    known = labels == labels  # a missing one is not equal to itself
    return pd.DataFrame(arrays["x_train"][known]).add_prefix("x"), labels[known]
'''
_EMBEDDED_CLASSES = '''
def read():
    """Features and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_{name}(as_frame=True)
    return loaded.data, loaded.target_names[loaded.target]
'''
_EMBEDDED = {
    name: _EMBEDDED_CLASSES.format(name=name) for name in ("iris", "wine", "breast_cancer")
}
_EMBEDDED["digits"] = '''
def read():
    """Images and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_digits()
    return loaded.images, loaded.target
'''
_EMBEDDED["diabetes"] = '''
def read():
    """Features and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_diabetes(as_frame=True)
    return loaded.data, loaded.target
'''
_EMBEDDED["circles"] = '''
def read():
    """Points in two rings, and which ring each is of."""
    x, y = datasets.make_circles(1000, factor=0.5, noise=0.1, random_state=0)
    return pd.DataFrame(x, columns=["x0", "x1"]), np.where(y == 1, "inner", "outer")
'''


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
    return np.array([places[spelled(label)] for label in labels])
'''


_CHECK_USAGE = """    if len(sys.argv) != 2:
        sys.exit(f"Usage: python {sys.argv[0]} DATA")
"""
_MAIN = '''
def main():
    """Train on four fifths of the rows; stop by the others."""
{check}    features, labels = read({file})
    x, y = prepare(features), encode(labels)
    order = np.random.default_rng(0).permutation(len(x))
    validation, training = np.split(order, [len(x) // 5])
    model = build_model()
    loss = train(model, x[training], y[training], x[validation], y[validation])
    model.save("trained.keras")
    print(f"Written: trained.keras; lowest loss on the rows that stopped it: {{loss:.4f}}")


if __name__ == "__main__":
    main()
'''
