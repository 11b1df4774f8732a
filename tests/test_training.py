"""The Keras engine: the network is the genome's, the training is Keras', a failure is a value."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.errors import ConfigError
from evonet.evaluation import Budget, Evaluation, Request
from evonet.genome import Genome, Layer
from evonet.genome.genes import (
    ACTIVATIONS,
    INITIALIZERS,
    NORMALISATIONS,
    OPTIMIZERS,
    OPTIMIZERS_WITH_MOMENTUM,
    SCHEDULES,
    SKIPS,
)
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
from evonet.training.schedules import learning_rates

BUDGET = Budget(epochs=3, patience_epochs=2)
GENOME = Genome((Layer(8, "relu", 0.2), Layer(6, "tanh")), "matched_normal", "adam", 0.01, 16)
#: Of every gene that is neutral in GENOME, every name or a number that acts.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{f"normalisation {name}": ({"normalisation": name}, {}) for name in NORMALISATIONS},
    **{f"skip {name}": ({"skip": name}, {}) for name in SKIPS},
    "normalisation and skip": ({"normalisation": "batch", "skip": "concat", "dropout": 0.3}, {}),
    **{f"schedule {name}": ({}, {"schedule": name}) for name in SCHEDULES},
    **{
        f"weight decay with {name}": (
            {},
            {"optimizer": name, "weight_decay": 0.1, "momentum": 0.9, "schedule": "cosine"},
        )
        for name in OPTIMIZERS
    },
    "warmup": ({}, {"warmup": 0.2}),
    "clip norm": ({}, {"clip_norm": 0.5}),
    "label smoothing": ({}, {"label_smoothing": 0.1}),
    "input noise": ({}, {"input_noise": 0.5}),
}
every_change = pytest.mark.parametrize("change", CHANGES)


def changed(change: str) -> Genome:
    """GENOME with one of CHANGES in all its layers or in its network."""
    layer_genes, network_genes = CHANGES[change]
    layers = tuple(replace(layer, **layer_genes) for layer in GENOME.layers)
    return replace(GENOME, layers=layers, **network_genes)


def expected_layers(genome: Genome) -> list[str]:
    """The Keras classes of a genome's layers, in order."""
    names = ["InputLayer"] + ["GaussianNoise"] * (genome.input_noise > 0)
    for layer in genome.layers:
        names += ["Dense"]
        names += {"batch": ["BatchNormalization"], "layer": ["LayerNormalization"]}.get(
            layer.normalisation, []
        )
        names += ["Activation"] + ["Dropout"] * (layer.dropout > 0)
        names += ["Concatenate"] * (layer.skip == "concat")
    return [*names, "Dense"]


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris"}))


def evaluate(
    dataset: Dataset, genome: Genome, seed: int = 1, budget: Budget = BUDGET
) -> Evaluation:
    metric = choose_metric("auto", dataset.target)
    evaluator = KerasEvaluator(dataset, metric, choose_loss("auto", dataset.target), budget)
    (((_, evaluation),),) = evaluator.evaluate([Request(genome, seed)])
    return evaluation


@pytest.fixture(scope="module")
def plain(iris: Dataset) -> Evaluation:
    """One epoch of GENOME."""
    return evaluate(iris, GENOME, budget=Budget(1, 1))


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

    @every_change
    def test_network_has_the_genomes_layers_in_order_and_its_parameters(self, change: str) -> None:
        genome = changed(change)
        network = build_network(genome, 7, 3)
        assert [type(layer).__name__ for layer in network.layers] == expected_layers(genome)
        n_trainable = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        assert n_trainable == genome.parameter_count(7, 3)
        dense = [layer for layer in network.layers if type(layer).__name__ == "Dense"]
        assert tuple(layer.kernel.shape[0] for layer in dense) == genome.fan_ins(7)
        assert all(layer.use_bias and layer.activation.__name__ == "linear" for layer in dense)

    @pytest.mark.parametrize("normalisation", ["batch", "layer"])
    def test_normalisation_and_skip_compute_what_their_papers_say(self, normalisation: str) -> None:
        layer = Layer(8, "tanh", 0.5, normalisation, "concat")
        network = build_network(replace(GENOME, layers=(layer,), input_noise=1.0), 4, 3)
        rng = np.random.default_rng(0)
        network.set_weights([rng.uniform(0.5, 2, w.shape) for w in network.get_weights()])
        x = rng.normal(size=(20, 4)).astype(np.float32)
        kernel, bias, scale, offset, *running, last, last_bias = network.get_weights()
        h = x @ kernel + bias
        if normalisation == "batch":  # Ioffe & Szegedy 2015, with the running mean and variance
            mean, variance = running
        else:  # Ba et al. 2016: over the units of each row
            mean, variance = h.mean(axis=1, keepdims=True), h.var(axis=1, keepdims=True)
        h = np.tanh((h - mean) / np.sqrt(variance + 1e-3) * scale + offset)
        expected = np.hstack([h, x]) @ last + last_bias
        # float32 products in another order; dropout and noise are off outside training
        np.testing.assert_allclose(outputs_of(network, x), expected, rtol=1e-3, atol=1e-4)

    def test_batch_normalisation_learns_its_mean_within_a_brief_training(self) -> None:
        layer = Layer(8, "relu", 0.0, "batch")
        network = build_network(replace(GENOME, layers=(layer,)), 4, 3)
        (norm,) = (n for n in network.layers if type(n).__name__ == "BatchNormalization")
        x = np.random.default_rng(0).normal(5.0, 1.0, size=(64, 4)).astype(np.float32)
        h = outputs_of(network.layers[1], x)
        for _ in range(30):
            network(x, training=True)
        # 0.9**30 = 4 % of the way are left; with Keras' 0.99 it would be 74 %
        expected = h.mean(axis=0) * (1 - 0.9**30)
        np.testing.assert_allclose(np.asarray(norm.moving_mean), expected, rtol=1e-3)

    def test_inputs_are_noisy_in_training_alone(self) -> None:
        network = build_network(replace(GENOME, input_noise=0.5), 4, 3)
        noise = network.layers[1]
        x = np.zeros((10_000, 4), np.float32)
        assert np.asarray(noise(x, training=True)).std() == pytest.approx(0.5, rel=0.03)
        assert not np.asarray(noise(x, training=False)).any()

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
        optimizer = make_optimizer(replace(GENOME, optimizer=name, momentum=momentum), 100)
        expected = {"momentum": "SGD", "nesterov": "SGD", "sgd": "SGD"}.get(name, name)
        assert type(optimizer).__name__.lower() == expected.lower()
        assert float(optimizer.learning_rate) == pytest.approx(0.01)
        if expected == "SGD":
            assert optimizer.momentum == (momentum or 0.0)
            assert optimizer.nesterov == (name == "nesterov")

    @pytest.mark.parametrize("warmup", [0.0, 0.3])
    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_optimizer_takes_the_rate_of_every_step_and_then_keeps_the_last(
        self, schedule: str, warmup: float
    ) -> None:
        genome = replace(GENOME, schedule=schedule, warmup=warmup)
        optimizer = make_optimizer(genome, 20)
        found = []
        for step in range(25):
            optimizer.iterations.assign(step)
            found.append(float(optimizer.learning_rate))
        expected = learning_rates(genome, 20)
        np.testing.assert_allclose(found[:20], expected, rtol=1e-6)  # float32
        np.testing.assert_allclose(found[20:], expected[-1], rtol=1e-6)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_weight_decay_takes_its_share_of_every_weight_apart_from_the_gradient(
        self, name: str
    ) -> None:
        keras = load_keras()
        genome = replace(GENOME, optimizer=name, momentum=0.9, weight_decay=0.25)
        optimizer = make_optimizer(replace(genome, warmup=0.5), 4)
        weights = keras.Variable(np.array([1.0, -2.0, 4.0], np.float32))
        optimizer.apply([keras.ops.zeros(3)], [weights])
        rate = 0.01 / 2  # of the first of two steps of warm-up
        kept = 1.0 if name == "adam" else 1 - rate * 0.25
        np.testing.assert_allclose(np.asarray(weights), np.array([1, -2, 4]) * kept, rtol=1e-6)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_nothing_decays_without_weight_decay(self, name: str) -> None:
        keras = load_keras()
        optimizer = make_optimizer(replace(GENOME, optimizer=name, momentum=0.9), 4)
        weights = keras.Variable(np.array([1.0, -2.0, 4.0], np.float32))
        optimizer.apply([keras.ops.zeros(3)], [weights])
        assert np.asarray(weights).tolist() == [1.0, -2.0, 4.0]

    @pytest.mark.parametrize(("clip_norm", "length"), [(0.0, 5.0), (1.0, 1.0), (10.0, 5.0)])
    def test_a_long_gradient_of_all_weights_together_is_cut_to_the_clip_norm(
        self, clip_norm: float, length: float
    ) -> None:
        keras = load_keras()
        genome = replace(GENOME, optimizer="sgd", learning_rate=1.0, clip_norm=clip_norm)
        one, two = keras.Variable(np.zeros(1, "f4")), keras.Variable(np.zeros(1, "f4"))
        make_optimizer(genome, 4).apply(
            [keras.ops.ones(1) * 3.0, keras.ops.ones(1) * 4.0], [one, two]
        )
        step = [-float(one[0]), -float(two[0])]
        assert step == pytest.approx([0.6 * length, 0.8 * length], rel=1e-6)

    def test_losses_with_smoothed_labels_are_the_textbook_ones(self) -> None:
        rng = np.random.default_rng(1)
        logits, classes = rng.normal(size=(9, 3)), np.arange(9) % 3
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        smooth = np.eye(3)[classes] * 0.7 + 0.3 / 3
        loss = make_loss("sparse_categorical_crossentropy", 0.3)
        expected = -np.mean((smooth * log_p).sum(axis=1))
        assert float(loss(np.eye(3)[classes], logits)) == pytest.approx(expected, rel=1e-5)
        one, two = rng.normal(size=(9, 1)), (np.arange(9)[:, None] % 2).astype(np.float32)
        p, smooth = 1 / (1 + np.exp(-one)), two * 0.7 + 0.3 / 2
        expected = -np.mean(smooth * np.log(p) + (1 - smooth) * np.log(1 - p))
        loss = make_loss("binary_crossentropy", 0.3)
        assert float(loss(two, one)) == pytest.approx(expected, rel=1e-5)
        for name in ("mse", "mae", "huber"):
            assert float(make_loss(name, 0.3)(two, one)) == float(make_loss(name)(two, one))

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
        results = dict(chain(*evaluator.evaluate([Request(other, 9), Request(GENOME, 1)])))
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


class TestGenes:
    """What genes beyond the oldest do in a whole training."""

    @every_change
    def test_a_network_trains_with_the_gene_and_in_another_way_if_it_is_not_neutral(
        self, iris: Dataset, plain: Evaluation, change: str
    ) -> None:
        genome = changed(change)
        evaluation = evaluate(iris, genome, budget=Budget(1, 1))
        assert (evaluation.status, evaluation.reason) == ("ok", "")
        same = evaluation.validation_loss == plain.validation_loss
        assert same == (genome == GENOME)

    def test_the_schedule_spans_the_steps_of_the_whole_budget(self, iris: Dataset) -> None:
        genome = replace(GENOME, schedule="exponential")
        loss, budget = "sparse_categorical_crossentropy", Budget(5, 5)
        optimizer = fit_network(genome, iris, loss, budget, 1).network.optimizer
        n_steps = 5 * int(np.ceil(len(iris.train.x) / 16))
        assert int(optimizer.iterations) == n_steps
        optimizer.iterations.assign(n_steps - 1)
        # a tenth at the end, less one step
        expected = 0.01 * 0.1 ** ((n_steps - 1) / n_steps)
        assert float(optimizer.learning_rate) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_labels_are_smoothed_in_both_losses(self, iris: Dataset, weighted: bool) -> None:
        def smoothed_loss(part: Part) -> float:
            logits = outputs_of(fitted.network, part.x).astype(float)
            log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            smooth = np.eye(3)[part.y] * 0.8 + 0.2 / 3
            return float(-(smooth * log_p).sum(axis=1).mean()) * (3 if weighted else 1)

        def heavy(part: Part) -> Part:
            return replace(part, weight=np.full(len(part), 3.0, np.float32))

        if weighted:
            iris = replace(iris, train=heavy(iris.train), validation=heavy(iris.validation))
        still = replace(GENOME, learning_rate=1e-8, layers=(), label_smoothing=0.2)
        fitted = fit_network(still, iris, "sparse_categorical_crossentropy", Budget(1, 1), 1)
        # float32 sums in another order
        assert fitted.validation_loss[0] == pytest.approx(smoothed_loss(iris.validation), rel=1e-4)
        assert fitted.train_loss[0] == pytest.approx(smoothed_loss(iris.train), rel=1e-4)

    @pytest.mark.parametrize("data", ["breast_cancer", "diabetes"])
    def test_smoothed_labels_train_with_two_classes_and_change_nothing_in_regression(
        self, data: str
    ) -> None:
        dataset = load_dataset(make_config({"data": data}))
        plain, smooth = (
            evaluate(dataset, replace(GENOME, label_smoothing=share), budget=Budget(1, 1))
            for share in (0.0, 0.2)
        )
        assert smooth.status == "ok"
        same = smooth.validation_loss == plain.validation_loss
        assert same == (dataset.target.task == "regression")

    def test_a_saved_model_with_every_gene_is_read_without_evonet(
        self, iris: Dataset, tmp_path: Path
    ) -> None:
        layers = (Layer(8, "relu", 0.2, "batch", "concat"), Layer(6, "gelu", 0.1, "layer"))
        genome = Genome(
            layers, "matched_normal", "adamw", 0.01, 16, None, "one_cycle", 0.1, 0.01, 1.0, 0.1, 0.1
        )
        fitted = fit_network(genome, iris, "sparse_categorical_crossentropy", BUDGET, 1)
        model = with_output(fitted.network, iris.target)
        model.save(tmp_path / "model.keras")
        np.save(tmp_path / "x.npy", iris.test.x)
        code = (
            "import sys; sys.modules['evonet'] = None\n"
            "import keras, numpy as np\n"
            "model = keras.saving.load_model('model.keras')\n"
            "np.save('p.npy', model.predict(np.load('x.npy'), verbose=0))\n"
        )
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
        # another batch size, so float32 sums in another order
        np.testing.assert_allclose(
            np.load(tmp_path / "p.npy"), outputs_of(model, iris.test.x), rtol=1e-4, atol=1e-6
        )


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
