"""Where a network comes from: its ancestors, and what each step of its descent changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from evonet.genome import Genome
from evonet.genome.genes import LAYER_GENES, NETWORK_GENES
from evonet.store.rows import StoredCandidate


@dataclass(frozen=True)
class Ancestor:
    """A network in a family tree.

    Attributes:
        key: of its genome.
        generation: in which it was tried first.
        operator: what made it.
        parents: keys of its parents, as far as they are in the tree.
        distance: steps to the network whose tree it is.
    """

    key: str
    generation: int
    operator: str
    parents: tuple[str, ...]
    distance: int


def family(
    key: str, candidates: Sequence[StoredCandidate], most: int
) -> tuple[list[Ancestor], int]:
    """The ancestors of a network, the nearest first, it being the first of all.

    Args:
        key: of its genome.
        candidates: of the run, by generation.
        most: ancestors to return.

    Returns:
        They, and how many there are in all; nothing where the network is not among the candidates.
    """
    born: dict[str, StoredCandidate] = {}
    for candidate in candidates:
        born.setdefault(candidate.genome_key, candidate)
    distances = {key: 0} if key in born else {}
    queue = list(distances)
    for name in queue:  # breadth first: it grows while it is read
        for parent in born[name].parents:
            if parent in born and parent not in distances:
                distances[parent] = distances[name] + 1
                queue.append(parent)
    kept = set(queue[:most])
    tree = [
        Ancestor(
            name,
            born[name].generation,
            born[name].operator,
            tuple(dict.fromkeys(p for p in born[name].parents if p in kept)),
            distances[name],
        )
        for name in queue[:most]
    ]
    return tree, len(queue)


def descent(tree: Sequence[Ancestor], fitness: Mapping[str, float]) -> list[Ancestor]:
    """The line from the first ancestor to the network: at each step the better parent.

    Args:
        tree: as ``family`` returns it.
        fitness: by key; more is better.
    """
    by_key = {ancestor.key: ancestor for ancestor in tree}
    line = list(tree[:1])
    while line and line[-1].parents:
        line.append(by_key[max(line[-1].parents, key=lambda key: fitness[key])])
    return line[::-1]


def differences(old: Genome, new: Genome) -> list[str]:
    """What changed from one genome to another, in words.

    Example:
        >>> from evonet.genome import Layer
        >>> a = Genome((Layer(8, "relu"),), "matched_normal", "adam", 1e-3, 32)
        >>> b = Genome((Layer(16, "relu"), Layer(4, "elu")), "matched_normal", "adam", 1e-2, 32)
        >>> differences(a, b)
        ['layer 1: units 8 → 16', 'layer 2 added: 4 elu', 'learning_rate 0.001 → 0.01']
    """
    said = []
    for place, (before, after) in enumerate(zip_longest(old.layers, new.layers), start=1):
        if before is None:
            said.append(f"layer {place} added: {after}")
        elif after is None:
            said.append(f"layer {place} removed: {before}")
        else:
            pairs = [(n, getattr(before, n), getattr(after, n)) for n in LAYER_GENES]
            said += [f"layer {place}: {_change(*pair)}" for pair in pairs if pair[1] != pair[2]]
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in NETWORK_GENES]
    return said + [_change(*pair) for pair in pairs if pair[1] != pair[2]]


def _change(name: str, before: object, after: object) -> str:
    def text(value: object) -> str:
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    return f"{name} {text(before)} → {text(after)}"
