"""Jobs of the quality benchmark that train with Keras: Keras Tuner, and Optuna around ``fit``.

Both search evonet's own default space, since they build the networks of genomes. Keras runs
without its compiler and several steps in one call, as in evonet's own Keras engine.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np

from bench.choices import all_parameters, chosen_genome, default_values, optuna_choice
from bench.judging import Order, budget, judged, seconds_left
from evonet.data.dataset import Dataset
from evonet.genome import Genome
from evonet.training.keras_model import (
    build_network,
    choose_loss,
    make_loss,
    make_optimizer,
    outputs_of,
)

_STEPS_AT_ONCE = 32
_ROWS_AT_ONCE = 8192
_NO_LIMIT = 10**6


def keras_tuner_quality(tuner: str, **asked: Any) -> dict[str, Any]:
    """Keras Tuner; it keeps the best epoch of the best trial, as ``get_best_models`` gives it.

    Args:
        tuner: "RandomSearch" or "Hyperband".
        asked: an ``Order``. A training that is under way at its end is cut short.
    """
    import keras
    import keras_tuner

    order = Order(**asked)
    dataset, end = order.read(), order.end_of_search()
    values = default_values(dataset.target.task)

    def genome_of(hp: Any) -> Genome:
        return chosen_genome(lambda name, _, some: hp.Choice(name, list(some)), values)

    class Network(keras_tuner.HyperModel):
        def declare_hyperparameters(self, hp: Any) -> None:
            """All of them at once: one that turns up later has its first value in that trial."""
            for name, some in all_parameters(values).items():
                hp.Choice(name, list(some))

        def build(self, hp: Any) -> Any:
            """A compiled network, every choice of it made by the tuner."""
            return _compiled(genome_of(hp), dataset)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            """As the tuner does, in batches of the size it chose."""
            return model.fit(*args, batch_size=genome_of(hp).batch_size, **kwargs)

    class LastTrial(_stop_at(end)):  # type: ignore[misc]
        def on_train_end(self, *_: Any, **__: Any) -> None:
            if time.time() >= end:
                search.oracle.max_trials = len(search.oracle.trials)

        def __deepcopy__(self, _: Any) -> Any:  # the tuner copies callbacks, and must not itself
            return LastTrial()

    settings: dict[str, Any] = {
        "RandomSearch": {"max_trials": _NO_LIMIT},
        "Hyperband": {"max_epochs": budget(dataset).epochs, "hyperband_iterations": _NO_LIMIT},
    }[tuner]
    name, direction = _monitored(dataset)
    with tempfile.TemporaryDirectory() as folder:
        search = getattr(keras_tuner, tuner)(
            Network(),
            keras_tuner.Objective(name, direction),
            seed=order.seed,
            directory=folder,
            max_consecutive_failed_trials=_NO_LIMIT,  # a training that diverges is no reason
            **settings,
        )
        search.search(
            **_rows(dataset),
            epochs=budget(dataset).epochs,
            callbacks=[
                keras.callbacks.EarlyStopping(patience=budget(dataset).patience_epochs),
                LastTrial(),
            ],
            verbose=0,
        )
        trials = list(search.oracle.trials.values())
        (best,) = search.get_best_models(1)
        (chosen,) = search.get_best_hyperparameters(1)
        genome = genome_of(chosen)
    return _judged_network(best, genome, dataset, order.metric, len(trials))


def optuna_keras(**asked: Any) -> dict[str, Any]:
    """Optuna's TPE with its median pruner; the best trial's network is kept.

    Args:
        asked: an ``Order``. A training that is under way at its end is cut short.
    """
    import keras
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    order = Order(**asked)
    dataset, end = order.read(), order.end_of_search()
    values = default_values(dataset.target.task)
    name, direction = _monitored(dataset)
    kept: dict[str, Any] = {}

    class Pruning(keras.callbacks.Callback):
        def __init__(self, trial: Any) -> None:
            super().__init__()
            self._trial = trial

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._trial.report(logs[name], epoch)
            if self._trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial: Any) -> float:
        keras.backend.clear_session()
        genome = chosen_genome(optuna_choice(trial), values)
        network = _compiled(genome, dataset)
        patience = budget(dataset).patience_epochs
        curves = network.fit(
            **_rows(dataset),
            epochs=budget(dataset).epochs,
            batch_size=genome.batch_size,
            callbacks=[
                keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True),
                keras.callbacks.TerminateOnNaN(),
                Pruning(trial),
                _stop_at(end)(),
            ],
            verbose=0,
        ).history
        if not np.isfinite(curves["val_loss"]).any():
            raise optuna.TrialPruned
        score = float(curves[name][int(np.nanargmin(curves["val_loss"]))])
        sign = 1 if direction == "max" else -1
        if not kept or sign * score > sign * kept["score"]:
            kept.update(score=score, genome=genome, weights=network.get_weights())
        return score

    study = optuna.create_study(
        direction=f"{direction}imize",
        sampler=optuna.samplers.TPESampler(seed=order.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, timeout=seconds_left(end))
    if not kept:
        raise RuntimeError("no training ended in time")
    network = build_network(kept["genome"], dataset.n_inputs, dataset.target.n_outputs)
    network.set_weights(kept["weights"])
    return _judged_network(network, kept["genome"], dataset, order.metric, len(study.trials))


def _compiled(genome: Genome, dataset: Dataset) -> Any:
    """The network of a genome, ready for ``fit``."""
    target = dataset.target
    network = build_network(genome, dataset.n_inputs, target.n_outputs)
    steps_per_epoch = -(-len(dataset.train) // genome.batch_size)
    network.compile(
        make_optimizer(genome, budget(dataset).epochs * steps_per_epoch),
        make_loss(choose_loss("auto", target), genome.label_smoothing),
        metrics=[] if target.task == "regression" else [_balanced_accuracy(len(target.classes))],
        jit_compile=False,
        steps_per_execution=min(steps_per_epoch, _STEPS_AT_ONCE),
    )
    return network


def _rows(dataset: Dataset) -> dict[str, Any]:
    """What ``fit`` is given of the data."""
    train, validation = dataset.train, dataset.validation
    weights = [] if validation.weight is None else [validation.weight]
    return {
        "x": train.x,
        "y": train.y[:, np.newaxis],
        "sample_weight": train.weight,
        "validation_data": (validation.x, validation.y[:, np.newaxis], *weights),
        "validation_batch_size": _ROWS_AT_ONCE,
    }


def _monitored(dataset: Dataset) -> tuple[str, str]:
    """What ranks trainings, as Keras names it, and its direction; the loss is an RMSE's square."""
    if dataset.target.task == "regression":
        return "val_loss", "min"
    return "val_balanced_accuracy", "max"


def _judged_network(
    network: Any, genome: Genome, dataset: Dataset, metric: str, trainings: int
) -> dict[str, Any]:
    def predict(x: np.ndarray) -> np.ndarray:
        return dataset.target.predictions(outputs_of(network, x))

    return judged(dataset, metric, predict, trainings, {"genome": genome.to_dict()})


def _stop_at(end: float) -> Any:
    """A callback class that ends a training at a time of ``time.time``."""
    import keras

    class StopAt(keras.callbacks.Callback):
        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            if time.time() >= end:
                self.model.stop_training = True

    return StopAt


def _balanced_accuracy(n_classes: int) -> Any:
    """Mean recall of the classes that occur, as a metric of Keras on logits."""
    import keras
    from keras import ops

    class BalancedAccuracy(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="balanced_accuracy")
            self.hits = self.add_weight(shape=(n_classes,), initializer="zeros", name="hits")
            self.rows = self.add_weight(shape=(n_classes,), initializer="zeros", name="rows")

        def update_state(self, y_true: Any, y_pred: Any, **_: Any) -> None:
            binary = y_pred.shape[-1] == 1
            chosen = y_pred[:, 0] > 0 if binary else ops.argmax(y_pred, axis=-1)
            truth = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), n_classes)
            guess = ops.one_hot(ops.cast(chosen, "int32"), n_classes)
            self.hits.assign_add(ops.sum(truth * guess, axis=0))
            self.rows.assign_add(ops.sum(truth, axis=0))

        def result(self) -> Any:
            recall = self.hits / ops.maximum(self.rows, 1.0)
            return ops.sum(recall) / ops.sum(ops.cast(self.rows > 0, "float32"))

    return BalancedAccuracy()
