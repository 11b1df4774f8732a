"""What a training costs on this machine, and of what: the profile behind the fused trainer.

Run ``python scripts/profile_training.py`` on an idle machine. It trains networks of several shapes
and random ones of the default space on one thread, one epoch apart from what a training costs
once, and prints for each of the shapes: microseconds a step, and useful operations a second as a
share of the best float32 product of this machine. Then what the seconds of an epoch are made of:
the planner's model (``evonet/training/costs.py``) fitted to all of them by non-negative least
squares, its constants, and the share of each of its terms.

The profile behind the last decision: with products by OpenBLAS, which rearranges both factors of
each, 256-256-256 at a batch of 16 came to 0.32 of the best product and 64-64 at 32 to 0.33; with
products in tiles (products.py) to 0.55 and 0.46, on the same two cores (Zen 3) in one hour.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.genome.space import SearchSpace
from evonet.training.costs import Rows, costs_of
from evonet.training.products import blas
from evonet.training.trainer import Trainer

_SHAPES = [(16, 24), (64,), (64, 64), (64,) * 6, (128, 128, 128), (256, 256, 256), (512, 512)]
_BATCH_SIZES = (16, 32, 128)
_N_RANDOM, _EPOCHS, _REPEATS = 60, 4, 3


def main() -> None:
    """Measure, print, fit."""
    blas()
    with threadpool_limits(1):
        best = best_product()
        print(f"best product on one thread: {best / 1e9:.0f} GFLOP/s")
        data = _with_random_classes(load_dataset(make_config({"data": "digits"})))
        rows = Rows(data.n_inputs, data.target.n_outputs, len(data.train), len(data.validation))
        shapes = [
            Genome(_layers(widths), "matched_normal", "adam", 1e-3, size)
            for size in _BATCH_SIZES
            for widths in _SHAPES
        ]
        space, rng = SearchSpace.default(), np.random.default_rng(0)
        genomes = shapes + [space.sample(rng) for _ in range(_N_RANDOM)]
        Trainer(data, "sparse_categorical_crossentropy", Budget(1, 1)).fit(genomes[0], 0)
        seconds = np.asarray([epoch_seconds(data, genome) for genome in genomes])
    print(f"{'hidden units':>22} {'batch':>6} {'us/step':>8} {'of best':>8}")
    for genome, epoch in zip(shapes, seconds, strict=False):
        name = "-".join(str(layer.units) for layer in genome.layers)
        n_steps = -(-rows.n_train // genome.batch_size)
        share = useful_operations(genome, rows) / epoch / best
        print(f"{name:>22} {genome.batch_size:>6} {1e6 * epoch / n_steps:>8.0f} {share:>8.2f}")
    costs = np.asarray([list(costs_of(genome, rows)) for genome in genomes])
    model, _ = nnls(costs / seconds[:, None], np.ones(len(seconds)))  # relative errors count
    error = costs @ model / seconds - 1
    parts = (costs * model).sum(axis=0) / (costs @ model).sum()
    names = ("multiply-add", "update", "unit and row", "layer and step")
    for name, constant, part in zip(names, model, parts, strict=True):
        print(f"{name:>16}: {constant:.2g} s, {part:.0%} of all epochs")
    print(f"the model's error: median {np.median(np.abs(error)):.0%}, worst {error.max():+.0%}")


def best_product(n: int = 1024) -> float:
    """Floating-point operations a second of a large product."""
    a = np.random.default_rng(0).random((n, n), np.float32)
    times = []
    for _ in range(8):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * n**3 / min(times)


def useful_operations(genome: Genome, rows: Rows) -> int:
    """Operations of an epoch's products: two each, thrice forward and back, once to validate."""
    units = [*(layer.units for layer in genome.layers), rows.n_outputs]
    weights = sum(n * m for n, m in zip(genome.fan_ins(rows.n_inputs), units, strict=True))
    return 2 * weights * (3 * rows.n_train + rows.n_validation)


def epoch_seconds(data: Dataset, genome: Genome) -> float:
    """Median seconds of an epoch: of a training with many, less one with a single one."""
    trainers = [
        Trainer(data, "sparse_categorical_crossentropy", Budget(e, e)) for e in (1, _EPOCHS)
    ]
    differences = []
    for repeat in range(_REPEATS):
        times = []
        for trainer in trainers:
            started = time.perf_counter()
            trainer.fit(genome, repeat)
            times.append(time.perf_counter() - started)
        differences.append(times[1] - times[0])
    return statistics.median(differences) / (_EPOCHS - 1)


def _layers(widths: tuple[int, ...]) -> tuple[Layer, ...]:
    return tuple(Layer(units, "gelu", 0.1) for units in widths)


def _with_random_classes(data: Dataset) -> Dataset:
    """The data set with random classes, so that no training stops early."""
    rng = np.random.default_rng(0)

    def shuffled(part: Part) -> Part:
        return replace(part, y=rng.permutation(part.y))

    return replace(data, train=shuffled(data.train), validation=shuffled(data.validation))


if __name__ == "__main__":
    main()
