"""The benchmark's arithmetic, against counts by hand and against SciPy; its table; its data."""

from __future__ import annotations

import doctest
import math
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bench import arithmetic, mlp, processes, settings, table
from bench.agreement import _comparison
from bench.engines import useful_flops
from scipy import stats

from evonet.config import make_config
from evonet.data.dataset import load_dataset
from evonet.evaluation import Evaluation, Request
from evonet.genome import Genome, Layer

TWO_LAYERS = Genome(
    (Layer(300, "relu"), Layer(100, "tanh", 0.5)), "he_normal", "momentum", 0.1, 32, 0.9
)
LINEAR = Genome((), "matched_normal", "adam", 0.1, 32)


def evaluation(genome: Genome, epochs: int) -> Evaluation:
    curve = (1.0,) * epochs
    return Evaluation(genome.key, 1, "ok", "", 0.5, 1, curve, curve, 7, 0.1)


@pytest.mark.parametrize("module", [arithmetic, table], ids=lambda m: m.__name__)
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_multiply_adds_are_those_of_lenet_300_100_counted_by_hand() -> None:
    assert arithmetic.multiply_adds(TWO_LAYERS, 784, 10) == 784 * 300 + 300 * 100 + 100 * 10
    assert arithmetic.multiply_adds(LINEAR, 784, 10) == 7840


def test_operations_of_a_training_are_six_a_weight_and_row_and_two_a_validation_row() -> None:
    # 10 weights, 3 epochs: 5 training rows make 10 * 5 * 6, 4 validation rows 10 * 4 * 2.
    assert arithmetic.training_flops(10, 5, 4, 3) == 3 * (300 + 80)


def test_the_inputs_gradient_is_one_product_of_the_first_layer() -> None:
    assert arithmetic.first_layer_flops(TWO_LAYERS, 784, 5, 3) == 2 * 784 * 300 * 5 * 3
    assert arithmetic.first_layer_flops(LINEAR, 784, 5, 3) == 0  # not counted for linear models


def test_useful_operations_count_the_epochs_that_each_network_ran() -> None:
    iris = load_dataset(make_config({"data": "iris"}))  # 90 and 30 rows, 4 inputs, 3 classes
    one = Genome((Layer(8, "relu"),), "he_normal", "adam", 0.1, 32)
    done = useful_flops(
        [Request(one, 1), Request(LINEAR, 1)], [evaluation(LINEAR, 2), evaluation(one, 5)], iris
    )
    rows = 6 * 90 + 2 * 30
    assert done["flops"] == 2 * 12 * rows + 5 * (4 * 8 + 8 * 3) * rows
    assert done["flops"] - done["needed_flops"] == 5 * 2 * 4 * 8 * 90


def test_candidates_a_minute_of_a_sample_are_those_of_the_whole_process() -> None:
    assert arithmetic.per_minute(15, 10, 5, 5) == 20
    # 5 s to start, 2 s each: 50 candidates take 105 s.
    assert arithmetic.per_minute(15, 10, 5, 50) == pytest.approx(60 * 50 / 105)


def test_growth_that_follows_the_work_is_one_and_a_cliff_stands_out() -> None:
    growth = arithmetic.growth_against_work([1.0, 3.0, 90.0], [2.0, 6.0, 60.0])
    assert growth == [None, 1.0, 3.0]


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(1).normal(3, 2, 12)
    expected = stats.t.interval(0.95, 11, loc=values.mean(), scale=stats.sem(values))
    interval = arithmetic.mean_interval(list(values))
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.value == pytest.approx(values.mean())


def test_rank_correlation_is_scipys_with_ties_and_lies_in_its_interval() -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 8, 40).astype(float)
    b = a + rng.normal(0, 2, 40).round()
    interval = arithmetic.rank_correlation(list(a), list(b))
    assert interval.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert interval.low < interval.value < interval.high


def test_rank_correlation_of_equal_scores_is_not_a_number() -> None:
    constant = [1.0] * 5
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        assert math.isnan(arithmetic.rank_correlation(constant, constant).value)


def test_scores_are_compared_where_both_have_one() -> None:
    a = {0: 0.5, 1: 0.75, 2: None, 3: None, 4: 0.875, 5: 0.1, 6: 0.3}
    b = {0: 0.25, 1: 1.0, 2: 0.5, 3: None, 4: 0.875, 6: None}
    pairs, failed_in_one, failed_in_both, difference, absolute, _ = _comparison(a, b)
    assert (pairs, failed_in_one, failed_in_both) == (3, 2, 1)
    assert str(difference).startswith("0.0000 (")
    assert absolute == pytest.approx(0.5 / 3)


def test_a_table_is_aligned_and_says_what_is_missing() -> None:
    lines = str(
        table.Table("speed", ("way", "a minute"), (("fused", 1234.5), ("a rival", None)), ("Why.",))
    ).splitlines()
    assert lines == [
        "speed",
        "way      a minute",
        "-------  --------",
        "fused       1,234",
        "a rival         -",
        "  Why.",
    ]


def test_a_classifier_takes_from_a_genome_what_it_can() -> None:
    assert mlp.mlp_settings(TWO_LAYERS) == {
        "hidden_layer_sizes": (300, 100),
        "activation": "relu",
        "solver": "sgd",
        "momentum": 0.9,
        "nesterovs_momentum": False,
        "learning_rate_init": 0.1,
        "batch_size": 32,
        "alpha": 0.0,
    }


def test_a_smaller_sample_holds_the_first_genomes_of_a_larger_one() -> None:
    assert settings.random_genomes(7)[:3] == settings.random_genomes(3)


def test_a_job_that_fails_says_why() -> None:
    point = {"engine": "neither", "data": {"source": "iris"}, "requests": [], "budget": (1, 1)}
    with pytest.raises(processes.JobError, match=r"train ended with exit code 1: .*'neither'"):
        processes.run_job("train", {"points": [point]})


def test_the_memory_of_a_session_includes_its_processes() -> None:
    # In a session of its own: others come and go in that of the tests.
    code = """if True:
        import os
        import numpy as np
        from bench import machine
        before = machine.session_memory_mib(os.getsid(0))
        block = np.ones(64 * 2**20, dtype=np.uint8)  # 64 MiB
        after = machine.session_memory_mib(os.getsid(0))
        print(None if before is None else after - before)
    """
    scripts = str(Path(__file__).parents[1] / "scripts")
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([scripts, *sys.path])},
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert run.returncode == 0, run.stderr
    if run.stdout.strip() == "None":
        pytest.skip("this system has no /proc")
    assert 50 < float(run.stdout) < 500
