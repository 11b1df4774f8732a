"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from evonet.champion.baselines import Baseline, fit_baselines
from evonet.champion.winner import MODEL_FILE, Winner, crown, save_winner
from evonet.config import RunConfig, make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.errors import DataError, RecordError, TrainingError
from evonet.evaluation import Budget, Evaluation, Request, protocol_key
from evonet.evolution.search import Candidate, Search, SearchSettings
from evonet.evolution.selection import Member
from evonet.evolution.stopping import StopRules
from evonet.fitness import WORST, fitness
from evonet.genome import Genome, SearchSpace
from evonet.genome.files import read_genomes, write_genomes
from evonet.metrics import METRICS, Metric, choose_metric
from evonet.progress import GenerationSummary, Observer, RunResult, read_result, search_seconds
from evonet.report.tables import candidates_table, population_table
from evonet.store.cache import ScoreCache
from evonet.store.record import RunRecord, StoredCandidate, StoredGeneration
from evonet.streams import stream, training_seed
from evonet.toml import write_toml
from evonet.training.evaluator import CachedEvaluator, KerasEvaluator
from evonet.training.keras_model import choose_loss

#: The final fit waits this many times longer for a lower loss than the search does. Untuned.
_FINAL_PATIENCE = 3
#: How many of the best genomes may stand in for a winner whose final fit diverges.
_FINALISTS = 3


def evolve(
    config: RunConfig,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Evolve networks on the data of a config, in a new run folder.

    Args:
        config: every setting of the run.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept.

    Raises:
        EvonetError: the data, the space or a setting cannot work, or no training can succeed.
    """
    space = SearchSpace.from_file(config.space) if config.space else SearchSpace.default()
    for gene, text in config.pins:
        space = space.fix(gene, text)
    given = read_genomes(config.population) if config.population else ()
    founders = [space.adopt(stream(config.seed, "sample"), genome) for genome in given]
    if Path(config.data).is_file():  # a run is resumed from any folder
        config = config.changed(data=str(Path(config.data).resolve()))
    session = _Session.new(config, space, founders, observer or Observer(), should_stop)
    return session.evolve()


def resume(
    folder: Path,
    changes: dict[str, Any] | None = None,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Go on with a run until its own limits, or changed ones, are reached.

    Args:
        folder: the run's folder.
        changes: new limits by setting name, such as ``{"generations": 40}``.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept.

    Raises:
        RecordError: there is no run at ``folder``, or it cannot be read.
        DataError: the data are not what they were.
    """
    session = _Session.stored(folder, changes or {}, observer or Observer(), should_stop)
    return session.evolve()


def train(genome: Genome, config: RunConfig, observer: Observer | None = None) -> RunResult:
    """Fit one genome as a run fits its winner, in a new run folder, without a search.

    Raises:
        EvonetError: the data cannot be learned from, or the training diverged.
    """
    if Path(config.data).is_file():
        config = config.changed(data=str(Path(config.data).resolve()))
    space = SearchSpace.default()
    session = _Session.new(config, space, [], observer or Observer(), lambda: False)
    return session.finish([(genome, None)], "no search: one genome was given")


def save_population(folder: Path, file: Path) -> int:
    """Write the last population of a run to a file of genomes; how many there are.

    Raises:
        RecordError: there is no run, it has no finished generation, or the file cannot be written.
    """
    record = RunRecord(folder)
    population = population_table(record)
    genomes = {stored.genome.key: stored.genome for stored in record.evaluations()}
    metric = record.fact("metric")["name"]
    record.close()
    if population.empty:
        raise RecordError(
            f"{folder} has no finished generation yet. Go on with it: evonet resume {folder}"
        )
    last = population[population["generation"] == population["generation"].max()]
    entries = [
        (f"rank {row.rank}", f"run {folder.name}, validation {metric} {row.score:.6g}", genomes[row.genome])
        for row in last.itertuples()
    ]
    try:
        write_genomes(file, entries)
    except OSError as error:
        raise RecordError(f"Cannot write {file}: {error.strerror}.") from None
    return len(entries)


@dataclass
class _Session:
    """One process's work on one run."""

    record: RunRecord
    config: RunConfig
    dataset: Dataset
    space: SearchSpace
    founders: list[Genome]
    observer: Observer
    should_stop: Callable[[], bool]

    @classmethod
    def new(
        cls,
        config: RunConfig,
        space: SearchSpace,
        founders: list[Genome],
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> _Session:
        """Everything that can be refused is refused before the folder is made."""
        dataset = load_dataset(config)
        metric = choose_metric(config.metric, dataset.target)
        choose_loss(config.loss, dataset.target)
        record = RunRecord.new(config.results, config.name, dataset.name)
        record.set_facts(
            {
                "config": config.to_dict(),
                "space": space.to_dict(),
                "founders": [genome.to_dict() for genome in founders],
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
        )
        _write(record.folder / "config.toml", config.to_toml())
        _write(record.folder / "space.toml", write_toml(space.to_dict()))
        return cls(record, config, dataset, space, founders, observer, should_stop)

    @classmethod
    def stored(
        cls,
        folder: Path,
        changes: dict[str, Any],
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> _Session:
        record = RunRecord(folder)
        config = make_config(record.fact("config"), str(folder)).changed(
            **changes, results=folder.parent
        )
        dataset = load_dataset(config)
        if dataset.fingerprint != record.fact("data")["fingerprint"]:
            raise DataError(
                f"The data at {config.data} are not what they were when {folder} was started. "
                "Put the old data back, or start a new run."
            )
        record.set_facts({"config": config.to_dict(), "stopped": None})
        _write(folder / "config.toml", config.to_toml())
        founders = [Genome.from_dict(g, f"{folder}, founder") for g in record.fact("founders")]
        space = SearchSpace.from_dict(record.fact("space"))
        return cls(record, config, dataset, space, founders, observer, should_stop)

    @property
    def metric(self) -> Metric:
        return METRICS[self.record.fact("metric")["name"]]

    @property
    def loss(self) -> str:
        return choose_loss(self.config.loss, self.dataset.target)

    @property
    def final_budget(self) -> Budget:
        config = self.config
        return Budget(config.final_epochs, _FINAL_PATIENCE * config.patience_epochs)

    def evolve(self) -> RunResult:
        """Search, then finish."""
        self.observer.on_start(self.record.folder, self.dataset, self.metric, self.config)
        self.fit_baselines()
        reason = self.search()
        if reason is None or self.should_stop():
            return self.end(None)
        self.observer.on_search_end(reason)
        ranked = _ranked(self.record, self.metric)
        return self.finish([(g, s) for g, s in ranked[:_FINALISTS]], reason)

    def fit_baselines(self) -> None:
        """Fit and write down the baselines, unless the record has them."""
        if not self.record.fact("baselines"):
            baselines = []
            for baseline in fit_baselines(
                self.dataset, self.metric, self.loss, self.final_budget, self.config.seed
            ):
                self.observer.on_baseline(baseline)
                baselines.append(baseline)
                if self.should_stop():
                    return
            self.record.set_fact("baselines", [baseline.to_dict() for baseline in baselines])

    def search(self) -> str | None:
        """The main loop. Why it ended, or None where the user stopped it."""
        config, metric, record = self.config, self.metric, self.record
        cache = ScoreCache(record.folder.parent)
        evaluator = CachedEvaluator(
            KerasEvaluator(
                self.dataset, metric, self.loss, Budget(config.epochs, config.patience_epochs)
            ),
            record,
            cache,
            self.protocol(),
        )
        rules = _stop_rules(config, metric)
        search = _restored(self.space, config, self.founders, record)
        clock = _Clock(record)
        try:
            while True:
                if reason := rules.between_generations(search.generation, search.stalled):
                    return reason
                candidates = search.ask()
                if not candidates:
                    return f"all {len(search.seen)} genomes of the space are tried"
                self.observer.on_generation_start(search.generation, len(candidates))
                evaluations: dict[str, Evaluation] = {}
                best = search.population[0].fitness if search.population else WORST
                evaluating = evaluator.evaluate([self.request(c.genome) for c in candidates])
                while len(evaluations) < len(candidates):
                    if self.should_stop():
                        return None
                    trainings = record.count_trainings()
                    if reason := rules.between_trainings(trainings, clock.seconds, best):
                        return reason
                    request, evaluation = next(evaluating)
                    evaluations[request.genome.key] = evaluation
                    best = max(best, fitness(evaluation, metric))
                    self.observer.on_evaluation(evaluation)
                told = [(c, fitness(evaluations[c.genome.key], metric)) for c in candidates]
                search = search.tell(told)
                _refuse_hopeless(search, evaluations.values())
                self.commit(search, candidates, evaluator, clock)
        finally:
            cache.close()

    def request(self, genome: Genome) -> Request:
        """The training the search asks for."""
        return Request(genome, training_seed(self.config.seed, genome.key))

    def protocol(self) -> str:
        """The key of everything besides genome and seed that a score depends on."""
        config = self.config
        return protocol_key(
            data=self.dataset.fingerprint,
            prepared=self.dataset.protocol,
            metric=self.metric.name,
            loss=self.loss,
            budget=[config.epochs, config.patience_epochs],
            engine=config.engine,
        )

    def commit(
        self,
        search: Search,
        candidates: Sequence[Candidate],
        evaluator: CachedEvaluator,
        clock: _Clock,
    ) -> None:
        """Write down the generation that ``search`` was just told, and tell the observer."""
        number = search.generation - 1
        keys = [evaluator.key(self.request(c.genome)) for c in candidates]
        generation = StoredGeneration(
            number,
            tuple((member.genome.key, member.fitness) for member in search.population),
            search.stalled,
            clock.lap(),
        )
        self.record.commit_generation(
            generation,
            [
                StoredCandidate(number, slot, c.genome.key, key, c.operator, c.parents)
                for slot, (c, key) in enumerate(zip(candidates, keys, strict=True))
            ],
        )
        self.observer.on_generation(_summary(search, generation, keys, self.record, self.metric))

    def finish(
        self, finalists: Sequence[tuple[Genome, float | None]], reason: str
    ) -> RunResult:
        """Fit, test and save the winner, unless the record has this very one."""
        if not finalists:
            raise TrainingError(
                f"The search ended ({reason}) before any training succeeded. Raise that limit: "
                f"evonet resume {self.record.folder} --help"
            )
        if not self.record.fact("baselines"):
            self.observer.on_start(self.record.folder, self.dataset, self.metric, self.config)
            self.fit_baselines()
        winners = self.record.winners()
        known = winners and winners[-1]["finalists"] == [g.key for g, _ in finalists]
        if not known or not (self.record.folder / MODEL_FILE).is_file():
            winner, model = crown(
                finalists, self.dataset, self.metric, self.loss, self.final_budget, self.config.seed
            )
            _saving(self.record.folder, lambda: save_winner(self.record.folder, winner, model))
            entry = {"winner": winner.to_dict(), "finalists": [g.key for g, _ in finalists]}
            self.record.add_winner(entry)
        return self.end(reason)

    def end(self, reason: str | None) -> RunResult:
        """Write the tables, close the record, and say what came out."""
        record = self.record
        record.set_fact("stopped", reason)
        history = candidates_table(record)
        if len(history):
            _saving(
                record.folder, lambda: history.to_csv(record.folder / "history.csv", index=False)
            )
        result = read_result(record)
        record.close()
        self.observer.on_end(result)
        return result


class _Clock:
    """Seconds of search, those of earlier sessions included."""

    def __init__(self, record: RunRecord) -> None:
        self._committed = sum(g.seconds for g in record.generations())
        self._carried = search_seconds(record) - self._committed
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of search up to now."""
        return self._committed + self._carried + time.monotonic() - self._started

    def lap(self) -> float:
        """Seconds of the generation that ends now; the next one starts."""
        lap = self.seconds - self._committed
        self._committed, self._carried, self._started = self.seconds, 0.0, time.monotonic()
        return lap


def _restored(
    space: SearchSpace, config: RunConfig, founders: Sequence[Genome], record: RunRecord
) -> Search:
    """The search as the record left it; a new one where it holds no generation."""
    settings = SearchSettings(
        config.population_size,
        config.elites,
        config.tournament_size,
        config.crossover_rate,
        config.immigrants,
    )
    search = Search(space, settings, config.seed, tuple(founders))
    generations = record.generations()
    if not generations:
        return search
    genomes = {stored.genome.key: stored.genome for stored in record.evaluations()}
    last = generations[-1]
    return replace(
        search,
        generation=last.number + 1,
        population=tuple(Member(genomes[key], value) for key, value in last.population),
        seen=frozenset(c.genome_key for c in record.candidates()),
        stalled=last.stalled,
    )


def _stop_rules(config: RunConfig, metric: Metric) -> StopRules:
    target = config.target_score
    if target is not None and not metric.maximise:
        target = -target
    return StopRules(
        config.generations, config.max_trainings, config.max_minutes, config.patience, target
    )


def _refuse_hopeless(search: Search, evaluations: Any) -> None:
    """Stop with the reason where no training has ever succeeded.

    Raises:
        TrainingError: says how many failed, and the commonest reason.
    """
    if search.population:
        return
    failed = [e for e in evaluations if not e.ok]
    (reason, count), *_ = Counter(f"{e.status}: {e.reason}" for e in failed).most_common()
    raise TrainingError(
        f"All {len(failed)} trainings of the first generation failed, {count} of them with "
        f"'{reason}'. Change the search space (lower learning rates, smaller layers) or the data."
    )


def _ranked(record: RunRecord, metric: Metric) -> list[tuple[Genome, float | None]]:
    """Every genome with a score, best first; of equal scores the lower validation loss."""
    usable = [stored for stored in record.evaluations() if stored.evaluation.ok]
    usable.sort(key=lambda s: (-fitness(s.evaluation, metric), min(s.evaluation.validation_loss)))
    return [(stored.genome, stored.evaluation.score) for stored in usable]


def _summary(
    search: Search,
    generation: StoredGeneration,
    keys: Sequence[str],
    record: RunRecord,
    metric: Metric,
) -> GenerationSummary:
    sign = 1 if metric.maximise else -1
    wanted = set(keys)
    stored = [s for s in record.evaluations() if s.score_key in wanted]
    return GenerationSummary(
        number=generation.number,
        best=sign * search.population[0].fitness,
        median=sign * median(member.fitness for member in search.population),
        best_genome=search.population[0].genome,
        trained=sum(s.origin == "trained" for s in stored),
        cached=sum(s.origin == "cached" for s in stored),
        failed=sum(not s.evaluation.ok for s in stored),
        seconds=generation.seconds,
    )


def _saving(folder: Path, save: Callable[[], Any]) -> None:
    """Write files for people; a disk that is full becomes an error that says how to go on."""
    try:
        save()
    except OSError as error:
        raise RecordError(
            f"Cannot write into {folder}: {error.strerror or error}. The record is kept: free some "
            f"space, then go on with evonet resume {folder}"
        ) from None


def _write(path: Path, text: str) -> None:
    _saving(path.parent, lambda: path.write_text(text, "utf-8"))
