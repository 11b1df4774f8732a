"""Networks cut into tiles: nothing is lost, nothing overlaps, and layers read what Keras' do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, genomes, rng

from evonet.genome import Genome, Layer
from evonet.training.backend import load_keras
from evonet.training.initializers import initial_weights
from evonet.training.keras_model import build_network
from evonet.training.tiles import TILE, Capacity, Layout, Weights, blocks_of, pieces_of

Test = TypeVar("Test", bound=Callable[..., Any])


def over_networks(test: Test) -> Test:
    """Run a test with layouts of many networks: skips, normalisations, none to six layers."""
    layouts = st.builds(Layout, genomes(6, 600), st.integers(1, 200), st.integers(1, 130))
    return examples(60)(given(layouts)(test))


def genome(*layers: Layer) -> Genome:
    return Genome(layers, "matched_normal", "adam", 0.01, 32)


#: The networks that real Keras is asked about; TensorFlow is slow to build many.
NETWORKS = {
    "linear": genome(),
    "batch normalisation": genome(Layer(65, "relu", normalisation="batch")),
    "skips": genome(*[Layer(70, "relu", skip="concat")] * 3),
    "all": genome(
        Layer(300, "gelu", 0.1, "batch", "concat"),
        Layer(1, "tanh", 0.0, "layer", "concat"),
        Layer(64, "relu", 0.3, "layer"),
    ),
}


def widths(layout: Layout) -> list[int]:
    return [*(layer.units for layer in layout.genome.layers), layout.n_outputs]


def units_read(layout: Layout) -> list[list[tuple[int, int]]]:
    """For each layer the (layer, unit) pairs behind the rows of its kernel; -1 are the inputs.

    The oracle is Keras' ``Concatenate([outputs of the layer, what it received])``.
    """
    received = [(-1, unit) for unit in range(layout.n_inputs)]
    read = [received]
    for i, layer in enumerate(layout.genome.layers):
        own = [(i, unit) for unit in range(layer.units)]
        received = own + received if layer.skip == "concat" else own
        read.append(received)
    return read


class TestPacking:
    @over_networks
    def test_packed_weights_come_back_as_they_were(self, layout: Layout) -> None:
        shapes = initial_weights(rng(), layout.genome, layout.n_inputs, layout.n_outputs)
        weights = [rng(i).normal(size=w.shape).astype(np.float32) for i, w in enumerate(shapes)]
        back = layout.unpack(layout.pack(weights))
        assert [w.shape for w in back] == [w.shape for w in weights]
        assert all((a == b).all() for a, b in zip(back, weights, strict=True))

    @pytest.mark.parametrize("name", NETWORKS)
    def test_weights_of_real_keras_come_back_as_they_were(self, name: str) -> None:
        load_keras().backend.clear_session()
        network = build_network(NETWORKS[name], 100, 7)
        weights = [rng(i).normal(size=w.shape) for i, w in enumerate(network.get_weights())]
        layout = Layout(NETWORKS[name], 100, 7)
        back = layout.unpack(layout.pack(weights))
        network.set_weights(back)  # refuses other shapes
        for ours, theirs in zip(network.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs.astype(np.float32))

    @over_networks
    def test_no_weight_lies_on_another_and_all_else_is_zero(self, layout: Layout) -> None:
        shapes = initial_weights(rng(), layout.genome, layout.n_inputs, layout.n_outputs)
        packed = layout.pack([np.ones_like(w) for w in shapes])
        assert sum(int(part.sum()) for part in packed) == sum(w.size for w in shapes)
        assert all(set(np.unique(part)) <= {0.0, 1.0} for part in packed)
        assert not packed.tiles[0, layout.n_tiles :].any()
        assert not packed.vectors[:, layout.n_blocks :].any()

    @over_networks
    def test_a_kernel_lies_where_the_tables_say(self, layout: Layout) -> None:
        """A layer, computed from tables and tiles alone, is its kernel times what it reads."""
        shapes = initial_weights(rng(), layout.genome, layout.n_inputs, layout.n_outputs)
        weights = [rng(i).integers(-3, 4, w.shape).astype(np.float32) for i, w in enumerate(shapes)]
        packed, tables = layout.pack(weights), layout.tables()
        kernels = [w for w in weights if w.ndim == 2]
        n_blocks = blocks_of(layout.n_inputs) + layout.n_blocks
        passed_on = rng(9).integers(-3, 4, (n_blocks, TILE)).astype(np.float32)
        unit_of = units_in_blocks(layout)
        for row, kernel, read in zip(layout.rows, kernels, units_read(layout), strict=True):
            sources = tables.sources[row.first_source :][: row.n_sources]
            got = np.zeros(row.n_blocks * TILE, np.float32)
            for first, n in pieces_of(row.n_blocks):
                for k, block in enumerate(sources):
                    tile = row.first_tile + first * row.n_sources + k * n
                    piece = packed.tiles[0, tile : tile + n].reshape(TILE, n * TILE)
                    got[first * TILE : (first + n) * TILE] += passed_on[block] @ piece
            values = np.array([passed_on[unit_of[unit]] for unit in read])
            wanted = np.zeros_like(got)
            wanted[: kernel.shape[1]] = values @ kernel
            np.testing.assert_array_equal(got, wanted)  # whole numbers: no rounding


def units_in_blocks(layout: Layout) -> dict[tuple[int, int], tuple[int, int]]:
    """Where each (layer, unit) lies: (block, column). Layers follow each other in whole blocks."""
    places, block = {}, 0
    for i, width in enumerate([layout.n_inputs, *widths(layout)], start=-1):
        places |= {(i, u): (block + u // TILE, u % TILE) for u in range(width)}
        block += -(-width // TILE)
    return places


class TestTables:
    @over_networks
    def test_every_block_and_every_tile_belongs_to_one_layer(self, layout: Layout) -> None:
        blocks = [b for r in layout.rows for b in range(r.first_block, r.first_block + r.n_blocks)]
        first = blocks_of(layout.n_inputs)
        assert blocks == list(range(first, first + layout.n_blocks))
        tiles = [
            tile
            for row in layout.rows
            for tile in range(row.first_tile, row.first_tile + row.n_sources * row.n_blocks)
        ]
        assert tiles == list(range(layout.n_tiles))

    @over_networks
    def test_layers_read_each_unit_once_in_the_order_of_keras(self, layout: Layout) -> None:
        tables, place_of = layout.tables(), units_in_blocks(layout)
        unit_at = {place: unit for unit, place in place_of.items()}
        for row, read in zip(layout.rows, units_read(layout), strict=True):
            sources = tables.sources[row.first_source :][: row.n_sources].tolist()
            found = [
                unit_at[block, column]
                for block in sources
                for column in range(TILE)
                if (block, column) in unit_at
            ]
            assert found == read
            n_inputs = blocks_of(layout.n_inputs)
            assert [block >= n_inputs for block in sources] == [
                k < row.n_hidden_sources for k in range(row.n_sources)
            ]

    @over_networks
    def test_fan_ins_are_those_of_the_genome(self, layout: Layout) -> None:
        assert [len(read) for read in units_read(layout)] == list(
            layout.genome.fan_ins(layout.n_inputs)
        )

    @over_networks
    def test_units_rates_and_sizes_are_those_of_the_genome(self, layout: Layout) -> None:
        tables = layout.tables()
        real = np.zeros_like(tables.units)
        first = blocks_of(layout.n_inputs)
        for (layer, _), (block, column) in units_in_blocks(layout).items():
            if layer >= 0:
                real[block - first, column] = 1
        np.testing.assert_array_equal(tables.units, real)
        n = len(layout.genome.layers)
        assert tables.sizes.tolist() == [n, layout.n_tiles, layout.n_blocks]
        rates = [*(layer.dropout for layer in layout.genome.layers), 0.0]
        np.testing.assert_array_equal(tables.rates[: n + 1, 0], np.float32(rates))
        np.testing.assert_allclose(tables.rates[: n + 1, 1] * widths(layout), 1, rtol=1e-6)
        assert not tables.rates[n + 1 :].any()

    @over_networks
    def test_capacity_is_the_smallest_that_fits(self, layout: Layout) -> None:
        n_sources = sum(row.n_sources for row in layout.rows)
        needed = (layout.n_tiles, layout.n_blocks, len(layout.rows), n_sources)
        capacity = layout.capacity
        assert all(n <= room for n, room in zip(needed, capacity, strict=True))
        if capacity != Capacity.of_size(512):
            smaller = Capacity.of_size(capacity.tiles // 8)
            assert any(n > room for n, room in zip(needed, smaller, strict=True))
        packed = layout.pack(
            initial_weights(rng(), layout.genome, layout.n_inputs, layout.n_outputs)
        )
        assert isinstance(packed, Weights)
        assert packed.tiles.shape == (1, capacity.tiles, TILE * TILE)

    def test_capacity_grows_with_whatever_is_short(self) -> None:
        wide = Layout(genome(Layer(1500, "relu"), Layer(1500, "relu")), 10, 3)
        assert wide.n_tiles == 1 * 24 + 24 * 24 + 24 * 1
        assert wide.capacity == Capacity.of_size(4096)
        blocks = Layout(genome(*[Layer(100, "relu")] * 64), 10, 3)
        assert (blocks.n_tiles, blocks.n_blocks) == (2 + 63 * 4 + 2, 64 * 2 + 1)
        assert blocks.n_tiles < 512  # enough for the tiles, but not for the blocks
        assert blocks.capacity == Capacity.of_size(4096)


class TestPadding:
    @pytest.mark.parametrize(
        ("layers", "n_inputs", "n_outputs", "n_tiles", "n_weights"),
        [
            ((), 4, 3, 1, 4 * 3),
            ((Layer(70, "relu"),), 4, 3, 2 + 2, 4 * 70 + 70 * 3),
            ((Layer(64, "relu"),), 64, 64, 2, 2 * 64 * 64),
            # wide and deep: the outputs see 70 hidden units and 4 inputs, in 2 + 1 blocks
            ((Layer(70, "relu", skip="concat"),), 4, 3, 2 + 3, 4 * 70 + 74 * 3),
        ],
    )
    def test_it_is_the_share_counted_by_hand(
        self, layers: tuple[Layer, ...], n_inputs: int, n_outputs: int, n_tiles: int, n_weights: int
    ) -> None:
        layout = Layout(genome(*layers), n_inputs, n_outputs)
        assert layout.n_tiles == n_tiles
        assert layout.padding == pytest.approx(1 - n_weights / (n_tiles * 64 * 64))

    @over_networks
    def test_it_is_what_no_kernel_fills(self, layout: Layout) -> None:
        shapes = initial_weights(rng(), layout.genome, layout.n_inputs, layout.n_outputs)
        kernels = layout.pack([np.ones_like(w) for w in shapes]).tiles[0, : layout.n_tiles]
        assert layout.padding == pytest.approx(1 - kernels.mean(dtype=np.float64))
        assert 0 <= layout.padding < 1
