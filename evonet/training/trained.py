"""What every training has in common, whatever runs it: what it comes to, when it ends, and the
order in which it sees the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evonet.evaluation import Budget, Hurdle, Rung
from evonet.streams import stream


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        train_loss: mean training loss of each epoch.
        validation_loss: validation loss after each epoch.
        best_epoch: the epoch of the lowest validation loss, from 1; 0 where no loss is a number.
        outputs: ``(n_validation, n_outputs)`` float32 of the network of the best epoch.
        make_weights: makes its weights, which not everybody wants.
        rungs: its scores on the way.
        dropped: whether it was given up at the last of them.
    """

    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: int
    outputs: np.ndarray
    make_weights: Callable[[], list[np.ndarray]]
    rungs: tuple[Rung, ...] = ()
    dropped: bool = False

    @cached_property
    def weights(self) -> list[np.ndarray]:
        """Those of the best epoch, in the order of ``keras.Model.get_weights``."""
        return self.make_weights()

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        return not np.isfinite([*self.train_loss, *self.validation_loss]).all()


@dataclass(frozen=True)
class Race:
    """Looks at a training on its way, and gives it up where it is not good enough.

    The rule is that of asynchronous successive halving with stopping (Li et al. 2020,
    https://arxiv.org/abs/1810.05934): nothing has to be kept of what is given up.

    Attributes:
        epochs: the rungs: when it is looked at, from 1.
        hurdles: what it must reach.
        score_of: the metric of outputs ``(n_validation, n_outputs)``; None where one is not finite.
    """

    epochs: tuple[int, ...]
    hurdles: tuple[Hurdle, ...]
    score_of: Callable[[np.ndarray], float | None]

    def is_lost(self, rung: Rung) -> bool:
        """Whether a training is given up there."""
        return any(hurdle.stops(rung) for hurdle in self.hurdles)


#: Of a training that nobody looks at.
NO_RACE = Race((), (), lambda _: None)


@dataclass
class Stopping:
    """The learning curves of a training under way, and whether it goes on.

    By early stopping, as Keras decides it, and by its race.

    Attributes:
        budget: how long it may train.
        race: may end it earlier.
        train_loss: mean training loss of each epoch so far.
        validation_loss: validation loss after each of them.
        best_epoch: the epoch of the lowest validation loss, from 1; 0 where no loss is a number.
        rungs: scores so far.
        dropped: whether it was given up at the last of them.
    """

    budget: Budget
    race: Race
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    rungs: list[Rung] = field(default_factory=list)
    dropped: bool = False

    def add(self, train_loss: float, validation_loss: float) -> bool:
        """A further epoch; returns whether its weights are the best so far."""
        lowest = self.validation_loss[self.best_epoch - 1] if self.best_epoch else math.inf
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss)
        if validation_loss < lowest:
            self.best_epoch = self.n_epochs
        return self.best_epoch == self.n_epochs

    def look(self, outputs: np.ndarray) -> None:
        """After an epoch: give it up where it is behind; ``outputs`` are those of its best epoch.

        One that is over anyway is not looked at.
        """
        if self.n_epochs in self.race.epochs and not self.over:
            rung = Rung(self.n_epochs, self.race.score_of(outputs))
            self.rungs.append(rung)
            self.dropped = self.race.is_lost(rung)

    @property
    def n_epochs(self) -> int:
        """Epochs so far."""
        return len(self.validation_loss)

    @property
    def over(self) -> bool:
        """Whether it ends here: epochs or patience are used up, it diverged, or it is given up."""
        if self.n_epochs == 0:
            return False
        waited = self.n_epochs - self.best_epoch
        # Keras' EarlyStopping never stops after the first epoch.
        tired = self.n_epochs > 1 and waited >= max(1, self.budget.patience_epochs)
        finite = math.isfinite(self.train_loss[-1]) and math.isfinite(self.validation_loss[-1])
        return tired or not finite or self.dropped or self.n_epochs >= self.budget.epochs

    def trained(self, outputs: np.ndarray, make_weights: Callable[[], list[np.ndarray]]) -> Trained:
        """What the training came to, with what belongs to its best epoch; see ``Trained``."""
        return Trained(
            tuple(self.train_loss),
            tuple(self.validation_loss),
            self.best_epoch,
            outputs,
            make_weights,
            tuple(self.rungs),
            self.dropped,
        )


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch, from 0, visits ``n`` rows: ``(n,)`` int."""
    return stream(seed, "order", epoch).permutation(n)
