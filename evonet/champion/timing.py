"""What a limit on the minutes of a run has to leave for its winner, by the trainings so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evonet.evaluation import Budget, Evaluation

#: Seconds to load TensorFlow and to save the model: 5 to 8 on two cores of 2021.
SAVING = 8.0
#: The share of the time that finalists have at most: as of the trainings without a limit. Untuned.
MOST_FOR_FINALISTS = 1 / 6


def seconds_of_repeats(finalists: Sequence[Evaluation], repeats: int, workers: int) -> float:
    """How long it takes to train some networks again.

    Args:
        finalists: their trainings in the search.
        repeats: trainings of each.
        workers: how many train at the same time.
    """
    return repeats * sum(e.seconds for e in finalists) / workers


def seconds_of_fit(evaluation: Evaluation, budget: Budget) -> float:
    """How long a final fit is likely to take.

    Args:
        evaluation: the network's training in the search.
        budget: of the final fit, which is taken to find its best epoch twice as late.
    """
    epochs = min(budget.epochs, 2 * evaluation.best_epoch + budget.patience_epochs)
    return epochs * _seconds_per_epoch(evaluation)


def affordable_finalists(
    ranked: Sequence[Evaluation], repeats: int, workers: int, seconds: float
) -> int:
    """How many of the best can be trained again in some seconds; a choice needs two, or it is 0.

    Example:
        >>> one = Evaluation("k", 1, "ok", "", 0.9, 1, (1.0,), (1.0,), 10, seconds=2.0)
        >>> [affordable_finalists([one] * 5, 3, 2, seconds) for seconds in (5.0, 7.0, 60.0)]
        [0, 2, 5]
    """
    counts = range(len(ranked), 1, -1)
    fitting = (n for n in counts if seconds_of_repeats(ranked[:n], repeats, workers) <= seconds)
    return next(fitting, 0)


def affordable(
    budget: Budget, least: Budget, rounds: int, evaluation: Evaluation, seconds: float
) -> tuple[Budget, int]:
    """As many epochs of the final fits as some seconds allow, but those of the search at least.

    The schedule of the learning rate ends with the last epoch, so that it matters how many there
    are to be, not only when to stop.

    Args:
        budget: without a limit on time.
        least: of the search.
        rounds: how many times as long as one fit all of them would take.
        evaluation: the network's training in the search.
        seconds: how long the fits may take.

    Returns:
        The budget of each fit, and the rounds there is time for: one at least.
    """
    each = _seconds_per_epoch(evaluation)
    if not each:
        return budget, rounds
    rounds = min(rounds, max(1, int(seconds / (least.epochs * each))))
    epochs = max(least.epochs, int(seconds / (rounds * each)))
    return replace(budget, epochs=min(budget.epochs, epochs)), rounds


def _seconds_per_epoch(evaluation: Evaluation) -> float:
    return evaluation.seconds / max(1, evaluation.epochs)
