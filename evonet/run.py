"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from evonet.champion.baselines import fit_baselines
from evonet.champion.winner import MODEL_FILE, crown, save_winner
from evonet.config import RunConfig
from evonet.errors import RecordError, TrainingError
from evonet.evaluation import Evaluation
from evonet.evolution.search import Candidate, Search
from evonet.fitness import WORST, fitness
from evonet.genome import Genome, SearchSpace
from evonet.genome.files import read_genomes, starters, write_genomes
from evonet.progress import Clock, GenerationSummary, Observer, RunResult, read_result
from evonet.report.tables import candidates_table
from evonet.session import Session
from evonet.store.cache import ScoreCache
from evonet.store.exports import exporting
from evonet.store.record import RunRecord, StoredCandidate, StoredEvaluation, StoredGeneration
from evonet.streams import stream

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
    founders = _founders(config, space)
    return _evolve(Session.new(config, space, founders, observer or Observer(), should_stop))


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
    session = Session.stored(folder, changes or {}, observer or Observer(), should_stop)
    if session.record.fact("given"):
        genome = Genome.from_dict(session.record.fact("given"), str(folder))
        return _finish(session, [(genome, None)], "no search: one genome was given")
    return _evolve(session)


def train(genome: Genome, config: RunConfig, observer: Observer | None = None) -> RunResult:
    """Fit one genome as a run fits its winner, in a new run folder, without a search.

    Raises:
        EvonetError: the data cannot be learned from, or the training diverged.
    """
    space = SearchSpace.default()
    session = Session.new(config, space, [], observer or Observer(), lambda: False)
    session.record.set_facts({"given": genome.to_dict()})
    return _finish(session, [(genome, None)], "no search: one genome was given")


def save_population(folder: Path, file: Path) -> int:
    """Write the last population of a run to a file of genomes; how many there are.

    Raises:
        RecordError: there is no run, it has no finished generation, or the file cannot be written.
    """
    record = RunRecord(folder)
    generations, stored = record.generations(), record.evaluations()
    record.close()
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


def _founders(config: RunConfig, space: SearchSpace) -> list[Genome]:
    """The genomes the first generation starts with: the user's, or a few that often work."""
    rng = stream(config.seed, "founders")
    if config.population:
        return [space.adopt(rng, genome) for genome in read_genomes(config.population)]
    return [genome for genome in starters() if space.admits(genome)]


def _evolve(session: Session) -> RunResult:
    """Search, then finish."""
    _start(session)
    reason = _search(session)
    if reason is None or session.should_stop():
        return _end(session, None)
    session.observer.on_search_end(reason)
    return _finish(session, _ranked(session)[:_FINALISTS], reason)


def _start(session: Session) -> None:
    """Say what is about to happen; fit the baselines, unless the record has them."""
    session.observer.on_start(session.record, session.metric, session.config)
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
    try:
        while (over := rules.between_generations(search.generation, search.stalled)) is None:
            candidates = search.ask()
            if not candidates:
                return f"all {len(search.seen)} genomes of the space are tried"
            session.observer.on_generation_start(search.generation, len(candidates))
            evaluations: dict[str, Evaluation] = {}
            best = search.population[0].fitness if search.population else WORST
            evaluating = evaluator.evaluate([session.request(c.genome) for c in candidates])
            while len(evaluations) < len(candidates):
                if session.should_stop():
                    return None
                trained = record.count_trainings()
                if over := rules.between_trainings(trained, clock.seconds, best):
                    return over
                _, evaluation = next(evaluating)
                evaluations[evaluation.genome_key] = evaluation
                best = max(best, fitness(evaluation, metric))
                session.observer.on_evaluation(evaluation)
            fitnesses = [fitness(evaluations[c.genome.key], metric) for c in candidates]
            search = search.tell(zip(candidates, fitnesses, strict=True))
            _refuse_hopeless(search, evaluations.values())
            keys = [evaluator.key(session.request(c.genome)) for c in candidates]
            _commit(session, search, candidates, keys, clock.lap())
        return over
    finally:
        cache.close()


def _refuse_hopeless(search: Search, evaluations: Iterable[Evaluation]) -> None:
    """Stop with the reason where no training has ever succeeded.

    Raises:
        TrainingError: says how many failed, and the commonest reason.
    """
    if search.population:
        return
    reasons = Counter(f"{e.status}: {e.reason}" for e in evaluations)
    (reason, count), *_ = reasons.most_common()
    raise TrainingError(
        f"All {sum(reasons.values())} trainings of the first generation failed, {count} "
        f"of them with '{reason}'. Change the search space (lower learning rates, smaller "
        "layers) or the data."
    )


def _commit(
    session: Session,
    search: Search,
    candidates: Sequence[Candidate],
    score_keys: Sequence[str],
    seconds: float,
) -> None:
    """Write down the generation that ``search`` was just told, and tell the observer."""
    number = search.generation - 1
    population = tuple((member.genome.key, member.fitness) for member in search.population)
    session.record.commit_generation(
        StoredGeneration(number, population, search.stalled, seconds),
        [
            StoredCandidate(number, slot, c.genome.key, key, c.operator, c.parents)
            for slot, (c, key) in enumerate(zip(candidates, score_keys, strict=True))
        ],
    )
    sign = 1 if session.metric.maximise else -1
    stored = [session.record.evaluation(key) for key in score_keys]
    known = [s for s in stored if s is not None]
    session.observer.on_generation(
        GenerationSummary(
            number=number,
            best=sign * search.population[0].fitness,
            median=sign * median(member.fitness for member in search.population),
            best_genome=search.population[0].genome,
            trained=sum(s.origin == "trained" for s in known),
            cached=sum(s.origin == "cached" for s in known),
            failed=sum(not s.evaluation.ok for s in known),
            seconds=seconds,
        )
    )


def _ranked(session: Session) -> list[tuple[Genome, float | None]]:
    """Every genome with a score, best first; of equal scores the lower validation loss."""

    def rank(stored: StoredEvaluation) -> tuple[float, float]:
        evaluation = stored.evaluation
        return -fitness(evaluation, session.metric), min(evaluation.validation_loss)

    usable = [stored for stored in session.record.evaluations() if stored.evaluation.ok]
    return [(stored.genome, stored.evaluation.score) for stored in sorted(usable, key=rank)]


def _finish(
    session: Session, finalists: Sequence[tuple[Genome, float | None]], reason: str
) -> RunResult:
    """Fit, test and save the winner, unless the record has this very one."""
    record = session.record
    if not finalists:
        raise TrainingError(
            f"The search ended ({reason}) before any training succeeded. Raise that limit: "
            f"evonet resume {record.folder} --help"
        )
    if not record.fact("baselines"):
        _start(session)
    contest = {
        "finalists": [genome.key for genome, _ in finalists],
        "budget": [session.final_budget.epochs, session.final_budget.patience_epochs],
    }
    winners = record.winners()
    if not (
        winners and winners[-1]["contest"] == contest and (record.folder / MODEL_FILE).is_file()
    ):
        winner, model = crown(
            finalists,
            session.dataset,
            session.metric,
            session.loss,
            session.final_budget,
            session.config.seed,
        )
        with exporting(record.folder):
            save_winner(record.folder, winner, model)
        record.add_winner({"winner": winner.to_dict(), "contest": contest})
    return _end(session, reason)


def _end(session: Session, reason: str | None) -> RunResult:
    """Write the tables, close the record, and say what came out."""
    record = session.record
    record.set_facts({"stopped": reason})
    history = candidates_table(record)
    if len(history):
        with exporting(record.folder):
            history.to_csv(record.folder / "history.csv", index=False)
    result = read_result(record)
    record.close()
    session.observer.on_end(result)
    return result
