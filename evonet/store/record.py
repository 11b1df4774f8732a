"""The record of a run: one SQLite file in the run's folder, from which all else can be made again.

==============  =================================================================================
table           one row is
==============  =================================================================================
facts           something that is true of the whole run, as JSON: config, space, data, baselines
evaluations     a training, or a score taken from the cache; written as soon as it is known
candidates      a genome that a generation asked for, and the operator and parents it came from
pending         the same of a search without a barrier, while it is being trained
generations     a finished generation: its surviving population and the counters of the search
winners         a final fit: genome, scores; one for every time the run was brought to its end
==============  =================================================================================

A generation is committed as a whole. A run that is killed loses at most the trainings that were
under way: those that are finished are in ``evaluations``, and the generation is asked for again.
A search without a barrier writes down each candidate when it asks for it and when it is told of it,
in that order; its generation is committed once it is full.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evonet.errors import ConfigError, DamageError, EvonetError, RecordError
from evonet.genome import Genome
from evonet.paths import is_file
from evonet.phrases import did_you_mean
from evonet.store import misfits
from evonet.store.claim import Claim, is_claimed, this_process
from evonet.store.database import Database, Table
from evonet.store.facts import Facts
from evonet.store.folders import FILE, new_folder, refuse_existing, run_folders
from evonet.store.rows import (
    StoredCandidate,
    StoredEvaluation,
    StoredGeneration,
    StoredPending,
    StoredWinner,
    read_candidate,
    read_evaluation,
    read_generation,
    read_pending,
    read_winner,
)
from evonet.typed import from_json, joined

VERSION = 9
_SCHEMA = """
CREATE TABLE facts (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE evaluations (
    position INTEGER PRIMARY KEY,
    score_key TEXT UNIQUE NOT NULL,
    origin TEXT NOT NULL,
    genome TEXT NOT NULL,
    evaluation TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE candidates (
    generation INTEGER, slot INTEGER, genome_key TEXT NOT NULL, score_key TEXT NOT NULL,
    operator TEXT NOT NULL, parents TEXT NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (generation, slot)
) WITHOUT ROWID;
CREATE TABLE pending (
    number INTEGER PRIMARY KEY, genome TEXT NOT NULL, operator TEXT NOT NULL, parents TEXT NOT NULL,
    hurdles TEXT NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE generations (
    number INTEGER PRIMARY KEY, population TEXT NOT NULL, stalled INTEGER NOT NULL,
    seconds REAL NOT NULL, hypervolume REAL, checksum INTEGER NOT NULL
);
CREATE TABLE winners (
    number INTEGER PRIMARY KEY, winner TEXT NOT NULL, checksum INTEGER NOT NULL
)
"""
_FACTS = Table("facts", ("name", "value"))
_EVALUATIONS = Table("evaluations", ("score_key", "origin", "genome", "evaluation", "repeat"))
_CANDIDATES = Table(
    "candidates", ("generation", "slot", "genome_key", "score_key", "operator", "parents")
)
_PENDING = Table("pending", ("genome", "operator", "parents", "hurdles"))
_GENERATIONS = Table("generations", ("number", "population", "stalled", "seconds", "hypervolume"))
_WINNERS = Table("winners", ("winner",))
TABLES = (_FACTS, _EVALUATIONS, _CANDIDATES, _PENDING, _GENERATIONS, _WINNERS)


class RunRecord:
    """The record of one run, open for reading and writing."""

    #: Kind, version and schema of its file.
    FORMAT = ("run record", VERSION, _SCHEMA)

    def __init__(self, folder: Path) -> None:
        """Open the record in a run's folder.

        Raises:
            RecordError: there is none, it is damaged, or it is of another version.
        """
        self.folder = folder
        if not is_file(folder / FILE):
            near = did_you_mean(folder.name, (path.name for path in run_folders(folder.parent)))
            raise RecordError(
                f"No run at {folder}: expected a folder with a {FILE}.{near} "
                "`evonet list` names the runs."
            )
        self._claim: Claim | None = None
        self._evaluations: list[StoredEvaluation] = []  # all, as far as they were read
        self._facts: Facts | None = None  # as they were read last
        self._database = self._open(folder / FILE)
        try:
            self._database.check()
            self._check_fit()
            _ = self.facts
        except BaseException:
            self._database.close()
            raise

    def _open(self, file: Path) -> Database:
        return Database(file, *self.FORMAT, create=False)

    def _check_fit(self) -> None:
        """See that no row lacks what others held, as where somebody has deleted some.

        Raises:
            DamageError: one does.
        """
        generations = self.generations()  # before candidates: a run that goes on adds to both
        known = "SELECT score_key FROM evaluations WHERE repeat = 0"
        lone = f"SELECT count(*) FROM candidates WHERE score_key NOT IN ({known})"
        ((n,),) = self._database.execute(lone)
        self._refuse(f"{n} of its candidates have no evaluation" if n else None)
        self._refuse(misfits.in_generations(generations, set(self._asked().values())))

    def _refuse(self, misfit: str | None) -> None:
        if misfit is not None:
            raise self.damaged(misfit)

    def _asked(self) -> dict[str, str]:
        """The genome key of each candidate, by its score key."""
        return dict(self._database.execute("SELECT score_key, genome_key FROM candidates"))

    def damaged(self, said: str) -> DamageError:
        """What is raised where what it holds does not fit together.

        Args:
            said: what is wrong with it.
        """
        return self._database.damaged(said)

    @classmethod
    def new(cls, results: Path, name: str | None, data_name: str, facts: Facts) -> RunRecord:
        """A new run's folder with a record that holds its first facts.

        The record appears whole: a folder whose making was cut short is no run yet, and is
        taken again by a run of the same name.

        Args:
            results: the folder that holds the runs; made where it is missing.
            name: the new folder's name; data and time where it is None.
            data_name: what the name starts with where ``name`` is None.
            facts: what is true of the run from its start.

        Raises:
            RecordError: a run of that name exists, or the folder cannot be made.
        """
        folder = new_folder(results, name, data_name)
        claim = Claim(folder, "another process")  # which may have been told the same name
        try:
            refuse_existing(folder)
            unfinished = folder / f"{FILE}.new"
            unfinished.unlink(missing_ok=True)
            with closing(Database(unfinished, *cls.FORMAT, create=True)) as database:
                _write_facts(database, facts.to_dict())
            unfinished.rename(folder / FILE)
        finally:
            claim.give_up()
        return cls(folder)

    def __enter__(self) -> RunRecord:
        """The record, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and leave the run to others."""
        self._database.close()
        if self._claim is not None:
            self._claim.give_up()

    def claim(self) -> None:
        """Make this process the only one that goes on with the run, until the record is closed.

        Raises:
            RecordError: another process is at it; says which.
        """
        self._claim = Claim(self.folder, self._read_facts().claimed_by or "another process")
        try:
            self.set_facts(claimed_by=this_process())
        except BaseException:
            self._claim.give_up()
            raise

    @property
    def claimed_by(self) -> str | None:
        """The process that goes on with the run just now, or None."""
        return self._read_facts().claimed_by if is_claimed(self.folder) else None

    def together(self) -> AbstractContextManager[None]:
        """All that is written inside is written in one transaction, or nothing of it."""
        return self._database.transaction()

    # Facts

    @property
    def facts(self) -> Facts:
        """What is true of the whole run, as this process has written or found it."""
        if self._facts is None:
            self._facts = self._read_facts()
        return self._facts

    def set_facts(self, **changes: Any) -> None:
        """Write down some fields of the facts, in one transaction."""
        plain = replace(self.facts, **changes).to_dict()
        _write_facts(self._database, {name: plain[name] for name in changes})
        self._facts = None

    def _read_facts(self) -> Facts:
        found = self._database.read(_named, _FACTS)  # all: of one a changed name would be missed
        try:
            return from_json(Facts, joined(dict(found)))
        except ConfigError as error:
            raise RecordError(
                f"{self.folder} has settings that are none of this evonet's: {error} Use the "
                "evonet that wrote it, or start a new run."
            ) from None
        except (ValueError, TypeError, LookupError, EvonetError) as error:
            said = f"a row of its facts makes no sense ({error})"
            raise self._database.damaged(said) from error

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the run improves, the score first."""
        return self.facts.config.objective

    # Evaluations

    def add_evaluation(self, stored: StoredEvaluation) -> None:
        """Write down one evaluation; on return it is on disk."""
        with self._database.transaction():
            self._database.add(
                _EVALUATIONS,
                (
                    stored.score_key,
                    stored.origin,
                    stored.genome.to_json(),
                    stored.evaluation.to_json(),
                    stored.repeat,
                ),
            )

    def evaluation(self, score_key: str) -> StoredEvaluation | None:
        """The evaluation under a score key, or None."""
        which = "WHERE score_key = ?"
        found = self._database.read(read_evaluation, _EVALUATIONS, which, (score_key,))
        return found[0] if found else None

    def evaluations(self) -> list[StoredEvaluation]:
        """All evaluations of the search, in the order in which they were written."""
        return [stored for stored in self._all_evaluations() if stored.repeat == 0]

    def repeats(self) -> list[StoredEvaluation]:
        """All trainings of finalists again, in the order in which they were written."""
        return [stored for stored in self._all_evaluations() if stored.repeat > 0]

    def _all_evaluations(self) -> list[StoredEvaluation]:
        """Each is read once: they never change. All rows, since a checksum tells of those alone."""
        which, n_read = "ORDER BY position LIMIT -1 OFFSET ?", len(self._evaluations)
        new = self._database.read(read_evaluation, _EVALUATIONS, which, (n_read,))
        if not n_read:  # those after them are this process's own
            self._refuse(misfits.in_evaluations(new, self._asked(), self.objectives[1:]))
        self._evaluations += new
        return self._evaluations

    def count_trainings(self) -> int:
        """Trainings of the search that this run did itself, failed ones included."""
        return sum(stored.origin == "trained" for stored in self.evaluations())

    def search_seconds(self) -> float:
        """Seconds of search: of the finished generations, and of the trainings after them."""
        in_generations = {candidate.score_key for candidate in self.candidates()}
        after = [
            stored.evaluation.seconds
            for stored in self.evaluations()
            if stored.origin == "trained" and stored.score_key not in in_generations
        ]
        return sum(generation.seconds for generation in self.generations()) + sum(after)

    # Generations

    def commit_generation(
        self, generation: StoredGeneration, candidates: Iterable[StoredCandidate]
    ) -> None:
        """Write down a finished generation and the candidates it asked for, in one transaction."""
        volume = generation.hypervolume
        with self._database.transaction():
            for candidate in candidates:
                self._add_candidate(candidate)
            self._database.add(
                _GENERATIONS,
                (
                    generation.number,
                    json.dumps(generation.population),
                    generation.stalled,
                    float(generation.seconds),
                    None if volume is None else volume + 0.0,  # as SQLite gives a whole number back
                ),
            )

    def generations(self) -> list[StoredGeneration]:
        """All finished generations, the first one first."""
        return self._database.read(read_generation, _GENERATIONS, "ORDER BY number")

    def candidates(self) -> list[StoredCandidate]:
        """All candidates of finished generations, by generation and slot."""
        return self._candidates(finished=True)

    def _candidates(self, finished: bool) -> list[StoredCandidate]:
        """Those of finished generations, or the others; all rows are read, as above."""
        numbers = {generation.number for generation in self.generations()}
        found = self._database.read(read_candidate, _CANDIDATES, "ORDER BY generation, slot")
        self._refuse(misfits.in_candidates(found))
        return [c for c in found if (c.generation in numbers) == finished]

    def _add_candidate(self, candidate: StoredCandidate) -> None:
        self._database.add(
            _CANDIDATES,
            (
                candidate.generation,
                candidate.slot,
                candidate.genome_key,
                candidate.score_key,
                candidate.operator,
                json.dumps(candidate.parents),
            ),
        )

    # A search without a barrier

    def add_pending(self, pending: StoredPending) -> None:
        """Write down a candidate that is asked for; on return it is on disk."""
        hurdles = json.dumps([asdict(hurdle) for hurdle in pending.hurdles])
        own = pending.genome.to_json(), pending.operator, json.dumps(pending.parents), hurdles
        with self._database.transaction():
            self._database.add(_PENDING, own)

    def end_pending(self, genome: Genome, candidate: StoredCandidate) -> None:
        """Write down that the search was told of a candidate, as the next of its generation."""
        with self._database.transaction():
            self._database.execute("DELETE FROM pending WHERE genome = ?", (genome.to_json(),))
            self._add_candidate(candidate)

    def pending(self) -> list[StoredPending]:
        """What is asked for and not told of, in the order in which it was asked for."""
        found = self._database.read(read_pending, _PENDING, "ORDER BY number")
        self._refuse(misfits.in_pending(found, set(self._asked().values())))
        return found

    def unfinished_candidates(self) -> list[StoredCandidate]:
        """What a search was told of since its last finished generation, in that order."""
        return self._candidates(finished=False)

    # Winners

    def add_winner(self, stored: StoredWinner) -> None:
        """Write down a final fit."""
        with self._database.transaction():
            self._database.add(_WINNERS, (json.dumps(stored.to_dict()),))

    def winners(self) -> list[StoredWinner]:
        """All final fits, the last one last."""
        return self._database.read(read_winner, _WINNERS, "ORDER BY number")


def _write_facts(database: Database, facts: dict[str, Any]) -> None:
    with database.transaction():
        for name, value in facts.items():
            database.add(_FACTS, (name, json.dumps(value)), replacing=True)


def _named(name: str, value: str) -> tuple[str, str]:
    try:
        json.loads(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return name, value
