"""How much each part of the benchmark measures: the whole of it, and the quick version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evonet.genome import Genome, SearchSpace
from evonet.streams import stream, training_seed

SEED = 0


@dataclass(frozen=True)
class Sizes:
    """Counts of a benchmark. ``rows`` of 0 are all rows; fewer candidates of a slow way are
    extrapolated, and the table says how many were trained.
    """

    digits: int
    digits_keras: int
    digits_keras_tuner: int
    digits_budget: tuple[int, int]
    fashion: int
    fashion_keras: int
    fashion_rows: int
    adult: int
    adult_keras: int
    adult_rows: int
    brief_budget: tuple[int, int]
    machine_small: int
    machine_large: int
    machine_budget: tuple[int, int]
    machine_rows: int
    machine_products: tuple[int, ...]
    growth_candidates: tuple[int, ...]
    growth_widths: tuple[int, ...]
    growth_rows: tuple[int, ...]
    growth_features: tuple[int, ...]
    growth_generation: int
    growth_again_below_seconds: float
    agreement: int
    agreement_budget: tuple[int, int]
    fidelity_seeds: int
    fidelity_minutes: float
    fidelity_scikit_learn: int


FULL = Sizes(
    digits=200,
    digits_keras=16,
    digits_keras_tuner=12,
    digits_budget=(20, 5),
    fashion=40,
    fashion_keras=6,
    fashion_rows=0,
    adult=40,
    adult_keras=8,
    adult_rows=0,
    brief_budget=(3, 5),
    machine_small=200,
    machine_large=16,
    machine_budget=(5, 5),
    machine_rows=0,
    machine_products=(1024, 2048, 4096),
    growth_candidates=(10, 50, 200, 1000, 5000),
    growth_widths=(16, 64, 256, 1024),
    growth_rows=(1_000, 10_000, 100_000, 500_000),
    growth_features=(4, 20, 100, 500, 2000),
    growth_generation=100,
    growth_again_below_seconds=60.0,
    agreement=200,
    agreement_budget=(20, 5),
    fidelity_seeds=10,
    fidelity_minutes=0.5,
    fidelity_scikit_learn=100,
)
QUICK = Sizes(
    digits=16,
    digits_keras=1,
    digits_keras_tuner=1,
    digits_budget=(5, 5),
    fashion=6,
    fashion_keras=1,
    fashion_rows=6_000,
    adult=6,
    adult_keras=1,
    adult_rows=6_000,
    brief_budget=(1, 5),
    machine_small=4,
    machine_large=2,
    machine_budget=(1, 5),
    machine_rows=3_000,
    machine_products=(1024, 2048),
    growth_candidates=(10, 40, 120),
    growth_widths=(16, 128, 512),
    growth_rows=(1_000, 5_000, 20_000),
    growth_features=(4, 64, 256),
    growth_generation=15,
    growth_again_below_seconds=5.0,
    agreement=3,
    agreement_budget=(1, 5),
    fidelity_seeds=1,
    fidelity_minutes=0.05,
    fidelity_scikit_learn=10,
)


@dataclass(frozen=True)
class Settings:
    """What a run of the benchmark was asked for.

    Attributes:
        sizes: how much to measure.
        data: folder of the real data sets.
        keras_scores: file that keeps the scores of serial Keras.
        keras_minutes: start no training for it after that many.
        quick: whether this is the quick version.
    """

    sizes: Sizes
    data: Path
    keras_scores: Path
    keras_minutes: float
    quick: bool

    def missing(self, file: str) -> str | None:
        """A sentence where a data set is not on this machine."""
        return None if (self.data / file).is_file() else f"skipped: no {file} in the --data folder"


def random_genomes(count: int) -> list[Genome]:
    """Genomes of the default space; the first few are the same whatever the count."""
    space = SearchSpace.default()
    return [space.sample(stream(SEED, "sample", 0, slot)) for slot in range(count)]


def requests(genomes: Sequence[Genome], repeat: int = 0) -> list[tuple[dict[str, Any], int]]:
    """Genome as a dict, and the seed it would have in a run, as jobs take them."""
    return [(genome.to_dict(), training_seed(SEED, genome.key, repeat)) for genome in genomes]
