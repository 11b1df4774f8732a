"""Who becomes a parent and who survives, by DEAP. The only module that imports it.

DEAP (Fortin et al. 2012) draws from Python's global ``random``: it is lent a named stream. Its
``creator`` module is not needed: any object with a ``fitness`` attribute can be selected.

With several objectives both are NSGA-II's (Deb et al. 2002, https://doi.org/10.1109/4235.996017).
Its tournament is of any size here; DEAP's own, of two, cannot select more often than there are
members, and not in any number.

With one objective the smaller of two networks with equal scores is the better one: lexicographic
parsimony pressure (Luke and Panait 2002, "Lexicographic parsimony pressure", GECCO). Where rows are
few, scores are often equal, and nothing else keeps networks from growing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from deap import base, tools
from deap.benchmarks.tools import hypervolume as deap_hypervolume

from evonet.fitness import WORST, Fitness
from evonet.genome import Genome
from evonet.streams import lend_to_python_random


@dataclass(frozen=True)
class Member:
    """A genome and what it is worth.

    Attributes:
        genome: what it is.
        fitness: a number for each objective, finite, higher is better; all ``WORST`` if it failed.
        size: its parameters; 0 where they do not matter.
    """

    genome: Genome
    fitness: Fitness
    size: int = 0

    @property
    def failed(self) -> bool:
        """Whether its training failed."""
        return self.fitness[0] == WORST

    @property
    def order(self) -> tuple[float, float]:
        """By which members are compared where there is one objective: of equal scores, by size."""
        return self.fitness[0], 0 if self.failed else -self.size

    @cached_property
    def entry(self) -> _Entry:
        """What DEAP sees of it; made once, since each draw of a tournament looks at all."""
        return _Entry(self, self.fitness if len(self.fitness) > 1 else self.order)


class _Entry:
    """A member as DEAP wants to see it."""

    def __init__(self, member: Member, fitness: Fitness) -> None:
        self.member = member
        self.fitness = _fitness_class(len(fitness))(fitness)


@cache
def _fitness_class(n_objectives: int) -> type[base.Fitness]:
    return type("_Fitness", (base.Fitness,), {"weights": (1.0,) * n_objectives})


def tournament(
    rng: np.random.Generator, members: Sequence[Member], n_selected: int, size: int
) -> list[Member]:
    """The best of ``size`` members drawn with replacement, ``n_selected`` times over.

    With several objectives the better one is in the better front; in the same front, it is the one
    with more room around it.
    """
    several = len(members[0].fitness) > 1
    entries = _crowded(tuple(members)) if several else _entries(members)
    with lend_to_python_random(rng):
        selected = tools.selTournament(entries, n_selected, tournsize=size)
    return [entry.member for entry in selected]


def best(members: Sequence[Member], n: int) -> list[Member]:
    """The ``n`` fittest members, best score first; of equal ones the smaller, then the first.

    With several objectives: whole Pareto fronts, and of the last one those with most room.
    """
    entries = _entries(members)
    if members and len(members[0].fitness) > 1:
        entries = tools.selNSGA2(entries, min(n, len(entries)))
    return [entry.member for entry in tools.selBest(entries, n)]


def hypervolume(members: Sequence[Member], reference: Fitness) -> float:
    """The volume of what is worse than some member and better than ``reference`` (Zitzler 1999).

    Its unit is the product of those of the objectives: score times powers of ten.
    """
    if not members:
        return 0.0
    return float(deap_hypervolume(_entries(members), -np.asarray(reference)))


def _entries(members: Sequence[Member]) -> list[_Entry]:
    return [member.entry for member in members]


@lru_cache(maxsize=1)
def _crowded(members: tuple[Member, ...]) -> list[_Entry]:
    """Entries whose fitness is minus the number of their front, then the room around them."""
    entries = _entries(members)
    fronts = tools.sortNondominated(entries, len(entries))
    for entries_of_front in fronts:
        tools.emo.assignCrowdingDist(entries_of_front)
    return [
        _Entry(entry.member, (-number, entry.fitness.crowding_dist))
        for number, entries_of_front in enumerate(fronts)
        for entry in entries_of_front
    ]
