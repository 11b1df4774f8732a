"""The page of a run while it goes on, from a small server that this machine alone can ask.

It reads the record through snapshots, so that it never holds a lock the run waits for longer than a
copy takes, and it is made anew only where the file changed and some time has passed: at most a
tenth of a core goes into pages.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evonet.errors import ConfigError, EvonetError
from evonet.page.html import render
from evonet.page.view import View
from evonet.store.folders import FILE
from evonet.store.snapshot import Snapshot

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

#: A request that names another host comes from a page elsewhere whose name was pointed here (DNS
#: rebinding), and is refused.
HOSTS = ("localhost", "127.0.0.1")
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
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    page = LivePage(folder)
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def show(_: Request) -> HTMLResponse:
        text, version = page.newest()
        return HTMLResponse(text, headers={**headers, "X-Version": version})

    def state(_: Request) -> JSONResponse:
        return JSONResponse({"version": page.version()}, headers=headers)

    def refuse(_: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"evonet: {error}", 503, headers)

    return Starlette(
        routes=[Route("/", show), Route("/state", state)],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
        ],
        exception_handlers={EvonetError: refuse, OSError: refuse},
    )


def open_port(port: int) -> socket.socket:
    """A socket that this machine alone can reach.

    Args:
        port: from 1; 0 takes any that is free.

    Raises:
        ConfigError: the port is taken, or not allowed.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"port must be from 0 to 65535, got {port}. Change --port.")
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError(
            f"Cannot serve at port {port} of 127.0.0.1: {error.strerror or error}. "
            "Pass --port 0 for any free port."
        ) from None


def serve(folder: Path, listening: socket.socket) -> None:
    """Answer until Ctrl-C.

    Args:
        folder: of the run.
        listening: as ``open_port`` returns it; closed at the end.
    """
    import uvicorn

    config = uvicorn.Config(
        application(folder),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    with listening, contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def check_watchable(folder: Path) -> None:
    """Refuse what cannot be watched before a server starts.

    Raises:
        RecordError: there is no run, or it cannot be read.
        ConfigError: the packages of the server are not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"evonet watch needs {' and '.join(missing)}: pip install 'evonet[watch]'"
        )
    Snapshot(folder).close()
