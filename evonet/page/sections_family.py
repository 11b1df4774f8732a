"""The section of where a network comes from."""

from __future__ import annotations

from evonet.page.blocks import Section, Table, chart
from evonet.page.charts_family import draw_family
from evonet.page.view import View
from evonet.report.ancestry import descent, differences, family
from evonet.sentences import score_text

#: Ancestors drawn in a family tree. Untuned.
_ANCESTORS = 60


#: Changes named of a step.
_CHANGES = 6


def family_section(view: View) -> Section | None:
    """Where the winner comes from."""
    # Of a generation that is under way the record does not know the parents.
    born = [point.genome.key for point in view.ranked if point.born]
    best = view.winner.genome.key if view.winner else born[0] if born else None
    tree, n_all = family(best, view.record.candidates(), _ANCESTORS) if best else ([], 0)
    if not tree:
        return None
    who = "the winner" if view.winner else "the best network so far"
    if len(tree) == 1:
        made = tree[0].operator
        return Section(
            "Family tree",
            f"{who[0].upper()}{who[1:]} has no parents: it was made by '{made}' in generation "
            f"{tree[0].generation}.",
            (),
        )
    fitness = {point.genome.key: point.fitness for point in view.points}
    line = descent(tree, fitness)
    rows = []
    for i, ancestor in enumerate(line):
        point = view.points[view.index_of[ancestor.key]]
        if i:
            before = view.points[view.index_of[line[i - 1].key]].genome
            changes = differences(before, point.genome)
            more = f"; and {len(changes) - _CHANGES} more" if len(changes) > _CHANGES else ""
            changed = ("; ".join(changes[:_CHANGES]) or "nothing") + more
        else:
            changed = str(point.genome)
        two = point.born is not None and len(set(point.born.parents)) > 1
        made = f"{ancestor.operator} (two parents)" if two else ancestor.operator
        rows.append((str(i + 1), str(ancestor.generation), made, changed, score_text(point.score)))
    left = f" The nearest {len(tree)} of {n_all} are drawn." if n_all > len(tree) else ""
    keys = [ancestor.key for ancestor in line]
    return Section(
        "Family tree",
        f"How {who} came to be, from the networks it descends from.",
        (
            chart(
                f"{n_all - 1} ancestor{'' if n_all == 2 else 's'}, the first of generation "
                f"{min(a.generation for a in tree)}",
                lambda width: draw_family(
                    tree, keys, view.index_of, f"The family tree of {who}.", width
                ),
                (
                    ("orange", who),
                    ("blue", "main line: at each step the better parent"),
                    ("muted", "other ancestors"),
                ),
                f"Numbers are those of the table below.{left}",
            ),
            Table(
                (
                    "step",
                    "generation",
                    "made by",
                    "what changed (of the first: all of it)",
                    view.metric_words,
                ),
                tuple(rows),
                "The main line, step by step",
                "rrllr",
            ),
        ),
    )
