"""Compiled loops are kept for the sources they were made from, and for no others."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from evonet.training import compiling

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
