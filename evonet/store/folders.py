"""Where runs lie: a folder each in the results folder, which is a run once it holds a record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from shlex import quote

from evonet.errors import RecordError

#: The record's name in a run's folder.
FILE = "run.sqlite"


def new_folder(results: Path, name: str | None, data_name: str) -> Path:
    """A folder that holds no run yet, made where it is missing.

    Args:
        results: the folder that holds the runs; made where it is missing.
        name: the new folder's name; data and time where it is None.
        data_name: what the name starts with where ``name`` is None.

    Raises:
        RecordError: a run of that name exists, or the folder cannot be made.
    """
    stem = name or f"{data_name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):
            folder = results / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                if name is None:
                    continue
                if (folder / FILE).exists() or not folder.is_dir():
                    raise RecordError(
                        f"{folder} exists already. Pass another --name, or go on with it: "
                        f"evonet resume {quote(str(folder))}"
                    ) from None
                return folder
    except OSError as error:
        raise RecordError(
            f"Cannot make a run in {results}: {error.strerror}. Pass --results FOLDER."
        ) from None
    raise RecordError(f"Cannot find a free name for a run {stem} in {results}.")


def run_folders(results: Path) -> list[Path]:
    """The run folders in a results folder, by name."""
    if not results.is_dir():
        return []
    return sorted(path.parent for path in results.glob(f"*/{FILE}"))
