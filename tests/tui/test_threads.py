"""Threads in the app: the sidebar, finding, naming, deleting, forking, answering anew, sharing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cody_core.client import Client
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id, now_ms
from cody_core.runtime import open_runtime
from cody_core.schema.events import ResponseDone
from cody_core.schema.requests import SubmitRequest
from cody_core.schema.threads import ThreadDetail
from cody_core.settings import Settings
from support.redis import RedisServer
from support.shapes import events, started
from textual.pilot import Pilot
from textual.widgets import Input, OptionList
from tui.conftest import MakeApp, MakeSettings
from tui.screen import (
    answered,
    chat,
    do,
    key,
    notes,
    prompt_of,
    prompts,
    send,
    shown,
    state,
    transcript_of,
    until,
)

from cody_tui import conversation
from cody_tui.features import threads as feature
from cody_tui.widgets.sidebar import Sidebar

DAY = 24 * 60 * 60 * 1000
ECHO = "demo/echo"
LONG = "demo/long"


def the_client(pilot: Pilot[None]) -> Client:
    client = chat(pilot).client
    assert client is not None
    return client


async def connected(pilot: Pilot[None]) -> Client:
    await until(pilot, lambda: chat(pilot).client is not None)
    return the_client(pilot)


def sidebar(pilot: Pilot[None]) -> Sidebar:
    return pilot.app.query_one(Sidebar)


def listed(pilot: Pilot[None]) -> list[str]:
    return [row.text for row in sidebar(pilot).rows if row.text]


async def ask(client: Client, prompt: str, thread_id: str | None = None) -> str:
    """Have a prompt answered by the echo model; return its thread."""
    request = SubmitRequest(prompt=prompt, thread_id=thread_id, model=ECHO)
    submitted = await client.submit(request)
    async for _ in client.follow(submitted.run_id):
        pass
    return submitted.thread_id


@asynccontextmanager
async def stored(settings: Settings, *titles: str) -> AsyncIterator[list[str]]:
    """Threads of earlier, with the runtime that made them closed again."""
    async with open_runtime(settings) as client:
        ids = [await ask(client, title) for title in titles]
    yield ids


async def said(pilot: Pilot[None], *texts: str) -> None:
    """Send prompts, each when the one before is answered."""
    for text in texts:
        await _answered_anew(pilot, text)


async def _answered_anew(pilot: Pilot[None], text: str) -> None:
    before = len(chat(pilot).runs)
    await send(pilot, text)
    await until(pilot, lambda: len(chat(pilot).runs) > before)
    await until(pilot, lambda: chat(pilot).runs[-1].is_terminal and state(pilot) == "ready")


# Finding


async def test_a_thread_is_found_by_letters_of_its_title_or_words_of_its_text(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    async with (
        stored(make_settings(ECHO), "about bees", "about whales\n\nthe umbrella") as (bees, whales),
        make_app(ECHO).run_test(size=(100, 30)) as pilot,
    ):
        await connected(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        found = pilot.app.screen.query_one(OptionList)

        def ids() -> list[str | None]:
            return [option.id for option in found.options if not option.disabled]

        await until(pilot, lambda: ids() == [whales, bees])
        pilot.app.screen.query_one(Input).value = "abees"
        await until(pilot, lambda: ids() == [bees])
        pilot.app.screen.query_one(Input).value = "umbrella"
        await until(pilot, lambda: ids() == [whales])
        await pilot.press("enter")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await until(pilot, lambda: "about whales" in shown(pilot))


# Names and tags


async def test_a_thread_is_renamed_and_tagged(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test() as pilot:
        await said(pilot, "first")
        await do(pilot, "thread.rename", " Bees ")
        await until(pilot, lambda: pilot.app.title == "Bees · Cody")
        await do(pilot, "thread.rename")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        await pilot.press("!", "enter")
        await until(pilot, lambda: pilot.app.title == "Bees! · Cody")
        await do(pilot, "thread.tag", "#nature tiny")
        await do(pilot, "thread.tag", "wild -tiny")
        [thread] = (await the_client(pilot).threads()).threads
        assert (thread.title, thread.tags) == ("Bees!", ("nature", "wild"))


# Deleting


async def test_a_deleted_thread_can_be_taken_back(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test() as pilot:
        await said(pilot, "first")
        await do(pilot, "thread.delete")
        assert chat(pilot).thread_id is None
        await pilot.press("ctrl+b")
        await until(pilot, lambda: not prompts(pilot))
        assert listed(pilot) == []
        await pilot.press("u")
        await until(pilot, lambda: prompts(pilot) == ["▌ first"])
        await until(pilot, lambda: listed(pilot) == ["Today", "first"])


async def test_a_deleted_thread_is_gone_when_it_cannot_be_taken_back_any_more(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature, "UNDO_SECONDS", 0.05)
    async with make_app(ECHO).run_test() as pilot:
        await said(pilot, "first")
        client = the_client(pilot)
        await do(pilot, "thread.delete")
        async with asyncio.timeout(10):
            while (await client.threads()).threads:
                await asyncio.sleep(0.01)
        await do(pilot, "thread.undo")
        await until(pilot, lambda: "nothing to take back" in notes(pilot))


async def test_quitting_deletes_what_was_deleted(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    settings = make_settings(ECHO)
    async with stored(settings, "kept", "gone"), make_app(ECHO).run_test() as pilot:
        await connected(pilot)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: listed(pilot) == ["Today", "gone", "kept"])
        await pilot.press("d")
        await until(pilot, lambda: listed(pilot) == ["Today", "kept"])
        assert len((await the_client(pilot).threads()).threads) == 2
        await pilot.press("ctrl+q")
    async with open_runtime(settings) as client:
        assert [thread.title for thread in (await client.threads()).threads] == ["kept"]


# Branches


async def test_a_fork_holds_the_prompts_up_to_a_number(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test(size=(80, 40)) as pilot:
        await said(pilot, "one", "two", "three")
        before = chat(pilot).thread_id
        await do(pilot, "thread.fork", "9")
        await until(pilot, lambda: "numbered from 1 to 3" in notes(pilot))
        await do(pilot, "thread.fork", "2")
        await until(pilot, lambda: prompts(pilot) == ["▌ one", "▌ two"])
        assert chat(pilot).thread_id != before
        await said(pilot, "another way")
        assert prompts(pilot) == ["▌ one", "▌ two", "▌ another way"]
        await pilot.press("alt+up", "alt+up", "alt+up", "alt+up", "alt+up")
        await do(pilot, "thread.fork")
        await until(pilot, lambda: prompts(pilot) == ["▌ one"])


async def test_an_edited_prompt_goes_on_in_a_new_thread(make_app: MakeApp) -> None:
    async with make_app(ECHO).run_test(size=(80, 40)) as pilot:
        await said(pilot, "one", "two", "three")
        before = chat(pilot).thread_id
        assert before is not None
        key(pilot, *["alt+up"] * 4)  # the answer to the second prompt of three
        await until(pilot, lambda: transcript_of(pilot).item is not None)
        key(pilot, "alt+e")
        await until(pilot, lambda: prompt_of(pilot).text != "")
        assert prompt_of(pilot).text == "two"
        await send(pilot, "TWO")
        await until(pilot, lambda: prompts(pilot) == ["▌ one", "▌ TWO"])
        await answered(pilot, "TWO")
        await send(pilot, "and on")
        await until(pilot, lambda: prompts(pilot) == ["▌ one", "▌ TWO", "▌ and on"])
        assert len((await the_client(pilot).thread(before)).runs) == 3


async def test_a_retry_answers_the_same_turn_anew(make_app: MakeApp) -> None:
    async with make_app("demo/tour").run_test(size=(80, 60)) as pilot:
        await said(pilot, "first")
        await do(pilot, "prompt.retry")
        await until(pilot, lambda: len(chat(pilot).runs) == 2 and state(pilot) == "ready")
        transcript_of(pilot).show_start()
        await until(pilot, lambda: prompts(pilot) == ["▌ first"])
        await until(pilot, lambda: "Answer 2 to the prompt above" in shown(pilot))
        one, two = chat(pilot).runs
        assert one.turn_id == two.turn_id
        assert (one.status, two.status) == ("complete", "complete")
        assert one.input_items[0].id != two.input_items[0].id
        # The model is not told of the answer that does not count any more.
        assert "first turn of our thread" in str(two.output_items)


# Exporting


async def test_the_thread_is_written_to_a_file(make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app(ECHO).run_test() as pilot:
        await said(pilot, "About bees")
        await do(pilot, "thread.export")
        assert (tmp_path / "about-bees.md").read_text().startswith("# About bees\n")
        await do(pilot, "thread.export", f"json {tmp_path}")
        detail = ThreadDetail.model_validate_json((tmp_path / "about-bees.json").read_text())
        assert detail.thread.id == chat(pilot).thread_id
        await do(pilot, "thread.export", "page.html")
        assert "<h1>About bees</h1>" in (tmp_path / "page.html").read_text()
        await do(pilot, "thread.export", "page.txt")
        await until(pilot, lambda: "md, json or html" in notes(pilot))
        await do(pilot, "thread.export", "nowhere/page.md")
        await until(pilot, lambda: "nowhere/page.md cannot be written" in notes(pilot))
        await do(pilot, "thread.export", "md ~nosuchuser/page.md")
        await until(pilot, lambda: "~nosuchuser/page.md cannot be written" in notes(pilot))


# A thread that is open twice


@pytest.fixture
def news_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "NEWS_SECONDS", 0.05)


@pytest.mark.usefixtures("news_at_once")
async def test_a_run_of_another_process_is_shown_as_it_is_stored(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    settings = make_settings(LONG, 0.004)
    async with open_runtime(settings) as other:
        thread_id = await ask(other, "hello")
        async with make_app(ECHO, thread_id=thread_id).run_test(size=(80, 40)) as pilot:
            await answered(pilot, "hello")
            submitted = await other.submit(
                SubmitRequest(prompt="talk", thread_id=thread_id, model=LONG)
            )
            await until(pilot, lambda: prompts(pilot) == ["▌ hello", "▌ talk"])
            await until(pilot, lambda: state(pilot) == "answering" and "clocks" in shown(pilot))
            length = len(str(chat(pilot).runs[-1]))
            await until(pilot, lambda: len(str(chat(pilot).runs[-1])) > length)
            key(pilot, "escape")
            await until(pilot, lambda: "in another Cody" in shown(pilot))
            await until(pilot, lambda: state(pilot) == "ready")
            await other.cancel(submitted.run_id)
            await until(pilot, lambda: chat(pilot).runs[-1].status == "aborted")


@pytest.mark.usefixtures("news_at_once")
async def test_a_run_in_a_shared_log_is_followed_live_and_can_be_stopped(
    make_app: MakeApp, make_settings: MakeSettings, redis_server: RedisServer
) -> None:
    settings = make_settings(LONG, 0.004, redis_url=redis_server.url)
    async with open_runtime(settings) as other:
        thread_id = await ask(other, "hello")
        app = make_app(LONG, thread_id=thread_id, redis_url=redis_server.url)
        async with app.run_test(size=(80, 40)) as pilot:
            await answered(pilot, "hello")
            submitted = await other.submit(
                SubmitRequest(prompt="talk", thread_id=thread_id, model=LONG)
            )
            await until(pilot, lambda: state(pilot) == "answering")
            key(pilot, "escape")
            await answered(pilot, "stopped")
            assert (await other.run(submitted.run_id)).status == "aborted"


@pytest.mark.usefixtures("news_at_once")
async def test_a_thread_renamed_elsewhere_has_its_new_title_here(
    make_app: MakeApp, make_settings: MakeSettings
) -> None:
    from cody_core.schema.threads import ThreadChanges

    async with open_runtime(make_settings(ECHO)) as other:
        thread_id = await ask(other, "hello")
        async with make_app(ECHO, thread_id=thread_id).run_test() as pilot:
            await answered(pilot, "hello")
            await other.update_thread(thread_id, ThreadChanges(title="Bees"))
            await until(pilot, lambda: pilot.app.title == "Bees · Cody")
            assert transcript_of(pilot).is_following


async def test_an_answer_that_others_began_says_for_how_long_it_has_been_on_its_way(
    make_app: MakeApp, make_settings: MakeSettings, redis_server: RedisServer
) -> None:
    url, run_id = redis_server.url, new_id()
    settings = make_settings(ECHO, redis_url=url)
    async with open_runtime(settings) as other, RedisEventLog.open(url) as log:
        thread_id = await ask(other, "hello")
        begun = started(run_id, thread_id).model_copy(update={"created_at": now_ms() - 90_000})
        await log.append(run_id, events(begun, run_id=run_id))
        async with make_app(ECHO, thread_id=thread_id, redis_url=url).run_test() as pilot:
            await until(pilot, lambda: chat(pilot).status.seconds >= 90)
            done = ResponseDone(response_id=run_id, status="complete", finish_reason="stop")
            await log.append(run_id, events(done, run_id=run_id))
            await until(pilot, lambda: state(pilot) == "ready")
