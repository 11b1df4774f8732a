"""Racing: what is given up on its way, by which rule, and that a known training answers for it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from evonet.config import make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.evaluation import Budget, Evaluation, Hurdle, Request, Rung, as_asked
from evonet.evolution.racing import hurdles, rank_correlation
from evonet.genome import Genome, Layer
from evonet.metrics import METRICS, choose_metric
from evonet.training.engine import FusedEvaluator
from evonet.training.evaluator import Evaluator, KerasEvaluator
from evonet.training.trainer import Trainer

LOSS = "sparse_categorical_crossentropy"
BUDGET = Budget(32, 32)
#: Learns slowly, so that its score at 2 of 32 epochs is not its last one.
SLOW = Genome((Layer(8, "tanh", 0.2, "batch"),), "matched_normal", "sgd", 0.01, 16)
ACCURACY, RMSE = METRICS["accuracy"], METRICS["rmse"]


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris"}))


def engine(name: str, data: Dataset, budget: Budget = BUDGET) -> Evaluator:
    common = data, choose_metric("auto", data.target), LOSS, budget
    return KerasEvaluator(*common) if name == "keras" else FusedEvaluator(*common, 1)


def trained(evaluator: Evaluator, *asked: Hurdle, genome: Genome = SLOW) -> Evaluation:
    (((_, evaluation),),) = evaluator.evaluate([Request(genome, 1, hurdles=asked)])
    return evaluation


def said(evaluation: Evaluation | None) -> dict[str, Any]:
    assert evaluation is not None
    return {**asdict(evaluation), "seconds": None}


def evaluation(rungs: dict[int, float | None], score: float, **changes: Any) -> Evaluation:
    """One of 32 epochs whose loss falls."""
    curve = tuple(1 / epoch for epoch in range(1, 33))
    made = Evaluation("ab", 1, "ok", "", score, 32, curve, curve, 7, 0.1)
    return replace(made, rungs=tuple(Rung(*rung) for rung in rungs.items()), **changes)


every_engine = pytest.mark.parametrize("name", ["fused", "keras"])


@every_engine
class TestTraining:
    def test_a_rung_holds_the_score_of_the_best_weights_so_far(
        self, name: str, iris: Dataset
    ) -> None:
        whole = trained(engine(name, iris))
        assert [rung.epoch for rung in whole.rungs] == [2, 8]
        assert not whole.dropped
        if name == "fused":  # the same training, cut off by its budget and not by a rung
            outputs = Trainer(iris, LOSS, Budget(8, 8)).fit(SLOW, 1).outputs
            truth = iris.validation.y
            assert whole.rungs[1].score == accuracy_score(truth, outputs.argmax(axis=1))

    def test_it_ends_at_the_first_hurdle_that_it_does_not_clear(
        self, name: str, iris: Dataset
    ) -> None:
        whole = trained(engine(name, iris))
        at = {rung.epoch: rung.score for rung in whole.rungs}
        assert at[2] is not None
        assert at[8] is not None
        cleared = Hurdle(2, at[2], True)
        ended = trained(engine(name, iris), cleared, Hurdle(8, at[8] + 1e-6, True))
        assert ended.dropped
        assert ended.ok
        assert ended.epochs == 8
        assert ended.score == at[8]
        assert ended.validation_loss == whole.validation_loss[:8]
        assert said(trained(engine(name, iris), cleared, Hurdle(8, at[8], True))) == said(whole)

    def test_what_is_known_of_it_answers_for_every_hurdle(self, name: str, iris: Dataset) -> None:
        whole = trained(engine(name, iris))
        for score in (0.0, 1.01):
            asked = Hurdle(2, score, True), Hurdle(8, 1.01, True)
            assert said(as_asked(whole, asked)) == said(trained(engine(name, iris), *asked))

    def test_one_that_ends_by_itself_at_a_rung_was_not_given_up(
        self, name: str, iris: Dataset
    ) -> None:
        evaluator = engine(name, iris, Budget(32, 1))
        still = replace(
            SLOW, learning_rate=1e-8, clip_norm=0.01, layers=()
        )  # its first epoch is its best
        ended = trained(evaluator, Hurdle(2, 1.01, True), genome=still)
        assert ended.epochs == 2
        assert not ended.dropped
        assert not ended.rungs


class TestKnown:
    def test_dropped_and_asked_with_lower_hurdles_nobody_knows(self) -> None:
        dropped = evaluation({2: 0.5}, 0.5, dropped=True)
        assert as_asked(dropped, (Hurdle(2, 0.6, True),)) is not None
        assert as_asked(dropped, (Hurdle(2, 0.5, True),)) is None
        assert as_asked(dropped, ()) is None

    def test_one_that_diverged_later_would_have_been_dropped_before(self) -> None:
        lost = evaluation({2: 0.5}, 0.0, status="diverged", reason="NaN", best_epoch=0)
        lost = replace(lost, score=None, validation_loss=(0.5, 0.7, 0.9))
        cut = as_asked(lost, (Hurdle(2, 0.6, True),))
        assert cut is not None
        assert (cut.status, cut.reason, cut.score, cut.best_epoch) == ("ok", "", 0.5, 1)
        assert cut.validation_loss == (0.5, 0.7)
        assert as_asked(lost, (Hurdle(2, 0.4, True),)) == lost

    def test_the_text_of_an_evaluation_keeps_its_rungs(self) -> None:
        one = evaluation({2: 0.5, 8: None}, 0.5, dropped=True)
        assert Evaluation.from_json(one.to_json()) == one

    @given(st.integers(1, 2000), st.integers(1, 10))
    def test_rungs_lie_within_the_budget(self, epochs: int, patience: int) -> None:
        rungs = Budget(epochs, patience).rungs
        assert all(0 < epoch < epochs for epoch in rungs)
        assert list(rungs) == sorted(set(rungs))


class TestHurdles:
    @settings(max_examples=30)
    @given(
        st.lists(st.floats(-1, 1), min_size=8, max_size=36, unique=True),
        st.sampled_from([ACCURACY, RMSE]),
    )
    def test_a_quarter_of_those_that_came_there_would_go_on(
        self, scores: list[float], metric: Any
    ) -> None:
        some = [evaluation({2: score}, score) for score in scores]
        (hurdle,) = hurdles(some, 16, (2, 8), metric, always=True)
        assert (hurdle.epoch, hurdle.maximise) == (2, metric.maximise)
        assert sum(not hurdle.stops(e.rungs[0]) for e in some) == len(scores) // 4

    def test_they_follow_the_last_candidates(self) -> None:
        poor, good = ([evaluation({2: s + i / 999}, s) for i in range(36)] for s in (0.1, 0.8))
        (low,) = hurdles(poor, 16, (2,), ACCURACY, always=True)
        (high,) = hurdles([*poor, *good], 16, (2,), ACCURACY, always=True)
        assert low.score < 0.2 < 0.8 < high.score
        assert hurdles([*good, *poor], 16, (2,), ACCURACY, always=True) == (low,)
        # Those of the last rung, however many were given up on their way there.
        early = [evaluation({2: 0.9}, 0.9, dropped=True)] * 100
        far = [evaluation({2: 0.9, 8: s / 36}, 0.9) for s in range(36)]
        _, late = hurdles([*far, *early], 16, (2, 8), ACCURACY, always=True)
        assert late == Hurdle(8, 27 / 36, True)

    def test_too_few_set_none(self) -> None:
        some = [evaluation({2: 0.5}, 0.5)] * 7
        assert hurdles(some, 16, (2,), ACCURACY, always=True) == ()

    def test_by_default_there_are_none_where_the_start_does_not_foretell_the_end(self) -> None:
        rng = np.random.default_rng(0)
        start = rng.random(40)
        unrelated = [evaluation({2: s}, e) for s, e in zip(start, rng.random(40), strict=True)]
        related = [
            evaluation({2: s}, s + 0.1 * e) for s, e in zip(start, rng.random(40), strict=True)
        ]
        assert hurdles(unrelated, 40, (2,), ACCURACY, always=False) == ()
        assert len(hurdles(related, 40, (2,), ACCURACY, always=False)) == 1

    def test_what_was_raced_does_not_say_whether_the_start_foretells_the_end(self) -> None:
        related = [evaluation({2: s / 40}, s / 40) for s in range(16)]
        raced = [evaluation({2: 1.0}, s / 40) for s in range(20)]
        assert len(hurdles([*related, *raced], 16, (2,), ACCURACY, always=False)) == 1

    def test_correlation_is_that_of_ranks_of_what_was_trained_to_its_end(self) -> None:
        some = [evaluation({2: i}, (i - 3) ** 3) for i in range(9)]
        assert rank_correlation(some, 2) == pytest.approx(1)
        others = [
            evaluation({2: 99}, -99, dropped=True),
            evaluation({2: 98}, -98, status="diverged"),
            evaluation({8: 97}, -97),
        ]
        assert rank_correlation([*some, *others], 2) == pytest.approx(1)
        assert rank_correlation(some[:7], 2) is None
        assert rank_correlation([evaluation({2: 1.0}, 1.0)] * 9, 2) is None
