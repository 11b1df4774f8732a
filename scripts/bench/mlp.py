"""scikit-learn's networks, trained epoch by epoch with early stopping on the validation part."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from evonet.data.dataset import Dataset, Part
from evonet.evaluation import Budget
from evonet.genome import Genome

#: scikit-learn has three activations and two solvers; the nearest of them for each of ours.
_ACTIVATIONS = {"tanh": "tanh", "sigmoid": "logistic", "softsign": "tanh"}
_SGD = ("sgd", "momentum", "nesterov")


def mlp_settings(genome: Genome) -> dict[str, Any]:
    """The arguments of the MLPClassifier or MLPRegressor that is nearest to a genome.

    The network takes the commonest of its layers' activations; there is no dropout.
    """
    names = Counter(_ACTIVATIONS.get(layer.activation, "relu") for layer in genome.layers)
    return {
        "hidden_layer_sizes": tuple(layer.units for layer in genome.layers),
        "activation": names.most_common(1)[0][0] if names else "identity",
        "solver": "sgd" if genome.optimizer in _SGD else "adam",
        "momentum": genome.momentum or 0.0,
        "nesterovs_momentum": genome.optimizer == "nesterov",
        "learning_rate_init": genome.learning_rate,
        "batch_size": genome.batch_size,
        "alpha": genome.weight_decay or 0.0,
    }


def train_mlp(
    genome: Genome, seed: int, dataset: Dataset, budget: Budget, deadline: float = np.inf
) -> tuple[Any, np.ndarray] | None:
    """Train the network that is nearest to a genome.

    Args:
        genome: see ``mlp_settings``.
        seed: decides initial weights and order of the rows.
        dataset: its training part is learned, its validation part decides when to stop.
        budget: how long to train.
        deadline: no epoch begins after that time of ``time.time``.

    Returns:
        The network with the weights of its best epoch, and its predictions for the validation
        part, as ``Target.predictions`` gives them; None if it diverged or there was no time.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    regression = dataset.target.task == "regression"
    network = (MLPRegressor if regression else MLPClassifier)(
        **mlp_settings(genome), random_state=seed
    )
    train, validation = dataset.train, dataset.validation
    more: dict[str, Any] = {}
    if not regression:
        classes = np.arange(len(dataset.target.classes))
        more = {"classes": classes, "sample_weight": train.weight}
    best_loss, best, waited = np.inf, None, 0
    for _ in range(budget.epochs):
        if time.time() >= deadline:
            break
        try:
            with np.errstate(all="ignore"):
                network.partial_fit(train.x, train.y, **more)
                predictions = mlp_predictions(network, dataset, validation.x)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return None
        loss = _loss(dataset, validation, predictions)
        if loss < best_loss:
            weights = _copies(network.coefs_), _copies(network.intercepts_)
            best_loss, best, waited = loss, (*weights, predictions), 0
            continue
        waited += 1
        if waited >= budget.patience_epochs:
            break
    if best is None:
        return None
    network.coefs_, network.intercepts_, predictions = best
    return network, predictions


def mlp_predictions(network: Any, dataset: Dataset, x: np.ndarray) -> np.ndarray:
    """A network's predictions as ``Target.predictions`` gives them."""
    if dataset.target.task == "regression":
        return dataset.target.truth(network.predict(x))
    return np.asarray(network.predict_proba(x), dtype=np.float64)


def _loss(dataset: Dataset, part: Part, predictions: np.ndarray) -> float:
    """Mean cross-entropy, or mean squared error in units of the target's variance."""
    target = dataset.target
    if target.task == "regression":
        errors = (predictions - target.truth(part.y)) / target.scale
        return float(np.mean(errors**2))
    p = predictions[np.arange(len(part)), part.y]
    losses = -np.log(np.maximum(p, np.finfo(p.dtype).tiny))
    return float(np.mean(losses if part.weight is None else part.weight * losses))


def _copies(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [array.copy() for array in arrays]
