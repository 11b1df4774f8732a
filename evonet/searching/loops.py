"""The two loops of a search: generation by generation, or without a barrier."""

from __future__ import annotations

from collections import deque
from contextlib import closing

from evonet.evaluation import ETA, Request
from evonet.evolution.steady import SteadySearch
from evonet.progress import Clock
from evonet.searching.course import Course, exhausted, stored_candidate
from evonet.session import Session
from evonet.store.record import RunRecord
from evonet.store.rows import StoredEvaluation, StoredPending
from evonet.training.cached import CachedEvaluator


def search_for_winner(session: Session, clock: Clock) -> str | None:
    """Search until a limit. Why the search ended, or None where the user stopped it."""
    loop = _without_barrier if session.setup.config.asynchronous else _by_generations
    with closing(session.evaluator()) as evaluator:
        return loop(session, clock, evaluator)


def _by_generations(session: Session, clock: Clock, evaluator: CachedEvaluator) -> str | None:
    """Ask for a generation, train it, tell of it."""
    setup, search = session.setup, session.search()
    course = Course(session, clock, search)
    while (over := course.over_for_good(search)) is None:
        hurdles = course.hurdles(search)
        # It waits for the few that go on to the end: so it begins with the more.
        candidates = search.ask(times=ETA if hurdles and search.method.widens else 1)
        if not candidates:
            return exhausted(session, len(search.seen))
        course.begin_generation(search.generation, len(candidates))
        requests = [setup.request(c.genome, hurdles=hurdles) for c in candidates]
        within = course.within_limit(requests, evaluator.key)
        with closing(evaluator.evaluate(within)) as evaluating:
            for _ in requests:
                if session.should_stop():
                    return None
                if over := course.over():
                    return over
                course.add(next(evaluating))
        outcomes = [course.fresh[c.genome.key] for c in candidates]
        fitnesses = [setup.fitnesses(stored.evaluation) for stored in outcomes]
        asked = enumerate(zip(candidates, outcomes, strict=True))
        stored = [stored_candidate(*pair, search.generation, slot) for slot, pair in asked]
        search = search.tell(zip(candidates, fitnesses, strict=True))
        course.end_generation(search, stored)
    return over


def _without_barrier(session: Session, clock: Clock, evaluator: CachedEvaluator) -> str | None:
    """Ask for a candidate whenever there is room for its training; tell of each that is done."""
    setup, record, steady = session.setup, session.record, session.steady_search()
    course = Course(session, clock, steady.before, _known(record, steady))
    waiting = deque(_waiting(session))
    with closing(evaluator.slots()) as slots:
        while (over := course.over_for_good(steady.search)) is None:
            hurdles = course.hurdles(steady.before)
            steady.times = ETA if hurdles and steady.search.method.widens else 1
            course.begin_generation(steady.search.generation, steady.size)
            while len(steady.results) < steady.size:
                if session.should_stop():
                    return None
                if over := course.over():
                    return over
                while slots.n_free and not course.over(slots.n_busy):
                    if waiting:
                        slots.submit(waiting.popleft())
                    elif candidate := steady.ask():
                        made = candidate.genome, candidate.operator, candidate.parents
                        record.add_pending(StoredPending(*made, hurdles))
                        slots.submit(setup.request(candidate.genome, hurdles=hurdles))
                    else:
                        break
                if not slots.n_busy:
                    if over := course.over():  # since it was asked above
                        return over
                    break
                with slots.next() as stored:
                    candidate, place = steady.pending[stored.genome.key], len(steady.results)
                    told = stored_candidate(candidate, stored, steady.search.generation, place)
                    record.end_pending(candidate.genome, told)
                course.add(stored)
                steady.tell(candidate, setup.fitnesses(stored.evaluation))
            if not steady.results:
                return exhausted(session, len(steady.search.told))
            steady.end_generation()
            course.end_generation(steady.search)
    return over


def _known(record: RunRecord, steady: SteadySearch) -> dict[str, StoredEvaluation]:
    """What the search was told in its unfinished generation, in that order, by genome key."""
    stored = {s.genome.key: s for s in record.evaluations()}
    keys = [candidate.genome.key for candidate, _ in steady.results]
    return {key: stored[key] for key in keys}


def _waiting(session: Session) -> list[Request]:
    """What was being trained when the run was broken off; first what came to its end just then."""
    requests = [
        session.setup.request(pending.genome, hurdles=pending.hurdles)
        for pending in session.record.pending()
    ]
    done = {s.genome.key for s in session.record.evaluations()}
    return sorted(requests, key=lambda request: request.genome.key not in done)
