"""Sessions of runs in processes of their own, and what their records hold."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

_SCRIPTS = Path(__file__).parents[1]


def start(
    arguments: Sequence[str],
    module: str = "evonet",
    environment: Mapping[str, str] = MappingProxyType({}),
    within: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start a session; its errors can be read.

    Args:
        arguments: of evonet.
        module: what takes its place.
        environment: variables beside those of this process.
        within: a command that is given evonet's for its last arguments.
    """
    path = os.pathsep.join(filter(None, [str(_SCRIPTS), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [*within, sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # by which its workers are found
    )


def place_of(run: Path) -> tuple[str, ...]:
    """The flags that name a new run."""
    return "--results", str(run.parent), "--name", run.name


def exists(run: Path) -> bool:
    """Whether there is a run to go on with."""
    return (run / "run.sqlite").is_file()


def recorded(run: Path) -> set[str]:
    """ "GENOME SEED" of every training in a record."""
    if not exists(run):
        return set()
    with closing(sqlite3.connect(run / "run.sqlite", timeout=30)) as connection:
        rows = connection.execute(
            "SELECT json_extract(evaluation, '$.genome_key'), "
            "json_extract(evaluation, '$.seed') FROM evaluations"
        ).fetchall()
    return {f"{key} {seed}" for key, seed in rows}


def is_whole(run: Path) -> bool:
    """Whether SQLite finds nothing wrong with a record, where there is one."""
    if not exists(run):
        return True
    with closing(sqlite3.connect(run / "run.sqlite", timeout=30)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
