"""Who becomes a parent and who survives, by DEAP. The only module that imports it.

DEAP (Fortin et al. 2012) draws from Python's global ``random``: it is lent a named stream. Its
``creator`` module is not needed: any object with a ``fitness`` attribute can be selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from deap import base, tools

from evonet.genome import Genome
from evonet.streams import lend_to_python_random


@dataclass(frozen=True)
class Member:
    """A genome that lives in the population.

    Attributes:
        genome: what it is.
        fitness: finite, higher is better.
    """

    genome: Genome
    fitness: float


class _Fitness(base.Fitness):
    weights = (1.0,)


class _Entry:
    """A member as DEAP wants to see it."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.fitness = _Fitness((member.fitness,))


def tournament(
    rng: np.random.Generator, members: Sequence[Member], n_selected: int, size: int
) -> list[Member]:
    """The best of ``size`` members drawn with replacement, ``n_selected`` times over."""
    entries = [_Entry(member) for member in members]
    with lend_to_python_random(rng):
        selected = tools.selTournament(entries, n_selected, tournsize=size)
    return [entry.member for entry in selected]


def best(members: Sequence[Member], n: int) -> list[Member]:
    """The ``n`` fittest members, best first; of equal ones those that came first."""
    return [entry.member for entry in tools.selBest([_Entry(m) for m in members], n)]
