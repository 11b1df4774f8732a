"""The record and the score cache: written, read again, and safe against all that befalls a file."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import facts, seal
from strategies import examples, genomes, raises_at_most

import evonet.store.cache
import evonet.store.folders
import evonet.store.record
from evonet.errors import DamageError, RecordError
from evonet.evaluation import Budget, Evaluation, Request, protocol_key, score_key
from evonet.genome import Genome, Layer
from evonet.outcome import Ensemble, Winner
from evonet.store.cache import ScoreCache
from evonet.store.claim import Claim
from evonet.store.database import Database, Table, checksum
from evonet.store.folders import FILE, run_folders
from evonet.store.record import RunRecord
from evonet.store.rows import (
    StoredCandidate,
    StoredEvaluation,
    StoredGeneration,
    StoredWinner,
)
from evonet.store.snapshot import Snapshot

SCHEMA = "CREATE TABLE things (name TEXT UNIQUE, checksum INTEGER)"
THINGS = Table("things", ("name",))
GENOME = Genome((Layer(8, "relu", 0.5), Layer(4, "tanh")), "he_normal", "momentum", 0.1, 32, 0.9)
EVALUATION = Evaluation(
    GENOME.key, 7, "ok", "", 0.1 + 0.2, 2, (1.0, 0.5), (1.5, math.inf), 99, 1 / 3
)
STORED = StoredEvaluation("ab" * 16, "trained", GENOME, EVALUATION)
GENERATION = StoredGeneration(0, ((GENOME.key, 0.1 + 0.2), (GENOME.key, -1e100)), 2, 1 / 3, 0.7)
WINNER = StoredWinner(
    Winner(
        GENOME,
        0.7,
        (0.6, None),
        0.5,
        None,
        None,
        {"accuracy": None},
        99,
        1,
        (1.0,),
        (math.inf,),
        False,
        1,
        3,
        Budget(3, 1),
        Ensemble((GENOME, GENOME), (0.5, 0.5), 0.6, 0.7, {"accuracy": 0.7}, 198),
    ),
    (GENOME.key,),
    True,
    "ab",
)
FIRST = StoredCandidate(0, 0, GENOME.key, "ab" * 16, "random", ())
CANDIDATE = replace(FIRST, slot=1, operator="crossover + add_layer", parents=(GENOME.key,) * 2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "things.sqlite", "box of things", 3, SCHEMA, create=True)
    yield database
    database.close()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[RunRecord]:
    record = RunRecord.new(tmp_path, "run", "digits", facts())
    yield record
    record.close()


def fill(record: RunRecord) -> None:
    record.set_facts(stopped="by the test")
    record.add_evaluation(STORED)
    record.commit_generation(GENERATION, [FIRST, CANDIDATE])
    record.add_winner(WINNER)


def read_all(folder: Path) -> list[Any]:
    """Everything that a record can be asked."""
    record = RunRecord(folder)
    try:
        return [
            record.facts,
            record.evaluations(),
            record.evaluation(STORED.score_key),
            record.count_trainings(),
            record.generations(),
            record.candidates(),
            record.unfinished_candidates(),
            record.pending(),
            record.winners(),
        ]
    finally:
        record.close()


def change(record: RunRecord, statement: str, sealed: bool = False) -> None:
    """Close a record and change it behind its back; sealed, with checksums that are right."""
    record.close()
    with closing(sqlite3.connect(record.folder / FILE)) as file, file:
        file.execute(statement)
        if sealed:
            seal(file)


def names(database: Database) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM things ORDER BY name")]


def put(database: Database, *things: str, then: BaseException | None = None) -> None:
    """Put things in, in one transaction, which ends with an error where one is given."""
    with database.transaction():
        for thing in things:
            database.add(THINGS, (thing,))
        assert set(things) <= set(names(database))
        if then is not None:
            raise then


class TestDatabase:
    def test_what_is_written_is_there_when_it_is_opened_again(self, database: Database) -> None:
        put(database, "cup")
        database.close()
        for create in (False, True):
            again = Database(database.path, "box of things", 3, SCHEMA, create)
            assert names(again) == ["cup"]
            again.close()

    def test_a_missing_file_is_refused_and_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"^No box of things at .*none\.sqlite\.$"):
            Database(tmp_path / "none.sqlite", "box of things", 3, SCHEMA, create=False)
        assert not (tmp_path / "none.sqlite").exists()

    def test_a_folder_is_not_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"^No box of things at "):
            Database(tmp_path, "box of things", 3, SCHEMA, create=False)
        with pytest.raises(RecordError, match=r"unable to open database file\. Check that its fol"):
            Database(tmp_path, "box of things", 3, SCHEMA, create=True)

    def test_a_file_in_a_missing_folder_cannot_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"unable to open database file\. Check that its fol"):
            Database(tmp_path / "none" / "x.sqlite", "box of things", 3, SCHEMA, create=True)

    @pytest.mark.parametrize("create", [False, True])
    def test_a_file_of_another_version_is_refused(self, database: Database, create: bool) -> None:
        message = r"is a box of things of version 3; this evonet reads version 4\. Use the evonet"
        with pytest.raises(RecordError, match=message):
            Database(database.path, "box of things", 4, SCHEMA, create)

    @pytest.mark.parametrize("create", [False, True])
    def test_a_file_of_another_kind_is_refused(self, database: Database, create: bool) -> None:
        with pytest.raises(RecordError, match="is not a run record of evonet"):
            Database(database.path, "run record", 3, SCHEMA, create)

    @pytest.mark.parametrize("create", [False, True])
    def test_a_foreign_sqlite_file_is_refused_and_left_as_it_was(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "foreign.sqlite"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE birds (name TEXT)")
        connection.commit()
        connection.close()
        before = path.read_bytes()
        with pytest.raises(RecordError, match=r"foreign\.sqlite is not a box of things of evonet"):
            Database(path, "box of things", 3, SCHEMA, create)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("create", [False, True])
    @pytest.mark.parametrize(
        "content", [b"A text that somebody wrote.\n" * 200, b"short", b"\0" * 4096]
    )
    def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(
        self, tmp_path: Path, content: bytes, create: bool
    ) -> None:
        path = tmp_path / "text.sqlite"
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"file is not a database\. The file is damaged"):
            Database(path, "box of things", 3, SCHEMA, create)
        assert path.read_bytes() == content

    def test_an_empty_file_holds_no_things(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.sqlite"
        path.touch()
        with pytest.raises(RecordError, match=r"empty\.sqlite is not a box of things of evonet"):
            Database(path, "box of things", 3, SCHEMA, create=False)

    def test_two_that_come_at_once_make_one_file_and_both_can_use_it(self, tmp_path: Path) -> None:
        for attempt in range(10):
            path, failures = tmp_path / f"{attempt}.sqlite", []
            barrier = threading.Barrier(4)

            def come(path: Path = path, failures: list[Any] = failures, b: Any = barrier) -> None:
                b.wait()
                try:
                    Database(path, "box of things", 3, SCHEMA, create=True).close()
                except RecordError as error:
                    failures.append(error)

            threads = [threading.Thread(target=come) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failures

    def test_a_transaction_that_fails_leaves_nothing_behind(self, database: Database) -> None:
        put(database, "cup")
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            put(database, "pot", then=ZeroDivisionError("on purpose"))
        assert names(database) == ["cup"]

    def test_a_transaction_within_another_is_a_part_of_it(self, database: Database) -> None:
        def fail_late() -> None:
            with database.transaction():
                with database.transaction():
                    database.add(THINGS, ("inner",))
                raise ValueError("late")

        with pytest.raises(ValueError, match="late"):
            fail_late()
        assert database.execute("SELECT name FROM things") == []

    def test_a_transaction_that_is_interrupted_leaves_nothing_behind(
        self, database: Database
    ) -> None:
        with pytest.raises(KeyboardInterrupt, match="control-C"):
            put(database, "pot", then=KeyboardInterrupt("control-C"))
        put(database, "cup")  # and the next transaction is not inside it
        assert names(database) == ["cup"]

    def test_a_statement_that_fails_takes_its_transaction_with_it(self, database: Database) -> None:
        message = r"UNIQUE constraint failed: things\.name\. Another process is writing to it"
        with pytest.raises(RecordError, match=message):
            put(database, "pot", "pot")
        assert names(database) == []

    def test_a_full_disk_is_an_error_and_what_was_committed_is_kept(
        self, database: Database
    ) -> None:
        put(database, "cup")
        ((pages,),) = database.execute("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count = {pages}")
        message = r"is full\. The disk is full\. What was committed is kept: free some space"
        with pytest.raises(RecordError, match=message):
            put(database, "pot", "x" * 100_000)
        assert names(database) == ["cup"]
        database.execute(f"PRAGMA max_page_count = {pages + 100}")  # some space was freed
        put(database, "x" * 100_000)
        assert names(database) == ["cup", "x" * 100_000]

    def test_a_locked_file_is_an_error_and_can_be_used_once_it_is_free(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.execute("PRAGMA busy_timeout = 10")  # milliseconds, for the 30 s of real life
        other = sqlite3.connect(database.path, isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            locked = r"database is locked\. Another process is writing to it: wait for it to end\. "
            with pytest.raises(RecordError, match=locked):
                put(database, "pot")
            with pytest.raises(RecordError, match=locked):
                names(database)
            connect = sqlite3.connect
            monkeypatch.setattr(
                sqlite3, "connect", lambda path, **how: connect(path, **{**how, "timeout": 0.01})
            )
            for create in (False, True):
                with pytest.raises(RecordError, match=locked):
                    Database(database.path, "box of things", 3, SCHEMA, create)
        finally:
            other.close()
        put(database, "cup")
        assert names(database) == ["cup"]

    @pytest.mark.parametrize("text", ["{", "", "nan"])
    def test_a_row_that_makes_no_sense_is_damage(self, database: Database, text: str) -> None:
        database.add(THINGS, (text,))
        message = (
            r"things\.sqlite: a row of its things makes no sense \(.*\)\. The file is damaged\."
        )
        with pytest.raises(RecordError, match=message):
            database.read(json.loads, THINGS)

    @pytest.mark.parametrize("change", ["name = 'mug'", "name = NULL", "checksum = checksum + 1"])
    def test_a_row_that_changed_since_it_was_written_is_damage(
        self, database: Database, change: str
    ) -> None:
        put(database, "cup")
        assert database.read(str, THINGS) == ["cup"]
        database.execute(f"UPDATE things SET {change}")
        message = r"a row of its things makes no sense \(it is not what was written\)\. The file is"
        with pytest.raises(DamageError, match=message):
            database.read(str, THINGS)

    @given(row=st.lists(st.none() | st.text() | st.integers(0, 2**62) | st.floats(allow_nan=False)))
    def test_a_checksum_is_that_of_what_sqlite_gives_back(self, row: list[Any]) -> None:
        columns = ", ".join(f"c{i}" for i in range(len(row)))
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE TABLE t ({columns or 'c'})")
            marks = ", ".join("?" * len(row)) or "NULL"
            connection.execute(f"INSERT INTO t VALUES ({marks})", row)
            (found,) = connection.execute(f"SELECT {columns or '*'} FROM t")
        assert checksum(found if row else []) == checksum(row)

    def test_a_bug_in_a_statement_is_no_secret(self, database: Database) -> None:
        with pytest.raises(RecordError, match="no such table: birds"):
            database.execute("SELECT * FROM birds")


class TestDamage:
    def test_a_truncated_record_is_refused(self, record: RunRecord) -> None:
        fill(record)
        record.close()
        path = record.folder / FILE
        whole = path.read_bytes()
        for size in range(1, len(whole), 509):
            path.write_bytes(whole[:size])
            with pytest.raises(RecordError, match=r"is damaged|is not a run record") as refusal:
                read_all(record.folder)
            assert "\n" not in str(refusal.value)

    def test_a_record_with_any_bit_flipped_is_what_it_was_or_refused(
        self, record: RunRecord
    ) -> None:
        """Which it is depends on whether the bit stands for anything."""
        fill(record)
        expected = read_all(record.folder)
        record.close()
        path = record.folder / FILE
        whole = path.read_bytes()
        flips = Counter[str]()
        for place in (i for i, byte in enumerate(whole) if byte):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            with raises_at_most(RecordError):
                assert read_all(record.folder) == expected
                flips["read"] += 1
            flips["all"] += 1
        assert 0 < flips["read"] < flips["all"] - 500
        path.write_bytes(whole)
        assert read_all(record.folder) == expected

    def test_a_cache_with_any_bit_flipped_is_read_refused_or_done_without(
        self, tmp_path: Path
    ) -> None:
        cache = ScoreCache(tmp_path)
        cache.put("ab", EVALUATION)
        cache.close()
        path = tmp_path / "scores.sqlite"
        whole = path.read_bytes()
        flips = Counter[str]()
        for place in (i for i, byte in enumerate(whole) if byte):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << place % 8
            path.write_bytes(damaged)
            said: list[str] = []
            with raises_at_most(RecordError), closing(ScoreCache(tmp_path, said.append)) as cache:
                assert cache.get("ab") in (EVALUATION, None)
                flips["read"] += not said
            flips["all"] += 1
        assert flips["read"] < flips["all"] - 200

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE evaluations SET evaluation = '[]'",
            "UPDATE evaluations SET evaluation = '{}'",
            "UPDATE evaluations SET genome = '{}'",
            "UPDATE evaluations SET genome = 'null'",
            "UPDATE generations SET population = '[[1]]'",
            "UPDATE generations SET population = '3'",
            "UPDATE candidates SET parents = '3'",
            "UPDATE winners SET winner = '{'",
            "UPDATE facts SET value = '{'",
            "UPDATE facts SET value = '3' WHERE name = 'config'",
        ],
    )
    def test_rows_that_make_no_sense_are_refused_though_their_checksums_are_right(
        self, record: RunRecord, statement: str
    ) -> None:
        fill(record)
        change(record, statement, sealed=True)
        with pytest.raises(
            DamageError, match=r"run\.sqlite: a row of its .* makes no sense .* damaged"
        ):
            read_all(record.folder)

    @pytest.mark.parametrize(
        ("statement", "needs"),
        [
            ("DELETE FROM evaluations", "2 of its candidates have no evaluation"),
            ("DELETE FROM candidates", "a member of a population was never a candidate"),
            (
                "UPDATE evaluations SET genome = replace(genome, '0.1', '0.2')",
                r"a row of its evaluations makes no sense \(its evaluation is of another genome\)",
            ),
            ("UPDATE generations SET number = 7", "a generation is missing"),
            ("UPDATE candidates SET parents = '[\"aa\"]'", "a parent was no candidate before its"),
            ("DELETE FROM facts WHERE name = 'baselines'", r"no sense \(baselines is missing\)"),
            ("DELETE FROM facts", r"a row of its facts makes no sense \(config is missing\)"),
        ],
    )
    def test_rows_that_lack_what_others_held_are_refused_though_each_is_whole(
        self, record: RunRecord, statement: str, needs: str
    ) -> None:
        fill(record)
        change(record, statement, sealed=True)
        for kind in (RunRecord, Snapshot):
            with (
                pytest.raises(DamageError, match=rf"{needs}.*\. The file is damaged\. Restore it"),
                kind(record.folder) as opened,
            ):
                _ = opened.evaluations(), opened.candidates()

    def test_a_candidate_that_is_of_another_genome_than_its_training_is_refused(
        self, record: RunRecord
    ) -> None:
        record.add_evaluation(STORED)
        record.end_pending(GENOME, replace(CANDIDATE, genome_key="another"))
        record.close()
        with (
            RunRecord(record.folder) as opened,
            pytest.raises(DamageError, match="a candidate's evaluation is of another genome"),
        ):
            opened.evaluations()

    @pytest.mark.parametrize(
        ("statement", "read"),
        [
            ("UPDATE evaluations SET repeat = 1 WHERE repeat = 0", RunRecord.evaluations),
            ("UPDATE evaluations SET repeat = 0 WHERE repeat = 1", RunRecord.repeats),
            ("UPDATE OR REPLACE candidates SET generation = 1", RunRecord.candidates),
            ("UPDATE OR REPLACE candidates SET generation = 0", RunRecord.unfinished_candidates),
            ("UPDATE generations SET number = 1", RunRecord.candidates),
        ],
    )
    def test_no_row_is_hidden_by_a_change_of_what_it_is_chosen_by(
        self, record: RunRecord, statement: str, read: Callable[[RunRecord], object]
    ) -> None:
        fill(record)
        record.add_evaluation(replace(STORED, score_key="cd" * 16, repeat=1))
        record.end_pending(GENOME, replace(CANDIDATE, generation=1))
        assert read(record)
        change(record, statement)
        with (
            pytest.raises(DamageError, match=r"makes no sense|candidates have no evaluation"),
            RunRecord(record.folder) as changed,
        ):
            read(changed)

    def test_a_row_that_is_no_text_is_refused_without_being_shown(self, record: RunRecord) -> None:
        fill(record)
        change(record, "UPDATE evaluations SET evaluation = CAST(X'ff' || evaluation AS TEXT)")
        with pytest.raises(
            DamageError, match=r"Could not decode to UTF-8 column 'evaluation'\. Th"
        ):
            read_all(record.folder)

    @pytest.mark.parametrize(
        "statement",
        ["ALTER TABLE candidates DROP COLUMN operator", "DROP TABLE winners"],
    )
    def test_a_record_without_one_of_its_tables_is_refused(
        self, record: RunRecord, statement: str
    ) -> None:
        fill(record)
        change(record, statement)
        with pytest.raises(DamageError, match=r"run\.sqlite: .* The file is damaged\. Restore it"):
            read_all(record.folder)

    def test_a_process_killed_within_a_transaction_leaves_the_record_without_it(
        self, record: RunRecord
    ) -> None:
        fill(record)
        expected = read_all(record.folder)
        record.close()
        # A cache of one page: the half-done transaction has reached the file when the kill comes.
        code = f"""if True:
            import os, signal
            from pathlib import Path
            from evonet.store.record import RunRecord
            database = RunRecord(Path({str(record.folder)!r}))._database
            database.execute("PRAGMA cache_size = 1")
            with database.transaction():
                database.execute("DELETE FROM evaluations")
                for i in range(300):
                    row = (str(i), "x" * 5000, 0)
                    database.execute("INSERT INTO facts VALUES (?, ?, ?)", row)
                os.kill(os.getpid(), signal.SIGKILL)
        """
        size = (record.folder / FILE).stat().st_size
        process = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ)
        assert process.returncode == -signal.SIGKILL
        assert (record.folder / f"{FILE}-journal").exists()
        assert (record.folder / FILE).stat().st_size > size + 1_000_000
        assert read_all(record.folder) == expected


class TestRunRecord:
    def test_everything_that_is_written_is_read_again(self, record: RunRecord) -> None:
        fill(record)
        assert read_all(record.folder) == [
            facts(stopped="by the test"),
            [STORED],
            STORED,
            1,
            [GENERATION],
            [FIRST, CANDIDATE],
            [],
            [],
            [WINNER],
        ]

    def test_whole_numbers_are_read_again_as_seconds(self, record: RunRecord) -> None:
        record.commit_generation(StoredGeneration(0, (), 0, 3, 0), [])
        record.commit_generation(StoredGeneration(1, (), 0, 3.5, -0.0), [])
        assert [(g.seconds, g.hypervolume) for g in record.generations()] == [(3, 0), (3.5, 0)]

    def test_an_empty_record_holds_nothing(self, record: RunRecord) -> None:
        assert read_all(record.folder) == [facts(), [], None, 0, [], [], [], [], []]

    def test_facts_are_written_together_or_not_at_all(self, record: RunRecord) -> None:
        with pytest.raises(TypeError, match="not JSON serializable"):
            record.set_facts(stopped="now", seconds=object())
        with pytest.raises(TypeError, match="secnds"):
            record.set_facts(stopped="now", secnds=3.5)
        assert record.facts.stopped is None
        record.set_facts(stopped="now", seconds=3.5)
        assert (record.facts.stopped, record.facts.seconds) == ("now", 3.5)

    def test_settings_of_another_evonet_are_no_damage(self, record: RunRecord) -> None:
        known = {**record.facts.config.to_dict(), "of_another": 1}
        change(
            record, f"UPDATE facts SET value = '{json.dumps(known)}' WHERE name = 'config'", True
        )
        with pytest.raises(RecordError, match=r"unknown setting 'of_another'.*Use the evonet that"):
            RunRecord(record.folder)

    @given(genomes(), st.floats(-1e150, 1e150), st.tuples(*[st.floats(allow_nan=False)] * 2))
    @examples(30)
    def test_an_evaluation_is_read_again_to_the_last_bit(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        genome: Genome,
        score: float,
        curve: tuple[float, float],
    ) -> None:
        record = RunRecord.new(tmp_path_factory.getbasetemp(), None, "evaluations", facts())
        try:
            stored = replace(
                STORED,
                genome=genome,
                evaluation=replace(
                    EVALUATION, genome_key=genome.key, score=score, train_loss=curve
                ),
            )
            record.add_evaluation(stored)
            assert record.evaluations() == [stored]
            assert record.evaluation(stored.score_key) == stored
        finally:
            record.close()

    def test_a_failed_evaluation_is_kept_like_any_other(self, record: RunRecord) -> None:
        failed = Evaluation(GENOME.key, 7, "diverged", "NaN: «é»", None, 0, (), (), 99, 0.0)
        record.add_evaluation(replace(STORED, evaluation=failed))
        assert record.evaluation(STORED.score_key) == replace(STORED, evaluation=failed)
        assert not failed.ok
        assert failed.epochs == 0

    def test_evaluations_come_in_the_order_in_which_they_were_written(
        self, record: RunRecord
    ) -> None:
        keys = ["c", "a", "b"]
        for key in keys:
            record.add_evaluation(replace(STORED, score_key=key))
        assert [stored.score_key for stored in record.evaluations()] == keys

    def test_only_trainings_count_as_trainings(self, record: RunRecord) -> None:
        record.add_evaluation(STORED)
        record.add_evaluation(replace(STORED, score_key="c", origin="cached"))
        assert record.count_trainings() == 1

    def test_a_score_is_written_once(self, record: RunRecord) -> None:
        record.add_evaluation(STORED)
        message = r"UNIQUE constraint failed: evaluations.score_key\. Another process is writing"
        with pytest.raises(RecordError, match=message):
            record.add_evaluation(STORED)
        assert record.evaluations() == [STORED]

    def test_a_generation_is_committed_with_all_its_candidates_or_not_at_all(
        self, record: RunRecord
    ) -> None:
        with pytest.raises(RecordError, match="UNIQUE constraint failed: candidates"):
            record.commit_generation(GENERATION, [CANDIDATE, CANDIDATE])
        assert record.generations() == []
        assert record.candidates() == []
        record.commit_generation(GENERATION, [FIRST, CANDIDATE])
        assert len(record.candidates()) == 2

    def test_generations_and_candidates_come_in_their_order(self, record: RunRecord) -> None:
        slots = [replace(FIRST, generation=g, slot=s) for g in (0, 1, 2) for s in range(12)]
        for number in (2, 0, 1):
            mine = [c for c in reversed(slots) if c.generation == number]
            record.commit_generation(replace(GENERATION, number=number), mine)
        assert [generation.number for generation in record.generations()] == [0, 1, 2]
        assert record.candidates() == slots

    def test_the_last_winner_comes_last(self, record: RunRecord) -> None:
        for i in range(12):
            record.add_winner(replace(WINNER, networks=str(i)))
        assert [stored.networks for stored in record.winners()] == [str(i) for i in range(12)]


class TestFolders:
    def test_two_runs_on_one_data_set_in_one_second_get_two_folders(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Stopped(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime(2026, 1, 2, 3, 4, 5, tzinfo=tz)

        monkeypatch.setattr(evonet.store.folders, "datetime", Stopped)
        records = [RunRecord.new(tmp_path / "results", None, "digits", facts()) for _ in range(3)]
        for record in records:
            record.close()
        stem = "digits-20260102-030405"
        assert [r.folder.name for r in records] == [stem, f"{stem}-2", f"{stem}-3"]
        assert run_folders(tmp_path / "results") == [record.folder for record in records]

    def test_a_name_that_is_taken_is_refused_and_the_old_run_stays(self, record: RunRecord) -> None:
        fill(record)
        results = record.folder.parent
        message = (
            r"run exists already\. Pass another --name, or go on with it: evonet resume .*run$"
        )
        with pytest.raises(RecordError, match=message):
            RunRecord.new(results, "run", "digits", facts())
        assert record.evaluations() == [STORED]

    def test_a_folder_whose_making_was_cut_short_is_no_run_and_is_taken_again(
        self, record: RunRecord, tmp_path: Path
    ) -> None:
        fill(record)
        (tmp_path / "again").mkdir()
        (tmp_path / "again" / f"{FILE}.new").write_bytes((record.folder / FILE).read_bytes())
        assert run_folders(tmp_path) == [record.folder]
        again = RunRecord.new(tmp_path, "again", "digits", facts())
        again.close()
        assert read_all(again.folder) == [facts(), [], None, 0, [], [], [], [], []]
        assert sorted(path.name for path in again.folder.iterdir()) == ["claim", FILE]

    def test_of_two_that_make_one_run_at_once_one_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both found a folder without a record; the other one made it first."""
        real = evonet.store.record.new_folder

        def slow(*arguments: Any) -> Path:
            folder = real(*arguments)
            with monkeypatch.context() as quick:
                quick.setattr(evonet.store.record, "new_folder", real)
                RunRecord.new(tmp_path, "run", "digits", facts(stopped="first")).close()
            return folder

        monkeypatch.setattr(evonet.store.record, "new_folder", slow)
        with pytest.raises(RecordError, match=r"run exists already\. Pass another --name"):
            RunRecord.new(tmp_path, "run", "digits", facts(stopped="second"))
        with RunRecord(tmp_path / "run") as kept:
            assert kept.facts.stopped == "first"

    def test_nor_is_one_made_while_another_process_makes_it(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        claim = Claim(tmp_path / "run", "nobody")
        with pytest.raises(RecordError, match="is being worked on by another process"):
            RunRecord.new(tmp_path, "run", "digits", facts())
        claim.give_up()

    def test_data_of_a_long_name_make_a_folder_of_a_shorter_one(self, tmp_path: Path) -> None:
        with RunRecord.new(tmp_path, None, "😀" * 200, facts()) as record:
            assert record.folder.name.startswith("😀" * 40 + "-2")
        with pytest.raises(RecordError, match=r"File name too long\. Pass another --name, or"):
            RunRecord.new(tmp_path, "x" * 300, "digits", facts())

    @pytest.mark.parametrize("name", ["x" * 10_000, "closed/run"])
    def test_a_place_that_cannot_be_looked_at_holds_no_run(self, tmp_path: Path, name: str) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0)
        try:
            with pytest.raises(RecordError, match="No run at"):
                RunRecord(tmp_path / name)
            assert run_folders(tmp_path / name) == []
        finally:
            closed.chmod(0o700)

    @pytest.mark.parametrize("name", [None, "run"])
    def test_runs_cannot_be_made_in_a_file(self, tmp_path: Path, name: str | None) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RecordError, match=r"Cannot make a run in .*file: File exists\."):
            RunRecord.new(tmp_path / "file", name, "digits", facts())
        with pytest.raises(RecordError, match=r"Cannot make a run in .*sub: Not a directory\."):
            RunRecord.new(tmp_path / "file" / "sub", name, "digits", facts())

    def test_a_folder_without_a_record_is_no_run(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "none"):
            with pytest.raises(
                RecordError, match=r"^No run at .*: expected a folder with a run\.sq"
            ):
                RunRecord(folder)

    def test_a_name_that_is_nearly_right_is_suggested(self, record: RunRecord) -> None:
        name = record.folder.name
        with pytest.raises(RecordError, match=f"Did you mean '{name}'"):
            RunRecord(record.folder.parent / f"{name}x")

    def test_list_of_runs_leaves_out_what_is_none(self, record: RunRecord) -> None:
        results = record.folder.parent
        (results / "figures").mkdir()
        (results / "notes.txt").touch()
        assert run_folders(results) == [record.folder]
        assert run_folders(results / "none") == []


class TestClaim:
    def test_one_process_at_a_time_goes_on_with_a_run(self, record: RunRecord) -> None:
        """The second is told of the first, and takes its place once that was killed."""
        code = f"""if True:
            import time
            from pathlib import Path
            from evonet.store.record import RunRecord
            record = RunRecord(Path({str(record.folder)!r}))
            record.claim()
            print("claimed", flush=True)
            time.sleep(60)
        """
        first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"claimed\n"
            with pytest.raises(RecordError, match=rf"is being worked on by process {first.pid} on"):
                record.claim()
            read_all(record.folder)  # looking at it is nobody's claim
            assert record.claimed_by is not None
            assert f"process {first.pid} on" in record.claimed_by
        finally:
            first.kill()
            first.communicate()
        assert record.claimed_by is None
        record.claim()
        assert f"process {os.getpid()} on" in (record.facts.claimed_by or "")

    def test_a_file_that_is_no_lock_is_said_and_looked_past(self, record: RunRecord) -> None:
        (record.folder / "claim").write_bytes(b"garbage" * 1000)
        assert record.claimed_by is None
        with pytest.raises(RecordError, match=r"not a database\. .* delete it: it holds nothing"):
            record.claim()

    def test_a_run_that_is_closed_is_left_to_others(self, record: RunRecord) -> None:
        with RunRecord(record.folder) as first:
            first.claim()
            with pytest.raises(RecordError, match="is being worked on"):
                record.claim()
        record.claim()

    @pytest.mark.parametrize("said", ["locking protocol", "disk I/O error", "database is locked"])
    def test_a_file_system_without_locks_is_said(
        self, record: RunRecord, monkeypatch: pytest.MonkeyPatch, said: str
    ) -> None:
        """The last two are what SQLite makes of EOPNOTSUPP and ENOLCK."""

        class Lockless(sqlite3.Connection):
            def execute(self, *_: object) -> sqlite3.Cursor:
                raise sqlite3.OperationalError(said)

        connect = partial(sqlite3.connect, factory=Lockless)
        monkeypatch.setattr(sqlite3, "connect", connect)
        with pytest.raises(RecordError, match=r"has locks: .*\. Use another --results"):
            record.claim()
        with pytest.raises(RecordError, match=r"no locks, as some network drives: go on with a"):
            RunRecord(record.folder)
        assert not list(record.folder.glob("claim-*"))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are written as soon as they are kept."""
    monkeypatch.setattr(evonet.store.cache, "_SECONDS", -1)


class TestScoreCache:
    def test_scores_of_a_second_are_written_together(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(evonet.store.cache.time, "monotonic", lambda: now[0])
        with closing(ScoreCache(tmp_path)) as cache, closing(ScoreCache(tmp_path)) as other:
            for key, seconds, is_written in (
                ("ab", 0.5, False),
                ("cd", 0.9, False),
                ("ef", 1.1, True),
            ):
                now[0] = seconds
                cache.put(key, EVALUATION)
                assert cache.get(key) == EVALUATION
                assert [other.get(k) == EVALUATION for k in ("ab", key)] == [is_written] * 2

    def test_a_file_that_is_deleted_under_way_is_made_again(
        self, tmp_path: Path, at_once: None
    ) -> None:
        said: list[str] = []
        with closing(ScoreCache(tmp_path, said.append)) as cache:
            cache.put("ab", EVALUATION)
            (tmp_path / "scores.sqlite").unlink()
            cache.put("cd", EVALUATION)
            assert cache.get("cd") == EVALUATION
        with closing(ScoreCache(tmp_path)) as again:
            assert again.get("cd") == EVALUATION
        assert said == []

    def test_a_file_that_is_damaged_under_way_is_done_without(
        self, tmp_path: Path, at_once: None
    ) -> None:
        said: list[str] = []
        with closing(ScoreCache(tmp_path, said.append)) as cache:
            cache.put("ab", EVALUATION)
            (tmp_path / "scores.sqlite").write_bytes(b"no database" * 1000)
            for _ in range(2):
                cache.put("cd", EVALUATION)
                assert cache.get("ab") is None
        assert len(said) == 1
        assert said[0].startswith("The run goes on without the score cache, and trains what other ")
        assert "The file is damaged." in said[0]

    def test_a_score_is_kept_for_the_next_run(self, tmp_path: Path, at_once: None) -> None:
        first, second = ScoreCache(tmp_path), ScoreCache(tmp_path)
        try:
            assert second.get("ab") is None
            first.put("ab", EVALUATION)
            assert second.get("ab") == EVALUATION
            assert second.get("cd") is None
        finally:
            first.close()
            second.close()
        third = ScoreCache(tmp_path)
        assert third.get("ab") == EVALUATION
        third.close()

    def test_a_score_that_is_put_again_takes_the_place_of_the_old_one(self, tmp_path: Path) -> None:
        cache = ScoreCache(tmp_path)
        cache.put("ab", EVALUATION)
        cache.put("ab", replace(EVALUATION, score=0.5))
        assert cache.get("ab") == replace(EVALUATION, score=0.5)
        cache.close()

    @pytest.mark.parametrize(
        ("is_folder", "why"),
        [(False, "scores.sqlite is not a score cache of evonet."), (True, "unable to open")],
    )
    def test_what_is_no_score_cache_is_done_without(
        self, record: RunRecord, tmp_path: Path, is_folder: bool, why: str
    ) -> None:
        file, said = tmp_path / "scores.sqlite", list[str]()
        if is_folder:
            file.mkdir()
        else:
            file.write_bytes((record.folder / FILE).read_bytes())
        with closing(ScoreCache(tmp_path, said.append)) as cache:
            cache.put("ab", EVALUATION)
            assert cache.get("ab") == EVALUATION
        (line,) = said
        assert line.startswith("The run goes on without the score cache, and trains what other ")
        assert why in line
        assert line.endswith(f"Delete {file} to have a new one: nothing but time is lost.")


class TestKeys:
    def test_score_key_depends_on_genome_protocol_and_seed_alone(self) -> None:
        request = Request(GENOME, seed=7)
        other = replace(GENOME, batch_size=64)
        keys = [
            score_key(request, "p"),
            score_key(Request(other, seed=7), "p"),
            score_key(Request(GENOME, seed=8), "p"),
            score_key(request, "q"),
        ]
        assert len(set(keys)) == 4
        assert score_key(Request(Genome.from_dict(GENOME.to_dict()), seed=7), "p") == keys[0]

    def test_protocol_key_depends_on_every_part_and_not_on_their_order(self) -> None:
        key = protocol_key(data="a", budget=[20, 5])
        assert key == protocol_key(budget=[20, 5], data="a")
        others = [protocol_key(data="b", budget=[20, 5]), protocol_key(data="a", budget=[5, 20])]
        assert len({key, *others, protocol_key(data="a")}) == 4

    def test_keys_are_those_of_old_caches(self) -> None:
        # Written down once: other keys would mean that every score is trained again.
        assert protocol_key(data="a", epochs=3) == "16f4628f315c6d98920d719ea3fb9160"
        assert score_key(Request(GENOME, seed=7), "p") == "6fa9aed4c67952d8b440dc103b388880"

    def test_a_budget_is_compared_by_value(self) -> None:
        assert Budget(20, 5) == Budget(20, 5)
        assert Budget(20, 5) != Budget(5, 20)
