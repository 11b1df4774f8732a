"""Jobs that search with what people use today, on the same data and as far as it goes in the same
space: Keras Tuner's RandomSearch, and random search over scikit-learn's MLPClassifier.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.data import read_data
from bench.mlp import train_mlp
from evonet.data.dataset import Dataset
from evonet.evaluation import Budget
from evonet.genome import Genome, SearchSpace
from evonet.genome.genes import layer_initializer

_SGD = ("sgd", "momentum", "nesterov")


def keras_tuner_search(
    data: Mapping[str, Any], count: int, budget: tuple[int, int], seed: int
) -> dict[str, Any]:
    """Keras Tuner's RandomSearch over evonet's default space, written as its guides write it."""
    import keras
    import keras_tuner

    dataset = read_data(**data)
    epochs, patience = budget
    train, validation = dataset.train, dataset.validation
    values = {name: list(gene.values) for name, gene in SearchSpace.default().genes.items()}

    class Network(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            """A compiled network, every choice of it made by the tuner."""
            initializer = hp.Choice("initializer", values["initializer"])
            model = keras.Sequential([keras.Input((dataset.n_inputs,))])
            for i in range(hp.Choice("layers", values["layers"])):
                units = hp.Choice(f"units_{i}", values["units"])
                activation = hp.Choice(f"activation_{i}", values["activation"])
                dropout = hp.Choice(f"dropout_{i}", values["dropout"])
                weights = layer_initializer(initializer, activation)
                model.add(keras.layers.Dense(units, activation, kernel_initializer=weights))
                if dropout:
                    model.add(keras.layers.Dropout(dropout))
            model.add(keras.layers.Dense(dataset.target.n_outputs, "softmax"))
            rate = hp.Choice("learning_rate", values["learning_rate"])
            momentum = hp.Choice("momentum", values["momentum"])
            optimizer = hp.Choice("optimizer", values["optimizer"])
            if optimizer in _SGD:
                with_momentum = 0.0 if optimizer == "sgd" else momentum
                chosen = keras.optimizers.SGD(rate, with_momentum, nesterov=optimizer == "nesterov")
            else:
                chosen = keras.optimizers.get(
                    {"class_name": optimizer, "config": {"learning_rate": rate}}
                )
            model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            """As the tuner does, in batches of the size it chose."""
            batch_size = hp.Choice("batch_size", values["batch_size"])
            return model.fit(*args, batch_size=batch_size, **kwargs)

    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            Network(), "val_loss", max_trials=count, seed=seed, directory=folder
        )
        started = time.perf_counter()
        tuner.search(
            train.x,
            train.y,
            epochs=epochs,
            validation_data=(validation.x, validation.y),
            callbacks=[keras.callbacks.EarlyStopping(patience=patience)],
            verbose=0,
        )
        seconds = time.perf_counter() - started
        trials = list(tuner.oracle.trials.values())
        scores = [
            trial.metrics.get_last_value("val_accuracy") if trial.score is not None else None
            for trial in trials
        ]
    return {"loop_seconds": seconds, "scores": scores}


def scikit_learn_search(
    data: Mapping[str, Any],
    requests: Sequence[tuple[Mapping[str, Any], int]],
    budget: tuple[int, int],
) -> dict[str, Any]:
    """The same genomes as MLPClassifiers, one process on each core."""
    from joblib import Parallel, delayed

    dataset = read_data(**data)
    started = time.perf_counter()
    scores = Parallel(n_jobs=-1)(
        delayed(_fit_classifier)(Genome.from_dict(genome), seed, dataset, budget)
        for genome, seed in requests
    )
    return {"loop_seconds": time.perf_counter() - started, "scores": list(scores)}


def _fit_classifier(
    genome: Genome, seed: int, dataset: Dataset, budget: tuple[int, int]
) -> float | None:
    """Validation accuracy at the lowest validation loss; None where the training diverged."""
    trained = train_mlp(genome, seed, dataset, Budget(*budget))
    if trained is None:
        return None
    return float(np.mean(trained[1].argmax(axis=1) == dataset.validation.y))
