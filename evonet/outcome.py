"""What a run comes to, as records: baselines, finalists, the winner, an ensemble beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from statistics import fmean
from typing import Any

from pydantic import FiniteFloat

from evonet.errors import RecordError
from evonet.evaluation import Budget, Evaluation, Score
from evonet.genome import Genome
from evonet.metrics import Interval, Metric, mean_interval
from evonet.typed import Count

#: Baselines that look at no input.
CONSTANTS = ("mean", "majority")
#: The repeat whose seed the final fit has; those after it are of finalists trained again.
FINAL_REPEAT = 1
#: A search has this many times the trainings of its finalists, if there are more than two.
_SHARE_OF_SEARCH = 6


@dataclass(frozen=True)
class Baseline:
    """A model that takes no search.

    Attributes:
        name: short name.
        description: what it is, in words.
        validation_score: the run's metric on the validation part; None if it is not finite.
        test_score: the same on the test part; no choice of evonet ever depends on it.
    """

    name: str
    description: str
    validation_score: Score | None
    test_score: Score | None

    @property
    def is_constant(self) -> bool:
        """Whether it says the same of every row."""
        return self.name in CONSTANTS

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Finalist:
    """A genome that may become the winner.

    Attributes:
        genome: what it is.
        searched: the training that brought it here; None without search.
        repeats: its scores when trained again, None for a training that failed; empty without any.
        on_splits: whether each of these was on another split of the rows.
    """

    genome: Genome
    searched: Evaluation | None = None
    repeats: tuple[float | None, ...] = ()
    on_splits: bool = False

    @property
    def search_score(self) -> float | None:
        """The score that brought it here."""
        return self.searched.score if self.searched else None

    def rank(self, metric: Metric) -> tuple[int, float, int]:
        """Lower is better: by failures among the repeats, by their mean, and by parameters."""
        known = [score for score in self.repeats if score is not None]
        mean = fmean(known) if known else 0.0
        size = self.searched.parameters if self.searched else 0
        return len(self.repeats) - len(known), -metric.sign * mean, size


def count_finalists(most: int, repeats: int, n_trainings: int) -> int:
    """How many finalists are trained again: two, or more in a sixth of the search's trainings.

    0 where they are not to be trained again.

    Args:
        most: as many as are wanted where the search was long.
        repeats: trainings of each.
        n_trainings: of the search.

    Example:
        >>> [count_finalists(5, 3, n) for n in (16, 50, 70, 1000)]
        [2, 2, 3, 5]
    """
    if not repeats:
        return 0
    return min(most, max(2, n_trainings // (_SHARE_OF_SEARCH * repeats)))


@dataclass(frozen=True)
class Ensemble:
    """Networks that predict together.

    Attributes:
        genomes: what they are; one genome may be there several times, fitted on other seeds.
        shares: of each in the mean of their predictions.
        validation_score: the run's metric on the validation part, which chose them: it flatters.
        test_score: the metric on the test part; None if a prediction there is not finite.
        test_scores: every metric of the task on the test part, by name.
        parameters: trainable parameters of all of them.
    """

    genomes: tuple[Genome, ...]
    shares: tuple[FiniteFloat, ...]
    validation_score: Score
    test_score: Score | None
    test_scores: Mapping[str, Score | None]
    parameters: Count

    def __str__(self) -> str:
        return f"ensemble of {len(self.genomes)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "genomes": [genome.to_dict() for genome in self.genomes]}


@dataclass(frozen=True)
class Winner:
    """The network a run ends with.

    Attributes:
        genome: what it is.
        search_score: its score in the search, on the validation part; None without search.
        repeats: scores when it was trained again; they chose it among the finalists, None for a
            training that failed.
        validation_score: the same metric and part after the final fit.
        test_score: the metric on the test part after the final fit; None if a prediction there is
            not finite, because a row holds numbers far beyond those of training.
        test_interval: the 95 % interval of that score; None where it is not known.
        test_scores: every metric of the task on the test part, by name.
        parameters: trainable parameters.
        best_epoch: the epoch of the final fit whose weights were kept, from 1.
        train_loss: mean training loss of each epoch of the final fit.
        validation_loss: validation loss after each epoch of the final fit.
        on_splits: whether each of ``repeats`` was on another split of the rows.
        n_fits: final fits, of which this is the best on the validation part.
        epochs: most epochs that one of them could take.
        budget: of the fit that was kept.
        ensemble: networks that predict together, the winner mostly among them; None where no
            mixture was better than the winner alone.
    """

    genome: Genome
    search_score: Score | None
    repeats: tuple[Score | None, ...]
    validation_score: Score
    test_score: Score | None
    test_interval: tuple[Score, Score] | None
    test_scores: Mapping[str, Score | None]
    parameters: Count
    best_epoch: Count
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    on_splits: bool
    n_fits: Count
    epochs: Count
    budget: Budget
    ensemble: Ensemble | None = None

    @property
    def revalidated_score(self) -> float | None:
        """The mean of its scores when it was trained again; None without any."""
        known = [score for score in self.repeats if score is not None]
        return fmean(known) if known else None

    def revalidated_interval(self, metric: Metric) -> Interval | None:
        """The 95 % interval of that mean, by the run's metric; None below two scores."""
        known = [score for score in self.repeats if score is not None]
        return mean_interval(known, self.on_splits, metric.limits)

    def may_have(self, score: float | None) -> bool:
        """Whether a score on the test part is within the interval of its own."""
        if score is None or self.test_interval is None:
            return False
        low, high = self.test_interval
        return low <= score <= high

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        ensemble = self.ensemble.to_dict() if self.ensemble else None
        return {**asdict(self), "genome": self.genome.to_dict(), "ensemble": ensemble}


def no_winner(folder: Path) -> RecordError:
    """What is raised where a run has no winner, and something needs one."""
    return RecordError(
        f"{folder} has no winner yet. Go on with it: evonet resume {quote(str(folder))}"
    )
