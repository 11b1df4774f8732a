"""Trainings that take no time, for tests of everything around them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Generator, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean

import pytest

import evonet.finale
import evonet.loop
import evonet.session
import evonet.workforce
from evonet.champion.crowning import Crowned
from evonet.champion.predictor import networks_digest
from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request, Rung, as_asked
from evonet.outcome import Winner


def fake_score(request: Request, fold: int = 0) -> float:
    """A score from 0 to 1 that depends on genome, seed and fold, and on nothing else."""
    name = f"{request.genome.key} {request.seed}" + (f" {fold}" if fold else "")
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


class FakeEvaluator:
    """Scores by hash; counts what it trained; fails where it is told to."""

    trained: list[str]
    submitted: list[str]  # to slots
    fails = staticmethod(lambda request: None)  # returns (status, reason) for a failure
    n_slots = 1
    together = 1  # trainings that come back at once
    takes = staticmethod(lambda request: 1.0)  # seconds of a training, of which none goes by

    def __init__(self, dataset: Dataset, *_: object, **__: object) -> None:
        self.n_folds = len(dataset.folds)

    def slots(self) -> FakeSlots:
        return FakeSlots(self)

    def close(self) -> None:
        pass

    def evaluate(
        self, requests: Sequence[Request]
    ) -> Generator[list[tuple[Request, Evaluation]], None, None]:
        for i in range(0, len(requests), self.together):
            yield [(own, self.evaluation(own)) for own in requests[i : i + self.together]]

    def evaluation(self, request: Request) -> Evaluation:
        type(self).trained.append(request.genome.key)
        status, reason = type(self).fails(request) or ("ok", "")
        folds = tuple(fake_score(request, k) for k in range(self.n_folds))
        score = fmean(folds) if folds else fake_score(request)
        if status != "ok":
            score, folds = None, folds[:1]
        curve = (1.0, 0.5) if status == "ok" else ()
        whole = Evaluation(
            request.genome.key,
            request.seed,
            status,
            reason,
            score,
            2,
            curve,
            curve,
            request.genome.parameter_count(4, 3),  # on iris
            0.01,
            rungs=() if score is None else (Rung(2, score**2),),
            folds=folds,
        )
        return dropped_or_not(request, whole)


class FakeSlots:
    """Places whose trainings end when a clock that nobody waits for says so."""

    def __init__(self, evaluator: FakeEvaluator) -> None:
        self.evaluator, self.now = evaluator, 0.0
        self.busy: list[tuple[float, int, Request]] = []

    @property
    def n_free(self) -> int:
        return self.evaluator.n_slots - len(self.busy)

    @property
    def n_busy(self) -> int:
        return len(self.busy)

    def submit(self, portion: Sequence[Request]) -> None:
        (request,) = portion
        assert self.n_free, "nothing may wait for a place"
        self.evaluator.submitted.append(request.genome.key)
        end = self.now + self.evaluator.takes(request)
        heapq.heappush(self.busy, (end, len(self.evaluator.submitted), request))

    def wait(self) -> list[tuple[Request, Evaluation]]:
        self.now, _, request = heapq.heappop(self.busy)
        return list(chain(*self.evaluator.evaluate([request])))

    def close(self) -> None:
        self.busy.clear()


def dropped_or_not(request: Request, evaluation: Evaluation) -> Evaluation:
    """A whole evaluation as the hurdles of its request would have it."""
    asked = as_asked(evaluation, request.hurdles)
    assert asked is not None
    return asked


@pytest.fixture
def fake_training(monkeypatch: pytest.MonkeyPatch) -> type[FakeEvaluator]:
    """Runs that train nothing: search, record, cache and resume stay real."""

    class Fake(FakeEvaluator):
        trained: list[str] = []  # noqa: RUF012 - one list per test is the point
        submitted: list[str] = []  # noqa: RUF012

    def crown(finalists, *_: object) -> Crowned:
        best = finalists[0]
        scores = best.search_score, best.repeats, 0.5, 0.5, (0.3, 0.7), {"accuracy": 0.5}
        fits = best.on_splits, 1, 2, Budget(2, 2)
        winner = Winner(best.genome, *scores, 7, 2, (1.0,), (1.0,), *fits)
        return Crowned(winner, ())

    def save_winner(folder: Path, *_: object) -> str:
        for name in ("model.keras", "networks.npz"):
            (folder / name).touch()
        return networks_digest(folder / "networks.npz")

    for engine in ("KerasEvaluator", "FusedEvaluator"):
        monkeypatch.setattr(evonet.workforce, engine, Fake)
    monkeypatch.setattr(evonet.workforce.Workforce, "start", lambda _: None)
    monkeypatch.setattr(evonet.loop, "compile_loops", lambda *_: None)
    monkeypatch.setattr(evonet.loop, "fit_baselines", lambda *_: iter(()))
    monkeypatch.setattr(evonet.finale, "crown", crown)
    monkeypatch.setattr(evonet.finale, "save_winner", save_winner)
    return Fake
