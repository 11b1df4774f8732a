"""Mutations and crossover: every registered operator keeps the same promises."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
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
    raw_spaces,
    rng,
)

from evonet.evolution.variation import (
    MUTATIONS,
    Mutation,
    add_layer,
    change_layer_gene,
    change_network_gene,
    crossover,
    duplicate_layer,
    mutate,
    remove_layer,
)
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import LAYER_GENES, NETWORK_BLOCKS, NETWORK_GENES

every_mutation = pytest.mark.parametrize("name", MUTATIONS)
#: Spaces in which an operator could look for something that is not there.
NARROW = [
    POINT,
    *({**POINT, "layers": depths} for depths in ([0], [1], [2, 5], [0, 64])),
    {**POINT, "layers": [2, 5], "units": [8, 16]},
    {**POINT, "layers": [0], "optimizer": ["momentum"]},
    {**POINT, "initializer": ["glorot_normal"], "activation": ["relu", "tanh"]},
]


GLOROT = {
    **POINT,
    "layers": [1, 2],
    "activation": ["relu", "tanh"],
    "initializer": ["glorot_normal", "glorot_uniform"],
}


def written(genome: Genome) -> dict[str, Any]:
    """The genes of a genome, momentum and those of layers always there."""
    record = {"momentum": None, **genome.to_dict()}
    record["layers"] = [
        {name: getattr(layer, name) for name in LAYER_GENES} for layer in genome.layers
    ]
    return record


class TestEveryMutation:
    @every_mutation
    @given(raw_spaces(), SEEDS)
    @examples(80)
    def test_a_mutant_is_in_the_space(
        self, name: str, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        assert contains(lists, MUTATIONS[name].apply(rng(seed + 1), parent, space))

    @every_mutation
    @given(raw_spaces(), genomes(), SEEDS)
    @examples(50)
    def test_a_mutant_of_a_genome_from_outside_the_space_is_a_genome(
        self, name: str, lists: dict[str, list[Any]], founder: Genome, seed: int
    ) -> None:
        mutant = MUTATIONS[name].apply(rng(seed), founder, make_space(lists))
        assert Genome.from_dict(mutant.to_dict()) == mutant

    @every_mutation
    @given(raw_spaces(), SEEDS)
    @examples(40)
    def test_a_mutation_leaves_its_genome_and_its_space_as_they_were(
        self, name: str, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        text, values = parent.to_json(), space.to_dict()
        MUTATIONS[name].apply(rng(seed), parent, space)
        assert parent.to_json() == text
        assert space.to_dict() == values

    @every_mutation
    @given(raw_spaces(), SEEDS)
    @examples(40)
    def test_a_mutant_depends_on_the_generator_alone(
        self, name: str, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        first = MUTATIONS[name].apply(rng(seed), parent, space)
        random.seed(seed)
        np.random.seed(seed)
        states = random.getstate(), np.random.get_state()[1].tolist()
        assert MUTATIONS[name].apply(rng(seed), parent, space) == first
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states

    @every_mutation
    @pytest.mark.parametrize("lists", NARROW)
    def test_a_mutation_ends_in_a_space_with_hardly_any_choice(
        self, name: str, lists: dict[str, list[Any]]
    ) -> None:
        space = make_space(lists)
        for seed in range(30):
            parent = space.sample(rng(seed))
            mutant = MUTATIONS[name].apply(rng(seed), parent, space)
            assert contains(lists, mutant)
            if lists is POINT:
                assert mutant == parent

    @every_mutation
    def test_a_mutation_changes_most_genomes_of_the_default_space(self, name: str) -> None:
        space = SearchSpace.default()
        parents = [space.sample(rng(seed)) for seed in range(100)]
        changed = sum(MUTATIONS[name].apply(rng(7), parent, space) != parent for parent in parents)
        assert changed > 60  # six depths: one in six has no layer to add or to take away

    @every_mutation
    def test_a_mutation_is_drawn_sometimes(self, name: str) -> None:
        assert MUTATIONS[name].weight > 0


class TestNetworkGene:
    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_one_gene_changes_and_those_of_an_optimizer_come_and_go_with_it(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant = change_network_gene(rng(seed), parent, space)
        assert mutant.layers == parent.layers
        names = {n for n in NETWORK_GENES if getattr(mutant, n) != getattr(parent, n)}
        if "optimizer" in names:
            names -= {"momentum", "weight_decay"}
        if "batch_size" in names:
            names.discard("learning_rate")
        assert len(names) <= 1

    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_a_gene_with_another_value_to_take_is_found(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        lists = {**lists, "initializer": ["matched_normal"]}  # may be another name for the same
        space = make_space(lists)
        parent = space.sample(rng(seed))
        free = [n for n in NETWORK_GENES if len(lists[n]) > 1 and getattr(parent, n) is not None]
        assert (change_network_gene(rng(seed), parent, space) != parent) == bool(free)

    def test_numbers_step_to_a_near_value_most_of_the_time(self) -> None:
        space = SearchSpace.default()
        values = space.genes["learning_rate"].values
        parent = Genome((), "matched_normal", "adam", float(values[12]), 32)
        steps: Counter[int] = Counter()
        for seed in range(2000):
            mutant = change_network_gene(rng(seed), parent, space)
            if mutant.batch_size == parent.batch_size and mutant != parent:
                steps[abs(values.index(mutant.learning_rate) - 12)] += 1
        del steps[0]  # another gene changed
        assert steps[1] > steps[2] > steps[3] > steps[4] > 0
        assert steps[1] > 0.4 * steps.total()

    def test_the_learning_rate_is_scaled_along_with_the_batch_size(self) -> None:
        lists = {**POINT, "batch_size": [16, 32, 64], "learning_rate": [1e-3, 2e-3, 3e-3, 4e-3]}
        for rate, at_16, at_64 in (
            (2e-3, 1e-3, 4e-3),  # exactly
            (3e-3, 1e-3, 4e-3),  # 0.0015 is as near to 0.002 and goes down; 0.006 to the border
            (1e-3, 1e-3, 2e-3),
            (5.5e-3, 3e-3, 4e-3),  # a founder's, from outside the space
        ):
            space = make_space(lists)
            parent = Genome((Layer(8, "relu"),), "matched_normal", "adam", rate, 32)
            mutants = [change_network_gene(rng(seed), parent, space) for seed in range(50)]
            found = {m.batch_size: m.learning_rate for m in mutants if m.batch_size != 32}
            assert found == {16: at_16, 64: at_64}

    def test_a_pinned_learning_rate_stays_when_the_batch_size_changes(self) -> None:
        space = make_space({**POINT, "batch_size": [16, 32, 64]})
        parent = space.sample(rng())
        for seed in range(20):
            mutant = change_network_gene(rng(seed), parent, space)
            assert mutant.batch_size != parent.batch_size
            assert mutant.learning_rate == 1e-3

    def test_weight_decay_that_comes_to_act_is_drawn_from_the_space(self) -> None:
        space = make_space({**POINT, "optimizer": ["adam", "adamw"], "weight_decay": [0.01, 0.1]})
        parent = Genome((Layer(8, "relu"),), "matched_normal", "adam", 1e-3, 32)
        decays = {change_network_gene(rng(seed), parent, space).weight_decay for seed in range(50)}
        assert decays == {0.01, 0.1}

    def test_an_optimizer_switches_to_any_other(self) -> None:
        space = SearchSpace.default()
        parent = Genome((), "matched_normal", "adam", 0.001, 32)
        mutants = {change_network_gene(rng(seed), parent, space).optimizer for seed in range(500)}
        assert mutants == set(space.genes["optimizer"].values)  # adam, where another gene changed

    def test_momentum_that_comes_to_act_is_drawn_from_the_space(self) -> None:
        space = make_space({**POINT, "optimizer": ["adam", "momentum"], "momentum": [0.5, 0.9]})
        parent = Genome((Layer(8, "relu"),), "matched_normal", "adam", 1e-3, 32)
        momenta = {change_network_gene(rng(seed), parent, space).momentum for seed in range(50)}
        assert momenta == {0.5, 0.9}


class TestLayerGene:
    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_one_gene_of_one_layer_changes(self, lists: dict[str, list[Any]], seed: int) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant = change_layer_gene(rng(seed), parent, space)
        changes = [
            name
            for before, after in zip(parent.layers, mutant.layers, strict=True)
            for name in LAYER_GENES
            if getattr(before, name) != getattr(after, name)
        ]
        free = any(len(lists[name]) > 1 for name in LAYER_GENES)
        assert len(changes) == (1 if free and parent.layers else 0)

    @given(SEEDS)
    @examples(100)
    def test_everything_besides_the_layers_stays(self, seed: int) -> None:
        space = SearchSpace.default()
        parent = space.sample(rng(seed))
        before, after = written(parent), written(change_layer_gene(rng(seed), parent, space))
        del before["layers"], after["layers"]
        assert before == after

    def test_widths_step_and_activations_switch(self) -> None:
        space = SearchSpace.default()
        widths = space.genes["units"].values
        layer = Layer(int(widths[6]), "relu", 0.1)
        parent = Genome((layer,), "matched_normal", "adam", 0.001, 32)
        mutants = [change_layer_gene(rng(seed), parent, space).layers[0] for seed in range(3000)]
        steps = Counter(abs(widths.index(m.units) - 6) for m in mutants if m.units != layer.units)
        assert steps[1] > steps[2] > steps[3] > 0
        others = Counter(m.activation for m in mutants if m.activation != "relu")
        assert set(others) == set(space.genes["activation"].values) - {"relu"}
        assert max(others.values()) < 2 * min(others.values())


class TestDepth:
    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_an_added_layer_leaves_the_others_in_their_order(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant = add_layer(rng(seed), parent, space)
        if len(parent.layers) + 1 in lists["layers"]:
            assert len(mutant.layers) == len(parent.layers) + 1
            assert parent.layers in _with_one_layer_less(mutant)
        else:
            assert mutant == parent

    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_a_removed_layer_leaves_the_others_in_their_order(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant = remove_layer(rng(seed), parent, space)
        if len(parent.layers) - 1 in lists["layers"]:
            assert mutant.layers in _with_one_layer_less(parent)
        else:
            assert mutant == parent

    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_a_duplicated_layer_stands_beside_the_one_it_equals(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant = duplicate_layer(rng(seed), parent, space)
        if parent.layers and len(parent.layers) + 1 in lists["layers"]:
            twins = [
                i for i in range(len(parent.layers)) if mutant.layers[i] == mutant.layers[i + 1]
            ]
            assert any(mutant.layers[:i] + mutant.layers[i + 1 :] == parent.layers for i in twins)
        else:
            assert mutant == parent

    @pytest.mark.parametrize("operator", [add_layer, duplicate_layer, remove_layer])
    def test_every_place_is_taken_sometimes(self, operator: Any) -> None:
        layers = tuple(Layer(units, "relu") for units in (8, 16, 32))
        parent = Genome(layers, "matched_normal", "adam", 0.001, 32)
        space = SearchSpace.default()
        places = set()
        for seed in range(200):
            mutant = operator(rng(seed), parent, space)
            short, long = sorted([parent.layers, mutant.layers], key=len)
            places.add(next(i for i in range(4) if short == _without(long, i)))
        assert places == ({0, 1, 2, 3} if operator is add_layer else {0, 1, 2})


def _without(layers: tuple[Layer, ...], place: int) -> tuple[Layer, ...]:
    return tuple(layer for i, layer in enumerate(layers) if i != place)


def _with_one_layer_less(genome: Genome) -> list[tuple[Layer, ...]]:
    return [_without(genome.layers, place) for place in range(len(genome.layers))]


class TestInitializerNames:
    """Glorot's initializer of tanh layers is canonically "matched"; relu must not make it He's."""

    @every_mutation
    def test_a_mutation_keeps_the_family_that_the_space_names(self, name: str) -> None:
        space = make_space(GLOROT)
        for seed in range(200):
            parent = space.sample(rng(seed))
            mutant = MUTATIONS[name].apply(rng(seed), parent, space)
            families = {family for family, _ in network_of(written(mutant))[1]}
            assert families == {"glorot"}

    def test_crossover_keeps_the_family_that_the_space_names(self) -> None:
        space = make_space(GLOROT)
        for seed in range(200):
            mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
            child = crossover(rng(seed), mother, father, space)
            assert {family for family, _ in network_of(written(child))[1]} == {"glorot"}


class TestCrossover:
    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_a_child_is_in_the_space(self, lists: dict[str, list[Any]], seed: int) -> None:
        space = make_space(lists)
        mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
        assert contains(lists, crossover(rng(seed), mother, father, space))

    @given(raw_spaces(), genomes(), genomes(), SEEDS)
    @examples(100)
    def test_a_child_of_genomes_from_outside_the_space_is_a_genome(
        self, lists: dict[str, list[Any]], mother: Genome, father: Genome, seed: int
    ) -> None:
        child = crossover(rng(seed), mother, father, make_space(lists))
        assert Genome.from_dict(child.to_dict()) == child

    @given(SEEDS)
    @examples(200)
    def test_a_child_has_the_first_layers_of_its_mother_and_the_last_of_its_father(
        self, seed: int
    ) -> None:
        space = SearchSpace.default()
        mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
        child = crossover(rng(seed), mother, father, space)
        assert any(
            child.layers[:cut] == mother.layers[:cut]
            and child.layers[cut:] == father.layers[len(father.layers) - len(child.layers) + cut :]
            for cut in range(len(child.layers) + 1)
            if len(child.layers) - cut <= len(father.layers)
        )

    @given(raw_spaces(), SEEDS)
    @examples(200)
    def test_blocks_of_genes_are_inherited_whole(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        lists = {**lists, "initializer": ["matched_normal", "matched_uniform"]}  # one name each
        space = make_space(lists)
        mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
        child = crossover(rng(seed), mother, father, space)
        for block in NETWORK_BLOCKS:
            inherited = [getattr(child, name) for name in block]
            assert inherited in (
                [getattr(mother, name) for name in block],
                [getattr(father, name) for name in block],
            )

    def test_blocks_come_from_both_parents_independently_of_each_other(self) -> None:
        space = SearchSpace.default()
        mother = Genome((Layer(8, "relu"),), "matched_normal", "adam", 0.001, 32)
        father = Genome((Layer(8, "relu"),), "matched_uniform", "momentum", 0.1, 64, 0.9)
        children = [crossover(rng(seed), mother, father, space) for seed in range(400)]
        pairs = Counter((child.initializer, child.optimizer) for child in children)
        assert len(pairs) == 4
        # 400 draws from 4 equal shares, standard deviation 8.7: five of them either way.
        assert all(56 < count < 144 for count in pairs.values())

    def test_children_of_shallow_and_deep_parents_have_every_depth_in_between(self) -> None:
        space = SearchSpace.default()
        mother = Genome((Layer(8, "relu"),), "matched_normal", "adam", 0.001, 32)
        father = Genome((Layer(16, "relu"),) * 6, "matched_normal", "adam", 0.001, 32)
        for a, b in ((mother, father), (father, mother)):
            depths = {len(crossover(rng(seed), a, b, space).layers) for seed in range(500)}
            assert depths == {1, 2, 3, 4, 5, 6}

    @pytest.mark.parametrize("lists", NARROW)
    def test_crossover_ends_in_a_space_with_hardly_any_choice(
        self, lists: dict[str, list[Any]]
    ) -> None:
        space = make_space(lists)
        for seed in range(30):
            mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
            assert contains(lists, crossover(rng(seed), mother, father, space))

    @given(SEEDS)
    @examples(50)
    def test_a_child_depends_on_the_generator_alone_and_parents_stay(self, seed: int) -> None:
        space = SearchSpace.default()
        mother, father = space.sample(rng(seed)), space.sample(rng(seed + 1))
        texts = mother.to_json(), father.to_json()
        first = crossover(rng(seed), mother, father, space)
        random.seed(seed)
        state = random.getstate()
        assert crossover(rng(seed), mother, father, space) == first
        assert random.getstate() == state
        assert (mother.to_json(), father.to_json()) == texts


class TestMutate:
    @given(raw_spaces(), SEEDS)
    @examples(100)
    def test_a_mutant_is_in_the_space_and_names_what_changed_it(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        parent = space.sample(rng(seed))
        mutant, names = mutate(rng(seed), parent, space)
        assert contains(lists, mutant)
        assert set(names) <= set(MUTATIONS)
        assert names or mutant == parent

    def test_most_mutants_take_one_mutation_and_some_take_several(self) -> None:
        space = SearchSpace.default()
        counts = Counter(
            len(mutate(rng(seed), space.sample(rng(seed)), space)[1]) for seed in range(2000)
        )
        assert counts[1] > counts[2] > counts[3] > counts[4] > 0
        assert counts[1] > 1000

    def test_mutations_are_drawn_by_their_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def wider(_rng: object, genome: Genome, _space: object) -> Genome:
            return Genome((*genome.layers, Layer(8, "relu")), "he_normal", "sgd", 0.1, 32)

        for name, weight in (("change_network_gene", 3), ("change_layer_gene", 1)):
            monkeypatch.setitem(MUTATIONS, name, Mutation(wider, weight))  # type: ignore[arg-type]
        for name in set(MUTATIONS) - {"change_network_gene", "change_layer_gene"}:
            monkeypatch.setitem(MUTATIONS, name, Mutation(wider, 0))  # type: ignore[arg-type]
        linear = Genome((), "he_normal", "sgd", 0.1, 32)
        drawn = Counter(
            name
            for seed in range(1000)
            for name in mutate(rng(seed), linear, SearchSpace.default())[1]
        )
        assert set(drawn) == {"change_network_gene", "change_layer_gene"}
        # Three quarters; five standard deviations of a binomial count.
        n = drawn.total()
        assert abs(drawn["change_network_gene"] - 0.75 * n) < 5 * (n * 0.75 * 0.25) ** 0.5

    @given(st.sampled_from(NARROW), SEEDS)
    @examples(50)
    def test_mutate_ends_in_a_space_with_hardly_any_choice(
        self, lists: dict[str, list[Any]], seed: int
    ) -> None:
        space = make_space(lists)
        assume(space.size > 0)
        mutant, names = mutate(rng(seed), space.sample(rng(seed)), space)
        assert contains(lists, mutant)
        assert names == () or lists is not POINT
