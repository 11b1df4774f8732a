"""Records of strangers, whose checksums are right: shown, or refused in a line, whatever they say.

Somebody who makes checksums anew can write any JSON into any row. One value of a good record is
changed at a time, and all that reads records has to bear it.
"""

from __future__ import annotations

import io
import json
import math
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stdout, suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEvaluator, fake_training
from planted import Planted, genome, plant, seal
from strategies import raises_at_most

from evonet.advice.finding import Finding
from evonet.champion.prediction import load_predictor
from evonet.comparison import comparison
from evonet.config import make_config
from evonet.data.preparation import CategoricalColumn, NumericColumn
from evonet.errors import EvonetError, shown
from evonet.evaluation import Hurdle
from evonet.logs.candidates import entries
from evonet.page.html import write_report
from evonet.printing import runs_table, show_run
from evonet.report.figures import FIGURES, save_figures
from evonet.report.tables import candidates_table, curves_table, front_table
from evonet.run import evolve, resume
from evonet.store.folders import FILE
from evonet.store.record import TABLES, RunRecord
from evonet.store.rows import StoredPending

__all__ = ["fake_training"]

COLUMNS = (
    NumericColumn("a", 0.0, 0.0, 1.0, True),
    CategoricalColumn("b", ("x", None), True),
)
FINDING = Finding(
    "duplicates", "serious", "Seen.", "Why.", "Advice.", ("--drop", "b"), ("b",), {"test": 0.5}
)
ALL = [table.name for table in TABLES]
FILLED = [name for name in ALL if name != "pending"]
GONE = object()
JUNK: list[Any] = [
    *(None, True, -1, 0, 1, 7, 10**30, 1e308, -0.5, math.nan, math.inf),
    *("x", "", "\x1b[2J", "a" * 10_000, [], {}, [1], ["x"], {"a": 1}, [[0.5]] * 3),
]


@pytest.fixture(scope="module", params=[("score",), ("score", "parameters")], ids="+".join)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three generations, one network under way, a winner, and something odd about the data."""
    rows = [
        [
            Planted(
                genome(8 * number + i),
                None if i == 7 else 0.5 + 0.01 * i + 0.02 * number,
                "crossover" if number else "random",
                (genome(0), genome(1)) if number else (),
                dropped=i == 6,
            )
            for i in range(8)
        ]
        for number in range(3)
    ]
    return plant(
        tmp_path_factory.mktemp("strange") / "run",
        rows,
        unfinished=[Planted(genome(90), 0.9)],
        winner=rows[2][5],
        config={"objective": request.param, "max_minutes": 5.0},
        columns=COLUMNS,
        advice=[FINDING.to_dict()],
    )


def places(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value within plain values, by keys and indices; of lists the two ends."""
    yield place
    inside: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = [(i, value[i]) for i in sorted({0, len(value) - 1}) if value]
    for key, part in inside:
        yield from places(part, (*place, key))


def changed(text: str, place: tuple[Any, ...], junk: object) -> str:
    """JSON with one of its values replaced, or gone."""
    value = [json.loads(text)]  # so that the whole of it has a place too
    part, (*way, last) = value, (0, *place)
    for key in way:
        part = part[key]
    if junk is GONE:
        del part[last]
    else:
        part[last] = junk
    return json.dumps(value[0])


def is_json(table: str, column: str) -> bool:
    """Whether a column holds JSON."""
    return (table, column) in {
        ("facts", "value"),
        ("evaluations", "genome"),
        ("evaluations", "evaluation"),
        ("candidates", "parents"),
        ("pending", "genome"),
        ("pending", "parents"),
        ("pending", "hurdles"),
        ("generations", "population"),
        ("winners", "winner"),
    }


def spoiled(run: Path, table: str, n: int) -> Iterator[Path]:
    """The run with one value of a table changed, and sealed, after the other.

    Args:
        run: as it was.
        table: of whose rows the first and the last are changed, of facts all.
        n: different things that take the place of each value, which is left out as well.
    """
    with closing(sqlite3.connect(run / FILE)) as file:
        names = [name for _, name, *_ in file.execute(f"PRAGMA table_info({table})")]
        rows = [list(row) for row in file.execute(f"SELECT * FROM {table}")]
    some = range(len(rows)) if table == "facts" else sorted({0, len(rows) - 1})
    assert rows
    for row, column in product(some, [name for name in names if name != "checksum"]):
        old = rows[row][names.index(column)]
        for place in places(json.loads(old)) if is_json(table, column) else [()]:
            sample = random.Random(f"{row} {column} {place}").sample(JUNK, n)
            for junk in [*sample, *([GONE] if place else [])]:
                print(table, row, column, place, "gone" if junk is GONE else shown(junk))
                new = [list(values) for values in rows]
                if is_json(table, column):
                    new[row][names.index(column)] = changed(old, place, junk)
                else:
                    nested = isinstance(junk, list | dict)
                    new[row][names.index(column)] = json.dumps(junk) if nested else junk
                yield planted_in(run, table, new)


def planted_in(run: Path, table: str, rows: list[list[Any]]) -> Path:
    """A copy of the run with other rows in a table, and checksums that are right."""
    folder = run.with_name("strange")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        file.execute(f"DELETE FROM {table}")
        for values in rows:
            with suppress(sqlite3.IntegrityError, OverflowError):  # what SQLite does not hold
                file.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        seal(file)
    return folder


def is_refused(folder: Path) -> bool:
    """Whether a record is not even opened."""
    try:
        RunRecord(folder).close()
    except EvonetError:
        return True
    return False


def in_record(read: Callable[[RunRecord], object]) -> Callable[[Path], object]:
    """Something that is done with an open record, as done with its folder."""

    def look(folder: Path) -> object:
        with RunRecord(folder) as record:
            return read(record)

    return look


READERS: Mapping[str, Callable[[Path], object]] = {
    "show": in_record(show_run),
    "list": lambda folder: runs_table(folder.parent),
    "report": lambda folder: write_report(folder, folder.parent / "report.html"),
    "compare": lambda folder: comparison([folder]),
    "predict": load_predictor,
    "history": in_record(lambda record: candidates_table(record).to_csv()),
    "front": in_record(front_table),
    "curves": in_record(curves_table),
    "logs": in_record(lambda record: list(entries(record))),
}


MANY = pytest.param(6, marks=pytest.mark.slow)


@pytest.mark.parametrize("n", [1, MANY])
@pytest.mark.parametrize("table", FILLED)
def test_a_strange_value_is_shown_or_refused_in_a_line(run: Path, table: str, n: int) -> None:
    for folder in spoiled(run, table, n):
        for read in [] if is_refused(folder) else READERS.values():
            with raises_at_most(EvonetError), redirect_stdout(io.StringIO()):
                read(folder)


@pytest.mark.slow
@pytest.mark.parametrize("table", FILLED)
def test_a_strange_value_is_drawn_or_refused_in_a_line(run: Path, table: str) -> None:
    for folder in spoiled(run, table, 1):
        if not is_refused(folder):
            with raises_at_most(EvonetError):
                save_figures(folder, FIGURES)


@pytest.mark.parametrize("n", [1, MANY])
@pytest.mark.parametrize(
    ("asynchronous", "table"),
    [*((False, name) for name in FILLED), *((True, name) for name in ALL)],
)
def test_a_run_with_a_strange_value_goes_on_or_is_refused_in_a_line(
    tmp_path: Path, fake_training: FakeEvaluator, asynchronous: bool, table: str, n: int
) -> None:
    settings = {"data": "iris", "generations": 4, "population_size": 4, "name": "run"}
    settings |= {"results": tmp_path, "asynchronous": asynchronous}
    trained = iter(range(12))
    whole = table == "winners"
    run = evolve(make_config(settings), should_stop=lambda: not whole and next(trained) > 10).folder
    if asynchronous and not whole:
        with RunRecord(run) as record:
            parents = (record.candidates()[0].genome_key,)
            record.add_pending(StoredPending(genome(90), "x", parents, (Hurdle(1, 0.5, True),)))
    for folder in spoiled(run, table, n):
        if not is_refused(folder):
            with raises_at_most(EvonetError):
                resume(folder)
