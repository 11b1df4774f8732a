"""The learning rate of every step of a training, in numpy, the same for every engine.

With ``eta0`` the genome's learning rate, ``n`` the planned steps and ``t = 0 .. n - 1``:

* ``constant``: ``eta0``.
* ``exponential``: ``eta0 * 0.1 ** (t / n)``, a tenth at the end (Senior et al. 2013, "An empirical
  study of learning rates in deep neural networks for speech recognition").
* ``power``: ``eta0 / (1 + t / s)``, ``s = n / 10``: half after a tenth of the training, an eleventh
  at the end (the same paper's power scheduling with exponent 1; ``s`` untuned).
* ``cosine``: ``eta0 / 2 * (1 + cos(pi * t / n))``, to 0 (Loshchilov & Hutter 2017, "SGDR",
  https://arxiv.org/abs/1608.03983, without restarts).
* ``one_cycle``: from ``eta0 / 10`` up to ``eta0`` and back, then on to ``eta0 / 1000``, each
  linearly (Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1",
  https://arxiv.org/abs/1803.09820). His momentum, which falls while the rate rises, stays as it is.

A warm-up multiplies any of them (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).

Steps are planned, not done: a training that stops early never sees the end of its schedule.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evonet.genome import Genome

#: One cycle: progress through the training, and the share of the highest rate there.
_CYCLE = ((0.0, 0.45, 0.9, 1.0), (0.1, 1.0, 0.1, 0.001))


def learning_rates(genome: Genome, n_steps: int) -> np.ndarray:
    """The learning rate of every step.

    Args:
        genome: its learning rate, schedule and warm-up.
        n_steps: planned steps, at least 1: epochs of the budget times steps of an epoch.

    Returns:
        ``(n_steps,)`` float64: the rate of step 0, 1, ...

    Example:
        >>> from evonet.genome import Genome
        >>> genome = Genome((), "he_normal", "sgd", 0.1, 32, schedule="cosine", warmup=0.5)
        >>> learning_rates(genome, 4).round(3).tolist()
        [0.05, 0.085, 0.05, 0.015]
    """
    t = np.arange(n_steps)
    progress = t / n_steps
    shares: dict[str, Callable[[], np.ndarray]] = {
        "constant": lambda: np.ones(n_steps),
        "exponential": lambda: 0.1**progress,
        "power": lambda: 1 / (1 + 10 * progress),
        "cosine": lambda: (1 + np.cos(np.pi * progress)) / 2,
        "one_cycle": lambda: np.interp(progress, *_CYCLE),
    }
    rates = genome.learning_rate * shares[genome.schedule]()
    if genome.warmup:
        n_warm = max(genome.warmup * n_steps, 1.0)  # less than a step is no warm-up
        rates = rates * np.minimum(1.0, (t + 1) / n_warm)
    return rates
