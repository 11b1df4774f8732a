"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from evonet.champion.baselines import fit_baselines
from evonet.champion.winner import (
    FINAL_REPEAT,
    MODEL_FILE,
    Finalist,
    count_finalists,
    crown,
    save_winner,
)
from evonet.config import RunConfig
from evonet.errors import RecordError, TrainingError
from evonet.evaluation import ETA
from evonet.evolution.search import Candidate, Search
from evonet.fitness import fitness, rank
from evonet.genome import Genome, SearchSpace
from evonet.genome.files import read_genomes, starters, write_genomes
from evonet.progress import Clock, GenerationSummary, Observer, RunResult, read_result
from evonet.report.tables import candidates_table, front_table
from evonet.session import Session, plan_trainings
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.record import RunRecord, StoredCandidate, StoredEvaluation, StoredGeneration
from evonet.training.engine import compile_loops
from evonet.training.plan import Plan

#: How many of the best genomes may stand in for a winner whose final fit diverges.
_SUBSTITUTES = 3


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

    Returns:
        What came out; without a winner if the session was stopped.

    Raises:
        EvonetError: the data, the space or a setting cannot work, or no training can succeed.
    """
    space = _space(config)
    founders = _founders(config, space)
    return _run(Session.new(config, space, founders, None, observer or Observer(), should_stop))


def resume(
    folder: Path,
    changes: dict[str, Any] | None = None,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Go on with a run until its own limits, or changed ones, are reached.

    Args:
        folder: the run's folder.
        changes: new limits by setting name, such as ``{"generations": 40}``; given any, the old
            limits (but for the number of generations) hold no more.
        observer: told what happens.
        should_stop: asked after every training; True ends the session with everything kept.

    Returns:
        What came out; without a new winner if the session was stopped.

    Raises:
        RecordError: there is no run at ``folder``, or it cannot be read.
        DataError: the data are not what they were.
    """
    return _run(Session.stored(folder, changes or {}, observer or Observer(), should_stop))


def train(
    genome: Genome,
    config: RunConfig,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Fit one genome as a run fits its winner, in a new run folder, without a search.

    Args:
        genome: what to fit.
        config: every setting of the run.
        observer: told what happens.
        should_stop: asked between fits; True ends the session with everything kept.

    Returns:
        What came out; its winner is the network of the genome.

    Raises:
        EvonetError: the data cannot be learned from, or the training failed.
    """
    space = SearchSpace.default()
    return _run(Session.new(config, space, [], genome, observer or Observer(), should_stop))


def plan(config: RunConfig, genomes: Sequence[Genome] = ()) -> Plan:
    """How the fused engine would train, without training.

    Args:
        config: every setting of the run.
        genomes: what to train; empty for the first generation that ``evolve`` would train.

    Raises:
        EvonetError: the data, the space or a setting cannot work.
    """
    space = _space(config)
    return plan_trainings(config, space, _founders(config, space), genomes)


def save_population(folder: Path, file: Path) -> int:
    """Write the last population of a run to a file of genomes.

    Args:
        folder: the run's folder.
        file: where to write; a file that is there is replaced.

    Returns:
        How many genomes were written.

    Raises:
        RecordError: there is no run, it has no finished generation, or the file cannot be written.
    """
    with RunRecord(folder) as record:
        generations, stored = record.generations(), record.evaluations()
    if not generations:
        raise RecordError(
            f"{folder} has no finished generation yet. Go on with it: evonet resume {folder}"
        )
    last = generations[-1]
    by_key = {s.genome.key: s for s in stored}
    members = [by_key[key] for key, _ in last.population]
    source = f"run {folder.name}, generation {last.number}, validation score"
    try:
        write_genomes(
            file,
            [
                (f"rank {rank}", f"{source} {m.evaluation.score:.6g}", m.genome)
                for rank, m in enumerate(members)
            ],
        )
    except OSError as error:
        raise RecordError(f"Cannot write {file}: {error.strerror}.") from None
    return len(members)


def _space(config: RunConfig) -> SearchSpace:
    """The space to search, with its pinned genes."""
    space = SearchSpace.from_file(config.space) if config.space else SearchSpace.default()
    for gene, text in config.pins:
        space = space.fix(gene, text)
    return space


def _founders(config: RunConfig, space: SearchSpace) -> list[Genome]:
    """The genomes to start with, before they are adopted: the user's, or a few that often work."""
    if config.population:
        return list(read_genomes(config.population))
    if config.method != "ga":  # to be compared with: what often works here is ga's to know
        return []
    return [genome for genome in starters() if space.admits(genome)]


def _run(session: Session) -> RunResult:
    """Baselines, search, winner; the record is closed whatever happens."""
    with session.record:
        _start(session)
        if session.given is not None:
            finalists = [Finalist(session.given)]
            reason: str | None = "no search: one genome was given"
        else:
            reason = _search(session)
            finalists = _ranked(session)
        if reason is None or session.should_stop():
            return _end(session, None)
        session.observer.on_search_end(reason)
        if session.given is None:
            revalidated = _revalidated(session, finalists)
            if revalidated is None:
                return _end(session, None)
            finalists = revalidated
        _crown(session, finalists[:_SUBSTITUTES], reason)
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


def _search(session: Session) -> str | None:
    """The main loop. Why it ended, or None where the user stopped it."""
    record, metric, rules = session.record, session.metric, session.stop_rules
    search, clock, cache = session.search(), Clock(record), ScoreCache(record.folder.parent)
    evaluator = session.evaluator(cache)
    seen = search.seen
    told = {s.genome.key: s.evaluation for s in record.evaluations() if s.genome.key in seen}
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
            with closing(evaluator.evaluate(requests)) as evaluating:
                for _ in requests:
                    if session.should_stop():
                        return None
                    n_trained = record.count_trainings()
                    if over := rules.between_trainings(n_trained, clock.seconds, best):
                        return over
                    stored = next(evaluating)
                    known[stored.genome.key] = stored
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
    return [Finalist(stored.genome, stored.evaluation.score) for stored in usable]


def _revalidated(session: Session, ranked: Sequence[Finalist]) -> list[Finalist] | None:
    """The best trained again on fresh seeds, by the mean of these; the others follow them.

    The best score of many is the luckiest as well: repeats of the few best tell which is good.
    None where the user stopped it; what was trained is kept.
    """
    config = session.config
    if not config.repeats:
        return list(ranked)
    n = count_finalists(config.finalists, config.repeats, len(ranked))
    finalists = {finalist.genome.key: finalist for finalist in ranked[:n]}
    requests = [
        session.request(finalist.genome, FINAL_REPEAT + 1 + i)
        for finalist in finalists.values()
        for i in range(config.repeats)
    ]
    session.observer.on_revalidation_start(len(finalists), config.repeats)
    cache = ScoreCache(session.record.folder.parent)
    scores: dict[str, list[float | None]] = {key: [] for key in finalists}
    try:
        with closing(session.evaluator(cache).evaluate(requests)) as evaluating:
            for _ in requests:
                if session.should_stop():
                    return None
                stored = next(evaluating)
                scores[stored.genome.key].append(stored.evaluation.score)
                session.observer.on_evaluation(stored.evaluation)
    finally:
        cache.close()
    again = [replace(f, repeats=tuple(scores[key])) for key, f in finalists.items()]
    again.sort(key=lambda finalist: finalist.rank(session.metric))
    return [*again, *ranked[n:]]


def _crown(session: Session, finalists: Sequence[Finalist], reason: str) -> None:
    """Fit, test and save the winner, unless the record has this very one.

    It has, if the winner it holds and every finalist that ranked above it are the same again.
    """
    record, budget = session.record, session.final_budget
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
    winner, model = crown(
        finalists, session.dataset, session.metric, session.loss, budget, session.config.seed
    )
    with exporting(record.folder):
        save_winner(record.folder, winner, model)
    tried = keys[: keys.index(winner.genome.key) + 1]
    record.add_winner({"winner": winner.to_dict(), "tried": tried})


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
