"""Runs on the same data side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evonet.config import flag_of, is_of_machines
from evonet.errors import RecordError, shown
from evonet.outcome import no_winner
from evonet.progress import read_result
from evonet.store.facts import Facts
from evonet.store.record import RunRecord

#: Settings that do not tell groups apart: what they change is a column of its own, or nothing. Nor
#: do those of the machines, and the data, of which the names alone may differ.
_OF_NO_GROUP = ("method", "seed", "results", "name", "tensorboard", "device", "data")


def comparison(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each run: how it searched, what that took, and what came out.

    ``group`` names the method, and the settings that were not the same in all runs: runs of one
    group differ in their seeds at most, and groups in nothing that is not named. Scores are the
    winner's: ``search`` as the search saw it, ``revalidated`` its mean when trained again, ``test``
    on the test part; the last two with their 95 % intervals.

    Raises:
        RecordError: a run cannot be read, has no winner, or is of other data or another metric.
    """
    rows: list[dict[str, Any]] = []
    configs: list[dict[str, Any]] = []
    first: tuple[Path, dict[str, Any]] | None = None  # a run, and what has to be the same
    for folder in folders:
        with RunRecord(folder) as record:
            meaning, config = _meaning(record.facts), record.facts.config.to_dict()
            result = read_result(record)
        if result.winner is None:
            raise no_winner(folder)
        if first is not None:
            for words, value in meaning.items():
                if value != first[1][words]:
                    named = _of_data(config, configs[0]) if words == "data" else ""
                    raise RecordError(
                        f"{folder} and {first[0]} differ in {words}{named}: their scores cannot "
                        "be compared. Compare runs of one data set and metric."
                    )
        first = first or (folder, meaning)
        winner = result.winner
        configs.append(config)
        rows.append(
            {
                "run": folder.name,
                "method": config["method"],
                "seed": config["seed"],
                "trainings": result.trainings,
                "seconds": round(result.seconds, 1),
                "metric": result.metric.name,
                "search": winner.search_score,
                "revalidated": winner.revalidated_score,
                "revalidated_interval": winner.revalidated_interval(result.metric),
                "test": winner.test_score,
                "test_interval": winner.test_interval,
                "parameters": winner.parameters,
            }
        )
    for row, config in zip(rows, configs, strict=True):
        row["group"] = _group(config, configs)
    return rows


def _of_data(config: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The settings of two runs for which their data may differ, as a clause."""
    named = [
        f"{flag_of(name)} is {shown(config[name])} and {shown(other[name])}"
        for name in ("data", "target", "task", "drop")
        if config[name] != other[name]
    ]
    return f" ({'; '.join(named)})" if named else ""


def _group(config: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> str:
    """The method of a run, and those of its settings that are not those of all runs."""
    words = [config["method"]]
    for name, value in config.items():
        values = {json.dumps(other.get(name)) for other in configs}
        if len(values) > 1 and name not in _OF_NO_GROUP and not is_of_machines(name):
            words.append(f"{name} {value}")
    return ", ".join(words)


def _meaning(facts: Facts) -> dict[str, Any]:
    """What has to be the same in runs that are compared; the seed of the split may differ."""
    config, prepared = facts.config, facts.protocol["prepared"]
    return {
        "data": facts.data.fingerprint,
        "metric": facts.metric.name,
        "preparation": {n: v for n, v in prepared.items() if n not in ("split", "folds")},
        "the shares of the parts": (config.test_fraction, config.validation_fraction),
        "the number of folds": config.folds,
    }
