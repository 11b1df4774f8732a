"""Commands that use a run's winner: predict, serve, export, diagnose."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from evonet.cli.shared import RESULTS, Json, Port, Results, Run, folder_of
from evonet.errors import plain

if TYPE_CHECKING:
    from evonet.data.unseen import Unseen

#: Columns of which it is said that they have words which training had not.
_MOST_COLUMNS = 6

Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Of the run's ensemble instead of its one winner.")
]


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
    ensemble: Ensemble = False,
    results: Results = RESULTS,
) -> None:
    """Predict rows of the original table with a run's winner, or with its ensemble."""
    from evonet.champion.prediction import load_predictor, predict_file
    from evonet.data.unseen import together

    portions = predict_file(load_predictor(folder_of(run, results), ensemble), file, probabilities)
    first = next(portions)  # what cannot be predicted is refused before anything is written
    unseen: list[Unseen] = []

    def lines() -> Iterator[str]:
        for i, (table, new) in enumerate(chain([first], portions)):
            unseen[:] = together([*unseen, *new])
            yield table.to_csv(index=False, header=i == 0)

    if output is not None:
        _write_whole(output, lines())
    else:
        shown = _on_a_terminal if sys.stdout.isatty() else str
        for text in lines():  # where nobody reads on, as in `| head`, typer ends it without a word
            typer.echo(shown(text), nl=False, color=True)  # else without what looks like colour
    for line in unseen[:_MOST_COLUMNS]:
        typer.echo(f"evonet: {plain(line)}", err=True)
    if len(unseen) > _MOST_COLUMNS:
        left = len(unseen) - _MOST_COLUMNS
        typer.echo(f"evonet: {left} more columns have such words.", err=True)


def _on_a_terminal(lines: str) -> str:
    """What a file would hold, but for what a terminal would obey, line ends and tabs apart."""
    return "".join(
        part if part in "\r\n\t" else plain(part) for part in re.split(r"([\r\n\t])", lines)
    )


def _write_whole(file: Path, lines: Iterable[str]) -> None:
    """Write texts into a file that appears when it is whole, or not at all.

    Raises:
        DataError: it cannot be written.
    """
    from evonet.errors import DataError
    from evonet.replacing import replacing

    place = file.resolve()
    is_pipe = place.exists() and not place.is_file()  # or a device: written at once
    try:
        with (
            nullcontext(place) if is_pipe else replacing(place) as new,
            new.open("w", encoding="utf-8", newline="") as opened,
        ):
            opened.writelines(lines)
    except OSError as error:
        raise DataError(f"Cannot write {file}: {error.strerror or error}.") from None


def serve_command(
    *,
    run: Run,
    port: Port = 8000,
    ensemble: Ensemble = False,
    results: Results = RESULTS,
) -> None:
    """Answer rows in JSON with predictions at a port of this machine; Ctrl-C ends. Needs the extra
    serve."""
    from evonet.champion.prediction import load_predictor
    from evonet.deploy.endpoint import prediction_service
    from evonet.local_server import address_of, open_port, require_server, serve

    require_server("serve")
    service = prediction_service(load_predictor(folder_of(run, results), ensemble))
    listening = open_port(port)
    address = address_of(listening)
    typer.echo(f"Serving {run} at {address}/predict; {address}/ says what it takes. Ctrl-C ends.")
    serve(service, listening)


def export_command(
    *,
    run: Run,
    name: Annotated[
        Literal["keras", "savedmodel", "onnx", "tflite", "python"],
        typer.Option("--format", help="What to write; python is a script that trains it anew."),
    ] = "keras",
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--output", help="Where to write; `exported` in the run's folder if left out."
        ),
    ] = None,
    ensemble: Ensemble = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Export a run's winner with its preparation: raw columns in, predictions out."""
    from evonet.deploy.exporting import export
    from evonet.printing import show_export

    exported = export(folder_of(run, results), name, output, ensemble)
    if as_json:
        typer.echo(json.dumps(exported.to_dict()))
    else:
        show_export(exported.to_dict())


def diagnose_command(*, run: Run, results: Results = RESULTS, as_json: Json = False) -> None:
    """Say how a run's winner learned, what its layers and its errors look like, and what to do."""
    from evonet.diagnosis.diagnosis import diagnose_run
    from evonet.diagnosis.lines import diagnosis_lines
    from evonet.printing import show_lines
    from evonet.report.diagnosis import save_diagnosis

    folder = folder_of(run, results)
    diagnosis = diagnose_run(folder)
    found = diagnosis.to_dict()
    files = [str(path) for path in save_diagnosis(found, folder)]
    if as_json:
        typer.echo(json.dumps({"run": str(folder), **found, "figures": files}))
    else:
        show_lines([*diagnosis_lines(diagnosis), *((f"Figure    {file}", "") for file in files)])
