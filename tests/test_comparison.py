"""Runs side by side say what their records say, in pictures too; what differs is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import fake_training
from matplotlib.figure import Figure
from scipy import stats
from sklearn.datasets import load_iris

from evonet.comparison import comparison
from evonet.config import RunConfig, make_config
from evonet.errors import RecordError
from evonet.report.figures import save_forest
from evonet.report.forest import forest_table, plot_forest
from evonet.run import evolve

__all__ = ["fake_training"]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    settings = {"data": "iris", "results": tmp_path, "generations": 2, "population_size": 6}
    return make_config({**settings, "name": "a"})


@pytest.mark.usefixtures("fake_training")
class TestComparison:
    def test_a_row_says_what_the_run_said(self, config: RunConfig) -> None:
        evolved = evolve(config)
        drawn = evolve(config.changed(name="b", method="random", seed=3))
        first, second = comparison([evolved.folder, drawn.folder])
        assert (first["run"], first["method"], first["seed"]) == ("a", "ga", 0)
        assert (second["run"], second["method"], second["seed"]) == ("b", "random", 3)
        for row, result in ((first, evolved), (second, drawn)):
            winner = result.winner
            assert winner is not None
            assert row["search"] == winner.search_score
            assert row["revalidated"] == pytest.approx(sum(winner.repeats) / 4)
            assert row["test"] == winner.test_score
            assert row["trainings"] == result.trainings
        assert first["test_interval"] == (0.3, 0.7)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"metric": "log_loss"}, "metric"),
            ({"data": "wine"}, r"data \(--data is 'wine' and 'iris'\)"),
            ({"test_fraction": 0.3}, "the shares of the parts"),
            ({"folds": 3}, "the number of folds"),
        ],
    )
    def test_runs_that_differ_in_what_scores_mean_are_refused(
        self, config: RunConfig, change: dict, words: str
    ) -> None:
        folders = [evolve(config).folder, evolve(config.changed(name="b", **change)).folder]
        with pytest.raises(RecordError, match=f"b and .*a differ in {words}: their scores"):
            comparison(folders)

    def test_what_makes_the_data_differ_is_named(self, config: RunConfig) -> None:
        column = "petal length (cm)"
        first = evolve(config).folder
        second = evolve(config.changed(name="b", drop=(column,))).folder
        said = r"differ in data \(--drop is \['petal length \(cm\)'\] and \[\]\): their scores"
        with pytest.raises(RecordError, match=said):
            comparison([first, second])

    def test_files_of_the_same_data_are_not_blamed_for_another_metric(
        self, config: RunConfig, tmp_path: Path
    ) -> None:
        frame = load_iris(as_frame=True).frame
        folders = []
        for name, metric in (("c", "accuracy"), ("d", "log_loss")):
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
            data = {"data": str(tmp_path / f"{name}.csv"), "target": "target", "metric": metric}
            folders.append(evolve(config.changed(name=name, **data)).folder)
        with pytest.raises(RecordError, match=r"differ in metric: their scores"):
            comparison(folders)

    def test_a_run_without_a_winner_is_refused(self, config: RunConfig) -> None:
        stopped = evolve(config, should_stop=lambda: True)
        with pytest.raises(RecordError, match=r"has no winner yet\. Go on with it: evonet resume"):
            comparison([stopped.folder])


def row(group: str, seed: int, **scores: float | None) -> dict[str, Any]:
    """A row as ``comparison`` gives it, with what a picture needs."""
    none = dict.fromkeys(("search", "revalidated", "revalidated_interval", "test"))
    own = {"run": f"{group} {seed}", "group": group, "seed": seed, "metric": "accuracy"}
    return {**own, **none, "test_interval": None, **scores}


@pytest.mark.usefixtures("fake_training")
class TestGroups:
    def test_runs_are_one_group_if_they_differ_in_their_seeds_alone(
        self, config: RunConfig
    ) -> None:
        changes = [
            {"seed": 0},
            {"seed": 1, "workers": 1, "training_timeout": 600.0},
            {"seed": 2, "offspring": 4, "generations": 3},
            {"method": "random", "epochs": 7},
        ]
        folders = [
            evolve(config.changed(name=f"r{i}", **change)).folder
            for i, change in enumerate(changes)
        ]
        groups = [row["group"].split(", ") for row in comparison(folders)]
        assert [group[0] for group in groups] == ["ga", "ga", "ga", "random"]
        usual = {f"epochs {config.epochs}", "offspring 12", "generations 2"}
        changed = {f"epochs {config.epochs}", "offspring 4", "generations 3"}
        assert set(groups[0][1:]) == set(groups[1][1:]) == usual
        assert set(groups[2][1:]) == changed
        assert set(groups[3][1:]) == {"epochs 7", "offspring 12", "generations 2"}


class TestForest:
    def test_lines_are_groups_runs_and_means_over_the_seeds_of_a_group(self) -> None:
        rows = [
            row("ga", 0, search=0.9, revalidated=0.8, revalidated_interval=(0.7, 0.9), test=0.7),
            row("random", 0, search=0.5, test=0.5),
            row("ga", 1, search=0.7, revalidated=0.6, test=None),
            row("ga", 2, search=0.5, revalidated=0.7, test=0.9),
        ]
        lines = forest_table(rows)
        assert list(lines["kind"]) == ["group", "run", "run", "run", "mean", "group", "run"]
        names = ["ga", "ga 0", "ga 1", "ga 2", "mean of 3 seeds", "random", "random 0"]
        assert list(lines["label"]) == names
        mean = lines.loc[4]
        assert mean["search"] == pytest.approx(0.7)
        assert mean["revalidated"] == pytest.approx(0.7)
        low, high = stats.t.interval(0.95, 2, 0.7, stats.sem([0.8, 0.6, 0.7]))
        assert mean[["revalidated_low", "revalidated_high"]].tolist() == pytest.approx([low, high])
        assert np.isnan(mean["test"])  # one of the three has none
        assert lines.loc[1, ["revalidated_low", "revalidated_high"]].tolist() == [0.7, 0.9]

    def test_a_seed_that_comes_twice_is_no_sample_of_seeds(self) -> None:
        lines = forest_table([row("ga", 0, test=0.7), row("ga", 0, test=0.7)])
        assert "mean" not in set(lines["kind"])

    @pytest.mark.parametrize("ending", [".png", ".svg", ".SVG"])
    def test_a_picture_is_drawn_as_its_name_says(self, tmp_path: Path, ending: str) -> None:
        file = tmp_path / "new" / f"forest{ending}"
        save_forest([row("ga", 0, search=0.9, test=0.8, test_interval=(0.7, 0.85))], file)
        start = file.read_bytes()[:6]
        assert start == (b"\x89PNG\r\n" if ending == ".png" else b"<?xml ")

    @pytest.mark.parametrize("name", ["forest.pdf", "forest"])
    def test_another_kind_of_picture_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(RecordError, match=r"expected a name that ends in \.png or \.svg"):
            save_forest([row("ga", 0)], tmp_path / name)

    def test_every_score_stands_where_it_belongs_with_its_interval(self) -> None:
        rows = [
            row("ga", 0, search=0.9, revalidated=0.8, revalidated_interval=(0.75, 0.85), test=0.7)
        ]
        rows[0]["test_interval"] = (0.66, 0.71)
        figure = Figure(figsize=(11, 4))
        plot_forest(forest_table(rows), figure, "accuracy", maximise=True)
        validation, test = figure.axes
        drawn = [list(map(float, line.get_xdata())) for line in validation.get_lines()]
        assert [0.8] in drawn
        assert pytest.approx([0.75, 0.85]) in drawn
        assert any(0.9 in line for line in drawn)
        drawn = [list(map(float, line.get_xdata())) for line in test.get_lines()]
        assert drawn == [[0.7], pytest.approx([0.66, 0.71])]
        assert {t.get_text() for t in validation.texts} >= {"0.8000 (0.7500 to 0.8500)"}
        assert {t.get_text() for t in test.texts} >= {"0.7000 (0.6600 to 0.7100)"}
        assert validation.yaxis_inverted()

    def test_a_run_without_a_score_says_so(self) -> None:
        figure = Figure()
        plot_forest(forest_table([row("ga", 0)]), figure, "rmse", maximise=False)
        assert "none" in {t.get_text() for t in figure.axes[1].texts}
        assert figure.axes[1].get_xlabel() == "RMSE, lower is better"
