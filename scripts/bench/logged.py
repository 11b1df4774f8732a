"""Trainings that are written down as they begin and end, in whatever process.

The file that EVONET_TRAINING_LOG names gets a line "begin GENOME SEED" or "end GENOME SEED" each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from evonet.evaluation import Evaluation, Request
from evonet.training import worker
from evonet.training.worker import Done, Job

_LOG = "EVONET_TRAINING_LOG"
_train, _train_one = worker.train, worker._train_one


def logged_train(job: Job, requests: Sequence[Request], in_time: bool = False) -> list[Done]:
    """Train a portion in this process, whose trainings are written down from now on."""
    worker._train_one = _logged_training
    return _train(job, requests, in_time)


def _logged_training(trainers: Any, job: Job, request: Request) -> Evaluation:
    _write("begin", request)
    evaluation = _train_one(trainers, job, request)
    _write("end", request)
    return evaluation


def _write(what: str, request: Request) -> None:
    # One write of a short line to a file that is only added to: lines of processes do not mix.
    with open(os.environ[_LOG], "ab", buffering=0) as log:
        log.write(f"{what} {request.genome.key} {request.seed}\n".encode())
