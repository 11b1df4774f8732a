"""One process's work on one run: its setup, its record, and who watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import Any

from evonet.champion.fitting import Fitter
from evonet.config import RunConfig, flag_of, is_limit, is_of_machines
from evonet.data.dataset import Dataset, refuse_other_data
from evonet.errors import ConfigError, RecordError
from evonet.evaluation import protocol_key
from evonet.evolution.search import Candidate, Search
from evonet.evolution.steady import SteadySearch
from evonet.fitness import Fitness
from evonet.genome import Genome, SearchSpace
from evonet.paths import is_file
from evonet.progress import Observer
from evonet.setup import Setup
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.facts import DataFacts, Facts
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate
from evonet.toml import write_toml
from evonet.training.cached import CachedEvaluator
from evonet.workforce import Workforce


@dataclass(frozen=True)
class Session:
    """What the main loop works with.

    Attributes:
        setup: settings, data, and what follows from them.
        record: the run's record, open.
        given: the one genome to fit without a search, if there is to be none.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept that was
            trained, but for final fits.
    """

    setup: Setup
    record: RunRecord
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
        """Start a run. Everything that can be refused is refused before its folder is made."""
        Workforce(config).start()
        setup = Setup.new(_from_anywhere(config), space, founders)
        config, dataset = setup.config, setup.dataset
        facts = Facts(
            config,
            setup.space,
            tuple(setup.founders),
            given,
            setup.protocol,
            setup.metric,
            DataFacts(
                dataset.name,
                dataset.fingerprint,
                dataset.target,
                dataset.preparation,
                dataset.n_inputs,
                (len(dataset.train), len(dataset.validation), len(dataset.test)),
                dataset.notes,
                tuple(setup.advice),
            ),
            baselines=(),
            started=time.time(),
        )
        record = RunRecord.new(config.results, config.name, dataset.name, facts)
        try:
            record.claim()
            with exporting(record.folder):
                (record.folder / "config.toml").write_text(config.to_toml(), "utf-8")
                space_toml = write_toml(setup.space.to_dict())
                (record.folder / "space.toml").write_text(space_toml, "utf-8")
        except BaseException:
            record.close()
            raise
        return cls(setup, record, given, observer, should_stop)

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
        record.claim()
        folder = record.folder
        known = record.facts
        config = known.config
        machines = {n: changes[n] for n in changes if is_of_machines(n)}
        changes = {n: changes[n] for n in changes if n not in machines}
        if "backend" in machines:
            machines.setdefault("address", None)
        elif "address" not in machines:
            _refuse_stored_cluster(config, folder)
        config = config.changed(**machines)
        if changes and known.given is not None:
            raise ConfigError(f"{folder} fits one genome, without a search that could go on.")
        if changes:
            limits = {n: f.default for n, f in RunConfig.model_fields.items() if is_limit(n)}
            if unknown := sorted(set(changes) - set(limits)):
                raise ConfigError(
                    f"{unknown[0]} cannot change within a run; expected a limit, one of "
                    f"{', '.join(limits)}. Start a new run to change it."
                )
            if not {"max_minutes", "max_trainings"} & set(changes):  # else nothing would end it
                limits["generations"] = config.generations
            config = config.changed(**{**limits, **changes})
        config = config.changed(results=folder.parent)
        if known.stopped and changes and (said := _spent(config, record, beyond=True)):
            raise ConfigError(said)  # else its winner would be chosen anew, among as many
        if (changes or known.stopped) and (said := _spent(config, record)):
            observer.on_warning(said)
        Workforce(config).start()
        setup = Setup.read(config, known.space, known.founders)
        if unkept := setup.workforce.unkept:
            observer.on_warning(unkept)
        if "target_score" in changes:
            setup.refuse_unreachable()
        refuse_other_data(setup.dataset, known.data.fingerprint, config.data, folder)
        if setup.protocol != known.protocol:
            raise RecordError(
                f"{folder} was started by an evonet that prepares data or trains in another way: "
                "its scores cannot be compared with new ones. Use that evonet, or start a new run."
            )
        facts: dict[str, Any] = {"config": config}
        if changes:  # it is not at its end any more, and new limits are counted from here
            facts |= {"stopped": None, "search_began": None}
        record.set_facts(**facts)
        with exporting(folder):
            (folder / "config.toml").write_text(config.to_toml(), "utf-8")
        return cls(setup, record, known.given, observer, should_stop)

    @property
    def fitter(self) -> Fitter:
        """What makes final fits, until the user stops it."""
        return replace(self.setup.fitter, should_stop=self.should_stop)

    def log(self) -> None:
        """Add what is new to the logs that the user asked for."""
        if self.setup.config.tensorboard:
            from evonet.logs.event_files import write_event_files  # an extra

            write_event_files(self.record)

    def close(self) -> None:
        """Close what is open; nothing can be trained or written down any more."""
        try:
            if "cache" in vars(self):
                self.cache.close()
        finally:
            self.record.close()

    @cached_property
    def cache(self) -> ScoreCache:
        """The scores of the results folder."""
        return ScoreCache(self.record.folder.parent, self.observer.on_warning)

    def evaluator(self, dataset: Dataset | None = None) -> CachedEvaluator:
        """The engine that trains, behind the record and the score cache.

        Args:
            dataset: what to train on; the data of the search if left out.
        """
        setup, dataset = self.setup, dataset or self.setup.dataset
        key = protocol_key(**setup.protocol_of(dataset))
        return CachedEvaluator(setup.engine(dataset), self.record, self.cache, key, setup.measure)

    def search(self) -> Search:
        """The search as the record left it: a new one, told again what it was told."""
        search = self.setup.new_search()
        for told in self._told(self.record.candidates()):
            search = search.tell(told)
        return search

    def steady_search(self) -> SteadySearch:
        """The same without a barrier; what it waited for, it waits for again."""
        steady = SteadySearch(self.setup.new_search())
        for told in self._told(self.record.candidates()):
            steady.hear(told)
            steady.end_generation()
        for told in self._told(self.record.unfinished_candidates()):
            steady.hear(told)
        for waiting in self.record.pending():
            steady.wait_for(Candidate(waiting.genome, waiting.operator, waiting.parents))
        return steady

    def _told(
        self, candidates: Iterable[StoredCandidate]
    ) -> Iterator[list[tuple[Candidate, Fitness]]]:
        """What a search was told, a list for each generation."""
        stored = {s.score_key: s for s in self.record.evaluations()}
        for _, asked in groupby(candidates, key=lambda c: c.generation):
            told = []
            for candidate in asked:
                of = stored[candidate.score_key]
                made = Candidate(of.genome, candidate.operator, candidate.parents)
                told.append((made, self.setup.fitnesses(of.evaluation)))
            yield told


def _from_anywhere(config: RunConfig) -> RunConfig:
    """The config with its files named in full: a run is resumed from any folder."""
    files = {name: getattr(config, name) for name in ("space", "population")}
    full = {name: file.resolve() for name, file in files.items() if file is not None}
    if is_file(config.data):
        full["data"] = str(Path(config.data).resolve())
    return config.changed(**full)


def _spent(config: RunConfig, record: RunRecord, beyond: bool = False) -> str:
    """Which of a run's limits are used up before it goes on, or ``beyond``; empty where none is."""
    minutes = record.facts.seconds / 60
    n_tried, n_generations = len(record.evaluations()), len(record.generations()) - 1
    used = (
        ("max_minutes", config.max_minutes, minutes, f"{minutes:.3g} min"),
        ("max_trainings", config.max_trainings, n_tried, f"{n_tried:,}"),
        ("generations", config.max_generations, n_generations, f"{n_generations:,}"),
    )
    spent = [
        f"{flag_of(name)} {limit:,} is used up ({said} so far)"
        for name, limit, n, said in used
        if limit is not None and (n > limit if beyond else n >= limit)
    ]
    if not spent:
        return ""
    return (
        "There is nothing left to search: limits count from the start of the run, and "
        f"{', '.join(spent)}. Pass more to search on."
    )


def _refuse_stored_cluster(config: RunConfig, folder: Path) -> None:
    """Connect to no cluster that only a record names: it may be a stranger's, and runs code.

    Raises:
        ConfigError: the record names one.
    """
    if config.backend == "loky":
        return
    at = "" if config.address is None else f" --address {quote(config.address)}"
    raise ConfigError(
        f"{folder} was trained on a cluster, which can run anything on this machine: evonet "
        f"connects to none that only a record names. If it is yours, pass --backend "
        f"{config.backend}{at}; to go on here, --backend loky."
    )
