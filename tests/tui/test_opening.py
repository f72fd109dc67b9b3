"""``cody THREAD`` and ``cody threads export``: which thread a word means, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest
from cody_core.client import Client
from cody_core.ids import new_id
from cody_core.runtime import open_runtime
from cody_core.schema.requests import SubmitRequest
from support.inside import here
from tui.conftest import MakeSettings
from tui.test_cli import terminal, threads

from cody_tui.commands.opening import matching, with_thread

COMMANDS = ("chat", "threads", "approvals")


@pytest.mark.parametrize(
    ("args", "taken"),
    [
        (["01a20436"], True),
        (["about bees", "-m", "x"], True),
        (["chat", "hi"], False),
        (["thraeds", "list"], False),
        (["--model", "x"], False),
        (["-h"], False),
        ([], False),
        ([""], False),
    ],
)
def test_a_first_word_is_a_thread_unless_it_is_a_command(args: list[str], taken: bool) -> None:
    taken_as = ["--thread", *args] if taken else args
    assert with_thread(args, COMMANDS, {"-m", "--model"}) == taken_as


@pytest.mark.parametrize(
    ("args", "taken"),
    [
        (["-m", "x", "bees"], ["-m", "x", "--thread", "bees"]),
        (["--model=x", "bees", "-c"], ["--model=x", "--thread", "bees", "-c"]),
        (["-m", "chat"], ["-m", "chat"]),
        (["-m", "x", "chat", "hi"], ["-m", "x", "chat", "hi"]),
        (["-c", "-m"], ["-c", "-m"]),
    ],
)
def test_options_may_stand_before_the_thread(args: list[str], taken: list[str]) -> None:
    assert with_thread(args, COMMANDS, {"-m", "--model"}) == taken


async def _asked(client: Client, prompt: str) -> str:
    submitted = await client.submit(SubmitRequest(prompt=prompt))
    async for _ in client.follow(submitted.run_id):
        pass
    return submitted.thread_id


async def test_a_thread_is_meant_by_its_id_or_its_title(make_settings: MakeSettings) -> None:
    async with open_runtime(make_settings("demo/echo")) as client:
        bees = await _asked(client, "Bees")
        more = await _asked(client, "more bees")
        wasps = await _asked(client, "wasps and bees")

        async def meant(text: str) -> list[str]:
            return [thread.id for thread in await matching(client, text)]

        assert await meant(bees[:24].upper()) == [bees]
        assert await meant(bees[:4]) == [wasps, more, bees]
        assert await meant(" bees ") == [bees]
        assert await meant("MORE") == [more]
        assert await meant("ee") == [wasps, more, bees]
        assert await meant(new_id()) == await meant("whales") == []


def test_a_thread_is_opened_in_the_terminal_by_a_part_of_its_title() -> None:
    here("chat", "-m", "demo/echo", "about bees")
    child = terminal("-m", "demo/echo", "BEES")
    child.expect_exact("about bees")
    child.sendcontrol("q")
    child.expect(pexpect.EOF)
    child = terminal("wasps")
    child.expect_exact("no thread is called 'wasps'")
    child.expect(pexpect.EOF)


def test_a_thread_is_exported() -> None:
    here("chat", "-m", "demo/echo", "about bees")
    thread_id = str(threads()[0]["id"])
    document = here("threads", "export", thread_id).stdout
    assert document.startswith("# about bees\n")
    assert here("threads", "export", thread_id, "--out", "bees.md").returncode == 0
    assert Path("bees.md").read_text() == document
    assert "bees-2.md" in here("threads", "export", thread_id, "--out", "bees.md").stderr
    here("threads", "export", thread_id, "-f", "html", "-o", ".")
    assert Path("about-bees.html").read_text().startswith("<!doctype html>")
    refused = here("threads", "export", thread_id, "--format", "pdf")
    assert (refused.returncode, "md, json or html" in refused.stderr) == (2, True)
