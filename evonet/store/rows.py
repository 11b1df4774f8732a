"""What a row of a run's record is in Python, and how it is made of its columns again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from pydantic import FiniteFloat

from evonet.evaluation import Evaluation, Hurdle, Score
from evonet.genome import Genome
from evonet.outcome import Winner
from evonet.typed import Count, Seconds, from_json, joined

T = TypeVar("T")
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
    repeat: Count = 0


@dataclass(frozen=True)
class StoredCandidate:
    """A genome a generation asked for: where it stood and what it came from."""

    generation: Count
    slot: Count
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

    number: Count
    population: tuple[tuple[str, Score], ...]
    stalled: Count
    seconds: Seconds
    hypervolume: FiniteFloat | None = None


@dataclass(frozen=True)
class StoredWinner:
    """A final fit.

    Attributes:
        winner: what came of it.
        tried: keys of the finalists up to it, which ranked above it.
        whole: whether it was fitted as long as the settings say, and not less for want of time.
        networks: what its file of weights is recognised by.
    """

    winner: Winner
    tried: tuple[str, ...]
    whole: bool
    networks: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "winner": self.winner.to_dict()}


def read_evaluation(
    score_key: str, origin: str, genome: str, evaluation: str, repeat: int
) -> StoredEvaluation:
    """An evaluation of the columns it is kept in."""
    written = {"genome": genome, "evaluation": evaluation}
    stored = _row(StoredEvaluation, written, score_key=score_key, origin=origin, repeat=repeat)
    if stored.evaluation.genome_key != stored.genome.key:
        raise ValueError("its evaluation is of another genome")
    if not stored.evaluation.is_whole:
        raise ValueError("its evaluation has no score, or not from one of its epochs")
    return stored


def read_generation(
    number: int, population: str, stalled: int, seconds: float, hypervolume: float | None
) -> StoredGeneration:
    """A generation of its columns."""
    return _row(
        StoredGeneration,
        {"population": population},
        number=number,
        stalled=stalled,
        seconds=seconds,
        hypervolume=hypervolume,
    )


def read_pending(genome: str, operator: str, parents: str, hurdles: str) -> StoredPending:
    """A candidate under way of its columns."""
    written = {"genome": genome, "parents": parents, "hurdles": hurdles}
    return _row(StoredPending, written, operator=operator)


def read_candidate(
    generation: int, slot: int, genome_key: str, score_key: str, operator: str, parents: str
) -> StoredCandidate:
    """A candidate of its columns."""
    return _row(
        StoredCandidate,
        {"parents": parents},
        generation=generation,
        slot=slot,
        genome_key=genome_key,
        score_key=score_key,
        operator=operator,
    )


def read_winner(winner: str) -> StoredWinner:
    """A final fit of its column."""
    return from_json(StoredWinner, winner)


def _row(kind: type[T], written: Mapping[str, str], **plain: object) -> T:
    """A row of its columns: of those that are JSON, and of the others."""
    texts = {name: json.dumps(value) for name, value in plain.items()}
    return from_json(kind, joined({**written, **texts}))  # of two of one name the last one counts
