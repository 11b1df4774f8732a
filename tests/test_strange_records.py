"""Records of strangers, whose checksums are right: shown, or refused in a line, whatever they say.

Somebody who makes checksums anew can write any JSON into any row. One value of a good record is
changed at a time, and all that reads records has to bear it.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import Planted, genome, plant, seal
from strategies import examples, raises_at_most

from evonet.advice.finding import Finding
from evonet.champion.prediction import load_predictor
from evonet.comparison import comparison
from evonet.data.preparation import CategoricalColumn, NumericColumn
from evonet.errors import EvonetError
from evonet.logs.candidates import entries
from evonet.page.html import write_report
from evonet.printing import runs_table, show_run
from evonet.report.figures import FIGURES, save_figures
from evonet.report.tables import candidates_table, curves_table, front_table
from evonet.store.folders import FILE
from evonet.store.record import TABLES, RunRecord

COLUMNS = (
    NumericColumn("a", 0.0, 0.0, 1.0, True),
    CategoricalColumn("b", ("x", None), True),
)
FINDING = Finding(
    "duplicates", "serious", "Seen.", "Why.", "Advice.", ("--drop", "b"), ("b",), {"test": 0.5}
)
JUNK: list[Any] = [
    *(None, True, -1, 0, 1, 7, 10**30, 1e308, -0.5, math.nan, math.inf),
    *("x", "", "\x1b[2J", "a" * 10_000, [], {}, [1], ["x"], {"a": 1}, [[0.5]] * 3),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
        columns=COLUMNS,
        advice=[FINDING.to_dict()],
    )


def places(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value within plain values, by keys and indices."""
    yield place
    inside: Any = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, part in inside:
        yield from places(part, (*place, key))


def changed(value: Any, place: tuple[Any, ...], junk: object, gone: bool) -> Any:
    """Plain values with one of them replaced, or gone."""
    if not place:
        return junk
    part = value
    for key in place[:-1]:
        part = part[key]
    if gone:
        del part[place[-1]]
    else:
        part[place[-1]] = junk
    return value


def spoil(file: sqlite3.Connection, data: st.DataObject) -> None:
    """Change one value somewhere, and seal what came of it."""
    tables = {t.name: file.execute(f"SELECT * FROM {t.name}").fetchall() for t in TABLES}
    name = data.draw(st.sampled_from([name for name, rows in tables.items() if rows]))
    names = [column[1] for column in file.execute(f"PRAGMA table_info({name})")]
    rows = [list(row) for row in tables[name]]
    row = data.draw(st.sampled_from(rows))
    i = data.draw(st.integers(0, len(names) - 2))  # the last one is the checksum
    assert names[-1] == "checksum"
    junk = data.draw(st.sampled_from(JUNK))
    try:
        plain = json.loads(row[i])
        place = data.draw(st.sampled_from(list(places(plain))))
        row[i] = json.dumps(changed(plain, place, junk, gone=data.draw(st.booleans())))
    except (TypeError, ValueError):  # a plain column
        row[i] = json.dumps(junk) if isinstance(junk, list | dict) else junk
    file.execute(f"DELETE FROM {name}")
    marks = ", ".join("?" * len(names))
    for values in rows:
        # What SQLite itself refuses to hold.
        with suppress(sqlite3.IntegrityError, OverflowError):
            file.execute(f"INSERT INTO {name} VALUES ({marks})", values)
    seal(file)


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


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@examples(100)
def test_one_strange_value_is_borne(
    run: Path, tmp_path_factory: pytest.TempPathFactory, reader: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("strange") / "run"
    shutil.copytree(run, folder)
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        spoil(file, data)
    with raises_at_most(EvonetError), redirect_stdout(io.StringIO()):
        READERS[reader](folder)
    shutil.rmtree(folder.parent)


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES)
@given(data=st.data())
@examples(40)
def test_one_strange_value_is_drawn_or_refused(
    run: Path, tmp_path_factory: pytest.TempPathFactory, figure: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("strange") / "run"
    shutil.copytree(run, folder)
    with closing(sqlite3.connect(folder / FILE)) as file, file:
        spoil(file, data)
    with raises_at_most(EvonetError):
        save_figures(folder, [figure])
    shutil.rmtree(folder.parent)
