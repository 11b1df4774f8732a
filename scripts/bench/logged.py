"""evonet as it is, but that it writes down every training of the search as it begins and ends.

    EVONET_TRAINING_LOG=FILE python -m bench.logged evolve --data iris

The file gets a line "begin GENOME SEED" or "end GENOME SEED" each, from whatever process trains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from evonet.__main__ import main
from evonet.evaluation import Evaluation, Request
from evonet.training import engine, worker
from evonet.training.worker import Job

_LOG = "EVONET_TRAINING_LOG"
_train_one = worker._train_one


def logged_portion(
    job: Job, number: int, requests: Sequence[Request]
) -> tuple[int, list[tuple[Request, Evaluation]]]:
    """Train a portion in this process, whose trainings are written down from now on."""
    worker._train_one = _logged_training
    return worker.train_numbered(job, number, requests)


def _logged_training(trainers: Any, job: Job, request: Request) -> Evaluation:
    _write("begin", request)
    evaluation = _train_one(trainers, job, request)
    _write("end", request)
    return evaluation


def _write(what: str, request: Request) -> None:
    # One write of a short line to a file that is only added to: lines of processes do not mix.
    with open(os.environ[_LOG], "ab", buffering=0) as log:
        log.write(f"{what} {request.genome.key} {request.seed}\n".encode())


if __name__ == "__main__":
    engine.train_numbered = logged_portion  # type: ignore[attr-defined]
    main()
