from __future__ import annotations

import asyncio
import os
import pty

import pytest
from cody_core.schema.events import ApprovalRequested

from cody_tui.consent import Answer, Terminal


class Screen:
    """What was written, and a way to wait for it."""

    def __init__(self) -> None:
        self.text = ""
        self.asked = asyncio.Event()

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        self.asked.set()


def question(
    summary: str, preview: str | None = None, covers: str | None = None
) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id="a", item_id="i", call_id="c", tool="shell", kind="execute",
        summary=summary, preview=preview, covers=covers,
    )  # fmt: skip


async def test_what_was_typed_before_the_question_is_no_answer_to_it() -> None:
    master, slave = pty.openpty()
    screen = Screen()
    try:
        os.write(master, b"y\n")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(Terminal(screen, slave).ask(question("ls")))  # type: ignore[arg-type] # as much of a file as is used
            await screen.asked.wait()
            os.write(master, b"n\n")
        assert asking.result() == Answer("deny")
    finally:
        os.close(master)
        os.close(slave)


async def test_a_terminal_that_is_gone_is_a_no() -> None:
    master, slave = pty.openpty()
    screen = Screen()
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(Terminal(screen, slave).ask(question("ls")))  # type: ignore[arg-type] # as much of a file as is used
            await screen.asked.wait()
            os.close(master)
        assert asking.result().decision == "deny"
    finally:
        os.close(slave)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (question("rm \u202etxt.sh"), "rm <202E>txt.sh"),
        (question("x", "rm \u202etxt.sh"), "rm <202E>txt.sh"),
        (question("echo " + "-" * 300 + "; rm all"), "; rm all"),
        (question("ls", covers="all \u202e"), "  s and a allow: all <202E>\n"),
        (question("ls", "ls a", covers="x"), "  ls a\n  s and a allow: x\n"),
    ],
)
async def test_what_is_consented_to_is_seen_whole_and_as_it_is(
    asked: ApprovalRequested, expected: str
) -> None:
    master, slave = pty.openpty()
    screen = Screen()
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(Terminal(screen, slave).ask(asked))  # type: ignore[arg-type] # as much of a file as is used
            await screen.asked.wait()
            os.write(master, b"s\n")
        assert asking.result() == Answer("approve_for_session")
    finally:
        os.close(master)
        os.close(slave)
    assert expected in screen.text
