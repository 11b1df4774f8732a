"""What a training comes to, whatever trained it, and what decides its course besides a genome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evonet.evaluation import Hurdle, Rung
from evonet.streams import stream


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

    def rung(self, epoch: int, outputs: Callable[[], np.ndarray]) -> Rung | None:
        """The rung after an epoch, if there is one; ``outputs`` gives those of the best weights."""
        return Rung(epoch, self.score_of(outputs())) if epoch in self.epochs else None

    def is_lost(self, rung: Rung) -> bool:
        """Whether a training is given up there."""
        return any(hurdle.stops(rung) for hurdle in self.hurdles)


#: Of a training that nobody looks at.
NO_RACE = Race((), (), lambda _: None)


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


def row_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch, from 0, visits ``n`` rows: ``(n,)`` int."""
    return stream(seed, "order", epoch).permutation(n)
