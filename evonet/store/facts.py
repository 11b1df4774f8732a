"""What is true of a whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, PositiveInt

from evonet.advice.finding import Finding
from evonet.config import RunConfig, make_config
from evonet.data.preparation import Preparation
from evonet.data.target import Target
from evonet.genome import Genome, SearchSpace
from evonet.metrics import METRICS, Metric
from evonet.outcome import Baseline
from evonet.typed import Count, Seconds


def _metric(record: Mapping[str, Any]) -> Metric:
    try:
        return METRICS[record["name"]]
    except (TypeError, LookupError):
        raise ValueError(f"expected one of {', '.join(METRICS)}") from None


def _protocol(record: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(record.get("prepared"), dict):
        raise ValueError("expected what the data were prepared by as 'prepared'")
    return record


@dataclass(frozen=True)
class DataFacts:
    """What was understood of a run's data.

    Attributes:
        name: short name of the data.
        fingerprint: hash of the raw data.
        target: what is predicted.
        preparation: how raw rows become inputs.
        n_inputs: numbers that a network takes.
        rows: of the training, validation and test part.
        notes: sentences about what was inferred and what was left out.
        advice: what is odd about them, of what is serious.
    """

    name: str
    fingerprint: str
    target: Target
    preparation: Preparation
    n_inputs: PositiveInt
    rows: tuple[Count, Count, Count]
    notes: tuple[str, ...]
    advice: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Facts:
    """What is true of a whole run.

    Attributes:
        config: its settings; where it trains, and its limits, may change when it is resumed.
        space: the values that each gene may take.
        founders: genomes that its first generation has.
        given: the one genome that is fitted without a search; None in a search.
        protocol: what besides genome and seed a score depends on (see ``protocol_key``).
        metric: what it improves.
        data: what was understood of its data.
        baselines: what its winner has to beat; empty until they are fitted.
        started: when, in seconds since 1970; None where an older evonet wrote the record.
        stopped: why the search ended; None if it has not ended.
        seconds: of the run, all sessions that came to an end together.
        search_began: seconds of the run at which the search began, by the limits of today.
        claimed_by: the process that goes on with it, or did last.
    """

    config: Annotated[RunConfig, PlainValidator(make_config)]
    space: Annotated[SearchSpace, PlainValidator(SearchSpace.from_dict)]
    founders: tuple[Genome, ...]
    given: Genome | None
    protocol: Annotated[dict[str, Any], AfterValidator(_protocol)]
    metric: Annotated[Metric, PlainValidator(_metric)]
    data: DataFacts
    baselines: tuple[Baseline, ...]
    started: Seconds | None = None
    stopped: str | None = None
    seconds: Seconds = 0.0
    search_began: Seconds | None = None
    claimed_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **vars(self),
            "config": self.config.to_dict(),
            "space": self.space.to_dict(),
            "founders": [genome.to_dict() for genome in self.founders],
            "given": self.given.to_dict() if self.given else None,
            "metric": {"name": self.metric.name, "maximise": self.metric.maximise},
            "data": self.data.to_dict(),
            "baselines": [baseline.to_dict() for baseline in self.baselines],
        }
