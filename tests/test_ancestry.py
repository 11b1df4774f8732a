"""Family trees, drawn by hand."""

from __future__ import annotations

import doctest

from planted import genome

from evonet.genome import Layer
from evonet.report import ancestry
from evonet.report.ancestry import descent, differences, family
from evonet.store.rows import StoredCandidate

#: name: generation, operator, parents.
TREE = {
    "a": (0, "random", ()),
    "b": (0, "random", ()),
    "c": (1, "crossover", ("a", "b")),
    "d": (1, "widen", ("a",)),
    "e": (2, "crossover + widen", ("c", "d")),
    "stranger": (2, "random", ()),
}


def candidates() -> list[StoredCandidate]:
    return [
        StoredCandidate(generation, slot, name, name, operator, parents)
        for slot, (name, (generation, operator, parents)) in enumerate(TREE.items())
    ]


def test_all_ancestors_are_found_the_nearest_first() -> None:
    tree, n = family("e", candidates(), 10)
    assert n == 5
    assert [(a.key, a.distance) for a in tree] == [("e", 0), ("c", 1), ("d", 1), ("a", 2), ("b", 2)]
    assert {a.key: a.parents for a in tree} == {name: TREE[name][2] for name in "ecdab"}
    assert [a.operator for a in tree[:2]] == ["crossover + widen", "crossover"]


def test_of_many_ancestors_the_nearest_are_kept_and_nobody_has_a_parent_outside() -> None:
    tree, n = family("e", candidates(), 3)
    assert (n, [a.key for a in tree]) == (5, ["e", "c", "d"])
    assert [a.parents for a in tree] == [("c", "d"), (), ()]


def test_who_never_was_a_candidate_has_no_tree() -> None:
    assert family("nobody", candidates(), 10) == ([], 0)
    assert descent([], {}) == []


def test_a_network_born_twice_has_its_first_parents_and_no_circle() -> None:
    again = StoredCandidate(3, 0, "a", "a again", "widen", ("e",))
    tree, n = family("e", [*candidates(), again], 10)
    assert n == 5
    assert next(a for a in tree if a.key == "a").parents == ()


def test_main_line_goes_by_the_better_parent() -> None:
    tree, _ = family("e", candidates(), 10)
    fitness = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.0, "e": 4.0}
    assert [a.key for a in descent(tree, fitness)] == ["b", "c", "e"]
    fitness["d"] = 9.0
    assert [a.key for a in descent(tree, fitness)] == ["a", "d", "e"]


def test_differences_are_named_gene_by_gene() -> None:
    old = genome(0, layers=(Layer(8, "relu"), Layer(4, "relu", 0.5)))
    new = genome(0, layers=(Layer(8, "elu"),), optimizer="nesterov", momentum=0.9)
    assert differences(old, new) == [
        "layer 1: activation relu → elu",
        "layer 2 removed: 4 relu dropout 0.5",
        "optimizer adam → nesterov",
        "momentum none → 0.9",
        "weight_decay none → 0",
    ]
    assert differences(old, old) == []
    assert doctest.testmod(ancestry).failed == 0
