"""Part processors: the same seeds on other processors, whose instructions add in another order."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bench.sessions import place_of, start
from bench.table import Cell, Table
from evonet.evaluation import Evaluation
from evonet.store.record import RunRecord

_COLUMNS = (
    "processor",
    "data",
    "trainings of both",
    "equal to the last bit",
    "first loss differs by",
    "scores differ by",
    "at most",
    "winner's test score, here",
    "there",
)
_DATA = ("digits", "diabetes")


@dataclass(frozen=True)
class _Processor:
    """One that this machine can play: its instructions are a part of this one's.

    Attributes:
        module: that is evonet.
        variables: what NumPy, Numba and OpenBLAS take it for.
    """

    module: str
    variables: Mapping[str, str]


def _older(numba: str, openblas: str, numpy_lacks: str, module: str) -> _Processor:
    names = {"NUMBA_CPU_NAME": numba, "NUMBA_CPU_FEATURES": "", "OPENBLAS_CORETYPE": openblas}
    return _Processor(module, MappingProxyType(names | {"NPY_DISABLE_CPU_FEATURES": numpy_lacks}))


_NEWEST = "AVX512_ICL AVX512_SPR"
PROCESSORS: Mapping[str, _Processor] = MappingProxyType(
    {
        "Intel of 2017 (AVX-512)": _older(
            "skylake-avx512", "SkylakeX", _NEWEST, "evonet"
        ),
        "Intel of 2013 (AVX2)": _older(
            "haswell", "Haswell", f"X86_V4 {_NEWEST}", "bench.older_evonet"
        ),
        "Intel of 2011 (AVX)": _older(
            "sandybridge", "Sandybridge", f"X86_V3 X86_V4 {_NEWEST}", "bench.older_evonet"
        ),
    }
)  # fmt: skip


def older_processors(generations: int) -> Table:
    """Search with the same seed on this processor and on those that it can play.

    Args:
        generations: of 24 candidates each.
    """
    rows: list[tuple[Cell, ...]] = []
    notes = (
        "Trainings of both: the same network with the same seed, given up on both or on neither. "
        "Histories part once a choice falls otherwise, so that these are fewer than all.",
        "First loss: that of the first epoch, the median of relative differences. Scores: of the "
        "validation part, the mean and the largest difference.",
    )
    with tempfile.TemporaryDirectory() as results:
        cache = {"EVONET_CACHE": str(Path(results) / "cache")}
        for data in _DATA:
            own = Path(results) / f"{data} here" / "run"
            here = _searched(own, data, generations, "evonet", {})
            for name, processor in PROCESSORS.items():
                run = Path(results) / f"{data} {name}" / "run"  # by itself: scores are shared
                how = processor.module, cache | dict(processor.variables)
                rows.append((name, data, *_compared(here, _searched(run, data, generations, *how))))
    return Table(f"processors: {generations} generations", _COLUMNS, tuple(rows), notes)


@dataclass(frozen=True)
class _Searched:
    """What a search came to: evaluations by score key, and the winner's test score."""

    evaluations: Mapping[str, Evaluation]
    test_score: float


def _searched(
    run: Path, data: str, generations: int, module: str, variables: Mapping[str, str]
) -> _Searched:
    flags = ("--data", data, "--generations", str(generations), "--population-size", "24")
    how = ("--offspring", "24", "--workers", "1", "--seed", "0", "--quiet")
    process = start(("evolve", *flags, *how, *place_of(run)), module, variables)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the search of {run.parent.name} failed: {said[-500:]}")
    with RunRecord(run) as record:
        found = {stored.score_key: stored.evaluation for stored in record.evaluations()}
        return _Searched(found, record.winners()[-1]["winner"]["test_score"])


def _compared(here: _Searched, there: _Searched) -> tuple[Cell, ...]:
    pairs = [
        (own, other)
        for key, own in here.evaluations.items()
        if (other := there.evaluations.get(key)) and own.ok and other.ok
        if own.dropped == other.dropped
    ]
    first = [(own.train_loss[0], other.train_loss[0]) for own, other in pairs]
    scores = [abs((own.score or 0.0) - (other.score or 0.0)) for own, other in pairs]
    return (
        len(pairs),
        sum(own.train_loss == other.train_loss for own, other in pairs),
        float(np.median([abs(a - b) / abs(a) for a, b in first])),
        float(np.mean(scores)),
        float(np.max(scores)),
        here.test_score,
        there.test_score,
    )
