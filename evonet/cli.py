"""The command line. It reads flags, calls one function, and prints; it knows nothing else.

The flags of a run are made from the fields of ``RunConfig``: a setting is defined there and
nowhere else. Heavy imports stay inside the commands, so that help is instant.
"""

from __future__ import annotations

import inspect
import json
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, get_args, get_origin

import typer

from evonet import __version__
from evonet.config import RunConfig, make_config, read_config, setting_panel, setting_types

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_RESULTS = Path("results")
#: Settings of a fit, whatever comes before it.
_OF_FITS = ("seed", "final_epochs", "final_fits", "patience_epochs", "workers")
Run = Annotated[str, typer.Argument(help="A run's folder, or its name in the results folder.")]
Results = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the run's folder and nothing else.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"evonet {__version__}")
        raise typer.Exit


@app.callback(
    help="evonet evolves neural-network architectures on your own data.",
    epilog="Every command takes --help, and --debug for the traceback of an error.",
)
def before_the_command(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """What may stand before a command."""


def _with_settings(
    *panels: str, also: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a flag for each setting of some panels of ``RunConfig``, and some others.

    The command takes them as ``**settings``: only those that the user passed.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        names = [
            name for name in RunConfig.model_fields if setting_panel(name) in panels or name in also
        ]

        def wrapper(**values: Any) -> None:
            passed = {n: values.pop(n) for n in names}
            command(**values, settings={n: v for n, v in passed.items() if v is not None})

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name != "settings"]
        wrapper.__signature__ = inspect.Signature([*own, *map(_flag, names)])  # type: ignore[attr-defined]
        wrapper.__doc__ = command.__doc__
        return wrapper

    return decorate


def _flag(name: str) -> inspect.Parameter:
    """The command-line parameter of a setting: None unless it is passed."""
    field = RunConfig.model_fields[name]
    kind = setting_types()[name]
    several = get_origin(kind) is tuple
    if several:
        kind = list[str]
    elif get_origin(kind) is not Literal and get_args(kind):  # "int | None" is an int, if passed
        kind = next(part for part in get_args(kind) if part is not type(None))
    default = "" if field.default is None or several else f" (default: {field.default})"
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{field.description}{default}",
        rich_help_panel=setting_panel(name),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Optional[kind], option],  # noqa: UP045 - `kind` is a variable
    )


@app.command("evolve")
@_with_settings("Data", "Goal", "Search", "Stop", "Winner", "Training", "Record")
def evolve_command(
    *,
    config: Annotated[
        Optional[Path],  # noqa: UP045 - read at run time, on Python 3.10 too
        typer.Option("--config", help="Settings in TOML, such as a run's config.toml."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Evolve networks on your data; without flags, on the digits data, in a few minutes."""
    from_file = read_config(config) if config else {}
    make_config(from_file, where=str(config))  # so that a mistake is found where it was made
    checked = make_config({**from_file, **settings})
    from evonet.run import evolve

    _run(lambda observer, stop: evolve(checked, observer, stop), quiet, as_json)


@app.command("resume")
@_with_settings("Stop")
def resume_command(
    *,
    run: Run,
    results: Results = _RESULTS,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Go on with a stopped or killed run to its own limits, or to new ones instead of them."""
    from evonet.run import resume

    folder = _folder(run, results)
    _run(lambda observer, stop: resume(folder, settings, observer, stop), quiet, as_json)


@app.command("train")
@_with_settings("Data", "Goal", "Record", also=_OF_FITS)
def train_command(
    *,
    genome: Annotated[Path, typer.Argument(help="File of genomes, such as best_genome.json.")],
    pick: Annotated[int, typer.Option("--pick", help="Which genome of the file, from 0.")] = 0,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Fit one genome as a run fits its winner, without a search."""
    checked = make_config(settings)
    from evonet.errors import GenomeError
    from evonet.genome.files import read_genomes
    from evonet.run import train

    genomes = read_genomes(genome)
    if not 0 <= pick < len(genomes):
        raise GenomeError(
            f"{genome} has {len(genomes)} genomes, the first is 0; got --pick {pick}."
        )
    _run(lambda observer, stop: train(genomes[pick], checked, observer, stop), quiet, as_json)


@app.command("plan")
@_with_settings("Data", "Goal", "Search", "Training")
def plan_command(
    *,
    genomes: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--genomes", help="File of genomes to plan; a first generation if left out."),
    ] = None,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Say how the fused engine would train: portions, memory and time. Trains nothing."""
    checked = make_config(settings)
    from evonet.genome.files import read_genomes
    from evonet.run import plan
    from evonet.terminal import show_plan

    made = plan(checked, read_genomes(genomes) if genomes else ()).to_dict()
    if as_json:
        typer.echo(json.dumps(made))
    else:
        show_plan(made)


@app.command("predict")
def predict_command(
    *,
    run: Run,
    file: Annotated[Path, typer.Argument(help="Table with the columns of training, or NPZ.")],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", help="CSV file to write; standard output if left out."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class.")
    ] = False,
    results: Results = _RESULTS,
) -> None:
    """Predict rows of the original table with a run's winner."""
    from evonet.champion.prediction import predict_file
    from evonet.errors import DataError

    text = predict_file(_folder(run, results), file, probabilities).to_csv(index=False)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise DataError(f"Cannot write {output}: {error.strerror}.") from None


@app.command("show")
def show_command(*, run: Run, results: Results = _RESULTS, as_json: Json = False) -> None:
    """Explain a run: data, search, winner, and what it is worth."""
    from evonet.progress import read_result
    from evonet.store.record import RunRecord
    from evonet.terminal import show_run

    with RunRecord(_folder(run, results)) as record:
        if as_json:
            typer.echo(json.dumps(read_result(record).to_dict()))
        else:
            show_run(record)


@app.command("list")
def list_command(*, results: Results = _RESULTS, as_json: Json = False) -> None:
    """List the runs of a results folder, the newest last."""
    from evonet.terminal import list_runs, runs_table

    rows = runs_table(results)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        list_runs(results, rows)


@app.command("compare")
def compare_command(
    *,
    runs: Annotated[list[str], typer.Argument(help="Folders or names of runs.", metavar="RUN...")],
    picture: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--picture", help="PNG or SVG file to draw the scores into as well."),
    ] = None,
    results: Results = _RESULTS,
    as_json: Json = False,
) -> None:
    """Runs on the same data side by side: scores with intervals, trainings, time."""
    from evonet.comparison import comparison
    from evonet.terminal import show_comparison

    rows = comparison([_folder(run, results) for run in runs])
    if picture is not None:
        from evonet.report.figures import save_forest

        save_forest(rows, picture)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        show_comparison(rows)


@app.command("save-population")
def save_population_command(
    *,
    run: Run,
    file: Annotated[Path, typer.Argument(help="File to write; `evolve --population` reads it.")],
    results: Results = _RESULTS,
) -> None:
    """Write the last population of a run to a file that a new run can start from."""
    from evonet.run import save_population

    n_saved = save_population(_folder(run, results), file)
    typer.echo(
        f"Wrote {n_saved} genomes to {file}. Start from them: evonet evolve --population {file}"
    )


@app.command("plot")
def plot_command(*, run: Run, results: Results = _RESULTS) -> None:
    """Draw the pictures of a run into its folder, as PNG and SVG."""
    from evonet.report.figures import FIGURES, save_figures

    for path in save_figures(_folder(run, results), list(FIGURES)):
        typer.echo(str(path))


def _folder(run: str, results: Path) -> Path:
    """A run named by its folder, or by its name in the results folder."""
    named = Path(run).is_dir() or len(Path(run).parts) > 1
    return Path(run) if named else results / run


def _run(start: Callable[[Any, Callable[[], bool]], Any], quiet: bool, as_json: bool) -> None:
    """Start or resume a run, show it as asked, and leave with its exit code."""
    from evonet.progress import Observer
    from evonet.terminal import TerminalObserver

    observer = Observer() if quiet or as_json else TerminalObserver()
    stop = _StopSignal(observer)
    with stop, observer:
        result = start(observer, stop.asked)
    if as_json:
        typer.echo(json.dumps(result.to_dict()))
    elif quiet:
        typer.echo(str(result.folder))
    if result.interrupted:
        raise typer.Exit(130)


class _StopSignal:
    """Ctrl-C (or SIGTERM) once: stop after the running network. Twice: stop at once."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._asked = False

    def asked(self) -> bool:
        """Whether the user asked to stop."""
        return self._asked

    def __enter__(self) -> _StopSignal:
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._handle) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._observer.on_stop_asked()
