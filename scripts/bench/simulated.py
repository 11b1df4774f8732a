"""A machine park that is not there: trainings are seconds on a simulated clock, all else is real.

The clock goes on by what the coordinator really takes between two results (asking, telling, the
record on disk), and by waiting for the training that ends next.
"""

from __future__ import annotations

import hashlib
import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from evonet.data.dataset import Dataset
from evonet.evaluation import Budget, Evaluation, Request, Rung, as_asked
from evonet.training.slots import each_of

#: What a simulated training has used up at its end.
_BUDGET = Budget(20, 5)


@dataclass
class Park:
    """Workers, and what became of their time.

    Attributes:
        workers: how many there are.
        costs: ``(n,)`` seconds of real trainings, one of which each candidate is given.
        now: seconds on the simulated clock.
        busy_seconds: of all workers together.
        cpu_seconds: of the coordinator.
        wall_seconds: of the coordinator.
        trained: trainings that ended.
    """

    workers: int
    costs: np.ndarray
    now: float = 0.0
    busy_seconds: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    trained: int = 0
    _running: list[tuple[float, int, Request]] = field(default_factory=list)
    _submitted: int = 0
    _since: tuple[float, float] | None = None

    def cost(self, request: Request) -> float:
        """Seconds of a training: equal genomes take equally long."""
        return float(self.costs[int(request.genome.key, 16) % len(self.costs)])

    @property
    def n_free(self) -> int:
        """Workers that have nothing to do."""
        return self.workers - len(self._running)

    @property
    def n_busy(self) -> int:
        """Workers that train."""
        return len(self._running)

    def submit(self, portion: Sequence[Request]) -> None:
        """Start a training on a free worker, once the coordinator has come so far."""
        self._think()
        (request,) = portion
        self._submitted += 1
        heapq.heappush(self._running, (self.now + self.cost(request), self._submitted, request))

    def wait(self) -> list[tuple[Request, Evaluation]]:
        """The training that ends next."""
        self._think()
        end, _, request = heapq.heappop(self._running)
        self.now = max(self.now, end)
        self.busy_seconds += self.cost(request)
        self.trained += 1
        self._since = time.perf_counter(), time.process_time()
        return [(request, _evaluation(request))]

    def close(self) -> None:
        """What is under way is lost; its time counts up to now."""
        self._think()
        for end, _, request in self._running:
            self.busy_seconds += max(0.0, self.cost(request) - max(0.0, end - self.now))
        self._running.clear()

    def _think(self) -> None:
        """Let the clock go on by what the coordinator took since it was last here."""
        wall, cpu = time.perf_counter(), time.process_time()
        if self._since is not None:
            self.now += wall - self._since[0]
            self.wall_seconds += wall - self._since[0]
            self.cpu_seconds += cpu - self._since[1]
        self._since = wall, cpu


class SimulatedEvaluator:
    """Takes the place of the fused engine; its park is that of the class."""

    park: Park

    def __init__(self, dataset: Dataset, *_: object) -> None:
        self.dataset = dataset

    def slots(self) -> Park:
        """Its workers."""
        return self.park

    def evaluate(self, requests: Sequence[Request]) -> Iterator[list[tuple[Request, Evaluation]]]:
        """Train a generation: the longest first, as the planner does; whoever is free takes one."""
        longest_first = sorted(requests, key=self.park.cost, reverse=True)
        return each_of(self.park, [[request] for request in longest_first])

    def close(self) -> None:
        """Nothing more is trained."""
        self.park.close()


def _evaluation(request: Request) -> Evaluation:
    """Scores by hash: what is searched for does not matter here, that something is found does."""
    digest = hashlib.sha256(request.genome.key.encode()).digest()
    score = int.from_bytes(digest[:4], "big") / 2**32
    losses = tuple(np.linspace(1.0, 1.0 - score / 2, _BUDGET.epochs).round(6).tolist())
    whole = Evaluation(
        request.genome.key,
        request.seed,
        "ok",
        "",
        score,
        _BUDGET.epochs,
        losses,
        losses,
        1_000,
        0.1,
        rungs=tuple(Rung(epoch, score * (0.85 + epoch / 100)) for epoch in _BUDGET.rungs),
    )
    return as_asked(whole, request.hurdles) or whole
