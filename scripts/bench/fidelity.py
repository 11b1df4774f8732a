"""Part fidelity: what giving up poor candidates on their way is worth, at equal time."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.arithmetic import mean_interval
from bench.processes import JobError, run_job
from bench.settings import Settings, random_genomes, requests
from bench.table import Cell, Table
from evonet.config import make_config
from evonet.run import evolve
from evonet.store.record import RunRecord

_SCIKIT_LEARN = "scikit-learn random"
_MODES = ("off", "auto")
_COLUMNS = (
    "data",
    "fidelity",
    "seeds",
    "candidates/min",
    "over scikit-learn",
    "given up",
    "winner, re-validated",
    "better than off (95 %)",
)


def fidelity(settings: Settings) -> Table:
    """Searches of equal time with and without it, over several seeds; and scikit-learn's pace."""
    sizes = settings.sizes
    file = "tabular/phoneme.csv.gz"
    sets = {"digits": ({"data": "digits"}, {"source": "digits"})}
    path = str(settings.data / file)
    phoneme = {"data": path, "target": "target"}, {"source": path, "target": "target"}
    missing = settings.missing(file)
    notes = [f"phoneme: {missing}"] if missing else []
    if not missing and not settings.quick:
        sets["phoneme"] = phoneme
    rows: list[tuple[Cell, ...]] = []
    raw = {}
    for name, (config, data) in sets.items():
        try:
            before = _pace(settings, data)
            found = _searches(settings, name, config)
            pace = fmean([before, _pace(settings, data)])
        except JobError as error:
            notes.append(f"{name}: {error}")
            continue
        raw[name] = {_SCIKIT_LEARN: pace, **found}
        rows.append((name, _SCIKIT_LEARN, None, pace, 1.0, None, None, None))
        rows += [_row(name, mode, found[mode], found["off"], pace) for mode in _MODES]
    minutes = sizes.fidelity_minutes
    notes.append(
        f"Candidates of the search in a run of {minutes:g} minutes, by the search's seconds; of "
        "scikit-learn, before and after these runs, by those of its loop. Differences are of equal "
        "seeds."
    )
    return Table("fidelity: candidates given up early", _COLUMNS, tuple(rows), tuple(notes), raw)


def _pace(settings: Settings, data: Mapping[str, Any]) -> float:
    """Candidates a minute of random search over scikit-learn's networks, both cores."""
    genomes = random_genomes(settings.sizes.fidelity_scikit_learn)
    arguments = {
        "data": data,
        "requests": requests(genomes),
        "budget": settings.sizes.digits_budget,
    }
    return 60 * len(genomes) / run_job("scikit_learn", arguments).result["loop_seconds"]


def _searches(
    settings: Settings, name: str, config: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """What ``search`` returns for each seed, by mode; modes take turns."""
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in _MODES}
    epochs, patience = settings.sizes.digits_budget
    for seed in range(settings.sizes.fidelity_seeds):
        for mode in _MODES:
            asked = {
                **config,
                "seed": seed,
                "fidelity": mode,
                "generations": 10**6,
                "max_minutes": settings.sizes.fidelity_minutes,
                "epochs": epochs,
                "patience_epochs": patience,
            }
            done = run_job("search", {"config": asked}).result
            found[mode].append(done)
            said = f"  {name}, seed {seed}, {mode}: {done['trainings']} candidates"
            print(said, file=sys.stderr, flush=True)
    return found


def _row(
    name: str,
    mode: str,
    own: Sequence[Mapping[str, Any]],
    off: Sequence[Mapping[str, Any]],
    pace: float,
) -> tuple[Cell, ...]:
    rates = [60 * run["trainings"] / run["seconds"] for run in own]
    pairs = [(a["revalidated"], b["revalidated"]) for a, b in zip(own, off, strict=True)]
    gains = [a - b for a, b in pairs if a is not None and b is not None]
    rate = fmean(rates)
    known = [run["revalidated"] for run in own if run["revalidated"] is not None]
    return (
        name,
        mode,
        len(own),
        rate,
        rate / pace,
        f"{sum(run['dropped'] for run in own) / sum(run['trainings'] for run in own):.0%}",
        fmean(known) if known else None,
        str(mean_interval(gains)) if len(gains) > 1 and mode != "off" else None,
    )


def search(config: Mapping[str, Any]) -> dict[str, Any]:
    """The job: a run from a config; its trainings, seconds of search, and what came out."""
    with tempfile.TemporaryDirectory() as folder:
        result = evolve(make_config({**config, "results": Path(folder)}))
        with RunRecord(result.folder) as record:
            dropped = sum(stored.evaluation.dropped for stored in record.evaluations())
    if result.winner is None:
        raise RuntimeError("the search ended without a winner")
    return {
        "trainings": result.trainings,
        "dropped": dropped,
        "seconds": result.seconds,
        "search": result.winner.search_score,
        "revalidated": result.winner.revalidated_score,
        "test": result.winner.test_score,
    }
