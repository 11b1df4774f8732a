"""Real runs, killed with SIGKILL at random moments and resumed, against a run that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.history import history
from bench.sessions import recorded

from evonet.champion.baselines import DEFAULT_MLP
from evonet.store.record import RunRecord

SCRIPT = Path(__file__).with_name("logged_evonet.py")
SETTINGS = (
    *("--data", "iris", "--generations", "2", "--population-size", "4", "--offspring", "3"),
    *("--epochs", "2", "--final-epochs", "2", "--seed", "3", "--fix", "units=8"),
    *("--fix", "batch_size=16", "--quiet"),  # one batch size is one program to compile
)
#: The engines whose trainings run in the process that is killed, so that they can be logged.
KERAS, FUSED = ("--engine", "keras"), ("--engine", "fused", "--workers", "1")
ENGINES = [pytest.param(KERAS, id="keras"), pytest.param(FUSED, id="fused")]
#: The same; every run of the reference starts TensorFlow, which takes minutes here.
BOTH = [pytest.param(KERAS, id="keras", marks=pytest.mark.slow), pytest.param(FUSED, id="fused")]
ASYNC = pytest.param((*FUSED, "--async"), id="async", marks=pytest.mark.slow)


def start(*arguments: str, log: Path, start_new_session: bool = False) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "EVONET_TEST_LOG": str(log)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
        # Whatever runs these tests, as a shell does in the background, may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def kill_and_resume_until_done(
    folder: Path, log: Path, engine: tuple[str, ...], rng: random.Random, n_kills: int
) -> int:
    """Run, kill at random moments, resume; how many kills hit a run that was still going."""
    survived = 0
    for session in range(n_kills + 1):
        command = ("resume", str(folder), "--quiet")
        if not (folder / "run.sqlite").is_file():  # killed before there was anything to lose
            place = ("--results", str(folder.parent), "--name", folder.name)
            command = ("evolve", *SETTINGS, *engine, *place)
        before, n_logged = recorded(folder), len(_lines(log))
        process = start(*command, log=log)
        if session < n_kills:
            wanted = len(before) + rng.randint(0, 3)
            while process.poll() is None and len(recorded(folder)) < wanted:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 1.0))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                survived += 1
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        assert "resource_tracker" not in errors  # which is no concern of who killed it
        # What the record held when this session began was not trained again in it.
        assert not before & set(_lines(log)[n_logged:])
    return survived


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def check_killed_runs_equal_a_whole_run(
    tmp_path: Path, engine: tuple[str, ...], seed: int, n_kills: int
) -> None:
    place = ("--results", str(tmp_path / "a"), "--name", "run")
    whole = start("evolve", *SETTINGS, *engine, *place, log=tmp_path / "log")
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    killed, log = tmp_path / "b" / "run", tmp_path / "log b"
    killed.parent.mkdir()
    survived = kill_and_resume_until_done(killed, log, engine, random.Random(seed), n_kills)
    assert survived > 0
    assert history(killed) == history(tmp_path / "a" / "run")


@pytest.mark.parametrize("engine", [*BOTH, ASYNC])
def test_run_killed_at_random_moments_and_resumed_equals_one_that_was_not(
    tmp_path: Path, engine: tuple[str, ...]
) -> None:
    check_killed_runs_equal_a_whole_run(tmp_path, engine, seed=0, n_kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(1, 5))
def test_run_killed_ten_times_equals_one_that_was_not(
    tmp_path: Path, engine: tuple[str, ...], seed: int
) -> None:
    check_killed_runs_equal_a_whole_run(tmp_path, engine, seed, n_kills=10)


@pytest.mark.slow
def test_run_with_worker_processes_killed_and_resumed_equals_one_that_was_not(
    tmp_path: Path,
) -> None:
    """Workers log nothing, so that only the histories are compared."""
    engine = ("--engine", "fused", "--workers", "2")
    check_killed_runs_equal_a_whole_run(tmp_path, engine, seed=5, n_kills=3)


@pytest.mark.slow
def test_killed_run_without_a_barrier_keeps_what_it_was_told_in_its_order(tmp_path: Path) -> None:
    """With two workers the machine says which training ends first: no two runs are alike."""
    folder, log, told = tmp_path / "run", tmp_path / "log", []
    engine = ("--engine", "fused", "--workers", "2", "--async")
    for seed in range(4):
        if seed < 3:
            kill_once(folder, log, engine, random.Random(seed))
        else:
            process = start("resume", str(folder), "--quiet", log=log)
            _, errors = process.communicate()
            assert process.returncode == 0, errors
        with RunRecord(folder) as record:
            now = [c.genome_key for c in [*record.candidates(), *record.unfinished_candidates()]]
            kept = {stored.genome.key for stored in record.evaluations()}
        assert now[: len(told)] == told
        assert len(set(now)) == len(now)
        assert set(now) <= kept
        told = now
    assert len(told) >= 4 + 3 * 2


def kill_once(folder: Path, log: Path, engine: tuple[str, ...], rng: random.Random) -> None:
    command = ("resume", str(folder), "--quiet")
    if not (folder / "run.sqlite").is_file():
        command = ("evolve", *SETTINGS, *engine, "--results", str(folder.parent), "--name", "run")
    before = len(recorded(folder))
    process = start(*command, log=log)
    while process.poll() is None and len(recorded(folder)) < before + 3:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.3))
    process.kill()
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    assert "resource_tracker" not in errors


@pytest.mark.parametrize("engine", BOTH)
def test_ctrl_c_stops_after_the_running_network_and_keeps_everything(
    tmp_path: Path, engine: tuple[str, ...]
) -> None:
    folder = tmp_path / "run"
    arguments = ("evolve", *SETTINGS[:-1], *engine, "--results", str(tmp_path), "--name", "run")
    # Longer than it takes to be heard: final fits, which come after the search, are made anew.
    process = start(*arguments, "--generations", "500", log=tmp_path / "log")
    while not recorded(folder) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Stopping after the running network" in output
    assert f"evonet resume {folder}" in output
    assert "Traceback" not in errors
    # Everything that was started is finished and written down; the rest is the baseline network
    # (where this process fits it: workers log nothing), and what the loops are compiled with, whose
    # seed is 0.
    unfinished = set(_lines(tmp_path / "log")) - recorded(folder)
    others = [line.split()[0] for line in unfinished if not line.endswith(" 0")]
    assert set(others) <= {DEFAULT_MLP.key}


def somebody_is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("n_interrupts", [1, 2])
def test_ctrl_c_ends_a_run_with_its_workers(tmp_path: Path, n_interrupts: int) -> None:
    """As in a terminal, where every process of the run gets it."""
    settings = (*SETTINGS, "--workers", "2", "--epochs", "4000", "--fidelity", "off")
    place = ("--results", str(tmp_path), "--name", "run")
    process = start("evolve", *settings, *place, log=tmp_path / "log", start_new_session=True)
    while not recorded(tmp_path / "run") and process.poll() is None:
        time.sleep(0.02)
    for _ in range(n_interrupts):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    _, errors = process.communicate(timeout=60)
    # The second may come when all is done but for the end of Python.
    assert process.returncode in (130, -signal.SIGINT)[:n_interrupts], errors
    assert "Traceback" not in errors
    end = time.monotonic() + 10
    while somebody_is_left(process.pid):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_ctrl_c_is_quiet_while_workers_start(tmp_path: Path, seconds: float) -> None:
    place = ("--results", str(tmp_path), "--name", "run", "--workers", "2")
    process = start("evolve", *SETTINGS, *place, log=tmp_path / "log", start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "LokyProcess" not in errors  # as its traceback would
    assert process.returncode in (130, -signal.SIGINT), errors
