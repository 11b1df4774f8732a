"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from statistics import median

from evonet.champion.baselines import fit_baselines
from evonet.champion.timing import (
    MOST_FOR_FINALISTS,
    SAVING,
    affordable,
    affordable_finalists,
    seconds_of_fit,
    seconds_of_repeats,
)
from evonet.champion.winner import (
    FINAL_REPEAT,
    MODEL_FILE,
    Finalist,
    count_finalists,
    crown,
    save_winner,
)
from evonet.errors import TrainingError
from evonet.evaluation import ETA, Budget, Evaluation
from evonet.evolution.search import Candidate, Search
from evonet.fitness import fitness, rank
from evonet.genome.files import write_genomes
from evonet.progress import Clock, GenerationSummary, RunResult, read_result
from evonet.report.tables import candidates_table, front_table
from evonet.session import Session
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.record import RunRecord, StoredCandidate, StoredEvaluation, StoredGeneration
from evonet.training.engine import compile_loops

#: How many of the best genomes may stand in for a winner whose final fit diverges.
_SUBSTITUTES = 3


def run_session(session: Session) -> RunResult:
    """Baselines, search, winner; the record is closed whatever happens."""
    with session.record:
        clock = Clock(session.record)
        _start(session)
        if session.given is not None:
            finalists = [Finalist(session.given)]
            reason: str | None = "no search: one genome was given"
        else:
            reason = _search(session, clock)
            finalists = _ranked(session)
        if reason is None or session.should_stop():
            return _end(session, None)
        session.observer.on_search_end(reason)
        if session.given is None:
            revalidated = _revalidated(session, finalists, clock)
            if revalidated is None:
                return _end(session, None)
            finalists = revalidated
        _crown(session, finalists[:_SUBSTITUTES], reason, clock)
        return _end(session, reason)


def _start(session: Session) -> None:
    """Say what is about to happen; compile; fit the baselines, unless the record has them."""
    session.observer.on_start(session.record, session.metric, session.config)
    compile_loops(session.dataset, session.loss, session.observer.on_compilation)
    if session.record.fact("baselines"):
        return
    baselines = []
    for baseline in fit_baselines(
        session.dataset, session.metric, session.loss, session.final_budget, session.config.seed
    ):
        session.observer.on_baseline(baseline)
        baselines.append(baseline.to_dict())
        if session.should_stop():
            return
    session.record.set_facts({"baselines": baselines})


def _search(session: Session, clock: Clock) -> str | None:
    """The main loop. Why it ended, or None where the user stopped it."""
    record, metric, rules = session.record, session.metric, session.stop_rules
    search, cache = session.search(), ScoreCache(record.folder.parent)
    evaluator = session.evaluator(cache)
    seen = search.seen
    told = {s.genome.key: s.evaluation for s in record.evaluations() if s.genome.key in seen}
    clock.start_search()
    try:
        while (over := rules.between_generations(search.generation, search.stalled)) is None:
            hurdles = session.hurdles(search, told)
            # It waits for the few that go on to the end: so it begins with the more.
            candidates = search.ask(times=ETA if hurdles else 1)
            if not candidates:
                tried, size = len(search.seen), session.space.size
                if session.config.max_parameters is not None:
                    return (
                        f"no other network of at most {session.config.max_parameters} parameters "
                        f"was found; {tried} genomes are tried"
                    )
                return f"the space is exhausted: {tried} of at most {size} genomes are tried"
            session.observer.on_generation_start(search.generation, len(candidates))
            requests = [session.request(c.genome, hurdles=hurdles) for c in candidates]
            best = search.best_fitness
            known: dict[str, StoredEvaluation] = {}
            reserve, running = _reserve(session, told.values()), 0.0
            with closing(evaluator.evaluate(requests)) as evaluating:
                for _ in requests:
                    if session.should_stop():
                        return None
                    n_trained = record.count_trainings()
                    still_to_do = reserve + running  # what is being trained goes on to its end
                    if over := rules.between_trainings(n_trained, clock.seconds, best, still_to_do):
                        return over
                    stored = next(evaluating)
                    known[stored.genome.key] = stored
                    running = max(running, stored.evaluation.seconds)
                    if not told:
                        reserve = _reserve(session, [s.evaluation for s in known.values()])
                    best = max(best, fitness(stored.evaluation, metric))
                    session.observer.on_evaluation(stored.evaluation)
            outcomes = [known[c.genome.key] for c in candidates]
            fitnesses = [session.fitnesses(stored.evaluation) for stored in outcomes]
            search = search.tell(zip(candidates, fitnesses, strict=True))
            told.update((key, stored.evaluation) for key, stored in known.items())
            _refuse_hopeless(search, outcomes)
            _commit(session, search, candidates, outcomes, clock.lap())
        return over
    finally:
        cache.close()


def _reserve(session: Session, evaluations: Iterable[Evaluation]) -> float:
    """Seconds that the finalists and the winner of some trainings will take."""
    config = session.config
    if config.max_minutes is None:
        return 0.0
    usable = [e for e in evaluations if e.ok]
    n = count_finalists(config.finalists, config.repeats, len(usable)) if config.repeats else 1
    best = heapq.nsmallest(n, usable, key=lambda e: rank(e, session.metric))
    if not best:
        return SAVING
    repeats = seconds_of_repeats(best, config.repeats, session.workers)
    repeats = min(repeats, 60 * config.max_minutes * MOST_FOR_FINALISTS)
    # One round of fits, of any of them; more if there is time.
    fit = median(seconds_of_fit(e, session.final_budget) for e in best)
    return repeats + fit + SAVING


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
    seconds: float,
) -> None:
    """Write down the generation that ``search`` was just told, and tell the observer."""
    number = search.generation - 1
    population = tuple((member.genome.key, member.fitness[0]) for member in search.population)
    session.record.commit_generation(
        StoredGeneration(number, population, search.stalled, seconds, search.hypervolume),
        [
            StoredCandidate(number, slot, c.genome.key, stored.score_key, c.operator, c.parents)
            for slot, (c, stored) in enumerate(zip(candidates, outcomes, strict=True))
        ],
    )
    scores = [session.metric.sign * member.fitness[0] for member in search.population]
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


def _ranked(session: Session) -> list[Finalist]:
    """Every genome with a score, best first."""
    usable = [stored for stored in session.record.evaluations() if stored.evaluation.ok]
    usable.sort(key=lambda stored: rank(stored.evaluation, session.metric))
    return [Finalist(stored.genome, stored.evaluation) for stored in usable]


def _revalidated(
    session: Session, ranked: Sequence[Finalist], clock: Clock
) -> list[Finalist] | None:
    """The best trained again on fresh seeds, by the mean of these; the others follow them.

    The best score of many is the luckiest as well: repeats of the few best tell which is good.
    None where the user stopped it; what was trained is kept.
    """
    config = session.config
    if not config.repeats:
        return list(ranked)
    n = count_finalists(config.finalists, config.repeats, len(ranked))
    if config.max_minutes is not None:
        best = [finalist.searched for finalist in ranked[:n] if finalist.searched]
        limit = 60 * config.max_minutes
        left = limit - clock.seconds - SAVING - max(e.seconds for e in best)
        left = min(left, limit * MOST_FOR_FINALISTS)
        n = affordable_finalists(best, config.repeats, session.workers, left)
    if not n:
        return list(ranked)
    finalists = {finalist.genome.key: finalist for finalist in ranked[:n]}
    splits = session.other_splits
    requests = [
        session.request(finalist.genome, FINAL_REPEAT + 1 + i)
        for finalist in finalists.values()
        for i in range(1 if splits else config.repeats)
    ]
    session.observer.on_revalidation_start(len(finalists), config.repeats, splits is not None)
    cache = ScoreCache(session.record.folder.parent)
    scores: dict[str, list[float | None]] = {key: [] for key in finalists}
    try:
        with closing(session.evaluator(cache, splits).evaluate(requests)) as evaluating:
            for _ in requests:
                if session.should_stop():
                    return None
                stored = next(evaluating)
                scores[stored.genome.key] += _scores(
                    stored.evaluation, config.repeats if splits else 1
                )
                session.observer.on_evaluation(stored.evaluation)
    finally:
        cache.close()
    again = [replace(f, repeats=tuple(scores[key])) for key, f in finalists.items()]
    again.sort(key=lambda finalist: finalist.rank(session.metric))
    return [*again, *ranked[n:]]


def _scores(evaluation: Evaluation, n_splits: int) -> list[float | None]:
    """The scores of a finalist on so many splits, None where its training failed."""
    if n_splits == 1:
        return [evaluation.score]
    return [*evaluation.folds, *[None] * (n_splits - len(evaluation.folds))]


def _crown(session: Session, finalists: Sequence[Finalist], reason: str, clock: Clock) -> None:
    """Fit, test and save the winner, unless the record has this very one.

    It has, if the winner it holds and every finalist that ranked above it are the same again.
    """
    record = session.record
    if not finalists:
        raise TrainingError(
            f"The search ended ({reason}) before any training succeeded. Go on with another limit, "
            f"as in evonet resume {record.folder} --generations 10"
        )
    keys = [finalist.genome.key for finalist in finalists]
    winners = record.winners()
    if winners and (record.folder / MODEL_FILE).is_file():
        tried = winners[-1]["tried"]
        if keys[: len(tried)] == tried:
            return
    budget, n_fits = _final_fits(session, finalists[0], clock)
    winner, model = crown(
        finalists,
        session.dataset,
        session.metric,
        session.loss,
        budget,
        session.config.seed,
        n_fits,
        session.workers,
        on_splits=session.other_splits is not None,
    )
    with exporting(record.folder):
        save_winner(record.folder, winner, model)
    tried = keys[: keys.index(winner.genome.key) + 1]
    record.add_winner({"winner": winner.to_dict(), "tried": tried})


def _final_fits(session: Session, finalist: Finalist, clock: Clock) -> tuple[Budget, int]:
    """Budget and number of the final fits, cut to what the limit on minutes leaves for them."""
    minutes, n, workers = session.config.max_minutes, session.config.final_fits, session.workers
    if minutes is None or finalist.searched is None:
        return session.final_budget, n
    left = 60 * minutes - clock.seconds - SAVING
    budgets = session.final_budget, session.search_budget
    budget, rounds = affordable(*budgets, session.fit_rounds, finalist.searched, left)
    return budget, min(n, rounds * workers)


def _end(session: Session, reason: str | None) -> RunResult:
    """Write the tables and say what came out."""
    record = session.record
    record.set_facts({"stopped": reason})
    history = candidates_table(record)
    if len(history):
        with exporting(record.folder):
            history.to_csv(record.folder / "history.csv", index=False)
            if len(session.config.objective) > 1:
                _save_front(record)
    result = read_result(record)
    session.observer.on_end(result)
    return result


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
