"""What every log says of a candidate: when it was trained, what came of it, its genes by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from evonet.genome import Genome
from evonet.genome.genes import LAYER_GENES, NETWORK_GENES, Value
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate, StoredEvaluation


@dataclass(frozen=True)
class Entry:
    """One candidate of a finished generation.

    Attributes:
        candidate: where it stood and what it came from.
        stored: its genome, and what the training said.
        began: when its generation began, in seconds since 1970. Of a run that was resumed, the
            time between its sessions is not known, and left out.
    """

    candidate: StoredCandidate
    stored: StoredEvaluation
    began: float


def entries(
    record: RunRecord, wanted: Callable[[StoredCandidate], bool] = lambda _: True
) -> Iterator[Entry]:
    """The candidates of all finished generations, by generation and slot.

    Args:
        record: of the run.
        wanted: says which; the others are not read.

    Yields:
        One entry for each.
    """
    generations = record.generations()
    seconds = [generation.seconds for generation in generations]
    started = record.facts.started  # None where an older evonet wrote the record
    begins = list(accumulate(seconds, initial=started or time.time() - sum(seconds)))
    for candidate in record.candidates():
        if wanted(candidate) and (stored := record.evaluation(candidate.score_key)):
            yield Entry(candidate, stored, begins[candidate.generation])


def hyperparameters(genome: Genome) -> dict[str, Value]:
    """The genes of a genome side by side; those that do not act are left out.

    Example:
        >>> from evonet.genome import Layer
        >>> genes = hyperparameters(Genome((Layer(8, "relu"),), "he_normal", "adam", 0.1, 32))
        >>> genes["layers"], genes["layer_0_units"], genes["optimizer"], "momentum" in genes
        (1, 8, 'adam', False)
    """
    depth = len(genome.layers)
    of_layers = [getattr(layer, name) for layer in genome.layers for name in LAYER_GENES]
    of_network = [getattr(genome, name) for name in NETWORK_GENES]
    genes = zip(hyperparameter_names(depth), [depth, *of_layers, *of_network], strict=True)
    return {name: value for name, value in genes if value is not None}


def hyperparameter_names(depth: int) -> list[str]:
    """The hyperparameters of networks with so many layers, whether they act or not."""
    of_layers = [f"layer_{place}_{name}" for place in range(depth) for name in LAYER_GENES]
    return ["layers", *of_layers, *NETWORK_GENES]


def gene_of(hyperparameter: str) -> str:
    """The gene that a hyperparameter is a value of.

    Example:
        >>> gene_of("layer_0_units"), gene_of("layers"), gene_of("learning_rate")
        ('units', 'layers', 'learning_rate')
    """
    of_layer = hyperparameter.startswith("layer_")
    return hyperparameter.split("_", 2)[2] if of_layer else hyperparameter
