"""How the terminal app is run and left: what stays in the terminal, and what is said of a crash."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from cody_tui.quiet import Quiet
from cody_tui.text import one_line, printable

if TYPE_CHECKING:
    from cody_core.schema.response import Response
    from rich.console import Console

    from cody_tui.app import CodyApp

OnQuit: TypeAlias = Literal["answer", "thread", "nothing"]

logger = logging.getLogger(__name__)


class Left(NamedTuple):
    """What was on the screen when the program ended."""

    title: str
    thread_id: str | None
    runs: Sequence[Response]


def run_app(app: CodyApp, log: Path) -> int:
    """Run the app, then write what is left of it; return the exit code.

    Args:
        app: The app.
        log: Where everything else that is written meanwhile goes.
    """
    error: BaseException | None
    with Quiet(log) as quiet:
        app.quiet = quiet
        try:
            app.run()
        except Exception as raised:
            logger.critical("the app could not be run", exc_info=True)
            error = raised
        else:
            error = app.crash
        finally:
            quiet.write(app.restore_title)
    if app.is_hung_up:
        return app.return_code or 0
    if error is not None:
        _report(error, log, app.left.thread_id)
        return 1
    if app.refused:
        sys.stderr.write(f"cody: {printable(app.refused)}\n")
        return 1
    write_left(app.left, app.ui.on_quit)
    return app.return_code or 0


def write_left(left: Left, how: OnQuit, console: Console | None = None) -> None:
    """Write the last answer, or the whole thread, for the terminal to keep."""
    if how == "nothing" or left.thread_id is None or not left.runs:
        return
    from rich.console import Console

    from cody_tui.live import LiveMarkdown
    from cody_tui.views import Activity, write_answer, write_prompts

    console = console or Console()
    title = one_line(left.title, max(10, console.width - 48))
    header = f"{title} · cody -t {left.thread_id}"
    console.print(header, style="dim", markup=False, highlight=False, soft_wrap=True)
    colour = console.color_system is not None and not console.no_color
    is_all = how == "thread"
    activity = Activity(console.file, colour=colour, quiet=not is_all)
    for run in left.runs if is_all else left.runs[-1:]:
        if is_all:
            write_prompts(run, console.file)
        else:
            console.print()
        write_answer(run, LiveMarkdown(console), activity)
        if not is_all and run.error is not None:
            activity.warn(printable(run.error.message))
    console.file.flush()


def _report(error: BaseException, log: Path, thread_id: str | None) -> None:
    what = one_line(str(error), 200)
    name = type(error).__name__
    goes_on = f"; go on with: cody -t {thread_id}" if thread_id else ""
    sys.stderr.write(f"cody: it broke down: {name}{': ' if what else ''}{what}\n")
    sys.stderr.write(f"cody: what happened stands in {log}{goes_on}\n")
