"""Packages that only some uses of evonet need: refused in time where missing, kept quiet in use."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from evonet.errors import ConfigError


def require(package: str, user: str, instead: str = "") -> None:
    """Refuse what needs a package that is missing.

    Args:
        package: its name, for Python and for pip.
        user: what needs it, as the error begins.
        instead: what else the user may do, if there is anything.

    Raises:
        ConfigError: the package is not installed; names the command that installs it.
    """
    if find_spec(package) is None:
        advice = f"Install it with pip install {package}" + (f", or {instead}" if instead else "")
        raise ConfigError(f"{user} needs the package {package}, which is not installed. {advice}.")


@contextmanager
def quiet(package: str) -> Iterator[None]:
    """A package, already imported, logs errors alone, and does not warn of what is experimental."""
    logger = logging.getLogger(package)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is experimental")
            yield
    finally:
        logger.setLevel(before)
