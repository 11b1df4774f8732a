"""The scikit-learn estimators: what they promise, and scikit-learn's own checks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from evonet.champion.prediction import load_predictor
from evonet.estimators import EvoNetClassifier, EvoNetRegressor
from evonet.genome import Genome
from evonet.run import resume

#: A search of a few seconds.
BRIEF: dict[str, Any] = {
    "generations": 0,
    "random_state": 0,
    "n_jobs": 1,
    "settings": {"population_size": 4, "epochs": 15, "final_fits": 1, "repeats": 0},
}


@pytest.fixture(scope="module")
def iris() -> tuple[pd.DataFrame, np.ndarray]:
    data = load_iris(as_frame=True)
    return data.data, np.asarray(data.target_names)[data.target]


@pytest.fixture(scope="module")
def classifier(iris: tuple[pd.DataFrame, np.ndarray]) -> EvoNetClassifier:
    return EvoNetClassifier(**BRIEF).fit(*iris)


def test_a_classifier_predicts_labels_and_probabilities(classifier, iris) -> None:
    x, y = iris
    predicted, p = classifier.predict(x), classifier.predict_proba(x)
    assert accuracy_score(y, predicted) == classifier.score(x, y) > 0.8
    assert p.shape == (150, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (classifier.classes_[p.argmax(axis=1)] == predicted).all()
    assert classifier.classes_.tolist() == ["setosa", "versicolor", "virginica"]


def test_what_was_found_can_be_looked_at(classifier, iris) -> None:
    assert isinstance(classifier.best_genome_, Genome)
    assert len(classifier.history_) == 6  # the starters, which are more than a population
    assert 0.5 < classifier.test_score_ <= 1
    assert list(classifier.feature_names_in_) == list(iris[0].columns)
    assert classifier.n_features_in_ == 4
    assert classifier.run_ is None


def test_a_pickled_classifier_predicts_the_same(classifier, iris) -> None:
    again = pickle.loads(pickle.dumps(classifier))
    assert (again.predict_proba(iris[0]) == classifier.predict_proba(iris[0])).all()


def test_equal_random_states_give_equal_networks(classifier, iris) -> None:
    again = clone(classifier).fit(*iris)
    assert again.best_genome_ == classifier.best_genome_
    assert (again.predict_proba(iris[0]) == classifier.predict_proba(iris[0])).all()


def test_words_and_missing_values_need_no_pipeline() -> None:
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", None], 300)
    size = np.where(rng.random(300) < 0.1, np.nan, rng.normal(size=300))
    y = np.where(colour == "red", "yes", "no")
    x = pd.DataFrame({"colour": colour, "size": size})
    assert EvoNetClassifier(**BRIEF).fit(x, y).score(x, y) > 0.95


def test_it_works_in_a_pipeline_and_in_cross_validation() -> None:
    x, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), EvoNetRegressor(**BRIEF))
    scores = cross_val_score(pipeline, x, y, cv=2)
    assert scores.shape == (2,)
    assert (scores > 0).all()  # better than the mean


def test_a_run_that_is_kept_can_be_resumed(iris, tmp_path: Path) -> None:
    fitted = EvoNetClassifier(**BRIEF, results=tmp_path).fit(*iris)
    assert fitted.run_ is not None
    kept = load_predictor(fitted.run_).predictions(iris[0])
    assert (kept == fitted.predict_proba(iris[0])).all()
    assert resume(fitted.run_, {"generations": 1}).trainings > 6


def test_what_cannot_be_fitted_is_a_value_error(iris) -> None:
    with pytest.raises(ValueError, match=r"y has one class, 'a'; expected two at least"):
        EvoNetClassifier(**BRIEF).fit(iris[0], np.full(150, "a"))
    with pytest.raises(ValueError, match=r"metric rmse does not fit a multiclass target"):
        EvoNetClassifier(**BRIEF, metric="rmse").fit(*iris)
    with pytest.raises(ValueError, match=r"feature names"):
        EvoNetClassifier(**BRIEF).fit(*iris).predict(iris[0].rename(columns=str.upper))


def expected_failures(estimator: Any) -> dict[str, str]:
    """Checks of scikit-learn's that fail, and why."""
    if isinstance(estimator, EvoNetRegressor):
        return {}
    return {
        "check_fit2d_1feature": "its 10 rows of several classes leave a validation part of one "
        "class, which is refused by name; the check wants words on features"
    }


@pytest.mark.slow
@parametrize_with_checks(
    [EvoNetClassifier(**BRIEF), EvoNetRegressor(**BRIEF)],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)
