"""Looking at paths: what this user may not look at is not there."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: str | Path) -> bool:
    """Whether a file is there; ``Path.is_file`` raises where a folder is closed to this user, or a
    name is too long (until Python 3.14).

    Example:
        >>> is_file("x" * 10_000)
        False
    """
    return os.path.isfile(path)


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there, in the same way."""
    return os.path.isdir(path)
