"""One invocation of the program: its settings, its client, and how it complains.

Nothing of the command line's own library is in here: a plain start does without it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cody_tui import streams

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.settings import Settings

T = TypeVar("T")
EXIT_USAGE = 2
EXIT_CLOSED_PIPE = 141


def settings_with(**flags: object) -> Settings:
    """Read the settings; flags that were given win."""
    from cody_core.settings import load_settings

    return load_settings(**flags)


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[Client]:
    """Open the core, here or on a server; importing it in a thread leaves the screen alive."""
    import asyncio

    async def imported(module: str) -> Any:
        return await asyncio.to_thread(importlib.import_module, module)

    if settings.server is None:
        opened = (await imported("cody_core.runtime")).open_runtime(settings)
    else:
        token = settings.token.get_secret_value() if settings.token is not None else None
        remote = await imported("cody_core.remote")
        opened = remote.open_remote(settings.server, token=token)
    async with opened as client:
        yield client


def with_client(settings: Settings, act: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """Open the core, do something with it, and close it."""
    import asyncio

    async def run() -> T:
        async with open_client(settings) as client:
            return await act(client)

    try:
        return asyncio.run(run())
    except BrokenPipeError:
        streams.leave(EXIT_CLOSED_PIPE)


async def latest_thread(client: Client) -> str:
    """Return the thread that changed last, which is the one ``--continue`` means."""
    from cody_tui.chat import latest_thread

    return await latest_thread(client)


def refuse_both(continue_: bool, thread: str | None) -> None:
    """End the program where two options say which thread is meant."""
    if continue_ and thread is not None:
        usage("--continue and --thread exclude each other")


def thread_id(text: str) -> str:
    """Return the id of a thread as it is stored; end the program where it is none."""
    from cody_core.ids import is_uuid

    if not is_uuid(text):
        usage(f"{text!r} is not the id of a thread: see cody threads list")
    return text.lower()


def shown(text: str) -> str:
    """Return what a model or a tool wrote as one line that a terminal can be given."""
    from cody_tui.text import one_line

    return one_line(text, 100)


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    from cody_tui.text import printable

    sys.stderr.write(f"cody: {printable(message)}\n")
    sys.stderr.flush()


def usage(message: str) -> NoReturn:
    """End the program, which was asked for something it does not do."""
    complain(message)
    sys.exit(EXIT_USAGE)
