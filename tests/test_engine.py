"""The fused engine: what it says does not depend on processes or order, and survives the worst.

Compiled loops are kept in EVONET_CACHE (``conftest.py``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score

from evonet.config import make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.evaluation import Budget, Evaluation, Request
from evonet.genome import Genome, Layer
from evonet.metrics import choose_metric
from evonet.training.engine import FusedEvaluator
from evonet.training.keras_model import build_network
from evonet.training.plan import bytes_of_process
from evonet.training.processes import ProcessDiedError
from evonet.training.slots import ClusterSlots
from evonet.training.trained import NO_RACE
from evonet.training.trainer import Trainer
from evonet.training.worker import Job

LOSS = "sparse_categorical_crossentropy"
BUDGET = Budget(4, 4)
#: For trainings of about a second.
LONG = Budget(2000, 2000)
GENOMES = tuple(
    Genome(tuple(layers), "matched_normal", optimizer, 0.02, 16)
    for layers in ([], [Layer(8, "tanh", 0.2)], [Layer(70, "relu"), Layer(6, "elu", 0.1, "layer")])
    for optimizer in ("adam", "rmsprop")
)
REQUESTS = tuple(Request(genome, seed) for seed, genome in enumerate(GENOMES))
TOO_LARGE = replace(GENOMES[0], layers=(Layer(65_536, "relu"),) * 4)


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris"}))


def engine(data: Dataset, workers: int | None = 1, budget: Budget = BUDGET) -> FusedEvaluator:
    return FusedEvaluator(data, choose_metric("auto", data.target), LOSS, budget, workers)


def evaluated(
    evaluator: FusedEvaluator, requests: Sequence[Request] = REQUESTS
) -> dict[Request, Evaluation]:
    """What came back; that each came back once is checked here."""
    with closing(evaluator):
        pairs = list(chain(*evaluator.evaluate(requests)))
    assert len(pairs) == len(requests)
    return dict(pairs)


def said(evaluations: dict[Request, Evaluation]) -> dict[Request, dict[str, Any]]:
    """All that an evaluation says, but for the seconds it took."""
    return {r: {**asdict(e), "seconds": None} for r, e in evaluations.items()}


class TestEvaluations:
    def test_they_are_the_same_in_one_process_and_in_two(self, iris: Dataset) -> None:
        alone = evaluated(engine(iris))
        assert {e.status for e in alone.values()} == {"ok"}
        assert said(evaluated(engine(iris, workers=2))) == said(alone)

    def test_so_are_those_of_wide_networks(self, iris: Dataset) -> None:
        """Whose products BLAS does, which has threads."""
        wide = Genome((Layer(512, "relu"), Layer(512, "relu")), "matched_normal", "adam", 1e-3, 128)
        requests = [Request(wide, seed) for seed in range(2)]
        found = [said(evaluated(engine(iris, n), requests)) for n in (1, 2, 3)]
        assert found[0] == found[1] == found[2]

    def test_they_do_not_depend_on_order_or_company(self, iris: Dataset) -> None:
        together = evaluated(engine(iris))
        assert said(evaluated(engine(iris), REQUESTS[::-1])) == said(together)
        assert said(evaluated(engine(iris), REQUESTS[2:3])) == said(
            {REQUESTS[2]: together[REQUESTS[2]]}
        )

    def test_the_score_is_that_of_a_keras_model_with_the_best_weights(self, iris: Dataset) -> None:
        request = REQUESTS[-1]
        (evaluation,) = evaluated(engine(iris), [request]).values()
        trained = Trainer(iris, LOSS, BUDGET).fit(request.genome, request.seed)
        network = build_network(request.genome, 4, 3)
        network.set_weights(trained.weights)
        classes = network.predict(iris.validation.x, verbose=0).argmax(axis=1)
        assert evaluation.score == accuracy_score(iris.validation.y, classes)
        assert evaluation.parameters == network.count_params()
        assert evaluation.validation_loss == trained.validation_loss
        assert len(evaluation.train_loss) == BUDGET.epochs
        assert evaluation.seconds > 0

    def test_no_requests_no_evaluations(self, iris: Dataset) -> None:
        assert not evaluated(engine(iris, workers=2), [])


class TestFailures:
    def test_a_genome_too_large_for_the_memory_is_a_value(self, iris: Dataset) -> None:
        requests = [Request(TOO_LARGE, 1), REQUESTS[0]]
        evaluations = evaluated(engine(iris), requests)
        lost = evaluations[requests[0]]
        assert (lost.status, lost.score, lost.train_loss) == ("out_of_memory", None, ())
        assert "GiB" in lost.reason
        assert evaluations[REQUESTS[0]].ok

    def test_a_training_that_diverges_is_a_value(self, iris: Dataset) -> None:
        wild = replace(
            GENOMES[0], optimizer="sgd", learning_rate=100.0, layers=(Layer(64, "relu"),) * 4
        )
        (lost,) = evaluated(engine(iris), [Request(wild, 1)]).values()
        assert (lost.status, lost.score, lost.best_epoch) == ("diverged", None, 0)
        assert f"in epoch {len(lost.validation_loss) + 1}" in lost.reason

    @pytest.mark.parametrize(
        ("error", "status"),
        [(ValueError("bad\nshape"), "failed"), (MemoryError("no\nmore"), "out_of_memory")],
    )
    def test_an_error_in_a_training_is_a_value_on_one_line(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
    ) -> None:
        fit = Trainer.fit

        def fail(self: Trainer, genome: Genome, seed: int, race: Any = NO_RACE) -> Any:
            if genome == GENOMES[1]:
                raise error
            return fit(self, genome, seed, race)

        monkeypatch.setattr(Trainer, "fit", fail)
        monkeypatch.setattr("evonet.training.engine.processes_here", lambda *_: None)
        evaluations = evaluated(engine(iris))
        lost = evaluations.pop(REQUESTS[1])
        assert (lost.status, lost.score) == (status, None)
        assert lost.reason == f"{type(error).__name__}: {' '.join(str(error).split())}"
        assert all(e.ok for e in evaluations.values())


def children_of(parent: int) -> list[int]:
    """The worker processes of a process that are alive, by what the kernel says."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            state, own_parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):  # not a process, or just gone
            continue
        if int(own_parent) == parent and state != "Z" and b"LokyProcess" in command:
            found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


class Deadly:
    """A cluster that trains here; some requests, by their seeds, kill their worker."""

    workers, ahead = 2, 1

    def __init__(self, *seeds: int) -> None:
        self.seeds, self.n_calls = set(seeds), 0

    def share(self, value: object) -> object:
        return value

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.n_calls += 1
        future: Future[Any] = Future()
        _, requests = arguments
        if {request.seed for request in requests} & self.seeds:
            future.set_exception(ProcessDiedError(-signal.SIGKILL))
        else:
            future.set_result(function(*arguments))
        return future

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, ProcessDiedError)

    def give_up(self, futures: Sequence[Future[Any]]) -> None:
        assert all(future.done() for future in futures)

    def release(self, shared: object) -> None:
        pass


class TestPortions:
    """What comes back from workers, here without processes."""

    def test_equal_requests_come_back_once_each(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.training.engine.processes_here", lambda *_: Deadly())
        requests = [*REQUESTS, *REQUESTS[:3], REQUESTS[0]]
        pairs = list(chain(*engine(iris, workers=2).evaluate(requests)))
        assert Counter(request for request, _ in pairs) == Counter(requests)
        alone = said(evaluated(engine(iris)))
        assert all({**asdict(e), "seconds": None} == alone[r] for r, e in pairs)

    @pytest.mark.parametrize(("processes", "under_way"), [(2.5, 3), (1.5, 1)])
    def test_one_portion_more_than_workers_is_under_way_unless_memory_is_short(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch, processes: float, under_way: int
    ) -> None:
        """Memory for so many processes."""
        most: list[int | None] = []

        def slots(cluster: Any, n: int | None, *rest: Any) -> ClusterSlots[Any, Any]:
            most.append(n)
            return ClusterSlots(cluster, n, *rest)

        evaluator = engine(iris, workers=2)
        memory = processes * bytes_of_process(REQUESTS[0], evaluator._job.rows, BUDGET) / 0.8
        monkeypatch.setattr("evonet.training.worker.memory_bytes", lambda: memory)
        monkeypatch.setattr("evonet.training.engine.processes_here", lambda *_: Deadly())
        monkeypatch.setattr("evonet.training.engine.ClusterSlots", slots)
        evaluated(evaluator)
        assert most == [under_way]

    def test_without_a_barrier_too_what_memory_has_no_room_for_waits(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        evaluator = engine(iris, workers=2)
        memory = 1.5 * bytes_of_process(REQUESTS[0], evaluator._job.rows, BUDGET) / 0.8
        monkeypatch.setattr("evonet.training.plan.memory_bytes", lambda: memory)
        cluster = Deadly()
        monkeypatch.setattr("evonet.training.engine.processes_here", lambda *_: cluster)
        with closing(evaluator), closing(evaluator.slots()) as slots:
            slots.submit(REQUESTS[:1])
            assert slots.n_free == 1
            slots.submit(REQUESTS[1:2])
            assert (slots.n_free, slots.n_busy, cluster.n_calls) == (0, 2, 1)
            assert [request for request, _ in (*slots.wait(), *slots.wait())] == [*REQUESTS[:2]]
            assert cluster.n_calls == 2

    @pytest.mark.parametrize("lost", [(0,), (7,), (0, 3, 4)])
    def test_only_those_that_kill_their_worker_are_lost(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch, lost: tuple[int, ...]
    ) -> None:
        monkeypatch.setattr("evonet.training.engine.processes_here", lambda *_: Deadly(*lost))
        wide = replace(GENOMES[0], layers=(Layer(500, "relu"),) * 2)
        requests = [Request(wide, 0), *(Request(GENOMES[0], seed) for seed in range(1, 25))]
        evaluator = engine(iris, workers=2)
        portions = [len(portion) for portion in evaluator.plan(requests).portions]
        assert portions[0] == 1 < max(portions)  # or the test shows less
        evaluations = evaluated(evaluator, requests)
        assert {r.seed for r, e in evaluations.items() if not e.ok} == set(lost)
        assert all("its process died" in e.reason for e in evaluations.values() if not e.ok)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_takes_too_long_has_failed(iris: Dataset, workers: int) -> None:
    evaluator = replace(engine(iris, workers, budget=LONG), timeout=0.05)
    (found,) = evaluated(evaluator, REQUESTS[:1]).values()
    assert (found.status, found.reason) == (
        "failed",
        "it was not over after 0.05 s; see --training-timeout",
    )


def test_without_a_limit_a_training_may_take_far_more_than_predicted(iris: Dataset) -> None:
    brief, long = (
        Job(iris, choose_metric("auto", iris.target), LOSS, budget, "cpu", "float32")
        for budget in (BUDGET, Budget(10**7, 1))
    )
    assert brief.seconds_allowed(REQUESTS[5]) == 600
    (planned,) = long.plan(REQUESTS[5:]).planned
    assert long.seconds_allowed(REQUESTS[5]) == pytest.approx(50 * planned.seconds, rel=0.01)
    assert planned.seconds > 600 / 50


def test_a_limit_is_for_each_fold_and_never_beyond_what_timers_know() -> None:
    folded = load_dataset(make_config({"data": "iris", "folds": 3}))
    metric = choose_metric("auto", folded.target)
    job = Job(folded, metric, LOSS, Budget(10**15, 1), "cpu", "float32")
    assert replace(job, timeout=3.0).seconds_allowed(REQUESTS[5]) == 9
    assert job.seconds_allowed(REQUESTS[5]) == 1e6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
class TestWorkers:
    def test_one_that_is_killed_loses_no_other_training(self, iris: Dataset) -> None:
        longer = Budget(60_000, 60_000)  # seconds each, so that one of two still trains
        evaluating = engine(iris, workers=2, budget=longer).evaluate(REQUESTS)
        first = next(evaluating)
        wait_for(lambda: any(map(is_training, children_of(os.getpid()))), 30)
        os.kill(next(filter(is_training, children_of(os.getpid()))), signal.SIGKILL)
        evaluations = dict(chain(first, *evaluating))
        assert set(evaluations) == set(REQUESTS)
        assert {e.status for e in evaluations.values()} == {"ok"}

    def test_they_end_when_their_parent_is_killed(self) -> None:
        """Also while they train, which would take minutes."""
        code = (
            "from test_engine import *\n"
            "data = load_dataset(make_config({'data': 'iris'}))\n"
            "requests = [Request(genome, seed) for genome in GENOMES for seed in range(100)]\n"
            "list(engine(data, 2, LONG).evaluate(requests))\n"
        )
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        parent = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stderr=subprocess.DEVNULL,
        )
        workers: list[int] = []
        try:
            wait_for(lambda: len(children_of(parent.pid)) == 2 or parent.poll(), 60)
            workers = children_of(parent.pid)
            assert len(workers) == 2
            wait_for(lambda: all(map(is_training, workers)), 60)
            parent.kill()
            parent.wait()
            wait_for(lambda: not any(map(is_alive, workers)), 10)
        finally:
            parent.kill()
            parent.wait()
            for worker in filter(is_alive, workers):
                os.kill(worker, signal.SIGKILL)


def is_alive(process: int) -> bool:
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def is_training(process: int) -> bool:
    """Whether a worker computes for some seconds already."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK") > 4  # seconds in user mode
