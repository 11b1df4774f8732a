"""A preparation as a record keeps it: back from plain values, each of which is checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from evonet.data.preparation import (
    CategoricalColumn,
    Column,
    ImagePreparation,
    NumericColumn,
    Preparation,
    TablePreparation,
)
from evonet.errors import RecordError, shown


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and bool(abs(value) <= sys.float_info.max)  # NaN is not


_IS_BOOLEAN = "true or false", lambda v: type(v) is bool
#: Of each field of a record what it holds, in words, and whether a value is that.
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("text", lambda v: isinstance(v, str)),
    "fill": ("a finite number", _is_finite),
    "mean": ("a finite number", _is_finite),
    "scale": ("a finite number above 0", lambda v: _is_finite(v) and v > 0),
    "categories": (
        "a list of words and null",
        lambda v: isinstance(v, list | tuple) and all(isinstance(word, str | None) for word in v),
    ),
    "shape": (
        "a list of whole numbers of at least 1",
        lambda v: isinstance(v, list | tuple) and all(type(n) is int and n > 0 for n in v),
    ),
    "marks_missing": _IS_BOOLEAN,
    "pools_rare": _IS_BOOLEAN,
    "whole": _IS_BOOLEAN,
}


def preparation_from_dict(record: Mapping[str, Any]) -> Preparation:
    """The preparation of a record as ``to_dict`` writes it.

    Raises:
        RecordError: a value is of another kind than those that are written.
    """
    if record["kind"] == "images":
        return ImagePreparation(**_checked(record, ImagePreparation))
    columns: list[Column] = []
    for entry in record["columns"]:
        if entry["kind"] == "numeric":
            columns.append(NumericColumn(**_checked(entry, NumericColumn)))
        else:
            columns.append(CategoricalColumn(**_checked(entry, CategoricalColumn)))
    return TablePreparation(tuple(columns))


def _checked(record: Mapping[str, Any], kind: type[Column | ImagePreparation]) -> dict[str, Any]:
    """The fields of a column, or of a preparation of images, in a record."""
    values: dict[str, Any] = {field.name: record.get(field.name) for field in fields(kind)}
    for name, value in values.items():
        expected, fits = _FIELDS[name]
        if not fits(value):
            raise RecordError(
                f"{name!r} of the run's preparation is {shown(value)}; expected {expected}. "
                "The record is damaged. Restore it from a copy, or start the run anew."
            )
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
