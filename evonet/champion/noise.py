"""How far chance moves a score, and whether it explains a lead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np

from evonet.metrics import variance_of_mean


@dataclass(frozen=True)
class Noise:
    """What trainings of the same genomes on other seeds, or other splits of the rows, tell.

    Attributes:
        deviation: standard deviation of a genome's score over seeds or splits, pooled over the
            genomes.
        trainings: scores it was estimated from.
        lead: how much better the winner's mean is than the best of the others'; negative where one
            of them is better, None where there is no other.
        by_chance: half of the 95 % interval of a difference of two such means (Student's t): leads
            below it may be chance.
        of_splits: whether scores are of splits, on which all genomes were trained: what makes a
            split easy or hard for all of them is then no noise in their differences.
    """

    deviation: float
    trainings: int
    lead: float | None
    by_chance: float
    of_splits: bool = False

    @classmethod
    def of(
        cls,
        scores: Mapping[str, Sequence[float]],
        winner: str,
        sign: int,
        of_splits: bool = False,
    ) -> Noise | None:
        """The noise in scores of trainings again; None where no genome has two of them.

        Args:
            scores: by genome key; of splits, one for each split in the same order.
            winner: key of the winner.
            sign: 1 where higher scores are better, else -1.
            of_splits: whether they are of splits; a genome that lacks one does not count.
        """
        from scipy.stats import t

        if of_splits:
            return cls._of_splits(scores, winner, sign)
        known = [own for own in scores.values() if len(own) > 1]
        degrees = sum(len(own) - 1 for own in known)
        if not degrees or not scores.get(winner):
            return None
        squares = sum(variance(own) * (len(own) - 1) for own in known)
        deviation = math.sqrt(squares / degrees)
        others = [sign * fmean(own) for key, own in scores.items() if own and key != winner]
        lead = sign * fmean(scores[winner]) - max(others) if others else None
        share = 2 * variance_of_mean(len(scores[winner]), of_folds=False)
        by_chance = float(t.ppf(0.975, degrees)) * deviation * math.sqrt(share)
        return cls(deviation, sum(map(len, known)), lead, by_chance)

    @classmethod
    def _of_splits(
        cls, scores: Mapping[str, Sequence[float]], winner: str, sign: int
    ) -> Noise | None:
        """The same where scores are paired: residuals of genomes and splits (two-way layout)."""
        from scipy.stats import t

        n_splits = len(scores.get(winner, ()))
        whole = {key: own for key, own in scores.items() if len(own) == n_splits}
        if n_splits < 2:
            return None
        table = sign * np.asarray(list(whole.values()))
        deviation = math.sqrt(fmean(variance(own) for own in table.tolist()))
        means = table.mean(axis=1)
        residuals = table - means[:, None]
        if len(whole) > 1:
            residuals -= table.mean(axis=0) - table.mean()
        degrees = max(1, len(whole) - 1) * (n_splits - 1)
        noise = math.sqrt((residuals**2).sum() / degrees)
        share = 2 * variance_of_mean(n_splits, of_folds=True)
        by_chance = float(t.ppf(0.975, degrees)) * noise * math.sqrt(share)
        own = list(whole).index(winner)
        lead = float(means[own] - np.delete(means, own).max()) if len(whole) > 1 else None
        return cls(deviation, table.size, lead, by_chance, True)
