"""The command line. It reads flags, calls one function, and prints; it knows nothing else.

Heavy imports stay inside the commands, so that help is instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from evonet import __version__
from evonet.cli.data import check_command
from evonet.cli.logs import to_optuna_command, to_tensorboard_command
from evonet.cli.records import (
    compare_command,
    list_command,
    plot_command,
    report_command,
    save_population_command,
    show_command,
    watch_command,
)
from evonet.cli.runs import evolve_command, plan_command, resume_command, train_command
from evonet.cli.winners import diagnose_command, export_command, predict_command, serve_command

#: By name, in the order of the help.
COMMANDS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "check": check_command,
        "evolve": evolve_command,
        "resume": resume_command,
        "train": train_command,
        "plan": plan_command,
        "predict": predict_command,
        "serve": serve_command,
        "export": export_command,
        "diagnose": diagnose_command,
        "show": show_command,
        "list": list_command,
        "compare": compare_command,
        "save-population": save_population_command,
        "plot": plot_command,
        "to-tensorboard": to_tensorboard_command,
        "to-optuna": to_optuna_command,
        "report": report_command,
        "watch": watch_command,
    }
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


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
