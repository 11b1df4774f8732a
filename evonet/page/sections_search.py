"""Sections of how the search went: fitness, learning curves, and the Pareto front."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd

from evonet.page.blocks import WIDE, Block, Chart, Section, Table, brief, chart
from evonet.page.charts_search import (
    Mark,
    draw_curves,
    draw_fitness,
    draw_front,
    grid,
)
from evonet.page.view import View
from evonet.report.tables import curves_table, front_table, objectives_table
from evonet.report.words import number
from evonet.sentences import score_text

_COSTS = {"parameters": "trainable parameters (log)", "inference_ms": "ms for 32 rows (log)"}
#: Rows of a table beside a picture, at most.
_MOST_ROWS = 60


def fitness_section(view: View) -> Section | None:
    """Fitness by generation."""
    if not view.ranked:
        return None
    return Section(
        "Fitness, generation by generation",
        "Each generation keeps the best networks so far and lets them have offspring. Where the "
        "lines still rise at the end, more generations would probably find more.",
        (_fitness_chart(view),),
    )


def _fitness_chart(view: View) -> Chart:
    """Best, median and middle half of each population, and every network."""
    table, marks = view.generations, _fitness_marks(view)
    title = "No generation is finished yet"
    if len(table):
        first, last = float(table["best"].iloc[0]), float(table["best"].iloc[-1])
        title = (
            f"The best network: {view.metric_words} from {number(first)} to {number(last)}"
            if first != last
            else f"The best network: {view.metric_words} {number(last)}"
        )
    else:
        columns = ["generation", "best", "median", "lower_quartile", "upper_quartile"]
        table = pd.DataFrame(columns=columns, dtype=float)
    baselines = [
        (brief(n, 24), float(s))
        for n, s in zip(view.baselines["name"], view.baselines["validation_score"], strict=True)
        if s is not None and math.isfinite(s)
    ]
    return chart(
        title,
        lambda width: draw_fitness(
            table,
            baselines,
            marks,
            f"validation {view.metric_words}, {view.better}",
            "Best and median score of the population by generation.",
            width,
        ),
        (
            ("line thick blue", "best"),
            ("line dashed blue", "median of the population"),
            ("area blue", "its middle half"),
            ("muted", "a network"),
            ("faint", "one given up early"),
        ),
        "Poor scores lie below the picture. Point at a network to see it; parents and "
        "offspring light up.",
        _fitness_table(view),
    )


def _fitness_marks(view: View) -> list[Mark]:
    """The networks with a score, those of a generation side by side."""
    sizes = Counter(view.generation_of(p) for p in view.points)
    seen: Counter[int] = Counter()
    marks = []
    for point in view.points:
        generation = view.generation_of(point)
        place = (seen[generation] + 0.5) / sizes[generation] - 0.5
        seen[generation] += 1
        if point.score is not None:
            class_ = "faint" if point.stored.evaluation.dropped else "muted"
            marks.append(Mark(generation + 0.7 * place, point.score, point.index, class_))
    return marks


def _fitness_table(view: View) -> Table | None:
    """A row for each generation; None before the first is finished."""
    rows = tuple(
        (
            str(row["generation"]),
            *(score_text(float(row[name])) for name in ("best", "median", "worst")),
            str(row["trained"] + row["cached"]),
            str(row["failed"]),
        )
        for row in view.generations.to_dict("records")
    )
    if not rows:
        return None
    return Table(
        ("generation", "best", "median", "worst", "candidates", "failed"),
        rows,
        "The generations as a table",
        "rrrrrr",
        folded=True,
    )


def curves_section(view: View) -> Section | None:
    """Learning curves of the best networks and of the winner's final fit."""
    curves = curves_table(view.record)
    if not len(curves):
        return None
    panels, rows = [], []
    losses = curves["loss"][np.isfinite(curves["loss"])]
    if not len(losses):
        return None
    high = min(float(losses.max()), 2 * float(losses.quantile(0.98)))
    limits = (float(losses.min()) * 0.97, high * 1.03)
    for name, own in curves.groupby("network", sort=False):
        parts = {
            part: own.loc[own["part"] == part, "loss"].tolist()
            for part in ("training", "validation")
        }
        title = f"{str(name).capitalize()}: {score_text(own['score'].iloc[0])}"
        panels.append((partial(draw_curves, title, parts, limits), 190))
        kept = [v for v in parts["validation"] if math.isfinite(v)]
        if kept:
            epoch = parts["validation"].index(min(kept)) + 1
            rows.append(
                (
                    title,
                    brief(own["genome"].iloc[0]),
                    str(len(parts["validation"])),
                    str(epoch),
                    number(min(kept)),
                )
            )
    return Section(
        "Learning curves",
        "Loss by epoch, on the rows a network learns from and on the rows it does not. The two "
        "close together and falling: it could learn longer. The validation loss rising again: it "
        "begins to learn by heart; its best weights are kept.",
        (
            chart(
                "The best networks of the search, and the winner's final fit",
                lambda width: grid(
                    panels,
                    width,
                    3 if width == WIDE else 1,
                    "Training and validation loss by epoch.",
                ),
                (
                    ("line blue", "validation loss"),
                    ("line dashed orange", "training loss (with dropout)"),
                    ("blue", "lowest: these weights are kept"),
                ),
                table=Table(
                    ("network", "genome", "epochs", "best epoch", "lowest validation loss"),
                    tuple(rows),
                    "The curves in numbers",
                    "llrrr",
                    folded=True,
                ),
            ),
        ),
    )


def front_section(view: View) -> Section | None:
    """With several objectives: the Pareto front."""
    costs = [name for name in view.objectives if name != "score"]
    if not costs or not view.ranked:
        return None
    all_, front = objectives_table(view.record), front_table(view.record)

    def marks(table: pd.DataFrame, cost: str) -> list[Mark]:
        pairs = zip(table["genome"], table[cost], table["score"], strict=True)
        return [Mark(float(c), float(s), view.index_of[key]) for key, c, s in pairs]

    blocks: list[Block] = [
        chart(
            f"{len(front)} network{'' if len(front) == 1 else 's'} that no other beats in "
            f"{'both' if len(costs) == 1 else 'all objectives'}",
            partial(
                draw_front,
                marks(all_, cost),
                marks(front, cost),
                len(costs) == 1,
                _COSTS[cost],
                f"validation {view.metric_words}, {view.better}",
                f"Score by {cost} of every network.",
            ),
            (("orange", "on the front"), ("muted", "another network")),
            "To the left is cheaper. Poor scores lie beyond the picture.",
        )
        for cost in costs
    ]
    rows = tuple(
        (
            score_text(float(row["score"])),
            *(f"{row[c]:,}" if c == "parameters" else number(float(row[c])) for c in costs),
            brief(row["network"]),
        )
        for row in front.head(_MOST_ROWS).to_dict("records")
    )
    blocks.append(
        Table(
            (view.metric_words, *(c.replace("_", " ") for c in costs), "network"),
            rows,
            "The front, best score first; pareto_front.json in the run's folder has the genomes",
            "r" + "r" * len(costs) + "l",
        )
    )
    return Section(
        "Pareto front",
        "Score against cost. A network on the front can only be bettered in one at the price of "
        "the other: which one to take is yours to choose.",
        tuple(blocks),
    )
