"""How fast evonet trains, against what others do and against what the machine can do.

    python scripts/bench_training.py                     all of it, hours
    python scripts/bench_training.py --quick             all but fidelity in small, minutes
    python scripts/bench_training.py --only digits,adult
    python scripts/bench_training.py --only agreement --keras-scores scripts/keras_scores.jsonl

Parts: digits (candidates a minute of whole processes: fused, serial Keras, Keras Tuner,
scikit-learn), fashion and adult (fused, serial Keras), machine (useful operations a second over
the best matrix product), growth (time and memory with candidates, widths, rows, features),
agreement (the scores of fused against those of serial Keras), fidelity (whole searches of equal
time with and without giving up candidates early).

Keras Tuner is measured where it is installed (`pip install keras-tuner`).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.agreement import agreement
from bench.comparisons import adult, digits, fashion
from bench.fidelity import fidelity
from bench.growth import growth
from bench.machine import cores, machine, use_cores, versions
from bench.processes import JobError, end_jobs_with_this_process
from bench.settings import FULL, QUICK, Settings
from bench.table import Table
from bench.utilisation import utilisation

PARTS: Mapping[str, Callable[[Settings], Table]] = {
    "digits": digits,
    "fashion": fashion,
    "adult": adult,
    "machine": utilisation,
    "growth": growth,
    "agreement": agreement,
    "fidelity": fidelity,
}
#: Parts that the quick version leaves out, unless they are named.
_LONG = ("fidelity",)
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> None:
    """Measure the parts that are asked for, and print each as soon as it is done."""
    arguments = _parser().parse_args()
    end_jobs_with_this_process()
    use_cores(arguments.cores or len(cores()))
    facts = {"versions": versions(), "machine": machine(), "quick": arguments.quick}
    print(" ".join(f"{name} {number}" for name, number in versions().items()))
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.quick:
            os.environ["EVONET_CACHE"] = str(Path(folder) / "programs")  # nothing compiled before
        settings = Settings(
            sizes=QUICK if arguments.quick else FULL,
            data=arguments.data.resolve(),
            keras_scores=(arguments.keras_scores or Path(folder) / "scores.jsonl").resolve(),
            keras_minutes=arguments.keras_minutes,
            quick=arguments.quick,
        )
        for name in arguments.only or [n for n in PARTS if n not in _LONG or not arguments.quick]:
            started = time.perf_counter()
            try:
                table = PARTS[name](settings)
            except JobError as error:
                table = Table(name, notes=(str(error),))
            seconds = time.perf_counter() - started
            print(f"\n{table}\n  Measured in {seconds:.0f} s.", flush=True)
            tables[name] = table.to_dict() | {"seconds": seconds}
            if arguments.json:
                arguments.json.write_text(json.dumps(facts | {"parts": tables}, indent=1), "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small counts, under three minutes once the loops are compiled",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--only", type=_parts, metavar="PARTS", help=",".join(PARTS))
    parser.add_argument(
        "--data", type=Path, default=_DATA, metavar="FOLDER", help="the real data sets"
    )
    parser.add_argument(
        "--keras-scores",
        type=Path,
        metavar="FILE",
        help="keep the scores of serial Keras there (one JSON object a line) and go on from them",
    )
    parser.add_argument(
        "--keras-minutes",
        type=float,
        default=1e9,
        metavar="M",
        help="start no more trainings of serial Keras for agreement after M minutes a data set",
    )
    parser.add_argument(
        "--cores", type=int, default=2, help="cores to use, 0 for all (default: %(default)s)"
    )
    return parser


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"unknown part {unknown[0]!r}; expected {list(PARTS)}")
    return names


if __name__ == "__main__":
    main()
