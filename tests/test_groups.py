"""Groups of padded networks train as each network does alone, on TensorFlow and on JAX.

What a network does alone is held against Keras in ``test_native.py``; so the two programs, written
apart, are each other's oracle, random numbers included.
``KERAS_BACKEND=jax pytest tests/test_groups.py`` runs the same tests on JAX; the last one does so.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import genomes
from test_native import CLOSE, SMALL, dataset, with_layers

from evonet.config import make_config
from evonet.data.dataset import Dataset
from evonet.errors import ConfigError
from evonet.evaluation import Budget, Hurdle, Request
from evonet.genome import Genome, Layer, SearchSpace
from evonet.genome.genes import ACTIVATIONS, OPTIMIZERS, OPTIMIZERS_WITH_MOMENTUM
from evonet.setup import Setup
from evonet.training import engine, groups, plan
from evonet.training.backend import find_device
from evonet.training.engine import FusedEvaluator
from evonet.training.groups import GroupTrainer
from evonet.training.initializers import initial_weights
from evonet.training.keras_model import choose_loss
from evonet.training.padding import Shape, initial_state, keras_weights
from evonet.training.plan import kind_of
from evonet.training.trained import Race, Trained
from evonet.training.trainer import Trainer
from evonet.workforce import Workforce

BUDGET = Budget(3, 9)
LOSS = "sparse_categorical_crossentropy"


def optimized(name: str, **genes: Any) -> Genome:
    momentum = 0.9 if name in OPTIMIZERS_WITH_MOMENTUM else None
    genome = with_layers(Layer(8, "tanh"), Layer(6, "elu", 0.2))
    return replace(genome, optimizer=name, momentum=momentum, learning_rate=0.01, **genes)


#: Few kinds, since each is compiled; in them every gene, alone and beside others.
GROUPS: dict[str, list[Genome]] = {
    "no skips": [
        *(optimized(name) for name in OPTIMIZERS),
        *(optimized(name, weight_decay=0.02) for name in ("sgd", "adamw", "nadam")),
        with_layers(*(Layer(4 + i, a, 0.1 * (i % 3)) for i, a in enumerate(ACTIVATIONS[:2]))),
        *(with_layers(Layer(5, a), Layer(32, a)) for a in ACTIVATIONS),
        with_layers(Layer(9, "relu", 0.3, "batch"), Layer(7, "gelu", 0.1, "layer")),
        with_layers(Layer(9, "relu", 0.0, "layer"), Layer(7, "gelu", 0.0, "batch")),
        replace(SMALL, clip_norm=0.05, schedule="cosine", warmup=0.4),
        replace(SMALL, label_smoothing=0.2),
        replace(SMALL, input_noise=0.5),
    ],
    "skips and three layers in four": [
        with_layers(*[Layer(33, "relu", 0.1, "none", "concat")] * 3, Layer(5, "selu")),
        with_layers(Layer(8, "gelu", 0.2, "batch", "concat"), Layer(60, "tanh"), Layer(7, "silu")),
    ],
    "linear": [replace(SMALL, layers=()), replace(SMALL, layers=(), optimizer="adam")],
}


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return dataset("iris")


def assert_alike(together: Sequence[Trained], alone: Sequence[Trained]) -> None:
    assert len(together) == len(alone)
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours.train_loss, theirs.train_loss, **CLOSE)
        np.testing.assert_allclose(ours.validation_loss, theirs.validation_loss, **CLOSE)
        np.testing.assert_allclose(ours.outputs, theirs.outputs, rtol=1e-3, atol=1e-4)
        assert ours.best_epoch == theirs.best_epoch
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def both(
    data: Dataset, some: Sequence[Genome], budget: Budget = BUDGET, loss: str = "auto"
) -> tuple[list[Trained], list[Trained]]:
    """The same trainings as a group and one by one."""
    loss = choose_loss(loss, data.target)
    requests = [Request(genome, seed) for seed, genome in enumerate(some)]
    alone = Trainer(data, loss, budget)
    return (
        GroupTrainer(data, loss, budget).fit(requests),
        [alone.fit(r.genome, r.seed) for r in requests],
    )


class TestAGroup:
    @pytest.mark.parametrize("name", GROUPS)
    def test_does_what_each_does_alone(self, iris: Dataset, name: str) -> None:
        assert_alike(*both(iris, GROUPS[name]))

    def test_does_it_where_the_validation_part_comes_in_pieces(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("evonet.training.plan._GROUP_ROWS_AT_ONCE", 7)  # of 30
        assert_alike(*both(iris, [SMALL]))

    def test_members_stop_at_different_epochs(self, iris: Dataset) -> None:
        rates = (0.9, 0.5, 0.05, 0.001)
        some = [replace(SMALL, learning_rate=rate) for rate in rates]
        together, alone = both(iris, some, Budget(12, 2))
        assert len({len(t.validation_loss) for t in together}) > 1
        assert_alike(together, alone)

    def test_members_are_given_up_where_each_would_be_alone(self, iris: Dataset) -> None:
        budget = Budget(16, 16)
        requests = [Request(replace(SMALL, learning_rate=r), 1) for r in (0.9, 0.05, 0.001)]
        hurdles = [(), (Hurdle(1, 0.5, True),), (Hurdle(4, 0.5, True),)]
        races = [Race(budget.rungs, own, lambda _: 0.3) for own in hurdles]
        alone = Trainer(iris, LOSS, budget)
        apart = [alone.fit(r.genome, r.seed, own) for r, own in zip(requests, races, strict=True)]
        together = GroupTrainer(iris, LOSS, budget).fit(requests, races)
        assert_alike(together, apart)
        assert [len(t.train_loss) for t in together] == [16, 1, 4]
        assert [t.dropped for t in together] == [False, True, True]
        assert [t.rungs for t in together] == [t.rungs for t in apart]

    def test_packing_those_that_go_on_into_fewer_places_changes_no_result(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program, places = groups._program, []

        def recorded(shape: Shape, device: int) -> Any:
            places.append(shape.networks)
            return program(shape, device)

        monkeypatch.setattr(groups, "_program", recorded)
        trainer = GroupTrainer(iris, LOSS, Budget(14, 1))
        hasty = [replace(genome, learning_rate=0.1) for genome in GROUPS["no skips"]]
        requests = [Request(genome, seed) for seed, genome in enumerate(hasty)]
        packed = trainer.fit(requests)
        assert sorted(set(places), reverse=True) == [32, 16, 8]
        assert places == sorted(places, reverse=True)
        monkeypatch.setattr(plan, "_FEWEST_PACKED", 32)
        places.clear()
        assert_alike(packed, trainer.fit(requests))
        assert set(places) == {32}

    @pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
    def test_does_it_for_regression(self, loss: str) -> None:
        assert_alike(*both(dataset("diabetes"), [with_layers(Layer(20, "relu"))], loss=loss))

    def test_does_it_for_two_classes_with_row_weights(self) -> None:
        data = dataset("breast_cancer", class_weight="balanced")
        assert_alike(*both(data, [with_layers(Layer(20, "relu"), label_smoothing=0.1)]))

    def test_one_that_diverges_leaves_the_others_alone(self, iris: Dataset) -> None:
        wild = with_layers(*[Layer(32, "relu")] * 2, learning_rate=100.0)
        requests = [Request(SMALL, 1), Request(wild, 2), Request(SMALL, 3)]
        trainer = GroupTrainer(iris, LOSS, Budget(12, 12))
        lost = trainer.fit(requests)[1]
        assert lost.diverged
        assert len(lost.train_loss) < 12
        together = trainer.fit([Request(SMALL, 1), Request(SMALL, 2), Request(SMALL, 3)])
        for i in (0, 2):
            assert trainer.fit(requests)[i].validation_loss == together[i].validation_loss

    def test_fewer_digits_change_little(self, iris: Dataset) -> None:
        request = Request(SMALL, 1)
        exact, rough = (
            GroupTrainer(iris, LOSS, BUDGET, precision).fit([request])[0].validation_loss
            for precision in ("float32", "bfloat16")
        )
        assert exact != rough
        np.testing.assert_allclose(rough, exact, rtol=0.05)


class TestPadding:
    @given(genomes(max_units=70), st.integers(1, 3), st.integers(1, 3))
    def test_weights_come_back_as_they_went(
        self, genome: Genome, n_inputs: int, n_outputs: int
    ) -> None:
        shape = Shape(2, kind_of(genome), n_inputs, n_outputs, LOSS, 10, 5)
        drawn = [
            initial_weights(np.random.default_rng(seed), genome, n_inputs, n_outputs)
            for seed in range(2)
        ]
        state = initial_state(shape, [genome, genome], drawn)
        for g, weights in enumerate(drawn):
            back = keras_weights(shape, genome, state.weights, g)
            assert all((a == b).all() for a, b in zip(back, weights, strict=True))


class TestTheEngine:
    @pytest.fixture
    def on_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if there were a GPU; what it would train is trained here."""
        monkeypatch.setattr(engine, "find_device", lambda _: "gpu")

    def evaluator(self, data: Dataset) -> FusedEvaluator:
        from evonet.metrics import choose_metric

        return FusedEvaluator(data, choose_metric("auto", data.target), LOSS, BUDGET, 1)

    def test_a_gpu_trains_groups_with_the_scores_of_a_cpu(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = [Request(g, s) for s, g in enumerate((SMALL, *GROUPS["linear"]))]
        alone = dict(chain(*self.evaluator(iris).evaluate(requests)))
        monkeypatch.setattr(engine, "find_device", lambda _: "gpu")
        evaluator = self.evaluator(iris)
        assert [len(portion) for portion in evaluator.plan(requests).portions] == [1, 2]
        together = dict(chain(*evaluator.evaluate(requests)))
        assert {r: e.score for r, e in together.items()} == {r: e.score for r, e in alone.items()}
        assert {e.status for e in together.values()} == {"ok"}

    @pytest.mark.parametrize(
        ("error", "status"),
        [(MemoryError("no more"), "out_of_memory"), (RuntimeError("cannot compile"), "ok")],
    )
    def test_a_group_that_cannot_be_trained_is_halved(
        self,
        iris: Dataset,
        monkeypatch: pytest.MonkeyPatch,
        on_gpu: None,
        error: Exception,
        status: str,
    ) -> None:
        fit, sizes = GroupTrainer.fit, []

        def fails_above_two(
            self: GroupTrainer, requests: Sequence[Request], races: Sequence[Race]
        ) -> list[Trained]:
            sizes.append(len(requests))
            if len(requests) > 2 or 4 in (request.seed for request in requests):
                raise error
            return fit(self, requests, races)

        monkeypatch.setattr(GroupTrainer, "fit", fails_above_two)
        requests = [Request(SMALL, seed) for seed in range(5)]
        statuses = {r.seed: e.status for r, e in chain(*self.evaluator(iris).evaluate(requests))}
        assert statuses == {0: "ok", 1: "ok", 2: "ok", 3: "ok", 4: status}
        assert sizes == [5, 2, 3, 1, 2, 1, 1]

    def test_a_limit_that_a_gpu_cannot_keep_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = make_config({"data": "iris", "training_timeout": 60})
        assert not Workforce(settings).unkept
        monkeypatch.setattr(engine, "find_device", lambda _: "gpu")
        with pytest.raises(ConfigError, match="leave out --training-timeout, or pass --device cpu"):
            Setup.new(settings, SearchSpace.default(), [])
        on_dask = settings.changed(backend="dask", address="tcp://a:1")
        assert not Workforce(on_dask).unkept

    def test_what_cannot_be_compiled_alone_is_trained_by_the_cpu(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = Request(SMALL, 3)
        ((_, alone),) = chain(*self.evaluator(iris).evaluate([request]))
        monkeypatch.setattr(engine, "find_device", lambda _: "gpu")

        def fails(*_: object) -> None:
            raise RuntimeError("cannot compile")

        monkeypatch.setattr(GroupTrainer, "fit", fails)
        ((_, found),) = chain(*self.evaluator(iris).evaluate([request]))
        said = "trained on the CPU; GPU: RuntimeError: cannot compile"
        assert replace(found, seconds=0.0) == replace(alone, seconds=0.0, reason=said)

    def test_groups_that_nobody_waits_for_are_not_begun(
        self, iris: Dataset, monkeypatch: pytest.MonkeyPatch, on_gpu: None
    ) -> None:
        closing, begun = threading.Event(), []

        def train(job: Any, requests: Sequence[Request]) -> list[tuple[Request, str]]:
            begun.append(requests[0].seed)
            if requests[0].seed > 0:
                closing.wait()
            return [(request, "trained") for request in requests]

        backend = SimpleNamespace(devices=lambda: ["gpu:0", "gpu:1"])
        monkeypatch.setattr(engine, "load_backend", lambda: backend)
        monkeypatch.setattr(engine, "train", train)
        requests = [Request(replace(SMALL, batch_size=9 - seed), seed) for seed in range(6)]
        evaluating = replace(self.evaluator(iris), workers=None).evaluate(requests)
        assert next(evaluating) == [(requests[0], "trained")]
        threading.Timer(0.5, closing.set).start()
        evaluating.close()  # waits for those that have begun
        assert closing.is_set()
        assert set(begun) <= {0, 1, 2}  # two at a time, and one that took the place of the first

    def test_two_devices_share_the_groups_and_change_no_result(self) -> None:
        """In a process of its own, whose backend is told to make two devices of the CPU."""
        code = """if True:
            from test_groups import *
            from evonet.training.backend import load_keras

            if load_keras().backend.backend() == "tensorflow":
                import tensorflow as tf

                (cpu,) = tf.config.list_physical_devices("CPU")
                two = [tf.config.LogicalDeviceConfiguration()] * 2
                tf.config.set_logical_device_configuration(cpu, two)
            engine.find_device = lambda _: "gpu"
            program, used = groups._program, []

            def recorded(shape, device):
                def run(*arguments):
                    state = program(shape, device)(*arguments)
                    used.append((shape.kind.depth, str(state.best_loss.device)))
                    return state

                return run

            groups._program = recorded
            wide = with_layers(Layer(8, "tanh", 0.2, "batch"), Layer(6, "elu", 0.1))
            requests = [Request(g, s) for s, g in enumerate((SMALL, wide, *GROUPS["linear"]))]
            evaluator = TestTheEngine().evaluator(dataset("iris"))
            said = []
            for workers, devices in ((2, 2), (1, 1)):
                evaluator = replace(evaluator, workers=workers)
                assert evaluator.plan(requests).workers == workers
                found = dict(chain(*evaluator.evaluate(requests)))
                said.append([replace(found[r], seconds=0.0) for r in requests])
                assert len({kind for kind, _ in used}) == 2
                assert len({device for _, device in used}) == devices
                used.clear()
            assert {e.status for e in said[0]} == {"ok"}
            assert said[0] == said[1]
        """
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        }
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-3000:]

    def test_a_cpu_has_one_precision(self, iris: Dataset) -> None:
        from evonet.errors import TrainingError

        with pytest.raises(TrainingError, match="bfloat16 is for GPUs"):
            replace(self.evaluator(iris), precision="bfloat16").plan([])


def test_a_gpu_that_is_not_there_is_missed() -> None:
    from evonet.errors import TrainingError

    assert find_device("cpu") == "cpu"
    if find_device("auto") == "cpu":
        with pytest.raises(TrainingError, match="finds no GPU"):
            find_device("gpu")


#: Of the tests above, those whose arithmetic is the backend's, and no more than a minute.
OF_THE_BACKEND = "does_what_each_does_alone or regression or row_weights or given_up or diverges"


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="this is that run")
@pytest.mark.parametrize(
    "chosen", [OF_THE_BACKEND, pytest.param("", marks=pytest.mark.slow, id="all")]
)
def test_this_holds_on_jax(chosen: str) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install evonet[jax]")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command += [__file__, "-k", chosen, "-m", ""]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout
