"""``--server``: the same screen and the same one-shot, on a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from cody_core.providers.scripted import Call, Hang, Say, ScriptedProvider
from cody_core.remote import open_remote
from cody_core.settings import AgentSettings
from cody_core.tools.write_file import WriteFile
from support.core import texts
from support.inside import here
from support.relay import Relay
from support.server import Served, served
from tui.conftest import MakeSettings
from tui.screen import (
    answered,
    chat,
    do,
    key,
    line,
    notes,
    prompt_of,
    prompts,
    questioned,
    seen,
    send,
    shown,
    state,
    until,
)

from cody_tui.app import CodyApp
from cody_tui.messages import Choices

SCRIPT = str(Path(sys.executable).parent / "cody")
TOKEN = "s3cret-token"


def echo() -> ScriptedProvider:
    return ScriptedProvider(lambda request: [Say(f"You said {texts(request.items)[-1]}.")])


@contextmanager
def elsewhere() -> Iterator[str]:
    """Serve on a loop of its own, and return where: the program has the one of this thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served(echo(), token=TOKEN)) as server,
    ):
        yield server.url


def at(url: str, **more: str) -> dict[str, str]:
    """Return the variables of a client of it, which has a data directory of its own."""
    return {"CODY_HOME": str(Path.cwd() / "elsewhere"), "CODY_SERVER": url, **more}


def test_one_shot_and_threads_work_on_a_server() -> None:
    with elsewhere() as url:
        first = subprocess.run(
            [SCRIPT, "chat", "--server", url, "--token", TOKEN, "hello"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "CODY_HOME": at(url)["CODY_HOME"]},
            encoding="utf-8",
            timeout=50,
            check=False,
        )
        assert (first.returncode, first.stdout, first.stderr) == (0, "You said hello.\n", "")
        place = at(url, CODY_TOKEN=TOKEN)
        done = here("chat", "--continue", "--json", "again", env=place)
        assert json.loads(done.stdout.splitlines()[-1])["type"] == "response_done"
        listed = here("threads", "list", "--json", env=place)
        (thread,) = map(json.loads, listed.stdout.splitlines())
        shown = here("threads", "show", thread["id"], "--json", env=place)
        assert len(json.loads(shown.stdout)["runs"]) == 2


@pytest.mark.parametrize("command", [["chat", "hello"], ["threads", "list"]])
def test_a_server_that_is_away_or_refuses_is_one_line(command: list[str]) -> None:
    with elsewhere() as url:
        done = here(*command, env=at(url))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"cody: the server at {url} wants a token: set CODY_TOKEN")
    done = here(*command, env=at(url, CODY_TOKEN=TOKEN))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cody serve" in done.stderr


def app_on(server: Served | Relay, make_settings: MakeSettings) -> CodyApp:
    return CodyApp(lambda: open_remote(server.url), choices=Choices(), settings=make_settings())


async def test_the_screen_works_on_a_server(make_settings: MakeSettings) -> None:
    async with served(echo()) as server, app_on(server, make_settings).run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "You said hello.")
        await send(pilot, "again")
        await answered(pilot, "You said again.")
        await until(pilot, lambda: pilot.app.title == "hello · Cody")


async def test_a_server_that_was_away_at_the_start_is_tried_again_with_the_next_prompt(
    make_settings: MakeSettings,
) -> None:
    relay = Relay()
    async with relay.serve():
        app = CodyApp(lambda: open_remote(relay.url), choices=Choices(), settings=make_settings())
        async with served(echo()) as server, app.run_test() as pilot:
            await until(pilot, lambda: state(pilot) == "offline")
            failures = shown(pilot).count("✗")
            await send(pilot, "precious words")
            await until(pilot, lambda: shown(pilot).count("✗") == 2 * failures)
            await until(pilot, lambda: prompt_of(pilot).text == "precious words")
            assert "Sending a prompt tries again" in shown(pilot)
            relay.point_to(server.url)
            key(pilot, "enter")
            await answered(pilot, "You said precious words.")
            assert prompt_of(pilot).text == ""


async def test_the_screen_answers_what_a_run_on_a_server_asks(make_settings: MakeSettings) -> None:
    writing = Call("write_file", {"path": "note.txt", "content": "remember"})
    provider = ScriptedProvider([[writing], [Say("It is written.")]])
    async with (
        served(provider, tools=[WriteFile()], policy="ask") as server,
        app_on(server, make_settings).run_test(size=(100, 30)) as pilot,
    ):
        await send(pilot, "take a note")
        panel = await questioned(pilot)
        await until(pilot, lambda: panel.has_focus and not panel.is_guarded)
        key(pilot, "y")
        await answered(pilot, "It is written.")
    assert noted() == "remember"


async def test_what_counts_on_the_server_is_shown_and_chosen_from(
    make_settings: MakeSettings,
) -> None:
    there = {"reviewer": AgentSettings(model="scripted/model", policy="auto-edit")}
    async with served(echo(), policy="read-only", agents=there) as server:
        here = {"writer": AgentSettings()}
        settings = make_settings(policy="full-auto", agents=here, server=server.url)
        app = CodyApp(lambda: open_remote(server.url), choices=Choices(), settings=settings)
        async with app.run_test(size=(120, 30)) as pilot:
            assert "full-auto" not in line(pilot)
            await until(pilot, lambda: "read-only" in line(pilot))
            await do(pilot, "agent.choose")
            await until(pilot, lambda: "reviewer" in "".join(seen(pilot)))
            assert "writer" not in "".join(seen(pilot))
            key(pilot, "escape")
            await until(pilot, lambda: app.screen is chat(pilot))
            await do(pilot, "agent.choose", "reviewer")
            await until(pilot, lambda: "auto-edit" in line(pilot))
            await do(pilot, "status.show")
            await until(pilot, lambda: "auto-edit: files" in "".join(seen(pilot)))
            key(pilot, "escape")
            await until(pilot, lambda: app.screen is chat(pilot))
            key(pilot, "shift+tab")
            await until(pilot, lambda: "full-auto" in line(pilot))


async def test_nothing_is_said_of_what_counts_on_a_server_that_does_not_answer(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(policy="full-auto", server="http://127.0.0.1:9")
    app = CodyApp(lambda: open_remote("http://127.0.0.1:9"), choices=Choices(), settings=settings)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "offline")
        assert "full-auto" not in line(pilot)
        await do(pilot, "agent.choose", "reviewer")  # there may be one
        await until(pilot, lambda: "@reviewer" in line(pilot))
        await do(pilot, "status.show")
        await until(pilot, lambda: "as the server says" in "".join(seen(pilot)))


async def test_quitting_leaves_an_answer_to_the_server_and_says_so(
    make_settings: MakeSettings,
) -> None:
    async with served(ScriptedProvider([[Say("so far"), Hang()]])) as server:
        settings = make_settings(server=server.url)
        app = CodyApp(lambda: open_remote(server.url), choices=Choices(), settings=settings)
        async with app.run_test(size=(120, 30)) as pilot:
            await send(pilot, "hello")
            await until(pilot, lambda: state(pilot) == "answering")
            key(pilot, "ctrl+q")
            await until(pilot, lambda: "quits; the server goes on with it." in notes(pilot))
            key(pilot, "ctrl+q")
            await until(pilot, lambda: not app.is_running)
        (run,) = app.left.runs
        assert (await server.core.run(run.id)).status == "in_progress"


@asynccontextmanager
async def hesitant(make_settings: MakeSettings) -> AsyncIterator[tuple[Relay, CodyApp]]:
    """Serve behind a relay that can hold everything up; give that, and an app on it."""
    relay = Relay()
    async with served(echo()) as server, relay.serve():
        relay.point_to(server.url)
        yield relay, app_on(relay, make_settings)
        relay.flows.set()


@pytest.mark.parametrize("command", ["/status", "/model", "/rename other"])
async def test_a_server_that_is_slow_holds_up_no_key(
    make_settings: MakeSettings, command: str
) -> None:
    async with hesitant(make_settings) as (relay, app), app.run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "You said hello.")
        relay.flows.clear()
        prompt_of(pilot).write(command)
        key(pilot, "enter", *"next")
        await until(pilot, lambda: prompt_of(pilot).text == "next")
        key(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)


async def test_what_is_sent_after_an_edited_prompt_follows_it_however_slow_the_server_is(
    make_settings: MakeSettings,
) -> None:
    async with hesitant(make_settings) as (relay, app), app.run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "You said hello.")
        before = chat(pilot).thread_id
        relay.flows.clear()
        key(pilot, "alt+e")
        await until(pilot, lambda: prompt_of(pilot).text == "hello")
        key(pilot, *"you", "enter", *"again", "enter", *"late")
        await until(pilot, lambda: prompt_of(pilot).text == "late")
        relay.flows.set()
        await answered(pilot, "You said again.")
        assert prompts(pilot) == ["▌ helloyou", "▌ again"]
        assert chat(pilot).thread_id != before


async def test_an_edited_prompt_that_a_slow_server_keeps_from_being_sent_is_not_lost(
    make_settings: MakeSettings,
) -> None:
    async with hesitant(make_settings) as (relay, app), app.run_test() as pilot:
        await send(pilot, "hello")
        await answered(pilot, "You said hello.")
        relay.flows.clear()
        key(pilot, "alt+e")
        await until(pilot, lambda: prompt_of(pilot).text == "hello")
        key(pilot, *"you", "enter", *"late")
        await until(pilot, lambda: prompt_of(pilot).text == "late")
        key(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)
        assert prompt_of(pilot).text == "helloyou\n\nlate"


def noted() -> str:
    return Path("note.txt").read_text("utf-8")
