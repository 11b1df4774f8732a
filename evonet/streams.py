"""Named random streams: every draw of a run is a function of (seed, purpose, generation, slot).

No generator state is ever stored. Slot 5 of generation 12 draws the same numbers whatever ran
before it and in whatever process, which is what makes a resumed run equal an uninterrupted one.
Derivation: ``numpy.random.SeedSequence`` with a spawn key (O'Neill 2015; NumPy's "Parallel random
number generation").

This is also the only module that touches the global generators of Python, NumPy and Keras, and
it gives back what it borrowed.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

Purpose = Literal[
    "split",
    "folds",
    "founders",
    "sample",
    "selection",
    "variation",
    "screening",
    "training",
    "weights",
    "order",
    "advice",
    "calibration",
    "test interval",
]


def stream(seed: int, purpose: Purpose, generation: int = 0, slot: int = 0) -> np.random.Generator:
    """The generator for one purpose, generation and slot of a run.

    Args:
        seed: the run's seed, at least 0.
        purpose: what the numbers are for; two purposes never share numbers.
        generation: the generation that draws, at least 0.
        slot: the place within the generation, at least 0.

    Example:
        >>> stream(1, "sample", 12, 5).random() == stream(1, "sample", 12, 5).random()
        True
        >>> stream(1, "sample", 12, 5).random() == stream(1, "sample", 12, 6).random()
        False
    """
    return np.random.default_rng(_sequence(seed, purpose, generation, slot))


def training_seed(seed: int, genome_key: str, repeat: int = 0) -> int:
    """The seed of one training: it depends on the run, the genome and the repeat, on nothing else.

    Args:
        seed: the run's seed.
        genome_key: hexadecimal key of the genome.
        repeat: 0 for the search; 1 and up for further trainings of the same genome.

    Returns:
        A number from 0 to 2**31 - 1, which every framework accepts.
    """
    words = _sequence(seed, "training", int(genome_key, 16), repeat).generate_state(1)
    return int(words[0] >> 1)


def _sequence(seed: int, purpose: Purpose, *place: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *place))


@contextmanager
def lend_to_python_random(rng: np.random.Generator) -> Iterator[None]:
    """Let code that draws from Python's global ``random`` (DEAP does) draw from ``rng`` instead."""
    state = random.getstate()
    random.seed(int(rng.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def keras_seeded(seed: int) -> Iterator[None]:
    """Seed Keras for one training; Python's and NumPy's global generators are put back after it."""
    import keras

    python_state, numpy_state = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
