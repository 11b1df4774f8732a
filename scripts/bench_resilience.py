"""What a run loses when it is killed: nothing that was written down.

    python scripts/bench_resilience.py                 300 kills, an hour
    python scripts/bench_resilience.py --quick         12 kills, minutes
    python scripts/bench_resilience.py --json FILE

Searches by worker processes are killed at random moments (the run, a worker, both; SIGKILL, which
is also what a machine without memory sends, SIGTERM, Ctrl-C) and resumed until they end. Then
their history has to be that of the same search that nobody killed, bit for bit.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.kills import kills
from bench.machine import versions


def main() -> None:
    """Kill, and print what was lost."""
    arguments = _parser().parse_args()
    table = kills(arguments.kills or (12 if arguments.quick else 300))
    print(" ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"\n{table}")
    if arguments.json:
        record = {"versions": versions(), "tables": [table.to_dict()]}
        arguments.json.write_text(json.dumps(record, indent=1), "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few kills")
    parser.add_argument("--kills", type=int, metavar="N", help="so many kills")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
