"""A small web server that this machine alone can ask, for `evonet watch` and `evonet serve`."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from evonet.errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import Route

#: A request that names another host comes from a page elsewhere whose name was pointed here (DNS
#: rebinding), and is refused.
HOSTS = ("localhost", "127.0.0.1")
#: Of every answer that holds something: nothing is kept, and no page elsewhere may show or read it.
#: Starlette's own words for another host (400) have none of them, nor those for an unknown path or
#: method (404, 405) where the application has no handler for them.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def require_server(command: str) -> None:
    """Refuse a command that needs the packages of the server where they are missing.

    Args:
        command: of evonet; the extra that installs them has its name.

    Raises:
        ConfigError: they are not installed.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"evonet {command} needs {' and '.join(missing)}: pip install 'evonet[{command}]'"
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


def address_of(listening: socket.socket) -> str:
    """Where a socket is reached."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def local_application(routes: Sequence[Route], handlers: Mapping[Any, Any]) -> Starlette:
    """An application that answers those alone who ask for this machine by its own names.

    Args:
        routes: its pages.
        handlers: of each kind of exception, what answers then.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)
    return Starlette(routes=routes, middleware=[hosts], exception_handlers=handlers)


def serve(application: Starlette, listening: socket.socket) -> None:
    """Answer until Ctrl-C.

    Args:
        application: what answers.
        listening: as ``open_port`` returns it; closed at the end.
    """
    import uvicorn

    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    with listening, contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
