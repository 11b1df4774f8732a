"""The compiled loops train as real Keras layers, losses, optimizers and callbacks do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
from scipy import special, stats

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
from evonet.training import elementwise
from evonet.training.backend import load_keras
from evonet.training.initializers import initial_weights
from evonet.training.keras_model import build_network, choose_loss, make_loss, make_optimizer
from evonet.training.trained import Trained, row_order
from evonet.training.trainer import Trainer

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


def trained_by_loops(
    data: Dataset, genome: Genome, budget: Budget = BUDGET, loss: str = "auto"
) -> Trained:
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
    **{f"units {n}": with_layers(Layer(n, "relu")) for n in (1, 15, 64, 300, 1500)},
    **{f"layers {n}": with_layers(*[Layer(8, "tanh")] * n) for n in (0, 1, 6)},
    "batch normalisation": with_layers(Layer(8, "relu", normalisation="batch")),
    "layer normalisation": with_layers(Layer(70, "relu", normalisation="layer")),
    "wide and deep": with_layers(Layer(8, "relu", skip="concat")),
    "skips": with_layers(*[Layer(65, "relu", skip="concat")] * 3, Layer(5, "selu")),
    "clipping": replace(SMALL, clip_norm=0.05),
    "no clipping needed": replace(SMALL, clip_norm=900.0),
    "smoothing": replace(SMALL, label_smoothing=0.2),
    "a batch larger than the data": replace(SMALL, batch_size=256),
    **{
        f"a last batch of one row, {kind}": with_layers(
            Layer(8, "tanh", normalisation=kind), batch_size=89
        )
        for kind in ("none", "batch", "layer")
    },
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
        assert_alike(trained_by_loops(iris, EVERY_GENE[name]), by_keras(iris, EVERY_GENE[name]))

    @pytest.mark.parametrize("name", ["mixed", "smoothing"])
    def test_where_the_validation_part_comes_in_pieces(
        self, iris: Dataset, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.training.trainer.ROWS_AT_ONCE", 7)  # of 30
        assert_alike(trained_by_loops(iris, EVERY_GENE[name]), by_keras(iris, EVERY_GENE[name]))

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
        assert_alike(trained_by_loops(data, genome, loss=loss), by_keras(data, genome, loss=loss))

    def test_for_two_classes_with_row_weights(self) -> None:
        data = dataset("breast_cancer", class_weight="balanced")
        genome = with_layers(Layer(20, "relu"), batch_size=64, label_smoothing=0.1)
        assert_alike(trained_by_loops(data, genome), by_keras(data, genome))

    @pytest.mark.parametrize("patience", [1, 2, 5])
    def test_for_trainings_that_stop_early(self, iris: Dataset, patience: int) -> None:
        wild = replace(SMALL, learning_rate=0.9, schedule="constant")
        budget = Budget(30, patience)
        trained, keras = trained_by_loops(iris, wild, budget), by_keras(iris, wild, budget)
        assert len(trained.validation_loss) == len(keras[1]) < 30  # or the test shows nothing
        assert_alike(trained, keras)
        assert trained.best_epoch == int(np.argmin(keras[1])) + 1

    def test_outputs_are_those_of_the_best_weights(self, iris: Dataset) -> None:
        genome = EVERY_GENE["mixed"]
        trained = trained_by_loops(iris, genome, Budget(6, 2))
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


@numba.njit
def uniforms(key: int, n: int) -> np.ndarray:
    numbers = np.empty(n, np.float32)
    for i in range(n):
        numbers[i] = elementwise.uniform(key, i)
    return numbers


@numba.njit
def applied(function: Any, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    for i in range(len(x)):
        y[i] = function(x[i])
    return y


class TestFunctions:
    X = np.linspace(-20, 20, 100_001, dtype=np.float32)

    @pytest.mark.parametrize(
        ("function", "true", "rtol"),
        [
            (elementwise.exp, np.exp, 2e-7),
            (elementwise.tanh, np.tanh, 1e-6),
            (elementwise.erf, special.erf, 6e-7),
        ],
    )
    def test_they_are_right_to_the_last_digits(self, function: Any, true: Any, rtol: float) -> None:
        found, expected = applied(function, self.X), true(self.X.astype(np.float64))
        np.testing.assert_allclose(found, expected, rtol=rtol)
        tiny = np.float32([1e-30, -1e-6, 3e-4])
        np.testing.assert_allclose(applied(function, tiny), true(tiny.astype(float)), rtol=rtol)

    @pytest.mark.parametrize("function", [elementwise.exp, elementwise.tanh, elementwise.erf])
    def test_nan_stays_nan_and_the_ends_are_finite(self, function: Any) -> None:
        found = applied(function, np.float32([math.nan, -1e30, 1e30, -math.inf, math.inf]))
        assert np.isnan(found[0])
        assert np.isfinite(found[1:]).all()


class TestRandomNumbers:
    def numbers(self, key: int, n: int = 6400) -> np.ndarray:
        return uniforms(elementwise.scrambled(np.uint32(key)), n)

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
        "random", [{"layers": (Layer(64, "relu", 0.5),)}, {"input_noise": 0.9}], ids=str
    )
    def test_dropout_and_noise_cost_as_much_as_those_of_keras(
        self, iris: Dataset, random: dict[str, Any]
    ) -> None:
        still = replace(SMALL, **{"layers": (Layer(64, "relu"),), "learning_rate": 1e-8, **random})
        quiet = replace(still, layers=(Layer(64, "relu"),), input_noise=0.0)
        budget = Budget(100, 100)
        ours = np.asarray(trained_by_loops(iris, still, budget).train_loss)
        theirs = np.asarray(by_keras(iris, still, budget)[0])
        without = trained_by_loops(iris, quiet, budget).train_loss[0]
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
