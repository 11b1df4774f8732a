"""Commands that write a run's candidates for other tools: to-tensorboard, to-optuna."""

from __future__ import annotations

import json
from typing import Annotated, Optional

import typer

from evonet.cli.shared import RESULTS, Json, Results, Run, folder_of


def to_tensorboard_command(*, run: Run, results: Results = RESULTS, as_json: Json = False) -> None:
    """Write TensorBoard logs of a run: its candidates as trials of the HParams dashboard."""
    from evonet.extras import require

    require("tensorboard", "evonet to-tensorboard")
    from evonet.logs.event_files import FOLDER, export_event_files

    folder = folder_of(run, results)
    n_written, logs = export_event_files(folder), folder / FOLDER
    if as_json:
        typer.echo(json.dumps({"logs": str(logs), "written": n_written}))
    else:
        typer.echo(f"Wrote {n_written} candidates. See them: tensorboard --logdir {logs}")


def to_optuna_command(
    *,
    run: Run,
    storage: Annotated[
        Optional[str],  # noqa: UP045 - read at run time, on Python 3.10 too
        typer.Option(
            "--storage",
            help="File, or a database such as sqlite:///FILE; optuna.log in the run's folder if "
            "left out.",
        ),
    ] = None,
    study: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--study", help="Name of the study; the run's if left out."),
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Write an Optuna study of a run: its candidates as trials, also for optuna-dashboard."""
    from evonet.extras import require

    require("optuna", "evonet to-optuna")
    from evonet.logs.optuna_study import export_study

    made = export_study(folder_of(run, results), storage, study)
    if as_json:
        typer.echo(json.dumps(made))
    else:
        typer.echo(
            f"Wrote {made['written']} of {made['trials']} trials to the study {made['study']}. "
            f"See them: optuna-dashboard {made['storage']}"
        )
