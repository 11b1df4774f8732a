"""Fitness is finite and ordered as the metric says; keys stand for what a score depends on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonet.evaluation import (
    Evaluation,
    Request,
    Status,
    protocol_key,
    score_key,
)
from evonet.fitness import WORST, fitness
from evonet.genome import Genome, Layer
from evonet.metrics import METRICS, Metric

SCORES = st.floats(-1e150, 1e150)
GENOME = Genome((Layer(8, "relu"),), "he_normal", "adam", 1e-3, 32)
EVALUATION = Evaluation(
    genome_key=GENOME.key,
    seed=7,
    status="ok",
    reason="",
    score=0.75,
    best_epoch=2,
    train_loss=(0.9, 0.1 + 0.2),
    validation_loss=(1.0, 1 / 3),
    parameters=42,
    seconds=0.125,
)
FAILURES = [status for status in get_args(Status) if status != "ok"]


def scored(score: float | None, status: Status = "ok") -> Evaluation:
    return replace(EVALUATION, score=score, status=status)


# --- fitness --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@given(a=SCORES, b=SCORES)
def test_better_score_has_the_higher_fitness(metric: Metric, a: float, b: float) -> None:
    fitness_a, fitness_b = (fitness(scored(score), metric) for score in (a, b))
    if fitness_a != WORST or fitness_b != WORST:  # beyond 1e300 all are equally bad
        assert (fitness_a > fitness_b) == metric.better(a, b)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@given(score=st.one_of(st.none(), st.floats()), status=st.sampled_from(get_args(Status)))
def test_fitness_is_always_finite_and_never_below_the_worst(
    metric: Metric, score: float | None, status: Status
) -> None:
    value = fitness(scored(score, status), metric)
    assert math.isfinite(value)
    assert value >= WORST


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@pytest.mark.parametrize("status", FAILURES)
@pytest.mark.parametrize("score", [None, math.nan, 0.0, 1.0, 1e9])
def test_failed_training_is_worst_whatever_its_score(
    metric: Metric, status: Status, score: float | None
) -> None:
    assert fitness(scored(score, status), metric) == WORST


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_score_that_is_no_number_is_worst(metric: Metric, score: float | None) -> None:
    assert fitness(scored(score), metric) == WORST


def test_fitness_by_hand() -> None:
    assert fitness(scored(0.75), METRICS["accuracy"]) == 0.75
    assert fitness(scored(0.75), METRICS["rmse"]) == -0.75
    assert fitness(scored(-3.0), METRICS["r2"]) == -3.0


# --- the record -----------------------------------------------------------------------------------

CURVES = st.lists(st.floats(allow_nan=False), max_size=4).map(tuple)
EVALUATIONS = st.builds(
    Evaluation,
    genome_key=st.text("0123456789abcdef", min_size=16, max_size=16),
    seed=st.integers(0, 2**31 - 1),
    status=st.sampled_from(get_args(Status)),
    reason=st.text(max_size=20),
    score=st.one_of(st.none(), SCORES),
    best_epoch=st.integers(0, 100),
    train_loss=CURVES,
    validation_loss=CURVES,
    parameters=st.integers(0, 10**9),
    seconds=st.floats(0, 1e6),
)


@given(evaluation=EVALUATIONS)
def test_evaluation_that_went_through_json_is_the_same(evaluation: Evaluation) -> None:
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_curve_of_a_diverged_training_survives_json() -> None:
    diverged = replace(EVALUATION, train_loss=(1.0, math.inf, math.nan), score=None)
    again = Evaluation.from_json(diverged.to_json())
    assert again.train_loss[1] == math.inf
    assert math.isnan(again.train_loss[2])


def test_evaluation_says_whether_it_is_ok_and_how_long_it_took() -> None:
    assert EVALUATION.ok
    assert EVALUATION.epochs == 2
    assert not any(scored(None, status).ok for status in FAILURES)


# --- keys -----------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
PARTS = st.dictionaries(st.text("abcdefg_", min_size=1, max_size=4), PLAIN, max_size=5)


@given(parts=PARTS, order=st.randoms())
def test_order_of_the_parts_does_not_change_the_protocol_key(parts: dict, order) -> None:
    names = list(parts)
    order.shuffle(names)
    assert protocol_key(**{name: parts[name] for name in names}) == protocol_key(**parts)


@given(a=PARTS, b=PARTS)
def test_protocols_that_differ_have_different_keys(a: dict, b: dict) -> None:
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)  # true is not 1
    assert (protocol_key(**a) == protocol_key(**b)) == same


@given(parts=PARTS.filter(bool), data=st.data())
def test_protocol_key_changes_with_every_part(parts: dict, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(parts)))
    without = {key: value for key, value in parts.items() if key != name}
    changed = {**parts, name: [parts[name], "changed"]}
    assert len({protocol_key(**p) for p in (parts, without, changed)}) == 3


def test_score_key_changes_with_genome_protocol_and_seed() -> None:
    protocol = protocol_key(data="a")
    request = Request(GENOME, seed=3)
    key = score_key(request, protocol)
    others = [
        score_key(replace(request, genome=replace(GENOME, batch_size=64)), protocol),
        score_key(replace(request, seed=4), protocol),
        score_key(request, protocol_key(data="b")),
    ]
    assert len({key, *others}) == 4
    same_network = replace(GENOME, momentum=0.9)  # Adam has no such gene
    assert score_key(replace(request, genome=same_network), protocol) == key


def test_keys_are_the_same_in_every_version() -> None:
    # printf '{"data": "a", "epochs": 3}' | sha256sum | head -c 32
    protocol = protocol_key(epochs=3, data="a")
    assert protocol == "16f4628f315c6d98920d719ea3fb9160"
    # printf '%s' "7dd3576eb0f483b3 $protocol 3" | sha256sum | head -c 32
    assert GENOME.key == "7dd3576eb0f483b3"
    assert score_key(Request(GENOME, seed=3), protocol) == "de0e6d6c22fa08a09aa6ed35ce8cf09f"
