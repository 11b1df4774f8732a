"""The benchmark of searches: what each may spend, and what its tables say of regrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import bench_search
import numpy as np
import pytest
from bench.hpo_tables import HpoTable
from bench.search_methods import ABLATIONS, METHODS, Evonet, Method
from scipy.stats import rankdata

from evonet.config import RunConfig
from evonet.genome import SearchSpace
from evonet.outcome import count_finalists

VALUES = {
    "batch_size": [8, 16, 32, 64],
    "learning_rate": [1e-4, 1e-3, 1e-2, 1e-1],
    "optimizer": ["adam", "sgd"],
    "units": [8, 16, 32, 64, 128],
}
SPACE = SearchSpace.default().change(
    {
        "layers": [1],
        "activation": ["relu"],
        "normalisation": ["none"],
        "skip": ["none"],
        "initializer": ["matched_normal"],
        "schedule": ["constant"],
        "dropout": [0.0],
        "weight_decay": [0.0],
        **VALUES,
    },
    "a small table",
)


@dataclass(frozen=True)
class Counted(HpoTable):
    """A table that counts its trainings."""

    trained: list[tuple[int, ...]] = field(default_factory=list)

    def train_at(self, place: tuple[int, ...], rng: np.random.Generator) -> float:
        self.trained.append(place)
        return super().train_at(place, rng)


def table(noise: float = 0.0) -> Counted:
    """The larger each index, the better; three seeds."""
    shape = tuple(map(len, VALUES.values()))
    grid = -np.indices(shape).sum(axis=0).astype(float)
    scores = grid[..., None] + noise * np.random.default_rng(0).normal(size=(*shape, 3))

    def place_of(genome) -> tuple[int, ...]:
        return (
            VALUES["batch_size"].index(genome.batch_size),
            VALUES["learning_rate"].index(genome.learning_rate),
            VALUES["optimizer"].index(genome.optimizer),
            VALUES["units"].index(genome.layers[0].units),
        )

    return Counted("small", VALUES, scores, SPACE, place_of, lambda genome: genome)


def is_here(name: str) -> bool:
    return find_spec("optuna") is not None or "tpe" not in name.lower()


EVERY = {name: method for name, method in {**METHODS, **ABLATIONS}.items() if is_here(name)}


@pytest.mark.parametrize("name", EVERY)
def test_a_search_spends_what_it_may(name: str) -> None:
    own = table(noise=1.0)
    EVERY[name](own, 40, 0)
    asks_again = isinstance(EVERY[name], Evonet) and not EVERY[name].unseen
    assert len(own.trained) <= 40
    assert len(own.trained) == 40 or asks_again  # it may come to an end before


@pytest.mark.parametrize("name", EVERY)
def test_it_hands_over_what_it_has_trained_and_finds_something_good(name: str) -> None:
    own = table()
    place = EVERY[name](own, 60, 0)
    assert place in own.trained
    assert own.scores[place].mean() <= np.quantile(own.scores, 0.1)


@pytest.mark.parametrize("name", [name for name in EVERY if "revalidated" in name] + ["evonet"])
def test_finalists_are_trained_again_at_the_end(name: str) -> None:
    own = table(noise=1.0)
    place = EVERY[name](own, 100, 0)
    usual = RunConfig()
    n = count_finalists(usual.finalists, usual.repeats, 100)
    finalists = own.trained[-n * usual.repeats :]
    assert place in finalists
    assert {finalists.count(finalist) for finalist in finalists} == {usual.repeats}


def test_regrets_that_are_kept_are_measured_once(tmp_path, monkeypatch) -> None:
    asked = []

    def measured(_: Method, n_trainings: int, repeats: list[int]) -> np.ndarray:
        asked.append((n_trainings, list(repeats)))
        return np.array([[100.0 * t + r for r in repeats] for t in range(2)]).reshape(2, -1)

    monkeypatch.setattr(bench_search, "measured", measured)
    file = tmp_path / "regrets.jsonl"
    for repeats in (2, 3):
        found = bench_search._kept(file, "random", 50, repeats, METHODS["random"])
        assert found.tolist() == [[100.0 * t + r for r in range(repeats)] for t in range(2)]
    bench_search._kept(file, "random", 100, 1, METHODS["random"])
    assert asked == [(50, [0, 1]), (50, [2]), (100, [0])]


def test_ranks_are_those_of_the_means_on_each_table() -> None:
    rng = np.random.default_rng(0)
    shifts: Mapping[str, float] = {"a": 0.0, "b": 50.0, "c": -50.0}
    regrets = {(name, 50): rng.normal(shift, 1.0, (12, 5)) for name, shift in shifts.items()}
    text = str(bench_search._ranks(list(shifts), [50], regrets))
    for name, rank in (("a", "2.00"), ("b", "3.00"), ("c", "1.00")):
        assert f"{rank} ({rank} to {rank})" in next(
            line for line in text.splitlines() if line.startswith(name)
        )
    mixed = {(name, 50): rng.normal(0.0, 1.0, (12, 5)) for name in shifts}
    means = np.array([own.mean(axis=1) for own in mixed.values()])
    expected = [rankdata(means[:, t]) for t in range(12)]
    text = str(bench_search._ranks(list(shifts), [50], mixed))
    assert f"{np.mean(expected, axis=0)[0]:.2f} (" in text


def test_worth_is_taken_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    whole = rng.normal(0, 100, (12, 20))
    regrets = {("evonet", 50): whole, ("less", 50): whole[:, :7] + 3.0}
    text = str(bench_search._worth(["evonet", "less"], [50], regrets))
    assert "+3.000 (+3.000 to +3.000)" in text


def test_regret_is_the_share_of_better_configurations(monkeypatch) -> None:
    own = replace(table(), name="here")
    monkeypatch.setattr("bench.hpo_tables._means", lambda _: own.scores.mean(axis=-1))
    assert own.regret((3, 3, 1, 4)) == 0.0
    assert own.regret((0, 0, 0, 0)) == 100 * (1 - 1 / own.scores[..., 0].size)
