"""A run from start to end: the only place where all parts meet.

::

    data -> baselines -> [ ask -> evaluate -> tell -> commit ] ... -> winner -> files

Resuming is the same path on a folder that holds a record already.
"""

from __future__ import annotations

from contextlib import closing

from evonet.champion.baselines import fit_baselines
from evonet.champion.fitting import StoppedError
from evonet.finale import crown_best, ranked_by_search, revalidated
from evonet.genome.files import write_genomes
from evonet.outcome import Finalist
from evonet.progress import Clock, RunResult, read_result
from evonet.report.tables import candidates_table, front_table
from evonet.searching.loops import search_for_winner
from evonet.session import Session
from evonet.store.exports import exporting
from evonet.store.record import RunRecord
from evonet.training.worker import compile_loops


def run_session(session: Session) -> RunResult:
    """Baselines, search, winner; whatever happens, files are written and the record is closed."""
    with closing(session):
        setup = session.setup
        session.observer.on_start(session.record, setup.metric, setup.config)
        compile_loops(setup.dataset, setup.loss, session.observer.on_compilation)
        clock = Clock(session.record)  # compiling is once on a machine, and no part of a run's time
        try:
            reason = _run(session, clock)
        except StoppedError:
            reason = None
        except BaseException:
            _export(session)
            raise
        # One that had come to its end, and was resumed to the same, is still there.
        stopped = reason or session.record.facts.stopped
        session.record.set_facts(stopped=stopped, seconds=clock.seconds)
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
        reason = search_for_winner(session, clock)
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
    if record.facts.baselines:
        return
    baselines = []
    for baseline in fit_baselines(session.fitter, setup.baseline_budgets, setup.config.seed):
        session.observer.on_baseline(baseline)
        baselines.append(baseline)
        if session.should_stop():
            return
    record.set_facts(baselines=tuple(baselines))


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
    session.log()


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
