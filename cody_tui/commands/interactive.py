"""``cody`` in a terminal: the screen first, then the settings.

The settings are read before the screen is there only where they say what it begins with: which
thread is meant, which policy counts, or, if a glance at them does not tell, how it looks.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cody_core.glance import glance

from cody_tui import collecting, streams
from cody_tui.beginning import Beginning
from cody_tui.commands.invocation import (
    latest_thread,
    open_client,
    refuse_both,
    settings_with,
    usage,
    with_client,
)

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.settings import Settings

NO_KEY: Final = (
    "No key and no model is set: this is the offline demo. Set OPENAI_API_KEY or "
    "ANTHROPIC_API_KEY, or choose a local server's model with --model ollama/NAME."
)


def start(
    *,
    continue_: bool = False,
    thread: str | None = None,
    agent: str | None = None,
    theme: str | None = None,
    flags: Mapping[str, str | None] | None = None,
) -> NoReturn:
    """Run the program on the terminal, and end.

    Args:
        continue_: Whether to go on with the thread that changed last.
        thread: The thread to go on with, as the user names it.
        agent: The agent of the prompts.
        theme: How it is to look this time.
        flags: Further settings from the command line.
    """
    refuse_both(continue_, thread)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        usage("cody needs a terminal; in a pipe, use: cody chat 'prompt'")
    collecting.pause()
    from cody_tui.app import CodyApp
    from cody_tui.leaving import run_app
    from cody_tui.messages import Choices

    flags = flags or {}
    reading = _Reading({**flags, "ui": {"theme": theme} if theme else None}, agent)
    must_read = continue_ or thread is not None or theme or flags.get("policy")
    look = None if must_read else glance()
    begun = reading.beginning() if look is None else None
    choices = Choices(model=flags.get("model") or None, agent=agent or None)
    given: dict[str, Any] = {"look": look, "read": reading.beginning}
    if begun is not None:
        choices.policy = begun.settings.policy if flags.get("policy") else None
        given = {
            "settings": begun.settings,
            "notice": begun.notice,
            "first_run": begun.first_run,
            "thread_id": _thread_id(begun.settings, continue_, thread),
        }
    tui = CodyApp(reading.open_client, choices=choices, **given)
    home = tui.look.home
    assert home is not None
    streams.log_to_file(home, reading.secrets)
    sys.exit(run_app(tui, home / streams.LOG_FILE))


class _Reading:
    """The settings of this invocation, read when they are needed."""

    def __init__(self, flags: Mapping[str, Any], agent: str | None) -> None:
        self._flags = flags
        self._agent = agent
        self._begun: Beginning | None = None

    def beginning(self) -> Beginning:
        """Read the settings; it takes a while.

        Raises:
            SettingsError: they cannot be read.
        """
        from cody_tui.commands.first_run import KeptFirstRun

        settings = settings_with(**self._flags)
        notice = notice_for(settings, self._agent)
        first_run = KeptFirstRun(settings, lambda: settings_with(**self._flags))
        is_first = notice is not None and not settings.secrets
        self._begun = Beginning(settings, notice, first_run if is_first else None)
        return self._begun

    def open_client(self) -> AbstractAsyncContextManager[Client]:
        """Open the core with the settings that count now."""
        settings = self._settings
        assert settings is not None
        return open_client(settings)

    def secrets(self) -> frozenset[str]:
        """Return the keys that are known by now."""
        return frozenset() if self._settings is None else self._settings.secrets

    @property
    def _settings(self) -> Settings | None:
        if self._begun is None:
            return None
        kept = self._begun.first_run
        return self._begun.settings if kept is None else kept.settings


def _thread_id(settings: Settings, continue_: bool, thread: str | None) -> str | None:
    from cody_tui.commands.opening import thread_named

    if continue_:
        return with_client(settings, latest_thread)
    return None if thread is None else thread_named(settings, thread)


def notice_for(settings: Settings, agent: str | None) -> str | None:
    """Say that it is the demo that answers, where neither the settings nor the agent name a model.

    An agent that does not exist is an error of the first prompt. A server has its own settings.
    """
    from cody_core.settings import DEFAULT_AGENT

    if settings.server is not None:
        return None
    chosen = settings.agent(agent or DEFAULT_AGENT)
    return None if settings.has_model or chosen is None or chosen.model else NO_KEY
