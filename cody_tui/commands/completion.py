"""What a shell offers after Tab: models, agents, threads, themes.

A shell evaluates what it is given here as code, titles included, and those may come from anybody.
So only harmless characters get there, and a value that has others is not offered. Whatever goes
wrong, nothing is offered: there is nobody to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

from cody_tui.commands.invocation import open_client

if TYPE_CHECKING:
    from cody_core.schema.threads import Thread
    from cody_core.settings import Settings

Offer: TypeAlias = tuple[str, str]
"""A value, and what is said of it."""

SHELLS: Final = ("bash", "zsh", "fish")
INSTALL: Final = "--install-completion"
SHOW: Final = "--show-completion"
SECONDS: Final = 1.5
"""How long threads are looked for: somebody waits for the cursor to move on."""
MOST_THREADS: Final = 50
_VALUE: Final = re.compile(r"[\w./+@-][\w./:+@-]*")


def for_named_shell(args: Sequence[str]) -> str | None:
    """Do what the two options do for the shell that is named behind them.

    Without a name they are for the shell that runs the program, and not for here.

    Returns:
        What to say, or ``None`` if the arguments are others.
    """
    if len(args) != 2 or args[0] not in (INSTALL, SHOW) or args[1] not in SHELLS:
        return None
    from typer._completion_shared import get_completion_script, install

    told = {"shell": args[1], "prog_name": "cody", "complete_var": "_CODY_COMPLETE"}
    if args[0] == SHOW:
        return get_completion_script(**told)
    shell, path = install(**told)
    return f"{shell} completion installed in {path}; it is there from the next {shell} on"


def models() -> Sequence[Offer]:
    """Return the models that can be used; of those whose owner is known, the bare names."""
    from cody_core.providers.catalog import known_models, resolve

    settings = _settings()
    found = list[Offer]()
    for info in known_models(settings):
        found.append((info.name, "the default" if info.is_default else ""))
        with _silence():
            if resolve(settings, info.id, None).name == info.name:
                found.append((info.id, info.name))
    return found


def agents() -> Sequence[Offer]:
    """Return the agents there are."""
    from cody_core.settings import DEFAULT_AGENT

    named = _settings().agents
    return [(DEFAULT_AGENT, "the usual one"), *((n, a.model or "") for n, a in named.items())]


def policies() -> Sequence[Offer]:
    """Return which calls of tools may need consent."""
    from cody_core.settings import PolicyName

    return [(name, "") for name in get_args(PolicyName)]


def threads() -> Sequence[Offer]:
    """Return the threads that changed last, with their titles."""
    import asyncio

    return [(thread.id, thread.title) for thread in asyncio.run(_threads(_settings()))]


def themes() -> Sequence[Offer]:
    """Return the themes there are."""
    from cody_tui.themes import AUTO, NAMES

    return [(AUTO, "follows the terminal"), *((name, "") for name in NAMES)]


def offering(found: Callable[[], Sequence[Offer]]) -> Callable[[str], list[Offer]]:
    """Return what Typer calls for the values of an option."""

    def complete(incomplete: str) -> list[Offer]:
        offers = list[Offer]()
        with _silence():
            offers += [(v, _harmless(said)) for v, said in found() if _VALUE.fullmatch(v)]
        return offers

    return complete


def _harmless(text: str) -> str:
    """Return the words of a text, in letters and digits of any script, and little else."""
    kept = "".join(c if c.isalnum() or c in "-_.," else " " for c in text[:200])
    return " ".join(kept.split())[:60]


@contextmanager
def _silence() -> Iterator[None]:
    from cody_core.errors import CodyError

    try:
        yield
    except (CodyError, OSError, TimeoutError):
        return


def _settings() -> Settings:
    """Read the settings, and log nothing: it would be written where somebody types."""
    from cody_core.settings import traced_settings

    settings, _ = traced_settings()
    return settings


async def _threads(settings: Settings) -> Sequence[Thread]:
    """Look them up in the store itself: to open the core would begin to put runs in order."""
    import asyncio

    if settings.server is not None:
        async with asyncio.timeout(SECONDS), open_client(settings) as client:
            return (await client.threads(limit=MOST_THREADS)).threads
    if not (settings.is_on_convex or settings.home.exists()):
        return ()
    from cody_core.resources import open_store

    async with asyncio.timeout(SECONDS), open_store(settings) as store:
        return (await store.list_threads(limit=MOST_THREADS)).threads
