"""Part kills: real searches, killed in many ways at random moments, against one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from bench.history import history
from bench.sessions import exists, is_whole, place_of, recorded, start
from bench.table import Table

#: A search of some sixty trainings, with finalists and a winner.
_RUN = (
    *("--data", "digits", "--generations", "4", "--population-size", "8", "--offspring", "6"),
    *("--epochs", "20", "--final-epochs", "5", "--quiet"),
)
#: One run in four has no barrier, and one worker: with more, who is done first is chance, and with
#: it the history, of which only the order that was written down is to be the same.
_SEARCHES = (
    ("--workers", "2"),
    ("--workers", "1", "--async"),
    ("--workers", "2"),
    ("--workers", "2"),
)
#: Where the kernel's groups of processes with a limit on memory are made, by root alone.
_GROUPS = Path("/sys/fs/cgroup/memory")
#: Most seconds from the start of a session to its kill; starting takes two or three.
_LONGEST = 12.0
#: Kills of one run, after which it is left alone to end.
_KILLS_OF_A_RUN = 20
#: Exit codes that a kill explains: 130 is a run that was told to stop, and can be resumed.
_ENDS = (130, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)


#: What is done to a run: False where there was nobody to do it to.
Way = Callable[[subprocess.Popen[str], random.Random], bool]


@dataclass
class Outcome:
    """What kills did to some runs.

    Attributes:
        kills: by the way it was done, those that hit a run which was not over.
        attempts: to kill, those included that hit nothing.
        runs: that were killed and resumed until they ended.
        differ: of them, those whose history is not that of the run that was not killed.
        damaged: records that SQLite found damaged after a kill.
        trainings: that were begun, as often as they were, in all sessions.
        lost: begun without getting into the record by that, and so trained again.
        finished: of these, how many had come to their end.
        repeated: begun again though the record had them.
        failures: sessions that ended with another exit code than the kill explains.
    """

    kills: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    runs: int = 0
    differ: int = 0
    damaged: int = 0
    trainings: int = 0
    lost: int = 0
    finished: int = 0
    repeated: int = 0
    failures: list[str] = field(default_factory=list)


def _workers(process: subprocess.Popen[str]) -> list[int]:
    """Worker processes of a run: of its session, and not the first of it."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            is_worker = b"LokyProcess" in (folder / "cmdline").read_bytes()
            if is_worker and pid != process.pid and os.getsid(pid) == process.pid:
                found.append(pid)
    return found


def _to_worker(number: signal.Signals) -> Way:
    def send(process: subprocess.Popen[str], rng: random.Random) -> bool:
        workers = _workers(process)
        if workers:
            os.kill(rng.choice(workers), number)
        return bool(workers)

    return send


def _to_all(number: signal.Signals) -> Way:
    def send(process: subprocess.Popen[str], _: random.Random) -> bool:
        os.killpg(process.pid, number)
        return True

    return send


def _to_run(number: signal.Signals) -> Way:
    def send(process: subprocess.Popen[str], _: random.Random) -> bool:
        process.send_signal(number)
        return True

    return send


def _interrupt_twice(process: subprocess.Popen[str], rng: random.Random) -> bool:
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(rng.uniform(0, 0.5))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    return True


def _without_memory(process: subprocess.Popen[str], rng: random.Random) -> bool:
    """Let the kernel kill a worker for want of memory: where it asks for more, there is none."""
    workers = _workers(process)
    if not workers:
        return False
    worker = rng.choice(workers)
    group = _GROUPS / f"evonet-{worker}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("4096")
        (group / "cgroup.procs").write_text(str(worker))
        end = time.monotonic() + _LONGEST
        while _lives(worker) and time.monotonic() < end:
            time.sleep(0.05)
        return "oom_kill 1" in (group / "memory.oom_control").read_text()
    except OSError:  # it is just gone
        return False
    finally:
        with suppress(OSError):
            (_GROUPS / "cgroup.procs").write_text(str(worker))
        with suppress(OSError):
            group.rmdir()


def _lives(pid: int) -> bool:
    """Whether a process is there, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


#: SIGTERM to all is what schedulers of jobs send.
WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "SIGKILL to the run": _to_run(signal.SIGKILL),
        "SIGKILL to a worker": _to_worker(signal.SIGKILL),
        "SIGKILL to all": _to_all(signal.SIGKILL),
        "SIGTERM to the run": _to_run(signal.SIGTERM),
        "SIGTERM to a worker": _to_worker(signal.SIGTERM),
        "SIGTERM to all": _to_all(signal.SIGTERM),
        "out of memory, a worker": _without_memory,
        "Ctrl-C": _to_run(signal.SIGINT),
        "Ctrl-C twice": _interrupt_twice,
    }
)


def kills(most: int) -> Table:
    """Kill and resume runs until there were so many kills."""
    outcome, seed = Outcome(), 0
    with tempfile.TemporaryDirectory() as folder:
        while sum(outcome.kills.values()) < most:
            _one_run(Path(folder), seed, most, outcome)
            seed += 1
    ways = ", ".join(f"{n} {way}" for way, n in sorted(outcome.kills.items()))
    rows = (
        ("kills survived", sum(outcome.kills.values())),
        ("runs killed and resumed to their end", outcome.runs),
        ("of these, histories that differ from the run that was not killed", outcome.differ),
        ("records damaged", outcome.damaged),
        ("trainings begun", outcome.trainings),
        ("lost: under way at a kill, trained again", outcome.lost),
        ("of these, finished but not yet written down", outcome.finished),
        ("repeated although the record had them", outcome.repeated),
        ("sessions that ended in another way than expected", len(outcome.failures)),
    )
    return Table("kills", ("figure", "count"), rows, (ways, *outcome.failures[:5]))


def _one_run(folder: Path, seed: int, most: int, outcome: Outcome) -> None:
    rng = random.Random(seed)
    whole, killed = folder / f"whole {seed}" / "run", folder / f"killed {seed}" / "run"
    settings = (*_RUN, *_SEARCHES[seed % len(_SEARCHES)], "--seed", str(seed))
    process = _start(folder / f"whole {seed}.log", "evolve", *settings, *place_of(whole))
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run that is not killed failed: {errors[-500:]}")
    log = folder / f"killed {seed}.log"
    left = min(_KILLS_OF_A_RUN, max(2, most // len(_SEARCHES)))  # few kills: each search some
    while True:
        left = min(left, most - sum(outcome.kills.values()))
        command: tuple[str, ...] = ("resume", str(killed), "--quiet")
        if not exists(killed):
            command = ("evolve", *settings, *place_of(killed))
        before = sum(outcome.kills.values())
        if _session(log, killed, command, rng, left, outcome):
            break
        left -= sum(outcome.kills.values()) - before
    outcome.runs += 1
    outcome.differ += history(killed) != history(whole)


def _session(
    log: Path,
    run: Path,
    command: tuple[str, ...],
    rng: random.Random,
    most: int,
    outcome: Outcome,
) -> bool:
    """One session of a run, with at most so many kills; whether the run is over then.

    A session goes on after the kill of a worker, and is killed again.
    """
    before, n_logged = recorded(run), len(_lines(log))
    process, way, n = _start(log, *command), "no kill", 0
    while n < most:
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.5, _LONGEST))
        if process.poll() is not None:
            break
        ways = [way for way in WAYS if WAYS[way] != _without_memory or os.access(_GROUPS, os.W_OK)]
        tried = ways[outcome.attempts % len(ways)]
        outcome.attempts += 1
        if WAYS[tried](process, rng):
            way, n = tried, n + 1
            outcome.kills[way] += 1
            if not way.endswith("a worker"):
                break
    _, errors = process.communicate()
    _account(outcome, _lines(log)[n_logged:], before, recorded(run))
    outcome.damaged += not is_whole(run)
    if process.returncode == 0:
        return True
    is_explained = way != "no kill" and not way.endswith("a worker")
    if not is_explained or process.returncode not in _ENDS:
        outcome.failures.append(f"{way}: exit code {process.returncode}: {errors[-300:]}")
    return not is_explained


def _start(log: Path, *arguments: str) -> subprocess.Popen[str]:
    return start(arguments, "bench.logged_evonet", {"EVONET_TRAINING_LOG": str(log)})


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def _account(outcome: Outcome, lines: list[str], before: set[str], after: set[str]) -> None:
    begun = Counter(line.partition(" ")[2] for line in lines if line.startswith("begin "))
    ended = Counter(line.partition(" ")[2] for line in lines if line.startswith("end "))
    kept = Counter(after)  # once each
    outcome.trainings += begun.total()
    outcome.lost += (begun - kept).total()
    outcome.finished += (ended - kept).total()
    known = set(before)
    for line in lines:
        what, _, training = line.partition(" ")
        outcome.repeated += what == "begin" and training in known
        if what == "keep":
            known.add(training)
