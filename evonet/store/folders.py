"""Where runs lie: a folder each in the results folder, which is a run once it holds a record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from shlex import quote

from evonet.errors import RecordError
from evonet.paths import is_folder

#: The record's name in a run's folder.
FILE = "run.sqlite"
#: Of the data's name in that of a run: file systems take 255 bytes, which may be 64 letters.
_MOST_LETTERS = 40


def new_folder(results: Path, name: str | None, data_name: str) -> Path:
    """A folder that holds no run yet, made where it is missing.

    Args:
        results: the folder that holds the runs; made where it is missing.
        name: the new folder's name; data and time where it is None.
        data_name: what the name starts with where ``name`` is None.

    Raises:
        RecordError: a run of that name exists, or the folder cannot be made.
    """
    stem = name or f"{data_name:.{_MOST_LETTERS}}-{datetime.now():%Y%m%d-%H%M%S}"
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
                refuse_existing(folder)
                return folder
    except OSError as error:
        raise RecordError(
            f"Cannot make a run in {results}: {error.strerror}. Pass "
            f"{'another --name, or ' if name else ''}--results FOLDER."
        ) from None
    raise RecordError(f"Cannot find a free name for a run {stem} in {results}.")


def refuse_existing(folder: Path) -> None:
    """Make no run where there is one.

    Raises:
        RecordError: there is a run, or a file that is no folder.
    """
    if (folder / FILE).exists() or not folder.is_dir():
        raise RecordError(
            f"{folder} exists already. Pass another --name, or go on with it: "
            f"evonet resume {quote(str(folder))}"
        )


def run_folders(results: Path) -> list[Path]:
    """The run folders in a results folder, by name."""
    if not is_folder(results):
        return []
    return sorted(path.parent for path in results.glob(f"*/{FILE}"))
