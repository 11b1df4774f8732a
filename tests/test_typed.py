"""Plain values back into dataclasses: the same, or refused with the place and the value."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import from_plain
from pydantic import PositiveInt

from evonet.errors import GenomeError
from evonet.genome import Genome, Layer
from evonet.typed import from_json, joined

FINITE = st.floats(allow_nan=False)


@dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"]
    share: float | None


@dataclass(frozen=True)
class Outer:
    count: PositiveInt
    words: tuple[str | int | bool, ...]
    inner: tuple[Inner, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


OUTERS = st.builds(
    Outer,
    st.integers(1),
    st.lists(st.text() | st.integers() | st.booleans()).map(tuple),
    st.lists(st.builds(Inner, st.sampled_from(["a", "b"]), FINITE | st.none())).map(tuple),
    st.dictionaries(st.text(), FINITE),
)
PLAIN: dict[str, Any] = {"count": 1, "words": ["x"], "inner": [{"kind": "a", "share": 0.5}]}


@given(OUTERS)
def test_what_went_through_json_is_the_same(value: Outer) -> None:
    again = from_json(Outer, json.dumps(asdict(value)))
    assert again == value
    assert [type(word) for word in again.words] == [type(word) for word in value.words]
    assert from_plain(Outer, asdict(value)) == value


def test_infinity_and_nan_are_numbers() -> None:
    first, second, third = from_json(tuple[float, ...], "[Infinity, -Infinity, NaN]")
    assert (first, second) == (float("inf"), -float("inf"))
    assert third != third


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": "1"}, "count is '1'; input should be a valid integer"),
        ({"count": True}, "count is True; input should be a valid integer"),
        ({"count": 1.5}, "count is 1.5; input should be a valid integer"),
        ({"count": 0}, "count is 0; input should be greater than 0"),
        ({"words": "x"}, "words is 'x'; input should be a valid array"),
        ({"words": [None]}, r"words\.0\.str is None; input should be a valid string"),
        ({"inner": [{"kind": "c", "share": 1}]}, r"inner\.0\.kind is 'c'; input should be 'a' or"),
        ({"inner": [{"kind": "a"}]}, r"inner\.0\.share is missing"),
        ({"inner": [3]}, r"inner\.0 is 3; input should be an object"),
        ({"figures": {"x": None}}, r"figures\.x is None; input should be a valid number"),
    ],
)
def test_a_value_of_another_type_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        from_plain(Outer, {**PLAIN, **changes})


@pytest.mark.parametrize("text", ["", "{", "3", "null", "[" * 100_000, '{"count": 1}'])
def test_text_that_is_none_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,200}$"):
        from_json(Outer, text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | FINITE | st.text(), st.lists))
def test_no_json_at_all_is_another_error(value: object) -> None:
    with pytest.raises(ValueError, match="it is "):
        from_plain(Outer, value)


def test_genomes_are_read_by_their_own_rules() -> None:
    genome = Genome((Layer(8, "relu"),), "he_normal", "adam", 1e-3, 32)
    assert from_plain(tuple[Genome, ...], [genome.to_dict()]) == (genome,)
    with pytest.raises(GenomeError, match="expected an object of genes"):
        from_plain(tuple[Genome, ...], [3])


@given(st.dictionaries(st.text(), st.lists(FINITE)))
def test_values_in_json_are_joined_to_an_object(values: dict[str, list[float]]) -> None:
    assert json.loads(joined({name: json.dumps(v) for name, v in values.items()})) == values
