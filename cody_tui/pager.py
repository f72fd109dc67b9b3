"""A thread in the user's pager, on the terminal's normal screen."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cody_core.schema.threads import ThreadDetail
    from textual.app import App

USUAL: Final = "less -R"


def command(environment: Mapping[str, str]) -> list[str]:
    """Return the words of the pager's command.

    Raises:
        ValueError: ``PAGER`` is no command, as with a quote that is not closed.
    """
    said = environment.get("PAGER", "")
    return shlex.split(said) or shlex.split(USUAL)


def thread_text(detail: ThreadDetail) -> str:
    """Return the thread as ``cody threads show`` writes it."""
    from io import StringIO

    from cody_tui.views import write_thread

    out = StringIO()
    write_thread(detail, out)
    return out.getvalue()


async def page(app: App[Any], words: list[str], text: str) -> None:
    """Show the text in the pager until that ends; live answers go on meanwhile.

    Raises:
        OSError: the pager cannot be started.
        SuspendNotSupported: the app has no terminal to give away.
    """
    # Nothing is painted meanwhile: nobody reads what a suspended driver is given, and it fills up.
    with app.suspend(), app.batch_update():
        await _run(words, text)


async def _run(words: list[str], text: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE)
    try:
        await process.communicate(text.encode("utf-8", "replace"))
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
