"""evonet as scikit-learn estimators.

    from evonet.estimators import EvoNetClassifier
    model = EvoNetClassifier(max_minutes=2).fit(X, y)

They take what other estimators take and stand wherever these do. A fit is a whole run: it keeps
validation and test rows of its own, and ends with a winner whose honest score is ``test_score_``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from evonet.champion.prediction import load_predictor
from evonet.config import make_config
from evonet.data.checking import MIN_ROWS
from evonet.errors import EvonetError, RecordError
from evonet.progress import read_result
from evonet.replacing import replacing
from evonet.report.tables import candidates_table
from evonet.run import evolve
from evonet.store.record import RunRecord

_FILE = "data.parquet"


class _EvoNet(BaseEstimator):
    """What classifier and regressor share."""

    #: Names of the columns of the fit.
    columns_: list[str]

    def __init__(
        self,
        *,
        generations: int | None = None,
        max_minutes: float | None = None,
        max_trainings: int | None = None,
        metric: str = "auto",
        ensemble: bool = False,
        test_fraction: float = 0.2,
        n_jobs: int | None = None,
        random_state: Any = None,
        results: str | Path | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Keep the settings of a run, unchecked, as scikit-learn wants it.

        Args:
            generations: after the first one; None for 30, or no limit where minutes or trainings
                have one.
            max_minutes: of the whole run; None for no limit.
            max_trainings: networks to try; None for no limit.
            metric: as ``--metric``; "auto" is the task's default.
            ensemble: predict with the ensemble, where there is one, rather than with the winner.
            test_fraction: share of the rows that scores the winner and takes part in no choice.
            n_jobs: processes that train; None for as many as there are cores, and a number below
                0 as in scikit-learn: -1 for all cores, -2 for all but one.
            random_state: a whole number for equal runs, a ``RandomState``, or None for another
                run each time.
            results: folder to keep runs in, to resume and to look at; None for none.
            settings: any other settings, by the names of ``RunConfig``.
        """
        self.generations = generations
        self.max_minutes = max_minutes
        self.max_trainings = max_trainings
        self.metric = metric
        self.ensemble = ensemble
        self.test_fraction = test_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.results = results
        self.settings = settings

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # missing values are filled, and marked for the network
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _evolve(self, table: pd.DataFrame, labels: np.ndarray, task: str) -> None:
        """Run a search on a table, and keep of it what prediction needs."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        target = "target"
        while target in table.columns:
            target += "_"
        n_jobs = self.n_jobs
        if n_jobs is not None and n_jobs < 0:
            n_jobs = effective_n_jobs(n_jobs)
        with TemporaryDirectory() as temporary:
            folder = Path(self.results or temporary)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                run = evolve(
                    make_config(
                        {
                            "data": str(_written(table.assign(**{target: labels}), folder)),
                            "target": target,
                            "task": task,
                            "generations": self.generations,
                            "max_minutes": self.max_minutes,
                            "max_trainings": self.max_trainings,
                            "metric": self.metric,
                            "test_fraction": self.test_fraction,
                            "workers": n_jobs,
                            "seed": int(seed),
                            "results": folder,
                            **(self.settings or {}),
                        }
                    )
                ).folder
                self._keep(run)
            except EvonetError as error:  # what scikit-learn raises for what cannot be fitted
                raise ValueError(str(error)) from None

    def _keep(self, run: Path) -> None:
        """Take from a finished run what the estimator's attributes and its predictions need."""
        with RunRecord(run) as record:
            winner = read_result(record).winner
            self.history_ = candidates_table(record)
        if winner is None:
            raise ValueError("The run was stopped before it had a winner.")
        ensemble = winner.ensemble if self.ensemble else None
        self.predictor_ = load_predictor(run, ensemble is not None)
        self.best_genome_ = winner.genome
        self.test_score_ = (ensemble or winner).test_score
        self.run_ = run if self.results else None

    def _predictions(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        try:
            return self.predictor_.predictions(_table(self, X, reset=False))
        except EvonetError as error:
            raise ValueError(str(error)) from None


class EvoNetClassifier(ClassifierMixin, _EvoNet):
    """A network for classes, evolved on the data it is fitted on.

    Attributes:
        classes_: labels, in the order of the columns of ``predict_proba``.
        best_genome_: what the winner is.
        history_: a row for each network of every finished generation.
        test_score_: the metric on the run's own test part.
        predictor_: preparation and networks.
        columns_: names of the columns of ``X``, in its order.
        run_: the run's folder, where ``results`` was given.
    """

    def fit(self, X: Any, y: Any) -> EvoNetClassifier:
        """Evolve networks for a table.

        Args:
            X: ``(n, n_features)`` numbers, or a DataFrame with words and missing values too.
            y: ``(n,)`` labels.

        Raises:
            ValueError: the data cannot be learned from, or a setting does not fit them.
        """
        table = _table(self, X, reset=True)
        y = _labels(y, len(table))
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {str(self.classes_[0])!r}; expected two at least.")
        self._evolve(table, places, "binary" if len(self.classes_) == 2 else "multiclass")
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities ``(n, n_classes)``, in the order of ``classes_``."""
        return self._predictions(X)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each row, ``(n,)``."""
        likeliest = self._predictions(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])


class EvoNetRegressor(RegressorMixin, _EvoNet):
    """A network for a quantity, evolved on the data it is fitted on.

    Attributes:
        best_genome_: what the winner is.
        history_: a row for each network of every finished generation.
        test_score_: the metric on the run's own test part.
        predictor_: preparation and networks.
        columns_: names of the columns of ``X``, in its order.
        run_: the run's folder, where ``results`` was given.
    """

    def fit(self, X: Any, y: Any) -> EvoNetRegressor:
        """Evolve networks for a table.

        Args:
            X: ``(n, n_features)`` numbers, or a DataFrame with words and missing values too.
            y: ``(n,)`` numbers.

        Raises:
            ValueError: the data cannot be learned from, or a setting does not fit them.
        """
        table = _table(self, X, reset=True)
        self._evolve(table, np.asarray(_labels(y, len(table)), np.float64), "regression")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The predicted quantity of each row, ``(n,)``, in the unit of ``y``."""
        return self._predictions(X)


def _table(estimator: _EvoNet, X: Any, reset: bool) -> pd.DataFrame:
    """Features as a table with texts for names; checked as scikit-learn checks them.

    Columns without names of their own are those of the fit, in their order.
    """
    least = {"ensure_min_samples": MIN_ROWS} if reset else {}
    if isinstance(X, pd.DataFrame):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if reset and len(X) < MIN_ROWS:
            raise ValueError(f"Found {len(X)} sample(s); expected at least {MIN_ROWS}.")
        table = X.set_axis(range(len(X))).set_axis([str(name) for name in X.columns], axis=1)
        named = reset or set(estimator.columns_) <= set(table.columns)
    else:
        array = validate_data(
            estimator, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan", **least
        )
        table = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
        named = reset
    if reset:
        estimator.columns_ = list(table.columns)
    return table if named else table.set_axis(estimator.columns_, axis=1)


def _labels(y: Any, n: int) -> np.ndarray:
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    found = column_or_1d(y, warn=True)
    assert_all_finite(found, input_name="y")
    if len(found) != n:
        raise ValueError(f"Found {n} rows in X, but {len(found)} in y.")
    return np.asarray(found)


def _written(table: pd.DataFrame, folder: Path) -> Path:
    """The table as a file of a folder, under a name that says what it holds.

    Raises:
        ValueError: X holds what no table can hold.
        RecordError: the file cannot be written.
    """
    try:
        content = table.to_parquet()
    except Exception as error:  # pyarrow raises many
        raise ValueError(f"X holds what no table can hold: {error}") from None
    file = folder / f"{hashlib.sha256(content).hexdigest()[:16]}-{_FILE}"
    if file.is_file():
        return file
    try:
        with replacing(file) as new:
            new.write_bytes(content)
    except OSError as error:
        raise RecordError(
            f"Cannot write X into {folder}: {error.strerror or error}. Free some space there, or "
            "pass another folder as results."
        ) from None
    return file
