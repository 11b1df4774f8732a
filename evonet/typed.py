"""Plain values back into what they were written from, each of the type that it has there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from evonet.errors import shown

T = TypeVar("T")
#: How many of something: not negative, and of a size that every table and database holds.
Count = Annotated[int, Field(ge=0, lt=2**63)]
#: A duration or a date since 1970, in seconds: at most some thousand years.
Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e11)]


def from_json(kind: type[T], text: str) -> T:
    """A value of its JSON.

    Args:
        kind: what it is: a dataclass, with lists as its tuples, or any type that pydantic knows.
        text: what ``json.dumps`` made of it; keys that ``kind`` has no field for are passed over.

    Raises:
        ValueError: a value is missing or of another type; says where, in a line.

    Example:
        >>> from_json(tuple[int, ...], "[1, 2]")
        (1, 2)
        >>> from_json(tuple[int, ...], '[1, "2"]')
        Traceback (most recent call last):
        ValueError: 1 is '2'; input should be a valid integer
    """
    try:
        adapter = _adapter(kind)  # type: ignore[arg-type]  # a class has a hash
        value: T = adapter.validate_json(text, strict=True)
        return value
    except ValidationError as error:
        raise ValueError(_said(error)) from None


def joined(texts: Mapping[str, str]) -> str:
    """One JSON object of the JSON of its values.

    Example:
        >>> joined({"a": "1", "b": "[2]"})
        '{"a": 1, "b": [2]}'
    """
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


#: Making one takes a thousand times as long as using it.
_adapter = cache(TypeAdapter[Any])


def _said(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, problem["loc"])) or "it"
    if problem["type"] == "missing":
        return f"{where} is missing"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{where} is {shown(problem['input'])}; {said[0].lower()}{said[1:]}"
