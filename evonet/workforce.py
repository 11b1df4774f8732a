"""Who trains: processes or GPUs of this machine, or a cluster; and how many at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from evonet.config import RunConfig
from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.metrics import Metric
from evonet.training.backend import find_device
from evonet.training.clusters import Cluster, connect
from evonet.training.engine import FusedEvaluator, check_device
from evonet.training.evaluator import Evaluator, KerasEvaluator
from evonet.training.plan import available_cores, most_processes
from evonet.training.processes import processes_here

#: Generations that take less than the limit on time divided by this begin with the longest.
_BRIEF = 10


@dataclass(frozen=True)
class Workforce:
    """What trains, by a run's settings.

    Attributes:
        config: the run's settings.
    """

    config: RunConfig

    def start(self) -> None:
        """Start the processes of this machine that will train: they load while data are read."""
        config = self.config
        here = config.engine == "fused" and config.backend == "loky"
        if here and find_device(config.device) == "cpu":
            processes = processes_here(config.workers or available_cores())
            if processes is not None:
                processes.start(min(config.population_size, most_processes()))

    def check(self) -> None:
        """Find the device, and connect to the cluster.

        Raises:
            EvonetError: one of them is not there.
        """
        _ = self.device, self._cluster

    @property
    def unkept(self) -> str:
        """What cannot be kept here of the settings, and what to do; empty where all can."""
        here = self.config.backend == "loky" and self.device == "gpu"
        if here and self.config.training_timeout is not None:
            return (
                "training_timeout ends processes, which train on CPUs, and here a GPU trains; "
                "leave out --training-timeout, or pass --device cpu."
            )
        return ""

    @cached_property
    def device(self) -> str:
        """What candidates are trained on: "cpu" or "gpu"."""
        fused = self.config.engine == "fused"
        return check_device(self.config.device, self.config.precision) if fused else "cpu"

    @property
    def by_loops(self) -> bool:
        """Whether candidates are trained as the winner is: by loops, a core each."""
        return self.config.engine == "fused" and self.device == "cpu"

    @property
    def n_fits(self) -> int:
        """How many final fits are made at the same time."""
        return (self.config.workers if self.by_loops else None) or available_cores()

    @property
    def n_trainings(self) -> int:
        """How many candidates are trained at the same time."""
        if self._cluster is not None:
            return max(1, self._cluster.workers)
        return self.n_fits if self.by_loops else 1

    @cached_property
    def _cluster(self) -> Cluster | None:
        """What trains candidates, where that is not this machine."""
        return connect(self.config.backend, self.config.address)

    def engine(self, dataset: Dataset, metric: Metric, loss: str, budget: Budget) -> Evaluator:
        """What trains candidates.

        Args:
            dataset: what on.
            metric: what an evaluation's score is.
            loss: what they are trained to lower, as Keras names it.
            budget: how long each may train.
        """
        if self.config.engine == "fused":
            return self.fused_engine(dataset, metric, loss, budget)
        return KerasEvaluator(dataset, metric, loss, budget)

    def fused_engine(
        self, dataset: Dataset, metric: Metric, loss: str, budget: Budget
    ) -> FusedEvaluator:
        """The same where the engine is fused, told how long the first trainings may take."""
        config = self.config
        return FusedEvaluator(
            dataset,
            metric,
            loss,
            budget,
            config.workers,
            config.device,
            config.precision,
            config.max_seconds / _BRIEF,
            self._cluster,
            config.training_timeout,
        )
