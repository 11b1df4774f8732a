"""The command line: flags, output, exit codes, and one clear line for every mistake."""

from __future__ import annotations

import gzip
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import FakeEvaluator, fake_training

from evonet.__main__ import main
from evonet.config import RunConfig, flag_of
from evonet.genome import Genome, Layer
from evonet.genome.files import write_genomes
from evonet.store.record import RunRecord
from evonet.training import worker

__all__ = ["fake_training"]


@pytest.fixture
def evonet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Call the command line in this process: (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evonet", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def table(path: Path, **changes: object) -> Path:
    """A CSV file of 60 rows with columns a (numbers), b (words) and y (two classes)."""
    columns = {
        "a": np.arange(60) % 7 + 0.5,
        "b": [("red", "green", "blue")[i % 3] for i in range(60)],
        "y": [("yes", "no")[i % 2] for i in range(60)],
    }
    pd.DataFrame(columns | changes).to_csv(path, index=False)
    return path


class TestHelp:
    def test_every_setting_is_a_flag_of_evolve_with_its_description(
        self, evonet, monkeypatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "300")
        code, output, _ = evonet("evolve", "--help")
        assert code == 0
        for name, field in RunConfig.model_fields.items():
            assert f"{flag_of(name)} " in output
            assert field.description in output.replace("\n", " ")
        assert "(default: 16)" in output  # square brackets would be taken for markup

    def test_no_command_shows_help(self, evonet) -> None:
        code, output, errors = evonet()
        assert "evolve" in output + errors
        assert "resume" in output + errors
        assert code in (0, 2)


@pytest.mark.usefixtures("fake_training")
class TestRuns:
    def test_evolve_json_prints_one_object_and_nothing_else(self, evonet) -> None:
        flags = ("--generations", 1, "--epochs", 32)
        code, output, errors = evonet("evolve", "--data", "iris", *flags, "--json")
        assert (code, errors) == (0, "")
        result = json.loads(output)
        assert result["trainings"] == 16 + 4 * 12  # raced
        assert {"run", "winner", "search_score", "validation_score", "test_score"} <= set(result)
        assert {"baselines", "seconds"} <= set(result)
        assert Path(result["run"]).is_dir()

    def test_quiet_prints_the_folder_alone(self, evonet, tmp_path: Path) -> None:
        code, output, _ = evonet("evolve", "--data", "iris", "--name", "r", "--quiet")
        assert (code, output) == (0, f"{Path('results') / 'r'}\n")

    @pytest.mark.parametrize("flag", ["--quiet", "--json"])
    def test_what_is_wrong_is_said_all_the_same(self, evonet, tmp_path: Path, flag: str) -> None:
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "scores.sqlite").write_bytes(b"no database" * 1000)
        code, output, errors = evonet("evolve", "--data", "iris", "--generations", 0, flag)
        assert (code, len(output.splitlines())) == (0, 1)
        (line,) = errors.splitlines()
        assert line.startswith("evonet: The run goes on without the score cache, and trains what")
        assert "results/scores.sqlite: file is not a database" in line

    def test_what_is_quoted_is_nothing_that_a_terminal_obeys(self, evonet, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text(r'data = "\u001b]0;owned\u0007.csv"')
        code, output, errors = evonet("evolve", "--config", "c.toml")
        assert (code, output) == (1, "")
        assert errors.startswith("evonet: No data at �]0;owned�.csv: expected one of digits")
        assert errors.rstrip("\n").isprintable()

    def test_a_machine_without_memory_is_told_so(self, evonet, monkeypatch) -> None:
        def fails(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr("evonet.run.evolve", fails)
        code, output, errors = evonet("evolve", "iris")
        assert (code, output) == (1, "")
        assert errors.startswith("evonet: This machine has no memory left. End what else runs")

    @pytest.mark.parametrize(
        "arguments", [("evolve", "x" * 10_000), ("show", "x" * 10_000), ("predict", "r", "x" * 999)]
    )
    def test_a_name_too_long_for_a_file_is_of_none(self, evonet, arguments: tuple) -> None:
        code, _, errors = evonet(*arguments)
        assert code == 1
        assert re.match("evonet: No (data|run) at ", errors)
        assert len(errors.splitlines()) == 1

    def test_a_line_for_each_generation_and_no_control_codes_in_a_pipe(self, evonet) -> None:
        _, output, _ = evonet("evolve", "--data", "iris", "--generations", 3)
        lines = [line for line in output.splitlines() if line[:5].strip().isdigit()]
        assert [int(line[:5]) for line in lines] == [0, 1, 2, 3]
        assert "\x1b" not in output
        assert "\r" not in output

    def test_it_says_that_it_compiles_before_it_does(self, evonet, monkeypatch) -> None:
        monkeypatch.setattr("evonet.loop.compile_loops", lambda data, loss, tell: tell(True))
        code, output, _ = evonet("evolve", "--data", "iris", "--generations", 0)
        assert code == 0
        assert (
            "Compiling the training loops, once on this machine (half a minute or more) ..."
            in output
        )

    def test_config_file_gives_settings_and_flags_win(self, evonet, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('data = "wine"\ngenerations = 2\npopulation_size = 7\n')
        arguments = ("--config", "c.toml", "--generations", 0, "--json")
        code, output, _ = evonet("evolve", *arguments)
        assert (code, json.loads(output)["trainings"]) == (0, 7)
        assert "wine" in json.loads(output)["run"]

    def test_saved_config_runs_the_same_run_again(self, evonet, tmp_path: Path) -> None:
        evonet(
            "evolve", "--data", "iris", "--seed", 4, "--generations", 1, "--name", "a", "--quiet"
        )
        config = tmp_path / "results" / "a" / "config.toml"
        code, output, _ = evonet("evolve", "--config", config, "--name", "b", "--json")
        assert (code, json.loads(output)["trainings"]) == (0, 0)  # all from the cache

    def test_list_and_show_tell_what_was_run(self, evonet) -> None:
        flags = ("--generations", 1, "--epochs", 32, "--quiet")
        evonet("evolve", "--data", "iris", "--name", "mine", *flags)
        code, output, _ = evonet("list", "--json")
        assert code == 0
        (row,) = json.loads(output)
        assert (row["run"], row["state"], row["generation"], row["trainings"]) == (
            "mine",
            "done",
            1,
            64,
        )
        assert "mine" in evonet("list")[1]
        code, output, _ = evonet("show", "mine")
        assert code == 0
        for word in ("iris", "accuracy", "validation", "test", "Winner", "done", "64 networks"):
            assert word in output
        assert json.loads(evonet("show", "mine", "--json")[1])["trainings"] == 64

    def test_list_shows_a_damaged_run_and_goes_on(self, evonet, tmp_path: Path) -> None:
        evonet("evolve", "--data", "iris", "--name", "good", "--generations", 0, "--quiet")
        (tmp_path / "results" / "bad").mkdir()
        (tmp_path / "results" / "bad" / "run.sqlite").write_bytes(b"not a database at all" * 100)
        code, output, _ = evonet("list")
        assert code == 0
        assert re.search(r"^bad +unreadable", output, re.MULTILINE)
        assert re.search(r"^good +done", output, re.MULTILINE)
        assert "bad: results/bad/run.sqlite" in output

    def test_save_population_and_start_from_it(self, evonet, tmp_path: Path) -> None:
        whole = ("--fidelity", "off")  # what was given up early would be trained again
        evonet("evolve", "--data", "iris", "--name", "a", "--generations", 1, "--quiet", *whole)
        assert evonet("save-population", "a", "p.json")[0] == 0
        code, output, _ = evonet(
            "evolve", "--data", "iris", "--population", "p.json", "--generations", 0, "--json"
        )
        assert (code, json.loads(output)["trainings"]) == (0, 0)

    def test_names_that_look_like_markup_are_shown_as_they_are(
        self, evonet, tmp_path: Path
    ) -> None:
        path = table(tmp_path / "d.csv", **{"[red]x[/red]": "same"})
        code, output, _ = evonet("evolve", "--data", path, "--target", "y", "--generations", 0)
        assert code == 0
        assert "[red]x[/red]" in output


@pytest.mark.usefixtures("fake_training")
class TestLogs:
    RUN = ("evolve", "--data", "iris", "--name", "r", "--generations", 0, "--quiet")

    def test_a_run_logs_for_tensorboard_if_asked_to_or_is_exported_later(self, evonet) -> None:
        pytest.importorskip("tensorboard")  # an extra
        evonet(*self.RUN, "--tensorboard")
        code, output, errors = evonet("to-tensorboard", "r", "--json")
        assert (code, errors) == (0, "")
        assert json.loads(output) == {"logs": "results/r/tensorboard", "written": 0}
        evonet(*(word if word != "r" else "s" for word in self.RUN), "--no-tensorboard")
        _, output, _ = evonet("to-tensorboard", "s")
        assert (
            output == "Wrote 16 candidates. See them: tensorboard --logdir results/s/tensorboard\n"
        )

    def test_a_run_becomes_a_study_once(self, evonet, tmp_path: Path) -> None:
        pytest.importorskip("optuna")  # an extra
        evonet(*self.RUN)
        _, output, _ = evonet("to-optuna", "r")
        assert output.startswith("Wrote 16 of 16 trials to the study r. See them: ")
        assert output.endswith("optuna-dashboard results/r/optuna.log\n")
        code, output, errors = evonet("to-optuna", "r", "--json")
        assert (code, errors) == (0, "")
        assert json.loads(output)["written"] == 0
        code, output, errors = evonet("to-optuna", "r", "--storage", "results/r/run.sqlite")
        assert (code, output) == (1, "")
        assert "it is a database of something else" in errors
        assert errors.count("\n") == 1


class TestPlan:
    """``evonet plan`` says what would be trained, and trains nothing."""

    def test_json_counts_the_first_generation(self, evonet, tmp_path: Path) -> None:
        code, output, errors = evonet("plan", "--data", "iris", "--population-size", 9, "--json")
        assert (code, errors) == (0, "")
        plan = json.loads(output)
        assert sum(row["networks"] for row in plan["kinds"]) == 9
        sizes = [row["batch_size"] for row in plan["kinds"]]
        assert sizes == sorted(set(sizes))
        assert plan["too_large"] == []
        assert list(tmp_path.iterdir()) == []  # no run, no results

    def test_data_may_be_named_without_a_flag_but_once(self, evonet) -> None:
        assert evonet("plan", "iris", "--json") == evonet("plan", "--data", "iris", "--json")
        code, _, errors = evonet("plan", "iris", "--data", "wine")
        assert (code, errors) == (
            2,
            "evonet: Data are named twice, iris and --data wine. Pass one.\n",
        )

    def test_it_is_the_first_generation_that_evolve_trains(
        self, evonet, monkeypatch, request: pytest.FixtureRequest
    ) -> None:
        flags = ("--data", "iris", "--seed", 5, "--fix", "optimizer=adam")
        planned: list[str] = []
        make_plan = worker.make_plan

        def remember(requests, *rest):
            planned.extend(request.genome.key for request in requests)
            return make_plan(requests, *rest)

        monkeypatch.setattr(worker, "make_plan", remember)
        assert evonet("plan", *flags)[0] == 0
        request.getfixturevalue("fake_training")
        _, output, _ = evonet("evolve", *flags, "--generations", 0, "--json")
        with RunRecord(Path(json.loads(output)["run"])) as record:
            assert sorted(planned) == sorted(s.genome.key for s in record.evaluations())

    def test_the_table_tells_the_genomes_of_a_file(self, evonet, tmp_path: Path) -> None:
        small = Genome((Layer(70, "relu"),), "matched_normal", "adam", 0.01, 16)
        large = replace(small, layers=(Layer(65_536, "relu"),) * 4, batch_size=32)
        write_genomes(tmp_path / "g.json", [("a", "", small), ("b", "", small), ("c", "", large)])
        code, output, _ = evonet("plan", "--data", "iris", "--genomes", "g.json", "--workers", 1)
        assert code == 0
        lines = [line.split() for line in output.splitlines()]
        # 4 inputs, 70 units, 3 classes: 5 * 70 + 71 * 3 parameters, twice
        assert lines[1][:2] == ["16", "2"]
        assert lines[1][2] == f"{2 * (5 * 70 + 71 * 3):,}"
        assert lines[2][:2] == ["32", "1"]
        assert "Workers   1," in output
        (line,) = [line for line in output.splitlines() if line.startswith("Too large")]
        assert str(large) in line

    def test_workers_rows_and_epochs_count(self, evonet) -> None:
        def plan(*flags: object) -> dict:
            return json.loads(evonet("plan", *flags, "--json")[1])

        iris, digits = (plan("--data", name, "--workers", 1) for name in ("iris", "digits"))
        assert digits["seconds"] > iris["seconds"]
        longer = plan("--data", "iris", "--workers", 1, "--epochs", 2000)
        assert longer["seconds"] > 5 * iris["seconds"]
        assert plan("--data", "iris", "--workers", 3)["workers"] == 3

    @pytest.mark.parametrize(
        ("flags", "code", "message"),
        [
            (("--engine", "keras"), 2, "engine keras trains one network after the other"),
            (("--genomes", "no.json"), 1, "Cannot read genomes from no.json"),
            (("--metric", "rmse"), 2, "metric rmse does not fit"),
            (("--loss", "mae"), 2, "loss mae is for regression"),
        ],
    )
    def test_mistakes(self, evonet, flags, code, message) -> None:
        got, output, errors = evonet("plan", "--data", "iris", *flags)
        assert (got, output) == (code, "")
        assert errors.startswith(f"evonet: {message}")
        assert errors.count("\n") == 1


MISTAKES = [
    pytest.param(("--data", "no.csv"), 1, r"No data at no.csv: expected one of digits", id="no file"),  # noqa: E501
    pytest.param(("--target", "z"), 1, r"no column 'z'; pass --target with one of 'a', 'b', 'y'", id="no target"),  # noqa: E501
    pytest.param((), 1, r"needs a target: pass --target COLUMN, one of 'a', 'b', 'y'", id="target left out"),  # noqa: E501
    pytest.param(("--target", "y", "--fix", "width=3"), 1, r"--fix: unknown gene 'width'; expected one of layers", id="unknown gene"),  # noqa: E501
    pytest.param(("--target", "y", "--fix", "activation=rellu"), 1, r"activation=rellu: expected one of relu", id="unknown value"),  # noqa: E501
    pytest.param(("--target", "y", "--space", "s.toml"), 1, r"s.toml: unknown gene 'depth'; expected one of", id="gene in space"),  # noqa: E501
    pytest.param(("--target", "y", "--metric", "rmse"), 2, r"metric rmse does not fit a binary target; expected", id="metric"),  # noqa: E501
    pytest.param(("--target", "y", "--loss", "huber"), 2, r"loss huber is for regression", id="loss"),  # noqa: E501
    pytest.param(("--target", "y", "--population-size", "3"), 2, r"population_size .*got 3. Change --population-size", id="population"),  # noqa: E501
    pytest.param(("--target", "y", "--offspring", "0"), 2, r"offspring .*got 0. Change --offspring", id="offspring"),  # noqa: E501
    pytest.param(("--target", "y", "--config", "nope.toml"), 2, r"Cannot read the config nope.toml", id="config"),  # noqa: E501
    pytest.param(("--target", "y", "--population", "nope.json"), 1, r"Cannot read genomes from nope.json", id="genomes"),  # noqa: E501
    pytest.param(("--target", "y", "--drop", "q"), 1, r"--drop 'q': no such column; expected one of 'a', 'b'", id="drop"),  # noqa: E501
    pytest.param(("--target", "y", "--name", "../x"), 2, r"name must be a plain folder name", id="name"),  # noqa: E501
]  # fmt: skip


class TestMistakes:
    """Every line of "bad input gets one clear line and nothing is lost"."""

    @staticmethod
    def check_one_line(outcome: tuple[int, str, str], code: int, pattern: str) -> None:
        import re

        got, _, errors = outcome
        assert got == code, errors
        assert errors.count("\n") == 1, errors
        assert errors.startswith("evonet: ")
        assert re.search(pattern, errors), errors
        assert "Traceback" not in errors

    def test_data_may_be_named_without_a_flag_but_once(self, evonet) -> None:
        self.check_one_line(evonet("evolve", "no.csv"), 1, "No data at no.csv: expected one of")
        named_twice = evonet("evolve", "iris", "--data", "wine")
        self.check_one_line(named_twice, 2, "named twice, iris and --data wine")

    @pytest.mark.parametrize(("arguments", "code", "pattern"), MISTAKES)
    def test_mistake_in_a_flag(self, evonet, tmp_path, arguments, code, pattern) -> None:
        table(tmp_path / "t.csv")
        (tmp_path / "s.toml").write_text("depth = [1]\n")
        outcome = evonet("evolve", "--data", "t.csv", *arguments)
        self.check_one_line(outcome, code, pattern)
        assert not (tmp_path / "results").exists()  # refused before anything is made

    @pytest.mark.parametrize(
        ("changes", "pattern"),
        [
            ({"y": "yes"}, r"Target 'y' has only one value, 'yes'; nothing to learn"),
            (
                {"y": [None] * 51 + [*["yes", "no"] * 4, "no"]},
                r"in 51 of 60 rows, which leaves 9",
            ),
            ({"a": [np.inf, *range(59)]}, r"Column 'a' has 1 value that is infinite"),
            ({"a": 1, "b": "same"}, r"no column to learn from: all are empty, constant or dropped"),
            ({"a": 1, "b": None}, r"no column to learn from: all are empty, constant or dropped"),
        ],
    )
    def test_mistake_in_a_table(self, evonet, tmp_path, changes, pattern) -> None:
        path = table(tmp_path / "t.csv", **changes)
        self.check_one_line(evonet("evolve", "--data", path, "--target", "y"), 1, pattern)

    def test_two_rows(self, evonet, tmp_path) -> None:
        (tmp_path / "t.csv").write_text("a,y\n1,x\n2,z\n")
        outcome = evonet("evolve", "--data", "t.csv", "--target", "y")
        self.check_one_line(outcome, 1, r"t has 2 rows; expected at least 10")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("t.csv", b""),
            ("t.csv", b"\xff\xfe\x00\x01,\x80"),
            ("t.csv.gz", gzip.compress(b"a,y\n" + b"1,x\n2,z\n" * 1000, mtime=0)[:-20]),
            ("t.parquet", b"PAR1 and no more"),
            ("t.feather", b"ARROW1 and no more"),
            ("t.npz", b"PK\x03\x04 and no more"),
            ("t.xyz", b"a,y\n1,2\n"),
        ],
    )
    def test_file_that_cannot_be_read(self, evonet, tmp_path, name, content) -> None:
        (tmp_path / name).write_bytes(content)
        target = () if name.endswith("npz") else ("--target", "y")
        outcome = evonet("evolve", "--data", name, *target)
        self.check_one_line(outcome, 1, rf"{name}")

    @pytest.mark.parametrize("command", ["resume", "show", "plot", "save-population"])
    def test_run_that_does_not_exist(self, evonet, command) -> None:
        more = ("p.json",) if command == "save-population" else ()
        self.check_one_line(evonet(command, "nowhere", *more), 1, r"No run at .*nowhere")

    @pytest.mark.parametrize("command", ["resume", "show", "plot"])
    def test_damaged_record(self, evonet, tmp_path, command, fake_training) -> None:
        evonet("evolve", "--data", "iris", "--name", "r", "--generations", 0, "--quiet")
        record = tmp_path / "results" / "r" / "run.sqlite"
        record.write_bytes(record.read_bytes()[:5000])
        self.check_one_line(evonet(command, "r"), 1, r"run\.sqlite.*damaged")

    def test_constant_and_empty_columns_are_named_and_left_out(
        self, evonet, tmp_path, fake_training
    ) -> None:
        path = table(tmp_path / "t.csv", c=7, d=None)
        code, output, _ = evonet("evolve", "--data", path, "--target", "y", "--generations", 0)
        assert code == 0
        assert "Left out 'd': empty" in output
        assert "Left out 'c': constant" in output

    def test_wrong_usage_exits_with_2(self, evonet) -> None:
        assert evonet("evolve", "--no-such-flag")[0] == 2
        assert evonet("evolve", "--generations", "many")[0] == 2
        assert evonet("no-such-command")[0] == 2

    def test_debug_shows_the_traceback(self, evonet, tmp_path) -> None:
        from evonet.errors import DataError

        with pytest.raises(DataError, match="No data at"):
            evonet("evolve", "--data", "no.csv", "--debug")

    def test_failure_of_every_training_is_one_line_with_the_reason(
        self, evonet, fake_training: type[FakeEvaluator]
    ) -> None:
        fake_training.fails = staticmethod(lambda _: ("diverged", "a loss was not finite"))
        outcome = evonet("evolve", "--data", "iris", "--quiet")
        self.check_one_line(outcome, 1, r"16 failed, 16 of them with 'diverged: a loss was not f")
