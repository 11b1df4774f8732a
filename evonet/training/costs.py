"""What the loops take to train a network, predicted from its genome and the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from evonet.data.dataset import Dataset
from evonet.genome import Genome


@dataclass(frozen=True)
class Rows:
    """The data set, as far as a plan depends on it; of several folds, the largest."""

    n_inputs: int
    n_outputs: int
    n_train: int
    n_validation: int
    n_folds: int = 1


class Costs(NamedTuple):
    """What an epoch of one network takes, in the units of ``SECONDS``.

    Attributes:
        products: multiply-adds of matrix products.
        updates: parameters times steps: the optimizer.
        units: units times rows: activations and what else happens to each of them.
        layers: layers times steps: calls.
    """

    products: float
    updates: float
    units: float
    layers: float


#: Seconds of one core for each unit of ``Costs``, by scripts/profile_training.py on an AMD EPYC
#: (Zen 3) whose core multiplies at 75 GFLOP/s.
SECONDS = Costs(2.7e-11, 4.9e-10, 3.4e-9, 4.3e-6)
#: Seconds of a training besides its epochs: weights to draw, a score to compute.
PER_TRAINING = 3e-3


def rows_of(dataset: Dataset) -> Rows:
    """Data as a plan sees them; of folds the largest."""
    folds = dataset.scored_on
    data = max(folds, key=lambda fold: len(fold.train) * fold.n_inputs)
    n_rows = len(data.train), len(data.validation)
    return Rows(data.n_inputs, data.target.n_outputs, *n_rows, len(folds))


def costs_of(genome: Genome, rows: Rows) -> Costs:
    """What an epoch of a network takes, its validation included."""
    units = [*(layer.units for layer in genome.layers), rows.n_outputs]
    fan_ins = genome.fan_ins(rows.n_inputs)
    weights = sum(n * m for n, m in zip(fan_ins, units, strict=True))
    n_steps = -(-rows.n_train // genome.batch_size)
    return Costs(
        weights * (3 * rows.n_train + rows.n_validation),
        genome.parameter_count(rows.n_inputs, rows.n_outputs) * n_steps,
        sum(units) * (rows.n_train + rows.n_validation),
        len(units) * n_steps,
    )


def seconds_per_epoch(genome: Genome, rows: Rows) -> float:
    """Predicted seconds of an epoch on a core, its validation included."""
    return sum(n * each for n, each in zip(costs_of(genome, rows), SECONDS, strict=True))
