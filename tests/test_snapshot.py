"""A record that is looked at while it is written to."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from planted import Planted, add, genome, plant

from evonet.errors import RecordError
from evonet.store.folders import FILE
from evonet.store.record import RunRecord
from evonet.store.snapshot import Snapshot


def a_run(folder: Path) -> Path:
    return plant(folder, [[Planted(genome(i), i / 10) for i in range(4)]])


def test_a_snapshot_says_what_the_record_says(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    with RunRecord(folder) as record, Snapshot(folder) as snapshot:
        for name in ("evaluations", "repeats", "generations", "candidates", "winners"):
            assert getattr(snapshot, name)() == getattr(record, name)()
        assert snapshot.facts == record.facts
        assert snapshot.search_seconds() == record.search_seconds()


def test_a_snapshot_stays_as_it_was_while_the_run_goes_on(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    with RunRecord(folder) as record, Snapshot(folder) as snapshot:
        add(record, "later", Planted(genome(9), 0.9))
        assert len(snapshot.evaluations()) == 4
        with Snapshot(folder) as newer:
            assert len(newer.evaluations()) == 5


def test_nothing_can_be_written_to_it_and_the_file_is_left_alone(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    before, names = (folder / FILE).read_bytes(), sorted(p.name for p in folder.iterdir())
    with Snapshot(folder) as snapshot:
        with pytest.raises(RecordError, match="readonly"):
            snapshot.set_facts(stopped="by a reader")
        snapshot.evaluations()
    assert (folder / FILE).read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == names


def test_a_run_in_the_middle_of_a_transaction_is_seen_as_before_it(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    with RunRecord(folder) as record, record._database.transaction():
        record._database.execute("DELETE FROM evaluations")
        with Snapshot(folder) as snapshot:
            assert len(snapshot.evaluations()) == 4


def test_a_run_writes_on_while_snapshots_are_taken(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    seen, failed = [], []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                with Snapshot(folder) as snapshot:
                    seen.append(len(snapshot.evaluations()))
        except RecordError as error:
            failed.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    with RunRecord(folder) as record:
        for i in range(30):
            add(record, f"more {i}", Planted(genome(10 + i), 0.5))
    done.set()
    reader.join()
    assert failed == []
    assert seen == sorted(seen)
    with Snapshot(folder) as snapshot:
        assert len(snapshot.evaluations()) == 34


def test_a_record_that_was_killed_while_it_wrote_names_the_way_out(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    killed = """
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
c.execute("CREATE TABLE spilled (text TEXT)")
c.executemany("INSERT INTO spilled VALUES (?)", [("x" * 2000,)] * 500)
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed, folder / FILE], check=False)
    assert (folder / f"{FILE}-journal").is_file()
    with pytest.raises(RecordError, match=r"killed while it wrote.*evonet show"):
        Snapshot(folder)
    RunRecord(folder).close()
    with Snapshot(folder) as snapshot:
        assert len(snapshot.evaluations()) == 4


def test_what_is_no_record_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No run at"):
        Snapshot(tmp_path)
    folder = a_run(tmp_path / "run")
    (folder / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(RecordError, match="file is damaged"):
        Snapshot(folder)
    shutil.rmtree(folder)
    with pytest.raises(RecordError, match="No run at"):
        Snapshot(folder)
