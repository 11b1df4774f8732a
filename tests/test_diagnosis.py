"""Verdicts, layers, calibration and residuals, each held to something counted another way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_moons
from sklearn.metrics import confusion_matrix, log_loss, r2_score

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.data.target import Target
from evonet.diagnosis.classes import (
    calibration,
    calibration_finding,
    confusion,
    confusion_finding,
)
from evonet.diagnosis.curves import GOOD, RULES, Learned, curves_finding
from evonet.diagnosis.layer_findings import (
    dead_finding,
    gradient_finding,
    pairing_finding,
    spread_finding,
)
from evonet.diagnosis.layers import layer_table
from evonet.diagnosis.losses import RelativeLoss, constant_outputs
from evonet.diagnosis.measuring import gradient_batches, measure
from evonet.diagnosis.residuals import residuals, residuals_findings
from evonet.diagnosis.steadiness import steadiness_finding
from evonet.evaluation import Budget
from evonet.genome import Genome, Layer
from evonet.training.backend import load_keras
from evonet.training.initializers import draw_kernel, initial_weights, kernel_deviation
from evonet.training.trainer import Trainer


def part_loss(ratio: float, error: float = 0.01, n: int = 1000) -> RelativeLoss:
    """A relative loss where a constant guess loses 2."""
    return RelativeLoss(2 * ratio, 2.0, ratio, error, n)


def verdict(curve: list[float], best: int, train: RelativeLoss, validation: RelativeLoss) -> str:
    return curves_finding(curve, best, train, validation).verdict


#: Validation losses of 20 epochs where a constant guess loses 2: steady after ten of them.
STEADY = [1.9 - 0.1 * i for i in range(10)] + [1.0] * 10
FALLING = [1.9 - 0.05 * i for i in range(20)]
TURNING = [1.9 - 0.1 * i for i in range(10)] + [1.05 + 0.05 * i for i in range(10)]


class TestCurves:
    @pytest.mark.parametrize(
        ("curve", "best", "train", "validation", "expected"),
        [
            (STEADY, 10, part_loss(0.48), part_loss(0.5), "good fit"),
            (FALLING, 20, part_loss(0.48), part_loss(0.475), "still improving"),
            (STEADY, 10, part_loss(0.95), part_loss(0.96), "underfit"),
            (TURNING, 10, part_loss(0.1), part_loss(0.5), "overfit"),
            (STEADY, 10, part_loss(0.1), part_loss(0.5), "unrepresentative training part"),
            (STEADY, 10, part_loss(0.7), part_loss(0.5), "unrepresentative validation part"),
            (STEADY, 10, part_loss(0.5), part_loss(0.5, 0.2), "unrepresentative validation part"),
            # A gap that chance explains, and one that is a small share of what was learned.
            (TURNING, 10, part_loss(0.1, 0.05), part_loss(0.3, 0.1), "good fit"),
            (TURNING, 10, part_loss(0.1, 0.001), part_loss(0.25, 0.001), "good fit"),
            # Late, but flat: training for longer brings nothing.
            ([1.9] + [1.0] * 18 + [0.999], 20, part_loss(0.48), part_loss(0.4995), "good fit"),
            # One lucky epoch is no turn.
            ([*STEADY[:10], 0.9, *STEADY[10:]], 11, part_loss(0.1), part_loss(0.45), "unrep"),
        ],
    )
    def test_planted_curves_get_their_verdict(
        self, curve, best, train, validation, expected
    ) -> None:
        assert verdict(curve, best, train, validation).startswith(expected)

    def test_rule_and_advice_hold_the_numbers(self) -> None:
        found = curves_finding(TURNING, 10, part_loss(0.1), part_loss(0.5))
        for words in ("epoch 10 of 20", "0.2000, 10 %", "1.000, 50 %", "90 %", "40 %", "(2.8 %"):
            assert words in found.rule
        # Medians: of epochs 16 to 20, 1.4; of 8 to 12, 1.1; 0.3 of 2.
        assert "rose by 15 %" in found.rule
        longer = curves_finding(FALLING, 20, part_loss(0.48), part_loss(0.475))
        assert "--final-epochs 40" in longer.advice
        # The lowest of the first 16 epochs is 1.15, of all 0.95; 0.2 of 2.
        assert "down by 10 %" in longer.rule

    @given(
        curve=st.lists(st.floats(0.01, 5), min_size=1, max_size=40),
        ratios=st.tuples(st.floats(0, 2), st.floats(0, 3)),
        errors=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
    )
    def test_every_fit_has_one_verdict_and_it_is_that_of_the_rules_written_down(
        self, curve, ratios, errors
    ) -> None:
        best = int(np.argmin(curve)) + 1
        train, validation = map(part_loss, ratios, errors)
        found = curves_finding(curve, best, train, validation)
        n, learned = len(curve), max(0, 1 - ratios[0])
        gap, error = ratios[1] - ratios[0], math.hypot(*errors)
        early = curve[: n - math.ceil(n / 5)]
        fall = (min([*early] or [2.0]) - min(min([*early] or [2.0]), *curve)) / 2
        later = curve[best:]
        around = curve[max(0, best - 3) : best + 2]
        rise = np.median(later[len(later) // 2 :]) / 2 - np.median(around) / 2 if later else 0.0
        large = gap > 1.96 * error and gap > 0.2 * learned
        expected = "good fit"
        if 1.96 * errors[1] > 0.25 * learned:
            expected = "unrepresentative validation part"
        if large:
            turned = round(max(0, rise), 9) >= 0.02
            expected = "overfit" if turned else "unrepresentative training part"
        if -gap > 3 * error and -gap > 0.2 * learned:
            expected = "unrepresentative validation part"
        if ratios[0] > 0.9:
            expected = "underfit"
        if best > n - max(1, n // 10) and round(fall, 9) >= 0.01:
            expected = "still improving"
        assert found.verdict == expected
        assert found.fine == (expected == GOOD)

    @given(fall=st.floats(0, 1), rise=st.floats(0, 1), ratios=st.tuples(*[st.floats(0, 2)] * 2))
    def test_rules_do_not_depend_on_their_order_but_where_stated(self, fall, rise, ratios) -> None:
        """A large gap and an easy validation part exclude each other, and so do the two gaps."""
        fit = Learned(20, 10, *map(part_loss, ratios), fall, rise)
        held = [rule(fit) is not None for rule in RULES]
        assert sum(held[2:5]) <= 1

    @pytest.mark.parametrize("curve", [[1.0], [1.0, 2.0], [0.0], [0.0, 0.0, 0.0]])
    def test_short_curves_and_losses_of_nothing_have_a_verdict(self, curve) -> None:
        nothing = RelativeLoss.of(np.zeros(3), np.zeros(3))
        assert curves_finding(curve, 1, nothing, nothing).verdict == "underfit"


class TestSteadiness:
    def test_fits_that_jump_are_unsteady(self) -> None:
        jumping = [1.0, 0.5] * 10  # nine rises of 0.5 where a constant guess loses 2
        found = steadiness_finding(FALLING, jumping, 2.0)
        assert (found.verdict, found.fine) == ("unsteady", False)
        assert found.rule.startswith("In 9 of 20 epochs")
        assert steadiness_finding(jumping, FALLING, 2.0).verdict == "unsteady"

    def test_one_jump_in_twenty_epochs_and_small_ones_are_steady(self) -> None:
        assert steadiness_finding(FALLING, [1.0] * 10 + [1.5] * 10, 2.0).fine
        assert steadiness_finding(FALLING, [1.0, 0.9] * 10, 2.0).fine
        assert steadiness_finding([1.0], [1.0], 2.0).fine


class TestLosses:
    def test_relative_squared_error_is_one_minus_r2(self) -> None:
        rng = np.random.default_rng(0)
        y = rng.normal(size=200)
        p = y + rng.normal(size=200) * 0.4
        found = RelativeLoss.of((y - p) ** 2, (y - y.mean()) ** 2)
        assert found.ratio == pytest.approx(1 - r2_score(y, p))

    def test_standard_error_is_that_of_resampled_rows(self) -> None:
        rng = np.random.default_rng(1)
        constant = rng.gamma(2, size=400)
        own = constant * rng.uniform(0, 1, 400)
        rows = rng.integers(0, 400, (4000, 400))
        drawn = own[rows].mean(axis=1) / constant[rows].mean(axis=1)
        # The standard deviation of 4,000 draws is known to 1 %.
        assert RelativeLoss.of(own, constant).error == pytest.approx(drawn.std(), rel=0.05)

    def test_constant_guess_of_classes_has_the_lowest_loss_a_constant_can_have(self) -> None:
        dataset = planted(np.array([0, 0, 0, 1, 1, 2]), 3)
        logits = constant_outputs(dataset, "sparse_categorical_crossentropy", 0.0)
        p = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(p, [1 / 2, 1 / 3, 1 / 6], rtol=1e-6)  # float32

    def test_constant_guess_follows_weights_smoothing_and_the_kind_of_loss(self) -> None:
        two = planted(np.array([0, 0, 0, 1]), 2)
        (logit,) = constant_outputs(two, "binary_crossentropy", 0.0)
        assert 1 / (1 + math.exp(-logit)) == pytest.approx(1 / 4)
        weight = np.array([1, 1, 1, 3], np.float32)
        even = replace(two, train=replace(two.train, weight=weight))
        assert constant_outputs(even, "binary_crossentropy", 0.0) == pytest.approx(0)
        (logit,) = constant_outputs(two, "binary_crossentropy", 0.2)
        assert 1 / (1 + math.exp(-logit)) == pytest.approx(0.8 / 4 + 0.1)
        numbers = planted(np.array([0.0, 1.0, 5.0], np.float32), 0)
        assert constant_outputs(numbers, "mse", 0.0) == pytest.approx(2)
        assert constant_outputs(numbers, "mae", 0.0) == pytest.approx(1)

    def test_a_class_the_training_part_lacks_is_no_infinite_loss(self) -> None:
        dataset = planted(np.array([0, 0, 1]), 3)
        assert np.isfinite(constant_outputs(dataset, "sparse_categorical_crossentropy", 0.0)).all()


def planted(y: np.ndarray, n_classes: int, x: np.ndarray | None = None) -> Dataset:
    """Data whose parts are all these rows; a quantity where there are no classes."""
    task = {0: "regression", 2: "binary"}.get(n_classes, "multiclass")
    part = Part(np.eye(len(y), 2, dtype=np.float32) if x is None else x, y)
    iris = load_dataset(make_config({"data": "iris"}))
    target = Target("y", task, tuple(range(n_classes)))
    return replace(iris, target=target, train=part, validation=part, test=part)


class TestMeasuring:
    """Real networks, measured through Keras."""

    def test_dead_units_are_those_that_were_planted(self) -> None:
        x = np.random.default_rng(0).uniform(0, 1, (3000, 2)).astype(np.float32)
        x = x[np.argsort(x[:, 1] - x[:, 0])]  # one unit is above 0 for the first rows alone
        dataset = planted(np.zeros(3000, np.float32), 0, x)
        genome = Genome((Layer(4, "relu"), Layer(3, "relu")), "he_normal", "sgd", 0.1, 8)
        # Inputs are not negative. Of four units two are never above 0; all three follow the rest.
        first = np.array([[1, -1, 0, 1], [1, -1, 0, -1]], np.float32)
        second = np.array([[1, -1, 1]] * 4, np.float32)
        weights = [first, np.array([0, 0, -1, 0], np.float32), second, np.zeros(3, np.float32)]
        weights += [np.ones((3, 1), np.float32), np.zeros(1, np.float32)]
        measured = measure(genome, weights, dataset, "mse", 0)
        assert [own.tolist() for own in measured.alive] == [
            [True, False, False, True],
            [True, False, True],
        ]
        layers = layer_table(
            genome,
            measured.kernels,
            measured.gradient_means,
            measured.gradient_spreads,
            measured.alive,
        )
        assert [own.dead_units for own in layers] == [2, 1, None]
        found = dead_finding(layers)
        assert (found.verdict, found.fine) == ("50 % dead in hidden 1", False)
        assert found.rule.startswith("3 of 7 units with ReLU")

    def test_units_of_the_only_hidden_layer_are_told_apart(self) -> None:
        x = np.random.default_rng(0).uniform(0, 1, (3000, 2)).astype(np.float32)
        kernel = np.array([[1, -1, 0], [1, -1, 1]], np.float32)
        weights = [kernel, np.array([0, 0, -2], np.float32)]
        weights += [np.ones((3, 1), np.float32), np.zeros(1, np.float32)]
        genome = Genome((Layer(3, "relu"),), "he_normal", "sgd", 0.1, 8)
        dataset = planted(np.zeros(3000, np.float32), 0, x)
        (alive,) = measure(genome, weights, dataset, "mse", 0).alive
        assert alive.tolist() == [True, False, False]

    @pytest.mark.parametrize(
        ("loss", "n_classes", "normalisation", "smoothing"),
        [
            ("mse", 0, "batch", 0.0),
            ("binary_crossentropy", 2, "layer", 0.2),
            ("sparse_categorical_crossentropy", 3, "none", 0.1),
        ],
    )
    def test_gradients_are_finite_differences_of_the_mean_loss(
        self, loss, n_classes, normalisation, smoothing
    ) -> None:
        rng = np.random.default_rng(3)
        x = rng.normal(size=(64, 3)).astype(np.float32)
        y = rng.integers(0, n_classes, 64) if n_classes else rng.normal(size=64).astype(np.float32)
        dataset = planted(y, n_classes, x)
        weight = rng.uniform(0.5, 2, 64).astype(np.float32)
        dataset = replace(dataset, train=replace(dataset.train, weight=weight))
        layers = (Layer(5, "tanh", 0.5, normalisation, "concat"), Layer(4, "gelu"))
        smoothed = {"label_smoothing": smoothing} if n_classes else {}
        genome = Genome(layers, "matched_normal", "sgd", 0.1, 8, **smoothed)
        weights = initial_weights(rng, genome, 3, dataset.target.n_outputs)
        measured = measure(genome, weights, dataset, loss, 0)
        assert (measured.n_batches, measured.batch_rows) == (8, 8)  # all rows: the mean is of all
        kernels = [i for i, own in enumerate(weights) if own.ndim == 2]
        step = 0.01
        for place, gradient in zip(kernels, measured.gradient_means, strict=True):
            at = tuple(rng.integers(0, n) for n in weights[place].shape)
            around = []
            for sign in (1, -1):
                moved = [own.copy() for own in weights]
                moved[place][at] += sign * step
                losses = measure(genome, moved, dataset, loss, 0).train_losses
                around.append(losses.mean())
            expected = (around[0] - around[1]) / (2 * step)
            # float32 losses, 1e-7 of 1, over a step of 0.02; and the error of the difference.
            assert gradient[at] == pytest.approx(expected, rel=0.01, abs=1e-4)

    def test_batches_are_rows_of_training_each_at_most_once(self) -> None:
        for n, size, expected in ((1000, 10, (32, 10)), (100, 32, (8, 12)), (3, 32, (3, 1))):
            batches = gradient_batches(1, n, size)
            assert batches.shape == expected
            assert len(set(batches.ravel().tolist())) == batches.size
            assert batches.max() < n

    def test_mean_and_spread_of_gradients_by_hand(self) -> None:
        """A linear model without inputs but one: its gradient is 2 (w x - y) x of each row."""
        x = np.arange(1, 9, dtype=np.float32)[:, None]
        y = np.zeros(8, np.float32)
        genome = Genome((), "glorot_normal", "sgd", 0.1, 1)
        weights = [np.array([[0.5]], np.float32), np.zeros(1, np.float32)]
        measured = measure(genome, weights, planted(y, 0, x), "mse", 0)
        by_row = 2 * (0.5 * x[:, 0]) * x[:, 0]
        assert measured.gradient_means[0] == pytest.approx(by_row.mean())
        assert measured.gradient_spreads[0] == pytest.approx(by_row.std())
        (layer,) = layer_table(
            genome, measured.kernels, measured.gradient_means, measured.gradient_spreads, ()
        )
        assert layer.gradient_mean == pytest.approx(by_row.mean() / 0.5)
        assert layer.gradient_spread == pytest.approx(by_row.std() / 0.5)

    def test_a_network_trained_far_on_few_noisy_rows_overfits(self) -> None:
        x, y = make_moons(460, noise=0.35, random_state=0)
        x, y = x.astype(np.float32), y.astype(np.int32)
        whole = planted(y, 2, x)
        data = replace(whole, train=Part(x[:60], y[:60]), validation=Part(x[60:], y[60:]))
        genome = Genome((Layer(128, "relu"),) * 2, "he_normal", "adam", 0.01, 16)
        trained = Trainer(data, "binary_crossentropy", Budget(60, 60)).fit(genome, 1)
        # Kept at the end, as without early stopping.
        late = Trainer(replace(data, validation=data.train), "binary_crossentropy", Budget(60, 60))
        weights = late.fit(genome, 1).weights
        measured = measure(genome, weights, data, "binary_crossentropy", 0)
        own = RelativeLoss.of(measured.train_losses, measured.constant_train_losses)
        other = RelativeLoss.of(measured.validation_losses, measured.constant_validation_losses)
        found = curves_finding(trained.validation_loss, trained.best_epoch, own, other)
        assert found.verdict == "overfit"

    @pytest.mark.parametrize("smoothing", [0.0, 0.3])
    def test_losses_of_rows_are_scikit_learns(self, smoothing) -> None:
        rng = np.random.default_rng(5)
        x, y = rng.normal(size=(40, 2)).astype(np.float32), rng.integers(0, 3, 40)
        dataset = planted(y, 3, x)
        layers = (Layer(6, "relu"),)
        genome = Genome(layers, "he_normal", "sgd", 0.1, 8, label_smoothing=smoothing)
        weights = initial_weights(rng, genome, 2, 3)
        measured = measure(genome, weights, dataset, "sparse_categorical_crossentropy", 0)
        p = dataset.target.predictions(measured.validation_outputs)
        of_others = -np.log(p).mean()  # what every class gets its share of
        expected = (1 - smoothing) * log_loss(y, p) + smoothing * of_others
        assert measured.validation_losses.mean() == pytest.approx(expected, rel=1e-5)  # float32
        np.testing.assert_array_equal(measured.train_losses, measured.validation_losses)


def table(genome: Genome, sizes: list[float], spread: float = 1.0, grown: float = 1.0, seed=0):
    """Layers of a genome whose gradients have these means, in lengths of their kernels."""
    rng = np.random.default_rng(seed)
    drawn = initial_weights(rng, genome, 40, 30)
    kernels = [grown * own for own in drawn if own.ndim == 2]
    means = [size * own for size, own in zip(sizes, kernels, strict=True)]
    spreads = [spread * own for own in means]
    alive = [np.ones(layer.units, bool) for layer in genome.layers]
    return layer_table(genome, kernels, means, spreads, alive)


class TestLayers:
    GENOME = Genome((Layer(40, "relu"), Layer(30, "tanh")), "matched_normal", "sgd", 0.1, 8)

    def test_a_layer_with_a_thousandth_of_the_gradient_vanishes(self) -> None:
        found = gradient_finding(table(self.GENOME, [1e-5, 0.1, 0.5]), 32, 8)
        assert (found.verdict, found.fine) == ("vanishing", False)
        assert "hidden 1 " in found.rule
        assert gradient_finding(table(self.GENOME, [1e-3, 0.1, 0.5]), 32, 8).fine

    def test_batches_that_agree_say_that_there_is_way_to_go(self) -> None:
        found = gradient_finding(table(self.GENOME, [0.1, 0.1, 0.1], spread=0.5), 32, 8)
        assert found.verdict == "batches agree"
        settled = gradient_finding(table(self.GENOME, [0.1, 0.1, 0.1], spread=2.0), 32, 8)
        assert "in 3 of 3 layers" in settled.rule

    def test_no_gradient_and_no_weights_are_said(self) -> None:
        assert gradient_finding(table(self.GENOME, [0, 0, 0]), 32, 8).verdict == "none"
        nothing = table(self.GENOME, [1, 1, 1], grown=0.0)
        assert [own.gradient_mean for own in nothing] == [None, None, None]
        assert gradient_finding(nothing, 32, 8).verdict == "none"

    @pytest.mark.parametrize(
        ("grown", "expected"), [(1.0, "near the draw"), (4.0, "grown"), (0.3, "shrunk")]
    )
    def test_spread_is_held_against_what_the_initializer_draws(self, grown, expected) -> None:
        layers = table(self.GENOME, [1, 1, 1], grown=grown)
        assert spread_finding(layers).verdict == expected
        for own in layers:  # 900 and more weights: their deviation is known to 3 %
            assert own.growth == pytest.approx(grown, rel=0.1)

    @pytest.mark.parametrize(
        "name", [f"{f}_{d}" for f in ("glorot", "he", "lecun") for d in ("normal", "uniform")]
    )
    def test_deviation_of_a_draw_is_that_of_many_and_of_keras(self, name) -> None:
        ours = draw_kernel(np.random.default_rng(2), name, 300, 500)
        theirs = load_keras().ops.convert_to_numpy(
            load_keras().initializers.get({"class_name": name, "config": {"seed": 3}})((300, 500))
        )
        for drawn in (ours, theirs):  # 150,000 weights: known to 0.2 %
            assert kernel_deviation(name, 300, 500) == pytest.approx(drawn.std(), rel=0.01)

    def test_initializers_that_do_not_suit_are_named(self) -> None:
        suited = pairing_finding(table(self.GENOME, [1, 1, 1]))
        assert suited.fine
        odd = pairing_finding(table(replace(self.GENOME, initializer="lecun_normal"), [1, 1, 1]))
        assert odd.verdict == "does not suit"
        assert "he for relu, glorot for tanh" in odd.rule
        assert "hidden 1 and hidden 2" in odd.rule
        layers = tuple(replace(own, normalisation="batch") for own in self.GENOME.layers)
        normalised = replace(self.GENOME, layers=layers, initializer="lecun_normal")
        assert pairing_finding(table(normalised, [1, 1, 1])).fine

    def test_linear_model_has_findings_too(self) -> None:
        layers = table(Genome((), "glorot_normal", "sgd", 0.1, 8), [0.1])
        assert dead_finding(layers).verdict == "no ReLU"
        assert all(f(layers).fine for f in (spread_finding, pairing_finding))


class TestClasses:
    def test_calibration_error_by_hand(self) -> None:
        p = np.array([[0.55, 0.45], [0.58, 0.42], [0.1, 0.9], [0.05, 0.95], [0.02, 0.98]])
        truth = np.array([0, 1, 1, 1, 0])
        found = calibration(np.random.default_rng(0), truth, p)
        # 0.5 to 0.6: 0.55 right, 0.58 wrong. 0.8 to 0.9: 0.9 right. Above: 0.95 right, 0.98 wrong.
        expected = (abs(1 - 1.13) + abs(1 - 0.9) + abs(1 - 1.93)) / 5
        assert found.error == pytest.approx(expected)
        assert [own.n for own in found.bins] == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]
        assert found.bins[5].confidence == pytest.approx(0.565)
        assert found.bins[5].accuracy == 0.5
        assert found.bins[0].accuracy is None
        assert (found.accuracy, found.confidence) == (0.6, pytest.approx(0.792))

    def test_a_calibrated_network_is_within_chance_19_times_of_20(self) -> None:
        rng = np.random.default_rng(4)
        within = 0
        for _ in range(100):
            p = rng.uniform(0.5, 1, 300)
            truth = (rng.random(300) > p).astype(int)
            found = calibration(rng, truth, np.stack([p, 1 - p], axis=1))
            within += found.error <= found.by_chance
        assert 88 <= within <= 100  # binomial: below 88 once in 400 times

    @pytest.mark.parametrize(
        ("said", "right", "balanced", "expected"),
        [
            (0.95, 0.7, False, "overconfident"),
            (0.65, 0.9, False, "underconfident"),
            (0.8, 0.8, False, "calibrated"),
            (0.95, 0.7, True, "of balanced classes"),
        ],
    )
    def test_what_a_network_says_is_held_against_how_often_it_is_right(
        self, said, right, balanced, expected
    ) -> None:
        n = 2000
        p = np.tile([said, 1 - said], (n, 1))
        truth = (np.arange(n) >= right * n).astype(int)
        found = calibration(np.random.default_rng(0), truth, p)
        assert calibration_finding(found, n, balanced).verdict == expected

    def test_few_rows_without_a_mistake_prove_nothing(self) -> None:
        for n, expected in ((30, "no fault to be seen"), (100, "calibrated")):
            sure = np.tile([1.0, 0.0], (n, 1))
            found = calibration(np.random.default_rng(0), np.zeros(n, int), sure)
            assert calibration_finding(found, n, False).verdict == expected

    def test_errors_both_ways_are_uneven(self) -> None:
        p = np.concatenate([np.tile([0.95, 0.05], (1000, 1)), np.tile([0.6, 0.4], (1000, 1))])
        truth = np.concatenate([np.arange(1000) >= 770, np.arange(1000) >= 780]).astype(int)
        found = calibration(np.random.default_rng(0), truth, p)
        assert calibration_finding(found, 2000, False).verdict == "uneven"

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
    def test_confusions_are_scikit_learns(self, pairs) -> None:
        truth, predicted = (np.array(own) for own in zip(*pairs, strict=True))
        found = confusion("abcd", truth, np.eye(4)[predicted])
        expected = confusion_matrix(truth, predicted, labels=range(4)).tolist()
        assert [list(row) for row in found.counts] == expected

    def test_the_commonest_confusion_is_named_and_rare_classes_are_told_apart(self) -> None:
        truth = np.array([0] * 90 + [1] * 10)
        predicted = np.array([0] * 88 + [1] * 2 + [0] * 6 + [1] * 4)
        found = confusion(("<b>no</b>", "y\nes"), truth, np.eye(2)[predicted])
        said = confusion_finding(found, balanced=False)
        assert said.verdict == r"'y\nes' taken for '<b>no</b>'"
        assert "8 of 100 validation rows are wrong, 6 of them" in said.rule
        assert "60 % of" in said.rule
        assert "balanced_accuracy" in said.advice
        assert "balanced_accuracy" not in confusion_finding(found, balanced=True).advice
        assert confusion_finding(confusion("ab", truth, np.eye(2)[truth]), False).fine


class TestResiduals:
    def verdicts(self, truth: np.ndarray, predicted: np.ndarray, loss: str = "mse") -> list[bool]:
        return [own.fine for own in residuals_findings(residuals(truth, predicted), loss)]

    def test_planted_faults_are_found_and_no_others(self) -> None:
        rng = np.random.default_rng(0)
        predicted, noise = rng.uniform(10, 20, 1000), rng.normal(size=1000)
        assert self.verdicts(predicted + noise, predicted) == [True, True, True]
        assert self.verdicts(predicted + noise + 0.5, predicted) == [False, True, True]
        growing = noise * (predicted - 9) ** 1.5 / 10
        assert self.verdicts(predicted + growing, predicted) == [True, False, True]
        heavy = noise + 40 * (np.arange(1000) % 250 == 0) * np.resize([1, -1], 1000)
        heavy[::250] *= [1, -1, 1, -1]
        assert self.verdicts(predicted + heavy, predicted)[2] is False

    def test_numbers_by_hand(self) -> None:
        found = residuals(np.array([1.0, 2.0, 3.0, 14.0]), np.array([2.0, 2.0, 2.0, 2.0]))
        assert (found.mean, found.median_size) == (3.0, 1.0)
        assert found.heaviest == pytest.approx(144 / 146)  # one row of four at least
        assert found.largest == (2.0, 14.0)
        assert found.growth is None  # predictions are all the same
        assert found.positive

    def test_hundredth_of_normal_errors_has_the_share_that_is_said(self) -> None:
        errors = np.random.default_rng(1).normal(size=200_000)
        found = residuals(errors, np.linspace(0, 1, 200_000))
        assert found.heaviest == pytest.approx(0.085, abs=0.002)
        assert len(found.predicted) == len(found.truth) == 1000
        assert (found.predicted[0], found.predicted[-1]) == (0.0, 1.0)

    def test_perfect_predictions_have_no_fault(self) -> None:
        same = np.arange(5.0)
        assert self.verdicts(same, same) == [True, True, True]
