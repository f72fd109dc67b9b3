"""What happens where nobody looks: other threads that ask or end, and servers that are away."""

from __future__ import annotations

from cody_core.providers.scripted import Say, ScriptedProvider
from cody_core.remote import open_remote
from support.redis import RedisServer
from support.relay import Relay
from support.server import served
from textual.message import Message
from textual.pilot import Pilot
from tui.conftest import MakeApp, MakeSettings
from tui.screen import key, line, notes, questioned, send, shown, state, until

from cody_tui.app import CodyApp
from cody_tui.messages import Called, Choices
from cody_tui.widgets.sidebar import Sidebar


async def asking(pilot: Pilot[None], prompt: str) -> None:
    await send(pilot, prompt)
    panel = await questioned(pilot)
    await until(pilot, lambda: state(pilot) == "asking")
    panel.guard = 0


async def test_a_thread_that_asks_is_named_and_one_key_goes_there(make_app: MakeApp) -> None:
    app = make_app("demo/work")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await asking(pilot, "Leave a note")
        key(pilot, "ctrl+n")
        await until(pilot, lambda: "Leave a note waits (^G)" in line(pilot))
        assert state(pilot) == "ready"
        assert shown(pilot).strip() == ""
        await until(pilot, lambda: "Leave a note waits for you: Ctrl+G goes there" in notes(pilot))
        key(pilot, "ctrl+g")
        panel = await questioned(pilot)
        await until(pilot, lambda: state(pilot) == "asking")
        assert "waits (^G)" not in line(pilot)
        panel.action_answer("deny")
        await until(pilot, lambda: state(pilot) != "asking" or "apply_patch" in shown(pilot))
        key(pilot, "escape")
        await until(pilot, lambda: state(pilot) == "ready")
        key(pilot, "ctrl+g")
        await until(pilot, lambda: "No other thread waits" in notes(pilot))


async def test_a_question_that_comes_later_calls_the_user_and_marks_the_thread(
    make_app: MakeApp,
) -> None:
    heard: list[Message] = []
    app = make_app("demo/work", 0.005)
    async with app.run_test(size=(100, 30), message_hook=heard.append) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await send(pilot, "Leave a note")
        await until(pilot, lambda: state(pilot) in ("thinking", "answering"))
        key(pilot, "ctrl+n")
        await until(pilot, lambda: state(pilot) == "ready")
        await until(pilot, lambda: "Leave a note waits (^G)" in line(pilot))
        await until(pilot, lambda: any(isinstance(each, Called) for each in heard))
        calls = {(each.text, each.seconds) for each in heard if isinstance(each, Called)}
        assert calls == {("It waits for you: Leave a note", None)}
        key(pilot, "ctrl+b")
        await until(pilot, lambda: bool(app.screen.query(Sidebar)))
        bar = app.screen.query_one(Sidebar)
        await until(pilot, lambda: any("? Leave a note" in row for row in drawn(bar)))


def drawn(bar: Sidebar) -> list[str]:
    return [bar.render_line(y).text for y in range(bar.size.height)]


async def test_an_answer_that_ends_unseen_is_said(make_app: MakeApp) -> None:
    app = make_app("demo/echo", 0.002)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await send(pilot, "something that is said " * 8)
        await until(pilot, lambda: state(pilot) in ("thinking", "answering"))
        key(pilot, "ctrl+n")
        await until(pilot, lambda: "The answer in something that is said" in notes(pilot))
        assert "is complete" in notes(pilot)
        assert not app._chat.elsewhere.runs


async def test_quitting_asks_also_for_answers_elsewhere(make_app: MakeApp) -> None:
    app = make_app("demo/long", 0.01)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        for prompt in ("one", "two"):
            await send(pilot, prompt)
            await until(pilot, lambda: state(pilot) in ("thinking", "answering"))
            key(pilot, "ctrl+n")
            await until(pilot, lambda: state(pilot) == "ready")
        key(pilot, "ctrl+q")
        await until(pilot, lambda: "2 answers are not complete. Ctrl+Q again" in notes(pilot))
        assert app.is_running


async def test_a_thread_that_was_deleted_waits_for_nobody(make_app: MakeApp) -> None:
    app = make_app("demo/work")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await asking(pilot, "Leave a note")
        await app._chat.do("thread.delete")
        await until(pilot, lambda: "Deleted Leave a note" in notes(pilot))
        assert not app._chat.elsewhere.waiting
        assert "waits" not in line(pilot)


async def test_a_log_that_is_away_is_named_until_it_is_back(
    make_app: MakeApp, redis_server: RedisServer
) -> None:
    app = make_app("demo/long", 0.005, redis_url=redis_server.url)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(pilot) == "ready")
        await send(pilot, "talk")
        await until(pilot, lambda: state(pilot) == "answering")
        redis_server.stop()
        await until(pilot, lambda: "Redis server of REDIS_URL cannot be reached" in line(pilot))
        redis_server.start()
        await until(pilot, lambda: "Redis" not in line(pilot))
        assert state(pilot) == "answering"
        key(pilot, "escape")
        await until(pilot, lambda: state(pilot) == "ready")


async def test_a_server_that_is_away_is_named_until_it_is_back(make_settings: MakeSettings) -> None:
    relay = Relay()
    provider = ScriptedProvider(lambda _: [Say("word " * 1_000)], delay=0.005)
    async with served(provider) as server, relay.serve():
        relay.point_to(server.url)
        app = CodyApp(
            lambda: open_remote(relay.url), choices=Choices(), settings=make_settings(model=None)
        )
        async with app.run_test(size=(140, 30)) as pilot:
            await until(pilot, lambda: state(pilot) == "ready")
            await send(pilot, "talk")
            await until(pilot, lambda: state(pilot) == "answering")
            relay.cut()
            away = f"the server at {relay.url} cannot be reached"
            await until(pilot, lambda: away in line(pilot))
            relay.point_to(server.url)
            await until(pilot, lambda: away not in line(pilot))
            key(pilot, "escape")
            await until(pilot, lambda: state(pilot) == "ready")
