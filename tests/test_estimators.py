"""The scikit-learn estimators: what they promise, and scikit-learn's own checks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
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
from evonet.errors import ConfigError
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


def stopped_at_settings(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let fits end where their run would begin; returns the settings of each, as it grows."""
    seen: list[dict[str, Any]] = []

    def stop(settings: dict[str, Any]) -> None:
        seen.append(settings)
        raise ConfigError("far enough")

    monkeypatch.setattr("evonet.estimators.make_config", stop)
    return seen


def file_of_fit(x: pd.DataFrame, folder: Path, seen: list[dict[str, Any]]) -> Path:
    """The data file that a fit on rows of three classes of words writes into a folder."""
    with pytest.raises(ValueError, match="far enough"):
        EvoNetClassifier(**BRIEF, results=folder).fit(x, np.tile(["a", "b", "c"], 10))
    return Path(seen[-1]["data"])


def test_fits_of_other_data_have_files_of_their_own(tmp_path: Path, monkeypatch) -> None:
    seen = stopped_at_settings(monkeypatch)
    x = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0)[::-1]})
    words = x.assign(c=pd.Categorical(["u", "v", "w"] * 10))
    tables = [
        x,
        x.rename(columns={"a": "z"}),
        x.astype({"a": "float32"}),
        x.iloc[np.roll(np.arange(30), 3)],  # the same rows with the same labels, in another order
        words,
        words.assign(c=words["c"].cat.add_categories("x")),
    ]
    files = [file_of_fit(table, tmp_path, seen) for table in tables]
    assert len(set(files)) == len(tables)
    for table, file in zip(tables, files, strict=True):
        kept = pd.read_parquet(file).drop(columns="target")
        pd.testing.assert_frame_equal(kept, table.reset_index(drop=True))
    times = [file.stat().st_mtime_ns for file in files]
    assert [file_of_fit(table, tmp_path, seen) for table in tables] == files
    assert [file.stat().st_mtime_ns for file in files] == times  # not written again
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}


def test_a_full_disk_is_no_fault_of_the_data(tmp_path: Path, monkeypatch) -> None:
    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as opened:
            opened.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    x = np.arange(60.0).reshape(30, 2)
    with pytest.raises(ValueError, match=r"Cannot write X into .*: No space left.*Free some space"):
        EvoNetRegressor(**BRIEF, results=tmp_path).fit(x, x[:, 0])
    assert list(tmp_path.iterdir()) == []


def test_what_no_table_can_hold_is_named(tmp_path: Path) -> None:
    x = pd.DataFrame({"a": [{1, 2}, 3.0] * 15})
    with pytest.raises(ValueError, match="X holds what no table can hold"):
        EvoNetRegressor(**BRIEF, results=tmp_path).fit(x, np.arange(30.0))


@pytest.mark.parametrize("n_jobs", [None, 2, -1, -2])
def test_jobs_count_as_in_scikit_learn(n_jobs: int | None, tmp_path: Path, monkeypatch) -> None:
    seen = stopped_at_settings(monkeypatch)
    x = np.arange(60.0).reshape(30, 2)
    with pytest.raises(ValueError, match="far enough"):
        EvoNetRegressor(**{**BRIEF, "n_jobs": n_jobs}, results=tmp_path).fit(x, x[:, 0])
    cores = joblib.cpu_count()
    expected = {None: None, 2: 2, -1: cores, -2: max(1, cores - 1)}
    assert seen[0]["workers"] == expected[n_jobs]


def test_an_array_has_the_columns_of_the_fit_in_their_order(classifier, iris) -> None:
    x, _ = iris
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        p = classifier.predict_proba(x.to_numpy())
    assert (p == classifier.predict_proba(x)).all()


def test_names_that_look_like_places_are_names(iris) -> None:
    x, y = iris
    swapped = x.set_axis(["x1", "x0", "x3", "x2"], axis=1)
    fitted = EvoNetClassifier(**BRIEF).fit(swapped, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        p = fitted.predict_proba(swapped.to_numpy())
    assert (p == fitted.predict_proba(swapped)).all()


def test_a_table_after_an_array_is_taken_by_its_places(iris) -> None:
    x, y = iris
    fitted = EvoNetClassifier(**BRIEF).fit(x.to_numpy(), y)
    with pytest.warns(UserWarning, match="X has feature names"):
        p = fitted.predict_proba(x)
    assert (p == fitted.predict_proba(x.to_numpy())).all()


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
