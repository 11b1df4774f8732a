"""What a network has to beat: a constant, a linear model and a network nobody searched for.

They see the same rows, prepared the same way, and the same metric as the winner.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evonet.champion.fitting import Fitter, best_fit, fits_of
from evonet.champion.predictor import Network, Predictor
from evonet.data.dataset import Dataset, Part
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.metrics import Metric, score
from evonet.outcome import CONSTANTS, Baseline
from evonet.streams import training_seed

#: What most tutorials build.
DEFAULT_MLP = Genome((Layer(128, "relu"), Layer(128, "relu")), "glorot_uniform", "adam", 1e-3, 32)


def fit_baselines(fitter: Fitter, budgets: Sequence[Budget], seed: int) -> Iterator[Baseline]:
    """Fit the baselines one after the other.

    Args:
        fitter: has the data and the run's metric.
        budgets: of the fits of the default network; the best one is kept, as of the winner's.
        seed: the run's seed.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    dataset, metric = fitter.dataset, fitter.metric
    yield _constant(dataset, metric)
    if dataset.target.task == "regression":
        yield _fitted("linear", "ridge regression", Ridge(), dataset, metric)
    else:
        logistic = LogisticRegression(max_iter=300)
        yield _fitted("linear", "logistic regression", logistic, dataset, metric)
    yield _default(fitter, budgets, seed)


def _default(fitter: Fitter, budgets: Sequence[Budget], seed: int) -> Baseline:
    """The network that nobody searched for, on the terms of the winner."""
    dataset, metric = fitter.dataset, fitter.metric
    fits = fits_of(DEFAULT_MLP, budgets, training_seed(seed, DEFAULT_MLP.key))
    best = best_fit(fitter.fit_all(fits), metric, len(dataset.validation))
    test_score = None
    if best.score is not None and best.fitted is not None:
        network = Network(DEFAULT_MLP, tuple(best.fitted.weights))
        predictor = Predictor(dataset.preparation, dataset.target, (network,))
        test_score = predictor.scores(dataset.test, {metric.name: metric})[metric.name]
    description = f"no search: {DEFAULT_MLP}"
    return Baseline("default MLP", description, best.score, test_score)


def constant_score(dataset: Dataset, metric: Metric) -> float:
    """What a model scores on the validation part that always says the same; 0 if not finite."""
    return _constant(dataset, metric).validation_score or 0.0


def _constant(dataset: Dataset, metric: Metric) -> Baseline:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    mean, majority = CONSTANTS
    if dataset.target.task == "regression":
        return _fitted(mean, "always the mean", DummyRegressor(), dataset, metric)
    prior = DummyClassifier(strategy="prior")
    return _fitted(majority, "always the commonest class", prior, dataset, metric)


def _fitted(
    name: str, description: str, estimator: Any, dataset: Dataset, metric: Metric
) -> Baseline:
    """A scikit-learn model fitted on the training part and scored on the other two."""
    train = dataset.train
    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough for a baseline
        estimator.fit(train.x, train.y, sample_weight=train.weight)
    parts = (dataset.validation, dataset.test)
    scores = [
        score(metric, dataset.target, part.y, _predictions(estimator, dataset, part))
        for part in parts
    ]
    return Baseline(name, description, *scores)


def _predictions(estimator: Any, dataset: Dataset, part: Part) -> np.ndarray:
    """A scikit-learn model's predictions as ``Target.predictions`` would give them."""
    target = dataset.target
    if target.task == "regression":
        return target.truth(np.asarray(estimator.predict(part.x)))
    # A class that the training part lacks has no column in scikit-learn.
    full = np.zeros((len(part), len(target.classes)))
    full[:, estimator.classes_] = estimator.predict_proba(part.x)
    return full
