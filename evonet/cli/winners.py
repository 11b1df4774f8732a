"""Commands that use a run's winner: predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from evonet.cli.shared import RESULTS, Results, Run, folder_of


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
    results: Results = RESULTS,
) -> None:
    """Predict rows of the original table with a run's winner."""
    from evonet.champion.prediction import predict_file
    from evonet.errors import DataError

    text = predict_file(folder_of(run, results), file, probabilities).to_csv(index=False)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise DataError(f"Cannot write {output}: {error.strerror}.") from None
