"""Which trainings run where: pure, cheap, and able to explain itself.

On a CPU a network trains alone, in its own shape: there is nothing to pad. What is planned is how
many processes fit into the memory, and the order, longest first, in portions that each process
takes when it is free (Graham 1969, list scheduling). On a GPU networks train side by side: those
of one *kind*, whose depth and width are padded to the same powers of two, share groups, and a
group is a portion.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from evonet.evaluation import Budget, Request
from evonet.genome import Genome
from evonet.training.costs import PER_TRAINING, Rows, seconds_per_epoch

_MIB = 2**20
#: Bytes of a process before it trains: Python, Numba, pandas.
_PROCESS_BYTES = 350 * _MIB
#: Float32 numbers per parameter: weights, gradient, two moments, those of the best epoch, and one
#: copy in passing.
_NUMBERS_PER_PARAMETER = 6
#: Rows at a time where nothing is learned, on a CPU and in groups: enough for fast products, few
#: enough for the cache. Untuned.
ROWS_AT_ONCE, _GROUP_ROWS_AT_ONCE = 128, 1024
#: Times the predicted seconds that a training may take, and the fewest and most seconds, since
#: timers have a limit too. Untuned.
_TIMES_PREDICTED, _LEAST_ALLOWED, _MOST_ALLOWED = 50, 600.0, 1e6
#: Where Linux says how much memory a container has.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
#: Bytes of the optimizer's coefficients in a step, and of what it takes to compute them.
_BYTES_PER_STEP = 150
#: Share of the memory that trainings may take. Untuned.
_MEMORY_SHARE = 0.8
#: Seconds a portion should last: long against handing it over, short against losing it. Untuned.
_PORTION_SECONDS, _MOST_IN_PORTION = 1.0, 16
#: Least width that networks are padded to, and most networks and bytes of a group. Untuned.
_NARROWEST, _MOST_IN_GROUP, _GROUP_BYTES = 32, 256, 8 * 2**30
#: Fewest places of a packed group: fewer take a GPU as long, and every number is compiled. Untuned.
_FEWEST_PACKED = 8


class Kind(NamedTuple):
    """What networks that share a group have in common; few, since each is compiled.

    Attributes:
        depth: hidden layers, padded to a power of two; 0 for a linear model.
        width: units of each of them, padded to a power of two.
        batch_size: rows per step.
        skips: whether any layer reads more than the layer before it.
    """

    depth: int
    width: int
    batch_size: int
    skips: bool


def kind_of(genome: Genome) -> Kind:
    """The kind of groups that a network can be in."""
    depth = _power_of_two(len(genome.layers)) if genome.layers else 0
    width = _power_of_two(max([_NARROWEST, *(layer.units for layer in genome.layers)]))
    skips = any(layer.skip == "concat" for layer in genome.layers)
    return Kind(depth, width, genome.batch_size, skips)


def padded_fan_ins(kind: Kind, n_inputs: int) -> list[int]:
    """What each layer of a padded network receives: the hidden layers and, last, the output."""
    if kind.skips:  # there is room for everything before it
        return [n_inputs + i * kind.width for i in range(kind.depth + 1)]
    return [n_inputs, *[kind.width] * kind.depth]


@dataclass(frozen=True)
class Planned:
    """One training: its request, and what it will take.

    Attributes:
        request: the training.
        parameters: trainable parameters of its network.
        padded: numbers that are trained in their place.
        seconds: predicted, if no epoch is saved by early stopping; of a CPU's core.
        bytes: predicted memory, the data apart.
    """

    request: Request
    parameters: int
    padded: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Plan:
    """How a list of trainings is run.

    Attributes:
        device: "cpu" or "gpu".
        portions: what a process takes at a time, in the order in which they are handed out; on a
            GPU these are groups.
        workers: processes that train at the same time, a core each; or GPUs.
        too_large: trainings that do not fit into the memory.
        memory: bytes that the trainings may take.
        process_bytes: of each process before it trains: libraries and data.
    """

    device: str
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
    def seconds(self) -> float | None:
        """Predicted seconds of training; None for a GPU, whose speed is not known."""
        if self.device == "gpu":
            return None
        return sum(training.seconds for training in self.planned) / self.workers

    def to_dict(self) -> dict[str, Any]:
        """The plan for people and scripts, in plain values."""
        by_kind: dict[Kind | int, list[Planned]] = {}
        for training in (*self.planned, *self.too_large):
            genome = training.request.genome
            kind = kind_of(genome) if self.device == "gpu" else genome.batch_size
            by_kind.setdefault(kind, []).append(training)
        return {
            "device": self.device,
            "kinds": [self._row(kind, by_kind[kind]) for kind in sorted(by_kind)],
            "portions": len(self.portions),
            "workers": self.workers,
            "memory_mib": round(self.memory / _MIB) if math.isfinite(self.memory) else None,
            "process_mib": round(self.process_bytes / _MIB),
            "seconds": self.seconds,
            "too_large": [
                {
                    "genome": str(training.request.genome),
                    "key": training.request.genome.key,
                    "memory_mib": round((self.process_bytes + training.bytes) / _MIB),
                }
                for training in self.too_large
            ],
        }

    def _row(self, kind: Kind | int, trainings: Sequence[Planned]) -> dict[str, Any]:
        """What the trainings of one kind, on a CPU of one batch size, come to."""
        parameters = sum(training.parameters for training in trainings)
        return {
            "batch_size": kind.batch_size if isinstance(kind, Kind) else kind,
            "depth": kind.depth if isinstance(kind, Kind) else None,
            "width": kind.width if isinstance(kind, Kind) else None,
            "skips": kind.skips if isinstance(kind, Kind) else None,
            "networks": len(trainings),
            "parameters": parameters,
            "padding": 1 - parameters / sum(training.padded for training in trainings),
            "largest_mib": round(max(training.bytes for training in trainings) / _MIB),
            "seconds": sum(t.seconds for t in trainings) if self.device == "cpu" else None,
        }


def make_plan(
    requests: Sequence[Request],
    rows: Rows,
    budget: Budget,
    workers: int,
    memory: float = float("inf"),
    device: str = "cpu",
    seconds_wanted: float = float("inf"),
) -> Plan:
    """Plan some trainings.

    Args:
        requests: what to train.
        rows: the data set.
        budget: how long each may train.
        workers: most processes at the same time, or GPUs.
        memory: bytes of the machine.
        device: "cpu" or "gpu".
        seconds_wanted: where all of them take longer on a CPU, the shortest come first, so that
            many are done when time is up.

    Returns:
        A plan in which every request occurs once, in a portion or in ``too_large``.
    """
    memory *= _MEMORY_SHARE
    process = _bytes_before_training(rows)
    planned = [_planned(request, rows, budget, device) for request in requests]
    room = memory - process
    fits = [training for training in planned if training.bytes <= room]
    largest = max((training.bytes for training in fits), default=0)
    fitting = int(min(workers, memory // (process + largest)))
    portions = _groups(fits) if device == "gpu" else _portions(fits, workers)
    seconds = sum(training.seconds for training in fits) / max(1, fitting)
    if device == "cpu" and seconds > seconds_wanted:
        portions.reverse()
    return Plan(
        device,
        tuple(portions),
        max(1, min(workers if device == "gpu" else fitting, len(portions))),
        tuple(training for training in planned if training.bytes > room),
        memory,
        process,
    )


def places_in_group(n_networks: int) -> int:
    """Places of a group of so many networks: a power of two, so that few sizes are compiled."""
    return _power_of_two(n_networks)


def places_when_packed(n_networks: int) -> int:
    """Places of a group that so many networks are packed into, out of a larger one."""
    return max(_FEWEST_PACKED, _power_of_two(n_networks)) if n_networks else 0


def rows_at_once(n_validation: int) -> int:
    """Rows of the validation part that a group takes at a time."""
    return min(n_validation, _GROUP_ROWS_AT_ONCE)


def seconds_allowed(genome: Genome, rows: Rows, budget: Budget, timeout: float | None) -> float:
    """How long a training in another process may take, on all folds, before that is ended.

    Args:
        genome: what is trained.
        rows: the data set.
        budget: how long it may train.
        timeout: seconds that it may take on a fold; if None, far more than predicted, and ten
            minutes at least: who takes longer hangs, and is not just on a machine that is busy.
    """
    if timeout is not None:
        return timeout * rows.n_folds
    predicted = rows.n_folds * budget.epochs * seconds_per_epoch(genome, rows)
    return min(max(_LEAST_ALLOWED, _TIMES_PREDICTED * predicted), _MOST_ALLOWED)


def bytes_of_process(request: Request, rows: Rows, budget: Budget) -> int:
    """Predicted memory of a process that trains a network on a CPU: libraries, data, training."""
    return _bytes_before_training(rows) + _planned(request, rows, budget, "cpu").bytes


def bytes_for_processes() -> float:
    """Memory of this machine that all processes which train may take together."""
    return _MEMORY_SHARE * memory_bytes()


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_processes() -> int:
    """Processes that the memory suffices for, before they have data."""
    share = bytes_for_processes() / _PROCESS_BYTES
    return max(1, int(min(share, 10**6)))


def memory_bytes() -> float:
    """Memory that this process may use: the machine's, or its container's where that is less.

    Infinite where the system does not tell.
    """
    try:
        physical = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        physical = math.inf
    return min([physical, *_container_limits()])


def _container_limits() -> Iterator[float]:
    """Bytes that control groups allow on Linux, of version 2 and of version 1."""
    for file in _LIMITS:
        with suppress(OSError, ValueError):  # none, or the word max
            yield float(int(Path(file).read_text()))


def _bytes_before_training(rows: Rows) -> int:
    """Of a process: libraries and data."""
    n_rows = rows.n_folds * (rows.n_train + rows.n_validation)
    return _PROCESS_BYTES + 4 * n_rows * (rows.n_inputs + 2)


def _planned(request: Request, rows: Rows, budget: Budget, device: str) -> Planned:
    genome = request.genome
    epochs = budget.epochs * seconds_per_epoch(genome, rows)
    seconds = rows.n_folds * (PER_TRAINING + epochs)
    parameters = genome.parameter_count(rows.n_inputs, rows.n_outputs)
    fan_ins: Sequence[int] = genome.fan_ins(rows.n_inputs)
    units = [layer.units for layer in genome.layers]
    padded = parameters
    if device == "gpu":
        kind = kind_of(genome)
        fan_ins, units = padded_fan_ins(kind, rows.n_inputs), [kind.width] * kind.depth
        padded = sum((n + 3) * m for n, m in zip(fan_ins, [*units, rows.n_outputs], strict=True))
    n_rows = rows_per_pass(genome.batch_size, rows.n_train)
    if device == "gpu":
        n_rows = max(genome.batch_size, rows_at_once(rows.n_validation))
    passes = n_rows * (sum(fan_ins) + 4 * sum(units))
    outputs = 2 * rows.n_validation * rows.n_outputs
    n_steps = budget.epochs * -(-rows.n_train // genome.batch_size)
    numbers = _NUMBERS_PER_PARAMETER * padded + passes + outputs
    return Planned(request, parameters, padded, seconds, 4 * numbers + _BYTES_PER_STEP * n_steps)


def rows_per_pass(batch_size: int, n_train: int) -> int:
    """Rows that the buffers of a training on a CPU have room for."""
    return max(min(batch_size, n_train), ROWS_AT_ONCE)


def _groups(planned: Sequence[Planned]) -> list[tuple[Planned, ...]]:
    """Groups of one kind each, the largest first; members that train alike stand together."""
    by_kind: dict[Kind, list[Planned]] = {}
    for training in sorted(planned, key=lambda p: -p.seconds):
        by_kind.setdefault(kind_of(training.request.genome), []).append(training)
    groups = []
    for kind in sorted(by_kind, reverse=True):
        trainings = by_kind[kind]
        largest = max(training.bytes for training in trainings)
        room = max(1, int(_GROUP_BYTES // largest))
        size = min(_MOST_IN_GROUP, 1 << (room.bit_length() - 1))
        groups += [tuple(trainings[i : i + size]) for i in range(0, len(trainings), size)]
    return groups


def _portions(planned: Sequence[Planned], workers: int) -> list[tuple[Planned, ...]]:
    """Portions of trainings, longest first; the last ones are short, so that no worker waits."""
    share = sum(training.seconds for training in planned) / (4 * workers)
    most = min(_PORTION_SECONDS, share)
    portions: list[list[Planned]] = []
    for training in sorted(planned, key=lambda p: -p.seconds):
        seconds = sum(t.seconds for t in portions[-1]) if portions else 0.0
        if portions and seconds + training.seconds <= most and len(portions[-1]) < _MOST_IN_PORTION:
            portions[-1].append(training)
        else:
            portions.append([training])
    return list(map(tuple, portions))


def _power_of_two(n: int) -> int:
    """The smallest one that is not below n."""
    return 1 << (n - 1).bit_length()
