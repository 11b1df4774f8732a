"""Matrix products for compiled loops: BLAS from Numba, on parts of arrays, without copies.

``numpy.dot`` in Numba takes whole contiguous arrays only. SciPy publishes the addresses of its
BLAS for such callers (``scipy.linalg.cython_blas``). Loops get them as numbers among their
arguments: what is compiled is kept for other processes, in which they are others. What that buys:
OpenBLAS multiplies matrices up to a certain size without rearranging them first, at twice the speed
where a batch has 16 rows, and larger products can be cut into such pieces.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg.cython_blas
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import get_cython_function_address, intrinsic
from threadpoolctl import threadpool_info

from evonet.errors import TrainingError
from evonet.training.compiling import compiled

#: OpenBLAS' kernels for small matrices are for these (its ``*_small_kernel_permit_skylakex``).
_WITH_SMALL_KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")
#: Largest n * m * k of a product that they take.
_SMALL = 1_000_000
#: Narrowest piece that is worth a call.
_NARROWEST = 16
#: Rows times columns of a piece with a transposed factor, where such are fast; measured.
_SMALL_TRANSPOSED = 1024

_N_ARGUMENTS = 13
_PLAIN, _TRANSPOSED = ord("N"), ord("T")
_ONE = int(np.float32(1).view(np.int32))  # its bits


class Blas(NamedTuple):
    """What products need to know.

    Attributes:
        sgemm: address of the function.
        arguments: ``(10,)`` int32, its arguments; one thread at a time.
        small: whether products are cut into small ones.
    """

    sgemm: int
    arguments: np.ndarray
    small: bool


@cache
def blas() -> Blas:
    """The BLAS of this process."""
    libraries = [lib for lib in threadpool_info() if lib.get("internal_api") == "openblas"]
    small = any(lib.get("architecture") in _WITH_SMALL_KERNELS for lib in libraries)
    if "int *" not in repr(scipy.linalg.cython_blas.__pyx_capi__["sgemm"]):
        raise TrainingError(
            "SciPy's BLAS counts in 64 bits; evonet needs one that counts in 32. Install SciPy "
            "from PyPI."
        )
    address = get_cython_function_address("scipy.linalg.cython_blas", "sgemm")
    return Blas(address, np.zeros(10, np.int32), small)


@intrinsic  # type: ignore[untyped-decorator]
def _call(_: Any, function: Any, arguments: Any) -> Any:
    """``function(*arguments)`` of a function's address and those of its 13 arguments."""

    def build(context: Any, builder: Any, _: Any, values: Any) -> Any:
        address = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [address] * _N_ARGUMENTS)
        called = builder.inttoptr(values[0], kind.as_pointer())
        builder.call(called, unpack_tuple(builder, values[1], _N_ARGUMENTS))
        return context.get_dummy_value()

    return types.void(function, arguments), build


@compiled
def add_product(blas: Blas, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """``c += a @ b``; rows may lie apart, columns may not, in these matrices and those below."""
    _by_columns(blas, _PLAIN, a, b, c, a.shape[0], a.shape[1], True)


@compiled
def product_at(blas: Blas, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """``c = a.T @ b``."""
    _by_columns(blas, _TRANSPOSED, a, b, c, a.shape[1], a.shape[0], False)


@compiled
def product_bt(blas: Blas, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """``c = a @ b.T``."""
    m, k, n = a.shape[0], a.shape[1], b.shape[0]
    most = _SMALL // (m * k + 1)
    if m * _NARROWEST <= _SMALL_TRANSPOSED:
        most = min(most, _SMALL_TRANSPOSED // m)
    step = _piece(blas, n, most)
    for j in range(0, n, step):
        columns = min(step, n - j)
        _multiply(blas, _PLAIN, _TRANSPOSED, a, b[j:], c[:, j:], m, columns, k, False)


@compiled
def _by_columns(
    blas: Blas,
    kind_a: int,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    m: int,
    k: int,
    add: bool,
) -> None:
    """A product with ``b`` as it stands, in pieces of its columns."""
    n = b.shape[1]
    step = _piece(blas, n, _SMALL // (m * k + 1))
    for j in range(0, n, step):
        _multiply(blas, kind_a, _PLAIN, a, b[:, j:], c[:, j:], m, min(step, n - j), k, add)


@compiled
def _piece(blas: Blas, n: int, most: int) -> int:
    """Columns to compute at a time, out of n, if so many make a small product."""
    if not blas.small or most < _NARROWEST or n <= most:
        return n
    return most // _NARROWEST * _NARROWEST


@compiled
def _multiply(
    blas: Blas,
    kind_a: int,
    kind_b: int,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    m: int,
    n: int,
    k: int,
    add: bool,
) -> None:
    """BLAS reads columns first: to it, c is transposed, and b comes before a."""
    p = blas.arguments
    p[0], p[1], p[2], p[3], p[4] = kind_b, kind_a, n, m, k
    p[5], p[6], p[7] = b.strides[0] // 4, a.strides[0] // 4, c.strides[0] // 4
    p[8], p[9] = _ONE, _ONE if add else 0
    at = np.int64(p.ctypes.data)
    _call(
        blas.sgemm,
        (
            at,
            at + 4,
            at + 8,
            at + 12,
            at + 16,
            at + 32,
            np.int64(b.ctypes.data),
            at + 20,
            np.int64(a.ctypes.data),
            at + 24,
            at + 36,
            np.int64(c.ctypes.data),
            at + 28,
        ),
    )
