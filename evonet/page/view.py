"""What sections look at: a record, and what follows from it, each computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from evonet.config import RunConfig
from evonet.fitness import WORST, fitness, rank
from evonet.genome import Genome
from evonet.metrics import Metric
from evonet.outcome import Winner
from evonet.phrases import ALL_TRIED
from evonet.progress import RunResult, read_result
from evonet.report.importance import Analysis, analyse, at_one_stage
from evonet.report.tables import (
    baselines_table,
    generations_table,
    operators_table,
    population_table,
)
from evonet.report.words import metric_words
from evonet.sentences import score_text
from evonet.store.facts import DataFacts
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate, StoredEvaluation

if TYPE_CHECKING:
    from evonet.diagnosis.diagnosis import Diagnosis


@dataclass(frozen=True)
class Point:
    """A training of the search.

    Attributes:
        index: its place among all of them.
        stored: the training.
        born: the candidate it was; None in a generation that is not finished.
        fitness: more is better; ``WORST`` where it failed.
    """

    index: int
    stored: StoredEvaluation
    born: StoredCandidate | None
    fitness: float

    @property
    def genome(self) -> Genome:
        """What was trained."""
        return self.stored.genome

    @property
    def score(self) -> float | None:
        """On the validation part; None where it failed."""
        return self.stored.evaluation.score if self.stored.evaluation.ok else None


@dataclass(frozen=True)
class View:
    """A run as its page sees it.

    Attributes:
        record: of the run; a ``Snapshot``, so that all parts of a page are of the same moment.
        live: on a page that follows a run, the version of the record it shows; else empty.
        diagnosis: of the winner; None where there is none, or none was asked for.
    """

    record: RunRecord
    live: str = ""
    diagnosis: Diagnosis | None = None

    @property
    def config(self) -> RunConfig:
        """The run's settings."""
        return self.record.facts.config

    @property
    def data(self) -> DataFacts:
        """What was understood of the data."""
        return self.record.facts.data

    @cached_property
    def space(self) -> dict[str, list[Any]]:
        """The values of each gene."""
        return self.record.facts.space.to_dict()

    @cached_property
    def result(self) -> RunResult:
        """The run's outcome so far."""
        return read_result(self.record)

    @property
    def winner(self) -> Winner | None:
        """The network of the last final fit."""
        return self.result.winner

    @property
    def metric(self) -> Metric:
        """What the run improves."""
        return self.record.facts.metric

    @property
    def metric_words(self) -> str:
        """The metric as it stands in a sentence."""
        return metric_words(self.metric.name)

    @property
    def unit(self) -> str:
        """The unit of a score in words, with a space before it; empty for most metrics."""
        return " (the target's unit)" if self.metric.name in ("rmse", "mae") else ""

    @property
    def better(self) -> str:
        """Which scores are better."""
        return "higher is better" if self.metric.maximise else "lower is better"

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the run improves, the score first."""
        return self.record.objectives

    @property
    def searched(self) -> bool:
        """Whether there is a search at all, rather than one genome that was given."""
        return self.record.facts.given is None

    @property
    def is_perfect(self) -> bool:
        """Whether the search has nothing left to improve: the best score there can be, and that is
        all it improves."""
        best = self.ranked[0].score if self.ranked else None
        return len(self.objectives) == 1 and best == self.metric.perfect

    @property
    def all_tried(self) -> bool:
        """Whether the search ended since there was no other network to try."""
        return (self.result.reason or "").endswith(ALL_TRIED)

    @cached_property
    def points(self) -> list[Point]:
        """All trainings of the search, as they were written down."""
        born = {c.score_key: c for c in self.record.candidates()}
        return [
            Point(i, s, born.get(s.score_key), fitness(s.evaluation, self.metric))
            for i, s in enumerate(self.record.evaluations())
        ]

    @cached_property
    def index_of(self) -> dict[str, int]:
        """The place of a genome among the points, by its key."""
        return {point.genome.key: point.index for point in self.points}

    @cached_property
    def ranked(self) -> list[Point]:
        """The trainings that succeeded, best first."""
        usable = [p for p in self.points if p.stored.evaluation.ok and p.fitness > WORST]
        return sorted(usable, key=lambda p: rank(p.stored.evaluation, self.metric, self.objectives))

    @cached_property
    def generations(self) -> pd.DataFrame:
        """As ``tables.generations_table``."""
        return generations_table(self.record)

    @cached_property
    def population(self) -> pd.DataFrame:
        """As ``tables.population_table``."""
        return population_table(self.record)

    @cached_property
    def operators(self) -> pd.DataFrame:
        """As ``tables.operators_table``."""
        return operators_table(self.record)

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """As ``tables.baselines_table``."""
        return baselines_table(self.record)

    @cached_property
    def analysis(self) -> Analysis | None:
        """Which genes matter, by scores of ``analysed_epoch``; None where too little is known."""
        _, found = self._one_stage
        return analyse([self.points[i].genome for i in found], list(found.values()), self.space)

    @property
    def analysed_epoch(self) -> int | None:
        """The epoch after which networks were compared to say which genes matter; None: the end."""
        return self._one_stage[0]

    @cached_property
    def _one_stage(self) -> tuple[int | None, dict[int, float]]:
        return at_one_stage([p.stored.evaluation for p in self.points], self.metric)

    def generation_of(self, point: Point) -> int:
        """The generation of a training; of one that is not finished, the one under way."""
        return point.born.generation if point.born else len(self.record.generations())

    def said(self, point: Point) -> dict[str, Any]:
        """A training as the page shows it at a point."""
        e = point.stored.evaluation
        parents = point.born.parents if point.born else ()
        outcome = score_text(e.score) if e.ok else e.status.replace("_", " ")
        return {
            "g": str(point.genome),
            "s": outcome + (" when it was given up" if e.dropped else ""),
            "n": self.generation_of(point),
            "o": point.born.operator if point.born else "",
            "p": [self.index_of[key] for key in parents if key in self.index_of],
            "w": f"{e.parameters:,}" if e.parameters else "",
        }
