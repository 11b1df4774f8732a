"""What a row of a run's record is in Python, and how it is made of its columns again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from evonet.evaluation import Evaluation, Hurdle
from evonet.genome import Genome

Origin = Literal["trained", "cached"]


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation in the record.

    Attributes:
        score_key: what it is kept under.
        origin: trained by this run, or taken from the score cache.
        genome: the genome that was trained.
        evaluation: what the training said.
        repeat: 0 for a training of the search; 1 and up for a finalist's again.
    """

    score_key: str
    origin: Origin
    genome: Genome
    evaluation: Evaluation
    repeat: int = 0


@dataclass(frozen=True)
class StoredCandidate:
    """A genome a generation asked for: where it stood and what it came from."""

    generation: int
    slot: int
    genome_key: str
    score_key: str
    operator: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class StoredPending:
    """A genome that a search without a barrier has asked for and was not told of yet.

    Attributes:
        genome: what is being trained.
        operator: the operators that made it.
        parents: keys of the genomes it was made from.
        hurdles: what its training must reach on its way.
    """

    genome: Genome
    operator: str
    parents: tuple[str, ...]
    hurdles: tuple[Hurdle, ...]


@dataclass(frozen=True)
class StoredGeneration:
    """A finished generation.

    Attributes:
        number: from 0.
        population: (genome key, fitness by score) of the survivors, best first.
        stalled: generations in a row, up to this one, without progress.
        seconds: wall-clock time it took, all sessions together.
        hypervolume: of the Pareto front up to this one; None with one objective.
    """

    number: int
    population: tuple[tuple[str, float], ...]
    stalled: int
    seconds: float
    hypervolume: float | None = None


def read_evaluation(
    score_key: str, origin: Origin, genome: str, evaluation: str, repeat: int
) -> StoredEvaluation:
    """An evaluation of the columns it is kept in."""
    made = Genome.from_dict(json.loads(genome)), Evaluation.from_json(evaluation)
    return StoredEvaluation(score_key, origin, *made, int(repeat))


def read_generation(
    number: int, population: str, stalled: int, seconds: float, hypervolume: float | None
) -> StoredGeneration:
    """A generation of its columns."""
    pairs = tuple((str(key), float(value)) for key, value in json.loads(population))
    return StoredGeneration(number, pairs, stalled, seconds, hypervolume)


def read_pending(genome: str, operator: str, parents: str, hurdles: str) -> StoredPending:
    """A candidate under way of its columns."""
    return StoredPending(
        Genome.from_dict(json.loads(genome)),
        operator,
        tuple(json.loads(parents)),
        tuple(Hurdle(**hurdle) for hurdle in json.loads(hurdles)),
    )


def read_candidate(
    generation: int, slot: int, genome_key: str, score_key: str, operator: str, parents: str
) -> StoredCandidate:
    """A candidate of its columns."""
    return StoredCandidate(
        generation, slot, genome_key, score_key, operator, tuple(json.loads(parents))
    )
