"""Schedules: the rate of every step, against Keras' own schedules and against points by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

from evonet.genome import Genome
from evonet.genome.genes import SCHEDULES
from evonet.training.backend import load_keras
from evonet.training.schedules import learning_rates

GENOME = Genome((), "matched_normal", "sgd", 0.1, 32)


def rates(schedule: str, n_steps: int, warmup: float = 0.0) -> np.ndarray:
    return learning_rates(replace(GENOME, schedule=schedule, warmup=warmup), n_steps)


def keras_schedule(schedule: str, n_steps: int) -> Any:
    schedules = load_keras().optimizers.schedules
    return {
        "exponential": lambda: schedules.ExponentialDecay(0.1, n_steps, 0.1),
        "power": lambda: schedules.InverseTimeDecay(0.1, n_steps / 10, 1.0),
        "cosine": lambda: schedules.CosineDecay(0.1, n_steps),
    }[schedule]()


@pytest.mark.parametrize("n_steps", [1, 7, 500])
@pytest.mark.parametrize("schedule", ["exponential", "power", "cosine"])
def test_rates_are_those_of_keras_own_schedule(schedule: str, n_steps: int) -> None:
    expected = [float(keras_schedule(schedule, n_steps)(t)) for t in range(n_steps)]
    # Keras computes in float32: near its end the cosine is lost in 1 + cos, hence atol
    np.testing.assert_allclose(rates(schedule, n_steps), expected, rtol=1e-5, atol=1e-8)


def test_one_cycle_rises_from_a_tenth_falls_back_and_ends_near_a_thousandth() -> None:
    found = rates("one_cycle", 1000)
    by_hand = {0: 0.01, 225: 0.055, 450: 0.1, 675: 0.055, 900: 0.01, 950: 0.00505, 999: 0.000199}
    for step, rate in by_hand.items():
        assert found[step] == pytest.approx(rate, rel=1e-9)
    assert found.argmax() == 450
    assert (np.diff(found[:451]) > 0).all()
    assert (np.diff(found[450:]) < 0).all()


def test_a_constant_rate_is_the_genomes_own() -> None:
    assert rates("constant", 5).tolist() == [0.1] * 5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_rises_linearly_to_the_schedule_and_then_leaves_it_alone(schedule: str) -> None:
    plain, warm = rates(schedule, 100), rates(schedule, 100, warmup=0.25)
    share = warm / plain
    np.testing.assert_allclose(share[:25], np.arange(1, 26) / 25, rtol=1e-12)
    assert (warm[25:] == plain[25:]).all()


@given(
    st.sampled_from(SCHEDULES),
    st.integers(1, 300),
    st.floats(0, 1, exclude_max=True),
    st.floats(1e-8, 100),
)
@examples(200)
def test_every_rate_is_above_zero_and_at_most_the_genomes(
    schedule: str, n_steps: int, warmup: float, rate: float
) -> None:
    genome = replace(GENOME, schedule=schedule, warmup=warmup, learning_rate=rate)
    found = learning_rates(genome, n_steps)
    assert found.shape == (n_steps,)
    assert found.dtype == np.float64
    assert (found > 0).all()
    assert (found <= rate * (1 + 1e-12)).all()  # rounding of 45 % in the middle of the cycle
