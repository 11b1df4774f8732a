"""Compiled loops are kept for the sources they were made from, and for no others."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest

from evonet.config import make_config
from evonet.data.dataset import load_dataset
from evonet.errors import TrainingError
from evonet.training import compiling
from evonet.training.cache_folder import CACHE_VARIABLE
from evonet.training.worker import compile_loops

TRAINING = Path(compiling.__file__).parent
PACKAGE = TRAINING.parent


def imported_files(path: Path) -> set[Path]:
    """The modules of evonet that a module imports when it is loaded."""
    nodes = ast.parse(path.read_text("utf-8")).body
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names = {name for name in names if name.startswith("evonet.")}
    return {PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names}


def test_the_folder_is_named_by_all_that_is_compiled_and_by_what_that_imports() -> None:
    loops = {p for p in TRAINING.glob("*.py") if "\n@compiled" in p.read_text("utf-8")}
    assert loops
    imported = set().union(*map(imported_files, loops)) - {PACKAGE / "errors.py"}
    named = {(TRAINING / name).resolve() for name in compiling._SOURCES}
    assert loops | imported == named


def test_a_layout_is_made_without_numba() -> None:
    code = "import sys, evonet.training.layout; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestTheFolder:
    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
        return tmp_path

    def loops(self, cache: Path, name: str, days: float) -> Path:
        """A folder that some process loaded so many days ago."""
        folder = cache / name
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "loop.nbc").write_bytes(b"code")
        os.utime(folder, times=(time.time() - days * 86_400,) * 2)
        return folder

    def test_a_new_one_takes_the_place_of_those_not_used_for_a_month(self, cache: Path) -> None:
        old, used = self.loops(cache, "loops-a", 31), self.loops(cache, "loops-b", 29)
        other = self.loops(cache, "program", 99)
        own = Path(compiling._folder.__wrapped__() or "")
        assert sorted(cache.iterdir()) == sorted([own, used, other])
        assert not old.exists()

    def test_one_that_is_there_is_marked_as_used_and_nothing_is_removed(self, cache: Path) -> None:
        own = Path(compiling._folder.__wrapped__() or "")
        old = self.loops(cache, "loops-a", 31)
        os.utime(own, times=(0, 0))
        assert compiling._folder.__wrapped__() == str(own)
        assert old.exists()
        assert time.time() - own.stat().st_mtime < 86_400

    def test_what_cannot_be_removed_is_left(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = self.loops(cache, "loops-a", 31)
        (cache / "loops-gone").symlink_to(cache / "nowhere")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("not yours")

        monkeypatch.setattr(os, "rmdir", refuse)
        monkeypatch.setattr(os, "unlink", refuse)
        assert compiling._folder.__wrapped__()
        assert old.exists()


class TestTelling:
    def test_once_and_only_if_something_is_compiled(self) -> None:
        @numba.njit
        def inner(x: float) -> float:
            return x + 1

        @numba.njit
        def outer(x: float) -> float:
            return inner(x) * 2

        told = []
        for _ in range(2):
            with compiling.telling(lambda: told.append(True)):
                assert outer(1.0) == 4.0
        assert told == [True]

    def test_a_full_disk_is_said(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
        monkeypatch.setattr("evonet.training.trainer.Trainer.fit", full)
        data = load_dataset(make_config({"data": "iris"}))
        expected = rf"cannot be kept in {tmp_path} \(No space left.*Make room there, or set EVONET"
        with pytest.raises(TrainingError, match=expected):
            compile_loops(data, "sparse_categorical_crossentropy", lambda _: None)

    @pytest.mark.slow
    def test_loops_that_were_kept_train_to_the_same_bits_and_are_not_compiled_again(
        self, tmp_path: Path
    ) -> None:
        code = """if True:
            import hashlib
            from evonet.config import make_config
            from evonet.data.dataset import load_dataset
            from evonet.evaluation import Budget
            from evonet.genome import Genome, Layer
            from evonet.training.worker import compile_loops
            from evonet.training.trainer import Trainer

            loss = "sparse_categorical_crossentropy"
            data = load_dataset(make_config({"data": "digits"}))
            compile_loops(data, loss, lambda kept: print("compiles, kept:", kept))
            layers = (
                Layer(70, "gelu", 0.3, "batch", "concat"),
                Layer(33, "tanh", 0.1, "layer", "concat"),
                Layer(20, "selu", 0.2),
            )
            genome = Genome(layers, "matched_normal", "adam", 0.01, 32, input_noise=0.1)
            trained = Trainer(data, loss, Budget(5, 5)).fit(genome, 3)
            arrays = [trained.outputs, *trained.weights]
            print(hashlib.sha256(b"".join(map(bytes, arrays))).hexdigest(), trained.train_loss)
        """
        said = [
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, CACHE_VARIABLE: str(tmp_path)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()
            for _ in range(2)
        ]
        assert said[0] == ["compiles, kept: True", *said[1]]
        assert len(said[1]) == 1
