"""What is asked of a training, what comes back, and the key under which it is kept.

An evaluation is what a training said; what selection makes of it is fitness (``fitness.py``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, PositiveInt

from evonet.genome import Genome
from evonet.typed import Count, Seconds, from_json

#: A score, of a size whose square is a number too.
Score = Annotated[FiniteFloat, Field(ge=-1e150, le=1e150)]
Status = Literal["ok", "diverged", "out_of_memory", "failed"]
#: One in so many trainings goes on past a rung, and rungs lie so many times apart: the eta of ASHA
#: (Li et al. 2020, https://arxiv.org/abs/1810.05934). With 3, as in Hyperband, winners were as
#: good, and two thirds as many candidates were tried.
ETA = 4


@dataclass(frozen=True)
class Budget:
    """How long a network may train.

    Attributes:
        epochs: most passes over the training part.
        patience_epochs: epochs without a lower validation loss before training stops.
    """

    epochs: PositiveInt
    patience_epochs: PositiveInt

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which a training is looked at, and may be given up.

        Example:
            >>> Budget(20, 5).rungs, Budget(4, 5).rungs
            ((1, 5), (1,))
        """
        return tuple(n for n in (self.epochs // share for share in (ETA**2, ETA)) if n > 0)


@dataclass(frozen=True)
class Rung:
    """How good a training was on its way.

    Attributes:
        epoch: after which it was looked at, from 1.
        score: the run's metric on the validation part with the best weights up to there; None
            where a prediction was not finite.
    """

    epoch: int
    score: Score | None


@dataclass(frozen=True)
class Hurdle:
    """What a training must have reached by a rung to go on.

    Attributes:
        epoch: of the rung.
        score: the least (or most) score that goes on.
        maximise: whether higher scores are better.
    """

    epoch: int
    score: float
    maximise: bool

    def stops(self, rung: Rung) -> bool:
        """Whether a training is given up at a rung; one without a score fails by itself."""
        if rung.epoch != self.epoch or rung.score is None:
            return False
        return rung.score < self.score if self.maximise else rung.score > self.score


@dataclass(frozen=True)
class Request:
    """One training that is asked for.

    Attributes:
        genome: the network and how it trains.
        seed: decides the initial weights, the order of the rows and the dropout; another seed
            for every repeat (see ``streams.training_seed``).
        repeat: 0 for the search; 1 and up for what is trained again to know its worth.
        hurdles: what it must reach on its way, or it is given up there.
    """

    genome: Genome
    seed: int
    repeat: int = 0
    hurdles: tuple[Hurdle, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """What one training said. A failed training is a value too: a status and a reason.

    Attributes:
        genome_key: the genome that was trained.
        seed: the seed it was trained with.
        status: "ok", or how the training failed.
        reason: one line that says why it failed, or a GPU did and a CPU did not; empty otherwise.
        score: the run's metric on the validation part with the best weights; None if failed.
        best_epoch: the epoch of the lowest validation loss, from 1; 0 if failed.
        train_loss: mean training loss of each epoch.
        validation_loss: validation loss after each epoch.
        parameters: trainable parameters of the network.
        seconds: wall-clock time of the training.
        rungs: its scores on the way.
        dropped: whether it was given up at the last of them; the score is that of the rung.
        folds: the score on each fold, where there are several; ``score`` is their mean. Curves and
            rungs are those of the first fold. Empty where it is dropped there.
        inference_ms: milliseconds the network takes to predict some rows, see
            ``training/latency.py``; None where it was not measured.
    """

    genome_key: str
    seed: int
    status: Status
    reason: str
    score: Score | None
    best_epoch: Count
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    parameters: Count
    seconds: Seconds
    rungs: tuple[Rung, ...] = ()
    dropped: bool = False
    folds: tuple[Score, ...] = ()
    inference_ms: Annotated[FiniteFloat, Field(gt=0)] | None = None

    @property
    def ok(self) -> bool:
        """Whether the training ended with a usable score."""
        return self.status == "ok"

    @property
    def epochs(self) -> int:
        """Epochs that were run."""
        return len(self.validation_loss)

    @property
    def is_whole(self) -> bool:
        """Whether it has what a training of its status has: a score, from one of its epochs."""
        if not self.ok:
            return True
        known = self.score is not None and len(self.train_loss) == self.epochs
        return known and 1 <= self.best_epoch <= self.epochs

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        # Not asdict, which copies every number of the curves: the slowest part of a record's row.
        return {**vars(self), "rungs": [vars(rung) for rung in self.rungs]}

    def to_json(self) -> str:
        """The text under which it is stored."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """The evaluation of a text as ``to_json`` writes it; ValueError where it is none."""
        return from_json(cls, text)


def as_asked(evaluation: Evaluation, hurdles: tuple[Hurdle, ...]) -> Evaluation | None:
    """What a training that is known would have come to with other hurdles.

    Args:
        evaluation: what it came to.
        hurdles: what it would have had to reach.

    Returns:
        The evaluation, cut off at the first hurdle it does not clear; None where it was dropped
        and would now go on, so that nobody knows.
    """
    for i, rung in enumerate(evaluation.rungs):
        if any(hurdle.stops(rung) for hurdle in hurdles):
            curve = evaluation.validation_loss[: rung.epoch]
            return replace(
                evaluation,
                status="ok",
                reason="",
                score=rung.score,
                best_epoch=curve.index(min(curve)) + 1,
                train_loss=evaluation.train_loss[: rung.epoch],
                validation_loss=curve,
                rungs=evaluation.rungs[: i + 1],
                dropped=True,
                folds=(),
            )
    return None if evaluation.dropped else evaluation


def protocol_key(**parts: object) -> str:
    """One key for everything besides genome and seed that a score depends on.

    Args:
        parts: data fingerprint, split, preparation, metric, loss, budget, engine: plain values.

    Example:
        >>> protocol_key(data="a", epochs=3) == protocol_key(epochs=3, data="a")
        True
    """
    return _hash(json.dumps(parts, sort_keys=True))


def score_key(request: Request, protocol: str) -> str:
    """The key of one score: genome, protocol and seed. Equal keys, equal training."""
    return _hash(f"{request.genome.key} {protocol} {request.seed}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
