"""Predictions of a run's winner for raw rows of the original table."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from evonet.champion.winner import MODEL_FILE, Winner
from evonet.data.preparation import preparation_from_dict
from evonet.data.sources import read_features
from evonet.data.target import Target
from evonet.errors import ConfigError, RecordError
from evonet.store.record import RunRecord
from evonet.training.keras_model import build_network, outputs_of, with_output


def predict_file(folder: Path, file: Path, probabilities: bool = False) -> pd.DataFrame:
    """Predictions for the rows of a file.

    Args:
        folder: the run's folder.
        file: a table with the columns of training in any order, or an NPZ file of images.
        probabilities: whether to add a column per class.

    Returns:
        A table with one row per row of the file: the column ``prediction``, in the words or the
        unit of the target, and ``probability of CLASS`` for each class where asked for.

    Raises:
        RecordError: the run has no winner yet.
        ConfigError: probabilities of a quantity are asked for.
        DataError: the file cannot be read, or lacks columns of training.
    """
    with RunRecord(folder) as record:
        data, winners = record.fact("data"), record.winners()
    if not winners:
        raise RecordError(f"{folder} has no winner yet. Go on with it: evonet resume {folder}")
    if not (folder / MODEL_FILE).is_file():
        raise RecordError(f"{folder / MODEL_FILE} is gone. Make it again: evonet resume {folder}")
    target = Target.from_dict(data["target"])
    if probabilities and target.task == "regression":
        raise ConfigError("A quantity has no probabilities. Leave out --probabilities.")
    preparation = preparation_from_dict(data["preparation"])
    x = preparation.transform(read_features(file, words=preparation.words))
    winner = Winner.from_dict(winners[-1]["winner"])
    network = _load_network(folder, winner, target, x.shape[1])
    predictions = target.predictions(outputs_of(network, x))
    table = pd.DataFrame({"prediction": target.labels(predictions)})
    if probabilities:
        for i, label in enumerate(target.classes):
            table[f"probability of {label}"] = np.round(predictions[:, i], 6)
    return table


def _load_network(folder: Path, winner: Winner, target: Target, n_inputs: int) -> object:
    """The winner's network: built from its genome, so that of the file only numbers are read."""
    network = build_network(winner.genome, n_inputs, target.n_outputs)
    try:
        with_output(network, target).load_weights(folder / MODEL_FILE)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordError(
            f"{folder / MODEL_FILE} is damaged or of another run: {reason}. "
            f"Make it again: delete it and run evonet resume {folder}"
        ) from None
    return network
