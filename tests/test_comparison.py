"""Runs side by side say what their records say, and refuse what cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import fake_training

from evonet.comparison import comparison
from evonet.config import RunConfig, make_config
from evonet.errors import RecordError
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
            assert row["revalidated"] == pytest.approx(sum(winner.repeats) / 3)
            assert row["test"] == winner.test_score
            assert row["trainings"] == result.trainings
        # 30 test rows, half of them right: 1.96 sqrt(0.25 / 30)
        assert first["test_half_width"] == pytest.approx(0.1789, abs=1e-4)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"metric": "log_loss"}, "metric"),
            ({"data": "wine"}, "data"),
            ({"test_fraction": 0.3}, "the shares of the parts"),
        ],
    )
    def test_runs_that_differ_in_what_scores_mean_are_refused(
        self, config: RunConfig, change: dict, words: str
    ) -> None:
        folders = [evolve(config).folder, evolve(config.changed(name="b", **change)).folder]
        with pytest.raises(RecordError, match=f"b and .*a differ in {words}: their scores"):
            comparison(folders)

    def test_a_run_without_a_winner_is_refused(self, config: RunConfig) -> None:
        stopped = evolve(config, should_stop=lambda: True)
        with pytest.raises(RecordError, match=r"has no winner yet\. Go on with it: evonet resume"):
            comparison([stopped.folder])
