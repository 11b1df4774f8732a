"""The job of evonet itself in the quality benchmark: ``evolve`` with its defaults."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.judging import Order
from evonet.config import make_config
from evonet.progress import Observer
from evonet.run import evolve

_WITHOUT_LIMIT = 10**6  # generations: the time is to end the search
#: Leaving Python after the run, and what the clock of a run does not see. Untuned.
_LEAVING = 1.0


class _Watch(Observer):
    """When each part of a run began, in seconds since its process did."""

    def __init__(self, started: float) -> None:
        self.began: dict[str, float] = {}
        self._started = started

    def _mark(self, phase: str) -> None:
        self.began.setdefault(phase, time.time() - self._started)

    def on_start(self, *_: Any, **__: Any) -> None:
        self._mark("baselines")

    def on_generation_start(self, *_: Any, **__: Any) -> None:
        self._mark("search")

    def on_evaluation(self, *_: Any, **__: Any) -> None:
        if "finalists" in self.began:
            self.began["final fit"] = time.time() - self._started  # after the last of them

    def on_search_end(self, *_: Any, **__: Any) -> None:
        self._mark("finalists")

    def on_end(self, *_: Any, **__: Any) -> None:
        self._mark("end")


def evonet_search(**asked: Any) -> dict[str, Any]:
    """Evolve for what is left of the time.

    Args:
        asked: an ``Order``.
    """
    order = Order(**asked)
    watch = _Watch(order.started)
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "data": order.source,
            "target": order.target,
            "metric": order.metric,
            "seed": order.seed,
            "generations": _WITHOUT_LIMIT,
            "results": Path(folder),
        }
        seconds = max(1.0, order.deadline - time.time() - _LEAVING)
        result = evolve(make_config({**config, "max_minutes": seconds / 60}), watch)
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
            "ensemble": dict(winner.ensemble.test_scores) if winner.ensemble else None,
            "baselines": [baseline.to_dict() for baseline in result.baselines],
        },
    }


def warm_up() -> dict[str, Any]:
    """Compile evonet's loops, which is done once on a machine."""
    with tempfile.TemporaryDirectory() as folder:
        evolve(make_config({"data": "iris", "max_trainings": 4, "results": Path(folder)}))
    return {}
