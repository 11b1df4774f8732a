"""Predictions of a run's winner for raw rows of the original table, portion by portion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from evonet.champion.predictor import (
    NETWORKS_FILE,
    Network,
    Predictor,
    foreign_networks,
    load_weights,
)
from evonet.data.files import read_portions
from evonet.data.unseen import Unseen
from evonet.errors import ConfigError, RecordError
from evonet.genome import Genome
from evonet.outcome import no_winner
from evonet.store.record import RunRecord
from evonet.training.layout import Layout


def load_predictor(folder: Path, ensemble: bool = False) -> Predictor:
    """What a run's winner, or its ensemble, predicts with.

    Args:
        folder: the run's folder.
        ensemble: whether the ensemble beside the winner is meant.

    Raises:
        RecordError: the run has no winner, or no ensemble, or a file of it is gone or damaged.
    """
    with RunRecord(folder) as record:
        return predictor_of(record, ensemble)


def predictor_of(record: RunRecord, ensemble: bool = False) -> Predictor:
    """The same of an open record."""
    folder, data, winners = record.folder, record.facts.data, record.winners()
    if not winners:
        raise no_winner(folder)
    winner = winners[-1].winner
    genomes: tuple[Genome, ...]
    shares: tuple[float, ...]
    if ensemble and winner.ensemble is None:
        raise RecordError(
            f"{folder} has no ensemble: no mixture was better than its winner. Leave out --ensemble"
        )
    target, preparation, file = data.target, data.preparation, folder / NETWORKS_FILE
    weights = load_weights(file, winners[-1].networks)
    if ensemble and winner.ensemble is not None:
        genomes, shares, weights = winner.ensemble.genomes, winner.ensemble.shares, weights[1:]
    else:
        genomes, shares, weights = (winner.genome,), (1.0,), weights[:1]
    # The compiled loops look at no bounds: what does not fit would read foreign memory.
    n_inputs, n_outputs = len(preparation.inputs), target.n_outputs
    fitting = [_shapes(Layout(genome, n_inputs, n_outputs)) for genome in genomes]
    if [[(array.shape, array.dtype) for array in own] for own in weights] != fitting:
        raise foreign_networks(file)
    networks = [Network(genome, own) for genome, own in zip(genomes, weights, strict=True)]
    return Predictor(preparation, target, tuple(networks), shares)


def _shapes(layout: Layout) -> list[tuple[tuple[int, ...], np.dtype]]:
    """Shape and kind of each of a network's arrays, in the order of ``get_weights``."""
    zeros = np.zeros(layout.n_numbers, np.float32)
    return [(array.shape, array.dtype) for array in layout.keras_weights(zeros, zeros)]


def predict_file(
    predictor: Predictor, file: Path, probabilities: bool = False
) -> Iterator[tuple[pd.DataFrame, list[Unseen]]]:
    """Predictions for the rows of a file, in portions of it, so that it may be larger than memory.

    Args:
        predictor: what predicts.
        file: a table with the columns of training in any order, or an NPZ file of images.
        probabilities: whether to add a column per class.

    Returns:
        Of one portion after the other a table, and the words in it that have no input. The table
        has a row per row of the file: the column ``prediction``, in the words or the unit of the
        target, and ``probability of CLASS`` for each class where asked for.

    Raises:
        ConfigError: probabilities of a quantity are asked for.
        DataError: the file cannot be read, or lacks columns of training.
    """
    target = predictor.target
    if probabilities and target.task == "regression":
        raise ConfigError("A quantity has no probabilities. Leave out --probabilities.")
    for features in read_portions(file, predictor.preparation.words):
        predictions = predictor.predictions(features)
        table = pd.DataFrame({"prediction": target.labels(predictions)})
        if probabilities:
            for i, label in enumerate(target.classes):
                table[f"probability of {label}"] = np.round(predictions[:, i], 6)
        yield table, predictor.preparation.unseen(features)
