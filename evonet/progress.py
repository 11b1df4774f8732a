"""What a run says of itself: while it runs, and when it ends."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evonet.advice.finding import Finding
from evonet.champion.noise import Noise
from evonet.config import RunConfig
from evonet.evaluation import Evaluation
from evonet.genome import Genome
from evonet.metrics import Metric
from evonet.outcome import Baseline, Winner
from evonet.store.record import RunRecord


@dataclass(frozen=True)
class GenerationSummary:
    """What a finished generation has to say.

    Attributes:
        number: from 0.
        best: best score of the population.
        median: median score of the population.
        best_genome: the genome of the best score.
        trained: candidates that were trained.
        cached: candidates whose score was known.
        dropped: candidates given up on their way.
        failed: candidates whose training failed.
        seconds: wall-clock time of the generation.
        hypervolume: of the Pareto front so far; None with one objective.
    """

    number: int
    best: float
    median: float
    best_genome: Genome
    trained: int
    cached: int
    dropped: int
    failed: int
    seconds: float
    hypervolume: float | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run ends with.

    Attributes:
        folder: the run's folder.
        reason: why the search ended, in words; None if it has not ended.
        winner: the network of the last final fit; None if there was none yet.
        baselines: what it has to beat.
        metric: what was improved.
        n_test: rows of the test part.
        n_winners: different winners that the test part has scored, by different ends of the search.
        generations: that were finished.
        trainings: networks trained by this run, baselines and final fit not counted.
        seconds: wall-clock time of the search, all sessions together.
        noise: how far chance moves a score; None where no finalist was trained again.
        doubts: findings of the data's check for which the score of the test part may flatter too.
    """

    folder: Path
    reason: str | None
    winner: Winner | None
    baselines: tuple[Baseline, ...]
    metric: Metric
    n_test: int
    n_winners: int
    generations: int
    trainings: int
    seconds: float
    noise: Noise | None = None
    doubts: tuple[Finding, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether there is something left to do: the run was stopped or killed."""
        return self.reason is None

    @property
    def beaten(self) -> tuple[Baseline, ...]:
        """The baselines that the winner beats on the test part; not ``perhaps_beaten`` ones."""
        return tuple(b for b in self._rivals(beaten=True) if not self._within_chance(b))

    @property
    def perhaps_beaten(self) -> tuple[Baseline, ...]:
        """Those that it is ahead of, but whose score is within the 95 % interval of its own."""
        return tuple(b for b in self._rivals(beaten=True) if self._within_chance(b))

    @property
    def as_good(self) -> tuple[Baseline, ...]:
        """Those that are as good as the winner or better."""
        return self._rivals(beaten=False)

    def _within_chance(self, baseline: Baseline) -> bool:
        return self.winner is not None and self.winner.may_have(baseline.test_score)

    def _rivals(self, beaten: bool) -> tuple[Baseline, ...]:
        own = self.winner.test_score if self.winner else None
        return tuple(
            baseline
            for baseline in self.baselines
            if own is not None
            and baseline.test_score is not None
            and self.metric.better(own, baseline.test_score) == beaten
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        winner = self.winner
        return {
            "run": str(self.folder),
            "stopped": self.reason,
            "metric": self.metric.name,
            "winner": winner.genome.to_dict() if winner else None,
            "search_score": winner.search_score if winner else None,
            "revalidated_score": winner.revalidated_score if winner else None,
            "revalidated_interval": winner.revalidated_interval(self.metric) if winner else None,
            "repeats": list(winner.repeats) if winner else None,
            "noise": asdict(self.noise) if self.noise else None,
            "validation_score": winner.validation_score if winner else None,
            "test_score": winner.test_score if winner else None,
            "test_interval": winner.test_interval if winner else None,
            "test_rows": self.n_test,
            "test_scores": dict(winner.test_scores) if winner else None,
            "ensemble": winner.ensemble.to_dict() if winner and winner.ensemble else None,
            "parameters": winner.parameters if winner else None,
            "baselines": [baseline.to_dict() for baseline in self.baselines],
            "doubts": [finding.to_dict() for finding in self.doubts],
            "generations": self.generations,
            "trainings": self.trainings,
            "seconds": round(self.seconds, 3),
        }


class Observer:
    """Told what happens in a run; does nothing. The terminal's observer shows it."""

    def __enter__(self) -> Observer:
        """The session begins."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The session is over, by whatever way."""

    def on_start(self, record: RunRecord, metric: Metric, config: RunConfig) -> None:
        """The data are ready and the record is open."""

    def on_compilation(self, kept: bool) -> None:
        """The training loops are about to be compiled; whether they are kept for the next time."""

    def on_baseline(self, baseline: Baseline) -> None:
        """A baseline is fitted."""

    def on_generation_start(self, number: int, n_candidates: int) -> None:
        """A generation is about to be trained."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """An evaluation is known and written down."""

    def on_generation(self, summary: GenerationSummary) -> None:
        """A generation is finished and committed."""

    def on_warning(self, text: str) -> None:
        """Something is wrong that does not end the run."""

    def on_stop_asked(self) -> None:
        """The user asked to stop."""

    def on_search_end(self, reason: str) -> None:
        """The search is over; the winner is about to be fitted."""

    def on_revalidation_start(self, n_finalists: int, n_repeats: int, on_splits: bool) -> None:
        """The best networks are about to be trained again, on other splits or on fresh seeds."""

    def on_end(self, result: RunResult) -> None:
        """Everything is written."""


def read_result(record: RunRecord) -> RunResult:
    """What a record says of its run's outcome so far."""
    winners, facts = record.winners(), record.facts
    winner = winners[-1].winner if winners else None
    again: dict[str, list[float]] = {}
    for stored in record.repeats():
        evaluation = stored.evaluation
        if winner is not None and evaluation.ok and evaluation.score is not None:
            own = evaluation.folds if winner.on_splits else [evaluation.score]
            again.setdefault(stored.genome.key, []).extend(own)
    return RunResult(
        record.folder,
        facts.stopped,
        winner,
        facts.baselines,
        facts.metric,
        facts.data.rows[2],
        len({json.dumps(stored.winner.to_dict(), sort_keys=True) for stored in winners}),
        len(record.generations()),
        record.count_trainings(),
        record.search_seconds(),
        Noise.of(again, winner.genome.key, facts.metric.sign, winner.on_splits) if winner else None,
        tuple(finding for finding in facts.data.advice if finding.flatters_test),
    )


class Clock:
    """Seconds of a run, all of its sessions together.

    Of a session that was killed, what came after its last generation is not known.
    """

    def __init__(self, record: RunRecord) -> None:
        self._before = record.facts.seconds
        searched = sum(generation.seconds for generation in record.generations())
        self._carried = record.search_seconds() - searched
        self._began = self._lap_began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of the run up to now."""
        return self._before + time.monotonic() - self._began

    def start_search(self) -> None:
        """A generation starts; what this session did before belongs to none."""
        self._lap_began = time.monotonic()

    def lap(self) -> float:
        """Seconds of the generation that ends now; the next one starts."""
        now = time.monotonic()
        lap = self._carried + now - self._lap_began
        self._carried, self._lap_began = 0.0, now
        return lap
