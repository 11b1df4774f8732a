"""The search space: what it holds, its size, its files, and what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    POINT,
    SEEDS,
    contains,
    examples,
    genomes,
    make_space,
    network_of,
    raises_at_most,
    raw_spaces,
    rng,
    spaces,
)

from evonet.errors import GenomeError, SpaceError
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import KINDS, LAYER_GENES, NETWORK_GENES
from evonet.toml import write_toml

ORDERED = {
    "layers",
    "units",
    "dropout",
    "momentum",
    "learning_rate",
    "batch_size",
    "warmup",
    "weight_decay",
    "clip_norm",
    "label_smoothing",
    "input_noise",
}
#: The genes of a layer, and those of a network besides its layers.
PER_LAYER = ("units", "activation", "dropout", "normalisation", "skip")
PER_NETWORK = tuple(name for name in POINT if name not in (*PER_LAYER, "layers"))
MATCHED = ("matched_normal", "matched_uniform")


def spelled_out(space: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every record that the lists spell, several for a network without momentum."""
    layers = [
        dict(zip(PER_LAYER, values, strict=True))
        for values in itertools.product(*(space[name] for name in PER_LAYER))
    ]
    return [
        {"layers": list(stack), **dict(zip(PER_NETWORK, values, strict=True))}
        for depth in space["layers"]
        for stack in itertools.product(layers, repeat=depth)
        for values in itertools.product(*(space[name] for name in PER_NETWORK))
    ]


def small_spaces() -> st.SearchStrategy[dict[str, list[Any]]]:
    """Lists that spell a few thousand records at most: up to seven genes have two values."""
    often = st.sampled_from(["layers", "optimizer", "momentum", "weight_decay"])
    return st.builds(
        lambda lists, some, more: {
            name: values if name in some | more else values[:1] for name, values in lists.items()
        },
        raw_spaces(most=2, max_depth=2),
        st.sets(often),
        st.sets(st.sampled_from(sorted(POINT)), max_size=3),
    )


class TestContents:
    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_every_sample_is_in_the_space(self, lists: dict[str, list[Any]], seed: int) -> None:
        assert contains(lists, make_space(lists).sample(rng(seed)))

    @given(raw_spaces(most=2), raw_spaces(), SEEDS)
    @examples(300)
    def test_a_space_admits_exactly_the_genomes_its_lists_spell(
        self, lists: dict[str, list[Any]], wider: dict[str, list[Any]], seed: int
    ) -> None:
        both = {name: sorted({*lists[name], *wider[name]}) for name in lists}
        genome = make_space(both).sample(rng(seed))
        assert make_space(lists).admits(genome) == contains(lists, genome)

    @given(small_spaces(), SEEDS, st.sampled_from(sorted(POINT)))
    @examples(200)
    def test_one_gene_from_elsewhere_is_enough_to_be_outside(
        self, lists: dict[str, list[Any]], seed: int, gene: str
    ) -> None:
        genome = make_space(lists).sample(rng(seed))
        elsewhere = {**lists, gene: [v for v in spelled(gene) if v not in lists[gene]]}
        assume(elsewhere[gene])  # or there is no elsewhere
        assert make_space(elsewhere).admits(genome) == contains(elsewhere, genome)

    def test_all_values_of_all_genes_are_sampled(self) -> None:
        space = SearchSpace.default()
        drawn = [space.sample(rng(seed)) for seed in range(2000)]
        assert {len(g.layers) for g in drawn} == set(space.depths)
        for name in LAYER_GENES:
            found = {getattr(layer, name) for g in drawn for layer in g.layers}
            assert found == set(space.genes[name].values)
        for name in NETWORK_GENES:
            found = {getattr(g, name) for g in drawn} - {None}
            assert found == set(space.genes[name].values)

    @given(small_spaces())
    @examples(25)
    def test_enumeration_holds_each_network_that_the_lists_spell(
        self, lists: dict[str, list[Any]]
    ) -> None:
        records = spelled_out(lists)
        networks = {repr(network_of(record)) for record in records}
        found = list(make_space(lists).enumerate())
        assert {g.key for g in found} == {Genome.from_dict(r).key for r in records}
        assert len({g.key for g in found}) == len(networks)

    @given(small_spaces(), st.lists(st.sampled_from(MATCHED), min_size=1, unique=True))
    @examples(25)
    def test_size_is_the_number_of_genomes_where_each_has_one_name(
        self, lists: dict[str, list[Any]], initializers: list[str]
    ) -> None:
        space = make_space({**lists, "initializer": initializers})
        assert space.size == len({genome.key for genome in space.enumerate()})

    def test_size_counts_a_network_once_for_each_of_its_names(self) -> None:
        space = make_space(
            {**POINT, "layers": [0], "initializer": ["matched_normal", "glorot_normal"]}
        )
        assert space.size == 2
        assert len({genome.key for genome in space.enumerate()}) == 1

    def test_size_of_the_default_space_is_what_its_file_says(self) -> None:
        # 13 widths, 8 activations, 8 dropout rates, 3 normalisations, with a skip or without.
        stacks = sum((13 * 8 * 8 * 3 * 2) ** depth for depth in (1, 2, 3, 4, 5, 6))
        # Adam; 4 optimizers with 4 weight decays each, 2 more with 4 momenta for each of these.
        optimizers = 1 + 4 * 4 + 2 * 4 * 4
        schedules = 4
        assert SearchSpace.default().size == stacks * 2 * optimizers * 25 * 5 * schedules

    @given(spaces(), genomes(), SEEDS)
    @examples(200)
    def test_an_adopted_genome_has_the_pinned_genes_and_keeps_the_others(
        self, space: SearchSpace, genome: Genome, seed: int
    ) -> None:
        pinned = {n for n, gene in space.genes.items() if len(gene.values) == 1}
        assume("layers" not in pinned or len(genome.layers) in space.depths)
        adopted = space.adopt(rng(seed), genome)
        assert len(adopted.layers) == len(genome.layers)
        for before, after in zip(genome.layers, adopted.layers, strict=True):
            for name in LAYER_GENES:
                (value,) = space.genes[name].values if name in pinned else (getattr(before, name),)
                assert getattr(after, name) == value
        for name in set(PER_NETWORK) - {"initializer", "momentum", "weight_decay"}:
            (value,) = space.genes[name].values if name in pinned else (getattr(genome, name),)
            assert getattr(adopted, name) == value
        for name in ("momentum", "weight_decay"):
            if getattr(adopted, name) is not None and name in pinned:
                assert getattr(adopted, name) in space.genes[name].values

    def test_a_gene_that_means_nothing_in_a_task_is_held_at_its_neutral_value(self) -> None:
        space = make_space({"label_smoothing": [0.0, 0.1], "weight_decay": [0.0, 0.1]})
        regression = space.for_task("regression")
        assert regression.to_dict() == {**space.to_dict(), "label_smoothing": [0.0]}
        for task in ("binary", "multiclass"):
            assert space.for_task(task) == space

    def test_a_gene_pinned_to_what_means_nothing_in_a_task_is_refused(self) -> None:
        space = SearchSpace.default().fix("label_smoothing", "0.1")
        with pytest.raises(SpaceError, match="'label_smoothing' means nothing in regression; exp"):
            space.for_task("regression")

    def test_a_genome_of_another_depth_than_the_pinned_one_is_not_adopted(self) -> None:
        linear = Genome((), "he_normal", "sgd", 0.1, 32)
        with pytest.raises(GenomeError, match="has 0 layers; expected 3"):
            SearchSpace.default().fix("layers", "3").adopt(rng(), linear)


def spelled(gene: str) -> list[Any]:
    """Legal values of a gene, more than any space of these tests has."""
    return {
        "layers": [0, 1, 2, 3],
        "units": [1, 2, 8, 64, 300],
        "dropout": [0.0, 0.1, 0.5],
        "momentum": [0.5, 0.9, 0.99],
        "learning_rate": [1e-4, 1e-3, 1e-2, 0.1],
        "batch_size": [16, 32, 256],
        "warmup": [0.0, 0.1, 0.5],
        "weight_decay": [0.0, 1e-3, 0.1],
        "clip_norm": [0.0, 1.0, 10.0],
        "label_smoothing": [0.0, 0.1, 0.2],
        "input_noise": [0.0, 0.1, 1.0],
    }.get(gene) or list(KINDS[gene].names)


class TestSteps:
    """How one gene changes: the part of a mutation that knows which values are near."""

    @given(st.sampled_from(sorted(POINT)), st.data())
    @examples(200)
    def test_a_gene_with_several_values_takes_another_one_of_them(
        self, gene: str, data: st.DataObject
    ) -> None:
        values = data.draw(st.lists(st.sampled_from(spelled(gene)), min_size=2, unique=True))
        value = data.draw(st.sampled_from(values))
        after = make_space({gene: values}).genes[gene].mutate(rng(data.draw(SEEDS)), value)
        assert after in values
        assert after != value

    @pytest.mark.parametrize("gene", sorted(POINT))
    def test_a_gene_with_one_value_keeps_it(self, gene: str) -> None:
        (value,) = POINT[gene]
        assert make_space(POINT).genes[gene].mutate(rng(), value) == value

    def test_half_of_the_steps_go_to_a_neighbour_and_a_quarter_two_away(self) -> None:
        values = list(range(101))
        units = make_space({"batch_size": [value + 1 for value in values]}).genes["batch_size"]
        n, generator = 4000, rng()
        steps = Counter(int(units.mutate(generator, 51)) - 51 for _ in range(n))
        for size, share in ((1, 0.25), (2, 0.125), (3, 0.0625)):
            # Five standard deviations of a binomial count, and the generator is fixed.
            tolerance = 5 * (n * share * (1 - share)) ** 0.5
            assert abs(steps[size] - n * share) < tolerance
            assert abs(steps[-size] - n * share) < tolerance

    def test_a_step_beyond_the_border_ends_on_it_or_turns_back(self) -> None:
        gene = make_space({"units": [8, 16, 32, 64]}).genes["units"]
        generator = rng()
        from_border = Counter(gene.mutate(generator, 8) for _ in range(1000))
        assert set(from_border) == {16, 32, 64}
        assert from_border[16] > from_border[32]

    def test_steps_are_counted_in_values_not_in_numbers(self) -> None:
        gene = make_space({"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1]}).genes["learning_rate"]
        generator = rng()
        after = Counter(gene.mutate(generator, 1e-3) for _ in range(1000))
        assert after[1e-4] > 300
        assert after[1e-2] > 200
        assert after[1e-1] > 50

    def test_a_value_between_those_of_the_space_steps_from_the_nearest(self) -> None:
        gene = make_space({"units": [8, 64, 512]}).genes["units"]
        assert {gene.mutate(rng(seed), 70) for seed in range(50)} == {8, 512}

    def test_a_choice_switches_to_every_other_name_alike(self) -> None:
        gene = make_space({"activation": ["relu", "tanh", "gelu", "selu"]}).genes["activation"]
        n, generator = 3000, rng()
        after = Counter(gene.mutate(generator, "gelu") for _ in range(n))
        assert set(after) == {"relu", "tanh", "selu"}
        # Five standard deviations of a binomial count, and the generator is fixed.
        assert max(abs(count - n / 3) for count in after.values()) < 5 * (n * 2 / 9) ** 0.5


class TestFix:
    @given(raw_spaces(), st.sampled_from(sorted(POINT)), SEEDS)
    @examples(100)
    def test_a_pinned_gene_has_one_value_and_the_others_keep_theirs(
        self, lists: dict[str, list[Any]], gene: str, seed: int
    ) -> None:
        (value,) = POINT[gene]
        pinned = make_space(lists).fix(gene, str(value))
        expected = {n: sorted(v) if n in ORDERED else v for n, v in lists.items()}
        assert pinned.to_dict() == {**expected, gene: [value]}
        assert contains({**lists, gene: [value]}, pinned.sample(rng(seed)))

    def test_a_space_is_not_changed_by_pinning_one_of_its_genes(self) -> None:
        space = SearchSpace.default()
        before = space.to_dict()
        space.fix("units", "7")
        assert space.to_dict() == before

    def test_a_gene_may_be_pinned_to_a_legal_value_that_the_space_does_not_hold(self) -> None:
        assert SearchSpace.default().fix("layers", "0").sample(rng()).layers == ()

    @pytest.mark.parametrize(
        ("gene", "text", "message"),
        [
            ("wings", "2", "--fix: unknown gene 'wings'; expected one of layers, units"),
            ("", "2", "--fix: unknown gene ''; expected one of layers, units"),
            ("units", "many", "--fix units=many: expected a whole number from 1 to 65536"),
            ("units", "6.5", r"--fix units=6\.5: expected a whole number from 1 to 65536"),
            ("units", "0", "--fix units=0: expected a whole number from 1 to 65536"),
            ("learning_rate", "nan", "learning_rate=nan: expected a number from 1e-08 to 100"),
            ("dropout", "1", "--fix dropout=1: expected a number from 0 up to but not 1"),
            ("optimizer", "adam2", "--fix optimizer=adam2: expected one of sgd, momentum"),
            ("skip", "sum", "--fix skip=sum: expected one of none, concat"),
            ("weight_decay", "1.1", r"weight_decay=1\.1: expected a number from 0 to 1\."),
        ],
    )
    def test_a_bad_pin_is_refused(self, gene: str, text: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message):
            SearchSpace.default().fix(gene, text)


class TestFiles:
    @given(raw_spaces())
    @examples(50)
    def test_space_to_dict_to_space_is_the_identity(self, lists: dict[str, list[Any]]) -> None:
        space = make_space(lists)
        assert SearchSpace.from_dict(space.to_dict()) == space

    @given(spaces())
    @examples(50)
    def test_space_to_toml_to_space_is_the_identity(
        self, tmp_path_factory: pytest.TempPathFactory, space: SearchSpace
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "space.toml"
        path.write_text(write_toml(space.to_dict()), "utf-8")
        assert SearchSpace.from_file(path) == space

    def test_a_file_changes_only_the_genes_it_names(self, tmp_path: Path) -> None:
        path = tmp_path / "space.toml"
        path.write_text('units = [32, 4]\noptimizer = ["sgd", "adam", "sgd"]\n')
        expected = SearchSpace.default().to_dict()
        expected.update(units=[4, 32], optimizer=["sgd", "adam"])  # sorted; each name once
        assert SearchSpace.from_file(path).to_dict() == expected

    def test_an_empty_file_is_the_default_space(self, tmp_path: Path) -> None:
        path = tmp_path / "space.toml"
        path.write_text("# nothing\n")
        assert SearchSpace.from_file(path) == SearchSpace.default()

    @pytest.mark.parametrize(
        ("line", "values"),
        [
            ("units = { low = 8, high = 10, count = 3 }", [8, 9, 10]),
            ("units = { low = 1000, high = 1003, count = 4 }", [1000, 1001, 1002, 1003]),
            ("units = { low = 1, high = 3, count = 9 }", [1, 2, 3]),
            ('units = { low = 8, high = 64, count = 4, scale = "log" }', [8, 16, 32, 64]),
            ("dropout = { low = 0, high = 0.5, count = 3 }", [0.0, 0.25, 0.5]),
            ("dropout = { low = 0, high = 0.9999, count = 3 }", [0.0, 0.5, 0.9999]),
            (
                'learning_rate = { low = 1e-4, high = 1, count = 3, scale = "log" }',
                [1e-4, 0.01, 1.0],
            ),
            ('learning_rate = { low = 0.1, high = 0.2, count = 2, scale = "linear" }', [0.1, 0.2]),
            ("layers = [3, 1]", [1, 3]),
            ("[units]\nlow = 8\nhigh = 10\ncount = 2", [8, 10]),
        ],
    )
    def test_a_range_is_spelled_out(self, tmp_path: Path, line: str, values: list[Any]) -> None:
        path = tmp_path / "space.toml"
        path.write_text(line)
        gene = line.split()[0].strip("[]")
        assert SearchSpace.from_file(path).to_dict()[gene] == values

    @given(st.sampled_from(sorted(ORDERED)), st.data())
    @examples(200)
    def test_a_range_holds_ascending_values_between_its_ends(
        self, gene: str, data: st.DataObject
    ) -> None:
        numbers = {
            "layers": st.integers(0, 64),
            "units": st.integers(1, 65_536),
            "batch_size": st.integers(1, 65_536),
            "learning_rate": st.floats(1e-8, 100),
            "momentum": st.floats(0.01, 1, exclude_max=True),
            "weight_decay": st.floats(0, 1),
            "clip_norm": st.floats(0, 1000),
            "input_noise": st.floats(0, 10),
        }.get(gene, st.floats(0, 1, exclude_max=True))
        low, high = sorted([data.draw(numbers), data.draw(numbers)])
        assume(low < high)
        scale = data.draw(st.sampled_from(["linear", "log"] if low > 0 else ["linear"]))
        count = data.draw(st.integers(2, 20))
        domain = {"low": low, "high": high, "count": count, "scale": scale}
        values = make_space({gene: domain}).to_dict()[gene]
        assert values == sorted(set(values))
        assert 1 <= len(values) <= count
        assert low <= values[0]
        assert values[-1] <= high
        # Three significant digits are kept, so that an end is off by half of the third at most.
        assert values[0] == pytest.approx(low, rel=5e-3, abs=1e-300)
        assert values[-1] == pytest.approx(high, rel=5e-3)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("wings = [2]", "unknown gene 'wings'; expected one of layers, units, activation"),
            ("units = []", r"gene 'units' is \[\]; expected a list of values, such as units = \["),
            ("units = 64", "gene 'units' is 64; expected a list of values, .* or { low, high, co"),
            ('units = "64"', "gene 'units' is '64'; expected a list of values"),
            ("units = true", "gene 'units' is True; expected a list of values"),
            ("units = 2024-01-01", "gene 'units' is datetime.date.*; expected a list of values"),
            ("units = [64.0]", r"'units' has the value 64\.0; expected a whole number from 1"),
            ("units = [true]", "'units' has the value True; expected a whole number from 1"),
            ("units = [8, 0]", "'units' has the value 0; expected a whole number from 1 to 65536"),
            ("units = [[8]]", r"'units' has the value \[8\]; expected a whole number from 1"),
            ("dropout = [1.0]", r"'dropout' has the value 1\.0; expected a number from 0 up to"),
            ("dropout = [nan]", "'dropout' has the value nan; expected a number from 0 up to"),
            ("learning_rate = [inf]", "'learning_rate' has the value inf; expected a number from"),
            ("learning_rate = [-inf]", "'learning_rate' has the value -inf; expected a number"),
            ("layers = [65]", "'layers' has the value 65; expected a whole number from 0 to 64"),
            ('activation = ["x"]', "'activation' has the value 'x'; expected one of relu"),
            (
                'activation = "relu"',
                r"'activation' is 'relu'; .* such as activation = \[\.\.\.\]\.$",
            ),
            ("optimizer = [1]", "'optimizer' has the value 1; expected one of sgd, momentum"),
            ("activation = {low = 1}", "'activation' is a choice between names; expected a list"),
            ("units = {low = 8, high = 9}", "'units': count is None; expected 2 to 10000"),
            ("units = {low=8, high=9, count=1}", "'units': count is 1; expected 2 to 10000"),
            ("units = {low=8, high=9, count=true}", "'units': count is True; expected 2 to 10000"),
            ("units = {low=8, high=9, count=10001}", "'units': count is 10001; expected 2 to"),
            ("units = {low=9, high=8, count=2}", "low is 9, high is 8; expected low below high"),
            ("units = {low=8, high=8, count=2}", "low is 8, high is 8; expected low below high"),
            ("units = {high=8, count=2}", "low is None, high is 8; expected low below high"),
            ("units = {low=true, high=8, count=2}", "low is True, high is 8; expected low below"),
            ("units = {low=1.5, high=8, count=2}", r"low is 1\.5, high is 8; .* a whole number"),
            ("units = {low=0, high=8, count=2}", "low is 0, high is 8; .* whole number from 1"),
            ("dropout = {low=nan, high=0.5, count=2}", r"low is nan, high is 0\.5; expected low"),
            ("dropout = {low=0.1, high=inf, count=2}", r"low is 0\.1, high is inf; expected low"),
            ("units = {low=1, high=1" + "0" * 400 + ", count=2}", "low is 1, high is 1000"),
            ("units = {low=1, high=9, count=2, step=1}", "unknown key 'step'; expected low, high"),
            (
                "units = {low=1, high=9, count=2, scale=3}",
                'scale is 3; expected "linear", or "log"',
            ),
            (
                'dropout = {low=0, high=0.5, count=3, scale="log"}',
                """scale is 'log'; expected "linear", or "log" with low above 0""",
            ),
            ("units = [8", r"is not valid TOML: .*\(at "),
            ("units = [8]\nunits = [9]", "is not valid TOML: .*"),
            ("units = [" + "9" * 5000 + "]", "is not valid TOML: Exceeds the limit"),
            ("units = [0x" + "f" * 5000 + "]", "has the value too large int; expected a whole num"),
            ("units = " + "[" * 5000, "is not valid TOML: .*(recursion depth|nested)"),
            (
                "units.low" + ".a" * 5000 + " = 1",
                "(low is (too large dict|{'a': .*), high is None|not valid TOML)",
            ),
        ],
    )
    def test_a_bad_file_is_refused_with_gene_value_and_what_was_expected(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        path = tmp_path / "space.toml"
        path.write_text(text)
        with pytest.raises(SpaceError, match=rf"space\.toml.*{message}") as refusal:
            SearchSpace.from_file(path)
        assert "\n" not in str(refusal.value)
        assert len(str(refusal.value)) < 500

    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpaceError, match=r"Cannot read .*none\.toml: .*No such file"):
            SearchSpace.from_file(tmp_path / "none.toml")
        with pytest.raises(SpaceError, match=r"Cannot read .*: .*Is a directory"):
            SearchSpace.from_file(tmp_path)
        (tmp_path / "latin.toml").write_bytes(b'activation = ["\xe9"]')
        with pytest.raises(SpaceError, match=r"Cannot read .*latin\.toml: .*can't decode byte"):
            SearchSpace.from_file(tmp_path / "latin.toml")
        with pytest.raises(SpaceError, match=r"Cannot read .*: embedded null byte"):
            SearchSpace.from_file(Path("a\0b"))

    @given(st.one_of(st.text(max_size=200), st.binary(max_size=50)))
    @examples(200)
    def test_any_text_gives_a_space_or_an_error_of_evonet(
        self, tmp_path_factory: pytest.TempPathFactory, content: str | bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        _read_or_refuse(path)

    @given(
        st.dictionaries(
            st.sampled_from(sorted(POINT)),
            st.recursive(
                st.booleans()
                | st.integers(-(2**63), 2**63 - 1)
                | st.floats()
                | st.sampled_from(["log", "linear", "relu", "adam"])
                | st.text(max_size=5),
                lambda values: (
                    st.lists(values, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(["low", "high", "count", "scale"]) | st.text(max_size=5),
                        values,
                        max_size=4,
                    )
                ),
                max_leaves=8,
            ),
            max_size=2,
        )
    )
    @examples(300)
    def test_any_value_for_a_gene_gives_a_space_or_an_error_of_evonet(
        self, tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "any.toml"
        path.write_bytes(tomli_w.dumps(record).encode())
        _read_or_refuse(path)


def _read_or_refuse(path: Path) -> None:
    with raises_at_most(SpaceError):
        space = SearchSpace.from_file(path)
        assert space.admits(space.sample(rng()))


def test_layers_are_drawn_from_the_space() -> None:
    space = make_space({**POINT, "units": [3, 5], "dropout": [0.1]})
    layers = {space.sample_layer(rng(seed)) for seed in range(30)}
    assert layers == {Layer(3, "relu", 0.1), Layer(5, "relu", 0.1)}


class TestSpread:
    @given(small_spaces(), st.integers(1, 40), SEEDS)
    def test_every_value_of_a_network_gene_is_about_equally_frequent(
        self, lists: dict, n: int, seed: int
    ) -> None:
        space = make_space(lists)
        genomes = space.spread(rng(seed), n)
        assert len(genomes) == n
        assert all(space.admits(genome) for genome in genomes)
        depths = [len(genome.layers) for genome in genomes]
        counts = [depths.count(depth) for depth in space.depths]
        assert max(counts) - min(counts) <= 1
        for name in ("learning_rate", "batch_size", "optimizer"):  # those that always act
            values = [getattr(genome, name) for genome in genomes]
            counts = [values.count(value) for value in space.genes[name].values]
            assert max(counts) - min(counts) <= 1

    def test_it_depends_on_the_generator_alone(self) -> None:
        space = SearchSpace.default()
        assert space.spread(rng(1), 9) == space.spread(rng(1), 9) != space.spread(rng(2), 9)
