"""Outputs of a trained network, by the loops that trained it: without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evonet.genome import Genome
from evonet.training import native
from evonet.training.layout import Layout
from evonet.training.losses import LOSSES
from evonet.training.one_thread import one_thread
from evonet.training.plan import ROWS_AT_ONCE
from evonet.training.products import blas
from evonet.training.tables import Rows


def network_outputs(
    genome: Genome, weights: Sequence[np.ndarray], x: np.ndarray, n_outputs: int
) -> np.ndarray:
    """A network's outputs ``(n, n_outputs)`` float32: logits, or standardised predictions.

    Args:
        genome: what the network is.
        weights: as ``keras.Model.get_weights`` of the genome's model returns them.
        x: ``(n, n_inputs)`` prepared features.
        n_outputs: of the network.
    """
    layout = Layout(genome, x.shape[1], n_outputs)
    outputs = np.empty((len(x), n_outputs), np.float32)
    none = np.zeros(len(x), np.float32)  # truth and weights of the rows, which are of no interest
    with one_thread():
        native.validate(
            blas(),
            layout.network,
            layout.weights(weights),
            layout.work(ROWS_AT_ONCE),
            Rows(np.asarray(x, np.float32, order="C"), none, none),
            ROWS_AT_ONCE,
            LOSSES.index("mse"),
            np.float32(0),
            outputs,
        )
    return outputs
