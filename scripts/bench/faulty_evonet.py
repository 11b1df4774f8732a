"""evonet as it is, on a machine where something does not work: EVONET_FAULT says what.

EVONET_FAULT=clock python -m bench.faulty_evonet evolve --data iris
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from evonet.__main__ import main


def turn_the_clock_back() -> None:
    """Make each look at the time of day an hour earlier than the one before."""
    now = time.time()
    hours = itertools.count()
    time.time = lambda: now - 3600 * next(hours)


def refuse_locks() -> None:
    """Make SQLite find no locks, as on network drives that answer ENOLCK, and say what it says."""

    class Lockless(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("database is locked")

    connect = sqlite3.connect
    sqlite3.connect = partial(connect, factory=Lockless)  # type: ignore[assignment]


FAULTS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {"clock": turn_the_clock_back, "locks": refuse_locks}
)

if __name__ == "__main__":
    FAULTS[os.environ["EVONET_FAULT"]]()
    main()
