"""How far chance moves a score, and whether it explains a lead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance


@dataclass(frozen=True)
class Noise:
    """What trainings of the same genomes on other seeds tell.

    Attributes:
        deviation: standard deviation of a genome's score over seeds, pooled over the genomes.
        trainings: scores it was estimated from.
        lead: how much better the winner's mean is than the best of the others'; negative where one
            of them is better, None where there is no other.
        by_chance: half of the 95 % interval of a difference of two such means (Student's t): leads
            below it may be chance.
    """

    deviation: float
    trainings: int
    lead: float | None
    by_chance: float

    @classmethod
    def of(cls, scores: Mapping[str, Sequence[float]], winner: str, sign: int) -> Noise | None:
        """The noise in scores on fresh seeds; None where no genome has two of them.

        Args:
            scores: by genome key.
            winner: key of the winner.
            sign: 1 where higher scores are better, else -1.
        """
        from scipy.stats import t

        known = [own for own in scores.values() if len(own) > 1]
        degrees = sum(len(own) - 1 for own in known)
        if not degrees or not scores.get(winner):
            return None
        squares = sum(variance(own) * (len(own) - 1) for own in known)
        deviation = math.sqrt(squares / degrees)
        others = [sign * fmean(own) for key, own in scores.items() if own and key != winner]
        lead = sign * fmean(scores[winner]) - max(others) if others else None
        by_chance = float(t.ppf(0.975, degrees)) * deviation * math.sqrt(2 / len(scores[winner]))
        return cls(deviation, sum(map(len, known)), lead, by_chance)
