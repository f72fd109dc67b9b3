"""Features: what can be done on the chat screen, one subject a module.

A feature names its actions and does them. It knows the screen as a ``Stage`` and imports what it
opens only when it opens it: nothing here may stand before the first paint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from cody_tui.actions import Action, Handler

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.response import Response
    from textual.app import App
    from textual.widget import AwaitMount, Widget

    from cody_tui.elsewhere import Elsewhere
    from cody_tui.messages import Choices
    from cody_tui.standing import Usual
    from cody_tui.widgets.prompt import Prompt
    from cody_tui.widgets.status import Status
    from cody_tui.widgets.transcript import Transcript


class Stage(Protocol):
    """What a feature may use of the chat screen."""

    @property
    def app(self) -> App[Any]:
        """The app: its screens, clipboard and theme."""
        ...

    @property
    def actions(self) -> Sequence[Action]:
        """Everything that can be done here, in the order of the help."""
        ...

    @property
    def client(self) -> Client | None:
        """The client, once there is one."""
        ...

    @property
    def choices(self) -> Choices:
        """What prompts are sent with; changing it counts from the next prompt on."""
        ...

    @property
    def usual(self) -> Usual:
        """What counts where the choices leave something open: here, or on the server."""
        ...

    @property
    def thread_id(self) -> str | None:
        """The thread on the screen; ``None`` is one to come."""
        ...

    @property
    def runs(self) -> Sequence[Response]:
        """The runs of that thread as far as they have come, oldest first."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether an answer is on its way."""
        ...

    @property
    def elsewhere(self) -> Elsewhere:
        """What goes on in threads that are not on the screen."""
        ...

    @property
    def transcript(self) -> Transcript:
        """The transcript."""
        ...

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        ...

    @property
    def status(self) -> Status:
        """The status line."""
        ...

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do one of the actions; what takes longer goes on by itself."""
        ...

    async def in_turn(self, name: str, act: Callable[[], Awaitable[None] | None]) -> None:
        """Do something like an action, after those of that name that are under way."""
        ...

    def open_thread(self, thread_id: str | None) -> None:
        """Show another thread, or begin one; a live answer goes on unseen."""
        ...

    def send(
        self, prompt: str, *, mentions: Sequence[str] = (), turn_id: str | None = None
    ) -> None:
        """Send a prompt to the thread on the screen, after those that wait.

        Args:
            prompt: The prompt.
            mentions: The paths of files that are to go along with it.
            turn_id: The turn to answer anew; nothing may be live or wait then.
        """
        ...

    def take_waiting(self) -> Sequence[str]:
        """Take back the prompts that wait, oldest first; they wait no more."""
        ...

    async def stop(self) -> None:
        """Stop the live answer; what has been streamed stays."""
        ...

    def after_opening(self, act: Callable[[], None]) -> None:
        """Have something done whenever another thread has come to the screen."""
        ...

    def before_leaving(self, act: Callable[[], Awaitable[None]]) -> None:
        """Have something done before the client is closed."""
        ...

    def mount(self, *widgets: Widget) -> AwaitMount:
        """Put widgets on the screen."""
        ...

    def say(
        self, text: str, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """Show a passing note."""
        ...

    def choices_changed(self) -> None:
        """Bring what shows the choices up to date."""
        ...


class Feature(Protocol):
    """A subject: its actions, and what does them, under their ids."""

    ACTIONS: ClassVar[tuple[Action, ...]]

    def __init__(self, stage: Stage) -> None: ...

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        ...
