"""A data set ready for training: three parts as arrays, and how they came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from evonet.config import RunConfig
from evonet.data.checking import check_features, check_labels, labelled
from evonet.data.files import Features
from evonet.data.preparation import VERSION, Preparation, fit_preparation
from evonet.data.sources import RawData, read_source
from evonet.data.splitting import Split, fold_splits, split_rows
from evonet.data.target import Target, Task, make_target
from evonet.errors import ConfigError, DataError
from evonet.genome import Genome
from evonet.phrases import listed


@dataclass(frozen=True)
class Part:
    """The rows of one part.

    Attributes:
        x: ``(n, n_inputs)`` float32.
        y: ``(n,)`` class indices int32, or standardised float32 for regression.
        weight: ``(n,)`` float32 weight of each row in the loss, or None if all weigh the same.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """Data as networks see them.

    Attributes:
        name: short name of the data.
        target: what is predicted.
        preparation: how raw rows become inputs.
        train: what networks are fitted on.
        validation: what decides when to stop and which network is better.
        test: what scores the winner, once.
        fingerprint: hash of the raw data.
        notes: sentences about what was inferred and what was left out.
        protocol: what besides the raw data made these arrays, as plain values.
        folds: for cross-validation: the rows that are not for the test, split anew for each fold,
            whose validation parts are disjoint and together all of them; empty without.
    """

    name: str
    target: Target
    preparation: Preparation
    train: Part
    validation: Part
    test: Part
    fingerprint: str
    notes: tuple[str, ...]
    protocol: dict[str, object]
    folds: tuple[Dataset, ...] = ()

    @property
    def scored_on(self) -> tuple[Dataset, ...]:
        """What a candidate is trained and scored on: the folds, or the one validation part."""
        return self.folds or (self,)

    def without_test(self) -> Dataset:
        """The same, its test part empty: for what must not see it."""
        test = self.test
        return replace(self, test=replace(test, x=test.x[:0], y=test.y[:0], weight=None))

    @property
    def n_inputs(self) -> int:
        """Network inputs."""
        return self.train.x.shape[1]

    def parameter_count(self, genome: Genome) -> int:
        """Trainable parameters of a genome's network for these data."""
        return genome.parameter_count(self.n_inputs, self.target.n_outputs)


@dataclass(frozen=True)
class CheckedData:
    """Data that were read, that can be learned from, and whose rows have a part each.

    Attributes:
        found: the data as they were found, but for rows without a target.
        raw: the same without the columns that are dropped, empty or constant.
        task: what kind of prediction it is.
        how: a sentence that says how the task was found.
        left_out: a sentence for each kind of column left out, and for rows.
        split: the rows of each part.
        n_unlabelled: rows that were left out because they have no target.
    """

    found: RawData
    raw: RawData
    task: Task
    how: str
    left_out: tuple[str, ...]
    split: Split
    n_unlabelled: int = 0


def read_checked(config: RunConfig) -> CheckedData:
    """Read, check and split the data of a run.

    Raises:
        DataError: the data cannot be read, or cannot be learned from.
    """
    found, n_unlabelled = labelled(read_source(config.data, config.target))
    task, how = check_labels(found, config.task)
    raw, left_out = check_features(found, config.drop)
    if n_unlabelled:
        rows = "1 row that has" if n_unlabelled == 1 else f"{n_unlabelled:,} rows that have"
        left_out = [f"Left out {rows} no target.", *left_out]
    split = split_as_set(raw, task, config)
    return CheckedData(found, raw, task, how, tuple(left_out), split, n_unlabelled)


def split_as_set(raw: RawData, task: Task, config: RunConfig) -> Split:
    """The rows of each part, as the settings of a run have it."""
    shares = config.test_fraction, config.validation_fraction
    return split_rows(raw.labels, task, config.seed, *shares, raw.n_test)


def load_dataset(config: RunConfig) -> Dataset:
    """Read, check, split and prepare the data of a run.

    Raises:
        DataError: the data cannot be read, or cannot be learned from.
        ConfigError: balanced classes are asked for and there are none.
    """
    return prepare(read_checked(config), config, 0, 0)[0]


def refuse_other_data(dataset: Dataset, fingerprint: str, source: str, folder: Path) -> None:
    """Refuse data that are not those of a run.

    Args:
        dataset: what was read now.
        fingerprint: that of the run.
        source: where it was read, as ``--data`` names it.
        folder: of the run.

    Raises:
        DataError: they differ.
    """
    if dataset.fingerprint != fingerprint:
        raise DataError(
            f"The data at {source} are not what they were when {folder} was started. "
            "Put the old data back, or start a new run."
        )


def prepare(
    checked: CheckedData, config: RunConfig, n_splits: int, below: int
) -> tuple[Dataset, Dataset | None]:
    """Data ready for training, and where rows are few the same rows split anew, as folds.

    Args:
        checked: the data.
        config: the run's settings.
        n_splits: how many folds; below 2 there are none.
        below: only where the validation part has fewer rows.

    Returns:
        The data; and the data with folds, or None where there are none. Too few rows for so many
        folds are a note of the data.

    Raises:
        DataError, ConfigError: as ``load_dataset``.
    """
    whole = _made(checked, checked.split, config)

    def with_folds(n: int) -> Dataset:
        labels, task = checked.raw.labels, checked.task
        splits = fold_splits(labels, task, config.seed, checked.split, n)
        folds = tuple(_made(checked, fold, config) for fold in splits)
        return replace(whole, folds=folds, protocol=whole.protocol | {"folds": n})

    if config.folds is not None:
        return with_folds(config.folds), None
    if n_splits < 2 or len(whole.validation) >= below:
        return whole, None
    try:
        return whole, with_folds(n_splits)
    except DataError:
        note = f"Too few rows to split them {n_splits} times: finalists have fresh seeds instead."
        return replace(whole, notes=(*whole.notes, note)), None


def _made(checked: CheckedData, split: Split, config: RunConfig) -> Dataset:
    """The data split in one way; all that is learned of them is learned of the training part."""
    raw, task = checked.raw, checked.task
    target = make_target(raw.labels, task, split.train)
    preparation, identifiers = fit_preparation(
        _rows(raw.features, split.train), config.max_categories
    )
    parts = [
        _part(raw, rows, target, preparation)
        for rows in (split.train, split.validation, split.test)
    ]
    class_weight, why = _class_weight(config, task)
    if class_weight == "balanced":
        parts = _balanced(parts, target)
    train, validation, test = parts
    absent = _absent_classes({"training": train, "validation": validation, "test": test}, target)
    return Dataset(
        raw.name,
        target,
        preparation,
        train,
        validation,
        test,
        fingerprint=raw.fingerprint(),
        notes=(checked.how, *absent, *checked.left_out, *identifiers, *why),
        protocol={
            "preparation": VERSION,
            "task": task,
            "split": [config.seed, config.test_fraction, config.validation_fraction],
            "max_categories": config.max_categories,
            "class_weight": class_weight,
        },
    )


def _rows(features: Features, rows: np.ndarray) -> Features:
    return features.iloc[rows] if isinstance(features, pd.DataFrame) else features[rows]


def _part(raw: RawData, rows: np.ndarray, target: Target, preparation: Preparation) -> Part:
    x = preparation.transform(_rows(raw.features, rows))
    return Part(x, target.encode(raw.labels.iloc[rows]))


def _class_weight(config: RunConfig, task: Task) -> tuple[str, list[str]]:
    """How classes weigh in the loss, and a sentence where that is not what the user said."""
    if config.class_weight != "auto":
        return config.class_weight, []
    if config.metric != "balanced_accuracy" or task == "regression":
        return "none", []
    goal = f"Rare classes weigh as much as common ones in training, as in {config.metric}."
    return "balanced", [f"{goal} Pass --class-weight none to change it."]


def _balanced(parts: list[Part], target: Target) -> list[Part]:
    """The parts with every class weighing the same in the training part (King & Zeng 2001).

    The same weights serve the validation loss, which decides when training stops.
    """
    if target.task == "regression":
        raise ConfigError("class_weight balanced is for classes, the task is regression.")
    counts = np.bincount(parts[0].y, minlength=len(target.classes))
    weights = len(parts[0].y) / (len(counts) * np.maximum(counts, 1))
    return [replace(part, weight=weights[part.y].astype(np.float32)) for part in parts]


def _absent_classes(parts: Mapping[str, Part], target: Target) -> list[str]:
    """A sentence for each part that lacks a class."""
    notes = []
    for name, part in parts.items():
        absent = sorted(set(range(len(target.classes))) - set(part.y.tolist()))
        if target.task != "regression" and absent:
            of = listed([str(target.classes[i]) for i in absent])
            notes.append(f"The {name} part has no row of {len(absent)} classes: {of}.")
    return notes
