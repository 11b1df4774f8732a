"""Named random streams: what a draw depends on, and what it leaves alone."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS, examples

from evonet.streams import keras_seeded, lend_to_python_random, stream, training_seed

PURPOSES = ("split", "sample", "selection", "variation", "training")
KEYS = st.text("0123456789abcdef", min_size=16, max_size=16)


def test_streams_that_differ_in_seed_purpose_generation_or_slot_draw_other_numbers() -> None:
    places = list(itertools.product((0, 1, 2**63 - 1), PURPOSES, (0, 1, 12), (0, 1, 12)))
    draws = {stream(*place).integers(2**63) for place in places}
    assert len(draws) == len(places)


def test_a_stream_does_not_depend_on_the_streams_before_it() -> None:
    places = list(itertools.product((0, 7), PURPOSES, (0, 3), (0, 5)))
    forwards = {place: stream(*place).random(4).tolist() for place in places}
    np.random.seed(1)
    random.seed(1)
    backwards = {place: stream(*place).random(4).tolist() for place in reversed(places)}
    assert forwards == backwards


def test_streams_draw_the_numbers_they_drew_when_old_runs_were_recorded() -> None:
    # Written down once; NumPy promises that SeedSequence and PCG64 never change.
    assert stream(1, "sample", 12, 5).bit_generator.random_raw() == 8877962862027397756
    assert stream(0, "split").bit_generator.random_raw() == 55619253667951566
    assert training_seed(1, "00ff00ff00ff00ff") == 1721203337
    assert training_seed(1, "00ff00ff00ff00ff", repeat=1) == 404101780


def test_another_process_draws_the_same_numbers_whatever_its_hash_seed() -> None:
    code = (
        "from evonet.streams import stream, training_seed\n"
        "print(stream(3, 'variation', 2, 1).integers(2**63), training_seed(3, 'ab'))"
    )
    expected = f"{stream(3, 'variation', 2, 1).integers(2**63)} {training_seed(3, 'ab')}\n"
    for hash_seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed},
        )
        assert process.stdout == expected


@given(SEEDS, KEYS, st.integers(0, 100))
@examples(50)
def test_training_seeds_are_numbers_that_every_framework_accepts(
    seed: int, key: str, repeat: int
) -> None:
    assert 0 <= training_seed(seed, key, repeat) < 2**31


@given(SEEDS, SEEDS, KEYS, KEYS)
@examples(50)
def test_training_seed_depends_on_run_genome_and_repeat(
    seed: int, other_seed: int, key: str, other_key: str
) -> None:
    # 31 bits: two of them are equal by chance once in 2e9 examples.
    here = training_seed(seed, key)
    assert (training_seed(other_seed, key) == here) == (other_seed == seed)
    assert (training_seed(seed, other_key) == here) == (other_key == key)
    assert training_seed(seed, key, repeat=1) != here


def test_lent_stream_decides_what_python_random_draws() -> None:
    def drawn(seed: int) -> list[float]:
        random.random()  # the global state of before has no say
        with lend_to_python_random(np.random.default_rng(seed)):
            return [random.random() for _ in range(5)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_lending_twice_from_one_generator_gives_new_numbers() -> None:
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(2):
        with lend_to_python_random(generator):
            drawn.append(random.random())
    assert drawn[0] != drawn[1]


def test_python_random_is_put_back_after_lending_even_if_the_code_fails() -> None:
    state = random.getstate()
    with lend_to_python_random(np.random.default_rng(0)):
        random.random()
    assert random.getstate() == state

    def fail() -> None:
        with lend_to_python_random(np.random.default_rng(0)):
            random.random()
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        fail()
    assert random.getstate() == state


def test_seeding_keras_puts_the_generators_of_python_and_numpy_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def set_random_seed(seed: int) -> None:  # what Keras does to the generators outside it
        random.seed(seed)
        np.random.seed(seed)

    keras = SimpleNamespace(utils=SimpleNamespace(set_random_seed=set_random_seed))
    monkeypatch.setitem(sys.modules, "keras", keras)
    python_state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()

    def fail() -> None:
        with keras_seeded(5):
            assert random.random() == random.Random(5).random()
            assert np.random.random() == np.random.RandomState(5).random()
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        fail()

    assert random.getstate() == python_state
    assert np.random.get_state()[1].tolist() == numpy_state
