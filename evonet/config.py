"""The settings of a run: one field is one flag, one help line and one key of the saved config.toml.

The fields' order and ``panel`` give the help its order. Derived values are properties.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evonet.errors import ConfigError, shown
from evonet.phrases import did_you_mean
from evonet.toml import read_toml, write_toml

TaskName = Literal["auto", "binary", "multiclass", "regression"]
MetricName = Literal[
    "auto",
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "log_loss",
    "roc_auc",
    "rmse",
    "mae",
    "r2",
]


#: Flags that are not called like their settings.
_FLAGS = {"asynchronous": "async"}
#: Generations after the first where no limit is passed that a search comes to.
_GENERATIONS = 30
#: Most epochs of a training, which each leave their losses and their learning rates in memory.
_EPOCHS = 1_000_000
ObjectiveName = Literal["score", "parameters", "inference_ms"]


def _setting(default: Any, panel: str, help_line: str, **bounds: Any) -> Any:
    return Field(default, description=help_line, json_schema_extra={"panel": panel}, **bounds)


def _number(default: float | None, panel: str, help_line: str, **bounds: Any) -> Any:
    """A setting that is a number: neither a text that spells one nor ``true``."""
    return _setting(default, panel, help_line, strict=True, **bounds)


class RunConfig(BaseModel):
    """Everything that decides what a run does. Frozen; every value is checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: str = _setting(
        "digits",
        "Data",
        "digits, iris, wine, breast_cancer, diabetes, circles; "
        "or a CSV, TSV, Parquet, Feather or NPZ file.",
    )
    target: str | None = _setting(None, "Data", "Column to predict; needed for tables in files.")
    drop: tuple[str, ...] = _setting((), "Data", "Column to leave out; may be given several times.")
    task: TaskName = _setting("auto", "Data", "What the target is; auto infers it and says so.")
    test_fraction: float = _number(
        0.2, "Data", "Share of the rows kept for the one final test.", gt=0, lt=1
    )
    validation_fraction: float = _number(
        0.2, "Data", "Share of the rows that scores the candidates.", gt=0, lt=1
    )
    folds: int | None = _number(
        None,
        "Data",
        "Score candidates by cross-validation with so many folds, for few rows; "
        "on the validation part if left out.",
        ge=2,
        le=50,
    )
    max_categories: int = _number(
        32, "Data", "Most categories of a column that get an input of their own.", ge=2, le=1000
    )

    metric: MetricName = _setting(
        "auto", "Goal", "Score to improve; auto is accuracy, or rmse for regression."
    )
    loss: Literal["auto", "mse", "huber", "mae"] = _setting(
        "auto", "Goal", "Loss to train on; auto is cross-entropy, or mse for regression."
    )
    class_weight: Literal["auto", "none", "balanced"] = _setting(
        "auto",
        "Goal",
        "balanced: rare classes weigh as much as common ones; auto is balanced where the metric "
        "is balanced_accuracy.",
    )

    objective: tuple[ObjectiveName, ...] = _setting(
        ("score",),
        "Search",
        "score, parameters, inference_ms: what to improve, with commas; score alone if left out.",
    )
    method: Literal["ga", "random", "aging", "tpe"] = _setting(
        "ga",
        "Search",
        "ga evolves; to compare with: random, aging (regularised evolution), tpe (Optuna's).",
    )
    population_size: int = _number(16, "Search", "Genomes that live.", ge=4, le=100_000)
    offspring: int = _number(
        12,
        "Search",
        "New genomes in each later generation; four times as many with --fidelity.",
        ge=1,
        le=100_000,
    )
    tournament_size: int = _number(
        3, "Search", "Genomes that compete to be a parent.", ge=1, le=100_000
    )
    crossover_rate: float = _number(
        0.6, "Search", "Share of the offspring that has two parents.", ge=0, le=1
    )
    immigrants: float = _number(
        0.0, "Search", "Share of new random genomes once nothing improves.", ge=0, le=1
    )
    screened: int = _number(
        4,
        "Search",
        "Offspring drawn for each that is trained: a forest that has learned from all trainings "
        "so far chooses. 1 for none.",
        ge=1,
        le=1000,
    )
    asynchronous: bool = _setting(
        False,
        "Search",
        "Ask for a new genome whenever a worker is free; wait for no generation. With several "
        "workers the run depends on which training ends first.",
        strict=True,
    )
    max_parameters: int | None = _number(
        None, "Search", "Most trainable parameters of a network; larger ones are drawn again.", ge=1
    )
    space: Path | None = _setting(None, "Search", "TOML file that changes the search space.")
    fix: tuple[str, ...] = _setting(
        (), "Search", "Pin a gene, as in learning_rate=1e-3; may be given several times."
    )
    population: Path | None = _setting(None, "Search", "File of genomes to start from.")
    seed: int = _number(0, "Search", "Equal seeds give equal runs.", ge=0, lt=2**63)

    generations: int | None = _number(
        None,
        "Stop",
        f"Generations after the first; if left out {_GENERATIONS}, or without limit where minutes "
        "or trainings have one.",
        ge=0,
    )
    max_trainings: int | None = _number(
        None, "Stop", "Most networks to try; those whose scores are in the cache count too.", ge=1
    )
    max_minutes: float | None = _number(
        None, "Stop", "Minutes the run may take, the winner's fit included.", gt=0
    )
    patience: int | None = _number(
        None, "Stop", "Generations without a better network before stopping.", ge=1
    )
    target_score: float | None = _number(None, "Stop", "Validation score that is good enough.")

    finalists: int = _number(
        20, "Winner", "Best networks that are trained again, at most.", ge=1, le=1000
    )
    repeats: int = _number(
        4,
        "Winner",
        "Trainings of each finalist, on fresh seeds and where rows are few on other splits; "
        "their mean chooses. 0 trusts the search.",
        ge=0,
        le=1_000,
    )

    final_fits: int = _number(
        4, "Winner", "Fits of the winner on fresh seeds; the best of them is kept.", ge=1, le=1_000
    )

    epochs: int | None = _number(
        None,
        "Training",
        "Most epochs for a candidate; 20, up to 100 for few rows, if left out.",
        ge=1,
        le=_EPOCHS,
    )
    patience_epochs: int | None = _number(
        None,
        "Training",
        "Epochs without a lower validation loss before stopping; a quarter of them if left out.",
        ge=1,
        le=_EPOCHS,
    )
    fidelity: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Training",
        "on gives candidates up after a sixteenth and a quarter of their epochs unless they are "
        "among the best quarter there; auto only where scores there foretell the end.",
    )
    final_epochs: int | None = _number(
        None,
        "Training",
        "Most epochs for the winner; if left out, those of candidates, or five times as many.",
        ge=1,
        le=_EPOCHS,
    )
    engine: Literal["fused", "keras"] = _setting(
        "fused",
        "Training",
        "fused trains many at the same time; keras one after the other.",
    )
    device: Literal["auto", "cpu", "gpu"] = _setting(
        "auto", "Training", "What to train on; auto is a GPU where there is one."
    )
    precision: Literal["float32", "bfloat16"] = _setting(
        "float32", "Training", "bfloat16 multiplies with fewer digits; for GPUs."
    )

    workers: int | None = _number(
        None,
        "Machines",
        "Processes of this machine, or GPUs, that train; as many as there are if left out.",
        ge=1,
        le=10_000,
    )
    training_timeout: float | None = _number(
        None,
        "Machines",
        "Seconds that a worker process may train a candidate on one split, before it is ended. If "
        "left out, far more than predicted.",
        gt=0,
        le=1e6,
    )
    backend: Literal["loky", "dask", "ray"] = _setting(
        "loky",
        "Machines",
        "loky trains in processes of this machine, dask and ray on a cluster (extras of these "
        "names).",
    )
    address: str | None = _setting(
        None,
        "Machines",
        "Of the cluster: for dask where `dask scheduler` is, such as tcp://127.0.0.1:8786; for ray "
        "auto, for one that runs; one on this machine if left out.",
    )

    results: Path = _setting(Path("results"), "Record", "Folder that holds the runs.")
    name: str | None = _setting(
        None, "Record", "Name of the run's folder; data and time if left out."
    )
    tensorboard: bool = _setting(
        False, "Record", "Log each candidate for TensorBoard, in the run's folder.", strict=True
    )

    @field_validator("objective", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(t, str) for t in texts):
            return value
        return [word.strip() for text in texts for word in text.split(",")]

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        """What is wrong with settings beside each other, and what to do."""
        if self.test_fraction + self.validation_fraction >= 1:
            yield (
                "test_fraction and validation_fraction must leave rows to train on, got "
                f"{self.test_fraction:g} + {self.validation_fraction:g}; "
                "pass a smaller --test-fraction or --validation-fraction"
            )
        if self.objective[:1] != ("score",) or len(set(self.objective)) < len(self.objective):
            yield (
                "objective must name score first and nothing twice, got "
                f"{','.join(self.objective)}; pass --objective score,parameters"
            )
        for pin in self.fix:
            if "=" not in pin:
                yield f"fix expects GENE=VALUE, got {pin!r}; pass --fix learning_rate=1e-3"
        if self.backend == "loky" and self.address is not None:
            yield "address is of a cluster, and backend is loky; pass --backend dask or ray"
        if self.backend == "dask" and self.address is None:
            yield "backend dask needs a scheduler; start `dask scheduler`, and pass its --address"
        if self.backend != "loky" and self.engine != "fused":
            yield f"backend {self.backend} is of engine fused; leave out --engine or --backend"
        if self.backend != "loky" and self.device == "gpu":
            yield f"backend {self.backend} trains on CPUs; leave out --device or --backend"
        if self.training_timeout is not None and self.engine != "fused":
            yield "training_timeout is of engine fused; leave out --engine or --training-timeout"
        if self.training_timeout is not None and self.device == "gpu":
            yield (
                "training_timeout ends processes, which train on CPUs; leave out --device or "
                "--training-timeout"
            )
        if self.precision != "float32" and self.engine != "fused":
            yield f"precision {self.precision} is of engine fused; leave out --precision"
        if self.asynchronous and "inference_ms" in self.objective:
            yield (
                "inference_ms is measured while nothing trains, which asynchronous search never "
                "waits for; leave out --async, or inference_ms"
            )
        if self.asynchronous and self.device == "gpu":
            yield "asynchronous search trains on CPUs; leave out --async or --device"
        if self.name is not None and (
            Path(self.name).name != self.name or self.name in ("", ".", "..")
        ):
            yield f"name must be a plain folder name, got {self.name!r}; pass another --name"

    @property
    def max_generations(self) -> float:
        """Generations after the first; infinite for no limit."""
        if self.generations is not None:
            return self.generations
        limited = self.max_minutes is not None or self.max_trainings is not None
        return math.inf if limited else _GENERATIONS

    @property
    def max_seconds(self) -> float:
        """The limit on the time of a run; infinite without one."""
        return math.inf if self.max_minutes is None else 60 * self.max_minutes

    @property
    def pins(self) -> tuple[tuple[str, str], ...]:
        """The genes pinned with ``fix``, as (gene, text) pairs."""
        return tuple((p.split("=", 1)[0].strip(), p.split("=", 1)[1].strip()) for p in self.fix)

    def changed(self, **settings: Any) -> RunConfig:
        """This config with some settings changed; ConfigError where they cannot work."""
        return make_config({**self.model_dump(), **settings})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and TOML."""
        return self.model_dump(mode="json")

    def to_toml(self) -> str:
        """The config.toml of a run, which ``--config`` reads for another run like it."""
        return write_toml(self.to_dict() | {"name": None})


def make_config(settings: Mapping[str, Any], where: str = "") -> RunConfig:
    """A config from plain values.

    Args:
        settings: values by field name; what is left out has its default.
        where: what to call the source in an error, such as a file name.

    Raises:
        ConfigError: an unknown setting, or a value that cannot work; the message names the
            setting, the value, and what was expected.
    """
    try:
        return RunConfig.model_validate(dict(settings))
    except ValidationError as error:
        problem = error.errors()[0]
        prefix = f"{where}: " if where else ""
        raise ConfigError(f"{prefix}{_sentence(problem)}") from None


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, not yet checked; ConfigError where it cannot be read."""
    try:
        return read_toml(path.read_text("utf-8"), str(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"Cannot read the config {path}: {reason}.") from None


def _sentence(problem: Any) -> str:
    """A pydantic error as one line that says setting, expected and got."""
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not problem["loc"]:
        return f"{said}."
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(RunConfig.model_fields)
        meant = did_you_mean(name, RunConfig.model_fields)
        return f"unknown setting {name!r}; expected one of {known}.{meant}"
    flag = flag_of(name)
    return f"{name} {said}, got {shown(problem['input'])}. Change {flag}."


def flag_of(name: str) -> str:
    """The flag of a setting: its name, or where that is a word of Python's, the usual one.

    Example:
        >>> flag_of("max_minutes"), flag_of("asynchronous")
        ('--max-minutes', '--async')
    """
    return f"--{_FLAGS.get(name, name).replace('_', '-')}"


def setting_panel(name: str) -> str:
    """The heading under which a setting stands in the help."""
    extra = RunConfig.model_fields[name].json_schema_extra
    return str(extra["panel"]) if isinstance(extra, dict) else ""


def is_of_machines(name: str) -> bool:
    """Whether a setting says where to train, and how long at most: a resumed run may change it."""
    return setting_panel(name) == "Machines"


def is_limit(name: str) -> bool:
    """Whether a setting is a limit of the search, which may change when a run is resumed."""
    return setting_panel(name) == "Stop"


def setting_types() -> dict[str, Any]:
    """The type of every setting by name, for building the command line."""
    return typing.get_type_hints(RunConfig)
