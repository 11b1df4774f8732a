"""The settings: one definition each, checked when they are made, written and read as TOML."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, raises_at_most

from evonet.config import RunConfig, flag_of, make_config, read_config, setting_types
from evonet.errors import ConfigError
from evonet.evolution.search import SearchSettings

PANELS = ("Data", "Goal", "Search", "Stop", "Winner", "Training", "Machines", "Record")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FRACTIONS = st.floats(0, 1, exclude_min=True, exclude_max=True)
NUMBERS = st.integers(1, 2**62)

#: Settings that work, each drawn on its own or left out.
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "data": TEXT,
        "target": st.none() | TEXT,
        "drop": st.lists(TEXT, max_size=3),
        "task": st.sampled_from(["auto", "binary", "multiclass", "regression"]),
        "test_fraction": st.floats(0.01, 0.5),
        "validation_fraction": st.floats(0.01, 0.4),
        "max_categories": st.integers(2, 1000),
        "folds": st.none() | st.integers(2, 50),
        "fidelity": st.sampled_from(["auto", "on", "off"]),
        "metric": st.sampled_from(["auto", "accuracy", "rmse", "r2"]),
        "loss": st.sampled_from(["auto", "mse", "huber", "mae"]),
        "class_weight": st.sampled_from(["auto", "none", "balanced"]),
        "population_size": st.integers(11, 100_000),
        "objective": st.sampled_from(["score", "score,parameters", ["score", "inference_ms"]]),
        "method": st.sampled_from(["ga", "random", "aging", "tpe"]),
        "offspring": st.integers(1, 100_000),
        "tournament_size": st.integers(1, 100_000),
        "crossover_rate": st.floats(0, 1),
        "immigrants": st.floats(0, 1),
        "screened": st.integers(1, 1000),
        "max_parameters": st.none() | NUMBERS,
        "space": st.none() | TEXT.map(Path),
        "fix": st.lists(TEXT.map(lambda text: f"{text}={text}"), max_size=3),
        "population": st.none() | TEXT.map(Path),
        "seed": st.integers(0, 2**63 - 1),
        "generations": st.integers(0, 2**62),
        "max_trainings": st.none() | NUMBERS,
        "max_minutes": st.none() | st.floats(0, 1e300, exclude_min=True),
        "training_timeout": st.none() | st.floats(1e-3, 1e6),
        "patience": st.none() | NUMBERS,
        "target_score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "epochs": st.none() | st.integers(1, 1_000_000),
        "patience_epochs": st.none() | st.integers(1, 1_000_000),
        "final_epochs": st.none() | st.integers(1, 1_000_000),
        "final_fits": st.integers(1, 1_000),
        "tensorboard": st.booleans(),
        "results": TEXT.map(Path),
        "name": st.none() | st.from_regex(r"[a-z][a-z0-9 ._-]{0,9}", fullmatch=True),
    },
)


@pytest.mark.parametrize("name", RunConfig.model_fields)
def test_every_setting_has_a_help_line_and_a_panel(name: str) -> None:
    field = RunConfig.model_fields[name]
    assert isinstance(field.json_schema_extra, dict)
    assert field.json_schema_extra["panel"] in PANELS
    assert field.description
    assert field.description.endswith(".")
    assert "\n" not in field.description
    assert name in setting_types()


def test_settings_of_a_panel_stand_together_in_the_order_of_the_help() -> None:
    panels = [
        field.json_schema_extra["panel"]  # type: ignore[index, call-overload]
        for field in RunConfig.model_fields.values()
    ]
    assert list(dict.fromkeys(panels)) == list(PANELS)
    assert panels == sorted(panels, key=PANELS.index)


def test_settings_of_the_search_are_settings_of_the_run() -> None:
    types = setting_types()
    for field in dataclasses.fields(SearchSettings):
        assert field.type.startswith(types[field.name].__name__)


def test_every_setting_has_a_default_that_works() -> None:
    assert make_config({}) == RunConfig()


@given(SETTINGS)
@examples(200)
def test_config_to_toml_to_config_is_the_identity_but_for_the_name_of_the_run(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> None:
    config = make_config(settings)
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_text(config.to_toml(), "utf-8", newline="")
    assert make_config(read_config(path), str(path)) == config.changed(name=None)


@given(SETTINGS)
@examples(100)
def test_config_to_dict_to_config_is_the_identity(settings: dict[str, Any]) -> None:
    config = make_config(settings)
    assert make_config(config.to_dict()) == config


def test_a_config_holds_what_it_was_given() -> None:
    config = make_config(
        {"data": "a.csv", "drop": ["x"], "offspring": 2, "crossover_rate": 1, "results": "r"}
    )
    assert (config.data, config.drop, config.offspring) == ("a.csv", ("x",), 2)
    assert (config.crossover_rate, config.results) == (1.0, Path("r"))


def test_pins_are_split_at_the_first_equals_sign() -> None:
    config = make_config({"fix": ["units=8", " learning_rate = 1e-3 ", "a=b=c", "="]})
    assert config.pins == (("units", "8"), ("learning_rate", "1e-3"), ("a", "b=c"), ("", ""))


def test_a_changed_config_is_checked_and_the_old_one_stays() -> None:
    config = make_config({"offspring": 2})
    assert config.changed(offspring=3).offspring == 3
    assert config.offspring == 2
    with pytest.raises(ConfigError, match=r"offspring should be greater than or equal to 1, got 0"):
        config.changed(offspring=0)
    with pytest.raises(ConfigError, match="unknown setting 'eltes'"):
        config.changed(eltes=3)


#: For every bound: a value at it that works, and one beyond it with what the message expects.
BOUNDS = [
    ("test_fraction", 1e-9, 0, "greater than 0"),
    ("test_fraction", 0.79, 1, "less than 1"),
    ("validation_fraction", 1e-9, 0.0, "greater than 0"),
    ("validation_fraction", 0.79, 1.0, "less than 1"),
    ("folds", 2, 1, "greater than or equal to 2"),
    ("folds", 50, 51, "less than or equal to 50"),
    ("max_categories", 2, 1, "greater than or equal to 2"),
    ("max_categories", 1000, 1001, "less than or equal to 1000"),
    ("population_size", 100_000, 100_001, "less than or equal to 100000"),
    ("offspring", 1, 0, "greater than or equal to 1"),
    ("max_parameters", 1, 0, "greater than or equal to 1"),
    ("offspring", 100_000, 100_001, "less than or equal to 100000"),
    ("tournament_size", 1, 0, "greater than or equal to 1"),
    ("tournament_size", 100_000, 100_001, "less than or equal to 100000"),
    ("crossover_rate", 0, -0.1, "greater than or equal to 0"),
    ("crossover_rate", 1, 1.1, "less than or equal to 1"),
    ("immigrants", 0, -1, "greater than or equal to 0"),
    ("immigrants", 1, 2, "less than or equal to 1"),
    ("screened", 1, 0, "greater than or equal to 1"),
    ("screened", 1000, 1001, "less than or equal to 1000"),
    ("seed", 0, -1, "greater than or equal to 0"),
    ("seed", 2**63 - 1, 2**63, "less than 9223372036854775808"),
    ("generations", 0, -1, "greater than or equal to 0"),
    ("max_trainings", 1, 0, "greater than or equal to 1"),
    ("max_minutes", 1e-9, 0, "greater than 0"),
    ("training_timeout", 1e-3, 0, "greater than 0"),
    ("training_timeout", 1e6, 1e7, "less than or equal to 1000000"),
    ("patience", 1, 0, "greater than or equal to 1"),
    ("finalists", 1, 0, "greater than or equal to 1"),
    ("finalists", 1000, 1001, "less than or equal to 1000"),
    ("repeats", 0, -1, "greater than or equal to 0"),
    ("repeats", 1_000, 1_001, "less than or equal to 1000"),
    ("epochs", 1, 0, "greater than or equal to 1"),
    ("epochs", 1_000_000, 1_000_001, "less than or equal to 1000000"),
    ("patience_epochs", 1, 0, "greater than or equal to 1"),
    ("patience_epochs", 1_000_000, 1_000_001, "less than or equal to 1000000"),
    ("final_epochs", 1, 0, "greater than or equal to 1"),
    ("final_epochs", 1_000_000, 1_000_001, "less than or equal to 1000000"),
    ("final_fits", 1, 0, "greater than or equal to 1"),
    ("final_fits", 1_000, 1_001, "less than or equal to 1000"),
    ("workers", 1, 0, "greater than or equal to 1"),
    ("workers", 10_000, 10_001, "less than or equal to 10000"),
]


@pytest.mark.parametrize(("name", "legal", "illegal", "expected"), BOUNDS)
def test_a_value_beyond_a_bound_is_refused_and_one_at_the_bound_is_not(
    name: str, legal: float, illegal: float, expected: str
) -> None:
    assert getattr(make_config({name: legal}), name) == legal
    flag = flag_of(name)
    with pytest.raises(
        ConfigError, match=rf"^{name} should be {expected}, got {illegal}\. Change {flag}\.$"
    ):
        make_config({name: illegal})


def test_the_smallest_population_has_four_genomes() -> None:
    assert make_config({"population_size": 4}).population_size == 4
    with pytest.raises(ConfigError, match=r"greater than or equal to 4, got 3\. Change --popul"):
        make_config({"population_size": 3})


def test_every_bound_is_tested() -> None:
    bounds = sum(len(_bounds(field)) for field in RunConfig.model_fields.values())
    assert bounds == len(BOUNDS) + 1  # and the smallest population


def _bounds(field: Any) -> list[Any]:
    kinds = ("Gt", "Ge", "Lt", "Le")
    return [bound for bound in field.metadata if type(bound).__name__ in kinds]


@pytest.mark.parametrize("name", RunConfig.model_fields)
@pytest.mark.parametrize("value", [True, [[1]], {"a": 1}, float("nan"), float("inf")])
def test_a_value_of_another_type_is_refused(name: str, value: object) -> None:
    flag = flag_of(name)
    if setting_types()[name] is bool and value is True:
        value = "true"
    with pytest.raises(ConfigError, match=rf"^{name} .*, got .*\. Change {flag}\.$"):
        make_config({name: value})


@pytest.mark.parametrize(
    "name", [n for n, t in setting_types().items() if {t, *get_args(t)} & {int, float}]
)
def test_a_number_is_not_read_from_text(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} should be a valid .*, got '3'\."):
        make_config({name: "3"})


def test_a_value_too_large_for_a_message_is_refused_all_the_same() -> None:
    # How deep a value may be nested before it cannot be written depends on Python's version.
    message = r"^epochs .*, got (too large dict|{'a': .*)\. Change --epochs"
    for depth in (10, 900, 5000, 100_000):
        with pytest.raises(ConfigError, match=message) as refusal:
            make_config({"epochs": _nested(depth)})
        assert len(str(refusal.value)) < 300
    with pytest.raises(ConfigError, match=r"^population_size should be less than") as refusal:
        make_config({"population_size": 10**4000})
    assert len(str(refusal.value)) < 300


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"test_fraction": 0.5, "validation_fraction": 0.5},
            r"must leave rows to train on, got 0\.5 \+ 0\.5; pass a smaller --test-fraction or",
        ),
        ({"fix": ["units"]}, r"^fix expects GENE=VALUE, got 'units'; pass --fix learning_rate"),
        ({"name": "a/b"}, r"^name must be a plain folder name, got 'a/b'; pass another --name\.$"),
        ({"name": ".."}, r"^name must be a plain folder name, got '\.\.'; pass another --name"),
        ({"name": ""}, r"^name must be a plain folder name, got ''; pass another --name"),
        ({"task": "guess"}, r"^task should be 'auto', .* or 'regression', got 'guess'\. Change"),
        ({"data": None}, r"^data should be a valid string, got None\. Change --data\.$"),
        ({"drop": "x"}, r"^drop should be a valid tuple, got 'x'\. Change --drop\.$"),
        ({"drop": [3]}, r"^drop should be a valid string, got 3\. Change --drop\.$"),
        ({"poplation": 3}, r"^unknown setting 'poplation'; expected one of data, target, drop"),
        ({"poplation": 3}, r"Did you mean 'population'\?$"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_what_to_change(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        make_config(settings)
    assert "\n" not in str(refusal.value)


def test_an_error_names_the_file_of_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("offspring = 0\n")
    with pytest.raises(
        ConfigError, match=r"config\.toml: offspring should be greater than or equal"
    ):
        make_config(read_config(path), str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"offspring = ", r"config\.toml is not valid TOML: .*\(at "),
        (b"offspring = 1\noffspring = 2", r"config\.toml is not valid TOML: "),
        (b"offspring = " + b"9" * 5000, r"config\.toml is not valid TOML: Exceeds the limit"),
        (b"offspring = " + b"[" * 5000, r"config\.toml is not valid TOML: .*(recursion|nested)"),
        (b'name = "\xe9"', r"Cannot read the config .*config\.toml: .*can't decode byte"),
    ],
)
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as refusal:
        read_config(path)
    assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read the config .*none\.toml: .*No such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"Cannot read the config .*: .*Is a directory"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match=r"Cannot read the config .*: embedded null byte"):
        read_config(Path("a\0b"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(RunConfig.model_fields)), VALUES, max_size=3))
@examples(300)
def test_any_values_give_a_config_or_an_error_of_evonet(settings: dict[str, Any]) -> None:
    with raises_at_most(ConfigError):
        config = make_config(settings)
        assert make_config(config.to_dict()) == config


#: Some is TOML, most is hardly any.
TOML = st.dictionaries(st.sampled_from(sorted(RunConfig.model_fields)), VALUES, max_size=3).map(
    lambda settings: "".join(f"{name} = {json.dumps(v)}\n" for name, v in settings.items())
)


@given(
    st.one_of(TOML.map(str.encode), st.text(max_size=200).map(str.encode), st.binary(max_size=50))
)
@examples(300)
def test_any_file_gives_settings_or_an_error_of_evonet(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with raises_at_most(ConfigError):
        make_config(read_config(path), "any.toml")
