"""A genome: what a network is and how it is trained, before any framework.

A genome is always canonical. Genes that do not act are None, and two genomes that build the same
network are equal and share one key, so that no network is ever trained twice under two names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from pydantic_core import CoreSchema, core_schema

from evonet.errors import GenomeError, shown
from evonet.genome.genes import (
    KINDS,
    LAYER_GENES,
    NETWORK_GENES,
    layer_initializer,
)


def _checked(gene: str, value: object) -> Any:
    """The value in the gene's own type; GenomeError where it is missing or not legal."""
    try:
        return _converted(gene, value)
    except TypeError:  # a list or an object, as a file may hold, which is no key of a cache
        return _converted.__wrapped__(gene, value)


@lru_cache(10_000, typed=True)  # the same few values come again and again; 1, 1.0, True are three
def _converted(gene: str, value: object) -> Any:
    kind = KINDS[gene]
    if value is None:
        if kind.neutral is None:
            raise GenomeError(f"gene '{gene}' is missing; expected {kind.expected}.")
        return kind.neutral
    converted = kind.convert(value)
    if converted is None:
        raise GenomeError(f"gene '{gene}' is {shown(value)}; expected {kind.expected}.")
    return converted


@dataclass(frozen=True)
class Layer:
    """One hidden layer: a dense product, normalisation, an activation, dropout, then the skip.

    Attributes:
        units: width of the layer.
        activation: name of the activation, as Keras spells it.
        dropout: share of the outputs set to zero in training, from 0 up to but not 1.
        normalisation: "batch" or "layer" normalises the product; "none" does not.
        skip: "concat" passes on what the layer received beside its own outputs, so that one
            hidden layer is "wide and deep" (Cheng et al. 2016); "none" passes on outputs alone.
    """

    units: int
    activation: str
    dropout: float = 0.0
    normalisation: str = "none"
    skip: str = "none"

    def __post_init__(self) -> None:
        for gene in LAYER_GENES:
            object.__setattr__(self, gene, _checked(gene, getattr(self, gene)))

    def __str__(self) -> str:
        words = [f"{self.units} {self.activation}"]
        if self.normalisation != "none":
            words.append(f"{self.normalisation}-norm")
        if self.dropout:
            words.append(f"dropout {self.dropout:g}")
        if self.skip != "none":
            words.append(self.skip)
        return " ".join(words)


@dataclass(frozen=True)
class Genome:
    """A network and its training.

    Attributes:
        layers: the hidden layers from input to output; none of them is a linear model.
        initializer: "matched_normal" gives each layer the family of its activation.
        optimizer: name of the optimizer.
        learning_rate: step size at the start of training.
        batch_size: rows per step.
        momentum: share of the last step kept; None for optimizers that have none.
        schedule: how the learning rate goes on; see ``training/schedules.py``.
        warmup: share of all steps in which the rate rises linearly from 0, up to but not 1.
        weight_decay: at rate r, a step takes r * weight_decay of each weight away, apart from the
            gradient (Loshchilov & Hutter 2019); None for "adam", with which it is "adamw".
        clip_norm: length to which the gradient of all weights is cut; 0 leaves it as it is.
        label_smoothing: share of the probability given to all classes alike; not in regression.
        input_noise: standard deviation of the normal noise added to the inputs in training.

    Raises:
        GenomeError: a gene is missing, unknown, or has a value that is not legal.

    Example:
        >>> a = Genome((Layer(8, "relu"),), "he_normal", "adam", 1e-3, 32, momentum=0.9)
        >>> a == Genome((Layer(8, "relu"),), "he_normal", "adam", 1e-3, 32)  # Adam has no such gene
        True
        >>> print(a)
        8 relu | adam 0.001 batch 32 he_normal
    """

    layers: tuple[Layer, ...]
    initializer: str
    optimizer: str
    learning_rate: float
    batch_size: int
    momentum: float | None = None
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float | None = None
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    input_noise: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        _checked("layers", len(self.layers))
        genes = {name: getattr(self, name) for name in NETWORK_GENES}
        for name, value in genes.items():
            acts = KINDS[name].acts(genes)
            object.__setattr__(self, name, _checked(name, value) if acts else None)
        activations = frozenset(layer.activation for layer in self.layers)
        canonical = _canonical_initializer(self.initializer, activations)
        object.__setattr__(self, "initializer", canonical)

    @cached_property
    def key(self) -> str:
        """16 hexadecimal digits that stand for this genome: a hash of its canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def parameter_count(self, n_inputs: int, n_outputs: int) -> int:
        """Trainable parameters, before any network is built.

        Example:
            >>> layers = Layer(300, "relu"), Layer(100, "relu")
            >>> Genome(layers, "he_normal", "sgd", 0.1, 32).parameter_count(784, 10)
            266610
        """
        widths = [*(layer.units for layer in self.layers), n_outputs]
        dense = sum((n + 1) * m for n, m in zip(self.fan_ins(n_inputs), widths, strict=True))
        # Each normalisation learns a scale and an offset for every unit.
        normalised = sum(2 * layer.units for layer in self.layers if layer.normalisation != "none")
        return dense + normalised

    def fan_ins(self, n_inputs: int) -> tuple[int, ...]:
        """How many numbers each dense product takes: of each hidden layer and, last, the output.

        Example:
            >>> wide_and_deep = Layer(64, "relu", skip="concat")
            >>> Genome((wide_and_deep,), "he_normal", "sgd", 0.1, 32).fan_ins(10)
            (10, 74)
        """
        widths = [n_inputs]
        for layer in self.layers:
            widths.append(layer.units + (widths[-1] if layer.skip == "concat" else 0))
        return tuple(widths)

    def to_dict(self) -> dict[str, object]:
        """Canonical form: only genes that act, and not at their neutral value."""
        layers = [
            {g: getattr(layer, g) for g in LAYER_GENES if getattr(layer, g) != KINDS[g].neutral}
            for layer in self.layers
        ]
        genes = {name: getattr(self, name) for name in NETWORK_GENES}
        acting = {n: v for n, v in genes.items() if v is not None and v != KINDS[n].neutral}
        return {"layers": layers, **acting}

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal genomes give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, record: object, where: str = "Genome") -> Genome:
        """The genome of a record as ``to_dict`` writes it.

        Args:
            record: a mapping from gene names to values.
            where: what to call the place in an error, such as "genome 3 of FILE".

        Raises:
            GenomeError: a key is unknown or missing, or a value is not legal.
        """
        try:
            genes = _known_keys(record, ("layers", *NETWORK_GENES))
            layers = genes.pop("layers", None)
            if not isinstance(layers, list):
                raise GenomeError(f"'layers' is {shown(layers)}; expected a list of layers.")
            network: dict[str, Any] = {name: genes.get(name) for name in NETWORK_GENES}
            return cls(layers=tuple(_layer(i, layer) for i, layer in enumerate(layers)), **network)
        except GenomeError as error:
            raise GenomeError(f"{where}: {error}") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """How ``typed`` reads one: by ``from_dict``."""
        return core_schema.no_info_plain_validator_function(cls.from_dict)

    def __str__(self) -> str:
        layers = " → ".join(str(layer) for layer in self.layers) or "linear model"
        return f"{layers} | {self._training_words()} {self.initializer}"

    def _training_words(self) -> str:
        """How the network is trained, without genes that do not act or are neutral."""
        words = [f"{self.optimizer} {self.learning_rate:g}"]
        if self.momentum is not None:
            words.append(f"momentum {self.momentum:g}")
        if self.schedule != "constant":
            words.append(self.schedule)
        words.append(f"batch {self.batch_size}")
        rest = {
            "warmup": self.warmup,
            "decay": self.weight_decay,
            "clip": self.clip_norm,
            "smoothing": self.label_smoothing,
            "noise": self.input_noise,
        }
        words += [f"{word} {value:g}" for word, value in rest.items() if value]
        return " ".join(words)


@lru_cache(1_000)
def _canonical_initializer(name: str, activations: frozenset[str]) -> str:
    """One name for initializers that build the same network: "matched" where it is the same.

    The output layer is initialized as a linear one.
    """
    _, distribution = name.rsplit("_", 1)
    matched = f"matched_{distribution}"
    same = all(
        layer_initializer(matched, a) == layer_initializer(name, a)
        for a in (*activations, "linear")
    )
    return matched if same else name


def _layer(index: int, record: object) -> Layer:
    try:
        genes = _known_keys(record, LAYER_GENES)
        return Layer(**{name: genes.get(name) for name in LAYER_GENES})  # type: ignore[arg-type]
    except GenomeError as error:
        raise GenomeError(f"layer {index}: {error}") from None


def _known_keys(record: object, known: tuple[str, ...]) -> dict[str, Any]:
    """The record as a dict, refused where it is not one or has keys that are not genes."""
    if not isinstance(record, Mapping):
        raise GenomeError(f"found {shown(record)}; expected an object of genes.")
    for key in record:
        if key not in known:
            raise GenomeError(f"unknown gene {shown(key)}; expected one of {', '.join(known)}.")
    return dict(record)
