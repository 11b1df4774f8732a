"""How good the network is that a search finds in a minute, against what people use today.

    python scripts/bench_quality.py --scores FILE        all of it, hours; a second call goes on,
                                                         as from scripts/quality_scores.jsonl
    python scripts/bench_quality.py --quick              in small, minutes
    python scripts/bench_quality.py --scores FILE --stop-after-minutes 0    only the tables

Every search has the same minutes, counted from the start of its process to its end: imports,
reading and preparing the data, search, whatever it fits in the end, scoring. It stops by its own
means (evonet's are --max-minutes); ``seconds`` says what it really took. Trainings with Keras and
scikit-learn are cut short at the end. evonet's loops were compiled before, as they are once on a
machine. References other than FLAML take what they take.

All of them see the arrays that evonet prepares, train on 60 % of the rows, in which classes (where
there are any) weigh the same, choose by the validation part (20 %: balanced accuracy, or RMSE) and
are scored once on the test part. evonet also trains its finalists on other splits of these 80 %. A
seed is of split and search. Networks train as long as evonet's candidates do by default; evonet
trains its winner once more, for longer. Searches with Keras have evonet's own search space;
scikit-learn's networks have what they can of it; evonet begins with the networks it ships with.

Which packages it takes: keras-tuner, optuna, "flaml[automl]" and lightgbm. A row whose package is
missing is named and left out. After a change of evonet, measure all rows anew: others of another
day are of a machine that was as busy as it was then.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.machine import cores, machine, use_cores, versions
from bench.processes import end_jobs_with_this_process, run_job
from bench.quality import DATA_SETS, METHODS, QUICK_DATA_SETS, Record, measure, read_records
from bench.quality_tables import data_table, published_table, rank_table
from bench.table import Table

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_QUICK_MINUTES = 0.25
_SETS = [data.name for data in DATA_SETS]
_ROWS = [method.name for method in METHODS]


def main() -> None:
    """Measure what is not yet measured, and print the tables of all there is."""
    arguments = _parser().parse_args()
    end_jobs_with_this_process()
    use_cores(arguments.cores or len(cores()))
    minutes = arguments.minutes or (_QUICK_MINUTES if arguments.quick else 1.0)
    names = arguments.only or (QUICK_DATA_SETS if arguments.quick else _SETS)
    sets = [data for data in DATA_SETS if data.name in names]
    asked = [method for method in METHODS if method.name in arguments.rows]
    methods = [method for method in asked if not method.missing]
    for method in asked:
        if method.missing:
            print(f"{method.name}: left out, {', '.join(method.missing)} is not installed")
    seeds = range(1 if arguments.quick else arguments.seeds)
    stop = time.monotonic() + 60 * arguments.stop_after_minutes
    wanted = [(seed, data, method) for seed in seeds for data in sets for method in methods]
    print(" ".join(f"{name} {number}" for name, number in versions().items()))
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = (arguments.scores or Path(folder) / "scores.jsonl").resolve()
        if arguments.stop_after_minutes:
            run_job("warm_up", {})
        for record in measure(
            wanted,
            minutes,
            len(cores()),
            arguments.data.resolve(),
            file,
            {"versions": versions(), "cpu": machine()["cpu"]},
            lambda: time.monotonic() >= stop,
        ):
            print(_said(record), file=sys.stderr, flush=True)
        records = [
            record
            for record in read_records(file)
            if (record.minutes, record.cores) == (minutes, len(cores())) and record.seed in seeds
        ]
    tables: list[Table] = [data_table(data, methods, records) for data in sets]
    tables += [rank_table(sets, methods, records), published_table(methods, records)]
    print(f"\n{minutes:g} minutes and {len(cores())} cores for each row, mean over seeds.")
    loads = [record.details["load"] for record in records if "load" in record.details]
    if loads:
        print(f"Load average of the machine {min(loads):.1f} to {max(loads):.1f}: above the cores,")
        print("others were at work as well, and all searches did less than they could.")
    for table in tables:
        print(f"\n{table}", flush=True)
    if arguments.json:
        facts = {"versions": versions(), "machine": machine(), "minutes": minutes}
        everything = {
            **facts,
            "tables": [table.to_dict() for table in tables],
            "records": [asdict(record) for record in records],
        }
        arguments.json.write_text(json.dumps(everything, indent=1), "utf-8")


def _said(record: Record) -> str:
    place = f"  {record.data}, seed {record.seed}, {record.method}"
    if record.error:
        return f"{place}: {record.error}"
    return f"{place}: {record.trainings} trainings in {record.seconds:.0f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a quarter of a minute, two data sets, one seed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="keep what was measured there (one JSON object a line) and go on from it",
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="limit of each row (default: 1)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--stop-after-minutes",
        type=float,
        default=1e9,
        metavar="M",
        help="begin nothing more after M minutes, and print what there is",
    )
    parser.add_argument("--only", type=_some(_SETS, ","), metavar="SETS", help=",".join(_SETS))
    parser.add_argument(
        "--rows",
        type=_some(_ROWS, ";"),
        default=_ROWS,
        metavar="ROWS",
        help=f'separated by semicolons: "{"; ".join(_ROWS)}"',
    )
    parser.add_argument(
        "--data", type=Path, default=_DATA, metavar="FOLDER", help="the real data sets"
    )
    parser.add_argument(
        "--cores", type=int, default=2, help="cores to use, 0 for all (default: %(default)s)"
    )
    return parser


def _some(names: Sequence[str], separator: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(separator)]
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(f"unknown {unknown[0]!r}; expected {list(names)}")
        return chosen

    return parse


if __name__ == "__main__":
    main()
