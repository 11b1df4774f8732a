"""Commands that start or go on with a run: evolve, resume, train, plan."""

from __future__ import annotations

import atexit
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from evonet.cli.settings import with_settings
from evonet.cli.shared import RESULTS, Json, Quiet, Results, Run, folder_of
from evonet.config import make_config, read_config
from evonet.errors import ConfigError

#: Settings of a fit, whatever comes before it.
_OF_FITS = ("seed", "final_epochs", "final_fits", "patience_epochs", "workers")
_Named = Annotated[
    Optional[str],  # noqa: UP045 - read at run time, on Python 3.10 too
    typer.Argument(metavar="DATA", help="The same as --data.", show_default=False),
]


@with_settings("Data", "Goal", "Search", "Stop", "Winner", "Training", "Machines", "Record")
def evolve_command(
    *,
    named: _Named = None,
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--config", help="Settings in TOML, such as a run's config.toml."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Evolve networks on your data; without flags, on the digits data, in a few minutes."""
    settings = _with_data(settings, named)
    from_file = read_config(config) if config else {}
    make_config(from_file, where=str(config))  # so that a mistake is found where it was made
    checked = make_config({**from_file, **settings})
    from evonet.run import evolve

    _run(lambda observer, stop: evolve(checked, observer, stop), quiet, as_json)


@with_settings("Stop", "Machines", defaults=False)
def resume_command(
    *,
    run: Run,
    results: Results = RESULTS,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Go on with a stopped or killed run to its own limits, or to new ones instead of them."""
    from evonet.run import resume

    folder = folder_of(run, results)
    _run(lambda observer, stop: resume(folder, settings, observer, stop), quiet, as_json)


@with_settings("Data", "Goal", "Record", also=_OF_FITS)
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
            f"{genome} has {len(genomes)} genome{'' if len(genomes) == 1 else 's'}, the first is "
            f"0; got --pick {pick}."
        )
    _run(lambda observer, stop: train(genomes[pick], checked, observer, stop), quiet, as_json)


@with_settings("Data", "Goal", "Search", "Training", "Machines")
def plan_command(
    *,
    named: _Named = None,
    genomes: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--genomes", help="File of genomes to plan; a first generation if left out."),
    ] = None,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Say how the fused engine would train: portions, memory and time. Trains nothing."""
    checked = make_config(_with_data(settings, named))
    from evonet.genome.files import read_genomes
    from evonet.printing import show_plan
    from evonet.run import plan

    made = plan(checked, read_genomes(genomes) if genomes else ()).to_dict()
    if as_json:
        typer.echo(json.dumps(made))
    else:
        show_plan(made)


def _with_data(settings: dict[str, Any], named: str | None) -> dict[str, Any]:
    """Settings with the data that an argument names, if one does; ConfigError where both do."""
    if named is None:
        return settings
    if "data" in settings:
        raise ConfigError(f"Data are named twice, {named} and --data {settings['data']}. Pass one.")
    return {**settings, "data": named}


def _run(start: Callable[[Any, Callable[[], bool]], Any], quiet: bool, as_json: bool) -> None:
    """Start or resume a run, show it as asked, and leave with its exit code."""
    from evonet.terminal import QuietObserver, TerminalObserver

    observer = QuietObserver() if quiet or as_json else TerminalObserver()
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
        if self._asked:  # one more while Python ends would only show where it was
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)

    def _handle(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        with suppress(RuntimeError):  # that something was just being printed
            self._observer.on_stop_asked()
