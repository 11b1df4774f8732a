"""Trainings that are written down as they begin and end, in whatever process, and are recorded.

The file that EVONET_TRAINING_LOG names gets a line "begin GENOME SEED", "end GENOME SEED" or
"keep GENOME SEED" each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from evonet.evaluation import Evaluation, Request
from evonet.store.record import RunRecord
from evonet.store.rows import StoredEvaluation
from evonet.training import worker
from evonet.training.worker import Done, Job

_LOG = "EVONET_TRAINING_LOG"
_train, _train_one, _add = worker.train, worker._train_one, RunRecord.add_evaluation


def logged_train(job: Job, requests: Sequence[Request], in_time: bool = False) -> list[Done]:
    """Train a portion in this process, whose trainings are written down from now on."""
    worker._train_one = _logged_training
    return _train(job, requests, in_time)


def _logged_training(trainers: Any, job: Job, request: Request) -> Evaluation:
    _write("begin", request.genome.key, request.seed)
    evaluation = _train_one(trainers, job, request)
    _write("end", request.genome.key, request.seed)
    return evaluation


def logged_add(record: RunRecord, stored: StoredEvaluation) -> None:
    """Take an evaluation into a record, and write down that it is in."""
    _add(record, stored)
    _write("keep", stored.evaluation.genome_key, stored.evaluation.seed)


def _write(what: str, genome: str, seed: int) -> None:
    # One write of a short line to a file that is only added to: lines of processes do not mix.
    with open(os.environ[_LOG], "ab", buffering=0) as log:
        log.write(f"{what} {genome} {seed}\n".encode())
