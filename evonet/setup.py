"""What follows from a run's settings and its data, and needs no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from evonet.advice.checks import serious_findings
from evonet.advice.finding import Finding
from evonet.budgets import final_budgets, search_budget
from evonet.champion.baselines import constant_score
from evonet.champion.fitting import Fitter
from evonet.champion.timing import Pace, Timetable
from evonet.config import RunConfig
from evonet.data.dataset import CheckedData, Dataset, prepare, read_checked
from evonet.errors import ConfigError
from evonet.evaluation import Budget, Evaluation, Hurdle, Request
from evonet.evolution.methods import METHODS
from evonet.evolution.racing import hurdles
from evonet.evolution.search import Search, SearchSettings
from evonet.evolution.stopping import StopRules
from evonet.extras import require
from evonet.fitness import Fitness, fitnesses, reference
from evonet.genome import Genome, SearchSpace
from evonet.metrics import FEW_ROWS, Metric, choose_metric
from evonet.streams import stream, training_seed
from evonet.training.costs import rows_of, seconds_per_epoch
from evonet.training.evaluator import Evaluator
from evonet.training.keras_model import VERSION, choose_loss
from evonet.training.plan import Plan
from evonet.workforce import Workforce


@dataclass(frozen=True)
class Setup:
    """Settings, data, and all that follows from them.

    Attributes:
        config: the run's settings.
        dataset: the data as networks see them.
        splits: the same rows split anew, as folds, for finalists to be trained again on; None
            where rows are many, or the search has folds of its own.
        space: where genomes come from.
        founders: genomes the first generation starts with.
        advice: what is odd about the data of a new run; it changes nothing.
    """

    config: RunConfig
    dataset: Dataset
    splits: Dataset | None
    space: SearchSpace
    founders: Sequence[Genome]
    advice: Sequence[Finding] = ()

    @classmethod
    def read(cls, config: RunConfig, space: SearchSpace, founders: Sequence[Genome]) -> Setup:
        """Read the data; refuse what cannot work on them or on this machine.

        Args:
            config: the run's settings.
            space: where genomes come from, as the task needs it.
            founders: genomes of that space.

        Raises:
            EvonetError: the data cannot be learned from, or a setting does not fit them.
        """
        return cls._on(_read(config), config, space, founders)

    @classmethod
    def _on(
        cls,
        checked: CheckedData,
        config: RunConfig,
        space: SearchSpace,
        founders: Sequence[Genome],
    ) -> Setup:
        """The same on data that were read."""
        dataset, splits = prepare(checked, config, config.repeats, FEW_ROWS)
        setup = cls(config, dataset, splits, space, founders)
        _ = setup.metric, setup.loss  # each refuses what does not fit
        setup.workforce.check()
        return setup

    @classmethod
    def new(cls, config: RunConfig, space: SearchSpace, founders: Sequence[Genome]) -> Setup:
        """The same for a new run: the space is pinned for the task, and adopts the founders.

        Args:
            config: the run's settings.
            space: where genomes come from.
            founders: genomes the first generation starts with.

        Raises:
            EvonetError: the data cannot be learned from, or a setting does not fit them.
        """
        checked = _read(config)
        setup = cls._on(checked, config, space, founders)
        if unkept := setup.workforce.unkept:
            raise ConfigError(unkept)
        setup.refuse_unreachable()
        space = space.for_task(setup.dataset.target.task)
        rng = stream(config.seed, "founders")
        adopted = [space.adopt(rng, genome) for genome in founders]
        setup._refuse_large(adopted)
        advice = serious_findings(checked, config)
        return replace(setup, space=space, founders=adopted, advice=advice)

    def refuse_unreachable(self) -> None:
        """A target score that is better than perfect: meant in percent, or of another metric.

        Raises:
            ConfigError: it is one.
        """
        metric, target = self.metric, self.config.target_score
        if target is not None and metric.better(target, metric.perfect):
            raise ConfigError(
                f"target_score is {target:g}, but the best {metric.name} there can be is "
                f"{metric.perfect:g}. Change --target-score."
            )

    def _refuse_large(self, founders: Sequence[Genome]) -> None:
        """Of genomes that the user gave, all must be of a size that is allowed."""
        file, most = self.config.population, self.config.max_parameters
        if file is None or most is None:
            return
        sizes = [self.dataset.parameter_count(genome) for genome in founders]
        if large := [size for size in sizes if size > most]:
            raise ConfigError(
                f"{len(large)} of {len(sizes)} genomes of {file} have more than {most} parameters, "
                f"the largest {max(large)}. Leave them out, or pass --max-parameters {max(large)}."
            )

    @cached_property
    def metric(self) -> Metric:
        """What the run improves."""
        return choose_metric(self.config.metric, self.dataset.target)

    @cached_property
    def loss(self) -> str:
        """What networks are tried on, as Keras names it."""
        return choose_loss(self.config.loss, self.dataset.target)

    @property
    def search_budget(self) -> Budget:
        """How long a candidate may train."""
        return search_budget(self.config, len(self.dataset.train))

    @property
    def final_budgets(self) -> list[Budget]:
        """The budgets of the final fits of the winner, and of the default network."""
        return final_budgets(self.config, self.search_budget)

    @property
    def stop_rules(self) -> StopRules:
        """The limits of the search."""
        config, target = self.config, self.config.target_score
        if target is not None:
            target *= self.metric.sign
        return StopRules(
            config.max_generations,
            config.max_trainings,
            config.max_minutes,
            config.patience,
            target,
        )

    @property
    def protocol(self) -> dict[str, object]:
        """Everything besides genome and seed that a score of the search depends on."""
        return self.protocol_of(self.dataset)

    def protocol_of(self, dataset: Dataset) -> dict[str, object]:
        """The same of a score on the same rows, split in another way; as plain values."""
        budget = self.search_budget
        return {
            "data": dataset.fingerprint,
            "prepared": dataset.protocol,
            "metric": self.metric.name,
            "loss": self.loss,
            "budget": [budget.epochs, budget.patience_epochs],
            "rungs": list(budget.rungs),
            "engine": self.config.engine,
            "precision": self.config.precision,
            "training": VERSION,
        }

    @property
    def baseline_budgets(self) -> list[Budget]:
        """Of the default network's fits: the winner's, or with a limit on time a brief one."""
        return self.final_budgets if self.config.max_minutes is None else [self.search_budget]

    @cached_property
    def workforce(self) -> Workforce:
        """Who trains."""
        return Workforce(self.config)

    @property
    def fitter(self) -> Fitter:
        """What makes final fits."""
        return Fitter(self.dataset, self.metric, self.loss, self.workforce.n_fits)

    def timetable(self, search_began: float) -> Timetable:
        """When the parts of a run have to end.

        Args:
            search_began: seconds of the run when the search began.
        """
        config = self.config
        return Timetable(
            config.max_seconds,
            search_began,
            self.workforce.n_trainings,
            self.workforce.n_fits,
            config.repeats,
            config.repeats if self.splits else 1,
            self.search_budget,
            self.final_budgets,
        )

    def pace(self, genome: Genome, evaluation: Evaluation) -> Pace:
        """How fast a network that was trained in the search trains again.

        A final fit is as fast as the search where the same loops do both; else it is predicted.
        """
        epochs = evaluation.epochs * max(1, len(evaluation.folds))
        epoch = evaluation.seconds / max(1, epochs)
        if not self.workforce.by_loops:
            epoch = seconds_per_epoch(genome, rows_of(self.dataset))
        return Pace(evaluation.seconds, epoch, evaluation.best_epoch)

    def engine(self, dataset: Dataset) -> Evaluator:
        """What trains candidates on some data."""
        return self.workforce.engine(dataset, self.metric, self.loss, self.search_budget)

    @property
    def measure(self) -> Callable[[Genome], float | None] | None:
        """What times a network's predictions, where that is an objective."""
        if "inference_ms" not in self.config.objective:
            return None
        from evonet.training.latency import inference_ms  # loads Numba

        return partial(inference_ms, dataset=self.dataset)

    def plan(self, genomes: Sequence[Genome]) -> Plan:
        """How the fused engine would train some genomes, or else the first generation.

        Raises:
            ConfigError: the engine makes no plans.
        """
        if self.config.engine != "fused":
            raise ConfigError(
                f"engine {self.config.engine} trains one network after the other, without a plan. "
                "Leave out --engine."
            )
        genomes = genomes or [candidate.genome for candidate in self.new_search().ask()]
        how = self.dataset, self.metric, self.loss, self.search_budget
        return self.workforce.fused_engine(*how).plan([self.request(g) for g in genomes])

    def request(self, genome: Genome, repeat: int = 0, hurdles: tuple[Hurdle, ...] = ()) -> Request:
        """The training the search asks for, or another one of the same genome."""
        seed = training_seed(self.config.seed, genome.key, repeat)
        return Request(genome, seed, repeat, hurdles)

    def hurdles(self, search: Search, evaluations: Mapping[str, Evaluation]) -> tuple[Hurdle, ...]:
        """What the candidates of the next generation must reach on their way.

        Args:
            search: asks for them.
            evaluations: all that it was told, by genome key.
        """
        several = len(self.config.objective) > 1  # a small network may be behind in its score
        if self.config.fidelity == "off" or (self.config.fidelity == "auto" and several):
            return ()
        return hurdles(
            [evaluations[member.genome.key] for member in search.told],
            self.config.population_size,
            self.search_budget.rungs,
            self.metric,
            always=self.config.fidelity == "on",
        )

    def fitnesses(self, evaluation: Evaluation) -> Fitness:
        """What selection sees of a training."""
        return fitnesses(evaluation, self.metric, self.config.objective)

    def new_search(self) -> Search:
        """A search before its first generation."""
        config, most = self.config, self.config.max_parameters
        settings = SearchSettings(
            config.population_size,
            config.offspring,
            config.tournament_size,
            config.crossover_rate,
            config.immigrants,
            config.screened,
        )

        def fits(genome: Genome) -> bool:
            return most is None or self.dataset.parameter_count(genome) <= most

        founders = tuple(genome for genome in self.founders if fits(genome))
        worthless: Fitness = ()
        if len(config.objective) > 1:
            constant = constant_score(self.dataset, self.metric)
            worthless = reference(constant, self.metric, config.objective)
        method = METHODS[config.method]
        return Search(
            self.space,
            settings,
            method,
            config.seed,
            founders,
            reference=worthless,
            fits=fits,
            size_of=self.dataset.parameter_count,
        )


def _read(config: RunConfig) -> CheckedData:
    """The data, once no package is missing that the settings need.

    Raises:
        EvonetError: a package is missing, or the data cannot be learned from.
    """
    if package := METHODS[config.method].package:
        require(package, f"method {config.method}", "pass another --method")
    if config.tensorboard:
        require("tensorboard", "--tensorboard", "leave it out")
    return read_checked(config)
