"""What the layers of a fitted network say: gradients, dead units, spread and draw of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from evonet.diagnosis.finding import Finding
from evonet.diagnosis.layers import LayerHealth
from evonet.phrases import percent
from evonet.report.words import number

#: A layer whose gradient, relative to its weights, is so much smaller than another's hardly
#: learns. Untuned.
_VANISHING = 1e-3
#: A larger share of dead units is worth a change. Untuned.
_MANY_DEAD = 0.1
#: Weights whose spread is beyond these times that of their draw. Untuned.
_SHRUNK, _GROWN = 0.5, 3.0


def gradient_finding(layers: Sequence[LayerHealth], n_batches: int, batch_rows: int) -> Finding:
    """Whether gradients reach every layer, and whether batches agree on them."""
    topic = "gradients"
    sizes = {own.name: own.gradient_size for own in layers if own.gradient_size is not None}
    largest = max(sizes.values(), default=0.0)
    faint = [name for name, size in sizes.items() if size < _VANISHING * largest]
    how = f"Over {n_batches} batches of {batch_rows} training rows"
    if not largest:
        advice = "Nothing to do if the loss is near 0; else the network is dead: fit another."
        return Finding(topic, "none", f"{how} there is no gradient at all.", advice, False)
    how += (
        ", in lengths of a layer's weights, the gradient's mean ± spread is "
        f"{_extremes(layers, lambda own: own.gradient_size, _gradient_words)}."
    )
    if faint:
        return Finding(
            topic,
            "vanishing",
            f"{how} That of {_and(faint)} is less than a thousandth of the largest.",
            "What hardly learns can be left out or helped: search fewer layers, ReLU or its kin "
            "instead of sigmoid and tanh, batch normalisation, or skips.",
            False,
        )
    agreed = [
        own.name
        for own in layers
        if own.gradient_mean is not None
        and own.gradient_spread is not None
        and own.gradient_mean > own.gradient_spread
    ]
    reached = f"{how} All layers are within a factor of 1,000 of the largest."
    if len(agreed) == len(sizes):
        return Finding(
            topic,
            "batches agree",
            f"{reached} The mean is larger than the spread: batches still pull one way.",
            "There is way to go: more epochs (--final-epochs), a larger learning rate or a gentler "
            "schedule would take the training loss further down.",
            True,
        )
    return Finding(
        topic,
        "reach all layers",
        f"{reached} The spread is larger than the mean in {len(sizes) - len(agreed)} of "
        f"{len(sizes)} layers, as it is where a fit has settled.",
        "Nothing to do: no layer is cut off from what the loss says.",
        True,
    )


def dead_finding(layers: Sequence[LayerHealth]) -> Finding:
    """Whether many units give 0 whatever the row (Lu et al. 2019, Dying ReLU and Initialization,
    https://arxiv.org/abs/1903.06733)."""
    topic = "dead ReLU units"
    relu = [own for own in layers if own.dead_units is not None]
    if not relu:
        return Finding(
            topic,
            "no ReLU",
            "No layer has ReLU, and the units of the other activations do not die.",
            "Nothing to do.",
            True,
        )
    rule = (
        f"{sum(own.dead_units or 0 for own in relu):,} of {sum(own.units for own in relu):,} units "
        "with ReLU give 0 for every row of the training part"
    )
    worst = max(relu, key=lambda own: own.dead_share or 0.0)
    share = worst.dead_share or 0.0
    rule += f", at most {percent(share)} of a layer ({worst.name})." if share else "."
    if share > _MANY_DEAD:
        return Finding(
            topic,
            f"{percent(share)} dead in {worst.name}",
            f"{rule} More than {percent(_MANY_DEAD)} of a layer is many.",
            "They cost time and can learn no more: search with leaky_relu, elu or gelu "
            "(--fix activation=leaky_relu), a smaller learning rate, or fewer units.",
            False,
        )
    verdict = "few" if share else "none"
    advice = f"Nothing to do: up to {percent(_MANY_DEAD)} of a layer does no harm."
    return Finding(topic, verdict, rule, advice, True)


def spread_finding(layers: Sequence[LayerHealth]) -> Finding:
    """Whether weights have grown or shrunk far from the spread they were drawn with."""
    topic = "weight spread"

    def words(own: LayerHealth) -> str:
        return f"{own.growth:.2g} ({number(own.weight_spread)} / {number(own.drawn_spread)})"

    rule = (
        "Standard deviation of a layer's weights, over that of the distribution they were drawn "
        f"from: {_extremes(layers, lambda own: own.growth, words)}."
    )
    grown = [own.name for own in layers if own.growth > _GROWN]
    shrunk = [own.name for own in layers if own.growth < _SHRUNK]
    if grown:
        return Finding(
            topic,
            "grown",
            f"{rule} More than {_GROWN:g} times the draw: {_and(grown)}.",
            "Large weights answer small changes of a row with large ones: search with more weight "
            "decay, a smaller learning rate, or a cut gradient (--fix clip_norm=1).",
            False,
        )
    if shrunk:
        return Finding(
            topic,
            "shrunk",
            f"{rule} Less than {_SHRUNK:g} times the draw: {_and(shrunk)}.",
            "Weight decay has the upper hand there: try less of it, or a smaller layer, which may "
            "do as well (--objective score,parameters).",
            False,
        )
    return Finding(
        topic,
        "near the draw",
        f"{rule} All from {_SHRUNK:g} to {_GROWN:g} times the draw.",
        "Nothing to do: weights have neither run away nor withered.",
        True,
    )


def pairing_finding(layers: Sequence[LayerHealth]) -> Finding:
    """Whether initializers suit activations (the table is in ``genome/genes.py``)."""
    topic = "initializer"
    pairs = dict.fromkeys(f"{own.initializer} for {own.activation}" for own in layers)
    rule = f"Weights were drawn by {_and(pairs)}."
    odd = [own for own in layers if not own.matched]
    if not odd:
        return Finding(
            topic,
            "suits the activations",
            f"{rule} He et al. 2015 for the ReLU family, LeCun for SELU, Glorot for the others.",
            "Nothing to do.",
            True,
        )
    suited = ", ".join(dict.fromkeys(f"{own.family} for {own.activation}" for own in odd))
    bare = [own for own in odd if own.normalisation == "none" and own.name != "output"]
    if not bare:
        return Finding(
            topic,
            "of another family",
            f"{rule} {suited} would keep the variance of a layer's outputs.",
            "Nothing to do: normalisation, or a last layer that learns fast, makes up for it.",
            True,
        )
    return Finding(
        topic,
        "does not suit",
        f"{rule} {suited} would keep the variance of a layer's outputs; no "
        f"normalisation makes up for it in {_and(own.name for own in bare)}.",
        "Try the suited ones: search with --fix initializer=matched_normal.",
        False,
    )


def _gradient_words(own: LayerHealth) -> str:
    if own.gradient_mean is None or own.gradient_spread is None:
        return "none (all weights are 0)"
    return f"{own.gradient_mean:.1g} ± {own.gradient_spread:.1g}"


def _extremes(
    layers: Sequence[LayerHealth],
    value: Callable[[LayerHealth], float | None],
    words: Callable[[LayerHealth], str],
) -> str:
    """What is said of the layers with the smallest and the largest value."""
    known = sorted((own for own in layers if value(own) is not None), key=lambda o: value(o) or 0)
    ends = known[:1] if len(known) == 1 else [known[0], known[-1]]
    return " to ".join(f"{words(own)} in {_called(own.name)}" for own in ends)


def _called(name: str) -> str:
    return "the output layer" if name == "output" else f"layer {name}"


def _and(names: Iterable[str]) -> str:
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
