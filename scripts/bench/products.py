"""The best large float32 matrix product of this machine, which training is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

_REPEATS = 5


def best_product(sizes: Sequence[int]) -> dict[str, Any]:
    """GFLOP/s of square float32 products on all cores, for each library and size: their best."""
    import keras  # as it comes, with whatever kernels it chooses by itself

    rng = np.random.default_rng(0)
    rates = {}
    for size in sizes:
        a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
        ka, kb = keras.ops.convert_to_tensor(a), keras.ops.convert_to_tensor(b)
        rates[f"numpy {size}"] = _rate(size, partial(np.matmul, a, b))
        rates[f"keras.ops {size}"] = _rate(size, partial(keras.ops.matmul, ka, kb))
    return {"gflops": max(rates.values()), "rates": rates}


def _rate(size: int, product: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_REPEATS + 1):  # the first one warms up
        started = time.perf_counter()
        np.asarray(product()[0, 0])  # waits where products are only promised
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds[1:]) / 1e9
