"""The section of networks as lines through all of their genes."""

from __future__ import annotations

from typing import Any

from evonet.page.blocks import Section, chart
from evonet.page.charts_genes import (
    Track,
    draw_parallel,
)
from evonet.page.view import Point, View
from evonet.report.importance import ABSENT, gene_levels

#: Networks drawn in parallel coordinates: the best, and others. Untuned.
_BEST, _OTHERS = 12, 240


def parallel_section(view: View) -> Section | None:
    """Networks as lines through all of their genes."""
    ranked = view.ranked
    open_genes = [n for n, values in view.space.items() if len(values) > 1]
    if len(ranked) < 2 or not open_genes:
        return None
    by_importance = [i.genes[0] for i in view.analysis.genes] if view.analysis else open_genes
    names = [n for n in by_importance if n in open_genes]
    others = ranked[_BEST:]
    step = max(1, -(-len(others) // _OTHERS))
    chosen = [(p, "muted") for p in others[::step]][::-1] + [(p, "orange") for p in ranked[:_BEST]][
        ::-1
    ]
    levels = {p.index: gene_levels(p.genome, view.space) for p, _ in chosen}
    values: dict[str, list[Any]] = {}
    for name in names:
        found = {own[name] for own in levels.values()}
        values[name] = [
            *([ABSENT] if ABSENT in found else []),
            *view.space[name],
            *sorted(found - {ABSENT, *view.space[name]}, key=str),
        ]
    places = {name: {value: i for i, value in enumerate(own)} for name, own in values.items()}
    tracks = [
        Track(
            tuple(places[n][levels[p.index][n]] + _shift(p, i) for i, n in enumerate(names)),
            p.index,
            class_,
        )
        for p, class_ in chosen
    ]
    texts = {
        name: [f"{v:g}" if isinstance(v, float) else str(v) for v in own]
        for name, own in values.items()
    }
    drawn = (
        f"the best {min(_BEST, len(ranked))} and {len(chosen) - min(_BEST, len(ranked))} of the "
        "others"
    )
    return Section(
        "All genes at once",
        "Each line is a network, and crosses each gene at its value. Where orange lines meet, the "
        "best networks agree; where they spread, the gene hardly matters.",
        (
            chart(
                f"Parallel coordinates: {drawn}",
                lambda width: draw_parallel(
                    names,
                    texts,
                    tracks,
                    "Networks as lines through the values of their genes.",
                    width,
                ),
                (("line orange", f"the best {min(_BEST, len(ranked))}"), ("line muted", "others")),
                "Genes are in the order of their importance, as far as known. Of layers: the "
                "middle of numbers, the commonest of names. Unused: the gene does not act. "
                "Point at a line to see the network.",
            ),
        ),
    )


def _shift(point: Point, axis: int) -> float:
    """A small shift within a value, so that lines that meet can be told apart."""
    digits = int(point.genome.key[axis % 12 : axis % 12 + 3], 16)
    return 0.36 * (digits / 4095 - 0.5)
