"""The course of a search: what it has come to, when it has to end, and what is written down."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import median
from types import MappingProxyType

from evonet.errors import TrainingError
from evonet.evaluation import Hurdle, Request
from evonet.evolution.search import Candidate, Search
from evonet.finale import failures_text, timetable
from evonet.fitness import fitness, rank
from evonet.outcome import count_finalists
from evonet.phrases import ALL_TRIED
from evonet.progress import Clock, GenerationSummary
from evonet.session import Session
from evonet.store.rows import StoredCandidate, StoredEvaluation, StoredGeneration


class Course:
    """What a search under way has come to, with or without a barrier.

    Attributes:
        told: what the search was told of up to its last generation, by genome key.
        fresh: what became known in this generation, in that order.
    """

    def __init__(
        self,
        session: Session,
        clock: Clock,
        search: Search,
        fresh: Mapping[str, StoredEvaluation] = MappingProxyType({}),
    ) -> None:
        """Take up a search.

        Args:
            session: what it is a part of.
            clock: of the run.
            search: as it was at the start of its generation.
            fresh: what it was told in this generation already.
        """
        self._session, self._clock = session, clock
        self._rules, self._times = session.setup.stop_rules, timetable(session, clock)
        seen = search.seen
        known = session.record.evaluations()
        self.told = {s.genome.key: s for s in known if s.genome.key in seen}
        self.fresh = dict(fresh)
        metric = session.setup.metric
        fresh_fitnesses = [fitness(stored.evaluation, metric) for stored in fresh.values()]
        self._best = max([search.best_fitness, *fresh_fitnesses])
        # By score key: one that a generation asks for again counts once.
        self._tried = {s.score_key for s in known}
        self._slowest = 0.0  # seconds of the longest training of late
        self._end = math.inf
        clock.start_search()

    def over_for_good(self, search: Search) -> str | None:
        """Why the search is over between two generations, or None."""
        return self._rules.between_generations(search.generation, search.stalled)

    def hurdles(self, search: Search) -> tuple[Hurdle, ...]:
        """What the candidates of a generation must reach on their way.

        Args:
            search: at its start.
        """
        evaluations = {key: stored.evaluation for key, stored in self.told.items()}
        return self._session.setup.hurdles(search, evaluations)

    def begin_generation(self, number: int, n_candidates: int) -> None:
        """A generation is about to be trained."""
        self._end = self._end_of_search(self.told.values())
        self._session.observer.on_generation_start(number, n_candidates)

    def within_limit(
        self, requests: Sequence[Request], key: Callable[[Request], str]
    ) -> list[Request]:
        """The first of some requests, as many as may be tried; those that were tried come again.

        Args:
            requests: of a generation.
            key: of a request, the score key.
        """
        if (most := self._rules.max_trainings) is None:
            return list(requests)
        left, within = most - len(self._tried), list[Request]()
        for request in requests:
            if key(request) not in self._tried:
                left -= 1
            if left < 0:
                break
            within.append(request)
        return within

    def over(self, n_under_way: int = 0) -> str | None:
        """Why the search is over between two trainings, or None.

        Args:
            n_under_way: trainings to count as done.
        """
        n_tried = len(self._tried) + n_under_way
        return self._rules.between_trainings(n_tried, self._clock.seconds, self._best, self._end)

    def add(self, stored: StoredEvaluation) -> None:
        """An evaluation is known."""
        self.fresh[stored.genome.key] = stored
        self._tried.add(stored.score_key)
        if stored.origin == "trained":
            self._slowest = max(self._slowest, stored.evaluation.seconds)
        if not self.told:
            self._end = self._end_of_search(self.fresh.values())
        self._best = max(self._best, fitness(stored.evaluation, self._session.setup.metric))
        self._session.observer.on_evaluation(stored.evaluation)

    def end_generation(self, search: Search, candidates: Sequence[StoredCandidate] = ()) -> None:
        """Write down the generation that a search was told of, and tell the observer.

        Args:
            search: at the start of the next one.
            candidates: of the generation, but for those that the record has.

        Raises:
            TrainingError: no training has ever succeeded.
        """
        outcomes = list(self.fresh.values())
        self.told.update(self.fresh)
        self.fresh = {}
        trained = [s.evaluation.seconds for s in outcomes if s.origin == "trained"]
        self._slowest = max(trained, default=self._slowest)
        _refuse_hopeless(search, outcomes)
        number, seconds = search.generation - 1, self._clock.lap()
        population = tuple((member.genome.key, member.fitness[0]) for member in search.population)
        record, sign = self._session.record, self._session.setup.metric.sign
        record.commit_generation(
            StoredGeneration(number, population, search.stalled, seconds, search.hypervolume),
            candidates,
        )
        record.set_facts(seconds=self._clock.seconds)
        self._session.log()
        scores = [sign * member.fitness[0] for member in search.population]
        self._session.observer.on_generation(
            GenerationSummary(
                number=number,
                best=scores[0],
                median=median(scores),
                best_genome=search.population[0].genome,
                trained=sum(stored.origin == "trained" for stored in outcomes),
                cached=sum(stored.origin == "cached" for stored in outcomes),
                dropped=sum(stored.evaluation.dropped for stored in outcomes),
                failed=sum(not stored.evaluation.ok for stored in outcomes),
                seconds=seconds,
                hypervolume=search.hypervolume,
            )
        )

    def _end_of_search(self, outcomes: Collection[StoredEvaluation]) -> float:
        """Seconds of the run when its search has to end, by the trainings so far."""
        setup = self._session.setup
        config = setup.config
        if config.max_minutes is None:
            return config.max_seconds
        usable = [stored for stored in outcomes if stored.evaluation.ok]
        n = max(1, count_finalists(config.finalists, config.repeats, len(usable)))
        how = setup.metric, setup.config.objective
        best = heapq.nsmallest(n, usable, key=lambda stored: rank(stored.evaluation, *how))
        return self._times.end_of_search(
            [setup.pace(s.genome, s.evaluation) for s in best], self._slowest
        )


def exhausted(session: Session, n_tried: int) -> str:
    """Why a search ends that finds nothing new to ask for.

    Raises:
        TrainingError: it never found anything.
    """
    if (most := session.setup.config.max_parameters) is not None:
        if not n_tried:
            raise TrainingError(
                f"No network of at most {most} parameters was found. Pass a larger "
                "--max-parameters, or a --space with fewer units and layers."
            )
        return f"no other network of at most {most} parameters was found; {n_tried} {ALL_TRIED}"
    size = session.setup.space.size
    return f"the space is exhausted: {n_tried} of at most {size} {ALL_TRIED}"


def stored_candidate(
    candidate: Candidate, stored: StoredEvaluation, generation: int, slot: int
) -> StoredCandidate:
    """A candidate as the record keeps it."""
    key = candidate.genome.key
    return StoredCandidate(
        generation, slot, key, stored.score_key, candidate.operator, candidate.parents
    )


def _refuse_hopeless(search: Search, outcomes: Sequence[StoredEvaluation]) -> None:
    """Stop with the reason where no training has ever succeeded.

    Raises:
        TrainingError: says how many failed, and the commonest reason.
    """
    if search.population:
        return
    raise TrainingError(
        "No training of the first generation succeeded"
        f"{failures_text([stored.evaluation for stored in outcomes])}. Change what the reason "
        "names, or the search space (lower learning rates, smaller layers), or the data."
    )
