"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from statistics import median

from evonet.champion.baselines import fit_baselines
from evonet.champion.timing import Timetable
from evonet.champion.winner import Finalist, count_finalists
from evonet.errors import TrainingError
from evonet.evaluation import ETA
from evonet.evolution.search import Candidate, Search
from evonet.finale import crown_best, ranked_by_search, revalidated, timetable
from evonet.fitness import fitness, rank
from evonet.genome.files import write_genomes
from evonet.progress import Clock, GenerationSummary, RunResult, read_result
from evonet.report.tables import candidates_table, front_table
from evonet.session import Session
from evonet.setup import Setup
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.record import RunRecord, StoredCandidate, StoredEvaluation, StoredGeneration
from evonet.training.worker import compile_loops


def run_session(session: Session) -> RunResult:
    """Baselines, search, winner; whatever happens, files are written and the record is closed."""
    with session.record:
        setup = session.setup
        session.observer.on_start(session.record, setup.metric, setup.config)
        compile_loops(setup.dataset, setup.loss, session.observer.on_compilation)
        clock = Clock(session.record)  # compiling is once on a machine, and no part of a run's time
        try:
            reason = _run(session, clock)
        except BaseException:
            _export(session)
            raise
        session.record.set_facts({"stopped": reason, "seconds": clock.seconds})
        _export(session)
        result = read_result(session.record)
        session.observer.on_end(result)
        return result


def _run(session: Session, clock: Clock) -> str | None:
    """From baselines to the winner. Why the search ended, or None where the user stopped it."""
    _fit_baselines(session)
    if session.given is not None:
        finalists = [Finalist(session.given)]
        reason: str | None = "no search: one genome was given"
    else:
        reason = _search(session, clock)
        finalists = ranked_by_search(session)
    if reason is None or session.should_stop():
        return None
    session.observer.on_search_end(reason)
    if session.given is None:
        again = revalidated(session, finalists, clock)
        if again is None:
            return None
        finalists = again
    crown_best(session, finalists, reason, clock)
    return reason


def _fit_baselines(session: Session) -> None:
    """Fit the baselines, unless the record has them."""
    setup, record = session.setup, session.record
    if record.fact("baselines"):
        return
    baselines = []
    for baseline in fit_baselines(setup.fitter, setup.baseline_budgets, setup.config.seed):
        session.observer.on_baseline(baseline)
        baselines.append(baseline.to_dict())
        if session.should_stop():
            return
    record.set_facts({"baselines": baselines})


def _search(session: Session, clock: Clock) -> str | None:
    """The main loop. Why it ended, or None where the user stopped it."""
    setup, record = session.setup, session.record
    search, rules, cache = session.search(), setup.stop_rules, ScoreCache(record.folder.parent)
    evaluator, times = session.evaluator(cache), timetable(session, clock)
    seen = search.seen
    told = {s.genome.key: s for s in record.evaluations() if s.genome.key in seen}
    slowest = 0.0  # seconds of the longest training of late
    clock.start_search()
    try:
        while (over := rules.between_generations(search.generation, search.stalled)) is None:
            hurdles = setup.hurdles(search, {key: s.evaluation for key, s in told.items()})
            # It waits for the few that go on to the end: so it begins with the more.
            candidates = search.ask(times=ETA if hurdles else 1)
            if not candidates:
                return _exhausted(setup, len(search.seen))
            session.observer.on_generation_start(search.generation, len(candidates))
            requests = [setup.request(c.genome, hurdles=hurdles) for c in candidates]
            best = search.best_fitness
            known: dict[str, StoredEvaluation] = {}
            end = _end_of_search(setup, times, told.values(), slowest)
            with closing(evaluator.evaluate(requests)) as evaluating:
                for _ in requests:
                    if session.should_stop():
                        return None
                    n_trained = record.count_trainings()
                    if over := rules.between_trainings(n_trained, clock.seconds, best, end):
                        return over
                    stored = next(evaluating)
                    known[stored.genome.key] = stored
                    if stored.origin == "trained":
                        slowest = max(slowest, stored.evaluation.seconds)
                    if not told:
                        end = _end_of_search(setup, times, known.values(), slowest)
                    best = max(best, fitness(stored.evaluation, setup.metric))
                    session.observer.on_evaluation(stored.evaluation)
            outcomes = [known[c.genome.key] for c in candidates]
            fitnesses = [setup.fitnesses(stored.evaluation) for stored in outcomes]
            search = search.tell(zip(candidates, fitnesses, strict=True))
            told.update(known)
            trained = [s.evaluation.seconds for s in outcomes if s.origin == "trained"]
            slowest = max(trained, default=slowest)
            _refuse_hopeless(search, outcomes)
            _commit(session, search, candidates, outcomes, clock)
        return over
    finally:
        cache.close()


def _exhausted(setup: Setup, n_tried: int) -> str:
    """Why a search ends that finds nothing new to ask for."""
    if (most := setup.config.max_parameters) is not None:
        return (
            f"no other network of at most {most} parameters was found; {n_tried} genomes are tried"
        )
    return f"the space is exhausted: {n_tried} of at most {setup.space.size} genomes are tried"


def _end_of_search(
    setup: Setup, times: Timetable, outcomes: Collection[StoredEvaluation], slowest: float
) -> float:
    """Seconds of the run when its search has to end, by the trainings so far."""
    config = setup.config
    if config.max_minutes is None:
        return config.max_seconds
    usable = [stored for stored in outcomes if stored.evaluation.ok]
    n = max(1, count_finalists(config.finalists, config.repeats, len(usable)))
    best = heapq.nsmallest(n, usable, key=lambda stored: rank(stored.evaluation, setup.metric))
    return times.end_of_search([setup.pace(s.genome, s.evaluation) for s in best], slowest)


def _refuse_hopeless(search: Search, outcomes: Sequence[StoredEvaluation]) -> None:
    """Stop with the reason where no training has ever succeeded.

    Raises:
        TrainingError: says how many failed, and the commonest reason.
    """
    if search.population:
        return
    reasons = Counter(f"{s.evaluation.status}: {s.evaluation.reason}" for s in outcomes)
    (reason, count), *_ = reasons.most_common()
    raise TrainingError(
        f"All {len(outcomes)} trainings of the first generation failed, {count} "
        f"of them with '{reason}'. Change the search space (lower learning rates, smaller "
        "layers) or the data."
    )


def _commit(
    session: Session,
    search: Search,
    candidates: Sequence[Candidate],
    outcomes: Sequence[StoredEvaluation],
    clock: Clock,
) -> None:
    """Write down the generation that ``search`` was just told, and tell the observer."""
    number, seconds = search.generation - 1, clock.lap()
    population = tuple((member.genome.key, member.fitness[0]) for member in search.population)
    session.record.commit_generation(
        StoredGeneration(number, population, search.stalled, seconds, search.hypervolume),
        [
            StoredCandidate(number, slot, c.genome.key, stored.score_key, c.operator, c.parents)
            for slot, (c, stored) in enumerate(zip(candidates, outcomes, strict=True))
        ],
    )
    session.record.set_facts({"seconds": clock.seconds})
    _log(session)
    scores = [session.setup.metric.sign * member.fitness[0] for member in search.population]
    session.observer.on_generation(
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


def _export(session: Session) -> None:
    """Write the files for people that the record has something for."""
    record, config = session.record, session.setup.config
    history = candidates_table(record)
    with exporting(record.folder):
        if len(history):
            history.to_csv(record.folder / "history.csv", index=False)
            history.to_parquet(record.folder / "history.parquet", index=False)
            if len(config.objective) > 1:
                _save_front(record)
    _log(session)


def _log(session: Session) -> None:
    """Add what is new to the logs that the user asked for."""
    if session.setup.config.tensorboard:
        from evonet.logs.event_files import write_event_files  # an extra

        write_event_files(session.record)


def _save_front(record: RunRecord) -> None:
    """Write the Pareto front of all trainings as genomes, and as a table."""
    front = front_table(record)
    front.to_csv(record.folder / "pareto_front.csv", index=False)
    genomes = {stored.genome.key: stored.genome for stored in record.evaluations()}
    objectives = list(front.columns.drop(["genome", "network"]))
    write_genomes(
        record.folder / "pareto_front.json",
        [
            (
                f"front {place}",
                f"run {record.folder.name}, "
                + ", ".join(f"{name} {row[name]:.6g}" for name in objectives),
                genomes[row["genome"]],
            )
            for place, row in enumerate(front.to_dict("records"))
        ],
    )
