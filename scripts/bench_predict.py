"""How many rows a second `evonet predict` does, and in how much memory: it must not grow with rows.

    python scripts/bench_predict.py                      1,000,000 rows, minutes
    python scripts/bench_predict.py --quick              300,000 rows
    python scripts/bench_predict.py --json FILE

A network is fitted on rows with numbers, words and missing values; then files of more and more rows
are predicted, each by a process of its own. Rows a second count reading, preparing, predicting and
writing CSV; starting up is stated apart, as the time for ten rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from bench.machine import peak_memory, versions
from bench.table import Cell, Table

from evonet.config import make_config
from evonet.genome import Genome, Layer
from evonet.run import train

_ROWS = (10, 100_000, 300_000, 1_000_000)
_NETWORK = Genome((Layer(64, "relu"), Layer(64, "relu")), "matched_normal", "adam", 0.003, 64)
_KINDS = ("csv", "parquet")


def main() -> None:
    """Measure and print."""
    arguments = _parser().parse_args()
    counts = [n for n in _ROWS if n <= 300_000 or not arguments.quick]
    with tempfile.TemporaryDirectory() as folder:
        run = _fitted(Path(folder))
        rows = [_measured(run, n, kind) for kind in _KINDS for n in counts]
    note = "The first row of each kind is starting up, which the rates of the others leave out."
    columns = ("file", "rows", "seconds", "rows a second", "peak MiB")
    table = Table("evonet predict, 14 columns, 64-64 units", columns, _rated(rows), (note,))
    print(" ".join(f"{name} {version}" for name, version in versions().items()))
    print(f"\n{table}")
    if arguments.json:
        record = {"versions": versions(), "tables": [table.to_dict()]}
        arguments.json.write_text(json.dumps(record, indent=1), "utf-8")


def _table(n: int) -> pd.DataFrame:
    """Ten columns of numbers and four of words, some missing; two classes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 10)), columns=[f"number {i}" for i in range(10)])
    frame = frame.mask(rng.random(frame.shape) < 0.05)
    for i in range(4):
        frame[f"word {i}"] = rng.choice(np.array(["red", "green", "blue", None], object), n)
    frame["y"] = np.where(frame["number 0"].fillna(0) + rng.normal(size=n) > 0, "yes", "no")
    return frame


def _fitted(folder: Path) -> Path:
    _table(5_000).to_csv(folder / "train.csv", index=False)
    settings = {"data": str(folder / "train.csv"), "target": "y", "results": folder}
    return train(_NETWORK, make_config({**settings, "final_epochs": 5, "final_fits": 1})).folder


def _measured(run: Path, n: int, kind: str) -> tuple[str, int, float, float]:
    """Kind, rows, seconds and peak memory in MiB of one prediction."""
    file = run.parent / f"rows.{kind}"
    frame = _table(n).drop(columns="y")
    frame.to_csv(file, index=False) if kind == "csv" else frame.to_parquet(file)
    command = [sys.executable, "-m", "evonet", "predict", str(run), str(file)]
    started = time.perf_counter()
    with (run.parent / "out.csv").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, start_new_session=True)
        with peak_memory(process.pid) as peak:
            status = process.wait()
            seconds = time.perf_counter() - started
    n_lines = sum(1 for _ in (run.parent / "out.csv").open("rb"))
    if status or n_lines != n + 1:
        raise RuntimeError(f"{command} ended with {status} and {n_lines} lines")
    file.unlink()
    return kind, n, seconds, peak[0]


def _rated(rows: list[tuple[str, int, float, float]]) -> tuple[tuple[Cell, ...], ...]:
    start = {kind: seconds for kind, n, seconds, _ in rows if n == _ROWS[0]}
    return tuple(
        (
            kind,
            f"{n:,}",
            seconds,
            "-" if n == _ROWS[0] else f"{n / (seconds - start[kind]):,.0f}",
            mib,
        )
        for kind, n, seconds, mib in rows
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


if __name__ == "__main__":
    main()
