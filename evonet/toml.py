"""TOML in and out, on every supported Python."""

from __future__ import annotations

import sys
from typing import Any

from evonet.errors import ConfigError, EvonetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(text: str, where: str, error: type[EvonetError] = ConfigError) -> dict[str, Any]:
    """The tables of a TOML text; ``error`` with the line where it is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:  # also numbers too long, tables too deep
        raise error(f"{where} is not valid TOML: {problem}.") from None


def write_toml(record: dict[str, Any]) -> str:
    """TOML text; keys whose value is None are left out, since TOML has no null."""
    import tomli_w

    return tomli_w.dumps({key: value for key, value in record.items() if value is not None})
