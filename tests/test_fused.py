"""The fused program trains as real Keras layers, losses, optimizers and callbacks do.

``KERAS_BACKEND=jax pytest tests/test_fused.py`` runs the same tests on JAX; the last one does so.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.genome.genes import (
    ACTIVATIONS,
    INITIALIZERS,
    KINDS,
    OPTIMIZERS,
    OPTIMIZERS_WITH_MOMENTUM,
    SCHEDULES,
)
from evonet.streams import stream
from evonet.training.backend import load_backend, load_keras
from evonet.training.fused import _scrambled, _u32, _uniform
from evonet.training.initializers import initial_weights
from evonet.training.keras_model import build_network, choose_loss, make_loss, make_optimizer
from evonet.training.trainer import Trained, Trainer, row_order

SEED = 3
BUDGET = Budget(3, 9)
SMALL = Genome((Layer(8, "tanh"), Layer(6, "elu")), "matched_normal", "sgd", 0.05, 16)
#: float32 sums in another order, over some dozens of steps.
CLOSE: Mapping[str, float] = {"rtol": 2e-4, "atol": 2e-5}


def dataset(name: str, **settings: Any) -> Dataset:
    return load_dataset(make_config({"data": name, **settings}))


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return dataset("iris")


def fused(data: Dataset, genome: Genome, budget: Budget = BUDGET, loss: str = "auto") -> Trained:
    return Trainer(data, choose_loss(loss, data.target), budget).fit(genome, SEED)


def by_keras(
    data: Dataset, genome: Genome, budget: Budget = BUDGET, loss: str = "auto"
) -> tuple[list[float], list[float], list[np.ndarray], Any]:
    """The same initial weights and the same batches, trained by ``keras.Model.fit``."""
    keras = load_keras()
    loss = choose_loss(loss, data.target)
    one_hot = genome.label_smoothing > 0 and loss == "sparse_categorical_crossentropy"
    size, n = genome.batch_size, len(data.train)

    def rows(part: Part, index: Any = slice(None)) -> tuple[np.ndarray, ...]:
        y = np.eye(data.target.n_outputs)[part.y[index]] if one_hot else part.y[index][:, None]
        weight = () if part.weight is None else (part.weight[index],)
        return (part.x[index], y, *weight)

    def batches() -> Iterator[tuple[np.ndarray, ...]]:
        for epoch in range(budget.epochs + 1):  # one more, since Keras reads ahead
            order = row_order(SEED, epoch, n)
            yield from (rows(data.train, order[i : i + size]) for i in range(0, n, size))

    keras.backend.clear_session()
    network = build_network(genome, data.n_inputs, data.target.n_outputs)
    network.set_weights(
        initial_weights(stream(SEED, "weights"), genome, data.n_inputs, data.target.n_outputs)
    )
    n_steps = -(-n // size)
    optimizer = make_optimizer(genome, budget.epochs * n_steps)
    network.compile(optimizer, make_loss(loss, genome.label_smoothing), jit_compile=False)
    stopping = keras.callbacks.EarlyStopping(
        patience=budget.patience_epochs, restore_best_weights=True
    )
    history = network.fit(
        batches(),
        steps_per_epoch=n_steps,
        shuffle=False,
        epochs=budget.epochs,
        validation_data=rows(data.validation),
        verbose=0,
        callbacks=[stopping],
    ).history
    return history["loss"], history["val_loss"], network.get_weights(), network


def assert_alike(trained: Trained, keras: tuple[list[float], list[float], Any, Any]) -> None:
    train_loss, validation_loss, weights, _ = keras
    np.testing.assert_allclose(trained.train_loss, train_loss, **CLOSE)
    np.testing.assert_allclose(trained.validation_loss, validation_loss, **CLOSE)
    assert [w.shape for w in trained.weights] == [w.shape for w in weights]
    for ours, theirs in zip(trained.weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def with_layers(*layers: Layer, **genes: Any) -> Genome:
    return replace(SMALL, layers=layers, **genes)


def optimized(name: str, **genes: Any) -> Genome:
    momentum = 0.9 if name in OPTIMIZERS_WITH_MOMENTUM else None
    return replace(SMALL, optimizer=name, momentum=momentum, learning_rate=0.01, **genes)


EVERY_GENE: dict[str, Genome] = {
    **{f"activation {a}": with_layers(Layer(8, a), Layer(70, a)) for a in ACTIVATIONS},
    **{f"optimizer {name}": optimized(name) for name in OPTIMIZERS},
    **{
        f"weight decay, {name}": optimized(name, weight_decay=0.02)
        for name in OPTIMIZERS
        if name != "adam"
    },
    **{f"initializer {name}": replace(SMALL, initializer=name) for name in INITIALIZERS},
    **{f"schedule {name}": replace(SMALL, schedule=name, warmup=0.4) for name in SCHEDULES},
    **{f"units {n}": with_layers(Layer(n, "relu")) for n in (1, 63, 64, 65, 256, 300)},
    **{f"layers {n}": with_layers(*[Layer(8, "tanh")] * n) for n in (0, 1, 6)},
    "batch normalisation": with_layers(Layer(8, "relu", normalisation="batch")),
    "layer normalisation": with_layers(Layer(70, "relu", normalisation="layer")),
    "wide and deep": with_layers(Layer(8, "relu", skip="concat")),
    "skips": with_layers(*[Layer(65, "relu", skip="concat")] * 3, Layer(5, "selu")),
    "clipping": replace(SMALL, clip_norm=0.05),
    "no clipping needed": replace(SMALL, clip_norm=900.0),
    "smoothing": replace(SMALL, label_smoothing=0.2),
    "mixed": with_layers(
        Layer(100, "gelu", normalisation="batch", skip="concat"),
        Layer(260, "sigmoid", normalisation="layer"),
        Layer(33, "leaky_relu", skip="concat"),
        optimizer="nesterov",
        momentum=0.9,
        weight_decay=0.001,
        clip_norm=1.0,
        schedule="one_cycle",
        label_smoothing=0.1,
    ),
}


class TestKerasDoesTheSame:
    @pytest.mark.parametrize("name", EVERY_GENE)
    def test_for_every_value_of_every_gene(self, iris: Dataset, name: str) -> None:
        assert_alike(fused(iris, EVERY_GENE[name]), by_keras(iris, EVERY_GENE[name]))

    def test_every_gene_is_tested(self) -> None:
        apart = {"layers", "dropout", "input_noise", "batch_size"}  # below, or random
        neutral = SMALL
        for name in set(KINDS) - apart:
            values = {
                getattr(layer, name) if KINDS[name].level == "layer" else getattr(g, name)
                for g in (*EVERY_GENE.values(), neutral)
                for layer in (g.layers or neutral.layers)
            }
            assert len(values) > 1, name

    @pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
    def test_for_regression(self, loss: str) -> None:
        data = dataset("diabetes")
        genome = with_layers(Layer(20, "relu"), batch_size=64)
        assert_alike(fused(data, genome, loss=loss), by_keras(data, genome, loss=loss))

    def test_for_two_classes_with_row_weights(self) -> None:
        data = dataset("breast_cancer", class_weight="balanced")
        genome = with_layers(Layer(20, "relu"), batch_size=64, label_smoothing=0.1)
        assert_alike(fused(data, genome), by_keras(data, genome))

    @pytest.mark.parametrize("patience", [1, 2, 5])
    def test_for_trainings_that_stop_early(self, iris: Dataset, patience: int) -> None:
        wild = replace(SMALL, learning_rate=0.9, schedule="constant")
        budget = Budget(30, patience)
        trained, keras = fused(iris, wild, budget), by_keras(iris, wild, budget)
        assert len(trained.validation_loss) == len(keras[1]) < 30  # or the test shows nothing
        assert_alike(trained, keras)
        assert trained.best_epoch == int(np.argmin(keras[1])) + 1

    def test_outputs_are_those_of_the_best_weights(self, iris: Dataset) -> None:
        genome = EVERY_GENE["mixed"]
        trained = fused(iris, genome, Budget(6, 2))
        network = build_network(genome, iris.n_inputs, iris.target.n_outputs)
        network.set_weights(trained.weights)
        outputs = load_keras().ops.convert_to_numpy(network(iris.validation.x, training=False))
        np.testing.assert_allclose(trained.outputs, outputs, rtol=1e-4, atol=1e-5)


class TestIndependence:
    def test_a_result_is_the_same_bits_whatever_was_trained_before(self, iris: Dataset) -> None:
        trainer = Trainer(iris, "sparse_categorical_crossentropy", Budget(4, 2))
        genome = with_layers(Layer(70, "gelu", 0.3), Layer(9, "silu", 0.1), input_noise=0.2)
        first = trainer.fit(genome, 5)
        trainer.fit(EVERY_GENE["mixed"], 6)
        trainer.fit(replace(SMALL, learning_rate=100.0, optimizer="adam"), 7)
        again = trainer.fit(genome, 5)
        assert first.validation_loss == again.validation_loss
        assert all((a == b).all() for a, b in zip(first.weights, again.weights, strict=True))
        assert trainer.fit(genome, 6).validation_loss != first.validation_loss

    def test_a_training_that_diverges_says_so_and_leaves_the_next_alone(
        self, iris: Dataset
    ) -> None:
        trainer = Trainer(iris, "sparse_categorical_crossentropy", Budget(20, 20))
        before = trainer.fit(SMALL, 1)
        lost = trainer.fit(with_layers(*[Layer(64, "relu")] * 4, learning_rate=100.0), 1)
        assert lost.diverged
        assert len(lost.train_loss) < 20
        assert trainer.fit(SMALL, 1).validation_loss == before.validation_loss

    def test_epochs_in_several_calls_are_those_of_one(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        genome = replace(SMALL, schedule="cosine", optimizer="nadam")
        whole = fused(iris, genome, Budget(7, 7))
        monkeypatch.setattr("evonet.training.trainer._ROWS_PER_CALL", 3 * len(iris.train))
        parts = fused(iris, genome, Budget(7, 7))
        np.testing.assert_allclose(parts.train_loss, whole.train_loss, rtol=1e-6)
        np.testing.assert_allclose(parts.validation_loss, whole.validation_loss, rtol=1e-6)


class TestRandomNumbers:
    def numbers(self, key: int, shape: tuple[int, int] = (100, 64)) -> np.ndarray:
        ops = load_backend().ops
        key = _scrambled(ops, _u32(ops, ops.convert_to_tensor(key)))
        return ops.convert_to_numpy(_uniform(ops, key, shape))

    def test_they_are_uniform_and_keys_have_nothing_in_common(self) -> None:
        several = [self.numbers(key) for key in range(6)]
        for numbers in several:
            assert 0 <= numbers.min() < 0.001 < 0.999 < numbers.max() < 1
            assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
            shifted = np.corrcoef(numbers.ravel()[1:], numbers.ravel()[:-1])[0, 1]
            assert abs(shifted) < 4 / np.sqrt(numbers.size)
        for a, b in pairwise(several):
            for lag in range(3):
                r = np.corrcoef(a.ravel()[lag:], b.ravel()[: b.size - lag])[0, 1]
                assert abs(r) < 4 / np.sqrt(a.size)

    @pytest.mark.parametrize(
        "random", [{"layers": (Layer(64, "relu", 0.5),)}, {"input_noise": 0.7}], ids=str
    )
    def test_dropout_and_noise_cost_as_much_as_those_of_keras(
        self, iris: Dataset, random: dict[str, Any]
    ) -> None:
        still = replace(SMALL, **{"layers": (Layer(64, "relu"),), "learning_rate": 1e-8, **random})
        quiet = replace(still, layers=(Layer(64, "relu"),), input_noise=0.0)
        budget = Budget(60, 60)
        ours = np.asarray(fused(iris, still, budget).train_loss)
        theirs = np.asarray(by_keras(iris, still, budget)[0])
        without = fused(iris, quiet, budget).train_loss[0]
        error = np.hypot(ours.std(), theirs.std()) / np.sqrt(len(ours))
        assert abs(ours.mean() - theirs.mean()) < 4 * error
        assert ours.mean() - without > 8 * error  # or the test shows nothing


class TestInitialWeights:
    @pytest.mark.parametrize("initializer", INITIALIZERS)
    def test_they_are_distributed_as_those_of_keras(self, initializer: str) -> None:
        genome = Genome((Layer(200, "relu"), Layer(150, "selu")), initializer, "adam", 0.1, 32)
        ours = initial_weights(np.random.default_rng(0), genome, 250, 100)
        load_keras().utils.set_random_seed(1)
        theirs = build_network(genome, 250, 100).get_weights()
        for mine, keras in zip(ours[::2], theirs[::2], strict=True):
            assert stats.ks_2samp(mine.ravel(), keras.ravel()).pvalue > 1e-3
            assert mine.max() == pytest.approx(keras.max(), rel=0.01)  # both are cut off


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="this is that run")
def test_all_of_this_holds_on_jax() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install evonet[jax]")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            __file__,
        ],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
