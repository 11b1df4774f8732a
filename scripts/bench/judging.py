"""What every search of the quality benchmark improves, and what it says of its model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data import read_data
from evonet.budgets import search_budget
from evonet.config import RunConfig
from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.metrics import metrics_of, score

#: What comes after a search (loading the best model, predicting), in times of what came before it
#: (Python, imports, data), which says how fast the machine is at the moment. Untuned.
_AFTER_SEARCH = 0.5


@dataclass(frozen=True)
class Order:
    """What a job is asked to do. Times are those of ``time.time``, which all processes share.

    Attributes:
        source: file of the data.
        target: column to predict.
        metric: the score of the validation part to improve.
        seed: of split and search.
        started: when the job's process was started.
        deadline: when it should be done.
    """

    source: str
    target: str
    metric: str
    seed: int
    started: float
    deadline: float

    def read(self) -> Dataset:
        """The data as evonet prepares them, with the weights of rows that the metric asks for."""
        return read_data(self.source, self.target, seed=self.seed, metric=self.metric)

    def end_of_search(self) -> float:
        """When a search that begins now has to end, so that the job is done at its deadline."""
        return self.deadline - _AFTER_SEARCH * (time.time() - self.started)


def budget(dataset: Dataset) -> Budget:
    """How long every network may train: as evonet's candidates do by default."""
    return search_budget(RunConfig(), len(dataset.train))


def seconds_left(end: float) -> float:
    """Seconds until a time; 0 where it is over."""
    return max(0.0, end - time.time())


def judged(
    dataset: Dataset,
    metric: str,
    predict: Callable[[np.ndarray], np.ndarray],
    trainings: int,
    details: dict[str, Any],
) -> dict[str, Any]:
    """The result of a search's job.

    Args:
        dataset: what it searched on.
        metric: the score of the validation part by which every search chooses.
        predict: from prepared features to what ``Target.predictions`` gives. The test part is
            looked at here for the only time.
        trainings: trainings that were begun and not lost, pruned ones included.
        details: plain values to keep beside the scores.
    """
    target = dataset.target
    metrics = metrics_of(target)
    validation, test = dataset.validation, dataset.test
    tested = predict(test.x)
    return {
        "validation": score(metrics[metric], target, validation.y, predict(validation.x)),
        "test": {name: score(m, target, test.y, tested) for name, m in metrics.items()},
        "trainings": trainings,
        "details": details,
    }
