"""Rules of what to try next that look at the search: its generations, its space, its trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from shlex import quote
from statistics import fmean
from typing import Any

import numpy as np

from evonet.genome.genes import KINDS, LAYER_GENES, GeneKind, Value
from evonet.page.blocks import Step
from evonet.page.view import View
from evonet.sentences import score_text

#: How many of the best networks rules look at. Untuned.
_BEST = 10


#: Share of them that says something. Untuned.
_MOST = 0.6


#: Share of the candidates that failed which is worth a word. Untuned.
_FAILED = 0.1


#: Share of the candidates given up early that is more than racing means to. Untuned.
_DROPPED = 0.85


#: Fewer generations do not tell how a search goes on. Untuned.
_GENERATIONS = 4
#: Share of the rise of the median that its last quarter has where it has not settled. Untuned.
_STILL = 0.05


def search_longer(view: View) -> Iterator[Step]:
    """A best, or a median, that still rose at the end; a search that is not over has none."""
    table = view.generations
    if view.result.interrupted or view.is_perfect or len(table) < _GENERATIONS:
        return
    quarter = max(1, len(table) // 4)
    last = table.iloc[-1 - quarter :]
    sign = view.metric.sign
    gain = sign * (last["best"].iloc[-1] - last["best"].iloc[0])
    if gain > 0:
        yield Step(
            "The best score was still rising when the search ended",
            f"In the last {quarter} generations it gained {score_text(gain)}. There is probably "
            "more to find: search on, from where it stopped.",
            resume_text(view),
        )
        return
    rise = sign * (last["median"].iloc[-1] - last["median"].iloc[0])
    whole = sign * (table["median"].iloc[-1] - table["median"].iloc[0])
    if whole > 0 and rise > _STILL * whole:
        yield Step(
            "The population had not settled when the search ended",
            f"Its median was still rising ({score_text(rise)} in the last {quarter} generations), "
            "although the best score was not. A longer search may find more.",
            resume_text(view),
        )


def stuck_since(view: View) -> int | None:
    """The generation of the best score, where nothing beat it for most of a search; else None."""
    best = view.generations["best"].tolist() if len(view.generations) else []
    if len(best) < 2 * _GENERATIONS or view.is_perfect:
        return None
    since = int(best.index(best[-1]))
    return since if since <= len(best) // 3 else None


def change_direction(view: View) -> Iterator[Step]:
    """A best that has not moved for most of the search."""
    since = stuck_since(view)
    if since is not None:
        config = quote(str(view.record.folder / "config.toml"))
        yield Step(
            "The best score came early, and nothing beat it",
            f"It was found in generation {since} of {len(view.generations) - 1}. More of the same "
            "will hardly help: try another seed, a larger population, or a wider space.",
            f"evonet evolve --config {config} --seed {view.config.seed + 1} "
            f"--population-size {2 * view.config.population_size}",
        )


def widen_range(view: View) -> Iterator[Step]:
    """A gene of the best networks that sits on the border of its range."""
    best = [p.genome for p in view.ranked if not p.stored.evaluation.dropped][:_BEST]
    if len(best) < _BEST:
        return
    for name, values in view.space.items():
        kind = KINDS[name]
        if not kind.ordered or len(values) < 3:
            continue
        found = [
            v
            for g in best
            for v in (
                [len(g.layers)]
                if name == "layers"
                else [getattr(layer, name) for layer in g.layers]
                if name in LAYER_GENES
                else [getattr(g, name)]
            )
            if v is not None
        ]
        if len(found) < _BEST // 2:
            continue
        for border, further, word in (
            (values[0], _further(kind, values, 0), "smallest"),
            (values[-1], _further(kind, values, -1), "largest"),
        ):
            share = fmean(v == border for v in found)
            if share >= _MOST and further is not None:
                of = "layers of the best networks" if name in LAYER_GENES else "best networks"
                low = word == "smallest"
                listed = [further, *values[:2], "..."] if low else ["...", *values[-2:], further]
                yield Step(
                    f"{name} sits on the border of its range",
                    f"{share:.0%} of the {of} have {border:g}, the {word} value of the space. "
                    "Better "
                    f"ones may lie beyond: write {name} = [{', '.join(map(_text, listed))}] into a "
                    "space file.",
                    "evonet evolve ... --space my_space.toml",
                )


def _further(kind: GeneKind, values: list[Any], end: int) -> Value | None:
    """The next value beyond an end of a range, by its last step; None where 0 or illegal."""
    a, b = (values[1], values[0]) if end == 0 else (values[-2], values[-1])
    beyond = b * b / a if a > 0 else 2 * b - a
    legal = kind.convert(round(beyond) if kind.numbers is int else float(f"{beyond:.3g}"))
    return legal if legal and legal != b else None


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def train_longer(view: View) -> Iterator[Step]:
    """Candidates that were still learning when their epochs were over."""
    best = [p.stored.evaluation for p in view.ranked if not p.stored.evaluation.dropped][:_BEST]
    longest = max((p.stored.evaluation.epochs for p in view.points), default=0)
    if len(best) < _BEST or longest < 3:
        return
    late = sum(e.best_epoch >= 0.9 * longest for e in best)
    if late >= _MOST * len(best):
        yield Step(
            "Candidates were still learning when their time was over",
            f"{late} of the best {len(best)} had their lowest loss in the last tenth of their "
            f"{longest} epochs. With more epochs others may win.",
            f"evonet evolve ... --epochs {2 * longest}",
        )


def mend_failures(view: View) -> Iterator[Step]:
    """Many trainings that failed."""
    failed = [p for p in view.points if not p.stored.evaluation.ok]
    if not failed or len(failed) < _FAILED * len(view.points):
        return
    commonest, count = Counter(p.stored.evaluation.status for p in failed).most_common(1)[0]
    remedies = {
        "diverged": "Lower the largest learning rates of the space, or allow clip_norm = [1.0].",
        "out_of_memory": "Keep networks small with --max-parameters, or lower the batch sizes.",
    }
    rates = [
        float(np.median([p.genome.learning_rate for p in group]))
        for group in (failed, view.ranked)
        if group
    ]
    compared = (
        f" The median learning rate of those that failed is {rates[0]:g}, of the others "
        f"{rates[1]:g}."
        if len(rates) == 2
        else ""
    )
    yield Step(
        f"{len(failed) / len(view.points):.0%} of the trainings failed",
        f"{count} of {len(failed)} are '{commonest.replace('_', ' ')}'.{compared} "
        f"{remedies.get(commonest, 'The table of failures below says why.')}",
        "evonet evolve ... --space my_space.toml" if commonest == "diverged" else "",
    )


def give_up_less(view: View) -> Iterator[Step]:
    """More candidates given up early than racing means to."""
    raced = [p for p in view.points if p.stored.evaluation.rungs and view.generation_of(p) > 0]
    dropped = sum(p.stored.evaluation.dropped for p in raced)
    if len(raced) >= 50 and dropped > _DROPPED * len(raced):
        yield Step(
            "Nearly all candidates were given up early",
            f"{dropped} of {len(raced)} were stopped after a sixteenth or a quarter of their "
            "epochs. Those that learn slowly had no chance; a search without that tries fewer "
            "networks, but whole.",
            "evonet evolve ... --fidelity off",
        )


def try_more(view: View) -> Iterator[Step]:
    """A short search."""
    n = len(view.points)
    over = view.all_tried or view.is_perfect or stuck_since(view) is not None
    if view.searched and view.winner is not None and n < 100 and not over:
        tried = "One network says" if n == 1 else f"{n} networks say"
        yield Step(
            "The search was short",
            f"{tried} little about a space of this size. A longer search is more likely to find a "
            "good one.",
            resume_text(view),
        )


def resume_text(view: View) -> str:
    """How to search on for as long again, whichever limit it came to."""
    minutes, trainings = view.config.max_minutes, view.config.max_trainings
    generations, flags = view.config.generations, []
    if generations is not None or (minutes is None and trainings is None):
        most = max(2 * (len(view.generations) - 1), generations or 0, 30)
        flags.append(f"--generations {most}")
    if minutes is not None:
        flags.append(f"--max-minutes {2 * minutes:g}")
    if trainings is not None:
        flags.append(f"--max-trainings {2 * trainings}")
    return " ".join(["evonet resume", quote(str(view.record.folder)), *flags])
