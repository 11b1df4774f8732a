"""Where compiled code is kept from one process to the next."""

from __future__ import annotations

import os
from pathlib import Path

#: The variable that names the folder of compiled code; empty for none.
CACHE_VARIABLE = "EVONET_CACHE"


def cache_folder() -> Path | None:
    """The folder of compiled code, made where it is missing; None for no cache.

    It belongs to the user alone, since what lies in it is executed: never to a run, whose folder
    may come from a stranger.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(given) if given else Path(home) / "evonet"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
