"""What a run loses when it is killed, or its disk fails: nothing. And what a long one costs.

    python scripts/bench_resilience.py                 300 kills, an hour; 500 generations
    python scripts/bench_resilience.py --quick         12 kills, minutes; 50 generations
    python scripts/bench_resilience.py --only long     one part: kills, faults, long, processors
    python scripts/bench_resilience.py --json FILE

kills: searches by worker processes, and some without a barrier, are killed at random moments (the
run, a worker, both; SIGKILL, SIGTERM, Ctrl-C, and by the kernel for want of memory where this user
may limit that, by cgroups of version 1) and resumed until they end. Then their history has to be
that of the same search that nobody killed, bit for bit.

faults: a disk that is full or read-only, a lock, a second process, a damaged file, and more befall
a search; what it says is printed, and its history has to be the same once that is mended.

long: a search of 20,000 candidates whose trainings take no time: memory, open files, and the time
that a candidate takes beside its training, from the first to the last.

processors: searches with the same seed on processors of other years, as far as this one can play
them by leaving out instructions: what differs, and by how much.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from bench.faults import faults
from bench.kills import kills
from bench.long_run import long_run
from bench.machine import machine, versions
from bench.older_processors import older_processors
from bench.table import Table

PARTS: Mapping[str, Callable[[argparse.Namespace], Table]] = MappingProxyType(
    {
        "kills": lambda how: kills(how.kills or (12 if how.quick else 300)),
        "faults": lambda how: faults(50 if how.quick else 500),
        "long": lambda how: long_run(50 if how.quick else 500),
        "processors": lambda how: older_processors(2 if how.quick else 10),
    }
)


def main() -> None:
    """Kill, search for long, and print what was lost and taken."""
    arguments = _parser().parse_args()
    print(" ".join(f"{name} {version}" for name, version in versions().items()))
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    tables = []
    for name in arguments.only or PARTS:
        tables.append(PARTS[name](arguments))
        print(f"\n{tables[-1]}", flush=True)
    if arguments.json:
        facts = {"versions": versions(), "machine": machine()}
        record = facts | {"tables": [table.to_dict() for table in tables]}
        arguments.json.write_text(json.dumps(record, indent=1), "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few kills, few generations")
    parser.add_argument("--kills", type=int, metavar="N", help="so many kills")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="only these parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
