"""Which genes matter: shares of variance against sums by hand, scikit-learn, and planted genes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from planted import genome
from sklearn.inspection import partial_dependence
from sklearn.tree import DecisionTreeRegressor

from evonet.evaluation import Evaluation, Rung, Status
from evonet.fitness import WORST
from evonet.genome import Layer, SearchSpace
from evonet.metrics import METRICS
from evonet.report.importance import ABSENT, LEAST, analyse, at_one_stage, decompose, gene_levels

SIZES = (4, 3, 2)
SPACE = SearchSpace.default().to_dict()


def grown(table: np.ndarray) -> tuple[DecisionTreeRegressor, np.ndarray]:
    """A tree that says exactly what a table of all combinations says, and the combinations."""
    x = np.array(list(itertools.product(*map(range, table.shape))))
    return DecisionTreeRegressor(random_state=0).fit(x, table.ravel()), x


def test_shares_are_those_of_an_analysis_of_variance_by_hand() -> None:
    table = np.random.default_rng(0).normal(size=SIZES)
    found = decompose(grown(table)[0].tree_, SIZES, paired=3)
    variance = table.var()
    mains = []
    for j in range(3):
        others = tuple(k for k in range(3) if k != j)
        mains.append(table.mean(axis=others).var() / variance)
    assert found.variance == pytest.approx(variance)
    assert found.alone == pytest.approx(mains)
    for (j, k), share in found.pairs.items():
        (other,) = {0, 1, 2} - {j, k}
        assert share == pytest.approx(table.mean(axis=other).var() / variance - mains[j] - mains[k])
    assert set(found.pairs) == {(0, 1), (0, 2), (1, 2)}


def test_shares_of_a_sum_are_those_of_its_squared_weights() -> None:
    a, b = np.meshgrid(np.arange(5.0), np.arange(5.0), indexing="ij")
    found = decompose(grown(a + 2 * b)[0].tree_, (5, 5), paired=2)
    assert found.alone == pytest.approx([1 / 5, 4 / 5])
    assert found.pairs[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_a_product_around_zero_is_all_interaction() -> None:
    a, b = np.meshgrid([-1.0, 1.0], [-1.0, 1.0], indexing="ij")
    found = decompose(grown(a * b)[0].tree_, (2, 2), paired=2)
    assert found.alone == pytest.approx([0, 0])
    assert found.pairs[0, 1] == pytest.approx(1.0)


def test_effects_are_the_partial_dependence_of_scikit_learn_over_the_grid() -> None:
    table = np.random.default_rng(1).normal(size=SIZES)
    tree = DecisionTreeRegressor(max_leaf_nodes=7, random_state=0)
    x = np.array(list(itertools.product(*map(range, SIZES)))).astype(float)
    tree.fit(x, table.ravel())
    found = decompose(tree.tree_, SIZES, paired=0)
    for j in range(3):
        oracle = partial_dependence(tree, x, [j], method="brute", grid_resolution=10)
        assert found.effects[j] == pytest.approx(oracle["average"][0])


def sample(n: int) -> list:
    rng, space = np.random.default_rng(3), SearchSpace.default()
    return [space.sample(rng) for _ in range(n)]


def test_a_planted_gene_explains_nearly_all_and_its_best_value_is_found() -> None:
    genomes = sample(400)
    rates = [g.learning_rate for g in genomes]
    fitness = [-abs(np.log10(rate) + 2.0) for rate in rates]
    analysis = analyse(genomes, fitness, SPACE)
    assert analysis is not None
    first = analysis.genes[0]
    assert first.genes == ("learning_rate",)
    assert first.share > 0.8  # the forest does not see all of it: some splits go elsewhere
    assert all(other.share < 0.05 for other in analysis.genes[1:])
    best, _ = max(analysis.effects["learning_rate"], key=lambda pair: pair[1])
    assert best == pytest.approx(1e-2, rel=0.5)
    assert analysis.trust > 0.8


def test_chance_is_not_trusted() -> None:
    noise = np.random.default_rng(4).normal(size=200).tolist()
    analysis = analyse(sample(200), noise, SPACE)
    assert analysis is not None
    assert analysis.trust < 0.1


def test_monotone_changes_of_scores_change_nothing() -> None:
    genomes = sample(60)
    fitness = [-g.learning_rate for g in genomes]
    one = analyse(genomes, fitness, SPACE)
    assert one == analyse(genomes, [-np.exp(50 * -f) for f in fitness], SPACE)


def test_too_few_or_equal_networks_say_nothing() -> None:
    genomes = sample(LEAST)
    fitness = [float(i) for i in range(LEAST)]
    assert analyse(genomes[:-1], fitness[:-1], SPACE) is None
    assert analyse(genomes, [1.0] * LEAST, SPACE) is None
    assert analyse(genomes, fitness, SPACE) is not None


def test_levels_of_layers_are_the_middle_and_the_commonest() -> None:
    layers = (Layer(16, "relu"), Layer(64, "elu"), Layer(32, "elu"))
    levels = gene_levels(genome(0, layers=layers), SPACE)
    # 16, 32 and 64 are the places 2, 4 and 6 of the default space.
    assert (levels["layers"], levels["units"], levels["activation"]) == (3, 32, "elu")
    assert levels["momentum"] == ABSENT
    assert "warmup" not in levels  # one value in the space
    assert gene_levels(genome(0, layers=()), SPACE)["units"] == ABSENT
    assert gene_levels(genome(0, layers=(Layer(300, "relu"),)), SPACE)["units"] == 256


def training(place: int, score: float | None, *rungs: float, dropped: bool = False) -> Evaluation:
    """One whose scores after epochs 1, 2 and so on are given; it failed where it has none."""
    scores = tuple(Rung(i + 1, at) for i, at in enumerate(rungs))
    status: Status = "diverged" if score is None else "ok"
    curve = tuple([1.0] * (len(rungs) or 1))
    return Evaluation(
        f"{place:064d}", 0, status, "", score, 1, curve, curve, 9, 1.0, scores, dropped
    )


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("rmse", -1)])
def test_scores_after_few_epochs_are_not_ranked_among_those_of_whole_trainings(
    metric: str, sign: int
) -> None:
    whole = [training(i, i + 0.5, i + 0.125, i + 0.25) for i in range(LEAST)]
    early = [training(100 + i, 900.0 + i, 900.0 + i, dropped=True) for i in range(LEAST)]
    later = [training(200 + i, 700.0, 600.0, 700.0, dropped=True) for i in range(2)]
    failed = [training(300, None)]
    mixed = [*early, *whole, *later, *failed]
    wholes = range(LEAST, 2 * LEAST)
    last = len(mixed) - 1

    ends = {i: sign * (i - LEAST + 0.5) for i in wholes}
    assert at_one_stage(mixed, METRICS[metric]) == (None, {**ends, last: WORST})

    mixed[LEAST] = replace(mixed[LEAST], dropped=True)  # one short of enough at the end
    second = {i: sign * (i - LEAST + 0.25) for i in wholes}
    second |= {2 * LEAST: sign * 700.0, 2 * LEAST + 1: sign * 700.0, last: WORST}
    assert at_one_stage(mixed, METRICS[metric]) == (2, second)

    few = [*early[:3], *whole[:2], *failed]  # nowhere enough: where the most are
    first = {
        **{i: sign * (900.0 + i) for i in range(3)},
        3: sign * 0.125,
        4: sign * 1.125,
        5: WORST,
    }
    assert at_one_stage(few, METRICS[metric]) == (1, first)
    assert at_one_stage([], METRICS[metric]) == (None, {})
