"""What commands share: flags that several have, and a run by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evonet.paths import is_folder

RESULTS = Path("results")
Run = Annotated[str, typer.Argument(help="A run's folder, or its name in the results folder.")]
Results = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Port = Annotated[int, typer.Option("--port", help="Port of 127.0.0.1; 0 takes any that is free.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the run's folder and nothing else.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def folder_of(run: str, results: Path) -> Path:
    """A run named by its folder, or by its name in the results folder."""
    named = is_folder(run) or len(Path(run).parts) > 1
    return Path(run) if named else results / run
