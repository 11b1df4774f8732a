"""How loops are compiled: by Numba, once on a machine, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import event

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
    "tiles.py",
    "../genome/genes.py",
)
#: Seconds after which loops that no process has loaded are removed: 30 days. Untuned.
_KEPT_SECONDS = 30 * 24 * 3600


def compiled(function: Callable[..., Any]) -> Any:
    """Compiled with the rules of IEEE arithmetic, but that a product may be added unrounded."""
    return _compiled(function, {"contract"})


def summing(function: Callable[..., Any]) -> Any:
    """Compiled so that sums may be taken in any order; NaN and infinity keep their meaning."""
    return _compiled(function, {"contract", "reassoc", "nsz", "arcp"})


def called(function: Callable[..., Any]) -> Any:
    """The same as ``compiled``, but called where it is used instead of copied there: for large
    functions, which take seconds to compile, whose arithmetic does not mix with their callers'."""
    return _compiled(function, {"contract"}, copied=False)


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` once if anything is compiled meanwhile; what is read from the folder is not."""

    class Listener(event.Listener):
        told = False

        def on_start(self, event: event.Event) -> None:  # noqa: ARG002
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: event.Event) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield


def _compiled(function: Callable[..., Any], fastmath: set[str], copied: bool = True) -> Any:
    folder = _folder()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder or before  # for this function; read while it is decorated
    try:
        return numba.njit(
            cache=folder is not None,
            nogil=True,
            error_model="numpy",
            fastmath=fastmath,
            # Where LLVM may choose, arithmetic that is copied rounds otherwise when it was kept.
            forceinline=copied,
        )(function)
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder() -> str | None:
    """The folder of what these very sources were compiled to, marked as used; None for no cache."""
    folder = cache_folder()
    if folder is None:
        return None
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join((here / name).read_bytes() for name in _SOURCES))
    own = folder / f"loops-{digest.hexdigest()[:12]}"
    try:
        own.mkdir()
    except OSError:  # it is there
        with suppress(OSError):
            os.utime(own)
    else:
        _remove_unused(folder)
    return str(own)


def _remove_unused(folder: Path) -> None:
    """Remove what was compiled from other sources and not used for long; no error is one."""
    for old in folder.glob("loops-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
