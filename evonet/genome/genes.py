"""The genes: what each may be, whatever a search space makes of it.

A gene is *ordered* (numbers: mutation steps to a near value) or a *choice* (names: mutation
switches). A gene that does not *act* in a genome is not part of it: there is no momentum without
an optimizer that has one. A gene with a *neutral* value (dropout 0) may be left out of a genome's
JSON and is left out of its canonical form, so that a gene added to evonet later does not change
the keys of old genomes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = int | float | str

#: Initializer family that keeps the variance of a layer's outputs for each activation:
#: Glorot & Bengio 2010 (tanh, sigmoid, softmax, none), He et al. 2015 (the ReLU family),
#: Klambauer et al. 2017 (SELU with LeCun's). The table is Géron's, "Hands-On ML", ch. 11.
INITIALIZER_FAMILY: Mapping[str, str] = {
    "relu": "he",
    "leaky_relu": "he",
    "elu": "he",
    "gelu": "he",
    "silu": "he",
    "mish": "he",
    "selu": "lecun",
    "tanh": "glorot",
    "sigmoid": "glorot",
    "softmax": "glorot",
    "linear": "glorot",
}

ACTIVATIONS = tuple(name for name in INITIALIZER_FAMILY if name not in ("softmax", "linear"))
DISTRIBUTIONS = ("normal", "uniform")
FAMILIES = ("glorot", "he", "lecun")
#: "matched" gives each layer the family of its own activation.
INITIALIZERS = tuple(f"{family}_{d}" for family in ("matched", *FAMILIES) for d in DISTRIBUTIONS)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam", "adagrad")
OPTIMIZERS_WITH_MOMENTUM = ("momentum", "nesterov")
#: Adam with decoupled weight decay has a name of its own, "adamw" (Loshchilov & Hutter 2019).
OPTIMIZERS_WITH_WEIGHT_DECAY = tuple(name for name in OPTIMIZERS if name != "adam")
NORMALISATIONS = ("none", "batch", "layer")
SKIPS = ("none", "concat")
#: How the learning rate goes on from its first value; the formulas are in training/schedules.py.
SCHEDULES = ("constant", "exponential", "power", "cosine", "one_cycle")


def layer_initializer(initializer: str, activation: str) -> str:
    """The Keras initializer of a layer with this activation.

    Example:
        >>> layer_initializer("matched_normal", "relu"), layer_initializer("lecun_uniform", "relu")
        ('he_normal', 'lecun_uniform')
    """
    family, distribution = initializer.rsplit("_", 1)
    if family == "matched":
        family = INITIALIZER_FAMILY[activation]
    return f"{family}_{distribution}"


@dataclass(frozen=True)
class GeneKind:
    """What a gene is.

    Attributes:
        name: its key in a genome's JSON, in a space file and in ``--fix``.
        level: whether each layer has one, or the network has one.
        numbers: the type of an ordered gene's values; None for a choice.
        low: smallest value of an ordered gene.
        high: largest value of an ordered gene, itself excluded where ``below_high``.
        names: the values of a choice.
        block: genes of one block are inherited together; of layers, the whole layer is the block.
        neutral: the value that does nothing, if there is one.
        optimizers: the optimizers with which the gene acts; empty for all.
        tasks: the tasks in which the gene acts; empty for all.
    """

    name: str
    level: Literal["network", "layer"]
    numbers: type[int] | type[float] | None = None
    low: float = 0.0
    high: float = math.inf
    below_high: bool = False
    names: tuple[str, ...] = ()
    block: str = "layers"
    neutral: Value | None = None
    optimizers: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def acts(self, genes: Mapping[str, object]) -> bool:
        """Whether the gene acts, given the network's other genes."""
        return not self.optimizers or genes["optimizer"] in self.optimizers

    @property
    def ordered(self) -> bool:
        """Whether near values are near in effect, so that mutation steps rather than switches."""
        return self.numbers is not None

    @property
    def expected(self) -> str:
        """The legal values in words, for error messages."""
        if self.numbers is None:
            return f"one of {', '.join(self.names)}"
        noun = "a whole number" if self.numbers is int else "a number"
        return (
            f"{noun} from {self.low:g} {'up to but not' if self.below_high else 'to'} {self.high:g}"
        )

    def convert(self, value: object) -> Value | None:
        """``value`` as this gene's own type, or None where it is not a legal value."""
        if self.numbers is None:
            return value if isinstance(value, str) and value in self.names else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.numbers is int and not isinstance(value, int):
            return None
        inside = (
            self.low <= value < self.high if self.below_high else self.low <= value <= self.high
        )
        return self.numbers(value) + 0 if inside else None  # + 0 makes -0.0 the same as 0.0

    def parse(self, text: str) -> Value | None:
        """The value that ``text`` spells, as on the command line, or None where it is not legal."""
        if self.numbers is None:
            return self.convert(text)
        try:
            return self.convert(self.numbers(text))
        except ValueError:
            return None


#: To add a gene: its row here, its field in genome.py, its meaning in training/keras_model.py,
#: native.py, layout.py and fused.py.
KINDS: Mapping[str, GeneKind] = {
    kind.name: kind
    for kind in (
        GeneKind("layers", "network", int, low=0, high=64),
        GeneKind("units", "layer", int, low=1, high=65_536),
        GeneKind("activation", "layer", names=ACTIVATIONS),
        GeneKind("dropout", "layer", float, low=0.0, high=1.0, below_high=True, neutral=0.0),
        GeneKind("normalisation", "layer", names=NORMALISATIONS, neutral="none"),
        GeneKind("skip", "layer", names=SKIPS, neutral="none"),
        GeneKind("initializer", "network", names=INITIALIZERS, block="initializer"),
        GeneKind("optimizer", "network", names=OPTIMIZERS, block="training"),
        GeneKind(
            "momentum",
            "network",
            float,
            low=0.01,
            high=1.0,
            below_high=True,
            block="training",
            optimizers=OPTIMIZERS_WITH_MOMENTUM,
        ),
        GeneKind("learning_rate", "network", float, low=1e-8, high=100.0, block="training"),
        GeneKind("batch_size", "network", int, low=1, high=65_536, block="training"),
        GeneKind("schedule", "network", names=SCHEDULES, block="training", neutral="constant"),
        GeneKind(
            "warmup", "network", float, high=1.0, below_high=True, block="training", neutral=0.0
        ),
        GeneKind(
            "weight_decay",
            "network",
            float,
            high=1.0,
            block="training",
            neutral=0.0,
            optimizers=OPTIMIZERS_WITH_WEIGHT_DECAY,
        ),
        GeneKind("clip_norm", "network", float, high=1000.0, block="training", neutral=0.0),
        GeneKind(
            "label_smoothing",
            "network",
            float,
            high=1.0,
            below_high=True,
            block="training",
            neutral=0.0,
            tasks=("binary", "multiclass"),
        ),
        GeneKind("input_noise", "network", float, high=10.0, block="input", neutral=0.0),
    )
}
LAYER_GENES = tuple(name for name, kind in KINDS.items() if kind.level == "layer")
#: The number of layers is not a field of a genome: it is the length of ``layers``.
NETWORK_GENES = tuple(n for n, kind in KINDS.items() if kind.level == "network" and n != "layers")
#: The network genes that are inherited together: what is good for one depends on the others.
NETWORK_BLOCKS: tuple[tuple[str, ...], ...] = tuple(
    tuple(name for name in NETWORK_GENES if KINDS[name].block == block)
    for block in dict.fromkeys(KINDS[name].block for name in NETWORK_GENES)
)
