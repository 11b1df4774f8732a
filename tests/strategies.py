"""Hypothesis strategies for layers, genomes and spaces, and a second opinion on what a genome is.

``network_of`` and ``contains`` are oracles: written from the papers and from the meaning of the
genes, without a line of the code they judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from evonet.errors import EvonetError
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import ACTIVATIONS, INITIALIZERS, OPTIMIZERS

#: Glorot & Bengio 2010; Klambauer et al. 2017 for SELU; He et al. 2015 for all others.
GLOROT, LECUN = ("tanh", "sigmoid", "softmax", "linear"), ("selu",)

SEEDS = st.integers(0, 2**32 - 1)


def examples(n: int) -> settings:
    """Hypothesis with ``n`` examples."""
    return settings(max_examples=n)


@contextmanager
def raises_at_most(kind: type[EvonetError]) -> Iterator[None]:
    """Whatever is raised inside is an error of this kind, on one line; nothing has to be raised."""
    try:
        yield
    except kind as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"not one line: {str(error)!r}") from error


def raw_layers(max_units: int = 1000) -> st.SearchStrategy[dict[str, Any]]:
    """The genes of a layer as a file may hold them, its neutral gene written out or not."""
    return st.fixed_dictionaries(
        {"units": st.integers(1, max_units), "activation": st.sampled_from(ACTIVATIONS)},
        optional={
            "dropout": st.one_of(
                st.sampled_from([0, -0.0, 0.5]), st.floats(0.0, 1.0, exclude_max=True)
            )
        },
    )


def raw_genomes(max_depth: int = 4, max_units: int = 1000) -> st.SearchStrategy[dict[str, Any]]:
    """The genes of a genome as a file may hold them: momentum for all, whether it acts or not."""
    return st.fixed_dictionaries(
        {
            "layers": st.lists(raw_layers(max_units), max_size=max_depth),
            "initializer": st.sampled_from(INITIALIZERS),
            "optimizer": st.sampled_from(OPTIMIZERS),
            "momentum": st.one_of(
                st.sampled_from([0.01, 0.9]), st.floats(0.01, 1.0, exclude_max=True)
            ),
            "learning_rate": st.one_of(st.sampled_from([1, 1e-3]), st.floats(1e-8, 100.0)),
            "batch_size": st.integers(1, 65_536),
        }
    )


def layers() -> st.SearchStrategy[Layer]:
    """Any legal layer."""
    return raw_layers().map(lambda record: Layer(**record))


def genomes(max_depth: int = 4, max_units: int = 1000) -> st.SearchStrategy[Genome]:
    """Any legal genome."""
    return raw_genomes(max_depth, max_units).map(Genome.from_dict)


def _some(values: Sequence[Any], most: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


def raw_spaces(most: int = 4, max_depth: int = 4) -> st.SearchStrategy[dict[str, list[Any]]]:
    """The lists of a space file, each with up to ``most`` values, so that one value is common."""
    return st.fixed_dictionaries(
        {
            "layers": _some(range(max_depth + 1), most),
            "units": _some([1, 2, 8, 64, 300], most),
            "activation": _some(ACTIVATIONS, most),
            "dropout": _some([0.0, 0.1, 0.5], most),
            "initializer": _some(INITIALIZERS, most),
            "optimizer": _some(OPTIMIZERS, most),
            "momentum": _some([0.5, 0.9, 0.99], most),
            "learning_rate": _some([1e-4, 1e-3, 1e-2, 0.1], most),
            "batch_size": _some([16, 32, 256], most),
        }
    )


def spaces(most: int = 4, max_depth: int = 4) -> st.SearchStrategy[SearchSpace]:
    """Any space with short lists."""
    return raw_spaces(most, max_depth).map(make_space)


def make_space(record: Mapping[str, Any]) -> SearchSpace:
    """The default space with some genes replaced."""
    return SearchSpace.default().change(record, "test")


#: Every gene has one value, but for what a test replaces.
POINT: Mapping[str, list[Any]] = {
    "layers": [1],
    "units": [8],
    "activation": ["relu"],
    "dropout": [0.0],
    "initializer": ["matched_normal"],
    "optimizer": ["adam"],
    "momentum": [0.9],
    "learning_rate": [1e-3],
    "batch_size": [32],
}


def rng(seed: int = 0) -> np.random.Generator:
    """A generator for a test."""
    return np.random.default_rng(seed)


def network_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is built and trained, spelled out: equal for two records exactly if the networks are."""
    layers = [
        (layer["units"], layer["activation"], layer.get("dropout", 0.0))
        for layer in record["layers"]
    ]
    activations = [activation for _, activation, _ in layers]
    has_momentum = record["optimizer"] in ("momentum", "nesterov")
    return (
        layers,
        [initializer_of(record["initializer"], a) for a in [*activations, "linear"]],
        record["optimizer"],
        record["momentum"] if has_momentum else None,
        record["learning_rate"],
        record["batch_size"],
    )


def initializer_of(initializer: str, activation: str) -> tuple[str, str]:
    """Family and distribution of a layer's initial weights."""
    family, distribution = initializer.split("_")
    if family == "matched":
        family = "glorot" if activation in GLOROT else "lecun" if activation in LECUN else "he"
    return family, distribution


def contains(space: Mapping[str, list[Any]], genome: Genome) -> bool:
    """Whether a genome's network is one of those that the lists of a space spell."""
    record = {"momentum": None, **genome.to_dict()}
    return (
        len(genome.layers) in space["layers"]
        and all(layer.units in space["units"] for layer in genome.layers)
        and all(layer.activation in space["activation"] for layer in genome.layers)
        and all(layer.dropout in space["dropout"] for layer in genome.layers)
        and genome.optimizer in space["optimizer"]
        and (genome.momentum is None or genome.momentum in space["momentum"])
        and genome.learning_rate in space["learning_rate"]
        and genome.batch_size in space["batch_size"]
        and any(
            network_of({**record, "initializer": name}) == network_of(record)
            for name in space["initializer"]
        )
    )
