"""The command line: what ``cody`` does, and how it ends.

Imports wait until a command needs them: ``cody --version`` must not pay for a provider's SDK, and
``cody`` without a word not for the library that reads the others.
"""

from __future__ import annotations

import sys

from cody_core.errors import CodyError
from cody_core.glance import environment

from cody_tui import streams
from cody_tui.commands.invocation import complain

COMPLETION = "_CODY_COMPLETE"
"""What a shell sets that asks for the words that may follow."""


def main() -> None:
    """Run the program; an error the core foresaw is one line on standard error."""
    streams.repair()
    try:
        _run(streams.arguments())
    except CodyError as error:
        complain(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        complain(str(error))
        streams.leave(1)


def _run(words: list[str]) -> None:
    if not words and COMPLETION not in environment():
        from cody_tui.commands import interactive

        interactive.start()
    from cody_tui.commands.root import app

    app(args=words)
