"""Matrix products for compiled loops, on parts of arrays.

``numpy.dot`` in Numba takes whole contiguous arrays only, and BLAS rearranges both factors first,
which batches of 16 or 32 rows do not repay. Here the second factor is rearranged strip by strip,
just before a strip is used, and the first is read where it lies (tiles.py). Large products, which
are worth more threads than one, go to BLAS: SciPy publishes the addresses of its own for such
callers (``scipy.linalg.cython_blas``). Loops get them as numbers among their arguments: what is
compiled is kept for other processes, in which they are others.
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

from evonet.errors import TrainingError
from evonet.training.compiling import called, compiled
from evonet.training.tiles import (
    COLUMNS,
    LANES,
    ROWS,
    SQUARE,
    copy_vector,
    multiply_tile,
    transpose_square,
)

#: Least n * m * k of a product that goes to BLAS; below, it is no faster on one thread. Measured.
_LARGE = 1 << 24
#: Terms that are added at a time: such a strip stays in the first cache.
_TERMS = 256
_BYTES = 4

_N_ARGUMENTS = 13
_PLAIN, _TRANSPOSED = ord("N"), ord("T")
_ONE = int(np.float32(1).view(np.int32))  # its bits


class Blas(NamedTuple):
    """What products need.

    Attributes:
        sgemm: address of the function.
        arguments: ``(10,)`` int32, its arguments; one thread at a time.
        strip: ``(256 * COLUMNS,)`` float32, room for the strip of the second factor in use.
        tile: ``(ROWS * COLUMNS,)`` float32, room for a tile that reaches beyond the last column.
        large: least n * m * k of a product that BLAS computes.
    """

    sgemm: int
    arguments: np.ndarray
    strip: np.ndarray
    tile: np.ndarray
    large: int = _LARGE


@cache
def blas() -> Blas:
    """What products need in this process."""
    if "int *" not in repr(scipy.linalg.cython_blas.__pyx_capi__["sgemm"]):
        raise TrainingError(
            "SciPy's BLAS counts in 64 bits; evonet needs one that counts in 32. Install SciPy "
            "from PyPI."
        )
    address = get_cython_function_address("scipy.linalg.cython_blas", "sgemm")
    strip, tile = np.zeros(_TERMS * COLUMNS, np.float32), np.zeros(ROWS * COLUMNS, np.float32)
    return Blas(address, np.zeros(10, np.int32), strip, tile)


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
    m, k, n = a.shape[0], a.shape[1], b.shape[1]
    if m * k * n >= blas.large:
        _sgemm(blas, _PLAIN, _PLAIN, a, b, c, k, True)
    else:
        _in_tiles(blas, _address(a), _stride(a), 1, b, False, c, k, True)


@compiled
def product_at(blas: Blas, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """``c = a.T @ b``."""
    k, m, n = a.shape[0], a.shape[1], b.shape[1]
    if m * k * n >= blas.large:
        _sgemm(blas, _TRANSPOSED, _PLAIN, a, b, c, k, False)
    else:
        _in_tiles(blas, _address(a), 1, _stride(a), b, False, c, k, False)


@compiled
def product_bt(blas: Blas, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """``c = a @ b.T``."""
    m, k, n = a.shape[0], a.shape[1], b.shape[0]
    if m * k * n >= blas.large:
        _sgemm(blas, _PLAIN, _TRANSPOSED, a, b, c, k, False)
    else:
        _in_tiles(blas, _address(a), _stride(a), 1, b, True, c, k, False)


@called
def _in_tiles(
    blas: Blas,
    a: int,
    a_row: int,
    a_step: int,
    b: np.ndarray,
    transposed: bool,
    c: np.ndarray,
    k: int,
    add: bool,
) -> None:
    """A product strip by strip: for each, its part of ``b``, then all rows of ``a``."""
    m, n = c.shape
    strip, tile, c_row = _address(blas.strip), _address(blas.tile), _stride(c)
    n_tiles = (m + ROWS - 1) // ROWS
    for first in range(0, k, _TERMS):
        terms = min(_TERMS, k - first)
        adding = add or first > 0
        for column in range(0, n, COLUMNS):
            width = min(COLUMNS, n - column)
            vectors = 1 if width <= LANES else 2
            if transposed:
                _take_transposed(blas.strip, b, column, width, first, terms)
            else:
                _take(blas.strip, b, column, width, first, terms)
            for i in range(n_tiles):  # of almost equal height: low ones are slow
                row = m * i // n_tiles
                rows = m * (i + 1) // n_tiles - row
                factor = a + _BYTES * (row * a_row + first * a_step)
                if width == vectors * LANES:
                    at = _address(c) + _BYTES * (row * c_row + column)
                    multiply_tile(
                        rows, vectors, terms, factor, a_row, a_step, strip, at, c_row, adding
                    )
                    continue
                multiply_tile(
                    rows, vectors, terms, factor, a_row, a_step, strip, tile, COLUMNS, False
                )
                for r in range(rows):
                    for j in range(width):
                        before = c[row + r, column + j] if adding else np.float32(0)
                        c[row + r, column + j] = before + blas.tile[r * COLUMNS + j]


@compiled
def _take(
    strip: np.ndarray, b: np.ndarray, column: int, width: int, first: int, terms: int
) -> None:
    """Fill a strip with ``width`` columns of ``b``; what is beyond them is of no use."""
    whole = width // LANES * LANES
    for i in range(terms):
        source = _address(b) + _BYTES * ((first + i) * _stride(b) + column)
        target = _address(strip) + _BYTES * i * COLUMNS
        for j in range(0, whole, LANES):
            copy_vector(source + _BYTES * j, target + _BYTES * j)
        for j in range(whole, width):
            strip[i * COLUMNS + j] = b[first + i, column + j]


@compiled
def _take_transposed(
    strip: np.ndarray, b: np.ndarray, column: int, width: int, first: int, terms: int
) -> None:
    """Fill a strip with ``width`` rows of ``b`` as columns; what is beyond them is of no use."""
    whole = terms // SQUARE * SQUARE if width % SQUARE == 0 else 0
    for j in range(0, width if whole else 0, SQUARE):
        start = _address(b) + _BYTES * ((column + j) * _stride(b) + first)
        for i in range(0, whole, SQUARE):
            target = _address(strip) + _BYTES * (i * COLUMNS + j)
            transpose_square(start + _BYTES * i, _stride(b), target, COLUMNS)
    for j in range(width):
        for i in range(whole, terms):
            strip[i * COLUMNS + j] = b[column + j, first + i]


@compiled
def _address(array: np.ndarray) -> int:
    return np.int64(array.ctypes.data)


@compiled
def _stride(array: np.ndarray) -> int:
    """Numbers from a row to the next."""
    return array.strides[0] // _BYTES


@compiled
def _sgemm(
    blas: Blas,
    kind_a: int,
    kind_b: int,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    k: int,
    add: bool,
) -> None:
    """BLAS reads columns first: to it, c is transposed, and b comes before a."""
    p = blas.arguments
    p[0], p[1], p[2], p[3], p[4] = kind_b, kind_a, c.shape[1], c.shape[0], k
    p[5], p[6], p[7] = _stride(b), _stride(a), _stride(c)
    p[8], p[9] = _ONE, _ONE if add else 0
    at = _address(p)
    _call(
        blas.sgemm,
        (
            at,
            at + 4,
            at + 8,
            at + 12,
            at + 16,
            at + 32,
            _address(b),
            at + 20,
            _address(a),
            at + 24,
            at + 36,
            _address(c),
            at + 28,
        ),
    )
