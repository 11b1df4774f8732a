"""Parts digits, fashion and adult: candidates a minute of whole processes, side by side."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

from bench.arithmetic import per_minute
from bench.processes import Finished, JobError, run_job
from bench.settings import SEED, Settings, random_genomes, requests
from bench.table import Cell, Table

_COLUMNS = (
    "way",
    "candidates",
    "trained",
    "process s",
    "training s",
    "candidates/min",
    "cold fused / it",
    "warm fused / it",
    "median score",
    "peak MiB",
)


@dataclass(frozen=True)
class Way:
    """A way to train candidates.

    Attributes:
        name: its row.
        job: the job of ``child.JOBS`` that does it.
        arguments: of the job.
        trained: how many candidates the job trains.
        environment: variables to set.
        absent: why it cannot be measured here, if it cannot.
    """

    name: str
    job: str
    arguments: Mapping[str, Any]
    trained: int
    environment: Mapping[str, str] = field(default_factory=dict)
    absent: str | None = None


@dataclass(frozen=True)
class Measured:
    """What one way did."""

    way: Way
    seconds: float
    loop_seconds: float
    scores: Sequence[float | None]
    peak_mib: float


def digits(settings: Settings) -> Table:
    """Random candidates on digits: the engines, Keras Tuner and scikit-learn."""
    sizes = settings.sizes
    genomes, budget = random_genomes(sizes.digits), sizes.digits_budget
    data = {"source": "digits"}
    engine, brief = partial(_engine, data=data, budget=budget), _left_out(settings)
    with _cache(settings) as environment:
        fused = partial(engine, "fused", genomes)
        ways = [
            fused("fused, cold cache", environment=environment, absent=brief),
            fused("fused, warm cache", environment=environment),
            engine("keras", genomes[: sizes.digits_keras], "serial Keras"),
            Way(
                "Keras Tuner random",
                "keras_tuner",
                {
                    "data": data,
                    "count": sizes.digits_keras_tuner,
                    "budget": budget,
                    "seed": SEED,
                },
                sizes.digits_keras_tuner,
                absent=None if find_spec("keras_tuner") else "skipped: not installed",
            ),
            Way(
                "scikit-learn random",
                "scikit_learn",
                {"data": data, "requests": requests(genomes), "budget": budget},
                len(genomes),
            ),
        ]
        epochs, patience = budget
        title = f"digits: {len(genomes)} candidates, {epochs} epochs, patience {patience}"
        return _compare(title, ways, len(genomes))


def fashion(settings: Settings) -> Table:
    """Fused against serial Keras on Fashion-MNIST."""
    sizes = settings.sizes
    data = {"source": str(settings.data / "fashion_mnist.npz"), "rows": sizes.fashion_rows}
    missing = settings.missing("fashion_mnist.npz")
    return _two_engines(settings, "fashion", data, sizes.fashion, sizes.fashion_keras, missing)


def adult(settings: Settings) -> Table:
    """Fused against serial Keras on adult."""
    sizes = settings.sizes
    file = "tabular/adult.csv.gz"
    data = {"source": str(settings.data / file), "target": "income", "rows": sizes.adult_rows}
    missing = settings.missing(file)
    return _two_engines(settings, "adult", data, sizes.adult, sizes.adult_keras, missing)


@contextmanager
def _cache(settings: Settings) -> Iterator[dict[str, str]]:
    """An environment without compiled code; in the quick version the one that there is."""
    if settings.quick:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        yield {"EVONET_CACHE": folder}


def _left_out(settings: Settings) -> str | None:
    return "left out of the quick version" if settings.quick else None


def _two_engines(
    settings: Settings,
    name: str,
    data: Mapping[str, Any],
    count: int,
    n_keras: int,
    missing: str | None,
) -> Table:
    epochs, patience = budget = settings.sizes.brief_budget
    rows = f"{data['rows']} training rows, " if data["rows"] else ""
    title = f"{name}: {rows}{count} candidates, {epochs} epochs, patience {patience}"
    if missing:
        return Table(title, notes=(missing,))
    genomes = random_genomes(count)
    engine, brief = partial(_engine, data=data, budget=budget), _left_out(settings)
    with _cache(settings) as environment:
        ways = [
            engine("fused", genomes, "fused, cold cache", environment=environment, absent=brief),
            engine("fused", genomes, "fused, warm cache", environment=environment),
            engine("keras", genomes[:n_keras], "serial Keras"),
        ]
        return _compare(title, ways, count)


def _engine(
    engine: str,
    genomes: Sequence[Any],
    name: str,
    data: Mapping[str, Any],
    budget: tuple[int, int],
    environment: Mapping[str, str] | None = None,
    absent: str | None = None,
) -> Way:
    """Training some genomes with one of evonet's engines."""
    point = {"engine": engine, "data": data, "requests": requests(genomes), "budget": budget}
    return Way(name, "train", {"points": [point]}, len(genomes), environment or {}, absent)


def _compare(title: str, ways: Sequence[Way], count: int) -> Table:
    """Run every way, in their order; one that cannot run is a sentence below the table."""
    done, notes = [], []
    for way in ways:
        if way.absent:
            notes.append(f"{way.name}: {way.absent}")
            continue
        try:
            done.append(_measured(way, run_job(way.job, way.arguments, way.environment)))
            said = f"  {way.name}: {way.trained} trained, process {done[-1].seconds:.0f} s"
            print(said, file=sys.stderr, flush=True)
        except JobError as error:
            notes.append(f"{way.name}: {error}")
    rates = {m.way.name: per_minute(m.seconds, m.loop_seconds, m.way.trained, count) for m in done}
    cold, warm = (rates.get(f"fused, {cache} cache") for cache in ("cold", "warm"))
    return Table(
        title,
        _COLUMNS,
        tuple(_row(m, rates[m.way.name], count, cold, warm) for m in done),
        (*notes, "Where fewer were trained, the process is extrapolated by its training seconds."),
        [
            {
                "way": m.way.name,
                "process_seconds": m.seconds,
                "loop_seconds": m.loop_seconds,
                "scores": m.scores,
            }
            for m in done
        ],
    )


def _row(
    m: Measured, rate: float, count: int, cold: float | None, warm: float | None
) -> tuple[Cell, ...]:
    scores = [score for score in m.scores if score is not None]
    return (
        m.way.name,
        count,
        m.way.trained,
        m.seconds,
        m.loop_seconds,
        rate,
        cold / rate if cold else None,
        warm / rate if warm else None,
        median(scores) if scores else None,
        m.peak_mib,
    )


def _measured(way: Way, finished: Finished) -> Measured:
    result = finished.result
    if way.job == "train":
        (point,) = result["points"]
        scores = [evaluation["score"] for evaluation in point["evaluations"]]
        loop = point["seconds"]
    else:
        scores, loop = result["scores"], result["loop_seconds"]
    return Measured(way, finished.seconds, loop, scores, finished.peak_mib)
