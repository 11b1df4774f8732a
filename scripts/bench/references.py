"""Jobs of the quality benchmark that search no networks: linear models, boosting, FLAML."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench.judging import Order, judged, seconds_left
from bench.machine import cores
from evonet.data.dataset import Dataset
from evonet.metrics import METRICS

_MOST_TREES = 2000  # early stopping decides; untuned


def reference(model: str, **asked: Any) -> dict[str, Any]:
    """One fit without a search, which takes as long as it takes.

    Args:
        model: "linear", "boosting" or "boosting, early stopping".
        asked: an ``Order``.
    """
    order = Order(**asked)
    dataset = order.read()
    train, validation = dataset.train, dataset.validation
    estimator = _estimator(model, dataset.target.task == "regression", order.seed)
    early = {}
    if "early" in model:
        weight = validation.weight
        early = {"X_val": validation.x, "y_val": validation.y, "sample_weight_val": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a linear model that has not quite converged
        estimator.fit(train.x, train.y, sample_weight=train.weight, **early)
    return _judged_estimator(estimator, dataset, order.metric, 1, {})


def _estimator(model: str, regression: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if model == "linear":
        return Ridge() if regression else LogisticRegression(max_iter=1000)
    boosting = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    if model == "boosting":
        return boosting(random_state=seed)
    return boosting(max_iter=_MOST_TREES, early_stopping=True, random_state=seed)


def flaml(**asked: Any) -> dict[str, Any]:
    """FLAML's AutoML with its defaults: it refits its best model on training and validation part.

    Args:
        asked: an ``Order``.
    """
    from flaml import AutoML

    order = Order(**asked)
    dataset, end, metric = order.read(), order.end_of_search(), order.metric
    train, validation = dataset.train, dataset.validation
    regression = dataset.target.task == "regression"
    weights = {}
    if train.weight is not None:
        weights = {"sample_weight": train.weight, "sample_weight_val": validation.weight}
    search = AutoML()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = Path(folder) / "trials"
        search.fit(
            train.x,
            train.y,
            X_val=validation.x,
            y_val=validation.y,
            task="regression" if regression else "classification",
            metric=metric if regression else _loss_of(metric),
            time_budget=seconds_left(end),
            n_jobs=len(cores()),
            seed=order.seed,
            verbose=0,
            log_file_name=str(log),
            log_type="all",
            **weights,
        )
        trials = sum("trial_time" in line for line in log.read_text("utf-8").splitlines())
    details = {"estimator": search.best_estimator, "config": str(search.best_config)}
    return _judged_estimator(search, dataset, metric, trials, details)


def _loss_of(metric: str) -> Any:
    """A metric of evonet as FLAML takes one of a user: less is better."""

    def loss(x: Any, y: Any, estimator: Any, *_: Any, **__: Any) -> tuple[float, dict[str, float]]:
        score = METRICS[metric].compute(np.asarray(y), np.asarray(estimator.predict_proba(x)))
        return -METRICS[metric].sign * score, {metric: score}

    return loss


def _judged_estimator(
    estimator: Any, dataset: Dataset, metric: str, trainings: int, details: dict[str, Any]
) -> dict[str, Any]:
    target = dataset.target

    def predict(x: np.ndarray) -> np.ndarray:
        if target.task == "regression":
            return target.truth(np.asarray(estimator.predict(x)))
        return np.asarray(estimator.predict_proba(x), dtype=np.float64)

    return judged(dataset, metric, predict, trainings, details)
