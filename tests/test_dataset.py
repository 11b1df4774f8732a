"""The whole way from a file to arrays: read, check, split, prepare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from evonet.config import make_config
from evonet.data.dataset import Dataset, Part, load_dataset
from evonet.data.sources import read_source
from evonet.data.splitting import split_rows
from evonet.errors import ConfigError

N = 60


def load(data: object, **settings: object) -> Dataset:
    return load_dataset(make_config({"data": str(data), **settings}))


def parts(dataset: Dataset) -> list[Part]:
    return [dataset.train, dataset.validation, dataset.test]


def mixed(seed: int = 0) -> pd.DataFrame:
    """A table of numbers, words and booleans, some of them missing, and targets ``y`` and ``z``."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "row": np.arange(N, dtype=np.float64),
            "size": rng.normal(size=N),
            "word": rng.choice(["red", "green", "blue"], N),
            "flag": rng.random(N) > 0.5,
            "y": rng.permutation(["p", "q", "r"] * (N // 3)),
            "z": rng.normal(size=N),
        }
    )
    frame.loc[rng.random(N) > 0.8, ["size", "word"]] = None
    return frame


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "mixed.parquet"
    mixed().to_parquet(path)
    return path


def rows_of(part: Part, dataset: Dataset) -> np.ndarray:
    """The rows of a part, read back from the input that numbers them."""
    column = dataset.preparation.columns[0]
    assert column.name == "row"
    return np.rint(part.x[:, 0].astype(np.float64) * column.scale + column.mean).astype(int)


# --- what comes out -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task", "n", "n_inputs", "classes"),
    [
        ("digits", "multiclass", 1797, 64, tuple(range(10))),
        ("iris", "multiclass", 150, 4, ("setosa", "versicolor", "virginica")),
        ("wine", "multiclass", 178, 13, ("class_0", "class_1", "class_2")),
        ("breast_cancer", "binary", 569, 30, ("benign", "malignant")),
        ("diabetes", "regression", 442, 10, ()),
        ("circles", "binary", 1000, 2, ("inner", "outer")),
    ],
)
def test_embedded_data_load(
    name: str, task: str, n: int, n_inputs: int, classes: tuple[object, ...]
) -> None:
    dataset = load(name)
    assert (dataset.name, dataset.target.task, dataset.target.classes) == (name, task, classes)
    assert dataset.n_inputs == n_inputs == len(dataset.preparation.inputs)
    assert sum(map(len, parts(dataset))) == n
    for part in parts(dataset):
        assert part.x.shape == (len(part), n_inputs)
        assert part.x.dtype == np.float32
        assert np.isfinite(part.x).all()
        assert part.y.shape == (len(part),)
        assert part.y.dtype == (np.float32 if task == "regression" else np.int32)
        assert part.weight is None
    assert dataset.notes[0].startswith("Target ")


def test_parts_hold_the_rows_of_the_split(file: Path) -> None:
    frame = mixed()
    dataset = load(file, target="y", seed=3, test_fraction=0.25, validation_fraction=0.15)
    split = split_rows(frame["y"], "multiclass", 3, 0.25, 0.15)
    expected = (split.train, split.validation, split.test)
    for part, rows in zip(parts(dataset), expected, strict=True):
        assert rows_of(part, dataset).tolist() == rows.tolist()
        assert [dataset.target.classes[i] for i in part.y] == frame["y"].iloc[rows].tolist()


def test_training_part_is_standardised_and_the_others_follow(file: Path) -> None:
    dataset = load(file, target="z")
    numbers = [dataset.preparation.inputs.index(name) for name in ("row", "size", "flag")]
    assert dataset.train.x[:, numbers].mean(axis=0) == pytest.approx(0, abs=1e-6)  # float32
    assert dataset.train.x[:, numbers].std(axis=0) == pytest.approx(1, abs=1e-6)
    assert dataset.train.y.mean() == pytest.approx(0, abs=1e-6)
    assert dataset.train.y.std() == pytest.approx(1, abs=1e-6)
    truth = mixed()["z"].iloc[rows_of(dataset.test, dataset)]
    assert dataset.target.truth(dataset.test.y) == pytest.approx(truth.to_numpy(), abs=1e-6)


def test_other_target_is_a_column_like_any_other(file: Path) -> None:
    assert "z" in load(file, target="y").preparation.inputs
    assert {"y = p", "y = q", "y = r"} <= set(load(file, target="z").preparation.inputs)
    assert "y = p" not in load(file, target="z", drop=("y",)).preparation.inputs


def test_same_config_gives_the_same_arrays(file: Path) -> None:
    a, b = load(file, target="y"), load(file, target="y")
    for p, q in zip(parts(a), parts(b), strict=True):
        assert np.array_equal(p.x, q.x)
        assert np.array_equal(p.y, q.y)
    assert (a.target, a.preparation, a.fingerprint) == (b.target, b.preparation, b.fingerprint)
    assert (a.notes, a.protocol) == (b.notes, b.protocol)


def test_text_and_binary_file_give_the_same_arrays(file: Path, tmp_path: Path) -> None:
    text = tmp_path / "mixed.csv"
    mixed().to_csv(text, index=False)
    a, b = load(file, target="y"), load(text, target="y")
    assert a.fingerprint == b.fingerprint
    assert a.preparation == b.preparation
    for p, q in zip(parts(a), parts(b), strict=True):
        assert np.array_equal(p.x, q.x)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), target=st.sampled_from(["y", "z"]))
def test_features_outside_the_training_part_do_not_influence_it(
    file: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, target: str
) -> None:
    expected = load(file, target=target, seed=seed)
    frame, other = mixed(), mixed(seed + 1)
    outside = np.concatenate([rows_of(part, expected) for part in parts(expected)[1:]])
    if target == "y":
        columns = [name for name in frame if name != target]
        frame.loc[outside, columns] = other.loc[outside, columns]
    else:
        frame.loc[outside, ["row", "size", "word"]] = None
    path = tmp_path_factory.getbasetemp() / "outside.parquet"
    frame.to_parquet(path)
    changed = load(path, target=target, seed=seed)
    assert changed.preparation == expected.preparation
    assert np.array_equal(changed.train.x, expected.train.x)
    assert np.array_equal(changed.train.y, expected.train.y)


def test_targets_outside_the_training_part_do_not_set_its_scale(tmp_path: Path) -> None:
    frame = mixed().drop(columns="y")
    split = split_rows(frame["z"], "regression", 0, 0.2, 0.2)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.loc[split.test, "z"] *= 1000
    frame.loc[split.validation, "z"] += 1000
    frame.to_csv(tmp_path / "b.csv", index=False)
    a, b = (load(tmp_path / f"{name}.csv", target="z") for name in "ab")
    assert a.target == b.target
    assert np.array_equal(a.train.y, b.train.y)


# --- folds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["y", "z"])
def test_each_fold_learns_of_its_own_training_rows_alone(file: Path, target: str) -> None:
    dataset = load(file, target=target, folds=3)
    whole = load(file, target=target)
    assert np.array_equal(dataset.train.x, whole.train.x)
    assert dataset.scored_on == dataset.folds
    assert whole.scored_on == (whole,)
    kept = set(rows_of(whole.train, whole)) | set(rows_of(whole.validation, whole))
    seen: list[int] = []
    for fold in dataset.folds:
        assert set(rows_of(fold.train, fold)) | set(rows_of(fold.validation, fold)) == kept
        assert len(fold.test) == 0
        number = fold.preparation.inputs.index("size")
        assert fold.train.x[:, number].mean() == pytest.approx(0, abs=1e-6)
        assert abs(fold.validation.x[:, number].mean()) > 1e-4
        seen += list(rows_of(fold.validation, fold))
    assert sorted(seen) == sorted(kept)
    assert dataset.protocol == {**whole.protocol, "folds": 3}
    assert dataset.fingerprint == whole.fingerprint


# --- settings -------------------------------------------------------------------------------------


def test_balanced_weights_are_those_of_scikit_learn(tmp_path: Path) -> None:
    frame = mixed()
    frame["y"] = ["rare"] * 10 + ["p"] * 20 + ["q"] * 30
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(tmp_path / "t.csv", target="y", class_weight="balanced")
    train = dataset.train.y
    of_class = compute_class_weight("balanced", classes=np.arange(3), y=train)
    for part in parts(dataset):
        assert part.weight is not None
        assert part.weight.dtype == np.float32
        assert part.weight == pytest.approx(of_class[part.y], rel=1e-6)  # float32
    sums = [dataset.train.weight[train == k].sum() for k in range(3)]
    assert sums == pytest.approx([len(train) / 3] * 3, rel=1e-6)


def test_balanced_weights_stay_finite_where_training_lacks_a_class(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(N, 2)), np.arange(N) % 2
    test_y = np.array([0, 1, 2] * 4)
    np.savez(tmp_path / "t.npz", x_train=x, y_train=y, x_test=x[:12], y_test=test_y)
    dataset = load(tmp_path / "t.npz", class_weight="balanced")
    assert dataset.target.classes == (0, 1, 2)
    assert np.isfinite(dataset.test.weight).all()


@pytest.mark.parametrize(
    ("settings", "weighted"),
    [
        ({}, False),
        ({"metric": "accuracy"}, False),
        ({"metric": "balanced_accuracy"}, True),
        ({"metric": "balanced_accuracy", "class_weight": "none"}, False),
        ({"metric": "accuracy", "class_weight": "balanced"}, True),
    ],
)
def test_classes_weigh_alike_where_the_metric_weighs_them_alike(
    file: Path, settings: dict[str, str], weighted: bool
) -> None:
    dataset = load(file, target="y", **settings)
    assert (dataset.train.weight is not None) == weighted
    assert dataset.protocol["class_weight"] == ("balanced" if weighted else "none")
    said = any("Pass --class-weight none" in note for note in dataset.notes)
    assert said == (weighted and "class_weight" not in settings)


def test_balanced_classes_are_refused_for_regression(file: Path) -> None:
    with pytest.raises(ConfigError, match="class_weight balanced is for classes"):
        load(file, target="z", class_weight="balanced")


def test_protocol_is_plain_and_names_what_made_the_arrays(file: Path) -> None:
    protocol = load(file, target="y").protocol
    assert json.loads(json.dumps(protocol)) == protocol
    changes: list[dict[str, object]] = [
        {"seed": 1},
        {"test_fraction": 0.3},
        {"validation_fraction": 0.3},
        {"max_categories": 5},
        {"class_weight": "balanced"},
        {"target": "z"},
    ]
    for change in changes:
        assert load(file, **{"target": "y", **change}).protocol != protocol


def test_fingerprint_is_of_the_data_and_not_of_the_split(file: Path) -> None:
    expected = load(file, target="y").fingerprint
    assert load(file, target="y", seed=7, test_fraction=0.3).fingerprint == expected
    for change in ({"target": "z"}, {"drop": ("word",)}):
        assert load(file, **{"target": "y", **change}).fingerprint != expected


def test_notes_say_what_was_inferred_and_what_was_left_out(tmp_path: Path) -> None:
    frame = mixed().assign(
        nothing=None, constant=1, name=[f"person {i}" for i in range(N)], y=["p", "q"] * (N // 2)
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert load(tmp_path / "t.csv", target="y").notes == (
        "Target 'y': 2 classes, so binary.",
        "Left out 'nothing': empty, so it says nothing.",
        "Left out 'constant': constant, so it says nothing.",
        "Left out 'name': hardly any value occurs twice in the training rows.",
    )


def test_note_names_the_classes_that_a_part_lacks(tmp_path: Path) -> None:
    frame = mixed()
    frame["y"] = np.repeat([f"class {i}" for i in range(15)], 4)
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(tmp_path / "t.csv", target="y", test_fraction=0.1)
    (note,) = [note for note in dataset.notes if note.startswith("The test part has no row of")]
    absent = set(range(15)) - set(dataset.test.y.tolist())
    assert f" {len(absent)} classes" in note
    assert repr(dataset.target.classes[min(absent)]) in note


# --- arrays ---------------------------------------------------------------------------------------


def test_images_with_their_own_test_part_load(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(100, 4, 5, 1), dtype=np.uint8)
    y = np.arange(100) % 4
    arrays = {"x_train": x[:70], "y_train": y[:70], "x_test": x[70:], "y_test": y[70:]}
    np.savez(tmp_path / "images.npz", **arrays)
    dataset = load(tmp_path / "images.npz")
    assert [len(part) for part in parts(dataset)] == [56, 14, 30]
    assert dataset.n_inputs == 20
    assert np.array_equal(dataset.test.y, y[70:])
    expected = x[70:].reshape(30, 20) / 255
    assert dataset.test.x == pytest.approx(expected, rel=1e-6)  # float32
    seen = np.concatenate([dataset.train.x, dataset.validation.x])
    assert sorted(map(tuple, np.rint(seen * 255))) == sorted(map(tuple, x[:70].reshape(70, 20)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_in_arrays(tmp_path: Path, bad: float, refuses) -> None:
    rng = np.random.default_rng(0)
    for shape in [(N, 3), (N, 2, 2)]:
        x = rng.normal(size=shape)
        x[7, 1] = bad
        np.savez(tmp_path / "t.npz", x_train=x, y_train=np.arange(N) % 2)
        if len(shape) == 2 and np.isnan(bad):  # in a table a missing value
            assert np.isfinite(load(tmp_path / "t.npz").train.x).all()
        else:
            with refuses("infinite"):
                load(tmp_path / "t.npz")


# --- bad data, from the outside -------------------------------------------------------------------

FAULTS = {
    "a column that does not exist as target": (lambda f: f, {"target": "x"}, "no column 'x'"),
    "no target": (lambda f: f, {}, "needs a target: pass --target COLUMN"),
    "two rows": (lambda f: f.iloc[:2], {"target": "y"}, "has 2 rows; expected at least 10"),
    "one class": (lambda f: f.assign(y="p"), {"target": "y"}, "only one value, 'p'"),
    "no labels": (lambda f: f.assign(y=None), {"target": "y"}, "missing in 60 of 60 rows"),
    "words as a quantity": (lambda f: f, {"target": "y", "task": "regression"}, "not a number"),
    "three classes as two": (lambda f: f, {"target": "y", "task": "binary"}, "has 3 values"),
    "numbers as classes": (
        lambda f: f,
        {"target": "z", "task": "multiclass"},
        "60 classes in 60 rows",
    ),
    "infinity": (lambda f: f.assign(size=np.inf), {"target": "y"}, "60 values that are infinite"),
    "an infinite label": (
        lambda f: f.assign(z=f["z"].mask(f.index == 6, np.inf)),
        {"target": "z"},
        "Target 'z' has values that are infinite",
    ),
    "dates": (
        lambda f: f.assign(day=pd.date_range("2020-01-01", periods=N)),
        {"target": "y"},
        "Column 'day' holds datetime64",
    ),
    "nothing but the target": (lambda f: f[["y"]], {"target": "y"}, "no column to learn from"),
    "nothing but constants": (
        lambda f: f[["y"]].assign(a=1, b=None),
        {"target": "y"},
        "no column to learn from",
    ),
    "nothing but names": (
        lambda f: f[["y"]].assign(a=[f"person {i}" for i in range(N)]),
        {"target": "y"},
        "No column is left to learn from",
    ),
    "an unknown column to drop": (
        lambda f: f,
        {"target": "y", "drop": ("x",)},
        r"--drop 'x': no such column; expected one of '",
    ),
    "the target to drop": (
        lambda f: f,
        {"target": "y", "drop": ("y",)},
        "'y': no such column \\(it is",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_data_that_cannot_be_learned_from_are_refused(tmp_path: Path, fault: str, refuses) -> None:
    change, settings, pattern = FAULTS[fault]
    change(mixed()).to_parquet(tmp_path / "t.parquet")
    with refuses(pattern):
        load(tmp_path / "t.parquet", **settings)


# --- real data ------------------------------------------------------------------------------------

#: File, target, task, rows, feature columns, missing cells: the table in ../shared/data/README.md.
REAL = [
    ("phoneme", "target", "binary", 5404, 5, 0),
    ("titanic3", "survived", "binary", 1309, 13, 3855),
    ("ames_housing", "SalePrice", "regression", 2930, 81, 13997),
    ("splice", "Class", "multiclass", 3190, 60, 0),
    ("sick", "Class", "binary", 3772, 29, 6064),
    ("credit_g", '"class"', "binary", 1000, 20, 0),
]


@pytest.mark.parametrize(("name", "target", "task", "n", "n_columns", "n_missing"), REAL)
def test_real_data_load(
    shared_data: Path,
    name: str,
    target: str,
    task: str,
    n: int,
    n_columns: int,
    n_missing: int,
) -> None:
    path = shared_data / "tabular" / f"{name}.csv.gz"
    features = read_source(str(path), target).features
    assert features.shape == (n, n_columns)
    assert int(features.isna().to_numpy().sum()) == n_missing
    dataset = load(path, target=target)
    assert dataset.target.task == task
    assert sum(map(len, parts(dataset))) == n
    for part in parts(dataset):
        assert part.x.shape == (len(part), len(dataset.preparation.inputs))
        assert np.isfinite(part.x).all()
