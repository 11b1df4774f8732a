"""Which trainings run where: pure, cheap, and able to explain itself.

A training of one network does not wait for others, so that there are no groups to compose on a
CPU: what is planned is which programs have to be compiled (one for each batch size and capacity),
how many processes fit into the memory, and the order, longest first, in portions that each process
takes when it is free (Graham 1969, list scheduling).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evonet.evaluation import Budget, Request
from evonet.training.tiles import TILE, Capacity, Layout, blocks_of

#: Seconds of one core: per multiply-add of a product, per tile and step, and per block and step.
#: By hand, from a few steps on an AMD EPYC at 105 GFLOP/s a core; scripts/profile_training.py fits
#: them to the machine it runs on.
_PER_PRODUCT, _PER_TILE, _PER_BLOCK, _PER_STEP = 5e-11, 6e-6, 12e-6, 25e-6
#: Seconds to compile a program, and to load one from disk.
COMPILE_SECONDS, LOAD_SECONDS = 8.0, 3.0
_MIB = 2**20
#: Bytes of a process before it trains: Python, Keras and its backend.
_PROCESS_BYTES = 700 * _MIB
#: Share of the memory that trainings may take.
_MEMORY_SHARE = 0.8
#: Seconds a portion should last: long against handing it over, short against losing it.
_PORTION_SECONDS, _MOST_IN_PORTION = 1.0, 16


@dataclass(frozen=True)
class Rows:
    """The data set, as far as a plan depends on it."""

    n_inputs: int
    n_outputs: int
    n_train: int
    n_validation: int


@dataclass(frozen=True)
class Planned:
    """One training: its request, its program, and what it will take.

    Attributes:
        request: the training.
        batch_size: rows per step, which with the capacity decides the program.
        capacity: room for the network in that program.
        seconds: predicted, if no epoch is saved by early stopping.
        bytes: predicted memory, the data apart.
        tiles: tiles of weights.
        padding: share of the tiles that holds no weight.
    """

    request: Request
    batch_size: int
    capacity: Capacity
    seconds: float
    bytes: int
    tiles: int
    padding: float

    @property
    def program(self) -> tuple[int, Capacity]:
        """Trainings with equal programs share compiled code."""
        return self.batch_size, self.capacity


@dataclass(frozen=True)
class Plan:
    """How a list of trainings is run.

    Attributes:
        portions: what a process takes at a time, in the order in which they are handed out.
        workers: processes that train at the same time.
        too_large: trainings that do not fit into the memory.
        memory: bytes that the trainings may take.
        process_bytes: of each process before it trains: libraries and data.
    """

    portions: tuple[tuple[Planned, ...], ...]
    workers: int
    too_large: tuple[Planned, ...]
    memory: float
    process_bytes: int

    @property
    def planned(self) -> tuple[Planned, ...]:
        """All trainings that are run."""
        return tuple(training for portion in self.portions for training in portion)

    @property
    def programs(self) -> dict[tuple[int, Capacity], tuple[Planned, ...]]:
        """The trainings of each program."""
        programs: dict[tuple[int, Capacity], tuple[Planned, ...]] = {}
        for training in self.planned:
            programs[training.program] = (*programs.get(training.program, ()), training)
        return dict(sorted(programs.items()))

    @property
    def seconds(self) -> float:
        """Predicted seconds of training, compilation apart."""
        return sum(training.seconds for training in self.planned) / self.workers

    def to_dict(self) -> dict[str, Any]:
        """The plan for people and scripts, in plain values."""
        n_programs = len(self.programs)
        trainings = sorted((*self.planned, *self.too_large), key=lambda t: t.program)
        return {
            "programs": [
                self._program_row(list(group))
                for _, group in groupby(trainings, key=lambda t: t.program)
            ],
            "workers": self.workers,
            "memory_mib": round(self.memory / _MIB) if math.isfinite(self.memory) else None,
            "train_seconds": self.seconds,
            "compile_seconds": COMPILE_SECONDS * n_programs,
            "load_seconds": LOAD_SECONDS * n_programs,
            "too_large": [
                {
                    "genome": str(training.request.genome),
                    "key": training.request.genome.key,
                    "memory_mib": round((self.process_bytes + training.bytes) / _MIB),
                }
                for training in self.too_large
            ],
        }

    def _program_row(self, trainings: Sequence[Planned]) -> dict[str, Any]:
        """What one program does; its trainings need the same memory, so all fit or none."""
        n_tiles = sum(training.tiles for training in trainings)
        return {
            "batch_size": trainings[0].batch_size,
            "capacity": trainings[0].capacity.tiles,
            "networks": len(trainings),
            "tiles": n_tiles,
            "padding": sum(training.padding * training.tiles for training in trainings) / n_tiles,
            "memory_mib": round((self.process_bytes + trainings[0].bytes) / _MIB),
            "seconds": sum(training.seconds for training in trainings),
            "fits": trainings[0].program in self.programs,
        }


def make_plan(
    requests: Sequence[Request],
    rows: Rows,
    budget: Budget,
    workers: int,
    memory: float = float("inf"),
) -> Plan:
    """Plan some trainings.

    Args:
        requests: what to train.
        rows: the data set.
        budget: how long each may train.
        workers: most processes at the same time.
        memory: bytes of the machine.

    Returns:
        A plan in which every request occurs once, in a portion or in ``too_large``.
    """
    memory *= _MEMORY_SHARE
    data = 4 * (rows.n_train + rows.n_validation) * (blocks_of(rows.n_inputs) * TILE + 2)
    planned = [_planned(request, rows, budget) for request in requests]
    room = memory - data - _PROCESS_BYTES
    fits = [training for training in planned if training.bytes <= room]
    largest = max((training.bytes for training in fits), default=0)
    fitting = int(min(workers, memory // (_PROCESS_BYTES + data + largest)))
    portions = _portions(fits, workers)
    return Plan(
        tuple(portions),
        max(1, min(fitting, len(portions))),
        tuple(training for training in planned if training.bytes > room),
        memory,
        _PROCESS_BYTES + data,
    )


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> float:
    """Physical memory of this machine; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return float("inf")


def _planned(request: Request, rows: Rows, budget: Budget) -> Planned:
    genome = request.genome
    layout = Layout(genome, rows.n_inputs, rows.n_outputs)
    capacity, size = layout.capacity, genome.batch_size
    n_steps = -(-rows.n_train // size)
    products = layout.n_tiles * TILE * TILE * (3 * rows.n_train + rows.n_validation)
    epoch = products * _PER_PRODUCT + n_steps * (
        _PER_STEP + layout.n_tiles * _PER_TILE + layout.n_blocks * _PER_BLOCK
    )
    passes = 4 * size * (blocks_of(rows.n_inputs) + capacity.blocks) * TILE
    weights = 6 * capacity.tiles * TILE * TILE
    return Planned(
        request,
        size,
        capacity,
        budget.epochs * epoch,
        4 * (passes + weights),
        layout.n_tiles,
        layout.padding,
    )


def _portions(planned: Sequence[Planned], workers: int) -> list[tuple[Planned, ...]]:
    """Portions of trainings with one program each, programs in turn, longest first."""
    share = sum(training.seconds for training in planned) / (4 * workers)
    most = min(_PORTION_SECONDS, share)
    by_program: dict[tuple[int, Capacity], list[list[Planned]]] = {}
    for training in sorted(planned, key=lambda p: -p.seconds):
        portions = by_program.setdefault(training.program, [])
        last = portions[-1] if portions else None
        seconds = sum(t.seconds for t in last) if last else 0.0
        if last and seconds + training.seconds <= most and len(last) < _MOST_IN_PORTION:
            last.append(training)
        else:
            portions.append([training])
    queues = sorted(by_program.values(), key=lambda q: -sum(t.seconds for p in q for t in p))
    turns = max(map(len, queues), default=0)
    return [tuple(queue[i]) for i in range(turns) for queue in queues if i < len(queue)]
