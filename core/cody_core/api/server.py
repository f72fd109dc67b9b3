"""``cody serve``: the socket, the core behind it, and how both come to an end.

The end, in order: no new connections and no new runs; runs have a grace period to finish; what has
not is aborted, with its terminal event, which its streams still deliver; the store is flushed; the
last connections close. A second signal cuts the grace short.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from fastapi import FastAPI

from cody_core.api.app import create_app
from cody_core.api.connection import Connection
from cody_core.api.ending import Ending
from cody_core.api.security import is_loopback, token_of
from cody_core.daemon import Stop, either, finish, seldom_collect, signals, switch_often
from cody_core.errors import SettingsError
from cody_core.runtime import GRACE_SECONDS, Runtime, open_runtime
from cody_core.settings import Settings
from cody_core.stderr_log import log_to_stderr
from cody_core.tasks import task_group

logger = logging.getLogger(__name__)

CLOSING_SECONDS: Final = 5
"""How long connections may take to deliver what is left when all runs have ended."""
BACKLOG: Final = 2048


def run(
    settings: Settings, *, log_level: str, ready: Callable[[str], None], works: bool = True
) -> None:
    """Serve until a signal asks for the end.

    Over Redis, runs are shared with all other servers and workers there.

    Args:
        settings: Where and for whom.
        log_level: How much goes to standard error.
        ready: Told the address.
        works: Whether runs are worked on in this process, too.

    Raises:
        SettingsError: it must not, or cannot, listen there; or nobody would work on its runs.
        CodyError: log or store cannot be opened.
    """
    log_to_stderr(log_level, settings.secrets)
    seldom_collect()
    switch_often()
    with listening(settings) as listener:
        asyncio.run(_until_signal(settings, listener, ready, works))


async def _until_signal(
    settings: Settings, listener: socket.socket, ready: Callable[[str], None], works: bool
) -> None:
    stop, shared = Stop(), settings.redis_url is not None or not works
    with signals(stop):
        async with open_runtime(settings, shared=shared, works=works) as runtime:
            if works:
                runtime.warm()
            await serve(runtime, settings, listener, stop, ready=ready)


async def serve(
    runtime: Runtime,
    settings: Settings,
    listener: socket.socket,
    stop: Stop,
    *,
    ready: Callable[[str], None],
) -> None:
    """Serve a runtime until the end is asked for. Its runs have ended when this returns."""
    grace, ending = settings.serve.grace, Ending()
    async with task_group() as tasks:
        server = _Server(_config(create_app(runtime, settings, ending), grace))
        serving = tasks.create_task(server.serve(sockets=[listener]))
        try:
            ready(address(listener))
            await either(stop.asked, serving)
            logger.info("shutting down")
            server.leave()
            ending.refuse_runs()
            await finish(runtime, grace, stop.hurry)
            ending.streams.set()
            await serving
        finally:
            server.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before the core has.

    It looks around once a second, which is what the date in answers needs, and not ten times.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.servers = []
        self._leave = asyncio.Event()

    def leave(self) -> None:
        """Take no new connections, and close those there are when they have been answered."""
        self.should_exit = True
        self._leave.set()

    def close(self) -> None:
        """Let go of the socket: closed behind its back, the loop would go on to wait for it."""
        for server in self.servers:
            server.close()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to whoever runs the server."""
        yield

    async def main_loop(self) -> None:
        """Keep the date until it is time to leave."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._leave.wait()


def _config(app: FastAPI, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(grace + GRACE_SECONDS) + CLOSING_SECONDS,
    )


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """Open the socket that connections come in by.

    Raises:
        SettingsError: the address is open to others and no token is set, or it cannot be had.
    """
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        msg = f"the address {host!r} cannot be found: {error.strerror}; --host or HOST sets it"
        raise SettingsError(msg) from error
    family, _, _, _, place = found[0]
    if not is_loopback(str(place[0])) and token_of(settings) is None:
        msg = f"{host!r} can be reached from other machines, and whoever reaches it can run "
        msg += "commands here: set a token with CODY_TOKEN or --token, or bind 127.0.0.1"
        raise SettingsError(msg)
    # asyncio switches Nagle's algorithm off, which holds answers up for 40 ms, by the protocol.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            listener.listen(BACKLOG)  # from here on nobody is turned away, only kept waiting
        except OSError as error:
            msg = f"port {port} of {host!r} cannot be had: {error.strerror}; "
            raise SettingsError(msg + "--port or PORT sets another, 0 any that is free") from error
        yield listener


def address(listener: socket.socket) -> str:
    """Return the URL of a server by its socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
