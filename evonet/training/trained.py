"""What a training comes to, whatever trained it, and the order in which it sees the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

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


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch, from 0, visits ``n`` rows: ``(n,)`` int."""
    return stream(seed, "order", epoch).permutation(n)
