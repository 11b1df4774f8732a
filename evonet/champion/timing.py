"""What a limit on the minutes of a run leaves for each of its parts, by the trainings so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from evonet.evaluation import Budget

#: Seconds to load TensorFlow and to save the model: 5 to 8 on two cores of 2021.
SAVING = 8.0
#: The least share of the time that the search has, and the most that finalists and networks of the
#: ensemble have. Untuned.
_FOR_SEARCH, _FOR_FINALISTS, _FOR_RIVALS = 0.5, 1 / 6, 1 / 12


@dataclass(frozen=True)
class Pace:
    """How fast a network that was trained in the search trains again.

    Attributes:
        seconds: of the training in the search.
        epoch: seconds of an epoch of a final fit.
        best_epoch: of the training in the search, from 1.
    """

    seconds: float
    epoch: float
    best_epoch: int


@dataclass(frozen=True)
class Timetable:
    """When the parts of a run have to end. Times are seconds since the run began.

    Attributes:
        limit: when all of it should be over; infinite without a limit.
        search_began: when the search began.
        workers: candidates, and finalists, that are trained at the same time.
        fit_workers: final fits at the same time.
        repeats: trainings of each finalist.
        in_turn: how many of these one worker does, one after the other.
        search: budget of a candidate.
        finals: budgets of the final fits.
    """

    limit: float
    search_began: float
    workers: int
    fit_workers: int
    repeats: int
    in_turn: int
    search: Budget
    finals: Sequence[Budget]

    def end_of_search(self, finalists: Sequence[Pace], slowest: float = 0.0) -> float:
        """When the search has to end, so that the rest is done in time.

        It has half of what was left when it began at least, whatever follows; and all of it, as
        long as nothing has succeeded.

        Args:
            finalists: the best so far.
            slowest: seconds of the longest training of late; the next may take as long to end.
        """
        if not finalists or math.isinf(self.limit):
            return self.limit
        repeats = min(self._seconds_again(finalists), self.limit * _FOR_FINALISTS)
        fit = median(map(self._seconds_of_fit, finalists))  # one round, more if there is time
        half = self.search_began + _FOR_SEARCH * (self.limit - self.search_began)
        rivals = min(self.seconds_of_rivals(finalists[1:]), self.limit * _FOR_RIVALS)
        return max(half, self.limit - SAVING - repeats - fit - rivals - slowest)

    def count_finalists(self, ranked: Sequence[Pace], now: float) -> int:
        """How many of the best there is time to train again; one alone is no choice, and so none.

        Args:
            ranked: those wanted, best first.
            now: the time.
        """
        if not ranked:
            return 0
        fit = self.search.epochs * ranked[0].epoch
        # The search may have ended a little late: half of what saving takes is there for that.
        left = min(self.limit - now - SAVING / 2 - fit, self.limit * _FOR_FINALISTS)
        counts = range(len(ranked), min(1, len(ranked) - 1), -1)
        return next((n for n in counts if self._seconds_again(ranked[:n]) <= left), 0)

    def count_rivals(self, winner: Pace, rivals: Sequence[Pace], now: float) -> int:
        """How many networks there is time to fit for the ensemble, after a round of the winner's.

        Args:
            winner: comes first.
            rivals: those wanted, best first.
            now: the time.
        """
        left = min(
            self.limit - now - SAVING - self.search.epochs * winner.epoch,
            self.limit * _FOR_RIVALS,
        )
        return sum(self.seconds_of_rivals(rivals[: n + 1]) <= left for n in range(len(rivals)))

    def seconds_of_rivals(self, rivals: Sequence[Pace]) -> float:
        """How long it takes to fit some networks for the ensemble."""
        return sum(pace.epoch for pace in rivals) * self.search.epochs / self.fit_workers

    def final_budgets(self, pace: Pace, now: float, reserved: float = 0.0) -> list[Budget]:
        """The final fits there is time for, one for each worker at least.

        Longer ones have fewer epochs where they have to, but those of the search at least. The
        schedule of the learning rate ends with the last epoch, so that it matters how many there
        are to be, not only when to stop.

        Args:
            pace: of the winner.
            now: the time.
            reserved: seconds that something else takes.
        """
        left = self.limit - now - SAVING - reserved
        if math.isinf(left) or not pace.epoch:
            return list(self.finals)
        least = self.search.epochs * pace.epoch  # of one round
        rounds = max(1, min(-(-len(self.finals) // self.fit_workers), int(left / least)))
        most = max(self.search.epochs, int(left / (rounds * pace.epoch)))
        fits = self.finals[: rounds * self.fit_workers]
        return [replace(budget, epochs=min(budget.epochs, most)) for budget in fits]

    def _seconds_again(self, finalists: Sequence[Pace]) -> float:
        """How long it takes to train some networks again."""
        seconds = [pace.seconds for pace in finalists]
        return max(self.repeats * sum(seconds) / self.workers, self.in_turn * max(seconds))

    def _seconds_of_fit(self, pace: Pace) -> float:
        """How long the longest final fit is likely to take: its best epoch comes twice as late."""
        longest = max(self.finals, key=lambda budget: budget.epochs)
        return min(longest.epochs, 2 * pace.best_epoch + longest.patience_epochs) * pace.epoch
