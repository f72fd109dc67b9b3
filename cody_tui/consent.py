"""Asking a person at the terminal whether a call may run, while the answer streams."""

from __future__ import annotations

import asyncio
import os
import termios
from dataclasses import dataclass
from typing import IO, Protocol

from cody_core.schema.events import ApprovalRequested, Decision

from cody_tui.text import one_line, unmistakable

PREVIEW_LINES = 40
DECISIONS: dict[str, Decision] = {
    "y": "approve",
    "yes": "approve",
    "s": "approve_for_session",
    "a": "approve_always",
    "n": "deny",
    "no": "deny",
}
HINT = "there is no terminal to ask at; run cody chat with --yes, or with --policy auto-edit"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said, and why."""

    decision: Decision
    reason: str | None = None


class Asker(Protocol):
    """Somebody to ask. Asked again while it thinks, it takes one question after the other."""

    async def ask(self, question: ApprovalRequested) -> Answer:
        """Return the answer; cancelling it withdraws the question."""
        ...


class Nobody:
    """For pipes: says no, and how to say yes beforehand."""

    async def ask(self, question: ApprovalRequested) -> Answer:
        """Return no."""
        return Answer("deny", HINT)


class Terminal:
    """Shows the question on ``out`` and reads a line from the terminal behind ``descriptor``."""

    def __init__(self, out: IO[str], descriptor: int) -> None:
        self._out = out
        self._descriptor = descriptor
        self._turn = asyncio.Lock()

    async def ask(self, question: ApprovalRequested) -> Answer:
        """Ask until the answer is one of the letters; an end of input is a no.

        What was typed before the question could be read is no answer to it.
        """
        async with self._turn:
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
            self._out.write(f"\n{_described(question)}\n")
            while True:
                self._out.write("Allow? [y]es, for this [s]ession, [a]lways here, [n]o: ")
                self._out.flush()
                line = await self._line()
                if not line:
                    return Answer("deny", "the input ended")
                if decision := DECISIONS.get(line.strip().lower()):
                    return Answer(decision)

    async def _line(self) -> str:
        """Read a line without a thread: one that waits for input could not be stopped."""
        loop = asyncio.get_running_loop()
        came: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            if not came.done():
                came.set_result(os.read(self._descriptor, 4096))

        loop.add_reader(self._descriptor, read)
        try:
            return (await came).decode(errors="replace")
        finally:
            loop.remove_reader(self._descriptor)


def _described(question: ApprovalRequested) -> str:
    """Return the question and as much of its preview as fits a screen; the rest is counted."""
    summary = one_line(unmistakable(question.summary), 200)
    head = f"? {one_line(unmistakable(question.tool), 64)} wants to {question.kind}: {summary}"
    covers = one_line(unmistakable(question.covers or ""), 200)
    end = [f"  s and a allow: {covers}"] if covers else []
    whole = question.preview if question.preview is not None else question.summary
    if whole == summary:
        return "\n".join([head, *end])
    lines = unmistakable(whole).splitlines()
    shown = [f"  {line}" for line in lines[:PREVIEW_LINES]]
    if len(lines) > PREVIEW_LINES:
        shown.append(f"  … {len(lines) - PREVIEW_LINES} more lines")
    return "\n".join([head, *shown, *end])
