"""Commands that read records: show, list, compare, save-population, plot,
report, watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from evonet.cli.shared import RESULTS, Json, Port, Results, Run, folder_of


def show_command(*, run: Run, results: Results = RESULTS, as_json: Json = False) -> None:
    """Explain a run: data, search, winner, and what it is worth."""
    from evonet.printing import show_run
    from evonet.progress import read_result
    from evonet.store.record import RunRecord

    with RunRecord(folder_of(run, results)) as record:
        if as_json:
            typer.echo(json.dumps(read_result(record).to_dict()))
        else:
            show_run(record)


def list_command(*, results: Results = RESULTS, as_json: Json = False) -> None:
    """List the runs of a results folder, by name."""
    from evonet.printing import print_runs, runs_table

    rows = runs_table(results)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        print_runs(results, rows)


def compare_command(
    *,
    runs: Annotated[list[str], typer.Argument(help="Folders or names of runs.", metavar="RUN...")],
    picture: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--picture", help="PNG or SVG file to draw the scores into as well."),
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Runs on the same data side by side: scores with intervals, trainings, time."""
    from evonet.comparison import comparison
    from evonet.printing import show_comparison

    rows = comparison([folder_of(run, results) for run in runs])
    if picture is not None:
        from evonet.report.figures import save_forest

        save_forest(rows, picture)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        show_comparison(rows)


def save_population_command(
    *,
    run: Run,
    file: Annotated[Path, typer.Argument(help="File to write; `evolve --population` reads it.")],
    results: Results = RESULTS,
) -> None:
    """Write the last population of a run to a file that a new run can start from."""
    from evonet.run import save_population

    n_saved = save_population(folder_of(run, results), file)
    typer.echo(
        f"Wrote {n_saved} genomes to {file}. Start from them: evonet evolve --population {file}"
    )


def report_command(
    *,
    run: Run,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", help="HTML file to write; report.html in the run's folder."),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Write a run as one HTML page that needs no network, and its pictures as PNG and SVG."""
    from evonet.page.html import write_report
    from evonet.report.figures import FIGURES, can_draw, save_figures

    folder = folder_of(run, results)
    typer.echo(str(write_report(folder, output)))
    if can_draw(folder):
        where = output.parent / "figures" if output is not None else None
        for path in save_figures(folder, list(FIGURES), where):
            typer.echo(str(path))


def watch_command(
    *,
    run: Run,
    port: Port = 8765,
    results: Results = RESULTS,
) -> None:
    """Show a run's page live in a browser while it goes on; Ctrl-C ends. Needs the extra watch."""
    from evonet.local_server import address_of, open_port, serve
    from evonet.page.server import application, check_watchable

    folder = folder_of(run, results)
    check_watchable(folder)
    listening = open_port(port)
    address = address_of(listening)
    typer.echo(f"Watching {folder} at {address}/  (Ctrl-C ends; the run is not touched)")
    serve(application(folder), listening)


def plot_command(*, run: Run, results: Results = RESULTS) -> None:
    """Draw the pictures of a run into its folder, as PNG and SVG."""
    from evonet.report.figures import FIGURES, save_figures

    for path in save_figures(folder_of(run, results), list(FIGURES)):
        typer.echo(str(path))
