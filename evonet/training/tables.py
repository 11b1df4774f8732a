"""A network, its weights and its rows as flat arrays: what the loops of native.py work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Network(NamedTuple):
    """A network as tables, with an entry for each hidden layer and, last, the output layer.

    Attributes:
        fan_in: ``(layers,)`` int64, numbers a layer receives.
        live: ``(layers,)`` int64, how many of them come from hidden layers: these stand first, and
            only they have a gradient.
        units: ``(layers,)`` int64.
        activation: ``(layers,)`` int64, place in ``ACTIVATIONS``; not read for the output layer.
        normalisation: ``(layers,)`` int64, place in ``NORMALISATIONS``.
        skip: ``(layers,)`` bool, whether what it received goes on beside its outputs.
        dropout: ``(layers,)`` float32 rates.
        kernel: ``(layers,)`` int64, where its weights start among the learned ones: kernel
            ``(fan_in, units)``, bias ``(units,)``, and if it is normalised, scale and offset.
        moving: ``(layers,)`` int64, where mean and variance of its batch normalisation start.
        received: ``(layers,)`` int64, where what it receives starts, for one row.
        passed: ``(layers,)`` int64, where its own outputs start, for one row.
    """

    fan_in: np.ndarray
    live: np.ndarray
    units: np.ndarray
    activation: np.ndarray
    normalisation: np.ndarray
    skip: np.ndarray
    dropout: np.ndarray
    kernel: np.ndarray
    moving: np.ndarray
    received: np.ndarray
    passed: np.ndarray


class Weights(NamedTuple):
    """What a training changes; flat float32 arrays.

    Attributes:
        learned: ``(parameters,)``, layer after layer; see ``Network.kernel``.
        m: ``(parameters,)`` first moments of the optimizer, see optimizers.py.
        v: ``(parameters,)`` second moments.
        moving: running means and variances of batch normalisations.
    """

    learned: np.ndarray
    m: np.ndarray
    v: np.ndarray
    moving: np.ndarray


class Rows(NamedTuple):
    """Rows to train or validate on.

    Attributes:
        x: ``(n, n_inputs)`` float32.
        y: ``(n,)`` float32, class indices or numbers.
        weight: ``(n,)`` float32.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


class Work(NamedTuple):
    """Buffers of a pass over a batch.

    Attributes:
        received: what each layer receives.
        z: what each layer computes; normalised without scale and offset, where it is normalised.
        slope: derivative of each layer's outputs by what goes into its activation.
        inverse_deviation: ``(layers, rows or units)``, of each normalisation.
        y: ``(rows * units,)``, what goes into an activation behind a normalisation; in the backward
            pass the gradient by what a layer computes.
        d: gradient of what a layer passes on; in the forward pass what goes beside a skip.
        d_before: the same of the layer before it.
        gradient: ``(parameters,)``.
    """

    received: np.ndarray
    z: np.ndarray
    slope: np.ndarray
    inverse_deviation: np.ndarray
    y: np.ndarray
    d: np.ndarray
    d_before: np.ndarray
    gradient: np.ndarray
