"""Every metric is what its definition says, by hand or by scikit-learn, and improves as it says."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from evonet.config import MetricName
from evonet.data.target import Target
from evonet.errors import ConfigError
from evonet.metrics import (
    CLASSIFICATION_METRICS,
    METRICS,
    REGRESSION_METRICS,
    choose_metric,
    mean_interval,
    metrics_of,
    score_interval,
)

BINARY = Target("y", "binary", ("p", "q"))
MULTICLASS = Target("y", "multiclass", ("p", "q", "r"))
REGRESSION = Target("y", "regression")


@st.composite
def classified(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Truth of at least two classes, and probabilities ``(n, n_classes)`` float32."""
    n_classes = draw(st.integers(2, 4))
    labels = st.lists(st.integers(0, n_classes - 1), min_size=2, max_size=30)
    truth = np.array(draw(labels.filter(lambda v: len(set(v)) > 1)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    p = rng.dirichlet(np.ones(n_classes), size=len(truth)).astype(np.float32)
    return truth, p


@st.composite
def predicted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A quantity that is not constant, and predictions of it."""
    n = draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth, errors = rng.normal(size=(2, n)) * draw(st.sampled_from([1e-3, 1.0, 1e6]))
    return truth, truth + errors


def score(name: str, truth: object, predictions: object) -> float:
    value = METRICS[name].compute(np.asarray(truth), np.asarray(predictions))
    assert type(value) is float
    return value


# --- against the definitions ----------------------------------------------------------------------


@given(classified())
def test_accuracy_is_the_share_of_right_answers(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, p = case
    right = [
        max(range(len(row)), key=lambda k: row[k]) == t for row, t in zip(p, truth, strict=True)
    ]
    assert score("accuracy", truth, p) == pytest.approx(sum(right) / len(right))
    expected = sklearn_metrics.accuracy_score(truth, p.argmax(axis=1))
    assert score("accuracy", truth, p) == pytest.approx(expected)


@given(classified())
def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, p = case
    answer = p.argmax(axis=1)
    recalls = [np.mean(answer[truth == k] == k) for k in set(truth.tolist())]
    assert score("balanced_accuracy", truth, p) == pytest.approx(np.mean(recalls))


@given(classified())
def test_f1_macro_is_the_mean_f1_of_the_classes_that_occur(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, p = case
    answer = p.argmax(axis=1)
    f1 = []
    for k in set(truth.tolist()) | set(answer.tolist()):
        hits = np.sum((answer == k) & (truth == k))
        f1.append(2 * hits / (np.sum(answer == k) + np.sum(truth == k)))
    assert score("f1_macro", truth, p) == pytest.approx(np.mean(f1))


@given(classified())
def test_log_loss_is_the_mean_surprise(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, p = case
    surprise = [-np.log(float(row[t])) for row, t in zip(p, truth, strict=True)]
    # float32 probabilities sum to 1 only to 1e-7, and are made to.
    assert score("log_loss", truth, p) == pytest.approx(np.mean(surprise), abs=1e-6)


def test_log_loss_of_a_sure_and_wrong_answer_is_that_of_scikit_learn() -> None:
    truth, p = np.array([0, 1, 1]), np.array([[0.0, 1.0], [0.5, 0.5], [0.0, 1.0]])
    expected = sklearn_metrics.log_loss(truth, p)
    assert 10 < expected < np.inf
    assert score("log_loss", truth, p) == expected
    assert score("log_loss", truth, p.astype(np.float32)) == expected


def area_by_counting(positive: np.ndarray, p: np.ndarray) -> float:
    """How often a positive row is ranked above a negative one, ties counting a half."""
    above, below = p[positive][:, None], p[~positive][None, :]
    return float(np.mean((above > below) + 0.5 * (above == below)))


@given(classified())
def test_roc_auc_is_how_often_a_row_of_the_class_is_ranked_above_the_others(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, p = case
    p = p.round(1)  # so that there are ties
    if p.shape[1] == 2:
        expected = area_by_counting(truth == 1, p[:, 1])
    else:
        expected = np.mean([area_by_counting(truth == k, p[:, k]) for k in set(truth.tolist())])
    assert score("roc_auc", truth, p) == pytest.approx(expected)


def test_roc_auc_of_several_classes_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200)
    expected = sklearn_metrics.roc_auc_score(truth, p, multi_class="ovr", average="macro")
    assert score("roc_auc", truth, p) == pytest.approx(expected)


@given(predicted())
def test_regression_metrics_are_their_formulas(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = case
    errors = [t - p for t, p in zip(truth.tolist(), prediction.tolist(), strict=True)]
    n, mean = len(errors), sum(truth.tolist()) / len(truth)
    squares = sum(e * e for e in errors)
    assert score("rmse", truth, prediction) == pytest.approx((squares / n) ** 0.5)
    assert score("mae", truth, prediction) == pytest.approx(sum(map(abs, errors)) / n)
    spread = sum((t - mean) ** 2 for t in truth.tolist())
    # A difference from 1, which costs digits where it is small.
    assert score("r2", truth, prediction) == pytest.approx(1 - squares / spread, abs=1e-9)


@given(predicted())
def test_regression_metrics_are_those_of_scikit_learn(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, prediction = case
    for name, function in {
        "rmse": sklearn_metrics.root_mean_squared_error,
        "mae": sklearn_metrics.mean_absolute_error,
        "r2": sklearn_metrics.r2_score,
    }.items():
        assert score(name, truth, prediction) == pytest.approx(function(truth, prediction))


def test_metrics_by_hand() -> None:
    truth = [0, 0, 0, 1]
    p = [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]  # answers 0, 0, 1, 0
    assert score("accuracy", truth, p) == 0.5
    assert score("balanced_accuracy", truth, p) == pytest.approx((2 / 3 + 0) / 2)
    assert score("f1_macro", truth, p) == pytest.approx((2 / 3 + 0) / 2)
    assert score("roc_auc", truth, p) == pytest.approx(2 / 3)
    surprise = -(2 * np.log(0.75) + np.log(0.25) + np.log(0.5)) / 4
    assert score("log_loss", truth, p) == pytest.approx(surprise)
    assert score("rmse", [1.0, 2.0, 3.0], [1.0, 4.0, 4.0]) == pytest.approx((5 / 3) ** 0.5)
    assert score("mae", [1.0, 2.0, 3.0], [1.0, 4.0, 4.0]) == 1.0
    assert score("r2", [1.0, 2.0, 3.0], [1.0, 4.0, 4.0]) == pytest.approx(1 - 5 / 2)


# --- every metric ---------------------------------------------------------------------------------

BEST = dict.fromkeys(METRICS, 1.0) | {"log_loss": 0.0, "rmse": 0.0, "mae": 0.0}


@pytest.mark.parametrize("name", CLASSIFICATION_METRICS)
@given(case=classified())
def test_right_answers_get_the_best_score_and_others_no_better(
    name: str, case: tuple[np.ndarray, np.ndarray]
) -> None:
    truth, p = case
    certain = np.eye(p.shape[1], dtype=np.float32)[truth]
    best = score(name, truth, certain)
    assert best == pytest.approx(BEST[name], abs=1e-12)  # log_loss clips at float64's rounding
    assert not METRICS[name].better(score(name, truth, p), best)
    assert np.isfinite(score(name, truth, p))


@pytest.mark.parametrize("name", REGRESSION_METRICS)
@given(case=predicted())
def test_exact_predictions_get_the_best_score_and_others_a_worse_one(
    name: str, case: tuple[np.ndarray, np.ndarray]
) -> None:
    truth, prediction = case
    assert score(name, truth, truth) == BEST[name]
    assert METRICS[name].better(BEST[name], score(name, truth, prediction))


@pytest.mark.parametrize("name", METRICS)
@given(a=st.floats(-1e9, 1e9), b=st.floats(-1e9, 1e9))
def test_better_is_a_strict_order_in_the_direction_of_the_metric(
    name: str, a: float, b: float
) -> None:
    metric = METRICS[name]
    falls = name in ("log_loss", "rmse", "mae")
    assert metric.better(a, b) == (a < b if falls else a > b)
    assert not metric.better(a, a)
    assert not metric.better(np.nan, a)
    assert not metric.better(a, np.nan)


@pytest.mark.parametrize("name", CLASSIFICATION_METRICS)
def test_class_that_does_not_occur_is_no_error(name: str) -> None:
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 2, 50), rng.dirichlet(np.ones(4), 50).astype(np.float32)
    assert np.isfinite(score(name, truth, p))


@pytest.mark.parametrize("name", ["rmse", "mae"])
def test_large_float32_numbers_are_summed_in_float64(name: str) -> None:
    truth = np.zeros(4, dtype=np.float32)
    assert score(name, truth, np.full(4, 1e30, np.float32)) == pytest.approx(1e30, rel=1e-6)


# --- choosing -------------------------------------------------------------------------------------


def test_every_metric_can_be_asked_for_and_no_other() -> None:
    assert {"auto", *METRICS} == set(get_args(MetricName))
    assert all(name == metric.name for name, metric in METRICS.items())
    assert not set(CLASSIFICATION_METRICS) & set(REGRESSION_METRICS)


@pytest.mark.parametrize(
    ("target", "default"),
    [(BINARY, "accuracy"), (MULTICLASS, "accuracy"), (REGRESSION, "rmse")],
)
def test_auto_is_the_default_of_the_task(target: Target, default: str) -> None:
    assert choose_metric("auto", target).name == default
    for name in metrics_of(target):
        assert choose_metric(name, target).name == name


@pytest.mark.parametrize(
    ("target", "name"), [(BINARY, "rmse"), (MULTICLASS, "r2"), (REGRESSION, "accuracy")]
)
def test_metric_of_another_task_is_refused_and_the_fitting_ones_are_named(
    target: Target, name: str
) -> None:
    fitting = ", ".join(metrics_of(target))
    expected = f"^metric {name} does not fit a {target.task} target; expected one of {fitting}. "
    with pytest.raises(ConfigError, match=expected):
        choose_metric(name, target)


# --- intervals ------------------------------------------------------------------------------------


def right(n_right: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """So many right answers of so many."""
    truth = np.arange(n) % 2
    said = np.where(np.arange(n) < n_right, truth, 1 - truth)
    return truth, np.eye(2, dtype=np.float32)[said]


@pytest.mark.parametrize(
    ("metric", "scores", "ends"),
    # By hand: t is 12.706 for two scores, so that 0.9 and 1.0 give 0.95 ± 0.635.
    [
        ("accuracy", (0.9, 1.0), (0.3147, 1.0)),
        ("r2", (0.9, 1.0), (0.3147, 1.0)),
        ("rmse", (0.9, 1.0), (0.3147, 1.5853)),
        ("rmse", (0.0, 0.1), (0.0, 0.6853)),
        ("r2", (-0.1, 0.0), (-0.6853, 0.5853)),
    ],
)
def test_interval_of_a_mean_ends_where_scores_do(
    metric: str, scores: tuple[float, ...], ends: tuple[float, float]
) -> None:
    assert mean_interval(scores, limits=METRICS[metric].limits) == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    # Wilson's formula by hand: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.96
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (90, 100, 0.8256, 0.9448)],
)
def test_interval_of_an_accuracy(n_right: int, n: int, low: float, high: float) -> None:
    found = score_interval(METRICS["accuracy"], *right(n_right, n), np.random.default_rng(0))
    assert found == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("n", [400, 20_000])
def test_interval_of_a_mean_is_the_normal_one(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evonet.metrics._RESAMPLES", 5_000)
    errors = np.random.default_rng(3).exponential(size=n)
    found = score_interval(METRICS["mae"], np.zeros(n), errors, np.random.default_rng(0))
    mean, half = errors.mean(), 1.96 * errors.std() / n**0.5
    # Those of a 90 % interval would be off by 0.16 of the half width.
    assert found == pytest.approx((mean - half, mean + half), abs=0.08 * half)


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "log_loss", "roc_auc"])
def test_interval_of_any_score_holds_it(name: str) -> None:
    rng = np.random.default_rng(1)
    metric, truth = METRICS[name], np.arange(400) % 2
    p = 1 / (1 + np.exp(-rng.normal(2.0 * truth - 1.0, 1.5)))
    p = np.c_[1 - p, p].astype(np.float32)
    low, high = score_interval(metric, truth, p, rng) or (2.0, 2.0)
    assert low < metric.compute(truth, p) < high
    assert 0.02 < high - low < 0.3


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "roc_auc"])
def test_perfect_predictions_have_no_bootstrap(name: str) -> None:
    assert score_interval(METRICS[name], *right(40, 40), np.random.default_rng(0)) is None


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_interval_of_a_quantity_narrows_with_rows(name: str) -> None:
    rng = np.random.default_rng(2)
    widths = []
    for n in (100, 10_000):
        truth = rng.normal(size=n)
        low, high = score_interval(METRICS[name], truth, truth + rng.normal(size=n), rng) or (0, 0)
        widths.append(high - low)
    assert 7 < widths[0] / widths[1] < 14  # as sqrt(n) does


def test_resamples_of_one_class_count_for_none() -> None:
    truth, p = np.array([0, 1, 1]), np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    low, high = score_interval(METRICS["roc_auc"], truth, p, np.random.default_rng(0)) or (2, 2)
    assert 0 <= low < high <= 1
