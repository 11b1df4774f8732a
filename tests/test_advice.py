"""What is odd about data: found where it was planted, and nowhere else."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from fakes import fake_training
from planted import facts, from_plain
from sklearn.dummy import DummyClassifier
from sklearn.metrics import cohen_kappa_score

import evonet.setup
from evonet.__main__ import main
from evonet.advice import control
from evonet.advice.checks import CHECKS, check_data, serious_findings
from evonet.advice.columns import N_BINS, N_FOLDS, Column, share_told
from evonet.advice.control import shuffled_control
from evonet.advice.evidence import Evidence
from evonet.advice.finding import FLATTERING, Finding
from evonet.advice.leaks import told_by_others
from evonet.config import make_config
from evonet.data.checking import check_features, check_labels
from evonet.data.dataset import CheckedData, prepare, split_as_set
from evonet.data.sources import RawData
from evonet.evaluation import protocol_key
from evonet.run import evolve
from evonet.sentences import data_lines
from evonet.store.facts import DataFacts
from evonet.store.record import RunRecord

__all__ = ["fake_training"]

N = 400


def clean(seed: int, n: int = N) -> pd.DataFrame:
    """Columns of every kind that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "normal": rng.normal(size=n),
            "skewed": rng.lognormal(size=n),
            "whole": rng.integers(0, 50, n),
            "large": rng.integers(0, 10**9, n),
            "flag": rng.random(n) < 0.3,
            "word": rng.choice(["red", "green", "blue"], n, p=[0.6, 0.3, 0.1]),
            "city": rng.choice([f"city {i}" for i in range(80)], n),
        }
    )
    frame.loc[rng.random(n) < 0.2, ["skewed", "word"]] = None
    return frame


def classes(seed: int, n: int = N) -> pd.Series:
    return pd.Series(np.random.default_rng([seed, 1]).choice(["no", "yes"], n, p=[0.7, 0.3]))


def quantity(seed: int, n: int = N) -> pd.Series:
    return pd.Series(np.random.default_rng([seed, 2]).normal(50, 9, n))


def checked(features: pd.DataFrame | np.ndarray, y: object, n_test: int = 0) -> CheckedData:
    raw = RawData("data", features, pd.Series(y, name="y"), n_test)
    task, how = check_labels(raw, "auto")
    usable, left_out = check_features(raw, ())
    split = split_as_set(usable, task, make_config({}))
    return CheckedData(raw, usable, task, how, tuple(left_out), split)


def evidence(features: pd.DataFrame | np.ndarray, y: object, **settings: object) -> Evidence:
    return Evidence(checked(features, y), make_config(settings))


def found(features: pd.DataFrame | np.ndarray, y: object, **settings: object) -> list[Finding]:
    of = evidence(features, y, **settings)
    return [f for check in CHECKS.values() for f in check.find(of)]


def of_kind(findings: Sequence[Finding], kind: str) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


class TestFalseAlarms:
    @pytest.mark.parametrize("y", [classes, quantity], ids=["classes", "quantity"])
    def test_a_table_of_chance_gives_no_finding(self, y) -> None:
        for seed in range(25):
            assert found(clean(seed), y(seed)) == []

    def test_many_columns_are_no_reason_to_find_one(self) -> None:
        rng = np.random.default_rng(0)
        wide = pd.DataFrame(rng.normal(size=(100, 500)))
        wide = wide.mask(rng.random(wide.shape) < 0.4 * rng.random(500))
        wide.columns = [f"x{i}" for i in range(500)]
        assert found(wide, rng.permutation(["a", "b"] * 50)) == []

    def test_a_target_that_several_columns_make_is_no_leak(self) -> None:
        for seed in range(10):
            frame = clean(seed)
            frame["other"] = np.random.default_rng([seed, 3]).normal(size=N)
            y = frame["normal"] + frame["other"] + 0.3 * quantity(seed) / 9
            assert found(frame, y) == []
            assert found(frame, np.where(y > y.median(), "high", "low")) == []

    def test_data_that_everybody_knows(self) -> None:
        for name, kinds in {"digits": [], "breast_cancer": [], "iris": ["order"]}.items():
            findings = check_data(make_config({"data": name})).findings
            assert [finding.kind for finding in findings] == kinds


class TestShareTold:
    @pytest.mark.parametrize("is_class", [True, False])
    def test_it_is_what_a_loop_over_folds_says(self, is_class: bool) -> None:
        rng = np.random.default_rng(0)
        n = 60
        folds, bins = rng.integers(0, N_FOLDS, n), rng.integers(0, 4, n)
        outcome = (bins + rng.integers(0, 2, n)) % 3 if is_class else bins + rng.normal(size=n)
        left = before = 0.0
        for i in range(n):
            there = folds != folds[i]
            here = there & (bins == bins[i])
            if is_class:
                share = (np.sum(outcome[there] == outcome[i]) + 1) / (there.sum() + 3)
                own = (np.sum(outcome[here] == outcome[i]) + share) / (here.sum() + 1)
                left, before = left - np.log(own), before - np.log(share)
            else:
                mean = outcome[there].mean()
                own = (outcome[here].sum() + mean) / (here.sum() + 1)
                left += (outcome[i] - own) ** 2
                before += (outcome[i] - mean) ** 2
        told = share_told(bins, outcome, is_class, folds)
        assert told == pytest.approx(1 - left / before, rel=1e-12)
        assert told > 0.1

    def test_a_copy_tells_all_and_chance_tells_nothing(self) -> None:
        y = classes(0, 4000)
        copied = evidence(clean(0, 4000).assign(copy=y), y)
        assert copied.told["copy"] > 0.99
        assert max(told for name, told in copied.told.items() if name != "copy") < 0.01

    def test_numbers_are_cut_into_places_of_equal_size_in_their_order(self) -> None:
        values = pd.Series(np.random.default_rng(0).normal(size=6400))
        values[:640] = np.nan
        bins = Column.of("a", values).bins
        assert set(bins[:640]) == {N_BINS}
        assert set(np.bincount(bins[640:])) == {90}
        by_value = bins[640:][np.argsort(values[640:])]
        assert (np.diff(by_value) >= 0).all()

    def test_common_words_have_a_place_each_and_the_rare_share_one(self) -> None:
        words = [f"w{i}" for i in range(100) for _ in range(100 - i)]
        bins = Column.of("a", pd.Series(words)).bins
        place = dict(zip(words, bins, strict=True))
        assert [place[f"w{i}"] for i in range(100)] == [min(i, N_BINS - 1) for i in range(100)]


class TestLeaks:
    @pytest.mark.parametrize("kind", ["words", "numbers", "missing"])
    def test_a_column_made_of_the_target_is_found_and_no_other(self, kind: str) -> None:
        y, rng = classes(1), np.random.default_rng(1)
        is_yes = (y == "yes").to_numpy() ^ (rng.random(N) < 0.03)
        leak = {
            "words": np.where(is_yes, "paid", "open"),
            "numbers": is_yes * 5 + rng.normal(size=N),
            "missing": np.where(is_yes, rng.normal(size=N), np.nan),
        }[kind]
        findings = of_kind(found(clean(1).assign(after=leak), y), "leak")
        assert [f.columns for f in findings] == [("after",)]
        assert findings[0].flags == ("--drop", "after")
        assert findings[0].severity == "serious"
        assert of_kind(found(clean(1).assign(after=leak), y, drop=["after"]), "leak") == []

    def test_a_price_with_tax_gives_a_price_away(self) -> None:
        y = quantity(2)
        findings = found(clean(2).assign(gross=1.19 * y + 0.01), y)
        assert [(f.kind, f.columns) for f in findings] == [("leak", ("gross",))]

    def test_both_of_two_copies_are_found(self) -> None:
        y = classes(3, 4000)
        frame = clean(3, 4000).assign(a=y, b=y.map({"yes": 7, "no": 3}))
        leaks = of_kind(found(frame, y), "leak")
        assert {f.columns for f in leaks} == {("a",), ("b",)}

    def test_others_that_know_as_much_together_clear_a_column(self) -> None:
        rng = np.random.default_rng(4)
        a, b = rng.integers(0, 2, (2, 1000))
        y = a ^ b
        expert = y ^ (rng.random(1000) < 0.08)
        frame = pd.DataFrame({"expert": expert, "noise": rng.normal(size=1000)})
        assert [f.columns for f in found(frame, y)] == [("expert",)]
        frame = frame.assign(a=a, b=b)
        of = evidence(frame, y)
        assert max(of.told["a"], of.told["b"]) < 0.01
        assert told_by_others(of, "expert") > 0.9
        assert found(frame, y) == []

    def test_a_value_that_one_outcome_leaves_behind_is_found(self) -> None:
        y, rng = classes(5), np.random.default_rng(5)
        mark = pd.Series(rng.normal(size=N)).where((y == "yes") & (rng.random(N) < 0.5))
        of = evidence(clean(5).assign(mark=mark), y)
        rows = of.known
        (finding,) = CHECKS["outcome mark"].find(of)
        n_given = int(mark.iloc[rows].notna().sum())
        share = (y.iloc[rows] == "no").mean()
        assert finding.columns == ("mark",)
        assert f"Where 'mark' is given, 'y' is 'yes' in all {n_given} rows" in finding.seen
        assert finding.figures == {
            "rows": n_given,
            "other_classes": 0,
            "expected": pytest.approx(n_given * share),
        }

    def test_a_value_that_is_missing_for_one_outcome_is_found(self) -> None:
        y = classes(6)
        gap = pd.Series(np.ones(N)).mask((y == "yes") & (np.arange(N) % 2 == 0))
        gap[0] = 2.0
        (finding,) = of_kind(found(clean(6).assign(gap=gap), y), "outcome mark")
        assert "Where 'gap' is missing" in finding.seen

    def test_few_marked_rows_may_be_chance(self) -> None:
        y = classes(7)
        few = (y == "yes") & ((y == "yes").cumsum() <= 30)
        mark = pd.Series(np.random.default_rng(7).normal(size=N)).where(few)
        # The test part takes some of the 30: fewer than 20 others are to be expected.
        assert of_kind(found(clean(7).assign(mark=mark), y), "outcome mark") == []


class TestRows:
    @pytest.mark.parametrize("with_id", [False, True])
    def test_repeated_rows_are_counted_part_by_part(self, with_id: bool) -> None:
        frame = clean(8)
        frame.loc[N - 60 :] = frame.loc[:59].to_numpy()
        frame = frame.infer_objects()
        keys = frame.astype(object).map(repr).agg("|".join, axis=1)
        if with_id:  # which must not hide them
            frame["id"] = np.arange(N)
        of = evidence(frame, classes(8))
        (finding,) = CHECKS["duplicates"].find(of)
        split = of.checked.split
        in_train = set(keys.iloc[split.train])
        before_test = in_train | set(keys.iloc[split.validation])
        n_validation = sum(key in in_train for key in keys.iloc[split.validation])
        n_test = sum(key in before_test for key in keys.iloc[split.test])
        assert finding.figures["validation_rows"] == n_validation > 0
        assert finding.figures["test_rows"] == n_test > 0
        assert finding.severity == ("notable" if with_id else "serious")
        assert ("but for 'id'" in finding.seen) == with_id

    def test_rows_of_few_values_repeat_by_chance(self) -> None:
        rng = np.random.default_rng(9)
        frame = pd.DataFrame({c: rng.choice(["p", "q", "r"], N) for c in "abcd"})
        assert frame.duplicated().sum() > 300
        assert found(frame, classes(9)) == []

    def test_images_that_repeat_are_found(self) -> None:
        rng = np.random.default_rng(10)
        images = rng.integers(0, 255, (100, 4, 4)).astype(np.uint8)
        y = np.arange(100) % 2
        assert found(images, rng.permutation(y)) == []
        images[50:] = images[:50]
        assert [f.kind for f in found(images, rng.permutation(y))] == ["duplicates"]

    def test_sorted_rows_are_found(self) -> None:
        for y in (classes(11), quantity(11)):
            (finding,) = found(clean(11), np.sort(y))
            assert (finding.kind, finding.severity) == ("order", "notable")
            assert finding.seen == "The rows are sorted by 'y'."

    def test_neighbours_that_are_alike_are_found_by_how_much(self) -> None:
        rng = np.random.default_rng(12)
        y = np.repeat(rng.choice(["a", "b", "c"], N // 4), 4)
        of = evidence(clean(12), y)
        (finding,) = CHECKS["order"].find(of)
        known = y[of.known]
        kappa = cohen_kappa_score(known[:-1], known[1:])
        # Kappa takes the classes' shares of either side, which differ by one row.
        assert finding.figures["alike"] == pytest.approx(kappa, abs=0.01)
        walk = np.cumsum(rng.normal(size=N))
        of = evidence(clean(12), walk)
        (finding,) = CHECKS["order"].find(of)
        known = walk[of.known]
        rho = scipy.stats.spearmanr(known[:-1], known[1:]).statistic
        assert finding.figures["alike"] == pytest.approx(rho, abs=0.01)


class TestTarget:
    def test_rare_classes_are_found_with_the_score_of_a_constant(self) -> None:
        y = np.random.default_rng(13).permutation(["sick"] * 30 + ["well"] * 370)
        of = evidence(clean(13), y)
        (finding,) = CHECKS["imbalance"].find(of)
        known = y[of.known]
        constant = DummyClassifier().fit(known[:, None], known).score(known[:, None], known)
        assert finding.figures["commonest"] == pytest.approx(constant)
        assert f"accuracy of {constant:.3f}" in finding.why
        assert finding.flags == ("--metric", "balanced_accuracy")
        assert found(clean(13), y, metric="balanced_accuracy") == []

    def test_a_class_that_no_row_has_is_not_rare(self) -> None:
        y = pd.Series(["a", "b"] * (N // 2), dtype=pd.CategoricalDtype(["a", "b", "never"]))
        assert CHECKS["imbalance"].find(evidence(clean(15), y)) == []

    def test_outliers_are_counted_beyond_tukeys_outer_fences(self) -> None:
        y = quantity(14)
        y[:8] = [900, 800, -700, 1000, 850, 950, -600, 1100]
        of = evidence(clean(14), y.sample(frac=1, random_state=0, ignore_index=True))
        (finding,) = CHECKS["outliers"].find(of)
        values = of.labels.to_numpy()
        iqr, quartiles = scipy.stats.iqr(values), np.percentile(values, [25, 75])
        far = (values < quartiles[0] - 3 * iqr) | (values > quartiles[1] + 3 * iqr)
        around = np.square(values - values.mean())
        assert finding.figures["outliers"] == far.sum() > 3
        assert finding.figures["share_of_squares"] == pytest.approx(
            around[far].sum() / around.sum()
        )
        assert finding.flags[:2] == ("--loss", "huber")
        assert CHECKS["outliers"].find(replace(of, config=make_config({"loss": "huber"}))) == []

    def test_outliers_are_found_where_most_values_are_the_same(self) -> None:
        """As of claims, of which most are none and a few are huge."""
        y = quantity(16).abs().where(np.arange(N) % 10 == 0, 0.0)
        assert CHECKS["outliers"].find(evidence(clean(16), y)) == []
        y[[20, 120, 220]] = [90_000, 80_000, 85_000]
        (finding,) = CHECKS["outliers"].find(evidence(clean(16), y))
        assert finding.figures["outliers"] == 3
        assert "half of those that are not 0 lie" in finding.seen


def test_rows_without_a_target_are_counted(tmp_path: Path) -> None:
    frame = clean(26).assign(y=classes(26).mask(np.arange(N) % 40 == 0))
    frame.to_csv(tmp_path / "t.csv", index=False)
    check = check_data(make_config({"data": str(tmp_path / "t.csv"), "target": "y"}))
    (finding,) = of_kind(check.findings, "unlabelled")
    assert f"'y' is missing in 10 of {N} rows." in finding.seen
    assert sum(check.to_dict()["rows"]) == N - 10
    assert "Left out 10 rows that have no target." in check.evidence.checked.left_out


class TestColumns:
    @pytest.mark.parametrize(
        ("name", "values", "is_one"),
        [
            ("counter", np.arange(N) * 3, True),
            ("shuffled", np.random.default_rng(0).permutation(N) + 1000, True),
            ("CustomerID", np.random.default_rng(0).choice(10**9, N, replace=False), True),
            ("weight", np.random.default_rng(0).choice(10**9, N, replace=False), False),
            ("half", np.arange(N) + 0.5, False),
            ("words", [f"person {i}" for i in range(N)], True),
            ("groups", [f"group {i // 3}" for i in range(N)], False),
            ("sparse", [f"p {i}" if i % 4 == 0 else None for i in range(N)], False),
        ],
    )
    def test_columns_that_name_their_rows(self, name: str, values: object, is_one: bool) -> None:
        findings = of_kind(found(clean(15).assign(**{name: values}), classes(15)), "identifier")
        assert [f.columns for f in findings] == ([(name,)] if is_one else [])

    @pytest.mark.parametrize(
        ("text", "is_text"),
        [
            ("customer {i} said that it rained", True),
            ("Mr. Owen Harris Braund the {i}th", True),
            ("Braund, Mr. Owen {i}", False),  # four words
            ("person {i}", False),
            ("the weather was fine on weekday {w}", False),  # seven texts
        ],
    )
    def test_texts_are_not_taken_for_names(self, text: str, is_text: bool) -> None:
        column = [text.format(i=i, w=i % 7) for i in range(N)]
        findings = found(clean(15).assign(said=column), classes(15))
        texts = of_kind(findings, "texts")
        assert [f.columns for f in texts] == ([("said",)] if is_text else [])
        assert not (is_text and of_kind(findings, "identifier"))
        assert all(finding.figures == {"words": 6.0} for finding in texts)

    def test_what_a_column_holds_in_a_word(self) -> None:
        frame = clean(15).assign(flag=[True, False] * (N // 2), words=["a", "b"] * (N // 2))
        columns = evidence(frame, classes(15)).columns
        kinds = {name: columns[name].kind for name in ("flag", "words", "normal")}
        assert kinds == {"flag": "yes/no", "words": "words", "normal": "numbers"}

    def test_a_counter_that_follows_the_target_is_worth_a_word(self) -> None:
        frame = clean(25).assign(Order=np.arange(N))
        (plain,) = of_kind(found(frame, quantity(25)), "identifier")
        (drifting,) = of_kind(found(frame, quantity(25) + np.arange(N) / 8), "identifier")
        assert "says nothing of new rows" in plain.why
        assert "new rows may lie beyond" in drifting.why

    def test_columns_that_say_nothing_or_next_to_nothing(self) -> None:
        frame = clean(16).assign(same="a", empty=None, nearly=[1, 2, 3] + [0] * (N - 3))
        findings = of_kind(found(frame, classes(16)), "constant")
        assert [f.columns for f in findings] == [("same", "empty"), ("nearly",)]
        assert findings[1].figures == {"nearly": 3}
        assert findings[0].command == "--drop same --drop empty"

    @pytest.mark.parametrize(
        ("form", "are_dates"),
        [
            ("%Y-%m-%d", True),
            ("%Y-%m-%d %H:%M:%S", True),
            ("%Y-%m-%dT%H:%M:%S.%f+00:00", True),
            ("%d.%m.%Y", True),
            ("%m/%d/%y", True),
            ("%d-%m/%Y", False),
            ("%B", False),
            ("%Y.%m", False),
            ("%m.%d.%y", False),  # or a version
            ("code %Y-%m-%d", False),
        ],
    )
    def test_dates_that_are_taken_for_words(self, form: str, are_dates: bool) -> None:
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N) // 4, unit="D")
        column = pd.Series(days.strftime(form)).mask(np.arange(N) % 9 == 0)
        findings = of_kind(found(clean(27).assign(day=column), classes(27)), "dates")
        assert [f.columns for f in findings] == ([("day",)] if are_dates else [])

    def test_columns_that_are_mostly_missing_with_their_share(self) -> None:
        frame = clean(17)
        frame.loc[: N * 3 // 4 - 1, "normal"] = None
        (finding,) = found(frame, classes(17))
        assert (finding.kind, finding.figures) == ("missing", {"normal": 0.75})
        assert "'normal' 75 %" in finding.seen


def test_labels_of_the_test_part_are_seen_by_no_check() -> None:
    frame = clean(18)
    frame.loc[N - 60 :] = frame.loc[:59].to_numpy()
    data = checked(frame.infer_objects().assign(after=classes(18)), classes(18))
    labels = data.raw.labels.copy()
    labels.iloc[data.split.test] = "yes"
    other = replace(data, raw=replace(data.raw, labels=labels))
    config = make_config({})
    first, second = (
        [f for check in CHECKS.values() for f in check.find(Evidence(d, config))]
        for d in (data, other)
    )
    assert [f.kind for f in first] == ["leak", "duplicates"]
    assert first == second


def test_findings_bear_the_name_of_their_check_and_brief_ones_are_serious() -> None:
    y = np.sort(np.where(np.arange(N) % 12 == 0, "rare", "common"))
    frame = clean(19).assign(after=y, mark=np.where(y == "common", 1.0, np.nan), id=np.arange(N))
    frame["same"] = 1
    frame.loc[: N // 2 + 9, "skewed"] = None
    data = checked(frame, y)
    of = Evidence(data, make_config({}))
    for name, check in CHECKS.items():
        for finding in check.find(of):
            assert finding.kind == name
            assert check.serious or finding.severity == "notable"
    kinds = {f.kind for f in serious_findings(data, make_config({}))}
    assert kinds == {"leak", "outcome mark", "imbalance"}


class TestControl:
    @pytest.mark.parametrize("y", [classes, quantity], ids=["classes", "quantity"])
    def test_shuffled_labels_score_like_a_constant(self, y) -> None:
        made = shuffled_control(checked(clean(20, 200), y(20, 200)), make_config({}), 5)
        assert not made.leaks
        assert abs(np.mean(made.scores) - made.chance) < 0.15
        mean, sem = np.mean(made.scores), scipy.stats.sem(made.scores)
        low, high = scipy.stats.t.interval(0.95, 4, mean, sem)
        assert made.half_width == pytest.approx((high - low) / 2)

    @pytest.mark.parametrize("y", [classes, quantity], ids=["classes", "quantity"])
    def test_a_split_that_shares_rows_shows(self, y, monkeypatch) -> None:
        def shared(*arguments):
            split = split_as_set(*arguments)
            return replace(split, test=np.union1d(split.test, split.train[::2]))

        monkeypatch.setattr(control, "split_as_set", shared)
        assert shuffled_control(checked(clean(21, 200), y(21, 200)), make_config({}), 5).leaks

    def test_a_preparation_that_sees_labels_shows(self, monkeypatch) -> None:
        def with_labels(*arguments):
            dataset, none = prepare(*arguments)
            parts = {
                name: replace(part, x=np.c_[part.x, part.y + np.sin(np.arange(len(part)))])
                for name in ("train", "validation", "test")
                for part in [getattr(dataset, name)]
            }
            return replace(dataset, **parts), none

        monkeypatch.setattr(control, "prepare", with_labels)
        assert shuffled_control(checked(clean(22, 200), classes(22, 200)), make_config({}), 5).leaks


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A table whose column "made of y" gives the target away."""
    path = tmp_path / "leaky.csv"
    y = classes(23)
    clean(23).assign(**{"made of y": y == "yes"}, y=y).to_csv(path, index=False)
    return path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Call the command line in this process: (exit code, standard output, standard error)."""

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evonet", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return called


class TestCommand:
    def test_it_says_what_was_seen_why_it_matters_and_what_to_do(self, call, leaky) -> None:
        code, output, errors = call("check", leaky, "--target", "y")
        assert (code, errors) == (0, "")
        assert "Serious   'made of y' alone tells" in output
        assert "every score flatters" in output
        assert "          --drop 'made of y'\n" in output
        following = next(line for line in output.splitlines() if line.startswith("Next"))
        words = shlex.split(following.removeprefix("Next"))
        same = ["evonet", "evolve", "--data", str(leaky), "--target", "y"]
        assert words == [*same, "--drop", "made of y"]

    def test_the_next_command_keeps_the_flags_that_were_passed(self, call, leaky) -> None:
        passed = ["--task", "binary", "--seed", "3", "--drop", "flag", "--metric", "f1_macro"]
        _, output, _ = call("check", leaky, "--target", "y", *passed)
        following = next(line for line in output.splitlines() if line.startswith("Next"))
        words = shlex.split(following)[5:]
        flags = [*zip(words[::2], words[1::2], strict=True)]
        for flag in zip(passed[::2], passed[1::2], strict=True):
            assert flags.count(flag) == 1
        assert ("--drop", "made of y") in flags

    def test_advice_takes_the_place_of_what_was_passed(self, call, tmp_path: Path) -> None:
        path = tmp_path / "rare.csv"
        y = np.where(np.arange(N) % 20 == 0, "yes", "no")
        clean(5).assign(y=y).to_csv(path, index=False)
        _, output, _ = call("check", path, "--target", "y", "--metric", "accuracy")
        following = next(line for line in output.splitlines() if line.startswith("Next"))
        assert following.count("--metric") == following.count("--metric balanced_accuracy") == 1

    def test_it_changes_nothing_and_leaves_no_files(self, call, leaky, tmp_path: Path) -> None:
        before = leaky.read_bytes()
        call("check", leaky, "--target", "y")
        assert [path.name for path in tmp_path.iterdir()] == ["leaky.csv"]
        assert leaky.read_bytes() == before

    def test_strict_makes_the_exit_code_tell(self, call, leaky) -> None:
        assert call("check", leaky, "--target", "y", "--strict")[0] == 1
        code, output, _ = call("check", leaky, "--target", "y", "--drop", "made of y", "--strict")
        assert (code, "Nothing odd was found." in output) == (0, True)

    def test_json_is_one_object_with_findings_columns_and_control(self, call, leaky) -> None:
        code, output, _ = call("check", leaky, "--target", "y", "--shuffled-labels", "--json")
        made = json.loads(output)
        assert code == 0
        assert made["rows"] == [240, 80, 80]
        assert [f["command"] for f in made["findings"]] == ["--drop 'made of y'"]
        share = {c["name"]: c["missing"] for c in made["columns"]}
        assert share["word"] == pytest.approx(clean(23)["word"].isna().mean())
        assert len(made["control"]["scores"]) == 10
        assert made["control"]["leaks"] is False

    def test_images_and_tables_of_numbers_are_checked_too(self, call, tmp_path: Path) -> None:
        y = np.repeat([0, 1], 50)
        pixels = np.random.default_rng(0).integers(0, 255, (100, 3, 3)).astype(np.uint8)
        np.savez(tmp_path / "images.npz", x_train=pixels, y_train=y)
        code, output, _ = call("check", "images.npz", "--shuffled-labels")
        assert code == 0
        assert "The rows are sorted by 'y'." in output
        assert "Control   On shuffled labels" in output
        np.savez(tmp_path / "numbers.npz", x_train=np.c_[y, pixels[:, 0, 0]] * 1.0, y_train=y)
        assert "'x0' alone tells" in call("check", "numbers.npz")[1]

    def test_a_mistake_is_one_line(self, call, leaky) -> None:
        code, output, errors = call("check", leaky, "--target", "z")
        assert (code, output, errors.count("\n")) == (1, "", 1)
        assert "has no column 'z'" in errors

    def test_names_that_a_terminal_or_a_shell_would_obey_do_no_harm(self, call, tmp_path) -> None:
        y = classes(24)
        names = ["\x1b[31m<b>red</b>", "a\nb; rm -rf /", "[bold]", "é" * 10_000]
        frame = clean(24).assign(**dict.fromkeys(names, y), y=y)
        frame.to_parquet(tmp_path / "odd.parquet")
        code, output, _ = call("check", "odd.parquet", "--target", "y")
        assert (code, "\x1b" in output) == (0, False)
        assert output.count("alone tells") == len(names)
        assert "'[bold]' alone tells" in output
        findings = json.loads(call("check", "odd.parquet", "--target", "y", "--json")[1])[
            "findings"
        ]
        assert {f["columns"][0] for f in findings} == set(names)
        for finding in findings:
            assert shlex.split(finding["command"]) == ["--drop", finding["columns"][0]]


@pytest.mark.usefixtures("fake_training")
class TestRuns:
    def test_a_run_begins_with_what_is_serious_and_keeps_it(self, call, leaky) -> None:
        flags = ("--target", "y", "--generations", 0, "--name", "run")
        code, output, _ = call("evolve", "--data", leaky, *flags)
        said = "Advice    'made of y' alone tells"
        assert (code, said in output) == (0, True)
        assert "Consider --drop 'made of y'" in output
        assert output.index(said) < output.index("Goal")
        assert said in call("show", "run")[1]
        assert said in call("resume", "run", "--generations", 1)[1]

    def test_a_run_on_clean_data_says_nothing(self, call) -> None:
        output = call("evolve", "--data", "iris", "--generations", 0)[1]
        assert "Advice" not in output

    def test_advice_is_part_of_no_key(self, leaky, tmp_path, monkeypatch) -> None:
        def protocol(name: str) -> tuple[str, int]:
            settings = {"data": str(leaky), "target": "y", "generations": 0, "name": name}
            folder = evolve(make_config({**settings, "results": tmp_path / "r"})).folder
            with RunRecord(folder) as record:
                n_advice = len(record.facts.data.advice)
                return protocol_key(**record.facts.protocol), n_advice

        advised = protocol("a")
        monkeypatch.setattr(evonet.setup, "serious_findings", lambda *_: ())
        silent = protocol("b")
        assert (advised[1], silent[1]) == (1, 0)
        assert advised[0] == silent[0]

    def test_records_without_advice_are_shown_as_before(self) -> None:
        data = facts(notes=["A note."]).data.to_dict()
        del data["advice"]
        assert len(data_lines(from_plain(DataFacts, data))) == 2

    def test_of_many_findings_the_first_are_shown_and_the_others_counted(self) -> None:
        finding = Finding("leak", "serious", "Seen.", "Why.", "Advice.", ("--drop", "a b"))
        lines = data_lines(replace(facts().data, advice=(finding,) * 5))
        assert lines[1:] == [
            "Advice    Seen. Consider --drop 'a b'",
            "          Seen. Consider --drop 'a b'",
            "          Seen. Consider --drop 'a b'",
            "          2 more, and why: evonet check, with the same data and target.",
        ]


class TestRealData:
    def test_titanic_gives_itself_away_by_boat_and_body(self, shared_data: Path) -> None:
        file = shared_data / "tabular" / "titanic3.csv.gz"
        made = check_data(make_config({"data": str(file), "target": "survived"}))
        serious = [f for f in made.findings if f.severity == "serious"]
        assert [(f.kind, f.columns) for f in serious] == [
            ("leak", ("boat",)),
            ("outcome mark", ("body",)),
        ]

    @pytest.mark.parametrize(
        ("name", "target"),
        [("credit_g", '"class"'), ("ames_housing", "SalePrice"), ("vehicle", "19")],
    )
    def test_nothing_serious_is_found_in_good_data(
        self, shared_data: Path, name: str, target: str
    ) -> None:
        file = shared_data / "tabular" / f"{name}.csv.gz"
        made = check_data(make_config({"data": str(file), "target": target}))
        assert [f.kind for f in made.findings if f.severity == "serious"] == []


def test_what_flatters_the_test_score_is_told_from_what_does_not() -> None:
    assert set(FLATTERING) <= set(CHECKS)

    def of(kind: str, **figures: float) -> bool:
        return Finding(kind, "serious", "", "", "", figures=figures).flatters_test

    assert of("leak")
    assert not of("imbalance")
    assert of("duplicates", test=0.1, validation=0.0)
    assert not of("duplicates", test=0.0, validation=0.1)
