"""Part faults: what lies below a run fails it; then it is mended, and the run goes on.

Disks that are full or read-only are real ones: file systems in memory, which only the session sees
(`unshare`, of Linux). Where that is not allowed, their rows are left out.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.history import history
from bench.sessions import exists, is_whole, place_of, recorded, start
from bench.table import Cell, Table
from evonet.errors import EvonetError

#: A search of some thirty trainings, with finalists and a winner.
_RUN = (
    *("evolve", "--data", "iris", "--generations", "4", "--population-size", "8"),
    *("--offspring", "6", "--epochs", "20", "--final-epochs", "5", "--workers", "2", "--quiet"),
)
#: Trainings in the record when a fault comes under way.
_TRAININGS = 10
#: Seconds for which another process locks the record: longer than the run waits for it.
_LOCKED_SECONDS = 45


@dataclass(frozen=True)
class Session:
    """One that a fault befell.

    Attributes:
        exit_code: of its process.
        said: what it wrote to the terminal's errors.
    """

    exit_code: int
    said: str


# Faults: each is given the place of a run that does not exist yet, and leaves it mended.


def full_disk(run: Path) -> Session:
    """The disk is full after half of what the run writes."""
    return _on_own_disk(run, "mount -t tmpfs -o size=180k tmpfs", _new(run))


def read_only_folder(run: Path) -> Session:
    """A new run in a folder that cannot be written."""
    return _on_own_disk(run, "mount -t tmpfs -o ro tmpfs", _new(run))


def read_only_run(run: Path) -> Session:
    """A run that was killed is to go on in a folder that cannot be written."""
    _killed(run)
    mount = f"mount --bind {run.parent} {run.parent} && mount -o remount,bind,ro"
    return _on_own_disk(run, mount, _old(run))


def locked_record(run: Path) -> Session:
    """Another process locks the record, and keeps it."""
    process = _under_way(run)
    with closing(sqlite3.connect(run / "run.sqlite", timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(_LOCKED_SECONDS)
    return _ended(process)


def second_process(run: Path) -> Session:
    """Two processes go on with one run."""
    first = _under_way(run)
    second = _ended(start(_old(run)))
    if (ended := _ended(first)).exit_code:
        raise RuntimeError(f"the first process was disturbed: {ended.said}")
    return second


def clock_going_backwards(run: Path) -> Session:
    """Each time that a process asks for the time of day, it is an hour earlier."""
    return _ended(start(_new(run), "bench.faulty_evonet", {"EVONET_FAULT": "clock"}))


def no_locks(run: Path) -> Session:
    """The file system has no locks."""
    return _ended(start(_new(run), "bench.faulty_evonet", {"EVONET_FAULT": "locks"}))


def truncated_record(run: Path) -> Session:
    """Half of the record is lost; mended by a copy."""
    _killed(run)
    copy = shutil.copytree(run, run.with_name("copy"))
    record = run / "run.sqlite"
    record.write_bytes(record.read_bytes()[: record.stat().st_size // 2])
    session = _ended(start(_old(run)))
    shutil.rmtree(run)
    copy.rename(run)
    return session


def deleted_cache(run: Path) -> Session:
    """The score cache is deleted under way."""
    process = _under_way(run)
    (run.parent / "scores.sqlite").unlink()
    return _ended(process)


def damaged_cache(run: Path) -> Session:
    """The score cache is overwritten under way."""
    process = _under_way(run)
    (run.parent / "scores.sqlite").write_bytes(b"no database" * 1000)
    return _ended(process)


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        name: of the row.
        befall: lets it happen.
        exit_code: that its session should have.
        says: what that has to say, among other things.
        own_disk: whether it needs a file system of its own.
    """

    name: str
    befall: Callable[[Path], Session]
    exit_code: int
    says: str
    own_disk: bool = False


FAULTS = (
    Fault("the disk is full", full_disk, 1, "free some space", own_disk=True),
    Fault("a new run, the folder is read-only", read_only_folder, 1, "Read-only", own_disk=True),
    Fault("an old run, its folder is read-only", read_only_run, 1, "can be written", own_disk=True),
    Fault("the record is locked by another process", locked_record, 1, "is locked. Another"),
    Fault("a second process goes on with the run", second_process, 1, "worked on by process"),
    Fault("the file system has no locks", no_locks, 1, "some network drives have none"),
    Fault("the record is cut in half", truncated_record, 1, "is damaged"),
    Fault("the clock goes backwards", clock_going_backwards, 0, ""),
    Fault("the score cache is deleted", deleted_cache, 0, ""),
    Fault("the score cache is overwritten", damaged_cache, 0, "score cache"),
)


def faults(n_flips: int, which: Sequence[Fault] = FAULTS) -> Table:
    """Let everything fail once, and flip single bits of a record.

    Args:
        n_flips: so many, each in a record of its own.
        which: what fails.
    """
    rows: list[tuple[Cell, ...]] = []
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole" / "run"
        if (session := _ended(start(_new(whole)))).exit_code:
            raise RuntimeError(f"the run without a fault failed: {session.said}")
        for number, fault in enumerate(which):
            if fault.own_disk and not _has_own_disks():
                notes.append(f"{fault.name}: left out, file systems of one's own are not allowed")
                continue
            run = Path(folder) / str(number) / "run"
            session = fault.befall(run)
            rows.append((fault.name, *_outcome(session, fault, run, whole)))
            notes.append(f"{fault.name}: {session.said or 'nothing was said'}")
        notes.append(_flips(whole, n_flips))
    columns = ("fault", "ended as it should", "lines said", "record is whole", "history then")
    return Table("faults from below", columns, tuple(rows), tuple(notes))


def _outcome(session: Session, fault: Fault, run: Path, whole: Path) -> tuple[Cell, ...]:
    """What became of a session, and of its run once it went on."""
    is_kept = is_whole(run)
    again = _ended(start(_old(run) if exists(run) else _new(run)))
    same = again.exit_code == 0 and history(run) == history(whole)
    n_lines = len(session.said.splitlines())
    # One line says why it ended; before it another may, that the score cache failed as well.
    is_brief = fault.exit_code == 0 or n_lines in (1, 2)
    has_said = fault.says in session.said and is_brief
    return (
        "yes" if has_said and session.exit_code == fault.exit_code else f"no, {session.exit_code}",
        n_lines,
        "yes" if is_kept else "no",
        "the same" if same else f"differs {again.said}",
    )


def _flips(whole: Path, n: int) -> str:
    """What is read from a record of which one bit was flipped."""
    expected, seen = history(whole), Counter[str]()
    content, rng = (whole / "run.sqlite").read_bytes(), random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n):
            damaged = bytearray(content)
            damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            (Path(folder) / "run.sqlite").write_bytes(damaged)
            try:
                seen["same" if history(Path(folder)) == expected else "other"] += 1
            except EvonetError:
                seen["refused"] += 1
    return (
        f"one bit of a record flipped: of {n}, {seen['refused']} were refused, {seen['same']} read "
        f"as if nothing had happened, {seen['other']} read with another value."
    )


def _new(run: Path) -> tuple[str, ...]:
    return (*_RUN, *place_of(run))


def _old(run: Path) -> tuple[str, ...]:
    return "resume", str(run), "--quiet"


def _ended(process: subprocess.Popen[str]) -> Session:
    _, said = process.communicate()
    return Session(process.returncode, said.strip())


def _under_way(run: Path) -> subprocess.Popen[str]:
    """A new run, some trainings after its start."""
    process = start(_new(run))
    while len(recorded(run)) < _TRAININGS:
        if process.poll() is not None:
            raise RuntimeError(f"the run was over too early: {process.communicate()[1]}")
        time.sleep(0.02)
    return process


def _killed(run: Path) -> None:
    process = _under_way(run)
    process.kill()
    process.communicate()


def _on_own_disk(run: Path, mount: str, arguments: Sequence[str]) -> Session:
    """A session that sees another disk in its results folder; what is on it is kept."""
    run.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as kept:
        script = f'{mount} "$0" && shift && "$@"; code=$?; cp -r "$0"/. "{kept}"; exit $code'
        unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
        session = _ended(start(arguments, within=(*unshare, str(run.parent), "--")))
        shutil.copytree(kept, run.parent, dirs_exist_ok=True)
    return session


def _has_own_disks() -> bool:
    if shutil.which("unshare") is None:
        return False
    mount = "mount -t tmpfs tmpfs /tmp"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
