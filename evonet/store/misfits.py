"""What is wrong with a record whose rows do not fit each other: somebody has changed some of them.

Each row's checksum holds; these find what no row tells of itself. A function gives what is wrong,
as the message about the damaged record says it, or None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from evonet.store.rows import (
    StoredCandidate,
    StoredEvaluation,
    StoredGeneration,
    StoredPending,
)

_NO_PARENT = "a parent was no candidate before its child"


def in_generations(generations: Collection[StoredGeneration], asked: set[str]) -> str | None:
    """One is missing, or has a member that was never asked for.

    Args:
        generations: the finished ones, by number.
        asked: the genome keys of all candidates.
    """
    if any(key not in asked for g in generations for key, _ in g.population):
        return "a member of a population was never a candidate"
    if [g.number for g in generations] != list(range(len(generations))):
        return "a generation is missing"
    return None


def in_evaluations(
    evaluations: Iterable[StoredEvaluation], asked: Mapping[str, str], objectives: Iterable[str]
) -> str | None:
    """One is of another genome than its candidate, or lacks what the run improves.

    Args:
        evaluations: those of the search and those of finalists again.
        asked: the genome key of each candidate, by its score key.
        objectives: what the run improves besides the score.
    """
    for stored in evaluations:
        if asked.get(stored.score_key, stored.genome.key) != stored.genome.key:
            return "a candidate's evaluation is of another genome"
        searched = stored.evaluation.ok and not stored.repeat
        if searched and not all(getattr(stored.evaluation, name) for name in objectives):
            return "a training lacks what the run improves"
    return None


def in_candidates(candidates: Iterable[StoredCandidate]) -> str | None:
    """One has a parent that was no candidate before it.

    Args:
        candidates: in the order in which the search was told of them.
    """
    known: set[str] = set()
    for candidate in candidates:
        if not known.issuperset(candidate.parents):
            return _NO_PARENT
        known.add(candidate.genome_key)
    return None


def in_pending(pending: Iterable[StoredPending], asked: set[str]) -> str | None:
    """One has a parent that the search was never told of.

    Args:
        pending: what is asked for and not told of.
        asked: the genome keys of all candidates.
    """
    return None if all(asked.issuperset(one.parents) for one in pending) else _NO_PARENT
