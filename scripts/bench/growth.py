"""Part growth: how time and memory grow with candidates, widths, rows and features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.arithmetic import growth_against_work
from bench.processes import JobError, run_job
from bench.settings import Settings, Sizes, random_genomes, requests
from bench.table import Table
from evonet.genome import Genome, Layer

#: What the other axes stay at.
_CANDIDATES, _WIDTH, _ROWS, _FEATURES, _EPOCHS = 8, 64, 2_000, 20, 2
_GENERATIONS = "generations"  # the axis that is no row but a note: memory, one after the other
_COLUMNS = (
    "axis",
    "size",
    "candidates",
    "first s",
    "again s",
    "ms/candidate",
    "GFLOP",
    "ps/FLOP",
    "time/work growth",
    "peak MiB",
)


def growth(settings: Settings) -> Table:
    """Each axis is climbed step by step, in a process of its own unless everything is quick."""
    title = "growth: synthetic data, fused engine"
    sizes = settings.sizes
    axes = _axes(sizes)
    together = [list(axes)] if settings.quick else [[axis] for axis in axes]
    done: dict[str, list[dict[str, Any]]] = {}
    notes = []
    for names in together:
        points = [point for name in names for point in axes[name].values()]
        try:
            results = iter(run_job("train", {"points": points}).result["points"])
        except JobError as error:
            notes.append(f"{', '.join(names)}: {error}")
            continue
        done |= {name: [next(results) for _ in axes[name]] for name in names}
    if _GENERATIONS in done:
        (point,) = done[_GENERATIONS]
        notes.append(_memory_note(point["memory_mib"], sizes))
    rows = [
        row
        for axis in done
        if axis != _GENERATIONS
        for row in _rows(axis, list(axes[axis]), done[axis])
    ]
    notes += [
        f"Otherwise {_CANDIDATES} networks of {_WIDTH}-{_WIDTH} relu, Adam, batch 128, {_ROWS:,} "
        f"rows, {_FEATURES} features, {_EPOCHS} epochs; candidates are of the default space, 1 "
        "epoch.",
        "Again: everything warm, where the first time took under "
        f"{sizes.growth_again_below_seconds:g} s; figures are from it if there is one.",
        "Time/work growth: a step's factor in time over its factor in operations; far above 1 is "
        "a cliff.",
    ]
    raw = {axis: [_without_curves(point) for point in points] for axis, points in done.items()}
    return Table(title, _COLUMNS, tuple(rows), tuple(notes), raw)


def _axes(sizes: Sizes) -> dict[str, dict[int, dict[str, Any]]]:
    """The points of each axis by their size, and one that trains in generations."""
    most = max(sizes.growth_candidates)
    axes = {
        "candidates": {n: _point(random_genomes(n), epochs=1) for n in sizes.growth_candidates},
        "width": {width: _point(_alike(width)) for width in sizes.growth_widths},
        "rows": {n: _point(_alike(), rows=n) for n in sizes.growth_rows},
        "features": {n: _point(_alike(), features=n) for n in sizes.growth_features},
    }
    for point in (point for axis in axes.values() for point in axis.values()):
        point["again_below_seconds"] = sizes.growth_again_below_seconds
    generations = {
        **_point(random_genomes(most), epochs=1),
        "generation_size": sizes.growth_generation,
    }
    return axes | {_GENERATIONS: {most: generations}}


def _alike(width: int = _WIDTH) -> list[Genome]:
    """Networks that differ by a hair in their learning rate."""
    layers = (Layer(width, "relu"), Layer(width, "relu"))
    rates = [1e-3 * (1 + i / 100) for i in range(_CANDIDATES)]
    return [Genome(layers, "matched_normal", "adam", rate, 128) for rate in rates]


def _point(
    genomes: Sequence[Genome], rows: int = _ROWS, features: int = _FEATURES, epochs: int = _EPOCHS
) -> dict[str, Any]:
    return {
        "engine": "fused",
        "data": {"rows": rows, "features": features},
        "requests": requests(genomes),
        "budget": (epochs, epochs),
    }


def _rows(axis: str, steps: Sequence[int], points: Sequence[dict[str, Any]]) -> list[Any]:
    seconds = [point["again_seconds"] or point["seconds"] for point in points]
    growths = growth_against_work(seconds, [point["flops"] for point in points])
    return [
        (
            axis,
            step,
            len(point["evaluations"]),
            point["seconds"],
            point["again_seconds"],
            1e3 * time / len(point["evaluations"]),
            point["flops"] / 1e9,
            1e12 * time / point["flops"],
            factor,
            point["peak_mib"],
        )
        for step, point, time, factor in zip(steps, points, seconds, growths, strict=True)
    ]


def _memory_note(memory: Sequence[float | None], sizes: Sizes) -> str:
    named = {"first": 0, "second": 1, "middle": len(memory) // 2, "last": -1}
    parts = (f"{name} {memory[place] or 0:,.0f}" for name, place in named.items())
    return (
        f"Resident MiB after a generation, {max(sizes.growth_candidates):,} candidates in "
        f"generations of {sizes.growth_generation}: {', '.join(parts)}."
    )


def _without_curves(point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name != "evaluations"}
