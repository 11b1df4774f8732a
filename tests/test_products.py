"""Products of parts of arrays are those of numpy, by tiles and by BLAS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from evonet.training.products import add_product, blas, product_at, product_bt

SIZES = st.integers(1, 130)
#: Further columns of the array that a matrix is a part of.
MARGINS = st.integers(0, 5)
#: Least n * m * k of what goes to BLAS: everything, or nothing.
WAYS = pytest.mark.parametrize("large", [0, 1 << 60], ids=["blas", "tiles"])


def part(rng: np.random.Generator, rows: int, columns: int, margin: int) -> np.ndarray:
    return rng.standard_normal((rows, columns + margin), np.float32)[:, :columns]


def product_of(
    function: Callable[..., None], large: int, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """What the function leaves in ``c``; that it leaves the margin of ``c`` alone is checked."""
    assert c.base is not None
    around = c.base.copy()
    function(blas()._replace(large=large), a, b, c)
    columns = c.shape[1]
    assert (c.base[:, columns:] == around[:, columns:]).all()
    return c


@WAYS
@given(m=SIZES, k=SIZES, n=SIZES, margin=MARGINS, seed=st.integers(0, 99))
def test_products_are_those_of_numpy(
    large: int, m: int, k: int, n: int, margin: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    close = {"rtol": 1e-5, "atol": 1e-5 * k}  # k float32 terms of about 1, in another order
    a, b, c = part(rng, m, k, margin), part(rng, k, n, margin), part(rng, m, n, margin)
    expected = c + a @ b
    np.testing.assert_allclose(product_of(add_product, large, a, b, c), expected, **close)
    at, bt = part(rng, k, m, margin), part(rng, n, k, margin)
    c[:] = np.nan  # what was there before is not to count
    np.testing.assert_allclose(product_of(product_at, large, at, b, c), at.T @ b, **close)
    c[:] = np.nan
    np.testing.assert_allclose(product_of(product_bt, large, a, bt, c), a @ bt.T, **close)


@WAYS
@pytest.mark.parametrize(("m", "k", "n"), [(16, 700, 900), (128, 1100, 512), (300, 64, 2000)])
def test_large_products_are_those_of_numpy(large: int, m: int, k: int, n: int) -> None:
    test_products_are_those_of_numpy.hypothesis.inner_test(large, m, k, n, 3, 1)


def test_the_same_product_is_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    a, b = part(rng, 33, 500, 1), part(rng, 500, 300, 2)
    with threadpool_limits(1):
        first, second = (
            product_of(add_product, blas().large, a, b, part(np.random.default_rng(1), 33, 300, 0))
            for _ in range(2)
        )
    assert (first == second).all()
