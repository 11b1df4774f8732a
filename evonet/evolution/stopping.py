"""When a search is over, and why, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class StopRules:
    """The limits of a search; None is no limit.

    Attributes:
        generations: generations after the first; infinite for no limit.
        max_trainings: networks tried: trainings, failed ones included, and scores from the cache,
            so that a run goes the same way whatever the cache holds.
        max_minutes: minutes of the run, all of its sessions together.
        patience: generations in a row without a better best.
        target_fitness: fitness that is good enough.
    """

    generations: float
    max_trainings: int | None = None
    max_minutes: float | None = None
    patience: int | None = None
    target_fitness: float | None = None

    def between_generations(self, finished: int, stalled: int) -> str | None:
        """Why the search is over after ``finished`` generations, or None."""
        if finished > self.generations:
            return f"generation {self.generations:.0f}, the last one, is done"
        if self.patience is not None and stalled >= self.patience:
            return f"no better network for {stalled} generations"
        return None

    def between_trainings(
        self,
        trainings: int,
        seconds: float,
        best_fitness: float,
        end_of_search: float = math.inf,
    ) -> str | None:
        """Why the search is over after a training, or None.

        Args:
            trainings: networks tried so far.
            seconds: of the run so far.
            best_fitness: of all so far.
            end_of_search: seconds of the run after which what is left is for the winner.
        """
        if self.target_fitness is not None and best_fitness >= self.target_fitness:
            return "the target score is reached"
        if self.max_trainings is not None and trainings >= self.max_trainings:
            return f"{trainings} networks are tried"
        if self.max_minutes is not None and seconds >= 60 * self.max_minutes:
            return f"the limit of {self.max_minutes:g} min is reached"
        if self.max_minutes is not None and seconds >= end_of_search:
            return f"the rest of {self.max_minutes:g} min is for the winner"
        return None
