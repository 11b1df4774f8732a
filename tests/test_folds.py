"""Scores by cross-validation: what each engine trains on which fold, and what becomes of it."""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean

import pytest
from sklearn.metrics import accuracy_score

from evonet.config import make_config
from evonet.data.dataset import Dataset, load_dataset
from evonet.evaluation import Budget, Evaluation, Hurdle, Request, as_asked
from evonet.genome import Genome, Layer
from evonet.metrics import choose_metric
from evonet.training.engine import FusedEvaluator
from evonet.training.evaluator import Evaluator, KerasEvaluator, on_fold
from evonet.training.trainer import Trainer

LOSS = "sparse_categorical_crossentropy"
BUDGET = Budget(4, 4)
GENOME = Genome((Layer(8, "tanh", 0.2),), "matched_normal", "adam", 0.02, 16)
REQUEST = Request(GENOME, 1)
#: Its products overflow.
WILD = Genome((Layer(64, "relu"),) * 4, "matched_normal", "sgd", 100.0, 16)

every_engine = pytest.mark.parametrize("name", ["fused", "keras"])


@pytest.fixture(scope="module")
def iris() -> Dataset:
    return load_dataset(make_config({"data": "iris", "folds": 3}))


def engine(name: str, data: Dataset) -> Evaluator:
    common = data, choose_metric("auto", data.target), LOSS, BUDGET
    return KerasEvaluator(*common) if name == "keras" else FusedEvaluator(*common, 1)


def evaluated(name: str, data: Dataset, request: Request) -> Evaluation:
    (((back, evaluation),),) = engine(name, data).evaluate([request])
    assert back == request
    return evaluation


@every_engine
def test_the_score_is_the_mean_over_the_folds(name: str, iris: Dataset) -> None:
    evaluation = evaluated(name, iris, REQUEST)
    assert evaluation.ok
    assert len(evaluation.folds) == 3
    assert evaluation.score == fmean(evaluation.folds)
    assert evaluation.parameters == 4 * 8 + 8 + 8 * 3 + 3


def test_each_fold_is_trained_on_its_own_rows_from_its_own_start(iris: Dataset) -> None:
    evaluation = evaluated("fused", iris, REQUEST)
    seeds = set()
    for i, fold in enumerate(iris.folds):
        seed = on_fold(REQUEST, i).seed
        trained = Trainer(fold, LOSS, BUDGET).fit(GENOME, seed)
        classes = trained.outputs.argmax(axis=1)
        assert evaluation.folds[i] == accuracy_score(fold.validation.y, classes)
        if i == 0:
            assert evaluation.validation_loss == trained.validation_loss
        seeds.add(seed)
    assert len(seeds) == 3


@every_engine
def test_what_is_given_up_on_the_first_fold_is_not_trained_on_the_others(
    name: str, iris: Dataset
) -> None:
    whole = evaluated(name, iris, REQUEST)
    hurdles = (Hurdle(1, 1.01, True),)
    dropped = evaluated(name, iris, Request(GENOME, 1, hurdles=hurdles))
    assert dropped.dropped
    assert dropped.folds == ()
    assert dropped.score == dropped.rungs[0].score
    known = as_asked(whole, hurdles)
    assert known is not None
    assert {**asdict(known), "seconds": 0} == {**asdict(dropped), "seconds": 0}


@every_engine
def test_one_fold_that_fails_fails_the_whole(name: str, iris: Dataset) -> None:
    lost = evaluated(name, iris, Request(WILD, 1))
    assert (lost.status, lost.score, lost.best_epoch) == ("diverged", None, 0)


def test_without_folds_there_are_no_scores_of_folds() -> None:
    plain = load_dataset(make_config({"data": "iris"}))
    assert evaluated("fused", plain, REQUEST).folds == ()


def test_workers_say_what_one_process_says(iris: Dataset) -> None:
    metric = choose_metric("auto", iris.target)
    requests = [Request(GENOME, seed) for seed in range(3)]
    alone, two = (
        {
            r: e.folds
            for done in FusedEvaluator(iris, metric, LOSS, BUDGET, n).evaluate(requests)
            for r, e in done
        }
        for n in (1, 2)
    )
    assert alone == two


def test_images_have_folds_too() -> None:
    digits = load_dataset(make_config({"data": "digits", "folds": 4}))
    assert [len(fold.test) for fold in digits.folds] == [0] * 4
    assert {fold.n_inputs for fold in digits.folds} == {64}
    scored = sum(len(fold.validation) for fold in digits.folds)
    assert scored == len(digits.train) + len(digits.validation)
