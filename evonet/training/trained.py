"""What every training has in common, whatever runs it: what it comes to, when it ends, and the
order in which it sees the rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evonet.evaluation import Budget
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
    """

    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: int
    outputs: np.ndarray
    make_weights: Callable[[], list[np.ndarray]]

    @cached_property
    def weights(self) -> list[np.ndarray]:
        """Those of the best epoch, in the order of ``keras.Model.get_weights``."""
        return self.make_weights()

    @property
    def diverged(self) -> bool:
        """Whether any loss was NaN or infinite."""
        return not np.isfinite([*self.train_loss, *self.validation_loss]).all()


@dataclass
class EarlyStopping:
    """The learning curves of a training under way, and whether it goes on, as Keras decides it.

    Attributes:
        budget: how long it may train.
        train_loss: mean training loss of each epoch so far.
        validation_loss: validation loss after each of them.
        best_epoch: the epoch of the lowest validation loss, from 1; 0 where no loss is a number.
    """

    budget: Budget
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0

    def add(self, train_loss: float, validation_loss: float) -> bool:
        """A further epoch; returns whether its weights are the best so far."""
        lowest = self.validation_loss[self.best_epoch - 1] if self.best_epoch else math.inf
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss)
        if validation_loss < lowest:
            self.best_epoch = self.n_epochs
        return self.best_epoch == self.n_epochs

    @property
    def n_epochs(self) -> int:
        """Epochs so far."""
        return len(self.validation_loss)

    @property
    def over(self) -> bool:
        """Whether it ends here: its epochs or its patience are used up, or it diverged."""
        if self.n_epochs == 0:
            return False
        waited = self.n_epochs - self.best_epoch
        # Keras' EarlyStopping never stops after the first epoch.
        tired = self.n_epochs > 1 and waited >= max(1, self.budget.patience_epochs)
        finite = math.isfinite(self.train_loss[-1]) and math.isfinite(self.validation_loss[-1])
        return tired or not finite or self.n_epochs >= self.budget.epochs

    def trained(self, outputs: np.ndarray, make_weights: Callable[[], list[np.ndarray]]) -> Trained:
        """What the training came to, with what belongs to its best epoch; see ``Trained``."""
        train_loss, validation_loss = tuple(self.train_loss), tuple(self.validation_loss)
        return Trained(train_loss, validation_loss, self.best_epoch, outputs, make_weights)


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch, from 0, visits ``n`` rows: ``(n,)`` int."""
    return stream(seed, "order", epoch).permutation(n)
