"""One process's work on one run: its record, its data, and all that follows from its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from evonet.champion.baselines import constant_score
from evonet.config import RunConfig, is_limit, make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.errors import ConfigError, DataError, RecordError
from evonet.evaluation import Budget, Evaluation, Hurdle, Request, protocol_key
from evonet.evolution.methods import METHODS
from evonet.evolution.racing import hurdles
from evonet.evolution.search import Candidate, Search, SearchSettings
from evonet.evolution.stopping import StopRules
from evonet.fitness import Fitness, fitnesses, reference
from evonet.genome import Genome, SearchSpace
from evonet.metrics import Metric, choose_metric
from evonet.progress import Observer
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.record import RunRecord
from evonet.streams import stream, training_seed
from evonet.toml import write_toml
from evonet.training.engine import FusedEvaluator, check_device
from evonet.training.evaluator import CachedEvaluator, KerasEvaluator
from evonet.training.keras_model import VERSION, choose_loss
from evonet.training.plan import Plan, available_cores

#: The final fit waits this many times longer for a lower loss than the search does. Untuned.
_FINAL_PATIENCE = 3
#: The final fit has so many times the epochs of the search. Untuned.
_FINAL_EPOCHS = 5
#: The search waits for a lower loss as long as this share of its epochs.
_PATIENCE = 4
#: A validation part of fewer rows is not what finalists are chosen on. Untuned.
_FEW_ROWS = 5_000
#: Epochs for a candidate where there are many rows, and where there are few.
_EPOCHS = 20, 100
#: Between these two, a candidate sees so many rows in all its epochs.
_ROWS_SEEN = 50_000


@dataclass(frozen=True)
class Session:
    """What the main loop works with.

    Attributes:
        record: the run's record, open.
        config: the run's settings.
        dataset: the data as networks see them.
        space: where genomes come from.
        founders: genomes the first generation starts with.
        given: the one genome to fit without a search, if there is to be none.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept.
    """

    record: RunRecord
    config: RunConfig
    dataset: Dataset
    space: SearchSpace
    founders: Sequence[Genome]
    given: Genome | None
    observer: Observer
    should_stop: Callable[[], bool]

    @classmethod
    def new(
        cls,
        config: RunConfig,
        space: SearchSpace,
        founders: Sequence[Genome],
        given: Genome | None,
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> Session:
        """Start a run. Everything that can be refused is refused before its folder is made.

        Genes that mean nothing in the task are pinned, and the space adopts the founders.
        """
        config = _from_anywhere(config)
        dataset = load_dataset(config)
        metric = choose_metric(config.metric, dataset.target)
        choose_loss(config.loss, dataset.target)
        space, founders = _adopted(config, dataset, space, founders)
        _check_device(config)
        _check_method(config)
        facts = {
            "config": config.to_dict(),
            "space": space.to_dict(),
            "founders": [genome.to_dict() for genome in founders],
            "given": given.to_dict() if given else None,
            "protocol": _protocol(config, dataset),
            "metric": {"name": metric.name, "maximise": metric.maximise},
            "data": {
                "name": dataset.name,
                "fingerprint": dataset.fingerprint,
                "target": dataset.target.to_dict(),
                "preparation": dataset.preparation.to_dict(),
                "n_inputs": dataset.n_inputs,
                "rows": [len(p) for p in (dataset.train, dataset.validation, dataset.test)],
                "notes": list(dataset.notes),
            },
            "baselines": [],
            "stopped": None,
        }
        record = RunRecord.new(config.results, config.name, dataset.name, facts)
        with exporting(record.folder):
            (record.folder / "config.toml").write_text(config.to_toml(), "utf-8")
            (record.folder / "space.toml").write_text(write_toml(space.to_dict()), "utf-8")
        return cls(record, config, dataset, space, founders, given, observer, should_stop)

    @classmethod
    def stored(
        cls,
        folder: Path,
        changes: dict[str, Any],
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> Session:
        """Take up a run where its record ends. New limits take the place of all the old ones."""
        record = RunRecord(folder)
        try:
            return cls._restored(record, changes, observer, should_stop)
        except BaseException:
            record.close()
            raise

    @classmethod
    def _restored(
        cls,
        record: RunRecord,
        changes: dict[str, Any],
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> Session:
        folder = record.folder
        config = make_config(record.fact("config"), str(folder))
        if changes and record.fact("given"):
            raise ConfigError(f"{folder} fits one genome, without a search that could go on.")
        if changes:
            limits = {n: f.default for n, f in RunConfig.model_fields.items() if is_limit(n)}
            if unknown := sorted(set(changes) - set(limits)):
                raise ConfigError(
                    f"{unknown[0]} cannot change within a run; expected a limit, one of "
                    f"{', '.join(limits)}. Start a new run to change it."
                )
            limits["generations"] = config.generations
            config = config.changed(**{**limits, **changes})
        config = config.changed(results=folder.parent)
        _check_method(config)
        dataset = load_dataset(config)
        if dataset.fingerprint != record.fact("data")["fingerprint"]:
            raise DataError(
                f"The data at {config.data} are not what they were when {folder} was started. "
                "Put the old data back, or start a new run."
            )
        if _protocol(config, dataset) != record.fact("protocol"):
            raise RecordError(
                f"{folder} was started by an evonet that prepares data or trains in another way: "
                "its scores cannot be compared with new ones. Use that evonet, or start a new run."
            )
        record.set_facts({"config": config.to_dict(), "stopped": None})
        with exporting(folder):
            (folder / "config.toml").write_text(config.to_toml(), "utf-8")
        founders = [Genome.from_dict(g, f"{folder}, founder") for g in record.fact("founders")]
        given = record.fact("given")
        return cls(
            record,
            config,
            dataset,
            SearchSpace.from_dict(record.fact("space")),
            founders,
            Genome.from_dict(given, f"{folder}, given genome") if given else None,
            observer,
            should_stop,
        )

    @cached_property
    def metric(self) -> Metric:
        """What the run improves."""
        return choose_metric(self.config.metric, self.dataset.target)

    @cached_property
    def loss(self) -> str:
        """What networks are trained on, as Keras names it."""
        return choose_loss(self.config.loss, self.dataset.target)

    @property
    def search_budget(self) -> Budget:
        """How long a candidate may train."""
        return search_budget(self.config, len(self.dataset.train))

    @property
    def final_budget(self) -> Budget:
        """How long the winner, and the default network it is held against, may train."""
        search = self.search_budget
        epochs = self.config.final_epochs or _FINAL_EPOCHS * search.epochs
        return Budget(epochs, _FINAL_PATIENCE * search.patience_epochs)

    @property
    def stop_rules(self) -> StopRules:
        """The limits of the search."""
        config, target = self.config, self.config.target_score
        if target is not None:
            target *= self.metric.sign
        return StopRules(
            config.generations, config.max_trainings, config.max_minutes, config.patience, target
        )

    @property
    def workers(self) -> int:
        """How many candidates train at the same time on a CPU."""
        return 1 if self.config.engine == "keras" else self.config.workers or available_cores()

    @property
    def fit_rounds(self) -> int:
        """How many times as long as one final fit all of them take."""
        return -(-self.config.final_fits // self.workers)

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

    @cached_property
    def other_splits(self) -> Dataset | None:
        """The data with as many folds as a finalist is trained again; None for the one split.

        Where rows are few, those of the validation part have been looked at too often after a
        search: a finalist is scored on all rows that are not for the test.
        """
        few = len(self.dataset.validation) < _FEW_ROWS
        if self.config.folds is not None or self.config.repeats < 2 or not few:
            return None
        try:
            return load_dataset(self.config.changed(folds=self.config.repeats))
        except (ConfigError, DataError):  # too few rows for so many folds
            return None

    def evaluator(self, cache: ScoreCache, dataset: Dataset | None = None) -> CachedEvaluator:
        """The engine that trains, behind the record and the score cache.

        Args:
            cache: of the results folder.
            dataset: what to train on; the data of the search if left out.
        """
        dataset = dataset or self.dataset
        protocol = protocol_key(**_protocol(self.config, dataset))
        common = dataset, self.metric, self.loss, self.search_budget
        config = self.config
        measure = None
        if "inference_ms" in config.objective:
            from evonet.training.latency import inference_ms  # loads Numba

            measure = partial(inference_ms, dataset=self.dataset)
        behind = self.record, cache, protocol, measure
        if config.engine == "keras":
            return CachedEvaluator(KerasEvaluator(*common), *behind)
        how = config.workers, config.device, config.precision
        return CachedEvaluator(FusedEvaluator(*common, *how), *behind)

    def fitnesses(self, evaluation: Evaluation) -> Fitness:
        """What selection sees of a training."""
        return fitnesses(evaluation, self.metric, self.config.objective)

    def search(self) -> Search:
        """The search as the record left it: a new one, told again what it was told."""
        search = _new_search(self.config, self.dataset, self.space, self.founders)
        stored = {s.score_key: s for s in self.record.evaluations()}
        for _, asked in groupby(self.record.candidates(), key=lambda c: c.generation):
            told = []
            for candidate in asked:
                of = stored[candidate.score_key]
                made = Candidate(of.genome, candidate.operator, candidate.parents)
                told.append((made, self.fitnesses(of.evaluation)))
            search = search.tell(told)
        return search


def _check_device(config: RunConfig) -> None:
    """Refuse what this machine cannot train on before anything is made.

    Raises:
        EvonetError: there is no GPU for what is asked, or the engine has no choice.
    """
    if config.engine == "fused":
        check_device(config.device, config.precision)
    elif config.precision != "float32":
        raise ConfigError("precision bfloat16 is of engine fused. Leave out --precision.")


def _check_method(config: RunConfig) -> None:
    """Refuse a method whose package is missing.

    Raises:
        ConfigError: names the package, and the command that installs it.
    """
    package = METHODS[config.method].package
    if package and find_spec(package) is None:
        raise ConfigError(
            f"method {config.method} needs the package {package}, which is not installed. "
            f"Install it with pip install {package}, or pass another --method."
        )


def plan_trainings(
    config: RunConfig, space: SearchSpace, founders: Sequence[Genome], genomes: Sequence[Genome]
) -> Plan:
    """How the fused engine would train some genomes, or else the first generation of a run.

    Args:
        config: every setting of the run.
        space: where genomes come from.
        founders: genomes the first generation starts with.
        genomes: what to train; empty for the first generation.

    Raises:
        ConfigError: the engine makes no plans, or metric or loss do not fit the task.
    """
    if config.engine != "fused":
        raise ConfigError(
            f"engine {config.engine} trains one network after the other, without a plan. "
            "Leave out --engine."
        )
    dataset = load_dataset(config)
    metric = choose_metric(config.metric, dataset.target)
    loss = choose_loss(config.loss, dataset.target)
    if not genomes:
        search = _new_search(config, dataset, *_adopted(config, dataset, space, founders))
        genomes = [candidate.genome for candidate in search.ask()]
    budget = search_budget(config, len(dataset.train))
    how = config.workers, config.device, config.precision
    engine = FusedEvaluator(dataset, metric, loss, budget, *how)
    return engine.plan([Request(g, training_seed(config.seed, g.key)) for g in genomes])


def search_budget(config: RunConfig, n_train: int) -> Budget:
    """How long a candidate may train, where the config leaves it open.

    An epoch of few rows is few steps, so that there are more of them.

    Args:
        config: the run's settings.
        n_train: rows of the training part.

    Example:
        >>> [search_budget(RunConfig(), n).epochs for n in (100, 1_000, 40_000)]
        [100, 50, 20]
    """
    fewest, most = _EPOCHS
    epochs = config.epochs or min(most, max(fewest, round(_ROWS_SEEN / n_train)))
    return Budget(epochs, config.patience_epochs or max(1, epochs // _PATIENCE))


def _adopted(
    config: RunConfig, dataset: Dataset, space: SearchSpace, founders: Sequence[Genome]
) -> tuple[SearchSpace, list[Genome]]:
    """The space as the task needs it, and the founders with its pinned genes."""
    space = space.for_task(dataset.target.task)
    rng = stream(config.seed, "founders")
    return space, [space.adopt(rng, genome) for genome in founders]


def _new_search(
    config: RunConfig, dataset: Dataset, space: SearchSpace, founders: Sequence[Genome]
) -> Search:
    """A search before its first generation."""
    settings = SearchSettings(
        config.population_size,
        config.offspring,
        config.tournament_size,
        config.crossover_rate,
        config.immigrants,
    )
    most = config.max_parameters

    def fits(genome: Genome) -> bool:
        return most is None or dataset.parameter_count(genome) <= most

    founders = tuple(genome for genome in founders if fits(genome))
    method = METHODS[config.method]
    worthless: Fitness = ()
    if len(config.objective) > 1:
        metric = choose_metric(config.metric, dataset.target)
        worthless = reference(constant_score(dataset, metric), metric, config.objective)
    return Search(space, settings, method, config.seed, founders, reference=worthless, fits=fits)


def _protocol(config: RunConfig, dataset: Dataset) -> dict[str, object]:
    """Everything besides genome and seed that a score depends on, as plain values."""
    budget = search_budget(config, len(dataset.train))
    return {
        "data": dataset.fingerprint,
        "prepared": dataset.protocol,
        "metric": choose_metric(config.metric, dataset.target).name,
        "loss": choose_loss(config.loss, dataset.target),
        "budget": [budget.epochs, budget.patience_epochs],
        "engine": config.engine,
        "precision": config.precision,
        "training": VERSION,
    }


def _from_anywhere(config: RunConfig) -> RunConfig:
    """The config with its files named in full: a run is resumed from any folder."""
    files = {name: getattr(config, name) for name in ("space", "population")}
    full = {name: file.resolve() for name, file in files.items() if file is not None}
    if Path(config.data).is_file():
        full["data"] = str(Path(config.data).resolve())
    return config.changed(**full)
