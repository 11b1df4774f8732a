"""A Keras model from raw columns to predictions: preparation, networks and target in one graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evonet.champion.predictor import Predictor
from evonet.data.files import Features
from evonet.data.preparation import (
    LARGEST,
    CategoricalColumn,
    ImagePreparation,
    NumericColumn,
    TablePreparation,
    words_of,
)
from evonet.deploy.signature import IMAGE, apart, output_classes, pixel_kind, word_of
from evonet.training.backend import load_keras
from evonet.training.keras_model import build_network


def serving_model(predictor: Predictor, names: Mapping[str, str], as_places: bool = False) -> Any:
    """The ``keras.Model`` of a predictor: a dict of raw columns to a dict of predictions.

    Its inputs have the columns' names, and all else is in one layer: the names of layers, those
    that Keras gives by itself too, are then not among the columns'.

    Args:
        predictor: what predicts.
        names: of each column the name of its input.
        as_places: numbers alone, in float32, and words as their places among the categories (their
            number for any other); of classes the probabilities alone. For runtimes without text.

    Returns:
        A model whose inputs are columns ``(n, 1)`` (or ``image``: ``(n, *shape)``), and whose
        outputs are ``prediction`` ``(n,)`` and for classes ``probabilities`` ``(n, n_classes)``.
    """
    keras = load_keras()
    if isinstance(predictor.preparation, ImagePreparation):
        inputs, x = _image(predictor.preparation, as_places)
    else:
        inputs, x = _columns(predictor.preparation, as_places)
    means = []
    for i, network in enumerate(predictor.networks):
        built = build_network(network.genome, x.shape[1], predictor.target.n_outputs)
        built.set_weights(network.weights)
        built.name = f"network_{i}"
        means.append(predictor.shares[i] * _predictions(predictor, built(x), as_places))
    total = means[0] if len(means) == 1 else keras.layers.Add()(means)
    within = keras.Model(inputs, _outputs(predictor, total, as_places))
    within.name = apart("prepared_networks", names.values())
    named = {
        name: keras.Input(given.shape[1:], dtype=given.dtype, name=name)
        for name, given in zip(names.values(), inputs, strict=True)
    }
    return keras.Model(named, within(list(named.values())), name="evonet")


def feed(predictor: Predictor, rows: Features, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Raw rows as a serving model takes them: of each input an array ``(n, 1)``.

    Numbers as float64, words as text; images ``(n, *shape)`` as they are.
    """
    preparation = predictor.preparation
    if isinstance(preparation, ImagePreparation):
        return {IMAGE: np.asarray(rows)}
    table, found = pd.DataFrame(rows), {}
    for column in preparation.columns:
        values = table[column.name]
        if isinstance(column, NumericColumn):
            array = values.to_numpy(np.float64)
        else:
            array = np.asarray([word_of(word) for word in words_of(values)], object)
        found[names[column.name]] = array[:, np.newaxis]
    return found


def places(predictor: Predictor, rows: Features, names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The same for a model ``as_places``: of each input an array ``(n, 1)``.

    Numbers as float32, words as their places in int32; images ``(n, *shape)`` as float32.
    """
    fed = feed(predictor, rows, names)
    if isinstance(predictor.preparation, ImagePreparation):
        return {IMAGE: fed[IMAGE].astype(np.float32)}
    for column in predictor.preparation.columns:
        name = names[column.name]
        if isinstance(column, NumericColumn):
            fed[name] = fed[name].astype(np.float32)
        else:
            index = {word_of(c): i for i, c in enumerate(column.categories)}
            words = [index.get(word, len(index)) for word in fed[name][:, 0]]
            fed[name] = np.asarray(words, np.int32)[:, np.newaxis]
    return fed


def _image(preparation: ImagePreparation, as_places: bool) -> tuple[list[Any], Any]:
    """The input of images, and what ``ImagePreparation.transform`` makes of it."""
    keras = load_keras()
    kind = "float32" if as_places else pixel_kind(preparation)
    image = keras.Input(preparation.shape, dtype=kind)
    flat = keras.layers.Flatten()(keras.ops.cast(image, "float32"))
    return [image], flat / np.float32(preparation.scale)


def _columns(preparation: TablePreparation, as_places: bool) -> tuple[list[Any], Any]:
    """The inputs of a table, and what ``TablePreparation.transform`` makes of them."""
    keras = load_keras()
    inputs, blocks = [], []
    for column in preparation.columns:
        if isinstance(column, NumericColumn):
            kind = "float32" if as_places else "float64"
        else:
            kind = "int32" if as_places else "string"
        given = keras.Input((1,), dtype=kind)
        inputs.append(given)
        if isinstance(column, NumericColumn):
            blocks.append(_numeric(column, given, kind))
        else:
            blocks.append(_categorical(column, given, as_places))
    prepared = blocks[0] if len(blocks) == 1 else keras.layers.Concatenate()(blocks)
    return inputs, prepared


def _numeric(column: NumericColumn, given: Any, kind: str) -> Any:
    ops = load_keras().ops
    known = ops.logical_or(given <= 0, given > 0)  # not NaN; TensorFlow Lite has no isnan
    missing = ops.logical_not(known)
    filled = ops.where(missing, ops.full_like(given, column.fill), given)
    scale = np.asarray(column.scale, kind)
    # The mean in two parts, since float32 has but seven digits; divided in between, since
    # converters would add what is subtracted one after the other.
    mean = np.asarray(column.mean, kind)
    scaled = (filled - mean) / scale
    if kind == "float32":
        scaled -= np.asarray((column.mean - float(mean)) / column.scale, kind)
    scaled = ops.cast(ops.clip(scaled, -float(LARGEST), float(LARGEST)), "float32")
    if not column.marks_missing:
        return scaled
    return ops.concatenate([scaled, ops.cast(missing, "float32")], axis=1)


def _categorical(column: CategoricalColumn, given: Any, as_places: bool) -> Any:
    """One input per category, and one for all others where the column has it."""
    keras = load_keras()
    n = len(column.categories)
    if as_places:
        place = given
    else:
        words = [word_of(category) for category in column.categories]
        lookup = keras.layers.StringLookup(
            vocabulary=words, mask_token=None, oov_token=apart("[UNK]", words)
        )
        place = (lookup(given) + n) % (n + 1)  # it puts others before the words
    set_to_one = keras.ops.one_hot(keras.ops.reshape(place, (-1,)), n + 1)
    return set_to_one if column.pools_rare else set_to_one[:, :n]


def _predictions(predictor: Predictor, outputs: Any, as_places: bool) -> Any:
    """What one network says: probabilities ``(n, n_classes)``, or ``(n, 1)`` in the own unit."""
    keras, target = load_keras(), predictor.target
    if target.task == "regression":
        wide = outputs if as_places else keras.ops.cast(outputs, "float64")
        kind = "float32" if as_places else "float64"
        return wide * np.asarray(target.scale, kind) + np.asarray(target.mean, kind)
    if target.task == "binary":
        second = keras.ops.sigmoid(outputs)
        return keras.ops.concatenate([keras.ops.sigmoid(-outputs), second], axis=1)
    return keras.ops.softmax(outputs)


def _outputs(predictor: Predictor, total: Any, as_places: bool) -> dict[str, Any]:
    keras, target = load_keras(), predictor.target
    if target.task == "regression":
        return {"prediction": keras.ops.reshape(total, (-1,))}
    if as_places:
        return {"probabilities": total}
    likeliest = keras.ops.argmax(total, axis=1)
    classes = output_classes(target)
    words = [word for word in classes if isinstance(word, str)]
    numbers = [number for number in classes if isinstance(number, int)]
    kind = keras.layers.IntegerLookup if numbers else keras.layers.StringLookup
    other = min(numbers) - 1 if numbers else apart("[UNK]", words)
    named = kind(
        vocabulary=classes, mask_token=None, num_oov_indices=0, oov_token=other, invert=True
    )(likeliest)
    return {"prediction": named, "probabilities": total}
