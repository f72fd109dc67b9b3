"""``cody THREAD``: which thread a word on the command line means."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperGroup, TyperOption

from cody_tui.commands.invocation import shown, usage, with_client

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.threads import Thread
    from cody_core.settings import Settings

PAGE: Final = 500
SHORTEST_PREFIX: Final = 4
MOST_NAMED: Final = 5
_HEXADECIMAL: Final = frozenset("0123456789abcdef-")


class CommandsOrThread(TyperGroup):
    """A group whose first word may be a thread where it is not a command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # it is Click's context, which Typer's is
        """Take a first word that is not a command, nor nearly one, for a thread."""
        valued = {
            name
            for option in self.params
            if isinstance(option, TyperOption) and not option.is_flag
            for name in option.opts
        }
        return super().parse_args(ctx, with_thread(args, self.commands, valued))


def with_thread(
    args: Sequence[str], commands: Collection[str], valued: Collection[str] = ()
) -> list[str]:
    """Return the arguments with the option in front of a first word that means a thread.

    Args:
        args: What was written, options before that word among it.
        commands: The words that are commands.
        valued: The options whose next word is their value.
    """
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in valued else 1
    first = args[at] if at < len(args) else ""
    is_mistyped = bool(difflib.get_close_matches(first.lower(), commands, cutoff=0.7))
    if not first.strip() or first in commands or is_mistyped:
        return list(args)
    return [*args[:at], "--thread", *args[at:]]


def thread_named(settings: Settings, text: str) -> str:
    """Return the id of the thread that is meant: by its id, the beginning of that, or its title.

    The program ends where there is none, or more than one.
    """
    from cody_core.ids import is_uuid

    if is_uuid(text):
        return text.lower()

    async def find(client: Client) -> list[Thread]:
        return await matching(client, text)

    found = with_client(settings, find)
    if not found:
        usage(f"no thread is called {shown(text)!r}: see cody threads list; to ask: cody chat '…'")
    if len(found) > 1:
        named = "".join(f"\n  {t.id}  {shown(t.title)}" for t in found[:MOST_NAMED])
        more = "\n  …" if len(found) > MOST_NAMED else ""
        usage(f"{len(found)} threads are called {shown(text)!r}; give the id of one:{named}{more}")
    return found[0].id


async def matching(client: Client, text: str) -> list[Thread]:
    """Return the threads that a text may mean: those of the first way to read it that gives any.

    The ways are the beginning of an id, a whole title, a part of a title.
    """
    threads: list[Thread] = []
    cursor: str | None = None
    while True:
        page = await client.threads(limit=PAGE, cursor=cursor)
        threads += page.threads
        if (cursor := page.next_cursor) is None:
            break
    sought = text.strip().casefold()
    is_prefix = len(sought) >= SHORTEST_PREFIX and set(sought) <= _HEXADECIMAL
    ways = (
        [thread for thread in threads if is_prefix and thread.id.startswith(sought)],
        [thread for thread in threads if thread.title.casefold() == sought],
        [thread for thread in threads if sought in thread.title.casefold()],
    )
    return next((found for found in ways if found), [])
