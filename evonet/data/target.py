"""What is predicted: the task, its classes or its unit, and how networks see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, FiniteFloat

from evonet.errors import DataError

Task = Literal["binary", "multiclass", "regression"]

#: Whole numbers with at most this many distinct values count as classes. Untuned.
_MAX_NUMBER_CLASSES = 30


@dataclass(frozen=True)
class Target:
    """What a network predicts.

    Attributes:
        name: the column's name.
        task: what kind of prediction it is.
        classes: the labels in the order of the network's outputs; empty for regression.
        mean: mean of a regression target over the training part; 0 for classes.
        scale: its standard deviation there; 1 for classes.
    """

    name: str
    task: Task
    classes: tuple[str | int | float | bool, ...] = ()
    mean: FiniteFloat = 0.0
    scale: Annotated[FiniteFloat, Field(gt=0)] = 1.0

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one, or one per class where there are more than two."""
        return len(self.classes) if self.task == "multiclass" else 1

    def encode(self, labels: pd.Series) -> np.ndarray:
        """Labels as networks see them.

        Returns:
            ``(n,)`` class indices int32, or standardised float32 for regression.
        """
        if self.task == "regression":
            values = labels.to_numpy(dtype=np.float64)
            return ((values - self.mean) / self.scale).astype(np.float32)
        index = {label: i for i, label in enumerate(self.classes)}
        return np.asarray([index[_plain(label)] for label in labels], dtype=np.int32)

    def truth(self, encoded: np.ndarray) -> np.ndarray:
        """What metrics compare with: class indices, or a regression target in its own unit."""
        if self.task != "regression":
            return encoded
        return encoded.astype(np.float64) * self.scale + self.mean

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """A network's outputs as metrics read them.

        Args:
            outputs: ``(n, n_outputs)`` logits, or standardised predictions.

        Returns:
            float64: ``(n, n_classes)`` probabilities, or ``(n,)`` in the target's own unit.
        """
        outputs = outputs.astype(np.float64)
        if self.task == "regression":
            return self.truth(outputs[:, 0])
        if self.task == "binary":  # the logit of the second class against zero
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
        with np.errstate(invalid="ignore"):  # an infinite logit becomes NaN, which scores refuse
            p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return np.asarray(p / p.sum(axis=1, keepdims=True))

    def labels(self, predictions: np.ndarray) -> list[Any]:
        """Predictions, as ``predictions`` returns them, in the target's own words."""
        if self.task == "regression":
            return [float(value) for value in predictions]
        return [self.classes[i] for i in predictions.argmax(axis=1)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def infer_task(labels: pd.Series) -> tuple[Task, str]:
    """The task that labels look like, and the reason in words.

    Words and booleans are classes. Whole numbers are classes where there are few distinct
    ones, any other number is a quantity.
    """
    distinct = labels.nunique()
    classes: Task = "binary" if distinct == 2 else "multiclass"
    if not pd.api.types.is_numeric_dtype(labels.dtype) or pd.api.types.is_bool_dtype(labels.dtype):
        return classes, f"{distinct} classes"
    whole = bool((labels.dropna() % 1 == 0).all())
    if whole and distinct <= _MAX_NUMBER_CLASSES:
        return classes, f"{distinct} distinct whole numbers"
    return "regression", f"{distinct} distinct numbers"


def make_target(labels: pd.Series, task: Task, train_rows: np.ndarray) -> Target:
    """The target of checked labels.

    Args:
        labels: ``(n,)`` without missing values.
        task: what kind of prediction it is.
        train_rows: positions of the training part, the only ones that set mean and scale.

    Raises:
        DataError: a regression target that is constant on the training part.
    """
    name = str(labels.name)
    if task != "regression":
        return Target(name, task, tuple(sorted({_plain(label) for label in labels}, key=_order)))
    values = labels.to_numpy(dtype=np.float64)[train_rows]
    mean, scale = float(values.mean()), float(values.std())
    if scale <= 1e-14 * np.abs(values).max():  # nothing but rounding
        raise DataError(
            f"Target {name!r} has the same value in every training row; nothing to learn."
        )
    return Target(name, task, mean=mean, scale=scale)


def _plain(label: Any) -> str | int | float | bool:
    """A label as a plain Python value that JSON keeps; whole floats are whole numbers."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return label if isinstance(label, str | int | float | bool) else str(label)


def _order(label: Any) -> tuple[bool, Any]:
    return (isinstance(label, str), label)
