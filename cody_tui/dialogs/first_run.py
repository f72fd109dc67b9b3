"""The first run: whom to ask, where neither a key nor a model is set.

It stands before the client is opened, so that what is chosen counts from the first prompt on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from cody_core.errors import CodyError
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from cody_tui.dialogs.closing import ClosesOnce
from cody_tui.dialogs.options import Options
from cody_tui.keys import hints, listed, named
from cody_tui.signs import signs
from cody_tui.text import one_line
from cody_tui.widgets.one_line import OneLine

if TYPE_CHECKING:
    from cody_core.local_servers import LocalServer
    from cody_core.settings import Settings

SHORTEST_KEY: Final = 20
DEMO: Final = "demo/tour"
_KEYS: Final = {"key:openai": "OpenAI: enter a key", "key:anthropic": "Anthropic: enter a key"}
_DEMO: Final = {f"model:{DEMO}": "The demo: no key, no network, answers made up"}
_CHOOSE: Final = {
    "first_run.cursor_up": "up",
    "first_run.cursor_down": "down",
    "first_run.select": "take",
    "first_run.back": "the demo for now",
    "app.quit": "quit",
}
_ENTER: Final = {"line.submit": "keep the key", "first_run.back": "back"}
"""What the keys do, by the ids of their bindings: while there is a choice, and in the field."""
_LOOKING: Final = "Looking for a model server on this machine…"
_NO_SERVER: Final = "No model server answers on this machine: Ollama, LM Studio, llama.cpp."


class FirstRun(Protocol):
    """What the first run can settle."""

    @property
    def settings(self) -> Settings:
        """The settings, with what has been kept."""
        ...

    async def servers(self) -> Sequence[LocalServer]:
        """Return the model servers that answer on this machine."""
        ...

    def keep_key(self, provider_id: str, key: str) -> None:
        """Keep a key, from now on.

        Raises:
            SettingsError: it cannot be kept.
        """
        ...

    def keep_model(self, model: str) -> None:
        """Keep the model to answer with, from now on.

        Raises:
            SettingsError: it cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Vendor:
    """Somebody who gives out keys."""

    id: str
    name: str
    begins: str
    """What its keys begin with."""
    page: str
    """Where it gives them out."""


VENDORS: Final = {
    "anthropic": Vendor("anthropic", "Anthropic", "sk-ant-", "console.anthropic.com/settings/keys"),
    "openai": Vendor("openai", "OpenAI", "sk-", "platform.openai.com/api-keys"),
}
"""By id; the beginnings that say more come first."""
_SERVERS: Final = {"ollama": "Ollama", "lmstudio": "LM Studio", "llamacpp": "llama.cpp"}


def problem_with(key: str, vendor: Vendor) -> str | None:
    """Say what is wrong with what was entered for a key, without repeating it."""
    if not key:
        return "Nothing has been entered."
    if any(character.isspace() for character in key):
        return "There are spaces or line breaks in it, and a key has none: was it copied whole?"
    if not (key.isascii() and key.isprintable()):
        return "There are characters in it that no key has: was something else copied?"
    if len(key) < SHORTEST_KEY:
        return f"It has {len(key)} characters, which is too few for a key: was it copied whole?"
    owner = next((each for each in VENDORS.values() if key.startswith(each.begins)), vendor)
    if owner is not vendor:
        return f"That looks like a key of {owner.name}: Esc, and choose {owner.name}."
    return None


class KeyInput(OneLine):
    """A key, which is never shown, and never copied either."""

    def __init__(self) -> None:
        super().__init__(password=True)

    def pasted(self, text: str) -> str:
        """Return all of it, whatever it is: half a key would be sent otherwise."""
        return text.strip().replace("\r", "\n").replace("\n", " ")

    def action_copy(self) -> None:
        """Copy nothing."""

    def action_cut(self) -> None:
        """Remove what is selected without copying it."""
        self.delete_selection()


class Choice(Options, inherit_bindings=False):
    """What there is to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = named(OptionList.BINDINGS, "first_run")


class FirstRunScreen(ClosesOnce, Screen[bool]):
    """Asks once; its result is whether something has been set up."""

    DEFAULT_CSS = """
    FirstRunScreen {
        align: center middle;
        background: $background;
        color: $foreground;
        #first-run { width: 72; max-width: 100%; height: auto; max-height: 100%; padding: 0 2; }
        #first-run-title { text-style: bold; color: $primary; }
        .first-run--text { margin: 1 0 0 0; height: auto; }
        .first-run--muted { color: $text-muted; margin: 1 0 0 0; height: auto; }
        #first-run-problem { color: $text-error; height: auto; }
        OptionList {
            height: auto; max-height: 12; margin: 1 0 0 0; padding: 0;
            border: none; background: $background;
        }
        OptionList:focus { border: none; }
        KeyInput { margin: 1 0; background: $surface; }
    }
    """
    AUTO_FOCUS = "Choice"
    BINDINGS: ClassVar[list[BindingType]] = [
        listed("escape", "back", "first_run.back", "Go back, or take the demo for now"),
    ]

    def __init__(self, first_run: FirstRun) -> None:
        super().__init__()
        self._first_run = first_run
        self._vendor: Vendor | None = None
        self._said: Mapping[str, str] = {}
        self._options = Choice(compact=True, markup=False)
        self._servers = Static(_LOOKING, classes="first-run--muted", markup=False)
        self._input = KeyInput()
        self._asked = Static("", classes="first-run--text", markup=False)
        self._problem = Static("", id="first-run-problem", markup=False)
        self._keys = Static(classes="first-run--muted", markup=False)

    def compose(self) -> ComposeResult:
        """Put the question, what can be chosen, and the field for a key below each other."""
        with Vertical(id="first-run"):
            yield Static("Cody", id="first-run-title", markup=False)
            yield Static(
                "No key and no model is set yet. Who should answer?",
                classes="first-run--text",
                markup=False,
            )
            yield self._options
            yield self._servers
            yield self._asked
            yield self._input
            yield self._problem
            yield self._keys

    def on_mount(self) -> None:
        """Begin with the choice, and look for servers meanwhile."""
        self._ask_for_key(None)
        self._offer({**_KEYS, **_DEMO})
        self._look()

    @work(group="servers", exclusive=True)
    async def _look(self) -> None:
        servers = await self._first_run.servers()
        found = {f"model:{_model(server)}": _said(server) for server in servers}
        self._offer({**_KEYS, **found, **_DEMO})
        self._servers.update("" if servers else _NO_SERVER)
        self._servers.display = not servers and self._vendor is None

    def _offer(self, said: Mapping[str, str]) -> None:
        """Let one of these be chosen, by their ids; the cursor stays where it was."""
        chosen = self._options.highlighted_option
        self._said = said
        self._options.set_options([Option(self._line(key, False), key) for key in said])
        ids: list[str | None] = [*said]
        is_kept = chosen is not None and chosen.id in said
        self._options.highlighted = ids.index(chosen.id) if chosen and is_kept else 0

    def _line(self, key: str, is_chosen: bool) -> str:
        sign = signs(self.app).cursor
        return (sign if is_chosen else " " * len(sign)) + self._said[key]

    @on(OptionList.OptionHighlighted)
    def _mark(self, event: OptionList.OptionHighlighted) -> None:
        """Say by a sign, too, what Enter takes: not everybody sees the colour."""
        event.stop()
        for index, option in enumerate(self._options.options):
            line = self._line(option.id or "", option is event.option)
            if line != str(option.prompt):
                self._options.replace_option_prompt_at_index(index, line)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        kind, _, name = (event.option.id or "").partition(":")
        if kind == "key":
            self._ask_for_key(VENDORS[name])
        else:
            self._keep_model(name)

    def _ask_for_key(self, vendor: Vendor | None) -> None:
        self._vendor = vendor
        self._problem.update("")
        self._input.value = ""
        is_asked = vendor is not None
        for widget in (self._input, self._asked, self._problem):
            widget.display = is_asked
        self._options.display = not is_asked
        self._servers.display = not is_asked
        known = [*self.BINDINGS, *Choice.BINDINGS, *OneLine.BINDINGS, *self.app.BINDINGS]
        self._keys.update(hints(self.app, known, _ENTER if is_asked else _CHOOSE))
        if vendor is None:
            self._options.focus()
            return
        file = self._first_run.settings.home / "keys.json"
        self._asked.update(
            f"Your {vendor.name} key, from {vendor.page}\n"
            f"It is not shown, and kept in {file} for you alone."
        )
        self._input.focus()

    @on(Input.Changed)
    def _forget_problem(self, event: Input.Changed) -> None:
        event.stop()
        if event.value:
            self._problem.update("")

    @on(Input.Submitted)
    def _keep_key(self, event: Input.Submitted) -> None:
        event.stop()
        if self._vendor is None:
            return
        key = event.value.strip()
        if problem := problem_with(key, self._vendor):
            self._complain(problem)
            return
        try:
            self._first_run.keep_key(self._vendor.id, key)
        except CodyError as error:
            self._complain(error.message)
        else:
            self._input.value = ""
            self.dismiss(True)

    def _keep_model(self, model: str) -> None:
        try:
            self._first_run.keep_model(model)
        except CodyError as error:
            self._complain(error.message)
        else:
            self.dismiss(model != DEMO)

    def _complain(self, problem: str) -> None:
        self._problem.update(Content(signs(self.app).failed + one_line(problem, 300)))
        self._problem.display = True

    def action_back(self) -> None:
        """Go back to the choice, or take the demo for now."""
        if self._vendor is not None:
            self._ask_for_key(None)
        else:
            self.dismiss(False)


def _model(server: LocalServer) -> str:
    return f"{server.provider_id}/{server.models[0]}"


def _said(server: LocalServer) -> str:
    name = _SERVERS.get(server.provider_id, server.provider_id)
    more = len(server.models) - 1
    rest = f" (and {more} more)" if more else ""
    return f"{name} on this machine: {one_line(server.models[0], 36)}{rest}"
