"""Part machine: how much of what the machine can do goes into useful operations."""

from __future__ import annotations

from typing import Any

from bench.processes import run_job
from bench.settings import Settings, random_genomes, requests
from bench.table import Table
from evonet.genome import Genome, Layer

_ALWAYS = 1e9  # seconds: train again with everything warm, however long the first time took


def utilisation(settings: Settings) -> Table:
    """Useful operations a second of the fused engine over the best large matrix product."""
    title = "machine: useful float32 operations a second over the best large matrix product"
    sizes = settings.sizes
    small, large = sizes.machine_small, sizes.machine_large
    digits: dict[str, Any] = {"source": "digits"}
    genomes = {
        f"digits, {small} of the default space": (digits, random_genomes(small)),
        f"digits, {small} of 64-64, batch 32": (digits, [_uniform(64, 32)] * small),
    }
    notes = []
    if missing := settings.missing("fashion_mnist.npz"):
        notes.append(f"fashion: {missing}")
    else:
        fashion: dict[str, Any] = {
            "source": str(settings.data / "fashion_mnist.npz"),
            "rows": sizes.machine_rows,
        }
        genomes |= {
            f"fashion, {large} of the default space": (fashion, random_genomes(large)),
            f"fashion, {large} of 256-256, batch 256": (fashion, [_uniform(256, 256)] * large),
        }
    points = [
        {
            "engine": "fused",
            "data": data,
            "requests": _different(requests(some)),
            "budget": sizes.machine_budget,
            "again_below_seconds": _ALWAYS,
        }
        for data, some in genomes.values()
    ]
    best = run_job("best_product", {"sizes": sizes.machine_products}).result
    trained = run_job("train", {"points": points}).result
    rows = tuple(
        (
            name,
            point["seconds"],
            point["again_seconds"],
            point["flops"] / 1e9,
            point["flops"] / point["again_seconds"] / 1e9,
            point["flops"] / point["again_seconds"] / 1e9 / best["gflops"],
            point["needed_flops"] / point["again_seconds"] / 1e9 / best["gflops"],
        )
        for name, point in zip(genomes, trained["points"], strict=True)
    )
    products = ", ".join(f"{name} {rate:,.0f}" for name, rate in best["rates"].items())
    return Table(
        title,
        (
            "networks",
            "first s",
            "again s",
            "useful GFLOP",
            "GFLOP/s",
            "of the product",
            "... less input gradient",
        ),
        rows,
        (
            *notes,
            f"Best product {best['gflops']:,.0f} GFLOP/s ({products}).",
            "Useful: 6 operations per weight, row and epoch, 2 per validation row; from the second "
            "time, warm.",
            "Less input gradient: without the product of the first layer that nobody needs.",
        ),
        {"best_product": best, "points": [_without_curves(p) for p in trained["points"]]},
    )


def _uniform(units: int, batch_size: int) -> Genome:
    layer = Layer(units, "relu")
    return Genome((layer, layer), "matched_normal", "adam", 1e-3, batch_size)


def _different(records: list[tuple[dict[str, Any], int]]) -> list[tuple[dict[str, Any], int]]:
    """The same genomes, every one of them with a seed of its own."""
    return [(genome, seed ^ (place << 1)) for place, (genome, seed) in enumerate(records)]


def _without_curves(point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name != "evaluations"}
