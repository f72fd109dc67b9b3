"""The chat screen: a transcript, a prompt, a status line, and what a run asks in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from cody_core.errors import CodyError
from textual import events, on, work
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingsMap
from textual.screen import Screen

from cody_tui import collecting
from cody_tui.actions import Action, bindings
from cody_tui.conversation import Conversation, prompts_of
from cody_tui.elsewhere import Elsewhere, Unseen
from cody_tui.messages import Choices, ConnectionAsked, Snapshot, ThreadShown
from cody_tui.screens.asking import Asking
from cody_tui.screens.doing import SENDING, Act, Doing, give_up
from cody_tui.screens.hearing import GROUP as HEARING
from cody_tui.screens.hearing import Hearing
from cody_tui.signs import PLAIN, signs
from cody_tui.standing import Usual, home_of, model_of, policy_of, settings_of, share_of, usual_of
from cody_tui.widgets.prompt import Prompt
from cody_tui.widgets.status import Status
from cody_tui.widgets.still import Still
from cody_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.response import Response
    from cody_core.schema.threads import ThreadDetail

    from cody_tui.widgets.approval import Approval


EQUIP_SECONDS: Final = 0.03
"""How long after the first frame what can be done waits for keys that were pressed before."""


class ChatScreen(Still, Screen[None]):
    """One thread at a time: shown, continued, stopped, begun anew."""

    AUTO_FOCUS = "Prompt"

    def __init__(
        self,
        *,
        choices: Choices | None = None,
        thread_id: str | None = None,
        notice: str | None = None,
    ) -> None:
        super().__init__()
        self._transcript = Transcript()
        self._prompt = Prompt()
        self._status = Status()
        self._asking = Asking(self, self._prompt)
        self._doing = Doing(self)
        self._hearing = Hearing(self, self._status, self.choices_changed)
        self._choices = choices or Choices()
        self._notice = notice
        self._client: Client | None = None
        self._is_offline = self._has_answered = False
        self._conversation = Conversation(self, choices=self._choices, thread_id=thread_id)
        self._elsewhere = Elsewhere()
        self._runs: dict[str, Response] = {}
        self._openings: list[Callable[[], None]] = []

    # What features use

    @property
    def actions(self) -> Sequence[Action]:
        """Everything that can be done here, in the order of the help."""
        return self._doing.actions

    @property
    def client(self) -> Client | None:
        """The client, once there is one."""
        return self._client

    @property
    def choices(self) -> Choices:
        """What prompts are sent with."""
        return self._choices

    @property
    def usual(self) -> Usual:
        """What counts where the choices leave something open."""
        return usual_of(settings_of(self.app), self._hearing.info)

    @property
    def thread_id(self) -> str | None:
        """The thread on the screen."""
        return self._conversation.thread_id

    @property
    def runs(self) -> Sequence[Response]:
        """Its runs as far as they have come, oldest first."""
        return tuple(self._runs.values())

    @property
    def is_live(self) -> bool:
        """Whether an answer is on its way."""
        return self._conversation.is_live

    @property
    def elsewhere(self) -> Elsewhere:
        """What goes on in threads that are not on the screen."""
        return self._elsewhere

    @property
    def transcript(self) -> Transcript:
        """The transcript."""
        return self._transcript

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self._prompt

    @property
    def status(self) -> Status:
        """The status line."""
        return self._status

    def open_thread(self, thread_id: str | None) -> None:
        """Show another thread; a live answer goes on unseen, and prompts that wait come back."""
        unsent, unseen = self._conversation.leave()
        if unsent:
            self.say(f"{len(unsent)} waiting; they stay in the prompt of their thread")
        self._prompt.turn_to(thread_id, unsent)
        self._conversation = Conversation(self, choices=self._choices, thread_id=thread_id)
        self._runs.clear()
        self._transcript.clear()
        self._status.usage = None
        self.choices_changed()
        self._elsewhere.forget(thread_id)
        if self._client is not None:
            if unseen is not None:
                self._elsewhere.leave(unseen)
                self._watch(self._client, unseen)
            self._converse(self._client)
        self.conversation_changed()
        self.post_message(ThreadShown(None))
        for act in self._openings:
            act()

    def send(
        self, prompt: str, *, mentions: Sequence[str] = (), turn_id: str | None = None
    ) -> None:
        """Send a prompt, after those that wait; with ``turn_id``, answer that turn anew."""
        self._transcript.show_end()
        self._conversation.send(prompt, mentions=mentions, turn_id=turn_id)

    def after_opening(self, act: Callable[[], None]) -> None:
        """Have something done whenever another thread has come to the screen."""
        self._openings.append(act)

    def before_leaving(self, act: Callable[[], Awaitable[None]]) -> None:
        """Have something done before the client is closed."""
        self._doing.before_leaving(act)

    def take_waiting(self) -> Sequence[str]:
        """Take back the prompts that wait; they wait no more."""
        waiting = self._conversation.take_waiting()
        self.conversation_changed()
        return waiting

    async def stop(self) -> None:
        """Stop the live answer; what has been streamed stays."""
        await self._conversation.abort()

    def say(
        self, text: str, severity: Literal["information", "warning", "error"] = "information"
    ) -> None:
        """Show a passing note."""
        self.notify(text, severity=severity, timeout=4, markup=False)

    def choices_changed(self) -> None:
        """Bring what shows the choices up to date."""
        choices, models = self._choices, self._hearing.models
        model = model_of(self.usual, choices, self.runs, models)
        self._status.model = model.partition("/")[2] or model
        self._status.policy = policy_of(self.usual, choices) or ""
        self._status.agent = choices.agent or ""
        self._status.share = share_of(self.runs, models, model)

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do one of the actions; what takes longer goes on by itself."""
        self.equip()
        await self._doing.do(action_id, argument)

    async def in_turn(self, name: str, act: Act) -> None:
        """Do something after what is under way by that name."""
        await self._doing.in_turn(name, act)

    async def action_do(self, action_id: str) -> None:
        """Do what a key is bound to."""
        await self.do(action_id)

    def compose(self) -> ComposeResult:
        """Put the parts below each other."""
        yield self._transcript
        yield self._prompt
        yield self._status

    def on_mount(self) -> None:
        """Say what there is to say before anything is connected."""
        self._clock = self.set_interval(1, self._tick, pause=True)
        self._prompt.settle(home_of(self.app), self.thread_id)
        self.choices_changed()
        if self._notice:
            self._transcript.notice(self._notice, "muted")
        self.call_after_refresh(self.set_timer, EQUIP_SECONDS, self.equip)

    def equip(self) -> None:
        """Bring everything that can be done here, and its keys: the first frame does without."""
        if self.actions:
            return
        self._doing.equip(self)
        self._prompt.complete(self.actions)
        # As with bindings of a class, a key has one meaning on a screen.
        self._bindings.key_to_bindings.update(BindingsMap(bindings(self.actions)).key_to_bindings)
        self._status.name_keys()

    def on_screen_resume(self) -> None:
        """Go on after what was over it has been closed."""
        self.seen_again()

    def seen_again(self) -> None:
        """Let a question be seen before it is answered."""
        self._asking.seen()

    def on_resize(self, event: events.Resize) -> None:
        """Let a question have its share of the screen, and the prompt at least a row."""
        self._asking.fit(event.size.height)
        self._prompt.fit(event.size.height)

    def action_copy_text(self) -> None:
        """Copy what the mouse has selected, and say so."""
        if (text := self.get_selected_text()) is None:
            raise SkipAction
        self._transcript.copy(text, "what was selected")

    # The app's side

    def begin(self, notice: str | None) -> None:
        """Show what the settings say, which were read after the first frame."""
        self._notice = notice
        if notice:
            self._transcript.notice(notice, "muted")
        self.choices_changed()

    def connect(self, client: Client) -> None:
        """Begin to converse: what has been typed meanwhile is sent."""
        self._client = client
        self._converse(client)
        self._hearing.listen(client)
        self.conversation_changed()

    @work(group="elsewhere")
    async def _watch(self, client: Client, unseen: Unseen) -> None:
        await self._elsewhere.watch(client, unseen)

    def disconnect(self, error: CodyError) -> None:
        """Say that there is nobody to converse with; the next prompt is another attempt."""
        self._client = None
        self._is_offline = True
        self.conversation_failed(error, self._conversation.take_waiting())
        self._transcript.notice("Sending a prompt tries again.", "muted")

    async def leave(self) -> None:
        """Stop following: the client can be closed then, and what waits is a draft."""
        await self._doing.leave()
        self._client = None
        await give_up(self, "conversation", "elsewhere", "answers", HEARING)
        if unsent := self._conversation.take_unsent():
            self._prompt.put_away(unsent)

    # What the user does

    @on(Prompt.Sent)
    async def _send(self, event: Prompt.Sent) -> None:
        event.stop()
        if self._is_offline:  # the prompt waits, as one does that is sent before there is a client
            self._is_offline = False
            self.post_message(ConnectionAsked())
        if event.instead is not None:
            act: Act = partial(event.instead, event)
        else:
            act = partial(self.send, event.text, mentions=event.mentions)
        await self._doing.in_turn(SENDING, act, partial(self._prompt.put_away, [event.text]))

    @on(Prompt.Commanded)
    async def _do(self, event: Prompt.Commanded) -> None:
        event.stop()
        await self.do(event.action_id, event.argument)

    @on(Prompt.Recalled)
    def _take_back(self, event: Prompt.Recalled) -> None:
        event.stop()
        if (prompt := self._conversation.take_last()) is not None:
            self._prompt.take_back(prompt)

    @on(Transcript.RetryAsked)
    async def _retry(self, event: Transcript.RetryAsked) -> None:
        event.stop()
        await self.do("prompt.retry")

    def on_approval_typed(self, event: Approval.Typed) -> None:
        """Write what was not meant for the panel."""
        event.stop()
        self._asking.hand_on(event.text)

    def on_approval_answered(self, event: Approval.Answered) -> None:
        """Tell the core what was decided."""
        event.stop()
        self._answer(event)

    @work(group="answers")
    async def _answer(self, answer: Approval.Answered) -> None:
        await self._conversation.answer(answer.approval_id, answer.decision, answer.reason)

    # What the conversation tells

    @work(group="conversation", exclusive=True)
    async def _converse(self, client: Client) -> None:
        await self._conversation.converse(client)

    def thread_loaded(self, detail: ThreadDetail) -> None:
        """Show the thread from its end."""
        self._runs = {run.id: run for run in detail.runs}
        self._transcript.load(detail.runs)
        if self._notice:
            self._transcript.notice(self._notice, "muted")
        self._prompt.remember([text for run in detail.runs for text in prompts_of(run)])
        if detail.runs:
            self._take(detail.runs[-1])

    def thread_titled(self, title: str) -> None:
        """Show the title."""
        self.post_message(ThreadShown(title))

    def snapshot_came(self, snapshot: Snapshot) -> None:
        """Show how far the live run has come."""
        self._take(snapshot.response)
        self._transcript.show(snapshot)
        self.conversation_changed()

    def conversation_changed(self) -> None:
        """Bring prompts that wait and the status line up to date."""
        conversation = self._conversation
        self._transcript.queue(conversation.sending, conversation.waiting)
        self._prompt.waiting = self._status.queued = len(conversation.waiting)
        self._prompt.belongs_to(conversation.thread_id)
        self._asking.show(conversation.questions)
        if conversation.is_live:
            self._clock.resume()
        if self._client is not None:
            state = self._status.state = conversation.state
        else:
            state = self._status.state = "offline" if self._is_offline else "starting"
        if state == "answering" and not self._has_answered:
            self._has_answered = True
            collecting.keep()
        self._status.seconds = conversation.seconds

    def conversation_failed(self, error: CodyError, unsent: Sequence[str]) -> None:
        """Say what failed, and give back what could not be sent."""
        self._transcript.notice(f"{PLAIN.failed}{error.message}")
        if unsent:
            self._prompt.restore("\n\n".join(unsent))
        self.conversation_changed()

    def _take(self, response: Response) -> None:
        before = self._runs.get(response.id)
        self._runs[response.id] = response
        if before is None or response.is_terminal or response.usage != before.usage:
            self._status.usage = response.usage or self._status.usage
            self.choices_changed()

    def _tick(self) -> None:
        """Let a second pass, as long as there is something that may change in one."""
        if signs(self.app).draws:  # numbers that change would be read out again and again
            self._transcript.tick()
        self._status.seconds = self._conversation.seconds
        trouble = self._client.trouble if self._client is not None else None
        self._status.trouble = (trouble or "").partition(": ")[0]
        if not (self.is_live or trouble):
            self._clock.pause()
