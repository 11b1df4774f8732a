"""Files that appear whole, or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A place to write, which takes a file's place once it is whole; after an error nothing does.

    Raises:
        OSError: the file cannot be written.
    """
    new = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        yield new
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
