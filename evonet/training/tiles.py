"""A network cut into tiles, so that one compiled program can train networks of every shape.

Units come in *blocks* of ``TILE``: the inputs first, then the outputs of each hidden layer, then
the output layer. A weight matrix is cut into pieces of ``TILE`` rows by one or ``PANEL`` blocks of
columns, each stored in one stretch. What a program needs to know of a network's shape is then
data: tables that say which blocks a layer reads, where its pieces lie, and which blocks it writes.
The idea is that of block-sparse products (Gale et al. 2023, "MegaBlocks"), used here for networks
of different shapes. The last block of a layer is padded with units whose weights are zero and, as
their outputs are held at zero, stay zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from evonet.genome import Genome
from evonet.genome.genes import ACTIVATIONS, NORMALISATIONS

#: Units in a block. 64 columns keep small products near the speed of large ones, and pad little.
TILE = 64
#: Blocks of columns in a wide piece: fewer and larger products for wide layers.
PANEL = 4
#: The activations; that of the output layer is the last.
FUNCTIONS = (*ACTIVATIONS, "linear")
#: What a program has room for at least, in tiles; then eight times as much, and so on.
_LEAST_TILES = 512


class Capacity(NamedTuple):
    """What a compiled program has room for. Few sizes, so that few programs are compiled.

    Attributes:
        tiles: tiles of weights.
        blocks: blocks of hidden and output units.
        layers: layers, the output layer included.
        sources: blocks read, summed over the layers.
    """

    tiles: int
    blocks: int
    layers: int
    sources: int

    @classmethod
    def of_size(cls, tiles: int) -> Capacity:
        """The capacity with room for this many tiles."""
        return cls(tiles, max(64, tiles // 4), 65, max(256, tiles))


class Tables(NamedTuple):
    """A network as data.

    Attributes:
        layers: ``(capacity.layers, 8)`` int32, a row per layer as in ``LayerRow``.
        sources: ``(capacity.sources,)`` int32, the blocks that layers read.
        units: ``(capacity.blocks, TILE)`` float32, 1 for a unit and 0 for padding.
        rates: ``(capacity.layers, 2)`` float32, dropout rate and 1 / units of each layer.
        sizes: ``(3,)`` int32, number of hidden layers, of tiles, of hidden and output blocks.
    """

    layers: np.ndarray
    sources: np.ndarray
    units: np.ndarray
    rates: np.ndarray
    sizes: np.ndarray


class Weights(NamedTuple):
    """The weights of a network.

    Attributes:
        tiles: ``(1, capacity.tiles, TILE * TILE)`` float32, the kernels.
        vectors: ``(3, capacity.blocks, TILE)`` float32: biases, scales and offsets.
        moving: ``(2, capacity.blocks, TILE)`` float32: means and variances of batch normalisation.
    """

    tiles: np.ndarray
    vectors: np.ndarray
    moving: np.ndarray


class LayerRow(NamedTuple):
    """What a program knows of a layer; all are positions and counts."""

    first_source: int
    n_hidden_sources: int  # they come first; no gradient is needed for the inputs after them
    n_sources: int
    first_tile: int
    first_block: int
    n_blocks: int
    activation: int  # place in FUNCTIONS
    normalisation: int  # place in NORMALISATIONS


@dataclass(frozen=True)
class _Source:
    """A block that a layer reads: ``n_rows`` rows of its kernel from ``first_row``."""

    block: int
    first_row: int
    n_rows: int


@dataclass(frozen=True)
class Layout:
    """Where the parts of a network lie.

    Attributes:
        genome: the network.
        n_inputs: its inputs.
        n_outputs: its outputs.
    """

    genome: Genome
    n_inputs: int
    n_outputs: int

    @cached_property
    def _received(self) -> list[list[tuple[int, int]]]:
        """For each layer what it reads: (first block, units), as concatenated by skips."""
        received = [[(0, self.n_inputs)]]
        first = blocks_of(self.n_inputs)
        for layer in self.genome.layers:
            passed_on = received[-1] if layer.skip == "concat" else []
            received.append([(first, layer.units), *passed_on])
            first += blocks_of(layer.units)
        return received

    @property
    def _widths(self) -> list[int]:
        return [*(layer.units for layer in self.genome.layers), self.n_outputs]

    def _sources(self, place: int) -> list[_Source]:
        """The blocks that a layer reads, in the order of the rows of its kernel."""
        sources, row = [], 0
        for first, width in self._received[place]:
            for i in range(blocks_of(width)):
                n_rows = min(TILE, width - i * TILE)
                sources.append(_Source(first + i, row, n_rows))
                row += n_rows
        return sources

    @cached_property
    def rows(self) -> list[LayerRow]:
        """The layers as a program knows them."""
        rows, source, tile, block = [], 0, 0, blocks_of(self.n_inputs)
        names = [(layer.activation, layer.normalisation) for layer in self.genome.layers]
        for place, width in enumerate(self._widths):
            activation, normalisation = names[place] if place < len(names) else ("linear", "none")
            sources, n_blocks = self._sources(place), blocks_of(width)
            n_hidden = sum(s.block >= blocks_of(self.n_inputs) for s in sources)
            kind = FUNCTIONS.index(activation), NORMALISATIONS.index(normalisation)
            rows.append(LayerRow(source, n_hidden, len(sources), tile, block, n_blocks, *kind))
            source += len(sources)
            tile += len(sources) * n_blocks
            block += n_blocks
        return rows

    @property
    def n_tiles(self) -> int:
        """Tiles of all kernels together."""
        last = self.rows[-1]
        return last.first_tile + last.n_sources * last.n_blocks

    @property
    def n_blocks(self) -> int:
        """Blocks of hidden and output units."""
        return sum(row.n_blocks for row in self.rows)

    @property
    def padding(self) -> float:
        """Share of the kernels' tiles that holds no weight."""
        used = sum(
            s.n_rows * width
            for place, width in enumerate(self._widths)
            for s in self._sources(place)
        )
        return 1 - used / (self.n_tiles * TILE * TILE)

    @cached_property
    def capacity(self) -> Capacity:
        """The smallest capacity that holds this network."""
        n_sources = sum(row.n_sources for row in self.rows)
        size = _LEAST_TILES
        while (
            size < self.n_tiles
            or Capacity.of_size(size).blocks < self.n_blocks
            or Capacity.of_size(size).sources < n_sources
        ):
            size *= 8
        return Capacity.of_size(size)

    def tables(self) -> Tables:
        """The network as a program reads it."""
        capacity = self.capacity
        layers = np.zeros((capacity.layers, len(LayerRow._fields)), np.int32)
        layers[: len(self.rows)] = self.rows
        sources = np.zeros(capacity.sources, np.int32)
        blocks = [s.block for place in range(len(self.rows)) for s in self._sources(place)]
        sources[: len(blocks)] = blocks
        units = np.zeros((capacity.blocks, TILE), np.float32)
        rates = np.zeros((capacity.layers, 2), np.float32)
        rates[: len(self._widths), 1] = 1 / np.asarray(self._widths, np.float32)
        for i, layer in enumerate(self.genome.layers):
            rates[i, 0] = layer.dropout
        for row, width in zip(self.rows, self._widths, strict=True):
            _own_blocks(units, row, self.n_inputs).reshape(-1)[:width] = 1
        sizes = np.asarray([len(self.genome.layers), self.n_tiles, self.n_blocks], np.int32)
        return Tables(layers, sources, units, rates, sizes)

    def pack(self, weights: Sequence[np.ndarray]) -> Weights:
        """A network's weights, in the order of ``keras.Model.get_weights``, as tiles."""
        packed = self._no_weights()
        given = iter(weights)
        for place, row in enumerate(self.rows):
            self._write_kernel(packed.tiles[0], place, next(given))
            for vectors, i in self._vectors(packed, row):
                values = next(given)
                _own_blocks(vectors[i], row, self.n_inputs).reshape(-1)[: len(values)] = values
        return packed

    def unpack(self, packed: Weights) -> list[np.ndarray]:
        """The weights in the order of ``keras.Model.get_weights``."""
        weights = []
        for place, (row, width) in enumerate(zip(self.rows, self._widths, strict=True)):
            weights.append(self._read_kernel(packed.tiles[0], place))
            for vectors, i in self._vectors(packed, row):
                own = _own_blocks(vectors[i], row, self.n_inputs)
                weights.append(own.reshape(-1)[:width].copy())
        return weights

    def _no_weights(self) -> Weights:
        capacity = self.capacity
        return Weights(
            np.zeros((1, capacity.tiles, TILE * TILE), np.float32),
            np.zeros((3, capacity.blocks, TILE), np.float32),
            np.zeros((2, capacity.blocks, TILE), np.float32),
        )

    @staticmethod
    def _vectors(weights: Weights, row: LayerRow) -> Iterator[tuple[np.ndarray, int]]:
        """The vectors that a layer has besides its kernel, in Keras' order."""
        yield weights.vectors, 0
        if NORMALISATIONS[row.normalisation] != "none":
            yield weights.vectors, 1
            yield weights.vectors, 2
        if NORMALISATIONS[row.normalisation] == "batch":
            yield weights.moving, 0
            yield weights.moving, 1

    def _pieces(self, place: int) -> Iterator[tuple[int, int, _Source, slice]]:
        """The pieces of a kernel: (first tile, blocks of columns, rows, columns)."""
        row = self.rows[place]
        for first, n in pieces_of(row.n_blocks):
            for k, source in enumerate(self._sources(place)):
                tile = row.first_tile + first * row.n_sources + k * n
                yield tile, n, source, slice(first * TILE, (first + n) * TILE)

    def _write_kernel(self, tiles: np.ndarray, place: int, kernel: np.ndarray) -> None:
        for tile, n, source, columns in self._pieces(place):
            part = kernel[source.first_row : source.first_row + source.n_rows, columns]
            piece = tiles[tile : tile + n].reshape(TILE, n * TILE)
            piece[: part.shape[0], : part.shape[1]] = part

    def _read_kernel(self, tiles: np.ndarray, place: int) -> np.ndarray:
        n_rows = sum(s.n_rows for s in self._sources(place))
        kernel = np.zeros((n_rows, self._widths[place]), np.float32)
        for tile, n, source, columns in self._pieces(place):
            part = kernel[source.first_row : source.first_row + source.n_rows, columns]
            piece = tiles[tile : tile + n].reshape(TILE, n * TILE)
            part[:] = piece[: part.shape[0], : part.shape[1]]
        return kernel


def blocks_of(units: int) -> int:
    """Blocks that hold so many units.

    Example:
        >>> blocks_of(64), blocks_of(65)
        (1, 2)
    """
    return -(-units // TILE)


def pieces_of(n_blocks: int) -> Iterator[tuple[int, int]]:
    """The blocks of a layer in pieces, wide ones first: (first block, blocks).

    Example:
        >>> list(pieces_of(6))
        [(0, 4), (4, 1), (5, 1)]
    """
    wide = n_blocks // PANEL
    yield from ((i * PANEL, PANEL) for i in range(wide))
    yield from ((i, 1) for i in range(wide * PANEL, n_blocks))


def _own_blocks(array: np.ndarray, row: LayerRow, n_inputs: int) -> np.ndarray:
    """The rows of an array ``(capacity.blocks, TILE)`` that belong to a layer."""
    first = row.first_block - blocks_of(n_inputs)
    return array[first : first + row.n_blocks]
