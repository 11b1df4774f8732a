"""The innermost loops of a product, in vector instructions: a few rows times a strip of columns.

Written as LLVM's vectors, since compilers keep no tile of sums in registers by themselves (Goto &
van de Geijn 2008, https://doi.org/10.1145/1356052.1356053; Van Zee & van de Geijn 2015,
https://doi.org/10.1145/2764454). LLVM makes of them what the processor has.

Arrays are addresses here, and strides are counted in float32 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

#: Numbers in a vector. A processor with shorter ones takes several for each.
LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
#: Columns of a strip: two vectors.
COLUMNS = 2 * LANES
#: Most rows of a tile: its sums and both factors fit into sixteen registers.
ROWS = 6
#: Rows and columns that are transposed at a time.
SQUARE = 8

_FLOAT, _LONG = ir.FloatType(), ir.IntType(64)
_POINTER = _FLOAT.as_pointer()
#: A product may be added unrounded.
_FLAGS = ("contract",)


@intrinsic  # type: ignore[untyped-decorator]
def multiply_tile(
    _: Any,
    n_rows: Any,
    n_vectors: Any,
    k: Any,
    a: Any,
    a_row: Any,
    a_step: Any,
    strip: Any,
    c: Any,
    c_row: Any,
    add: Any,
) -> Any:
    """``c = a @ strip``, or ``c += a @ strip``, for a tile of ``c``.

    Args:
        n_rows: 1 to ``ROWS``.
        n_vectors: 1 or 2, of columns.
        k: terms of each sum, at least 1.
        a: address of ``(n_rows, k)`` numbers.
        a_row: stride of its rows.
        a_step: stride of its columns.
        strip: address of ``(k, COLUMNS)`` numbers, without gaps.
        c: address of ``(n_rows, n_vectors * LANES)`` numbers.
        c_row: stride of its rows; columns lie side by side.
        add: whether to add to what is there.
    """
    counts = (n_rows, n_vectors, k, a, a_row, a_step, strip, c, c_row)

    def build(context: Any, builder: Any, _: Any, values: Any) -> Any:
        rows, vectors, *operands = values
        done = builder.append_basic_block("done")
        kind = builder.add(builder.mul(vectors, _long(ROWS + 1)), rows)
        chosen = builder.switch(kind, done)
        for v in (1, 2):
            for r in range(1, ROWS + 1):
                block = builder.append_basic_block("tile")
                chosen.add_case(_long(v * (ROWS + 1) + r), block)
                builder.position_at_end(block)
                _build_tile(builder, r, v, operands)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(*[types.int64] * len(counts), types.boolean), build


def _build_tile(builder: Any, n_rows: int, n_vectors: int, operands: Sequence[Any]) -> None:
    """One loop over k, with all sums of the tile in registers; operands as of ``multiply_tile``."""
    k, a, a_row, a_step, strip, c, c_row, add = operands
    a, strip, c = (builder.inttoptr(address, _POINTER) for address in (a, strip, c))
    tile = [(r, v) for r in range(n_rows) for v in range(n_vectors)]

    def place(r: int, v: int) -> Any:
        start = builder.mul(_long(r), c_row)
        return _moved(builder, c, builder.add(start, _long(v * LANES)))

    before, begun = builder.block, builder.append_basic_block("begun")
    loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
    builder.cbranch(add, begun, loop)
    builder.position_at_end(begun)
    there = {at: _load(builder, place(*at)) for at in tile}
    builder.branch(loop)

    builder.position_at_end(loop)
    i, a_now, b_now = builder.phi(_LONG), builder.phi(_POINTER), builder.phi(_POINTER)
    sums = {at: builder.phi(_vector(LANES)) for at in tile}
    b_values = [_load(builder, _moved(builder, b_now, _long(v * LANES))) for v in range(n_vectors)]
    after_step = {}
    for r in range(n_rows):
        factor = builder.load(_moved(builder, a_now, builder.mul(_long(r), a_row)))
        spread = _spread(builder, factor)
        for v in range(n_vectors):
            term = builder.fmul(spread, b_values[v], flags=_FLAGS)
            after_step[r, v] = builder.fadd(sums[r, v], term, flags=_FLAGS)
    following = builder.add(i, _long(1))
    for phi, first, then in (
        (i, _long(0), following),
        (a_now, a, _moved(builder, a_now, a_step)),
        (b_now, strip, _moved(builder, b_now, _long(COLUMNS))),
    ):
        for block, value in ((before, first), (begun, first), (loop, then)):
            phi.add_incoming(value, block)
    nothing = ir.Constant(_vector(LANES), [0.0] * LANES)
    for at, phi in sums.items():
        for block, value in ((before, nothing), (begun, there[at]), (loop, after_step[at])):
            phi.add_incoming(value, block)
    builder.cbranch(builder.icmp_signed("<", following, k), loop, after)

    builder.position_at_end(after)
    for at in tile:
        _store(builder, after_step[at], place(*at))


@intrinsic  # type: ignore[untyped-decorator]
def copy_vector(_: Any, source: Any, target: Any) -> Any:
    """Copy ``LANES`` numbers that lie side by side, from one address to another."""

    def build(context: Any, builder: Any, _: Any, values: Any) -> Any:
        source, target = (builder.inttoptr(address, _POINTER) for address in values)
        _store(builder, _load(builder, source), target)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def transpose_square(_: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> Any:
    """Copy ``SQUARE`` rows of as many numbers to as many columns.

    Args:
        source: address of the first row.
        source_row: stride of rows there.
        target: address of the first column.
        target_row: stride of rows there.
    """

    def build(context: Any, builder: Any, _: Any, values: Any) -> Any:
        source, source_row, target, target_row = values
        source, target = (builder.inttoptr(address, _POINTER) for address in (source, target))

        def at(base: Any, stride: Any, row: int) -> Any:
            return _moved(builder, base, builder.mul(_long(row), stride))

        rows = [_load(builder, at(source, source_row, row), SQUARE) for row in range(SQUARE)]
        for width in (1, 2, 4):  # squares of this width change places across the diagonal
            rows = _exchanged(builder, rows, width)
        for row, column in enumerate(rows):
            _store(builder, column, at(target, target_row, row))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), build


def _exchanged(builder: Any, rows: Sequence[Any], width: int) -> list[Any]:
    """Of each 2 x 2 squares of a width, those off the diagonal exchanged."""
    found = list(rows)
    for upper in range(SQUARE):
        if upper & width:
            continue
        lower = upper + width
        first = [j if not j & width else j - width + SQUARE for j in range(SQUARE)]
        second = [j + width if not j & width else j + SQUARE for j in range(SQUARE)]
        pair = rows[upper], rows[lower]
        found[upper] = builder.shuffle_vector(*pair, _indices(first))
        found[lower] = builder.shuffle_vector(*pair, _indices(second))
    return found


def _vector(n: int) -> Any:
    return ir.VectorType(_FLOAT, n)


def _long(n: int) -> Any:
    return ir.Constant(_LONG, n)


def _indices(values: Sequence[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(values)), list(values))


def _moved(builder: Any, pointer: Any, n: Any) -> Any:
    return builder.gep(pointer, [n])


def _load(builder: Any, pointer: Any, n: int = LANES) -> Any:
    return builder.load(builder.bitcast(pointer, _vector(n).as_pointer()), align=4)


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)


def _spread(builder: Any, value: Any) -> Any:
    """A vector of ``LANES`` times the same value."""
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(
        ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), _indices([0] * LANES))
