"""Training on clusters: real ones on this machine, whose workers are killed in mid-run."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from bench.history import history
from bench.sessions import exists, recorded
from test_engine import LONG, REQUESTS, engine, evaluated, iris, said

from evonet.config import make_config
from evonet.errors import ConfigError, TrainingError
from evonet.evaluation import Request
from evonet.training.clusters import _Elsewhere, connect
from evonet.training.worker import Job

__all__ = ["iris"]

SETTINGS = (
    *("--data", "iris", "--generations", "3", "--population-size", "8", "--offspring", "6"),
    *("--epochs", "30", "--final-epochs", "2", "--final-fits", "1", "--seed", "3", "--quiet"),
)


def evolve(folder: Path, *arguments: str) -> subprocess.Popen:
    place = ("--results", str(folder.parent), "--name", folder.name)
    command = [sys.executable, "-m", "evonet", "evolve", *SETTINGS, *place, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """The history of the run by this machine's own processes."""
    folder = tmp_path_factory.mktemp("local") / "run"
    _, errors = (process := evolve(folder)).communicate()
    assert process.returncode == 0, errors
    return history(folder)


def started(*command: str, folder: Path) -> subprocess.Popen:
    """A service of a cluster, which leads a session of its own."""
    line = (sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:])
    with (folder / f"{command[0]}.log").open("w") as log:
        return subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True, cwd=folder)


@dataclass(frozen=True)
class Dask:
    """A scheduler and a nanny with two workers, which it starts again where they die."""

    address: str
    nanny: subprocess.Popen

    def kill_a_worker(self, rng: random.Random) -> bool:
        """Whether there was one."""
        import psutil

        workers = [
            p
            for p in psutil.Process(self.nanny.pid).children(recursive=True)
            if p.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(p.cmdline())
        ]
        if workers:
            rng.choice(workers).kill()
        return bool(workers)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    folder = tmp_path_factory.mktemp("dask")
    flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
    scheduler = started("scheduler", *flags, folder=folder)
    found = None
    while found is None:
        assert scheduler.poll() is None, (folder / "scheduler.log").read_text()
        time.sleep(0.1)
        found = re.search(r"tcp://127\.0\.0\.1:\d+", (folder / "scheduler.log").read_text())
    address = found[0]
    flags = ("--nthreads", "1", "--nworkers", "2", "--no-dashboard")
    nanny = started("worker", address, *flags, folder=folder)
    yield Dask(address, nanny)
    for process in (nanny, scheduler):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_run_on_dask_is_that_of_this_machine_though_workers_die(
    tmp_path: Path, dask: Dask, local: tuple
) -> None:
    rng = random.Random(0)
    process = evolve(tmp_path / "run", "--backend", "dask", "--address", dask.address)
    early = late = 0
    while process.poll() is None:
        time.sleep(rng.uniform(0.02, 0.1))
        if recorded(tmp_path / "run"):
            late += late < 2 and dask.kill_a_worker(rng)
        elif exists(tmp_path / "run"):
            early += early < 2 and dask.kill_a_worker(rng)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert early > 0  # before anything was trained
    assert late > 0
    assert history(tmp_path / "run") == local


def test_a_run_that_began_here_goes_on_with_dask(tmp_path: Path, dask: Dask, local: tuple) -> None:
    folder = tmp_path / "run"
    process = evolve(folder)
    while not recorded(folder):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    command = [sys.executable, "-m", "evonet", "resume", str(folder), "--quiet"]
    on = ["--backend", "dask", "--address", dask.address]
    done = subprocess.run([*command, *on], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert history(folder) == local


@pytest.mark.slow
def test_a_training_that_hangs_on_dask_fails_after_its_worker_was_ended(
    dask: Dask, iris, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask itself tries four times before it tells of a worker that was lost; evonet once more."""
    cluster, calls = connect("dask", dask.address), []
    submit = cluster.submit
    monkeypatch.setattr(cluster, "submit", lambda *asked: calls.append(asked) or submit(*asked))
    hanging = replace(engine(iris, budget=LONG), cluster=cluster)
    (found,) = evaluated(replace(hanging, timeout=0.05), REQUESTS[:1]).values()
    assert len(calls) == 2
    assert found.status == "out_of_memory"  # what Dask says is what it says of a worker killed
    assert found.reason.endswith("or it was not over after 0.05 s, see --training-timeout")


@pytest.mark.slow
def test_a_run_on_ray_is_that_of_this_machine_though_workers_die(
    tmp_path: Path, local: tuple
) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    import psutil

    process = evolve(tmp_path / "run", "--backend", "ray")
    rng, kills = random.Random(0), 0
    while process.poll() is None:
        time.sleep(rng.uniform(1, 3))
        workers = [
            p
            for p in psutil.Process(process.pid).children(recursive=True)
            if "ray::_call" in " ".join(p.cmdline()) or p.name().startswith("ray::_call")
        ]
        # A training that is killed twice while it trains alone has failed.
        if len(workers) > 1 and kills < 4:
            rng.choice(workers).kill()
            kills += 1
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert kills > 0
    assert history(tmp_path / "run") == local


@dataclass
class Fake:
    """A cluster that calls at once, and fails as it is told."""

    fails: Callable[[list[Request], int], Exception | None]
    workers: int = 3
    shared: int = 0
    calls: list[tuple[Request, ...]] = field(default_factory=list)

    def share(self, value: object) -> Any:
        self.shared += 1
        return value

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        job, requests = arguments
        assert isinstance(job, Job)
        assert not len(job.dataset.test)
        self.calls.append(tuple(requests))
        future: Future[Any] = Future()
        error = self.fails(requests, self.calls.count(tuple(requests)))
        if error is None:
            future.set_result(function(*arguments))
        elif isinstance(error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(error)
        return future

    def is_lost(self, error: BaseException) -> bool:
        return _Elsewhere(RuntimeError).is_lost(error)

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        for future in futures:
            future.cancel()

    def release(self, shared: object) -> None:
        self.shared -= 1


class TestFailures:
    def test_what_kills_its_workers_fails_alone(self, iris) -> None:
        poison = REQUESTS[2]
        cluster = Fake(lambda some, _: RuntimeError("killed\n") if poison in some else None)
        found = evaluated(replace(engine(iris), cluster=cluster))
        whole = said(evaluated(engine(iris)))
        lost = found.pop(poison)
        assert (lost.status, lost.reason) == ("out_of_memory", "its process died: killed")
        assert said(found) == {r: e for r, e in whole.items() if r != poison}

    def test_what_is_lost_once_is_trained_again(self, iris) -> None:
        cluster = Fake(lambda _, time: RuntimeError("lost") if time == 1 else None)
        found = evaluated(replace(engine(iris), cluster=cluster), REQUESTS[:1])
        assert found[REQUESTS[0]].ok
        assert len(cluster.calls) == 2

    def test_a_cluster_that_is_gone_fails_no_network(self, iris) -> None:
        cluster = Fake(lambda *_: CancelledError())
        with pytest.raises(TrainingError, match=r"Start it again, then go on with evonet resume"):
            evaluated(replace(engine(iris), cluster=cluster))

    def test_a_worker_without_evonet_is_no_failed_network(self, iris) -> None:
        cluster = Fake(lambda *_: ModuleNotFoundError("No module named 'evonet'"))
        with pytest.raises(TrainingError, match=r"No module named 'evonet'\. Install this evonet"):
            evaluated(replace(engine(iris), cluster=cluster))

    def test_nor_is_any_other_error_of_workers_that_are_there(self, iris) -> None:
        cluster = Fake(lambda *_: TypeError("train() got an unexpected argument"))
        with pytest.raises(TrainingError, match=r"TypeError: train\(\) got .* of this version"):
            evaluated(replace(engine(iris), cluster=cluster))

    def test_data_are_shared_once_for_all_portions(self, iris) -> None:
        cluster = Fake(lambda *_: None)
        on_cluster, whole = replace(engine(iris), cluster=cluster), said(evaluated(engine(iris)))
        with closing(on_cluster):
            for _ in range(2):
                assert said(dict(chain(*on_cluster.evaluate(REQUESTS)))) == whole
                assert cluster.shared == 1
        assert cluster.shared == 0


class TestRefusals:
    def test_no_cluster_is_needed_for_this_machine(self) -> None:
        assert connect("loky", None) is None

    @pytest.mark.parametrize("address", ["nonsense", "tcp://nonsense", "tcp://a:b"])
    def test_an_address_that_is_none_is_refused_at_once(self, address: str) -> None:
        pytest.importorskip("distributed", reason="the extra `dask` is not installed")
        said = rf"address {address} is none of a scheduler: .*\. Expected one such as tcp://127"
        with pytest.raises(ConfigError, match=said):
            connect("dask", address)

    def test_a_cluster_that_is_not_there_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("distributed", reason="the extra `dask` is not installed")
        monkeypatch.setattr("evonet.training.clusters._PATIENCE", 1)
        with pytest.raises(
            TrainingError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"
        ):
            connect("dask", "tcp://127.0.0.1:9")

    def test_a_package_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("evonet.extras.find_spec", lambda _: None)
        with pytest.raises(ConfigError, match=r"backend ray needs the package ray"):
            connect("ray", "auto")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"address": "tcp://a:1"}, "address is of a cluster, and backend is loky"),
            ({"backend": "dask"}, r"start `dask scheduler`, and pass its --address"),
            ({"backend": "ray", "engine": "keras"}, "backend ray is of engine fused"),
            ({"backend": "ray", "device": "gpu"}, "backend ray trains on CPUs"),
        ],
    )
    def test_settings_that_do_not_fit_together(
        self, settings: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            make_config(settings)
