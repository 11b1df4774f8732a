"""Where a search stops scaling: its coordinator is real, its workers are simulated.

    python scripts/bench_scale.py                 1, 10, 100 and 1,000 workers; minutes
    python scripts/bench_scale.py --quick         1, 10 and 100 workers
    python scripts/bench_scale.py --json FILE

A real search of digits is run first; each simulated training then takes what one of its trainings
took, and in a second part a hundred times as long, as on larger data. All else is what a run does,
but for sending portions to processes: asking, telling, writing the record to disk.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench.machine import machine, versions
from bench.scale import scale

from evonet.config import make_config
from evonet.progress import Observer
from evonet.run import evolve
from evonet.store.record import RunRecord

_LONGER = 100


def main() -> None:
    """Measure, simulate, print."""
    arguments = _parser().parse_args()
    workers = (1, 10, 100) if arguments.quick else (1, 10, 100, 1_000)
    most = 300 if arguments.quick else 2_000
    print(" ".join(f"{name} {number}" for name, number in versions().items()))
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    costs = _measured_costs(60 if arguments.quick else 300)
    long = [_LONGER * seconds for seconds in costs]
    tables = []
    for named, seconds in (("digits", costs), (f"digits, {_LONGER} times as long", long)):
        for screened in (4, 1):
            tables.append(scale(seconds, workers, most, named, screened))
            print(f"\n{tables[-1]}", flush=True)
    if arguments.json:
        facts = {"versions": versions(), "machine": machine(), "costs": costs}
        record = facts | {"tables": [table.to_dict() for table in tables]}
        arguments.json.write_text(json.dumps(record, indent=1), "utf-8")


def _measured_costs(n: int) -> list[float]:
    """Seconds of so many real trainings of random networks on digits."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"data": "digits", "results": Path(folder), "name": "run", "method": "random"}
        seen: list[object] = []
        observer = Observer()
        observer.on_evaluation = seen.append  # type: ignore[assignment, method-assign]
        limits = {"population_size": n, "generations": 1, "fidelity": "off"}
        evolve(make_config(settings | limits), observer, lambda: len(seen) >= n)
        with RunRecord(Path(folder) / "run") as record:
            return [stored.evaluation.seconds for stored in record.evaluations()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few workers, few trainings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
