"""The plan of the quality benchmark: data sets, rows, and the file that keeps what was measured."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from bench.processes import JobError, run_job


@dataclass(frozen=True)
class DataSet:
    """A table of the benchmark, chosen by kind and size before anything was measured.

    Attributes:
        name: the file's name without its ending.
        target: column to predict.
        task: decides the scores.
    """

    name: str
    target: str
    task: Literal["classification", "regression"] = "classification"

    @property
    def metric(self) -> str:
        """The score of the validation part that every search improves."""
        return "rmse" if self.task == "regression" else "balanced_accuracy"

    @property
    def scores(self) -> tuple[str, str]:
        """The scores of the test part in the table; the first ranks, and more of it is better."""
        if self.task == "regression":
            return "r2", "rmse"
        return "balanced_accuracy", "accuracy"

    @property
    def file(self) -> str:
        """Where it lies in the data folder."""
        return f"tabular/{self.name}.csv.gz"


#: 846 to 48,842 rows, 5 to 80 features; with and without categories and missing cells.
DATA_SETS = (
    DataSet("vehicle", "19"),
    DataSet("credit_g", '"class"'),
    DataSet("phoneme", "target"),
    DataSet("adult", "income"),
    DataSet("ames_housing", "SalePrice", "regression"),
    DataSet("california_housing", "medianHouseValue", "regression"),
)
QUICK_DATA_SETS = ("vehicle", "ames_housing")

Kind = Literal["tuner", "boosting", "linear"]


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Attributes:
        name: what the row is called.
        job: the job of ``child.JOBS``.
        kind: tuners of networks are ranked; the others are references.
        packages: what has to be installed for it.
        arguments: of the job, beside data, seed and deadline.
        environment: variables to set.
    """

    name: str
    job: str
    kind: Kind = "tuner"
    packages: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if not find_spec(name)]


_TENSORFLOW = {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}  # TensorFlow's default
METHODS = (
    Method("evonet", "evonet_search"),
    Method(
        "Keras Tuner random",
        "keras_tuner_quality",
        packages=("keras_tuner",),
        arguments={"tuner": "RandomSearch"},
        environment=_TENSORFLOW,
    ),
    Method(
        "Keras Tuner Hyperband",
        "keras_tuner_quality",
        packages=("keras_tuner",),
        arguments={"tuner": "Hyperband"},
        environment=_TENSORFLOW,
    ),
    Method("Optuna, Keras", "optuna_keras", packages=("optuna",), environment=_TENSORFLOW),
    Method("Optuna, scikit-learn MLP", "optuna_mlp", packages=("optuna",)),
    Method("FLAML", "flaml", "boosting", ("flaml", "lightgbm")),
    Method(
        "boosting, early stopping",
        "reference",
        "boosting",
        arguments={"model": "boosting, early stopping"},
    ),
    Method("boosting", "reference", "boosting", arguments={"model": "boosting"}),
    Method("linear", "reference", "linear", arguments={"model": "linear"}),
)
_GRACE = 4, 120.0  # a job is ended after so many times its minutes, and so many seconds; untuned


@dataclass(frozen=True)
class Record:
    """What one method did on one data set with one seed.

    Attributes:
        data: name of the data set.
        method: name of the row.
        seed: of split and search.
        minutes: the limit.
        cores: cores it could use.
        validation: score of the validation part; None if it failed.
        test: scores of the test part by name; empty if it failed.
        trainings: how many it did.
        seconds: from the start of its process to the end.
        peak_mib: the most memory it and its workers held.
        details: what else it said, versions, the processor, and the load average of the machine at
            its end.
        error: why it failed; empty if it did not.
    """

    data: str
    method: str
    seed: int
    minutes: float
    cores: int
    validation: float | None = None
    test: Mapping[str, float | None] = field(default_factory=dict)
    trainings: int = 0
    seconds: float = 0.0
    peak_mib: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Two records with one key are of the same thing."""
        return self.data, self.method, self.seed, self.minutes, self.cores

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def read_records(file: Path) -> list[Record]:
    """The records of a file, one JSON object a line, the last of each key; none without a file.

    A last line without its end was being written when the process died: it is cut off the file.
    """
    if not file.exists():
        return []
    text = file.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, "utf-8")
    records = (Record(**json.loads(line)) for line in whole.splitlines())
    return list({record.key: record for record in records}.values())


def measure(
    wanted: Sequence[tuple[int, DataSet, Method]],
    minutes: float,
    cores: int,
    folder: Path,
    file: Path,
    where: Mapping[str, Any],
    is_over: Callable[[], bool],
) -> Iterator[Record]:
    """Measure what the file does not hold yet, and add it there; failures are tried again.

    Args:
        wanted: seed, data set and method of each record, in their order.
        minutes: limit of each.
        cores: cores that are used.
        folder: of the data.
        file: where records are kept.
        where: versions and ``cpu``, written down with each record.
        is_over: asked before each; True begins no more.

    Yields:
        Each new record.

    Raises:
        SystemExit: the file holds figures of another processor, which those of this one cannot be
            put beside.
    """
    known = read_records(file)
    others = {str(record.details.get("cpu")) for record in known} - {str(where["cpu"])}
    done = {record.key for record in known if not record.error}
    for seed, data, method in wanted:
        blank = Record(data.name, method.name, seed, minutes, cores)
        if blank.key in done:
            continue
        if is_over():
            return
        if others:
            raise SystemExit(
                f"{file} was measured on {' and '.join(sorted(others))}, and this is "
                f"{where['cpu']}: searches by the minute cannot be compared. Pass another --scores."
            )
        record = _measured(blank, data, method, folder, where)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(record.to_line())
        yield record


def _measured(
    blank: Record, data: DataSet, method: Method, folder: Path, where: Mapping[str, Any]
) -> Record:
    started = time.time()
    arguments = {
        "source": str(folder / data.file),
        "target": data.target,
        "metric": data.metric,
        "seed": blank.seed,
        "started": started,
        "deadline": started + 60 * blank.minutes,
        **method.arguments,
    }
    times, seconds = _GRACE
    most_seconds = times * 60 * blank.minutes + seconds
    common = {**asdict(blank), "details": dict(where)}
    try:
        finished = run_job(method.job, arguments, method.environment, most_seconds)
    except JobError as error:
        return Record(**{**common, "error": str(error)})
    result = finished.result
    details = {**common["details"], **result.pop("details"), "load": os.getloadavg()[0]}
    return Record(
        **{
            **common,
            **result,
            "details": details,
            "seconds": finished.seconds,
            "peak_mib": finished.peak_mib,
        }
    )
