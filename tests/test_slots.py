"""Places that train, and the processes behind them: what dies or hangs harms nothing else."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing, suppress
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import fake_score

from evonet.errors import TrainingError
from evonet.evaluation import Evaluation, Request
from evonet.genome import Genome, Layer
from evonet.training import processes
from evonet.training import shared as shared_module
from evonet.training import slots as slots_module
from evonet.training.plan import available_cores
from evonet.training.processes import ProcessDiedError, Processes, is_own_fault
from evonet.training.shared import Shared
from evonet.training.slots import ClusterSlots, OneSlot, WithinMemory, each_of
from evonet.training.worker import ended_after


class FakeCluster:
    """Two workers that do what a test says: a training's fate by its seed.

    Calls are open until somebody waits for them; who dies takes all that are open with it, as a
    machine does whose memory is short.
    """

    workers = 2

    def __init__(self, dies: Callable[[Request], bool], exit_code: int = -signal.SIGKILL) -> None:
        self.dies, self.error = dies, ProcessDiedError(exit_code)
        self.submitted: list[list[int]] = []
        self.open: list[tuple[LateFuture, Any, Any]] = []
        self.given_up: list[Future[Any]] = []

    def share(self, value: object) -> object:
        return value

    def submit(self, function: Callable[..., Any], job: object, requests: Any) -> Future[Any]:
        future = LateFuture(self)
        self.open.append((future, function, requests))
        self.submitted.append([own.seed for _, _, requests in self.open for own in requests])
        return future

    def settle(self) -> None:
        """Let all that is open come to its end."""
        ended, self.open = self.open, []
        lost = any(self.dies(own) for _, _, requests in ended for own in requests)
        alone = self.error.exit_code != -signal.SIGKILL
        for future, function, requests in ended:
            if function is broken_train:
                future.set_exception(ValueError("a bug"))
            elif any(map(self.dies, requests)) or (lost and not alone):
                future.set_exception(self.error)
            else:
                future.set_result(function(None, requests))

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, ProcessDiedError)

    def give_up(self, futures: list[Future[Any]]) -> None:
        self.given_up += futures

    def release(self, shared: object) -> None:
        pass


class LateFuture(Future[Any]):
    """Is done once somebody waits for it."""

    def __init__(self, cluster: FakeCluster) -> None:
        super().__init__()
        self.settle = cluster.settle


@pytest.fixture(autouse=True)
def nobody_waits_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    def settled(futures: Any, **how: Any) -> Any:
        for future in [f for f in futures if isinstance(f, LateFuture) and not f.done()]:
            if not future.done():
                future.settle()
        return wait(futures, **how)

    monkeypatch.setattr(slots_module, "wait", settled)


def request(seed: int) -> Request:
    return Request(Genome((Layer(8 + seed, "relu"),), "matched_normal", "adam", 1e-3, 32), seed)


def evaluation(of: Request, status: Any = "ok") -> Evaluation:
    score = fake_score(of) if status == "ok" else None
    return Evaluation(of.genome.key, of.seed, status, "", score, 1, (1.0,), (1.0,), 7, 0.1)


def fake_train(_: object, requests: Any) -> list[tuple[Request, Evaluation]]:
    return [(own, evaluation(own)) for own in requests]


def broken_train(_: object, requests: Any) -> Any:
    raise ValueError("a bug")


def lost(of: Request, _: BaseException, __: float) -> Evaluation:
    return evaluation(of, "out_of_memory")


def slots_on(
    cluster: Any, train: Any = fake_train, allowed: float = math.inf
) -> ClusterSlots[Request, Evaluation]:
    return ClusterSlots(cluster, 2, train, lambda: None, lost, lambda _: allowed)


PORTIONS = [[[0], [1], [2]], [[0, 1, 2]], [[2, 1], [0, 3, 4]], [[3], [4, 1], [0]], []]


@pytest.mark.parametrize("portions", PORTIONS)
@pytest.mark.parametrize("exit_code", [-signal.SIGKILL, -signal.SIGSEGV, 1])
def test_a_training_that_kills_its_worker_fails_alone(
    portions: list[list[int]], exit_code: int
) -> None:
    cluster = FakeCluster(lambda own: own.seed == 1, exit_code)
    asked = [[request(seed) for seed in portion] for portion in portions]
    with closing(slots_on(cluster)) as slots:
        statuses = [(own.seed, found.status) for own, found in chain(*each_of(slots, asked))]
    seeds = sorted(seed for portion in portions for seed in portion)
    assert sorted(statuses) == [(seed, "out_of_memory" if seed == 1 else "ok") for seed in seeds]


def test_what_may_have_been_short_of_memory_is_tried_again_with_nothing_beside_it() -> None:
    cluster = FakeCluster(lambda own: own.seed == 1)
    with closing(slots_on(cluster)) as slots:
        list(each_of(slots, [[request(0)], [request(1)], [request(2)], [request(3)]]))
    assert cluster.submitted == [[0], [0, 1], [0], [1], [1], [2], [2, 3]]


def test_who_is_killed_by_chance_again_and_again_has_not_failed() -> None:
    """As on machines that are taken away: lost with another, lost alone, trained."""
    cluster = FakeCluster(lambda own: own.seed == 1 and len(cluster.submitted) < 5)
    with closing(slots_on(cluster)) as slots:
        found = list(chain(*each_of(slots, [[request(0)], [request(1)]])))
    assert cluster.submitted == [[0], [0, 1], [0], [1], [1]]
    assert {own.seed: evaluation.status for own, evaluation in found} == {0: "ok", 1: "ok"}


def test_who_took_too_long_is_tried_alone_but_once() -> None:
    """Dask tells of a worker that ended itself as of one that was killed; the first time it may
    have waited for a worker."""
    cluster = FakeCluster(lambda own: own.seed == 1)
    with closing(slots_on(cluster, allowed=0.0)) as slots:
        found = dict(chain(*each_of(slots, [[request(1)], [request(2)]])))
    assert cluster.submitted == [[1], [1, 2], [1], [2]]
    assert {own.seed: e.status for own, e in found.items()} == {1: "out_of_memory", 2: "ok"}


@pytest.mark.parametrize(
    ("n_stops", "n_deaths", "allowed", "status"),
    [
        (0, 1, 600, "out_of_memory"),  # nobody stopped it
        (1, 1, 600, "ok"),
        (1, 1, 6_000, "out_of_memory"),  # it was not its time that had run out
        (9, 9, 600, "out_of_memory"),  # one that hangs is not tried for ever
    ],
)
def test_who_runs_out_of_time_while_all_is_stopped_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, n_stops: int, n_deaths: int, allowed: float, status: str
) -> None:
    """As where Ctrl-Z stops a run and its workers: clocks go on, and so does the timer there."""
    settled, waits, now = slots_module.wait, [0], [0.0]

    def stop(futures: Any, **how: Any) -> Any:
        waits[0] += 1
        now[0] += 3_600 if waits[0] <= n_stops else 0.1
        return settled(futures, **how)

    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(slots_module, "wait", stop)
    monkeypatch.setattr(slots_module, "time", clock)
    cluster = FakeCluster(lambda own: own.seed == 1 and waits[0] <= n_deaths, exit_code=1)
    with closing(slots_on(cluster, allowed=allowed)) as slots:
        found = dict(chain(*each_of(slots, [[request(1)], [request(2)]])))
    assert {own.seed: e.status for own, e in found.items()} == {1: status, 2: "ok"}


def test_a_crash_is_nobody_elses_fault() -> None:
    """Once it is known which one of a portion it was, that one is not tried again."""
    cluster = FakeCluster(lambda own: own.seed == 1, -signal.SIGSEGV)
    with closing(slots_on(cluster)) as slots:
        list(each_of(slots, [[request(0), request(1), request(2)], [request(3)]]))
    assert cluster.submitted == [[0, 1, 2], [0, 1, 2, 3], [0], [1], [2]]


def test_no_place_is_free_while_it_is_found_out_who_kills_workers() -> None:
    cluster = FakeCluster(lambda own: own.seed == 1 and len(cluster.submitted) < 3)
    slots = slots_on(cluster)
    slots.submit([request(1)])
    slots.submit([request(2)])
    ((own, _),) = slots.wait()
    assert (own.seed, slots.n_free, slots.n_busy) == (1, 0, 1)
    ((own, found),) = slots.wait()
    assert (own.seed, found.status, slots.n_free) == (2, "ok", 2)


def test_a_cluster_without_a_worker_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = FakeCluster(lambda _: False)
    monkeypatch.setattr(cluster, "workers", 0)
    monkeypatch.setattr(cluster, "submit", lambda *_: Future())
    monkeypatch.setattr(slots_module, "_PATIENCE", 0)
    with pytest.raises(TrainingError, match=r"or no worker is left\. Start it again, then go on"):
        list(each_of(slots_on(cluster), [[request(0)]]))


def test_an_error_of_no_training_is_raised() -> None:
    cluster = FakeCluster(lambda _: False)
    slots = slots_on(cluster, broken_train)
    slots.submit([request(0)])
    with pytest.raises(ValueError, match="a bug"):
        slots.wait()


def test_a_place_is_refilled_before_its_results_are_taken() -> None:
    cluster = FakeCluster(lambda _: False)
    with closing(slots_on(cluster)) as slots:
        taken = each_of(slots, [[request(seed)] for seed in range(4)])
        next(taken)
        assert cluster.submitted == [[0], [0, 1], [2]]


def test_what_was_under_way_is_given_up() -> None:
    cluster = FakeCluster(lambda _: False)
    slots = slots_on(cluster)
    slots.submit([request(0)])
    slots.close()
    assert len(cluster.given_up) == 1
    assert slots.n_busy == 0


def test_one_place_trains_what_is_waited_for() -> None:
    slots = OneSlot(partial(fake_train, None))
    slots.submit([request(0), request(1)])
    assert (slots.n_free, slots.n_busy) == (0, 1)
    assert [own.seed for own, _ in slots.wait()] == [0, 1]
    assert (slots.n_free, slots.n_busy) == (1, 0)


class TestWithinMemory:
    """Two places, and trainings that take as many bytes as their seed says."""

    def begun(self, seeds: list[int], room: float) -> list[list[int]]:
        cluster = FakeCluster(lambda _: False)
        slots = WithinMemory(slots_on(cluster), room, lambda own: own.seed)
        with closing(slots):
            done = list(chain(*each_of(slots, [[request(seed)] for seed in seeds])))
        assert sorted(own.seed for own, _ in done) == sorted(seeds)
        assert (slots.n_busy, slots.n_free) == (0, 2)
        return cluster.submitted

    def test_what_fits_together_is_trained_together(self) -> None:
        assert self.begun([3, 4], room=7) == [[3], [3, 4]]

    def test_what_does_not_waits_for_others(self) -> None:
        assert self.begun([3, 5, 1], room=7) == [[3], [5], [5, 1]]

    def test_what_is_larger_than_all_of_it_is_trained_alone(self) -> None:
        """And is refused there: only who trains it knows why."""
        assert self.begun([9, 1, 8], room=7) == [[9], [1], [8]]

    def test_what_waits_is_given_up_too(self) -> None:
        slots = WithinMemory(slots_on(FakeCluster(lambda _: False)), 7, lambda own: own.seed)
        slots.submit([request(5)])
        slots.submit([request(4)])
        assert (slots.n_busy, slots.n_free) == (2, 0)
        slots.close()
        assert slots.n_busy == 0


# Real processes, which find these functions by name.


def do(what: str, *arguments: Any) -> Any:
    """Whatever a test wants done there; the answer has the process's number."""
    if what == "sleep":
        time.sleep(arguments[0])
    elif what == "kill":
        os.kill(os.getpid(), arguments[0])
        time.sleep(10)
    elif what == "no memory":
        raise MemoryError
    elif what == "environment":
        return os.getpid(), os.environ.get(arguments[0])
    elif what == "fail":
        raise ValueError(arguments[0])
    elif what == "die while answering":

        def send_half(self: Any, answer: bytes) -> None:
            os.write(self.fileno(), bytes(answer[:5]))
            os.kill(os.getpid(), signal.SIGKILL)

        Connection._send = send_half  # type: ignore[attr-defined]
    return os.getpid(), arguments


@pytest.fixture(scope="module")
def workers() -> Processes:
    return Processes(2, loads="json")  # which is there sooner than what trains


def test_a_process_dies_alone_and_is_replaced(workers: Processes) -> None:
    sleeper, victim = workers.submit(do, "sleep", 1.0), workers.submit(do, "kill", signal.SIGKILL)
    with pytest.raises(ProcessDiedError, match=r"exit code -9") as died:
        victim.result()
    assert died.value.was_killed
    pid, _ = sleeper.result()
    again = {workers.submit(do, "nothing").result()[0] for _ in range(4)}
    assert pid in again  # the other one, which has lost nothing
    both = [workers.submit(do, "sleep", 0.5) for _ in range(2)]
    assert len({future.result()[0] for future in both}) == 2


def test_a_call_that_waits_for_a_process_has_not_begun(workers: Processes) -> None:
    first, second = (workers.submit(do, "sleep", 0.5) for _ in range(2))
    while not (first.began and second.began):
        time.sleep(0.01)
    third = workers.submit(do, "nothing")
    assert third.began is None
    wait([third])
    assert third.began > min(first.began, second.began) + 0.4


def test_who_has_no_memory_ends_as_one_that_the_system_ended(workers: Processes) -> None:
    """Its work is done again, and no session ends for it."""
    with pytest.raises(ProcessDiedError, match=r"exit code 137") as died:
        workers.submit(do, "no memory").result()
    assert died.value.was_killed
    assert not is_own_fault(died.value)


def test_who_is_told_to_end_by_others_is_not_to_blame(workers: Processes) -> None:
    """As by a scheduler of jobs, which tells all processes of a job."""
    with pytest.raises(ProcessDiedError) as died:
        workers.submit(do, "kill", signal.SIGTERM).result()
    assert died.value.was_killed
    assert ProcessDiedError(-signal.SIGHUP).was_killed  # which a process may ignore, as with nohup


def test_a_process_that_cannot_load_what_trains_is_no_failed_training() -> None:
    for _ in range(2):  # nor is the next call
        with pytest.raises(TrainingError, match="No module named 'gone'"):
            Processes(1, loads="gone").submit(do, "nothing").result()


def test_nor_is_one_that_ends_while_it_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends_at_once.py").write_text("import os; os._exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrainingError, match=r"before it could work \(exit code 3\)"):
        Processes(1, loads="ends_at_once").submit(do, "nothing").result()


def test_nor_is_a_call_that_cannot_be_read(workers: Processes) -> None:
    with pytest.raises(TrainingError, match="ValueError: nothing of that here"):
        workers.submit(do, Unreadable()).result()


def refuse_to_be_read() -> None:
    raise ValueError("nothing of that here")


class Unreadable:
    def __reduce__(self) -> Any:
        return refuse_to_be_read, ()


def test_a_crash_is_told_from_a_kill(workers: Processes) -> None:
    with pytest.raises(ProcessDiedError, match=r"exit code -6") as died:
        workers.submit(do, "kill", signal.SIGABRT).result()
    assert not died.value.was_killed


def test_who_dies_while_it_answers_is_not_waited_for(workers: Processes) -> None:
    with pytest.raises(ProcessDiedError, match=r"exit code -9"):
        workers.submit(do, "die while answering").result(timeout=30)


def test_an_error_comes_back_and_its_process_lives(workers: Processes) -> None:
    pid, _ = workers.submit(do, "nothing").result()
    with pytest.raises(TrainingError, match=r"A worker process failed: ValueError: bad\."):
        workers.submit(do, "fail", "bad").result()
    assert workers.submit(do, "nothing").result()[0] == pid


def test_ctrl_c_is_for_the_parent(workers: Processes) -> None:
    pid, _ = workers.submit(do, "kill", signal.SIGINT).result()
    assert workers.submit(do, "nothing").result()[0] == pid


def test_what_is_given_up_ends_at_once(workers: Processes) -> None:
    pid, _ = workers.submit(do, "nothing").result()
    futures = [workers.submit(do, "sleep", 60) for _ in range(5)]
    started = time.monotonic()
    time.sleep(0.5)
    workers.give_up(futures)
    assert time.monotonic() - started < 10
    assert all(future.done() for future in futures)
    assert workers.submit(do, "nothing").result()[0] != pid


def test_a_process_that_idled_to_its_end_is_replaced() -> None:
    workers = Processes(1, "json", idle_seconds=0.2)
    first, _ = workers.submit(do, "nothing").result()
    time.sleep(2)
    assert workers.submit(do, "nothing").result()[0] != first


def hang(_: object, requests: Any) -> list[tuple[Request, Evaluation]]:
    """Request 1 hangs without letting go of Python's lock."""
    with ended_after(1.0):
        if requests[0].seed == 1:
            ctypes.PyDLL(None).sleep(60)
    return fake_train(None, requests)


def test_a_training_that_hangs_is_ended_and_harms_no_other(workers: Processes) -> None:
    with closing(slots_on(workers, hang)) as slots:
        asked = [[request(seed)] for seed in range(4)]
        statuses = {own.seed: found.status for own, found in chain(*each_of(slots, asked))}
    assert statuses == {0: "ok", 1: "out_of_memory", 2: "ok", 3: "ok"}


def test_who_idles_to_its_end_just_then_is_no_failure() -> None:
    """The call comes when the process has stopped listening and is not gone yet."""
    workers = Processes(2, "json", idle_seconds=0.05)
    pids = set()
    for i in range(40):
        pids.add(workers.submit(do, "nothing").result()[0])
        time.sleep(0.045 + 0.0005 * i)
    assert len(pids) > 1


def test_a_process_that_cannot_be_started_is_said(
    workers: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "_Worker", refuse)
    fresh = Processes(2)
    fresh.start(2)  # nobody needs them yet
    with pytest.raises(TrainingError, match=r"temporarily unavailable\. Pass fewer --workers"):
        fresh.submit(do, "nothing").result()


def test_processes_that_start_early_are_those_that_are_called() -> None:
    workers = Processes(2, "json")
    workers.start(5)
    early = [worker._process.pid for worker in workers._idle]
    assert len(early) == 2
    assert workers.submit(do, "nothing").result()[0] in early


def test_a_process_that_may_have_none_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.processes_here(1) is processes.processes_here(1)
    assert processes.processes_here(2) is processes.processes_here(2)
    monkeypatch.setattr(processes, "current_process", lambda: SimpleNamespace(daemon=True))
    assert processes.processes_here(1) is processes.processes_here(2) is None


def test_a_forked_process_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its parent are no children of it."""
    of_parent = processes.processes_here(2)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert processes.processes_here(2) is not of_parent


def test_libraries_there_start_as_many_threads_as_there_are_cores_for(workers: Processes) -> None:
    threads = str(max(1, available_cores() // 2))
    asked = workers.submit(do, "environment", "OMP_NUM_THREADS").result()[1]
    assert asked == os.environ.get("OMP_NUM_THREADS", threads)


def test_what_is_shared_is_there_until_it_is_released(workers: Processes) -> None:
    shared = workers.share({"some": "data"})
    assert workers.submit(do, "nothing", shared).result()[1] == ({"some": "data"},)
    assert os.listdir(shared.folder)
    workers.release(shared)
    assert not Path(shared.folder).exists()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs the locks of POSIX")
def test_what_is_left_of_a_process_that_was_killed_with_its_helpers_is_removed(
    workers: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""if True:
        import tempfile, time
        tempfile.tempdir = {str(tmp_path)!r}
        from evonet.training.shared import Shared
        print(Shared.of("data").folder, flush=True)
        time.sleep(60)
    """
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, process_group=0)
        for _ in range(2)
    ]
    try:
        killed, alive = (Path(p.stdout.readline().decode().strip()) for p in both if p.stdout)
        os.killpg(both[0].pid, signal.SIGKILL)  # and with it what would have removed its folder
        both[0].wait()
        assert killed.exists()
        (tmp_path / "evonet-notes").mkdir()  # somebody's own
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        workers.release(workers.share("data"))
        assert sorted(tmp_path.iterdir()) == sorted([alive, tmp_path / "evonet-notes"])
        assert workers.submit(do, "nothing", Shared(str(alive))).result()[1] == ("data",)
    finally:
        for process in both:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_a_full_disk_is_said(workers: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_module.joblib, "dump", full)
    with pytest.raises(TrainingError, match=r"No space left on device\. Set TMPDIR"):
        workers.share({"some": "data"})
