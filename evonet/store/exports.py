"""Files for people beside the record. The record is what counts: all of them can be made again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from evonet.errors import RecordError


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A place to write, which takes a file's place once it is whole; after an error nothing does.

    Raises:
        OSError: the file cannot be written.
    """
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        yield new
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def exporting(folder: Path, command: str = "resume") -> Iterator[None]:
    """Write files into a run's folder.

    Args:
        folder: of the run.
        command: the one that writes them again.

    Raises:
        RecordError: the disk is full or the folder cannot be written; says how to go on.
    """
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"Cannot write into {folder}: {error.strerror or error}. The record is kept: mend "
            f"that, then go on with evonet {command} {quote(str(folder))}"
        ) from None
