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
from evonet.genome.genes import (
    ACTIVATIONS,
    INITIALIZERS,
    NORMALISATIONS,
    OPTIMIZERS,
    SCHEDULES,
    SKIPS,
)

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
    """The genes of a layer as a file may hold them, its neutral genes written out or not."""
    return st.fixed_dictionaries(
        {"units": st.integers(1, max_units), "activation": st.sampled_from(ACTIVATIONS)},
        optional={
            "dropout": _from_zero(1.0, below=True),
            "normalisation": st.sampled_from(NORMALISATIONS),
            "skip": st.sampled_from(SKIPS),
        },
    )


def _from_zero(high: float, below: bool = False) -> st.SearchStrategy[float]:
    """A number whose neutral value is 0, which a file may spell in several ways."""
    return st.one_of(st.sampled_from([0, -0.0, 0.5]), st.floats(0.0, high, exclude_max=below))


def raw_genomes(max_depth: int = 4, max_units: int = 1000) -> st.SearchStrategy[dict[str, Any]]:
    """The genes of a genome as a file may hold them, whether they act or not, neutral or not."""
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
        },
        optional={
            "schedule": st.sampled_from(SCHEDULES),
            "warmup": _from_zero(1.0, below=True),
            "weight_decay": _from_zero(1.0),
            "clip_norm": _from_zero(1000.0),
            "label_smoothing": _from_zero(1.0, below=True),
            "input_noise": _from_zero(10.0),
        },
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
            "normalisation": _some(NORMALISATIONS, most),
            "skip": _some(SKIPS, most),
            "initializer": _some(INITIALIZERS, most),
            "optimizer": _some(OPTIMIZERS, most),
            "momentum": _some([0.5, 0.9, 0.99], most),
            "learning_rate": _some([1e-4, 1e-3, 1e-2, 0.1], most),
            "batch_size": _some([16, 32, 256], most),
            "schedule": _some(SCHEDULES, most),
            "warmup": _some([0.0, 0.1, 0.5], most),
            "weight_decay": _some([0.0, 1e-3, 0.1], most),
            "clip_norm": _some([0.0, 1.0, 10.0], most),
            "label_smoothing": _some([0.0, 0.1, 0.2], most),
            "input_noise": _some([0.0, 0.1, 1.0], most),
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
    "normalisation": ["none"],
    "skip": ["none"],
    "initializer": ["matched_normal"],
    "optimizer": ["adam"],
    "momentum": [0.9],
    "learning_rate": [1e-3],
    "batch_size": [32],
    "schedule": ["constant"],
    "warmup": [0.0],
    "weight_decay": [0.0],
    "clip_norm": [0.0],
    "label_smoothing": [0.0],
    "input_noise": [0.0],
}


def rng(seed: int = 0) -> np.random.Generator:
    """A generator for a test."""
    return np.random.default_rng(seed)


def network_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is built and trained, spelled out: equal for two records exactly if the networks are."""
    layers = [
        (
            layer["units"],
            layer.get("normalisation", "none"),
            layer["activation"],
            layer.get("dropout", 0.0),
            layer.get("skip", "none"),
        )
        for layer in record["layers"]
    ]
    activations = [layer["activation"] for layer in record["layers"]]
    has_momentum = record["optimizer"] in ("momentum", "nesterov")
    decays = record["optimizer"] != "adam"
    return (
        layers,
        [initializer_of(record["initializer"], a) for a in [*activations, "linear"]],
        record["optimizer"],
        record["momentum"] if has_momentum else None,
        record["learning_rate"],
        record["batch_size"],
        record.get("schedule", "constant"),
        record.get("warmup", 0.0),
        record.get("weight_decay", 0.0) if decays else None,
        record.get("clip_norm", 0.0),
        record.get("label_smoothing", 0.0),
        record.get("input_noise", 0.0),
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
        and all(layer.normalisation in space["normalisation"] for layer in genome.layers)
        and all(layer.skip in space["skip"] for layer in genome.layers)
        and genome.optimizer in space["optimizer"]
        and (genome.momentum is None or genome.momentum in space["momentum"])
        and genome.learning_rate in space["learning_rate"]
        and genome.batch_size in space["batch_size"]
        and genome.schedule in space["schedule"]
        and genome.warmup in space["warmup"]
        and (genome.weight_decay is None or genome.weight_decay in space["weight_decay"])
        and genome.clip_norm in space["clip_norm"]
        and genome.label_smoothing in space["label_smoothing"]
        and genome.input_noise in space["input_noise"]
        and any(
            network_of({**record, "initializer": name}) == network_of(record)
            for name in space["initializer"]
        )
    )
