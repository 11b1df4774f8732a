"""The short forms of what ``bench_resilience.py`` and ``bench_scale.py`` check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.faults import FAULTS, Fault, clock_going_backwards, faults
from bench.kills import Outcome, _account, kills
from bench.long_run import long_run
from bench.older_processors import older_processors, playable
from bench.scale import scale
from bench.simulated import Park
from bench.table import Table

from evonet.evaluation import Request
from evonet.genome import Genome, Layer

NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")


def columns(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@NEEDS_PROC
def test_a_run_holds_as_many_files_at_its_end_as_at_its_start() -> None:
    for search in ("by generations", "without barrier"):
        rows = [row for row in columns(long_run(10)) if row["search"] == search]
        assert [row["candidates"] for row in rows] == [40, 80, 160, 240, 320, 400]
        assert len({row["open files"] for row in rows}) == 1
        assert all(1_000 < row["record bytes a candidate"] < 5_000 for row in rows[1:])
        first, last = rows[1], rows[-1]  # some kilobytes each, and what loading the forest takes
        grown = (last["resident MiB"] - first["resident MiB"]) * 2**20
        assert grown / (last["candidates"] - first["candidates"]) < 50_000


@NEEDS_PROC
def test_what_is_killed_goes_on_and_loses_nothing() -> None:
    table = kills(2)
    found = {row["figure"]: row["count"] for row in columns(table)}
    assert found["kills survived"] == 2, table
    assert found["trainings begun"] > 60
    assert not any(found[name] for name in found if "differ" in name or "damaged" in name), table
    assert not any(found[name] for name in found if "repeated" in name or "ended" in name), table


def test_a_kill_loses_what_was_begun_and_is_not_in_the_record() -> None:
    said = ["begin a", "end a", "begin b", "begin b", "end b", "begin c", "end c", "begin d"]
    outcome = Outcome()
    _account(outcome, said, before={"d"}, after={"a", "b", "d"})
    # b was begun twice, as after the death of a worker; c was never written down.
    assert (outcome.trainings, outcome.lost, outcome.finished) == (5, 2, 1)
    assert outcome.repeated == 1  # d


def test_what_begins_again_once_the_record_has_it_is_repeated() -> None:
    said = ["begin a", "end a", "begin b", "keep a", "begin a", "end b", "keep b"]
    outcome = Outcome()
    _account(outcome, said, before=set(), after={"a", "b"})
    assert (outcome.trainings, outcome.repeated) == (3, 1)


def test_without_a_barrier_workers_idle_less() -> None:
    """One training in ten takes a hundred times as long: a generation waits for it."""
    table = scale([1.0] * 9 + [100.0], (10,), 200, "test", 1)
    idle = {row["search"]: row["idle"] for row in columns(table)}
    assert idle["without barrier"] < 0.4 < 0.6 < idle["by generations"]


def test_simulated_workers_take_the_time_that_trainings_take() -> None:
    """Two workers, trainings of 3 s: four of them take 6 s, and what the coordinator thinks."""
    park = Park(2, np.asarray([3.0]))
    requests = [
        Request(Genome((Layer(8 + i, "relu"),), "matched_normal", "sgd", 0.1, 32), 0)
        for i in range(4)
    ]
    for request in requests:
        while not park.n_free:
            park.wait()
        park.submit([request])
    while park.n_busy:
        park.wait()
    assert (park.trained, park.busy_seconds) == (4, 12.0)
    assert 6.0 <= park.now < 7.0


@pytest.mark.slow
@pytest.mark.skipif(len(playable()) < 2, reason="this processor can play no other")
def test_on_older_processors_sums_differ_in_their_last_digits() -> None:
    rows = columns(older_processors(0))
    assert len(rows) == 2 * len(playable())
    for row in rows:
        assert row["trainings of both"] > 10, row
        assert row["first loss differs by"] < 1e-5, row
    # Vectors of another length add in another order, or this would play nothing.
    assert any(row["equal to the last bit"] < row["trainings of both"] for row in rows)


@NEEDS_PROC
@pytest.mark.parametrize(
    "which",
    [
        [fault for fault in FAULTS if fault.befall is clock_going_backwards],
        pytest.param(FAULTS, marks=pytest.mark.slow),
    ],
    ids=["one", "all"],
)
def test_whatever_fails_below_it_a_run_says_so_and_goes_on(which: Sequence[Fault]) -> None:
    table = faults(20, which)
    left_out = sum("left out" in note for note in table.notes)
    assert len(table.rows) + left_out == len(which)
    for row in columns(table):
        assert row["ended as it should"] == row["record is whole"] == "yes", row
        assert row["history then"] == "the same", row
    assert table.notes[-1].endswith(" 0 read with another value.")
    if left_out:
        pytest.skip(f"{left_out} faults need file systems of their own, which are not allowed")
