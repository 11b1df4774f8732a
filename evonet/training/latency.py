"""How long a network takes to predict, by the loops that train it."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from evonet.data.dataset import Dataset
from evonet.genome import Genome
from evonet.streams import stream
from evonet.training import native
from evonet.training.evaluator import refusal
from evonet.training.initializers import initial_weights
from evonet.training.layout import Layout
from evonet.training.losses import LOSSES
from evonet.training.one_thread import one_thread
from evonet.training.products import blas
from evonet.training.tables import Rows

#: Rows that are predicted at once.
ROWS = 32
#: Measurements that the median is taken of, and milliseconds that each lasts at least. Untuned.
_MEASUREMENTS, _LEAST_MS = 9, 4.0


def inference_ms(genome: Genome, dataset: Dataset) -> float | None:
    """Milliseconds that a network takes for ``ROWS`` rows: the median of several measurements.

    On one core of this machine's CPU, in float32, whatever trains it; without what it costs to call
    the network. Time does not depend on what was learned, so that the weights are those a training
    would start from.

    Args:
        genome: the network.
        dataset: where the rows come from.

    Returns:
        The time with two digits, of which the second is uncertain; None for a network that is too
        large to be trained.
    """
    if refusal(genome, dataset) is not None:
        return None
    n_inputs, n_outputs = dataset.n_inputs, dataset.target.n_outputs
    layout = Layout(genome, n_inputs, n_outputs)
    drawn = initial_weights(stream(0, "weights"), genome, n_inputs, n_outputs)
    weights, work, loss = layout.weights(drawn), layout.work(ROWS), LOSSES.index("mse")

    def measured(n_batches: int) -> float:
        n = n_batches * ROWS
        none = np.zeros(n, np.float32)  # truth and weights of the rows, which are of no interest
        rows = Rows(np.resize(np.asarray(dataset.train.x, np.float32), (n, n_inputs)), none, none)
        outputs, smoothing = np.empty((n, n_outputs), np.float32), np.float32(0)
        started = time.perf_counter()
        native.validate(blas(), layout.network, weights, work, rows, ROWS, loss, smoothing, outputs)
        return 1000 * (time.perf_counter() - started)

    with one_thread():
        measured(1)  # compiles, or reads what was compiled
        n_batches = 1
        while measured(n_batches) < _LEAST_MS:
            n_batches *= 2
        found = median(measured(n_batches) for _ in range(_MEASUREMENTS)) / n_batches
    return float(f"{found:.2g}")
