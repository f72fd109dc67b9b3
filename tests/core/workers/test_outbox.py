from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cody_core.errors import StoreCorrupt, StoreUnavailable
from cody_core.ids import new_id
from cody_core.schema.items import Message
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread
from cody_core.stores import OpenRun, RunWrite
from cody_core.stores.sqlite import SqliteStore
from cody_core.workers.outbox import Outbox
from hypothesis import HealthCheck, given, settings
from support.shapes import THREAD, response, responses


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "home" / "outbox")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "outbox"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "cody.db") as opened:
        yield opened


class AwayStore(SqliteStore):
    """Takes threads, and no runs."""

    async def save_run(self, write: RunWrite) -> bool:
        raise StoreUnavailable("locked")


class PartlyCorruptStore(SqliteStore):
    """Cannot read what it has of one run."""

    damaged = ""

    async def save_run(self, write: RunWrite) -> bool:
        if write.response.id == self.damaged:
            raise StoreCorrupt("rotten")
        return await super().save_run(write)


class SharedStore(SqliteStore):
    """Is stored to by another process that empties the same outbox at the same time."""

    directory: Path

    async def save_run(self, write: RunWrite) -> bool:
        for path in self.directory.glob("*.json"):
            path.unlink()
        return await super().save_run(write)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def a_run(**fields: object) -> Response:
    prompt = Message(id="p", content="Why?\nSay.", origin="user")
    said = Message(id="m", content="Grüße, 語 🎈")
    return response(new_id(), input_items=(prompt,), output_items=(said,), **fields)


async def test_what_was_put_is_stored_with_its_thread(outbox: Outbox, store: SqliteStore) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "1-0"))
    assert await outbox.flush(store) == 1
    assert await store.get_run(run.id) == run
    assert await store.get_thread(THREAD) == Thread(
        id=THREAD,
        title="Why?",
        model_id=run.model_id,
        provider_id=run.provider_id,
        created_at=run.created_at,
        updated_at=run.updated_at,
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(responses())
async def test_any_response_comes_back_equal(tmp_path: Path, run: Response) -> None:
    outbox = Outbox(tmp_path / "any")
    outbox.put(RunWrite(run, "1-0"))
    async with SqliteStore.open(tmp_path / f"{run.id}-{new_id()}.db") as store:
        assert await outbox.flush(store) == 1
        assert await store.get_run(run.id) == run


async def test_flushing_twice_changes_nothing(
    outbox: Outbox, store: SqliteStore, directory: Path
) -> None:
    run = a_run(status="in_progress")
    assert await outbox.flush(store) == 0
    for _ in range(2):
        outbox.put(RunWrite(run, "1-0", owner="me"))
        assert await outbox.flush(store) == 1
        assert await outbox.flush(store) == 0
        assert await store.get_run(run.id) == run
        assert await store.open_runs() == [OpenRun(run.id, "1-0", "me")]
    assert names(directory) == []


async def test_a_newer_state_is_not_replaced(outbox: Outbox, store: SqliteStore) -> None:
    run = a_run(status="in_progress")
    newer = run.model_copy(update={"status": "complete"})
    outbox.put(RunWrite(run, "1-0"))
    outbox.put(RunWrite(newer, "2-0"))
    assert await outbox.flush(store) == 1
    outbox.put(RunWrite(run, "1-0"))
    assert await outbox.flush(store) == 1
    assert await store.get_run(run.id) == newer


async def test_a_deleted_thread_does_not_come_back(outbox: Outbox, store: SqliteStore) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "1-0"))
    await outbox.flush(store)
    await store.delete_thread(THREAD)
    outbox.put(RunWrite(run, "2-0"))
    assert await outbox.flush(store) == 1
    assert (await store.get_thread(THREAD), await store.get_run(run.id)) == (None, None)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"version": "1-0", "owner": null}'])
async def test_a_file_that_cannot_be_read_is_set_aside(
    text: bytes, outbox: Outbox, store: SqliteStore, directory: Path
) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "1-0"))
    (directory / "0.json").write_bytes(text)
    assert await outbox.flush(store) == 1
    assert await store.get_run(run.id) == run
    assert names(directory) == ["0.unreadable"]
    assert (directory / "0.unreadable").read_bytes() == text


async def test_a_file_with_a_version_that_is_none_is_set_aside(
    outbox: Outbox, store: SqliteStore, directory: Path
) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "yesterday"))
    assert await outbox.flush(store) == 0
    assert names(directory) == [f"{run.id}.unreadable"]


async def test_a_run_that_is_damaged_in_the_store_stays_and_does_not_stand_in_the_way_of_others(
    outbox: Outbox, directory: Path, tmp_path: Path
) -> None:
    first, second = a_run(), a_run()
    for run in (first, second):
        outbox.put(RunWrite(run, "1-0"))
    async with PartlyCorruptStore.open(tmp_path / "partly.db") as partly:
        partly.damaged = first.id
        assert await outbox.flush(partly) == 1
        assert await partly.get_run(second.id) == second
    assert names(directory) == [f"{first.id}.json"]


async def test_a_file_that_cannot_be_opened_does_not_stand_in_the_way_of_others(
    outbox: Outbox, store: SqliteStore, directory: Path
) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "1-0"))
    (directory / "0.json").mkdir()
    assert await outbox.flush(store) == 1
    assert names(directory) == ["0.json"]


async def test_what_a_store_that_is_away_does_not_take_stays(
    outbox: Outbox, store: SqliteStore, tmp_path: Path
) -> None:
    runs = [a_run(), a_run()]
    for run in runs:
        outbox.put(RunWrite(run, "1-0"))
    async with AwayStore.open(tmp_path / "away.db") as away:
        assert await outbox.flush(away) == 0
    assert await outbox.flush(store) == 2
    assert sorted(await store.list_runs(THREAD), key=lambda run: run.id) == runs


async def test_a_file_that_another_process_has_stored_is_passed_over(
    outbox: Outbox, directory: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        outbox.put(RunWrite(a_run(), "1-0"))
    async with SharedStore.open(tmp_path / "shared.db") as shared:
        shared.directory = directory
        assert await outbox.flush(shared) == 1


def test_files_are_for_their_owner_and_no_draft_is_left(outbox: Outbox, directory: Path) -> None:
    run = a_run()
    outbox.put(RunWrite(run, "1-0"))
    (path,) = directory.iterdir()
    assert path.name == f"{run.id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


PUT = """
import sys
from pathlib import Path
from cody_core.schema.response import Response
from cody_core.stores import RunWrite
from cody_core.workers.outbox import Outbox

run = Response.model_validate_json(sys.stdin.buffer.read())
Outbox(Path(sys.argv[1])).put(RunWrite(run, "1-0"))
"""


async def test_text_is_kept_whatever_the_locale(
    outbox: Outbox, store: SqliteStore, directory: Path
) -> None:
    run = a_run()
    # The C locale without coercion is one that every system has, and knows only ASCII.
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PUT, str(directory)),
        stdin=asyncio.subprocess.PIPE,
        env={**environment, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    await process.communicate(run.model_dump_json().encode())
    assert process.returncode == 0
    assert await outbox.flush(store) == 1
    assert await store.get_run(run.id) == run
