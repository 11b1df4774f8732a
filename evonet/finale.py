"""From a search that is over to its winner: finalists trained again, final fits, files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from shlex import quote

from evonet.champion.crowning import MODEL_FILE, crown, final_seed, save_winner
from evonet.champion.fitting import Fit
from evonet.champion.predictor import NETWORKS_FILE, networks_digest
from evonet.champion.timing import Timetable
from evonet.errors import TrainingError
from evonet.evaluation import Budget, Evaluation
from evonet.fitness import best_first
from evonet.outcome import FINAL_REPEAT, Finalist, count_finalists
from evonet.progress import Clock
from evonet.session import Session
from evonet.store.exports import exporting
from evonet.store.rows import StoredWinner

#: How many of the best genomes may stand in for a winner whose final fit diverges.
_SUBSTITUTES = 3


def timetable(session: Session, clock: Clock) -> Timetable:
    """When the parts of the run have to end; its search began when it began the first time."""
    began = session.record.facts.search_began
    if began is None:
        began = clock.seconds
        session.record.set_facts(search_began=began)
    return session.setup.timetable(began)


def ranked_by_search(session: Session) -> list[Finalist]:
    """Every genome with a score, best first."""
    setup = session.setup
    best = best_first(session.record.evaluations(), setup.metric, setup.config.objective)
    return [Finalist(stored.genome, stored.evaluation) for stored in best]


def revalidated(
    session: Session, ranked: Sequence[Finalist], clock: Clock
) -> list[Finalist] | None:
    """The best trained again, by the mean of their scores; the others follow them.

    The best score of many is the luckiest as well: fresh seeds, and other splits where rows are
    few, tell which is good. None where the user stopped it; what was trained is kept.
    """
    setup, repeats = session.setup, session.setup.config.repeats
    n = _count_finalists(session, ranked, clock)
    if not n:
        return list(ranked)
    finalists = {finalist.genome.key: finalist for finalist in ranked[:n]}
    requests = [
        setup.request(finalist.genome, FINAL_REPEAT + 1 + i)
        for finalist in finalists.values()
        for i in range(1 if setup.splits else repeats)
    ]
    session.observer.on_revalidation_start(n, repeats, setup.splits is not None)
    scores: dict[str, list[float | None]] = {key: [] for key in finalists}
    with (
        closing(session.evaluator(setup.splits)) as evaluator,
        closing(evaluator.evaluate(requests)) as evaluating,
    ):
        for _ in requests:
            if session.should_stop():
                return None
            stored = next(evaluating)
            scores[stored.genome.key] += _scores(stored.evaluation, setup.splits is not None)
            session.observer.on_evaluation(stored.evaluation)
    again = [
        replace(f, repeats=tuple(scores[key]), on_splits=setup.splits is not None)
        for key, f in finalists.items()
    ]
    again.sort(key=lambda finalist: finalist.rank(setup.metric))
    return [*again, *ranked[n:]]


def _count_finalists(session: Session, ranked: Sequence[Finalist], clock: Clock) -> int:
    """How many of the best are trained again: what there is time for, or has been done already."""
    setup, config = session.setup, session.setup.config
    n = min(len(ranked), count_finalists(config.finalists, config.repeats, len(ranked)))
    if config.max_minutes is None:
        return n
    known = {stored.genome.key for stored in session.record.repeats()}
    done = len(list(takewhile(lambda finalist: finalist.genome.key in known, ranked[:n])))
    paces = [setup.pace(f.genome, f.searched) for f in ranked[:n] if f.searched]
    return max(done, timetable(session, clock).count_finalists(paces, clock.seconds))


def _scores(evaluation: Evaluation, on_splits: bool) -> list[float | None]:
    """The scores of a training of a finalist: one, or one for each split; None where it failed."""
    if not on_splits:
        return [evaluation.score]
    return [*evaluation.folds, *([] if evaluation.ok else [None])]


def failures_text(evaluations: Sequence[Evaluation]) -> str:
    """How many trainings failed and the commonest reason, to go on a sentence; else nothing."""
    reasons = Counter(f"{e.status}: {e.reason}" for e in evaluations if not e.ok)
    if not reasons:
        return ""
    (reason, count), *_ = reasons.most_common()
    return f"; {reasons.total()} failed, {count} of them with '{reason}'"


def crown_best(session: Session, finalists: Sequence[Finalist], reason: str, clock: Clock) -> None:
    """Fit, test and save the winner, unless the record has this very one.

    It has, if the winner it holds and every finalist that ranked above it are the same again, it
    was fitted as long as it would be now, and its files are there.
    """
    setup, record = session.setup, session.record
    if not finalists:
        failed = failures_text([stored.evaluation for stored in record.evaluations()])
        raise TrainingError(
            f"The search ended ({reason}) before any training succeeded{failed}. Go on with "
            f"another limit, as in evonet resume {quote(str(record.folder))} --generations 10"
        )
    keys = tuple(finalist.genome.key for finalist in finalists[:_SUBSTITUTES])
    winners = record.winners()
    if winners and _is_saved(record.folder, winners[-1]):
        tried, whole = winners[-1].tried, winners[-1].whole
        if keys[: len(tried)] == tried and (whole or setup.config.max_minutes is not None):
            return
    budgets, rivals = _final_fits(session, finalists, clock)
    crowned = crown(finalists[:_SUBSTITUTES], session.fitter, budgets, setup.config.seed, rivals)
    with exporting(record.folder):
        digest = save_winner(record.folder, crowned, setup.dataset.n_inputs, setup.dataset.target)
    winner = crowned.winner
    tried, whole = keys[: keys.index(winner.genome.key) + 1], budgets == setup.final_budgets
    record.add_winner(StoredWinner(winner, tried, whole, digest))


def _is_saved(folder: Path, stored: StoredWinner) -> bool:
    """Whether the files of a winner in the record are there, and are its own."""
    file = folder / NETWORKS_FILE
    if not (file.is_file() and (folder / MODEL_FILE).is_file()):
        return False
    return networks_digest(file) == stored.networks


def _final_fits(
    session: Session, finalists: Sequence[Finalist], clock: Clock
) -> tuple[list[Budget], list[Fit]]:
    """The budgets of the winner's fits, and what else is fitted for the ensemble.

    All finalists that were trained again, or what the limit on minutes leaves time for.
    """
    setup = session.setup
    first, *others = finalists
    rivals = [finalist for finalist in others if finalist.repeats]
    budgets = setup.final_budgets
    if setup.config.max_minutes is not None and first.searched is not None:
        times, pace = timetable(session, clock), setup.pace(first.genome, first.searched)
        paces = [setup.pace(f.genome, f.searched) for f in rivals if f.searched]
        n = times.count_rivals(pace, paces, clock.seconds)
        rivals, reserved = rivals[:n], times.seconds_of_rivals(paces[:n])
        budgets = times.final_budgets(pace, clock.seconds, reserved)
    seed, budget = setup.config.seed, setup.search_budget
    return budgets, [Fit(f.genome, budget, final_seed(seed, f.genome)) for f in rivals]
