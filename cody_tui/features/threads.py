"""Threads: the sidebar and the search for them, their titles and tags, deleting and taking it back.

A deleted thread leaves the screen at once and the store only when it can no longer be taken back,
or when the program ends in order. After a crash in between it is still there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from cody_core.errors import CodyError
from textual.timer import Timer

from cody_tui.actions import Action, Handler
from cody_tui.features import Stage
from cody_tui.keys import key_for
from cody_tui.messages import ThreadShown
from cody_tui.text import one_line

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.changes import Changes
    from cody_core.schema.threads import Thread, ThreadPage

    from cody_tui.widgets.sidebar import Outlook, Request, Sidebar

GROUP: Final = "Threads"
UNDO_SECONDS: Final = 10.0
PAGE: Final = 100
NO_THREAD: Final = "There is no thread yet: send a prompt first"


class Threads:
    """Lists, finds, names and deletes threads."""

    ACTIONS: ClassVar[tuple[Action, ...]] = (
        Action(
            "thread.sidebar", "Show or hide the threads", GROUP,
            key="ctrl+b", slash="sidebar", priority=True,
        ),
        Action(
            "thread.find", "Find a thread", GROUP,
            key="ctrl+t", slash="threads", short="Threads", priority=True,
        ),
        Action(
            "thread.rename", "Rename the thread", GROUP, slash="rename", argument="TITLE",
        ),
        Action(
            "thread.tag", "Tag the thread, or take tags off with -", GROUP,
            slash="tag", argument="WORD …",
        ),
        Action("thread.delete", "Delete the thread", GROUP, slash="delete"),
        Action("thread.undo", "Take the deletion back", GROUP, slash="undo"),
    )  # fmt: skip

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._sidebar: Sidebar | None = None
        self._doomed: dict[str, Timer] = {}
        self._going: set[str] = set()
        stage.before_leaving(self._delete_all)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does each of the actions."""
        return {
            "thread.sidebar": lambda _: self._toggle_sidebar(),
            "thread.find": lambda _: self._find(),
            "thread.rename": self._rename_this,
            "thread.tag": self._tag_this,
            "thread.delete": lambda _: self._delete_this(),
            "thread.undo": lambda _: self._undo(),
        }

    # The sidebar

    async def _toggle_sidebar(self) -> None:
        if self._sidebar is None:
            from cody_tui.widgets.sidebar import Sidebar

            self._sidebar = Sidebar(self._load, self._look, self._asked, self._hear)
            await self._stage.mount(self._sidebar)
        elif self._sidebar.display:
            self._sidebar.appear(False)
            self._stage.prompt.focus()
            return
        else:
            self._sidebar.appear(True)
        self._sidebar.point_at(self._stage.thread_id)
        self._sidebar.focus()

    async def _load(self, cursor: str | None) -> ThreadPage | None:
        client = self._stage.client
        if client is None:
            return None
        try:
            return await client.threads(limit=PAGE, cursor=cursor)
        except CodyError:
            return None  # it is read again soon, and what was listed stays

    def _hear(self) -> AsyncGenerator[Changes] | None:
        client = self._stage.client
        return None if client is None else client.changes(threads=True)

    def _look(self) -> Outlook:
        from cody_tui.widgets.sidebar import Outlook

        stage = self._stage
        waiting = frozenset(stage.elsewhere.waiting)
        return Outlook(stage.thread_id, stage.status.state, frozenset(self._doomed), waiting)

    def _asked(self, what: Request, thread: Thread | None) -> None:
        match what:
            case "undo":
                self._undo()
            case "leave":
                self._stage.prompt.focus()
            case "open" if thread is not None:
                self._open(thread.id)
            case "rename" if thread is not None:
                self._ask_for_title(thread.id, thread.title)
            case "delete" if thread is not None:
                self._delete(thread.id, thread.title)
            case _:
                pass

    def _changed(self) -> None:
        if self._sidebar is not None and self._sidebar.display:
            self._sidebar.look()
            self._sidebar.read()

    # Finding and opening

    def _find(self) -> None:
        if (client := self._client()) is None:
            return
        from cody_tui.dialogs.threads import FindThread

        dialog = FindThread(client, self._stage.thread_id, self._doomed.__contains__)
        self._stage.app.push_screen(dialog, self._open)

    def _open(self, thread_id: str | None) -> None:
        if thread_id is not None and thread_id != self._stage.thread_id:
            self._stage.open_thread(thread_id)
        self._stage.prompt.focus()
        self._changed()

    def _client(self) -> Client | None:
        if self._stage.client is None:
            self._stage.say("Not connected yet", "warning")
        return self._stage.client

    # Titles and tags

    async def _rename_this(self, title: str) -> None:
        if (thread_id := self._this()) is None:
            return
        if title.strip():
            await self._rename(thread_id, title.strip())
        elif (thread := await self._read(thread_id)) is not None:
            self._ask_for_title(thread_id, thread.title)

    def _ask_for_title(self, thread_id: str, title: str) -> None:
        from cody_tui.dialogs.threads import AskLine

        async def answered(answer: str | None) -> None:
            if answer is not None:
                await self._stage.in_turn("thread.rename", lambda: self._rename(thread_id, answer))

        self._stage.app.push_screen(AskLine("The thread is called", title), answered)

    async def _rename(self, thread_id: str, title: str) -> None:
        if await self._change(thread_id, title=one_line(title, 200)):
            if thread_id == self._stage.thread_id:
                self._stage.transcript.post_message(ThreadShown(title))
            self._stage.say(f"Renamed to {one_line(title, 60)}")

    async def _tag_this(self, words: str) -> None:
        thread_id = self._this()
        thread = None if thread_id is None else await self._read(thread_id)
        if thread is None:
            return
        gone = {word[1:].lstrip("#") for word in words.split() if word.startswith("-")}
        new = [word.lstrip("#") for word in words.split() if not word.startswith("-")]
        tags = tuple(t for t in dict.fromkeys([*thread.tags, *new]) if t and t not in gone)
        if tags != thread.tags and not await self._change(thread.id, tags=tags):
            return
        self._stage.say("Tags: " + " ".join(f"#{tag}" for tag in tags) if tags else "No tags")

    async def _change(self, thread_id: str, **changes: object) -> bool:
        from cody_core.schema.threads import ThreadChanges
        from pydantic import ValidationError

        if (client := self._client()) is None:
            return False
        try:
            await client.update_thread(thread_id, ThreadChanges.model_validate(changes))
        except ValidationError:
            self._stage.say("That is too long", "error")
            return False
        except CodyError as error:
            self._stage.say(error.message, "error")
            return False
        self._changed()
        return True

    async def _read(self, thread_id: str) -> Thread | None:
        if (client := self._client()) is None:
            return None
        try:
            return (await client.thread(thread_id)).thread
        except CodyError as error:
            self._stage.say(error.message, "error")
            return None

    def _this(self) -> str | None:
        if self._stage.thread_id is None:
            self._stage.say(NO_THREAD, "warning")
        return self._stage.thread_id

    # Deleting, and taking it back

    async def _delete_this(self) -> None:
        thread_id = self._this()
        thread = None if thread_id is None else await self._read(thread_id)
        if thread is not None:
            self._delete(thread.id, thread.title)

    def _delete(self, thread_id: str, title: str) -> None:
        if thread_id in self._doomed:
            return
        app = self._stage.app
        self._doomed[thread_id] = app.set_timer(
            UNDO_SECONDS, lambda: app.run_worker(self._delete_for_good(thread_id), group="deleting")
        )
        if thread_id == self._stage.thread_id:
            self._stage.open_thread(None)
        self._stage.elsewhere.forget(thread_id)
        self._changed()
        undo = "/undo"
        if self._sidebar is not None and self._sidebar.has_focus:
            undo = f"{key_for(app, 'sidebar.undo', 'u')} or {undo}"
        note = f"Deleted {one_line(title, 40)}: {undo} takes it back"
        app.notify(note, timeout=UNDO_SECONDS, markup=False)

    def _undo(self) -> None:
        kept = [thread_id for thread_id in self._doomed if thread_id not in self._going]
        if not kept:
            self._stage.say("There is nothing to take back")
            return
        self._doomed.pop(kept[-1]).stop()
        self._open(kept[-1])

    async def _delete_all(self) -> None:
        for thread_id, timer in list(self._doomed.items()):
            timer.stop()
            await self._delete_for_good(thread_id)

    async def _delete_for_good(self, thread_id: str) -> None:
        client = self._stage.client
        if client is None or thread_id not in self._doomed:
            return
        self._going.add(thread_id)
        try:
            await client.delete_thread(thread_id)
        except CodyError as error:
            self._stage.say(error.message, "error")
        finally:
            self._going.discard(thread_id)
            self._doomed.pop(thread_id, None)
        self._changed()
