"""What a step of the fused program costs on this machine, and of what it is made.

Run ``python scripts/profile_training.py`` on an idle machine (``KERAS_BACKEND=jax`` for JAX). It
trains networks of several shapes on random rows, one epoch apart from what a call costs once, and
prints for each: microseconds a step, the share of the best float32 product of this machine, and
the share of padding. The last lines are the constants of the planner's model
(``evonet/training/plan.py``), fitted by non-negative least squares to the times measured here.

The profile behind the design: a program for one shape alone (whole matrices, no tables) ran 1.2
to 2.5 times as fast as this one, and took 1 to 2 s to compile for each of the some 200 shapes in
200 random genomes; the tables cost that factor and one compilation for each batch size.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.training import backend
from evonet.training.tiles import TILE, Layout
from evonet.training.trainer import Trainer

_SHAPES = [(64,), (64, 64), (64,) * 6, (128, 128, 128), (256, 256, 256), (512, 512), (16, 24)]
_BATCH_SIZES = (16, 32, 128)
_EPOCHS, _REPEATS = 12, 3


def main() -> None:
    """Measure, print, fit."""
    backend.limit_threads(1)
    best = best_product()
    print(
        f"best product on one thread: {best / 1e9:.0f} GFLOP/s, {backend.load_backend().device()}"
    )
    data = _rows(load_dataset(make_config({"data": "digits"})))
    features, times = [], []
    print(f"{'hidden units':>22} {'batch':>6} {'us/step':>8} {'of best':>8} {'padding':>8}")
    for size in _BATCH_SIZES:
        for widths in _SHAPES:
            layers = tuple(Layer(units, "gelu", 0.1) for units in widths)
            genome = Genome(layers, "matched_normal", "adam", 1e-3, size)
            seconds = epoch_seconds(data, genome)
            layout = Layout(genome, data.n_inputs, data.target.n_outputs)
            n_train, n_validation = len(data.train), len(data.validation)
            n_steps = -(-n_train // size)
            weights = genome.parameter_count(data.n_inputs, data.target.n_outputs)
            share = weights * (6 * n_train + 2 * n_validation) / seconds / best
            products = layout.n_tiles * TILE * TILE * (3 * n_train + n_validation)
            counts = (n_steps, n_steps * layout.n_tiles, n_steps * layout.n_blocks)
            features.append([products, *counts])
            times.append(seconds)
            name = "-".join(map(str, widths))
            print(
                f"{name:>22} {size:>6} {1e6 * seconds / n_steps:>8.0f} {share:>8.2f} "
                f"{layout.padding:>8.2f}"
            )
    weight = 1 / np.asarray(times)  # relative errors count
    model, _ = nnls(np.asarray(features) * weight[:, None], np.ones(len(times)))
    error = np.asarray(features) @ model * weight - 1
    print("seconds per multiply-add, step, tile, block:", " ".join(f"{c:.2g}" for c in model))
    print(f"the model's error: median {np.median(np.abs(error)):.0%}, worst {error.max():+.0%}")


def best_product(n: int = 1024) -> float:
    """Floating-point operations a second of a large product on one thread."""
    ops = backend.load_backend().ops
    a = ops.convert_to_tensor(np.random.default_rng(0).random((n, n), np.float32))
    times = []
    for _ in range(8):
        started = time.perf_counter()
        ops.convert_to_numpy(ops.matmul(a, a))
        times.append(time.perf_counter() - started)
    return 2 * n**3 / min(times)


def epoch_seconds(data: Dataset, genome: Genome) -> float:
    """Median seconds of an epoch: of a training with many, less one with a single one."""
    trainers = [
        Trainer(data, "sparse_categorical_crossentropy", Budget(e, e)) for e in (1, _EPOCHS)
    ]
    differences = []
    for repeat in range(_REPEATS + 1):  # the first one compiles
        times = []
        for trainer in trainers:
            started = time.perf_counter()
            trainer.fit(genome, repeat)
            times.append(time.perf_counter() - started)
        differences.append(times[1] - times[0])
    return statistics.median(differences[1:]) / (_EPOCHS - 1)


def _rows(data: Dataset) -> Dataset:
    """The data set with random classes, so that no training stops early."""
    rng = np.random.default_rng(0)

    def shuffled(part: Part) -> Part:
        return replace(part, y=rng.permutation(part.y))

    return replace(data, train=shuffled(data.train), validation=shuffled(data.validation))


if __name__ == "__main__":
    main()
