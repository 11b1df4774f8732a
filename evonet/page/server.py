"""The page of a run while it goes on, from a small server that this machine alone can ask.

It reads the record through snapshots, so that it never holds a lock the run waits for longer than a
copy takes, and it is made anew only where the file changed and some time has passed: at most a
tenth of a core goes into pages.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evonet.errors import EvonetError
from evonet.local_server import HEADERS, local_application, require_server
from evonet.page.html import render
from evonet.page.view import View
from evonet.store.folders import FILE
from evonet.store.snapshot import Snapshot

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

#: Seconds between two pages: at least so many, and so many times what making one takes of a core.
_PAUSE, _SHARE = 2.0, 10.0


class LivePage:
    """The newest page of a run, made when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._version = self._page = ""
        self._due = 0.0

    def newest(self) -> tuple[str, str]:
        """The page and the version of the record it shows.

        Raises:
            RecordError: the record cannot be read, and there is no page of before.
        """
        with self._lock:
            version = self.version()
            if not self._page or (version != self._version and time.monotonic() >= self._due):
                first, began = not self._page, time.thread_time()
                self._make(version)
                took = 0.0 if first else time.thread_time() - began  # the first loads libraries
                self._due = time.monotonic() + max(_PAUSE, _SHARE * took)
            return self._page, self._version

    def _make(self, version: str) -> None:
        try:
            with Snapshot(self._folder) as record:
                self._page = render(View(record, live=version))
            self._version = version
        except EvonetError:
            if not self._page:  # else the page of before: the next time it may be read again
                raise

    def version(self) -> str:
        """What the record's file is at, without reading it."""
        file = (self._folder / FILE).stat()
        return f"{file.st_mtime_ns}-{file.st_size}"


def application(folder: Path) -> Starlette:
    """The server's pages: the run's page, and what its record is at."""
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    page = LivePage(folder)

    def show(_: Request) -> HTMLResponse:
        text, version = page.newest()
        return HTMLResponse(text, headers={**HEADERS, "X-Version": version})

    def state(_: Request) -> JSONResponse:
        return JSONResponse({"version": page.version()}, headers=HEADERS)

    def refuse(_: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"evonet: {error}", 503, HEADERS)

    routes = [Route("/", show), Route("/state", state)]
    return local_application(routes, {EvonetError: refuse, OSError: refuse})


def check_watchable(folder: Path) -> None:
    """Refuse what cannot be watched before a server starts.

    Raises:
        RecordError: there is no run, or it cannot be read.
        ConfigError: the packages of the server are not installed.
    """
    require_server("watch")
    Snapshot(folder).close()
