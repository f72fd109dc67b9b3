"""What can be done on a screen, and its being done: nothing that takes long holds up a key.

What is quick is done before the next key is looked at, as whoever types fast expects. What is not,
since it waits for a server, goes on by itself after a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from textual.worker import WorkerCancelled, WorkerFailed, WorkType

from cody_tui.actions import Action, Handler

if TYPE_CHECKING:
    from textual.screen import Screen

    from cody_tui.features import Stage

GROUP: Final = "doing"
"""The workers that do it, on the screen."""
MOMENT: Final = 0.1
"""Seconds for which keys wait for what they might be about."""
SENDING: Final = "prompt.send"
"""The turns of whatever says where the next prompt goes."""
_TURNS: Final = {"thread.fork": SENDING}
"""Whose turns an action waits for, where they are not its own."""

Act: TypeAlias = "Callable[[], Awaitable[None] | None]"


class _Turn:
    """Something that takes time, once it is its turn."""

    def __init__(
        self, act: Act, begun: Awaitable[None] | None, otherwise: Callable[[], None] | None
    ) -> None:
        self.is_over = asyncio.Event()
        self._act = act
        self._begun = begun
        self._otherwise = otherwise

    async def take(self) -> None:
        """Do it, if that has not begun yet, and wait for its end."""
        if (doing := self._begun or self._act()) is not None:
            await doing

    def drop(self) -> None:
        """Do what is left to be done where it will not be done."""
        if isinstance(self._begun, Coroutine):
            self._begun.close()
        if self._otherwise is not None:
            self._otherwise()


class Doing:
    """The actions of a screen, each after those of its kind that are under way."""

    def __init__(self, screen: Screen[Any]) -> None:
        self.actions: Sequence[Action] = ()
        self._screen = screen
        self._handlers: dict[str, Handler] = {}
        self._farewells: list[Callable[[], Awaitable[None]]] = []
        self._turns: defaultdict[str, list[_Turn]] = defaultdict(list)
        """What is under way by each name, in its order."""

    def equip(self, stage: Stage) -> None:
        """Bring everything that can be done."""
        from cody_tui.features.listing import ACTIONS, FEATURES

        for feature in FEATURES:
            self._handlers.update(feature(stage).handlers)
        self.actions = ACTIONS

    async def do(self, action_id: str, argument: str) -> None:
        """Do one of the actions."""
        act = partial(self._handlers[action_id], argument)
        await self.in_turn(_TURNS.get(action_id, action_id), act)

    async def in_turn(
        self, name: str, act: Act, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Do something after what is under way by that name; what takes longer goes on by itself.

        Args:
            name: Whose turn it waits for.
            act: Does it.
            otherwise: Called if the screen is left before it is done.
        """
        is_first = not self._turns[name]
        begun = act() if is_first else None
        if is_first and begun is None:
            return
        turn = _Turn(act, begun, otherwise)
        self._turns[name].append(turn)
        if is_first:
            work: WorkType[None] = partial(self._take_turns, name)
            self._screen.run_worker(work, group=GROUP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOMENT):
                await turn.is_over.wait()

    async def _take_turns(self, name: str) -> None:
        turns = self._turns[name]
        while turns:
            await turns[0].take()
            turns.pop(0).is_over.set()

    def before_leaving(self, act: Callable[[], Awaitable[None]]) -> None:
        """Have something done when the screen is left."""
        self._farewells.append(act)

    async def leave(self) -> None:
        """Give up what is under way, and do what is left to be done."""
        await give_up(self._screen, GROUP)
        for turns in self._turns.values():
            while turns:
                turns.pop().drop()  # the last first, so that prompts come back in their order
        while self._farewells:
            await self._farewells.pop()()


async def give_up(screen: Screen[Any], *groups: str) -> None:
    """Cancel the workers of a screen that are in these groups, and wait for their end."""
    for group in groups:
        for worker in screen.workers.cancel_group(screen, group):
            with contextlib.suppress(WorkerCancelled, WorkerFailed):
                await worker.wait()
