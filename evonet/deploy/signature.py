"""What goes into an exported model and what comes out, by name; and rows to try it with."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evonet.champion.predictor import Predictor
from evonet.data.files import Features
from evonet.data.preparation import (
    CategoricalColumn,
    Column,
    ImagePreparation,
    NumericColumn,
    Preparation,
)
from evonet.data.target import Target

#: The name of the input where rows are images.
IMAGE = "image"
#: A word that no table of training held.
UNSEEN = "never seen"


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of an exported model.

    Attributes:
        inputs: of each input its name, and what it takes in words.
        outputs: of each output the same.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"inputs": dict(self.inputs), "outputs": dict(self.outputs)}


def signature_of(predictor: Predictor, names: Mapping[str, str], as_places: bool) -> Signature:
    """The signature of an exported model.

    Args:
        predictor: what was exported.
        names: of each column the name of its input.
        as_places: whether words stand as their places in lists, and classes not at all.
    """
    target, preparation = predictor.target, predictor.preparation
    if isinstance(preparation, ImagePreparation):
        kind = "float32" if as_places else pixel_kind(preparation)
        pixels = f"pixels {preparation.shape}, from 0 to {preparation.scale:g}, in {kind}"
        inputs = {IMAGE: pixels}
    else:
        inputs = {
            names[column.name]: _taken(column, names[column.name], as_places)
            for column in preparation.columns
        }
    outputs = output_words(target)
    if as_places and target.classes:
        del outputs["prediction"]
    return Signature(inputs, outputs)


def output_words(target: Target) -> dict[str, str]:
    """Of each output its name, and what it holds in words."""
    if target.task == "regression":
        return {"prediction": f"{target.name}, in its own unit"}
    listed = ", ".join(map(repr, target.classes))
    return {"prediction": f"one of {listed}", "probabilities": f"of {listed}, in this order"}


def _taken(column: Column, name: str, as_places: bool) -> str:
    """What the input of a column takes, and which column that is where the name does not say it."""
    if isinstance(column, NumericColumn):
        taken = "a number; NaN where it is missing"
    elif as_places:
        taken = _place(column.categories)
    else:
        taken = 'a word; "" where it is missing'
    return taken if name == column.name else f"of column {column.name!r}, {taken}"


def _place(categories: Sequence[str | None]) -> str:
    listed = ["" if category is None else category for category in categories]
    return f"from 0 the word's place in {listed}; {len(listed)} for any other"


def pixel_kind(preparation: ImagePreparation) -> str:
    """The numbers that an image has, by NumPy's name."""
    if not preparation.whole:
        return "float32"
    return "uint8" if preparation.scale == 255 else "int32"  # which may be below zero


def output_classes(target: Target) -> list[int] | list[str]:
    """The classes as exported models name them: whole numbers where all are, else words."""
    whole = [label for label in target.classes if type(label) is int]
    if len(whole) == len(target.classes):
        return whole
    return [str(label) for label in target.classes]


def plain_names(names: Sequence[str]) -> dict[str, str]:
    """Names that a function's parameter can have, for formats that take no others; each there once.

    Example:
        >>> plain_names(["capital-gain", "capital gain", "1st floor", "class"])
        {'capital-gain': 'capital_gain', 'capital gain': 'capital_gain_2', '1st floor': \
'c_1st_floor', 'class': 'class_'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:100]
        if not re.match(r"[A-Za-z]", plain):
            plain = f"c_{plain.lstrip('_')}"
        if keyword.iskeyword(plain) or plain == "self":  # TensorFlow's functions have a self
            plain += "_"
        unique, i = plain, 1
        while unique.lower() in {taken.lower() for taken in found.values()}:
            i += 1
            unique = f"{plain}_{i}"
        found[name] = unique
    return found


def apart(name: str, taken: Collection[str]) -> str:
    """A name that is not taken: itself, or with as many underscores behind it as that needs.

    Example:
        >>> apart("mean", {"mean", "mean_", "age"})
        'mean__'
    """
    while name in taken:
        name += "_"
    return name


def word_of(category: str | None) -> str:
    """A category as exported models take it."""
    return "" if category is None else category


def example_rows(preparation: Preparation, rng: np.random.Generator, n: int = 64) -> Features:
    """Rows as those of training could be, to compare an exported model with what it came from.

    Numbers around the mean, some missing where some were; every category, words that were never
    seen, missing ones.

    Args:
        preparation: of the training part.
        rng: draws them.
        n: rows; more where a column has more categories.
    """
    if isinstance(preparation, ImagePreparation):
        kind = pixel_kind(preparation)
        least = 0 if kind == "uint8" else -preparation.scale
        return rng.uniform(least, preparation.scale, (n, *preparation.shape)).astype(kind)
    words = [c for c in preparation.columns if isinstance(c, CategoricalColumn)]
    n = max([n, *(len(column.categories) + 2 for column in words)])
    return pd.DataFrame({c.name: _example(c, rng, n) for c in preparation.columns})


def _example(column: NumericColumn | CategoricalColumn, rng: np.random.Generator, n: int) -> Any:
    if isinstance(column, NumericColumn):
        # As float32 has them: some runtimes compute with no others.
        values = rng.normal(column.mean, 2 * column.scale, n).astype(np.float32).astype(np.float64)
        if column.marks_missing:
            values[rng.random(n) < 0.2] = np.nan
        return values
    known: list[str | None] = [*column.categories, None, UNSEEN]
    drawn = [known[i] for i in rng.integers(len(known), size=n - len(known))]
    return pd.Series([*known, *drawn], dtype=object).sample(frac=1, random_state=rng).to_numpy()
