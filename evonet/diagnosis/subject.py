"""What is diagnosed: the winner of a run, its weights as arrays, and the data it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evonet.champion.prediction import predictor_of
from evonet.data.dataset import Dataset, load_dataset, refuse_other_data
from evonet.errors import RecordError
from evonet.genome import Genome
from evonet.outcome import no_winner
from evonet.store.record import RunRecord
from evonet.training.keras_model import choose_loss


@dataclass(frozen=True)
class Subject:
    """A fitted network and its data.

    Attributes:
        genome: the network.
        weights: in the order of ``keras.Model.get_weights``.
        train_curve: mean training loss of each epoch, with dropout and noise.
        validation_curve: validation loss after each epoch.
        best_epoch: the epoch whose weights these are, from 1.
        dataset: what it was fitted on, without the test part and folds.
        loss: what it was fitted by, as ``choose_loss`` returns it.
        seed: of the run.
    """

    genome: Genome
    weights: tuple[np.ndarray, ...]
    train_curve: tuple[float, ...]
    validation_curve: tuple[float, ...]
    best_epoch: int
    dataset: Dataset
    loss: str
    seed: int


def load_subject(folder: Path) -> Subject:
    """The winner of a run, with the data read again.

    Raises:
        RecordError: there is no run, it has no winner yet, its model is gone or damaged, or it is
            of an evonet that prepares data in another way.
        DataError: the data cannot be read, or are not what they were.
    """
    with RunRecord(folder) as record:
        return subject_of(record)


def subject_of(record: RunRecord) -> Subject:
    """The same of an open record."""
    folder, facts, winners = record.folder, record.facts, record.winners()
    if not winners:
        raise no_winner(folder)
    config, data = facts.config, facts.data
    dataset = load_dataset(config.changed(folds=None))
    refuse_other_data(dataset, data.fingerprint, config.data, folder)
    if (dataset.target, dataset.preparation) != (data.target, data.preparation):
        raise RecordError(
            f"{folder} was started by an evonet that prepares data in another way. Use that "
            "evonet, or start a new run."
        )
    winner = winners[-1].winner
    return Subject(
        winner.genome,
        predictor_of(record).networks[0].weights,
        winner.train_loss,
        winner.validation_loss,
        winner.best_epoch,
        replace(dataset.without_test(), folds=()),
        choose_loss(config.loss, dataset.target),
        config.seed,
    )
