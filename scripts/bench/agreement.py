"""Part agreement: does the fused engine give the scores that serial Keras gives?"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.arithmetic import mean_interval, rank_correlation
from bench.machine import cores
from bench.processes import JobError, run_job
from bench.settings import Settings, random_genomes, requests
from bench.table import Cell, Table

#: Score by the genome's place in the list; None where the training failed, no entry where there
#: was none.
Scores = dict[int, float | None]

_COLUMNS = (
    "data",
    "compared",
    "pairs",
    "failed in one",
    "failed in both",
    "mean difference (95 %)",
    "mean absolute",
    "rank correlation (95 %)",
)
_COMPARED = (
    ("fused", "keras"),
    ("fused", "keras, other seeds"),
    ("keras", "keras, other seeds"),
    ("fused", "fused, other seeds"),
)
_FEWEST_PAIRS = 3  # below, there is neither an interval nor a correlation


def agreement(settings: Settings) -> Table:
    """Fused against Keras, and each against itself with other seeds, on the same genomes."""
    sizes = settings.sizes
    epochs, patience = sizes.agreement_budget
    title = f"agreement: {sizes.agreement} genomes, {epochs} epochs, patience {patience}"
    sets, notes = _data_sets(settings)
    rows: list[tuple[Cell, ...]] = []
    raw = {}
    for name, data in sets.items():
        try:
            scores = _keras(settings, data) | _fused(settings, data)
        except JobError as error:
            notes.append(f"{name}: {error}")
            continue
        raw[name] = scores
        rows += [
            (name, f"{a} - {b}", *_comparison(scores[a], scores[b]))
            for a, b in _COMPARED
            if a in scores and b in scores
        ]
        if len(scores["keras, other seeds"]) < sizes.agreement:
            notes.append(f"{name}: serial Keras was stopped by --keras-minutes; run it again.")
    return Table(title, _COLUMNS, tuple(rows), tuple(notes), raw)


def _data_sets(settings: Settings) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The data sets there are, and a sentence for the one that is not there."""
    sets: dict[str, dict[str, Any]] = {"digits": {"source": "digits"}}
    file = "tabular/phoneme.csv.gz"
    if settings.quick:
        return sets, ["phoneme: left out of the quick version"]
    if missing := settings.missing(file):
        return sets, [f"phoneme: {missing}"]
    sets["phoneme"] = {"source": str(settings.data / file), "target": "target"}
    return sets, []


def _fused(settings: Settings, data: Mapping[str, Any]) -> dict[str, Scores]:
    genomes = random_genomes(settings.sizes.agreement)
    points = [
        {
            "engine": "fused",
            "data": data,
            "requests": requests(genomes, repeat),
            "budget": settings.sizes.agreement_budget,
        }
        for repeat in (0, 1)
    ]
    done = run_job("train", {"points": points}).result["points"]
    places = {genome.key: place for place, genome in enumerate(genomes)}
    first, other = (
        {places[e["genome_key"]]: e["score"] for e in point["evaluations"]} for point in done
    )
    return {"fused": first, "fused, other seeds": other}


def _keras(settings: Settings, data: Mapping[str, Any]) -> dict[str, Scores]:
    """Both trainings of one genome before the next, by one process for each core."""
    genomes = random_genomes(settings.sizes.agreement)
    pairs = list(zip(requests(genomes, 0), requests(genomes, 1), strict=True))
    n = len(cores())

    def share(process: int) -> list[dict[str, Any] | None]:
        arguments = {
            "data": data,
            "requests": [request for pair in pairs[process::n] for request in pair],
            "budget": settings.sizes.agreement_budget,
            "file": str(settings.keras_scores),
            "minutes": settings.keras_minutes,
        }
        one_core = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
        found: list[dict[str, Any] | None]
        found = run_job("keras_scores", arguments, one_core).result["scores"]
        return found

    first: Scores = {}
    other: Scores = {}
    with ThreadPoolExecutor(n) as pool:
        for process, found in enumerate(pool.map(share, range(n))):
            for i, record in enumerate(found):
                if record is not None:
                    scores = other if i % 2 else first
                    scores[process + n * (i // 2)] = record["score"]
    return {"keras": first, "keras, other seeds": other}


def _comparison(a: Scores, b: Scores) -> tuple[Cell, ...]:
    """Pairs, failures, mean difference, mean absolute difference, rank correlation."""
    both = [(a[place], b[place]) for place in sorted(a.keys() & b.keys())]
    pairs = [(x, y) for x, y in both if x is not None and y is not None]
    in_both = sum(x is None and y is None for x, y in both)
    counts = (len(pairs), len(both) - len(pairs) - in_both, in_both)
    if len(pairs) < _FEWEST_PAIRS:
        return (*counts, None, None, None)
    differences = [x - y for x, y in pairs]
    return (
        *counts,
        str(mean_interval(differences)),
        sum(map(abs, differences)) / len(differences),
        str(rank_correlation([x for x, _ in pairs], [y for _, y in pairs])),
    )
