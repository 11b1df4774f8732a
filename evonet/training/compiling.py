"""How loops are compiled: by Numba, once on a machine, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from evonet.training.cache_folder import cache_folder

#: The modules of compiled loops, and of the records and constants in them. One may be compiled into
#: another, which Numba does not notice when it asks whether what it kept is still true; so all of
#: them name the folder.
_SOURCES = (
    "compiling.py",
    "elementwise.py",
    "keras_model.py",
    "losses.py",
    "native.py",
    "products.py",
    "tables.py",
    "../genome/genes.py",
)


def compiled(function: Callable[..., Any]) -> Any:
    """Compiled with the rules of IEEE arithmetic, but that a product may be added unrounded."""
    return _compiled(function, {"contract"})


def summing(function: Callable[..., Any]) -> Any:
    """Compiled so that sums may be taken in any order; NaN and infinity keep their meaning."""
    return _compiled(function, {"contract", "reassoc", "nsz", "arcp"})


def _compiled(function: Callable[..., Any], fastmath: set[str]) -> Any:
    folder = _folder()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder or before  # for this function; read while it is decorated
    try:
        return numba.njit(
            cache=folder is not None,
            nogil=True,
            error_model="numpy",
            fastmath=fastmath,
            forceinline=True,  # else what is kept rounds otherwise than what was just compiled
        )(function)
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder() -> str | None:
    """The folder of what was compiled from these very sources; None for no cache."""
    folder = cache_folder()
    if folder is None:
        return None
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in _SOURCES))
    return str(folder / f"loops-{digest.hexdigest()[:12]}")
