"""The job of evonet itself in the quality benchmark: ``evolve`` with its defaults."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.judging import Order
from bench.machine import cores
from evonet.champion.winner import count_finalists
from evonet.config import make_config
from evonet.evaluation import Evaluation
from evonet.metrics import METRICS
from evonet.progress import Observer
from evonet.run import evolve, resume

_WITHOUT_LIMIT = 10**6  # generations: the time is to end the search
#: A final fit has five times the epochs of a candidate, and mostly stops early. Untuned.
_FINAL_FIT = 3.0
#: Loading TensorFlow and saving model.keras, in times of starting Python and reading the data,
#: which says how fast the machine is at the moment. Untuned.
_SAVING = 1.5
#: Least share of the time left at its start that the search has, whatever will follow: the first
#: trainings come from workers that have just started, and say little. Untuned.
_SHARE_OF_SEARCH = 0.5


class _Watch(Observer):
    """When each part of a run began, in seconds since its process did, and its trainings."""

    def __init__(self, started: float) -> None:
        self.began: dict[str, float] = {}
        self.evaluations: list[Evaluation] = []
        self._started = started

    def _mark(self, phase: str) -> None:
        self.began.setdefault(phase, time.time() - self._started)

    def on_start(self, *_: Any, **__: Any) -> None:
        self._mark("baselines")

    def on_generation_start(self, *_: Any, **__: Any) -> None:
        self._mark("search")

    def on_evaluation(self, evaluation: Evaluation) -> None:
        if "finalists" in self.began:
            self.began["final fit"] = time.time() - self._started  # after the last of them
        else:
            self.evaluations.append(evaluation)

    def on_search_end(self, *_: Any, **__: Any) -> None:
        self._mark("finalists")

    def on_end(self, *_: Any, **__: Any) -> None:
        self._mark("stopped" if "finalists" not in self.began else "end")


def evonet_search(**asked: Any) -> dict[str, Any]:
    """Evolve as long as what follows the search still fits before the deadline.

    The search has half of the time at least.

    Args:
        asked: an ``Order``.
    """
    order = Order(**asked)
    watch, sign = _Watch(order.started), METRICS[order.metric].sign
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(
            {
                "data": order.source,
                "target": order.target,
                "metric": order.metric,
                "seed": order.seed,
                "generations": _WITHOUT_LIMIT,
                "results": Path(folder),
            }
        )

        def is_time() -> bool:
            now, began = time.time(), watch.began
            if "search" not in began:
                return False
            searched, left = now - order.started - began["search"], order.deadline - now
            if searched < _SHARE_OF_SEARCH * (searched + left):
                return False
            count = config.finalists, config.repeats
            rest = seconds_after_search(watch.evaluations, sign, *count)
            return rest + _SAVING * began["baselines"] >= left

        run = evolve(config, watch, is_time).folder
        result = resume(run, {"max_trainings": 1}, watch)  # no more; finalists and final fit
    winner = result.winner
    if winner is None:
        raise RuntimeError("evonet ended without a winner")
    return {
        "validation": winner.validation_score,
        "test": dict(winner.test_scores),
        "trainings": result.trainings,
        "details": {
            "began": watch.began,
            "genome": winner.genome.to_dict(),
            "search_score": winner.search_score,
            "revalidated_score": winner.revalidated_score,
            "best_epoch": winner.best_epoch,
            "final_epochs": len(winner.train_loss),
            "baselines": [baseline.to_dict() for baseline in result.baselines],
        },
    }


def seconds_after_search(
    evaluations: Sequence[Evaluation], sign: int, finalists: int, repeats: int
) -> float:
    """How long the finalists and the final fit will take, by the trainings so far; 0 without any.

    Args:
        evaluations: of the search.
        sign: 1 where a higher score is better, -1 where a lower one is.
        finalists: most networks that are trained again.
        repeats: trainings of each of them.
    """
    scored = [e for e in evaluations if e.score is not None]
    scored.sort(key=lambda e: -sign * (e.score or 0.0))
    again = scored[: count_finalists(finalists, repeats, len(scored))]
    if not again:
        return 0.0
    trainings = repeats * sum(e.seconds for e in again) / len(cores())
    return trainings + _FINAL_FIT * max(e.seconds for e in again)


def warm_up() -> dict[str, Any]:
    """Compile evonet's loops, which is done once on a machine."""
    with tempfile.TemporaryDirectory() as folder:
        evolve(make_config({"data": "iris", "max_trainings": 4, "results": Path(folder)}))
    return {}
