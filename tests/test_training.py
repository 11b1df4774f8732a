"""The Keras engine: the network is the genome's, the training is Keras', a failure is a value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.errors import ConfigError
from evonet.evaluation import Budget, Evaluation, Request
from evonet.genome import Genome, Layer
from evonet.genome.genes import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, OPTIMIZERS_WITH_MOMENTUM
from evonet.metrics import choose_metric
from evonet.training.backend import load_keras
from evonet.training.evaluator import KerasEvaluator
from evonet.training.keras_model import (
    build_network,
    choose_loss,
    fit_network,
    make_loss,
    make_optimizer,
    outputs_of,
    with_output,
)

BUDGET = Budget(epochs=3, patience_epochs=2)
GENOME = Genome((Layer(8, "relu", 0.2), Layer(6, "tanh")), "matched_normal", "adam", 0.01, 16)


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris"}))


def evaluate(
    dataset: Dataset, genome: Genome, seed: int = 1, budget: Budget = BUDGET
) -> Evaluation:
    metric = choose_metric("auto", dataset.target)
    evaluator = KerasEvaluator(dataset, metric, choose_loss("auto", dataset.target), budget)
    ((_, evaluation),) = evaluator.evaluate([Request(genome, seed)])
    return evaluation


def activate(name: str, x: np.ndarray) -> np.ndarray:
    """Activations from their papers' formulas, in numpy."""
    sigmoid = 1 / (1 + np.exp(-x))
    from scipy.special import erf

    return {
        "relu": np.maximum(x, 0),
        "leaky_relu": np.where(x > 0, x, 0.2 * x),  # Keras 3's default slope
        "elu": np.where(x > 0, x, np.expm1(x)),
        "gelu": x * 0.5 * (1 + erf(x / np.sqrt(2))),
        "silu": x * sigmoid,
        "mish": x * np.tanh(np.log1p(np.exp(x))),
        "selu": 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x)),
        "tanh": np.tanh(x),
        "sigmoid": sigmoid,
    }[name]


class TestNetwork:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_network_computes_what_the_genome_says(self, activation: str) -> None:
        genome = replace(GENOME, layers=(Layer(8, activation, 0.5), Layer(6, activation)))
        network = build_network(genome, 4, 3)
        x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        expected = x
        kernels = network.get_weights()
        for i, (kernel, bias) in enumerate(zip(kernels[::2], kernels[1::2], strict=True)):
            expected = expected @ kernel + bias
            expected = activate(activation, expected) if i < 2 else expected
        # float32 products in another order, and dropout is off outside training
        np.testing.assert_allclose(outputs_of(network, x), expected, rtol=1e-3, atol=1e-5)

    @pytest.mark.parametrize("depth", [0, 1, 6])
    def test_parameter_count_is_that_of_the_built_network(self, depth: int) -> None:
        genome = replace(GENOME, layers=(Layer(5, "relu", 0.1),) * depth)
        assert build_network(genome, 7, 3).count_params() == genome.parameter_count(7, 3)

    @pytest.mark.parametrize("initializer", INITIALIZERS)
    def test_initial_weights_have_the_variance_of_their_family(self, initializer: str) -> None:
        genome = Genome((Layer(400, "relu"), Layer(300, "selu")), initializer, "adam", 0.1, 32)
        first, _, second, _, last, _ = build_network(genome, 500, 200).get_weights()
        family = initializer.split("_")[0]
        families = ("he", "lecun", "glorot") if family == "matched" else (family,) * 3
        for kernel, name in zip((first, second, last), families, strict=True):
            n_in, n_out = kernel.shape
            variance = {"he": 2 / n_in, "lecun": 1 / n_in, "glorot": 2 / (n_in + n_out)}[name]
            # 60,000 draws and more: the variance of a sample is within 3 %
            assert kernel.var() == pytest.approx(variance, rel=0.03)
            assert abs(kernel.mean()) < 0.002

    def test_output_is_probabilities_or_the_targets_unit(self, iris: Dataset) -> None:
        network = build_network(GENOME, 4, 3)
        x = iris.validation.x
        logits, p = outputs_of(network, x), outputs_of(with_output(network, iris.target), x)
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(p, exp / exp.sum(axis=1, keepdims=True), rtol=1e-5)
        regression = replace(iris.target, task="regression", classes=(), mean=5.0, scale=2.0)
        single = build_network(GENOME, 4, 1)
        np.testing.assert_allclose(
            outputs_of(with_output(single, regression), x), outputs_of(single, x) * 2 + 5, rtol=1e-5
        )


class TestOptimizersAndLosses:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_optimizer_is_keras_own_with_the_genomes_rate(self, name: str) -> None:
        momentum = 0.7 if name in OPTIMIZERS_WITH_MOMENTUM else None
        optimizer = make_optimizer(replace(GENOME, optimizer=name, momentum=momentum))
        expected = {"momentum": "SGD", "nesterov": "SGD", "sgd": "SGD"}.get(name, name)
        assert type(optimizer).__name__.lower() == expected.lower()
        assert float(optimizer.learning_rate) == pytest.approx(0.01)
        if expected == "SGD":
            assert optimizer.momentum == (momentum or 0.0)
            assert optimizer.nesterov == (name == "nesterov")

    def test_losses_are_the_textbook_ones_on_logits(self) -> None:
        rng = np.random.default_rng(1)
        logits, classes = rng.normal(size=(9, 3)), np.arange(9)[:, None] % 3
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected = -np.mean(np.take_along_axis(log_p, classes, axis=1))
        loss = make_loss("sparse_categorical_crossentropy")
        assert float(loss(classes, logits)) == pytest.approx(expected, rel=1e-5)
        one, two = rng.normal(size=(9, 1)), (np.arange(9)[:, None] % 2).astype(np.float32)
        p = 1 / (1 + np.exp(-one))
        expected = -np.mean(two * np.log(p) + (1 - two) * np.log(1 - p))
        assert float(make_loss("binary_crossentropy")(two, one)) == pytest.approx(
            expected, rel=1e-5
        )
        assert float(make_loss("mae")(two, one)) == pytest.approx(
            np.abs(two - one).mean(), rel=1e-5
        )
        error = np.abs(two - one)
        huber = np.where(error <= 1, 0.5 * error**2, error - 0.5).mean()
        assert float(make_loss("huber")(two, one)) == pytest.approx(huber, rel=1e-5)

    def test_a_loss_that_does_not_fit_is_refused(self, iris: Dataset) -> None:
        with pytest.raises(
            ConfigError, match=r"loss mae is for regression, the task is multiclass"
        ):
            choose_loss("mae", iris.target)


class TestFit:
    def test_the_same_seed_gives_the_same_bits_and_another_does_not(self, iris: Dataset) -> None:
        first, again, other = (evaluate(iris, GENOME, seed) for seed in (1, 1, 2))
        assert first.train_loss == again.train_loss
        assert first.validation_loss == again.validation_loss
        assert first.score == again.score
        assert first.train_loss != other.train_loss

    def test_a_training_does_not_depend_on_what_was_trained_before(self, iris: Dataset) -> None:
        alone = evaluate(iris, GENOME)
        metric = choose_metric("auto", iris.target)
        evaluator = KerasEvaluator(iris, metric, "sparse_categorical_crossentropy", BUDGET)
        other = replace(GENOME, layers=(Layer(64, "elu", 0.5),))
        results = dict(evaluator.evaluate([Request(other, 9), Request(GENOME, 1)]))
        assert results[Request(GENOME, 1)].validation_loss == alone.validation_loss

    def test_weights_are_those_of_the_epoch_of_the_lowest_validation_loss(
        self, iris: Dataset
    ) -> None:
        wild = replace(GENOME, learning_rate=0.3, optimizer="sgd", momentum=None)
        fitted = fit_network(wild, iris, "sparse_categorical_crossentropy", Budget(60, 3), 5)
        best = fitted.validation_loss[fitted.best_epoch - 1]
        assert best == min(fitted.validation_loss)
        assert fitted.best_epoch < len(fitted.validation_loss)  # or the test shows nothing
        p = outputs_of(with_output(fitted.network, iris.target), iris.validation.x)
        truth = iris.validation.y
        loss = -np.log(p[np.arange(len(truth)), truth]).mean()
        assert loss == pytest.approx(best, rel=1e-4)  # float32 sums in another order

    def test_training_stops_after_patience_epochs_without_a_lower_loss(self, iris: Dataset) -> None:
        wild = replace(GENOME, learning_rate=0.3, optimizer="sgd", momentum=None)
        fitted = fit_network(wild, iris, "sparse_categorical_crossentropy", Budget(60, 3), 5)
        assert len(fitted.validation_loss) == min(fitted.best_epoch + 3, 60) < 60

    def test_row_weights_change_both_losses(self, iris: Dataset) -> None:
        def weighted(part: Part) -> Part:
            return replace(part, weight=np.full(len(part), 3.0, np.float32))

        heavy = replace(iris, train=weighted(iris.train), validation=weighted(iris.validation))
        loss = "sparse_categorical_crossentropy"
        still = replace(GENOME, learning_rate=1e-8, layers=())  # does not move, no dropout
        plain, tripled = (fit_network(still, d, loss, Budget(1, 1), 1) for d in (iris, heavy))
        assert tripled.validation_loss[0] == pytest.approx(3 * plain.validation_loss[0], rel=1e-4)
        assert tripled.train_loss[0] == pytest.approx(3 * plain.train_loss[0], rel=1e-4)

    def test_score_is_that_of_the_restored_network(self, iris: Dataset) -> None:
        evaluation = evaluate(iris, GENOME)
        fitted = fit_network(GENOME, iris, "sparse_categorical_crossentropy", BUDGET, 1)
        classes = outputs_of(fitted.network, iris.validation.x).argmax(axis=1)
        assert evaluation.score == np.mean(classes == iris.validation.y)

    def test_global_generators_are_given_back(self, iris: Dataset) -> None:
        import random

        random.seed(4)
        np.random.seed(4)
        expected = random.random(), np.random.rand()
        random.seed(4)
        np.random.seed(4)
        fit_network(GENOME, iris, "sparse_categorical_crossentropy", Budget(1, 1), 1)
        assert (random.random(), np.random.rand()) == expected


class TestFailures:
    def test_a_training_that_diverges_is_a_value(self, iris: Dataset) -> None:
        evaluation = evaluate(
            iris,
            replace(GENOME, optimizer="sgd", learning_rate=100.0, layers=(Layer(64, "relu"),) * 4),
        )
        assert (evaluation.status, evaluation.score) == ("diverged", None)
        assert "not finite" in evaluation.reason

    def test_a_network_that_does_not_fit_in_memory_is_a_value(self, iris: Dataset) -> None:
        evaluation = evaluate(iris, replace(GENOME, layers=(Layer(65_536, "relu"),) * 4))
        assert (evaluation.status, evaluation.score) == ("out_of_memory", None)
        assert "parameters need about" in evaluation.reason

    @pytest.mark.parametrize(
        ("make", "status"),
        [
            (lambda tf: MemoryError(), "out_of_memory"),
            (
                lambda tf: tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
                "out_of_memory",
            ),
            (lambda tf: ValueError("bad\nshape"), "failed"),
        ],
    )
    def test_an_error_in_a_training_is_a_value_on_one_line(
        self, iris, monkeypatch, make, status
    ) -> None:
        load_keras()
        import tensorflow as tf

        def fail(*_: object) -> None:
            raise make(tf)

        monkeypatch.setattr("evonet.training.evaluator.fit_network", fail)
        evaluation = evaluate(iris, GENOME)
        assert (evaluation.status, evaluation.score) == (status, None)
        assert type(make(tf)).__name__ in evaluation.reason
        assert "\n" not in evaluation.reason
