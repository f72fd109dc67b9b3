"""The three standard streams, as whoever starts the program left them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from io import TextIOWrapper
from pathlib import Path
from typing import Final, NoReturn

LOG_FILE: Final = "cody.log"
"""The name of the log, in the data directory."""


def repair() -> None:
    """Stand in for streams that were closed; write what can be, whatever their encoding.

    The lowest free descriptor is the one that is missing: no file opened later can be taken for it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def arguments() -> list[str]:
    """Return the words of the command line as text.

    What is no UTF-8 there is a lone surrogate in ``sys.argv``, which no request can carry.
    """
    words = (word.encode("utf-8", "surrogateescape") for word in sys.argv[1:])
    return [word.decode("utf-8", "replace") for word in words]


def log_to_file(directory: Path, secrets: Callable[[], Collection[str]]) -> None:
    """Keep diagnostics out of the streams, in a file beside the data.

    Args:
        directory: The data directory.
        secrets: Returns what must not get into it, as far as that is known by then.
    """
    import logging

    from cody_tui.log_late import LateHandler

    def handler() -> logging.Handler:
        from cody_tui.log_file import LogFile

        return LogFile(directory / LOG_FILE, secrets)

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return  # the runtime needs the same directory, and says what to do
    logging.basicConfig(level=logging.INFO, handlers=[LateHandler(handler)])


def leave(code: int) -> NoReturn:
    """End where output cannot be written any more, not even by the interpreter as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    sys.exit(code)
