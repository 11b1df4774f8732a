"""Files of genomes: what is written is read again, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, genomes, raises_at_most

from evonet.errors import GenomeError
from evonet.genome import Genome, SearchSpace
from evonet.genome.files import FORMAT, read_genomes, starters, write_genomes

GENOME: dict[str, Any] = {
    "layers": [{"units": 8, "activation": "relu"}],
    "initializer": "he_normal",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "batch_size": 32,
}
ROOT = Path(__file__).parents[1]
SHIPPED = [*sorted(ROOT.glob("genomes/*.json")), *sorted(ROOT.glob("evonet/genome/*.json"))]


def file_of(tmp_path: Path, content: object) -> Path:
    """A file with this JSON, or with these very bytes or this text."""
    path = tmp_path / "genomes.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def entries(*genomes: object) -> dict[str, Any]:
    return {"format": FORMAT, "genomes": [{"genome": genome} for genome in genomes]}


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9), genomes()), min_size=1))
@examples(50)
def test_written_genomes_are_read_again_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, triples: list[tuple[str, str, Genome]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.json"
    write_genomes(path, triples)
    assert read_genomes(path) == tuple(genome for _, _, genome in triples)
    written = json.loads(path.read_text("utf-8"))["genomes"]
    assert [(e["name"], e["source"]) for e in written] == [(n, s) for n, s, _ in triples]


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    path = file_of(tmp_path, entries(GENOME, {**GENOME, "layers": []}))
    first, second = read_genomes(path)
    assert first.layers[0].units == 8
    assert second.layers == ()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_read(path: Path) -> None:
    assert read_genomes(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a file of genomes: it is not JSON"),
        ("{", "is not a file of genomes: it is not JSON"),
        ("﻿{}", "is not a file of genomes: it is not JSON"),
        (b"\xff\xfe{}", "is not a file of genomes: it is not JSON .*can't decode byte"),
        ("9" * 5000, "is not a file of genomes: it is not JSON"),
        ("[" * 200_000, "is not a file of genomes: it is not JSON .*recursion"),
        ("[]", f'is not a file of genomes: expected "format": "{FORMAT}"'),
        ("null", f'is not a file of genomes: expected "format": "{FORMAT}"'),
        (GENOME, f'is not a file of genomes: expected "format": "{FORMAT}"'),
        ({"format": "evonet-genomes/2"}, f'expected "format": "{FORMAT}"'),
        ({"format": FORMAT}, "has no genomes; expected a list with at least one"),
        ({"format": FORMAT, "genomes": []}, "has no genomes; expected a list with at least one"),
        ({"format": FORMAT, "genomes": {}}, "has no genomes; expected a list with at least one"),
        ({"format": FORMAT, "genomes": "ab"}, "has no genomes; expected a list with at least one"),
        ({"format": FORMAT, "genomes": [3]}, "genome 0: found 3; expected an object"),
        ({"format": FORMAT, "genomes": [{}]}, "genome 0: found None; expected an object of genes"),
        (entries(GENOME, [1]), r"genome 1: found \[1\]; expected an object of genes"),
        (entries(GENOME, {}), "genome 1: 'layers' is None; expected a list of layers"),
        (entries({**GENOME, "wings": 2}), "genome 0: unknown gene 'wings'; expected one of layers"),
        (entries({**GENOME, "optimizer": 3}), "genome 0: gene 'optimizer' is 3; expected one of"),
        (entries({**GENOME, "batch_size": True}), "gene 'batch_size' is True; expected a whole"),
        (entries({**GENOME, "learning_rate": float("nan")}), "'learning_rate' is nan; expected"),
        (entries({**GENOME, "learning_rate": float("inf")}), "'learning_rate' is inf; expected"),
        (
            entries({**GENOME, "layers": [*GENOME["layers"], {"units": 8}]}),
            "genome 0: layer 1: gene 'activation' is missing; expected one of relu",
        ),
    ],
)
def test_a_bad_file_is_refused_with_place_value_and_what_was_expected(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(GenomeError, match=rf"genomes\.json.*{message}") as refusal:
        read_genomes(file_of(tmp_path, content))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenomeError, match=r"Cannot read genomes from .*none.json: No such file"):
        read_genomes(tmp_path / "none.json")
    with pytest.raises(GenomeError, match=r"Cannot read genomes from .*: Is a directory"):
        read_genomes(tmp_path)


@pytest.mark.parametrize("place", ["entry", "genome", "layers", "units", "optimizer"])
def test_nesting_of_any_depth_is_refused(tmp_path: Path, place: str) -> None:
    def nested(depth: int) -> str:
        record = {
            "entry": {"format": FORMAT, "genomes": ["DEEP"]},
            "genome": entries("DEEP"),
            "layers": entries({**GENOME, "layers": "DEEP"}),
            "units": entries({**GENOME, "layers": [{"units": "DEEP", "activation": "relu"}]}),
            "optimizer": entries({**GENOME, "optimizer": "DEEP"}),
        }[place]
        return json.dumps(record).replace('"DEEP"', "[" * depth + "]" * depth)

    # Near the recursion limit what reads JSON may get through and what writes the message not.
    for depth in (*range(900, 1100), 20_000, 100_000):
        path = file_of(tmp_path, nested(depth))
        with pytest.raises(GenomeError, match=r"expected|is not JSON"):
            read_genomes(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from([*GENOME, "units", "activation", "dropout", "genome"])
            | st.text(max_size=5),
            values,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.one_of(
        JSON,
        st.text(max_size=100),
        st.binary(max_size=50),
        JSON.map(lambda value: {"format": FORMAT, "genomes": value}),
        JSON.map(entries),
        st.tuples(st.sampled_from(sorted(GENOME)), JSON).map(
            lambda gene: entries({**GENOME, gene[0]: gene[1]})
        ),
    )
)
@examples(400)
def test_any_content_gives_genomes_or_an_error_of_evonet(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    path = file_of(tmp_path_factory.getbasetemp(), content)
    with raises_at_most(GenomeError):
        found = read_genomes(path)
        assert found
        assert all(Genome.from_dict(genome.to_dict()) == genome for genome in found)


def test_every_starter_is_in_the_default_space() -> None:
    # Or it would be left out of first generations without a word.
    assert len(starters()) == 6
    assert all(SearchSpace.default().admits(genome) for genome in starters())


def test_a_file_is_kept_where_another_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_genomes(tmp_path / "g.json", [("a", "test", Genome((), "he_normal", "sgd", 0.1, 8))])
    before = (tmp_path / "g.json").read_bytes()

    def full(self: Path, text: str, *_: object) -> None:
        self.write_bytes(text[:10].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_genomes(tmp_path / "g.json", [("b", "test", Genome((), "he_normal", "sgd", 0.1, 8))])
    assert (tmp_path / "g.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["g.json"]
