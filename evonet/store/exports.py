"""Files for people beside the record. The record is what counts: all of them can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from evonet.errors import RecordError


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
