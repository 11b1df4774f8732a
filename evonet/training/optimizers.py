"""Every optimizer as one update whose coefficients are data, a row for each step.

With gradient g, every optimizer of evonet is

    m <- a m + b g
    v <- c v + d g^2
    w <- (1 - decay) w - (p m + q g) / (sqrt(s v + inner) + outer)

as Keras 3 computes it: SGD; momentum and Nesterov (Sutskever et al. 2013); RMSprop (Hinton 2012);
Adam (Kingma & Ba 2015); AdamW (Loshchilov & Hutter 2019); Nadam (Dozat 2016); Adagrad (Duchi et
al. 2011). What depends on the step (schedule, bias corrections) is in the rows, so that a compiled
program knows nothing of optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evonet.genome import Genome
from evonet.training.schedules import learning_rates

#: Keras' defaults.
_BETA_1, _BETA_2, _RHO, _EPSILON, _NADAM_DECAY = 0.9, 0.999, 0.9, 1e-7, 0.96

COEFFICIENTS = ("a", "b", "c", "d", "p", "q", "s", "inner", "outer", "decay")
#: What v starts with; 0 for the others.
FIRST_V: Mapping[str, float] = {"adagrad": 0.1}

Column = np.ndarray | float


def coefficients(genome: Genome, n_steps: int) -> np.ndarray:
    """The coefficients of every step of a training.

    Args:
        genome: whose optimizer, learning rate, schedule and weight decay to use.
        n_steps: steps that are planned; a schedule ends with them.

    Returns:
        ``(n_steps, len(COEFFICIENTS))`` float32.
    """
    rate = learning_rates(genome, n_steps)
    columns = {"decay": rate * (genome.weight_decay or 0.0), **_columns(genome, rate)}
    table = np.zeros((n_steps, len(COEFFICIENTS)), np.float32)
    for i, name in enumerate(COEFFICIENTS):
        table[:, i] = columns.get(name, 0.0)
    return table


def _columns(genome: Genome, rate: np.ndarray) -> dict[str, Column]:
    """The coefficients that are not 0, of all steps (an array) or the same in all (a number)."""
    mu = genome.momentum or 0.0
    plain: dict[str, Column] = {"inner": 1.0}  # divides by sqrt(0 v + 1) + 0
    rooted: dict[str, Column] = {"q": rate, "s": 1.0, "inner": _EPSILON}
    if genome.optimizer == "sgd":
        return plain | {"q": rate}
    if genome.optimizer == "momentum":
        return plain | {"a": mu, "b": rate, "p": 1.0}
    if genome.optimizer == "nesterov":
        return plain | {"a": mu, "b": rate, "p": mu, "q": rate}
    if genome.optimizer == "rmsprop":
        return rooted | {"c": _RHO, "d": 1 - _RHO}
    if genome.optimizer == "adagrad":
        return rooted | {"c": 1.0, "d": 1.0}
    adam: dict[str, Column] = {"a": _BETA_1, "b": 1 - _BETA_1, "c": _BETA_2, "d": 1 - _BETA_2}
    adam["outer"] = _EPSILON
    step = np.arange(1, len(rate) + 1)
    bias_1, bias_2 = 1 - _BETA_1**step, 1 - _BETA_2**step
    if genome.optimizer in ("adam", "adamw"):
        return adam | {"p": rate * np.sqrt(bias_2) / bias_1, "s": 1.0}
    now, after = (_BETA_1 * (1 - 0.5 * _NADAM_DECAY**t) for t in (step, step + 1))
    product = np.cumprod(now)
    p, q = rate * after / (1 - product * after), rate * (1 - now) / (1 - product)
    return adam | {"p": p, "q": q, "s": 1 / bias_2}
