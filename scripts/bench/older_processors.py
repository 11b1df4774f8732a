"""Part processors: the same seeds on other processors, whose instructions add in another order."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from llvmlite import binding

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
    """One whose instructions are some of this one's.

    Attributes:
        has: the feature that this one needs to play it, as LLVM names it.
        numba: its name, as Numba knows it.
        openblas: the same for OpenBLAS.
        numpy_lacks: how the names begin of what NumPy must not use.
        module: that is evonet.
    """

    has: str
    numba: str
    openblas: str
    numpy_lacks: tuple[str, ...]
    module: str

    @property
    def variables(self) -> dict[str, str]:
        """By which NumPy, Numba and OpenBLAS take this processor for it."""
        core = np._core if hasattr(np, "_core") else np.core
        names = core._multiarray_umath.__cpu_dispatch__
        return {
            "NUMBA_CPU_NAME": self.numba,
            "NUMBA_CPU_FEATURES": "",
            "OPENBLAS_CORETYPE": self.openblas,
            "NPY_DISABLE_CPU_FEATURES": " ".join(
                name for name in names if name.startswith(self.numpy_lacks)
            ),
        }


#: NumPy's names are those of instructions, and since 2.4 of levels too.
_OF_2019 = ("AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR")
_OF_2017, _OF_2013 = ("AVX512", "X86_V4"), ("AVX2", "FMA3", "X86_V3")
PROCESSORS: Mapping[str, _Processor] = MappingProxyType(
    {
        "Intel of 2017 (AVX-512)": _Processor(
            "avx512f", "skylake-avx512", "SkylakeX", _OF_2019, "evonet"
        ),
        "Intel of 2013 (AVX2)": _Processor(
            "avx2", "haswell", "Haswell", _OF_2017, "bench.older_evonet"
        ),
        "Intel of 2011 (AVX)": _Processor(
            "avx", "sandybridge", "Sandybridge", (*_OF_2017, *_OF_2013), "bench.older_evonet"
        ),
    }
)


def playable() -> dict[str, _Processor]:
    """Those that this processor can play."""
    features = binding.get_host_cpu_features()
    return {name: p for name, p in PROCESSORS.items() if features.get(p.has)}


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
        *(f"{name}: this processor cannot play it." for name in PROCESSORS.keys() - playable()),
    )
    with tempfile.TemporaryDirectory() as results:
        cache = {"EVONET_CACHE": str(Path(results) / "cache")}
        for data in _DATA:
            own = Path(results) / f"{data} here" / "run"
            here = _searched(own, data, generations, "evonet", {})
            for name, processor in playable().items():
                run = Path(results) / f"{data} {name}" / "run"  # by itself: scores are shared
                how = processor.module, cache | processor.variables
                rows.append((name, data, *_compared(here, _searched(run, data, generations, *how))))
    return Table(f"processors: {generations} generations", _COLUMNS, tuple(rows), notes)


@dataclass(frozen=True)
class _Searched:
    """What a search came to: evaluations by score key, and the winner's test score."""

    evaluations: Mapping[str, Evaluation]
    test_score: float | None


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
        return _Searched(found, record.winners()[-1].winner.test_score)


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
