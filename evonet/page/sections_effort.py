"""Sections of what a search spent: operators, failures, time."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from evonet.page.blocks import Chart, Section, Table, Text, brief, chart
from evonet.page.charts_outcome import Bar, draw_bars
from evonet.page.charts_search import draw_spent
from evonet.page.view import View
from evonet.sentences import time_text
from evonet.store.rows import StoredEvaluation

#: Rows of a table, at most.
_MOST_ROWS = 60
#: What becomes of a candidate, and the colour of it.
_KINDS = (
    ("trained to the end", "blue"),
    ("given up early", "light-blue"),
    ("known from the cache", "green"),
    ("failed", "orange"),
)


def operators_section(view: View) -> Section | None:
    """What each operator has earned."""
    table = view.operators
    if not len(table):
        return None
    rows = table.to_dict("records")
    bars = [
        Bar(
            brief(r["operator"], 40),
            float(r["share"]),
            f"{r['share']:.0%} of {r['offspring']}",
            tip=(
                f"{r['operator']}\n{r['better']} of {r['offspring']} offspring better than their "
                f"parents\n{r['survived']} still alive"
            ),
        )
        for r in rows
    ]
    return Section(
        "Operators",
        "New networks come from older ones by crossover and mutation. Which of these made "
        "offspring better than its parents?",
        (
            chart(
                "Share of the offspring that no parent was as good as",
                lambda width: draw_bars(
                    bars,
                    "share of its offspring",
                    "Share of better offspring for each operator.",
                    width,
                ),
                note=(
                    "Mutations are drawn by the credit they earn. An offspring of several counts "
                    "for each; few offspring say little."
                ),
                table=Table(
                    ("operator", "offspring", "better than parents", "share", "alive at the end"),
                    tuple(
                        (
                            r["operator"],
                            str(r["offspring"]),
                            str(r["better"]),
                            f"{r['share']:.0%}",
                            str(r["survived"]),
                        )
                        for r in rows
                    ),
                    "The operators as a table",
                    "lrrrr",
                    folded=True,
                ),
            ),
        ),
    )


def failures_section(view: View) -> Section | None:
    """What failed, and why."""
    if not view.points:
        return None
    failed = [p for p in view.points if not p.stored.evaluation.ok]
    if not failed:
        return Section(
            "Failures",
            "",
            (Text(f"No training failed: all {len(view.points):,} came to a score.", "good"),),
        )
    groups: defaultdict[tuple[str, str], list] = defaultdict(list)
    for point in failed:
        e = point.stored.evaluation
        groups[e.status.replace("_", " "), brief(e.reason, 200)].append(point)
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
    rows = tuple(
        (
            status,
            reason,
            str(len(points)),
            f"{np.median([p.genome.learning_rate for p in points]):g}",
            brief(points[0].genome),
        )
        for (status, reason), points in ranked[:_MOST_ROWS]
    )
    return Section(
        "Failures",
        f"{len(failed):,} of {len(view.points):,} trainings failed "
        f"({len(failed) / len(view.points):.0%}). A failed training has the worst fitness and no "
        "offspring; a few are the price of trying large learning rates.",
        (
            Table(
                ("how", "why", "trainings", "median learning rate", "one of them"),
                rows,
                "Failed trainings by their reason",
                "llrrl",
            ),
        ),
    )


def time_section(view: View) -> Section | None:
    """Time and trainings spent."""
    if not view.points:
        return None
    return Section(
        "Time and trainings",
        "What the search spent, and on what.",
        (Text(_time_said(view)), _spent_chart(view)),
    )


def _time_said(view: View) -> str:
    """Seconds and epochs of the search, and of the trainings after it."""
    trained = [p.stored.evaluation for p in view.points if p.stored.origin == "trained"]
    epochs, spent = sum(e.epochs for e in trained), sum(e.seconds for e in trained)
    said = (
        f"The search took {time_text(view.result.seconds)}; its trainings, of which several run "
        f"at the same time, {time_text(spent)} and {epochs:,} epochs."
    )
    again = view.record.repeats()
    if not again:
        return said
    n = sum(max(1, len(stored.evaluation.folds)) for stored in again)
    return (
        f"{said} {n:,} more trainings told what the best of them are worth, in "
        f"{time_text(sum(s.evaluation.seconds for s in again))}."
    )


def _spent_chart(view: View) -> Chart:
    """What became of the candidates of each generation, with the time that each took."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for point in view.points:
        counts[view.generation_of(point)][_became(point.stored)] += 1
    seconds = {g.number: g.seconds for g in view.record.generations()}
    drawn = [
        (
            g,
            dict(counts[g]),
            f"generation {g}\n"
            + "\n".join(f"{n} {kind}" for kind, n in counts[g].items())
            + (f"\n{_duration(seconds[g])}" if g in seconds else "\nunder way"),
        )
        for g in sorted(counts)
    ]
    columns = tuple(kind for kind, _ in _KINDS)
    rows = tuple(
        (
            str(g),
            *(str(c.get(kind, 0)) for kind in columns),
            time_text(seconds[g]) if g in seconds else "-",
        )
        for g, c, _ in drawn
    )
    total = sum(counts.values(), Counter())
    return chart(
        f"{total.total():,} candidates, {total['given up early']:,} of them given up early",
        lambda width: draw_spent(
            drawn, _KINDS, "What became of the candidates of each generation.", width
        ),
        tuple((f"bar {class_}", kind) for kind, class_ in _KINDS),
        table=Table(
            ("generation", *columns, "time"),
            rows,
            "The generations as a table",
            "rrrrrr",
            folded=True,
        ),
    )


def _duration(seconds: float) -> str:
    """A duration with its unit: "1:15 minutes", "2 h 01"."""
    return time_text(seconds) + (" minutes" if seconds < 3600 else "")


def _became(stored: StoredEvaluation) -> str:
    """What became of a candidate, one of ``_KINDS``."""
    if not stored.evaluation.ok:
        return "failed"
    if stored.origin == "cached":
        return "known from the cache"
    return "given up early" if stored.evaluation.dropped else "trained to the end"
