"""The data directory: can it be written, is the database whole, who can read it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cody_core.checkup import Finding, home
from cody_core.errors import StoreUnavailable
from cody_core.glance import config_path
from cody_core.kept import keep_key
from cody_core.settings import Settings, load_settings
from cody_core.stores.examination import examine
from cody_core.stores.sqlite import SqliteStore

from ..stores.contract import run_of, saved, say, stored


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "home").mkdir(mode=0o700)
    return load_settings()


async def fill(path: Path, threads: int = 3) -> None:
    async with SqliteStore.open(path) as store:
        for _ in range(threads):
            await saved(store, run_of(await stored(store), say("umbrella " * 2000)))


async def test_a_directory_that_is_still_to_be_made_is_not_made(tmp_path: Path) -> None:
    (found,) = await home.home(load_settings())
    assert (found.subject, found.state) == ("data directory", "note")
    assert not (tmp_path / "home").exists()


async def test_a_directory_that_is_there_is_written_and_left_as_it_was(settings: Settings) -> None:
    (found,) = await home.home(settings)
    assert found.state == "ok"
    assert str(settings.home) in found.text
    assert list(settings.home.iterdir()) == []


async def test_where_nothing_can_be_written_another_place_is_named() -> None:
    (found,) = await home.home(load_settings(home="/dev/null/home"))
    assert (found.subject, found.state) == ("data directory", "problem")
    assert "CODY_HOME" in str(found.remedy)


async def test_little_room_is_a_problem(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "SCARCE", 10**18)
    (found,) = await home.home(settings)
    assert (found.state, "free" in found.text) == ("problem", True)


async def test_a_workspace_that_is_not_there_is_a_problem(settings: Settings) -> None:
    gone = settings.model_copy(update={"workspace": Path("/nowhere")})
    _, found = await home.home(gone)
    assert (found.subject, found.state) == ("workspace", "problem")
    assert "CODY_WORKSPACE" in str(found.remedy)


async def test_what_others_can_read_is_named_and_keys_are_a_problem(settings: Settings) -> None:
    keep_key(settings.home, "openai", "sk-1")
    (settings.home / "cody.log").touch(mode=0o644)
    assert len(await home.home(settings)) == 1
    settings.home.chmod(0o755)
    _, place, log = await home.home(settings)
    assert place == Finding(
        "privacy",
        "note",
        f"other users can look into {settings.home} (mode 0755)",
        f"chmod 700 {settings.home}",
    )
    assert (log.state, log.remedy) == ("note", f"chmod 600 {settings.home / 'cody.log'}")
    (settings.home / "keys.json").chmod(0o640)
    found = {each.remedy: each.state for each in await home.home(settings)}
    assert found[f"chmod 600 {settings.home / 'keys.json'}"] == "problem"


async def test_a_key_in_a_config_file_that_others_can_read_is_a_problem() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('model = "gpt-5"\n')
    config_path().chmod(0o644)
    assert len(await home.home(load_settings())) == 1
    config_path().write_text('model = "ollama/qwen3"\n[providers.x]\napi_key = "ollama"\n')
    assert len(await home.home(load_settings())) == 1
    config_path().write_text('openai_api_key = "sk-12345"\n')
    _, found = await home.home(load_settings())
    assert (found.state, found.remedy) == ("problem", f"chmod 600 {config_path()}")
    assert "sk-12345" not in found.text
    config_path().chmod(0o600)
    assert len(await home.home(load_settings())) == 1


async def test_a_database_is_read_through(settings: Settings) -> None:
    (none,) = await home.database(settings)
    assert none.state == "note"
    await fill(settings.home / "cody.db")
    (found,) = await home.database(settings)
    assert found.state == "ok"
    assert found.text.startswith("3 threads, ")
    assert found.text.endswith("version 2 of 2, in order")
    assert await home.database(settings.model_copy(update={"store": "convex"})) == []


async def test_a_database_is_read_while_it_is_written(settings: Settings) -> None:
    async with SqliteStore.open(settings.home / "cody.db") as store:
        await stored(store)
        (found,) = await home.database(settings)
        assert found.text.startswith("1 threads")


async def test_a_damaged_database_is_a_problem(settings: Settings) -> None:
    path = settings.home / "cody.db"
    await fill(path)
    with path.open("r+b") as file:
        for page in range(8, path.stat().st_size // 4096, 3):
            file.seek(page * 4096)
            file.write(b"\xff" * 200)
    (found,) = await home.database(settings)
    assert found.state == "problem"
    assert str(path) in f"{found.text} {found.remedy}"
    path.write_bytes(b"no database " * 1000)
    (found,) = await home.database(settings)
    assert (found.state, str(path) in found.text) == ("problem", True)


async def test_a_database_of_a_newer_version_is_a_problem(settings: Settings) -> None:
    path = settings.home / "cody.db"
    await fill(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO migrations VALUES (99, 'later', 0)")
    (found,) = await home.database(settings)
    assert (found.state, "upgrade cody" in found.text) == ("problem", True)


async def test_a_large_database_is_read_for_a_while_only(settings: Settings) -> None:
    path = settings.home / "cody.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (text TEXT)")
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
            " INSERT INTO rows SELECT i FROM n"
        )
    state = examine(path, 0.0)
    assert (state.is_whole, state.problems, state.version) == (False, (), 0)
    assert examine(path, 60.0).is_whole
    with pytest.raises(StoreUnavailable):
        examine(settings.home / "none.db", 1.0)


async def test_what_waits_in_the_outbox_is_counted(settings: Settings) -> None:
    (found,) = await home.outbox(settings)
    assert found.state == "ok"
    outbox = settings.home / "outbox"
    outbox.mkdir()
    (outbox / "a.json").touch()
    (outbox / "b.unreadable").touch()
    (outbox / "c.unreadable").touch()
    waiting, aside = await home.outbox(settings)
    assert (waiting.state, waiting.text.partition(":")[0]) == ("note", "1 run waits to be stored")
    assert (aside.state, aside.text.partition(": ")[2]) == ("problem", "2")
