"""The first run: what it offers, what it keeps, and that it counts at once."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cody_core.client import Client
from cody_core.errors import SettingsError
from cody_core.kept import keep_key, keep_model
from cody_core.local_servers import LOCAL_PROVIDERS, LocalServer, local_servers
from cody_core.runtime import open_runtime
from cody_core.settings import Settings, load_settings
from pydantic import SecretStr
from textual import events
from textual.pilot import Pilot
from textual.widgets import OptionList, Static
from tui.screen import key, send, shown, state, until

from cody_tui.app import CodyApp
from cody_tui.commands.first_run import KeptFirstRun
from cody_tui.dialogs.first_run import VENDORS, FirstRunScreen, KeyInput, problem_with
from cody_tui.signs import PLAIN

OPENAI = "sk-proj-0123456789abcdef0123"
ANTHROPIC = "sk-ant-0123456789abcdef0123"
NOTICE = "This is the demo."


class Set(KeptFirstRun):
    """A first run with the servers that a test says there are."""

    def __init__(self, found: Sequence[LocalServer] = ()) -> None:
        super().__init__(load_settings(demo_delay=0), lambda: load_settings(demo_delay=0))
        self.found = found

    async def servers(self) -> Sequence[LocalServer]:
        return self.found


def app_with(first_run: Set) -> CodyApp:
    @asynccontextmanager
    async def open_client() -> AsyncIterator[Client]:
        async with open_runtime(first_run.settings) as client:
            yield client

    return CodyApp(open_client, settings=first_run.settings, notice=NOTICE, first_run=first_run)


def offered(pilot: Pilot[None]) -> list[str]:
    options = pilot.app.screen.query_one(OptionList).options
    return [str(option.prompt) for option in options]


def said(pilot: Pilot[None]) -> str:
    return "\n".join(str(static.content) for static in pilot.app.screen.query(Static))


async def asked(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.focused, OptionList))


async def test_a_key_is_kept_for_its_owner_alone_and_counts_at_once() -> None:
    first_run = Set()
    app = app_with(first_run)
    async with app.run_test() as pilot:
        await asked(pilot)
        key(pilot, "enter")
        await until(pilot, lambda: isinstance(app.focused, KeyInput))
        app.post_message(events.Paste(f"{OPENAI}\n"))
        await until(pilot, lambda: bool(pilot.app.screen.query_one(KeyInput).value))
        screenshot = app.export_screenshot()
        assert OPENAI not in screenshot
        assert OPENAI[-6:] not in screenshot
        key(pilot, "enter", "enter")
        await until(pilot, lambda: not _is_asking(app))
        await until(pilot, lambda: state(pilot) == "ready")
        assert app.settings is not None
        assert app.settings.openai_api_key == SecretStr(OPENAI)
        assert NOTICE not in shown(pilot)
    file = first_run.settings.home / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_settings().has_model


def _is_asking(app: CodyApp) -> bool:
    return isinstance(app.screen, FirstRunScreen)


async def test_a_wrong_looking_key_is_told_of_and_can_be_entered_again() -> None:
    app = app_with(Set())
    async with app.run_test() as pilot:
        await asked(pilot)
        key(pilot, "enter")
        await until(pilot, lambda: isinstance(app.focused, KeyInput))
        app.post_message(events.Paste("half a key\nand more of it"))
        await until(pilot, lambda: bool(pilot.app.screen.query_one(KeyInput).value))
        key(pilot, "enter")
        await until(pilot, lambda: "spaces or line breaks" in said(pilot))
        assert _is_asking(app)
        key(pilot, "escape")
        await asked(pilot)
        assert not load_settings().has_model


async def test_a_local_server_that_was_found_can_be_chosen() -> None:
    first_run = Set([LocalServer("ollama", ("llama3.2\x1b[31m", "qwen3"))])
    app = app_with(first_run)
    async with app.run_test() as pilot:
        await until(pilot, lambda: len(offered(pilot)) == 4)
        assert offered(pilot)[2] == "  Ollama on this machine: llama3.2␛[31m (and 1 more)"
        await asked(pilot)
        key(pilot, "down", "down")
        await until(
            pilot,
            lambda: offered(pilot)[2].startswith(PLAIN.cursor),
        )
        key(pilot, "enter", "enter")
        await until(pilot, lambda: not _is_asking(app))
    assert load_settings().model == "ollama/llama3.2\x1b[31m"


async def test_escape_is_the_demo_for_now_and_nothing_is_kept() -> None:
    app = app_with(Set())
    async with app.run_test(size=(80, 60)) as pilot:
        await asked(pilot)
        key(pilot, "escape")
        await until(pilot, lambda: not _is_asking(app) and NOTICE in shown(pilot))
        await send(pilot, "hello")
        await until(pilot, lambda: "Enjoy!" in shown(pilot))
    assert not load_settings().has_model


async def test_the_demo_is_remembered_when_it_is_chosen() -> None:
    app = app_with(Set())
    async with app.run_test() as pilot:
        await asked(pilot)
        key(pilot, "up")
        await until(
            pilot,
            lambda: offered(pilot)[-1].startswith(
                "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
            ),
        )
        key(pilot, "enter", "enter")
        await until(pilot, lambda: not _is_asking(app))
    assert load_settings().model == "demo/tour"


async def test_quitting_works_before_anything_is_chosen() -> None:
    app = app_with(Set())
    async with app.run_test() as pilot:
        await asked(pilot)
        key(pilot, "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


@pytest.mark.parametrize(
    ("text", "vendor", "part"),
    [
        ("", "openai", "Nothing"),
        ("sk-1 2", "openai", "spaces"),
        ("sk-" + "é" * 30, "openai", "characters in it that no key has"),
        ("sk-short", "openai", "too few"),
        (ANTHROPIC, "openai", "Anthropic"),
        (OPENAI, "anthropic", "OpenAI"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_without_repeating_it(
    text: str, vendor: str, part: str
) -> None:
    problem = problem_with(text, VENDORS[vendor])
    assert problem is not None
    assert part in problem
    assert not text or text not in problem


@pytest.mark.parametrize(
    ("text", "vendor"),
    [(OPENAI, "openai"), (ANTHROPIC, "anthropic"), ("gateway-0123456789abcdef", "openai")],
)
def test_a_key_may_look_as_it_likes_otherwise(text: str, vendor: str) -> None:
    assert problem_with(text, VENDORS[vendor]) is None


# What is kept


def test_every_other_source_wins_over_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    home = load_settings().home
    keep_key(home, "openai", OPENAI)
    keep_model(home, "ollama/llama3.2")
    settings = load_settings()
    assert settings.openai_api_key == SecretStr(OPENAI)
    assert settings.model is None
    assert OPENAI in settings.secrets
    assert OPENAI not in repr(settings)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    assert load_settings().openai_api_key == SecretStr("sk-of-the-environment")


def test_a_second_key_is_kept_beside_the_first() -> None:
    home = load_settings().home
    keep_key(home, "openai", OPENAI)
    keep_key(home, "anthropic", ANTHROPIC)
    assert load_settings().secrets == {OPENAI, ANTHROPIC}
    assert [path.name for path in home.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("text", [f'{{"openai": "{OPENAI}"', f'["{OPENAI}"]', '{"openai": 1}'])
def test_a_broken_file_of_keys_is_named_and_not_repeated(text: str) -> None:
    home = load_settings().home
    home.mkdir(parents=True)
    (home / "keys.json").write_text(text)
    with pytest.raises(SettingsError, match=r"keys\.json.*mend it, or delete it") as caught:
        load_settings()
    assert OPENAI not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_that_cannot_be_kept_is_an_error_that_does_not_name_it(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(SettingsError, match=r"cannot be written") as caught:
        keep_key(tmp_path / "home", "openai", OPENAI)
    assert OPENAI not in str(caught.value)


# What runs on this machine

LISTED = b'{"data": [{"id": "nomic-embed"}, {"id": "llama3.2"}, {"id": 5}]}'


@asynccontextmanager
async def server(body: bytes | None, status: bytes = b"200 OK") -> AsyncIterator[str]:
    """Something that listens on a port: it answers that, or says nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if body is None:
                await reader.read()
            else:
                length = str(len(body)).encode()
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: " + length)
                writer.write(b"\r\nconnection: close\r\n\r\n" + body)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


def settings_for(**addresses: str) -> Settings:
    nowhere = "http://127.0.0.1:9/v1"
    urls = {name: {"base_url": addresses.get(name, nowhere)} for name in LOCAL_PROVIDERS}
    return load_settings(providers=urls)


async def test_servers_that_answer_are_found_in_a_fixed_order() -> None:
    async with server(LISTED) as url:
        found = await local_servers(settings_for(llamacpp=url, ollama=f"{url}/"))
    names = ("llama3.2", "nomic-embed")
    assert found == [LocalServer("ollama", names), LocalServer("llamacpp", names)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>a web site</html>", b"200 OK"),
        (b'{"data": []}', b"200 OK"),
        (b'{"data": null}', b"200 OK"),
        (LISTED, b"404 Not Found"),
        (LISTED + b" " * 2_000_000, b"200 OK"),
        (None, b""),
    ],
    ids=["web site", "no models", "null", "no such page", "too much", "silence"],
)
async def test_whatever_else_listens_there_is_no_server(body: bytes | None, status: bytes) -> None:
    async with server(body, status) as url:
        assert await local_servers(settings_for(llamacpp=url)) == []
