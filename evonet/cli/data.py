"""Commands that look at data: check."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from evonet.cli.settings import with_settings
from evonet.cli.shared import Json
from evonet.config import RunConfig, make_config

#: Settings that say which data, and how a run would split and judge them.
_OF_DATA = ("target", "drop", "task", "test_fraction", "validation_fraction", "seed")
_OF_GOAL = ("metric", "loss")
#: Shuffles of a control: enough for an interval, few enough to wait for. Untuned.
_N_SHUFFLES = 10


@with_settings(also=(*_OF_DATA, *_OF_GOAL))
def check_command(
    *,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help=RunConfig.model_fields["data"].description)
    ],
    shuffled_labels: Annotated[
        bool,
        typer.Option(
            "--shuffled-labels",
            help="Also train quick models on shuffled labels, which must score like a constant.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave with exit code 1 where something is serious.")
    ] = False,
    as_json: Json = False,
    settings: dict[str, Any],
) -> None:
    """Say what is odd about data before anything is trained. Advises, and changes nothing."""
    config = make_config({"data": data, **settings})
    from evonet.advice.checks import check_data
    from evonet.advice.lines import check_lines
    from evonet.terminal import TerminalObserver

    found = check_data(config, _N_SHUFFLES if shuffled_labels else 0)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    else:
        say = TerminalObserver().say
        for line, style in check_lines(found.to_dict(), config):
            say(line, style)
    if strict and found.is_serious:
        raise typer.Exit(1)
