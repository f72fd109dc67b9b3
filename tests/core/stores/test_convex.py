from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from cody_core.errors import (
    InvalidRequest,
    SettingsError,
    StoreCorrupt,
    StoreOutdated,
    StoreOverQuota,
    StoreRefused,
    StoreUnavailable,
)
from cody_core.schema.response import Response
from cody_core.schema.threads import ThreadChanges
from cody_core.stores import OpenRun, RunWrite
from cody_core.stores import convex_api as api
from cody_core.stores.convex import ConvexStore
from support.convex import FOLDER, ConvexServer

from .contract import a_thread, found, run_of, saved, say, stored

FUNCTIONS = FOLDER.parent.parent / "core" / "convex" / "functions"
EXPORTED = re.compile(r"^export const (\w+) = (\w+)\(", re.MULTILINE)
HEAVY = "word " * 10_000
CHUNKS = 140
"""Of 70 items with that: one of JSON and one of words each."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "FIRST_PAUSE", 0.001)


@pytest.fixture
async def store(convex: ConvexServer) -> AsyncIterator[ConvexStore]:
    async with ConvexStore.open(convex.url, convex.key) as opened:
        yield opened


def large(count: int, text: str = HEAVY) -> list[Any]:
    return [say(f"{text}{at}", str(at)) for at in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def documents(convex: ConvexServer) -> dict[str, float]:
    return {table: count for table, count in convex.stats()["documents"].items() if count}


# Who may call


def functions() -> list[tuple[str, str]]:
    exported = [
        (f"{file.stem}:{name}", maker)
        for file in FUNCTIONS.glob("*.ts")
        for name, maker in EXPORTED.findall(file.read_text())
    ]
    return [(path, maker) for path, maker in exported if maker not in ("Set", "defineSchema")]


MADE = [(path, maker) for path, maker in functions() if "uery" in maker or "utation" in maker]


def test_all_functions_are_known_here() -> None:
    assert len(MADE) > 15
    assert {maker for _, maker in MADE} == {"internalQuery", "internalMutation"}


@pytest.mark.parametrize(("path", "maker"), MADE)
def test_nobody_without_the_key_can_call(convex: ConvexServer, path: str, maker: str) -> None:
    kind = maker.removeprefix("internal").lower()
    status, answer = convex.call(kind, path, key=None)
    assert (status, answer["status"]) == (200, "error")
    assert "Could not find public function" in answer["errorMessage"]
    status, answer = convex.call(kind, path, key="test|another")
    assert (status, answer["code"]) == (403, "BadDeployKey")


@pytest.mark.parametrize(
    "url",
    [
        "http://happy-otter-123.convex.cloud",
        "http://192.168.1.7:3210",
        "http://localhost.example.com",
        "ftp://happy-otter-123.convex.cloud",
        "https://me:secret@happy-otter-123.convex.cloud",
        "happy-otter-123",
        "https://",
        "",
        "https://[",
    ],
)
async def test_a_key_is_sent_to_no_address_like_that(url: str) -> None:
    with pytest.raises(SettingsError, match="CONVEX_URL"):
        async with ConvexStore.open(url, "prod:key"):
            pass


@pytest.mark.parametrize(
    "url", ["https://happy-otter-123.convex.cloud", "http://127.0.0.1:3210", "http://[::1]:1"]
)
async def test_opening_a_deployment_sends_nothing(url: str) -> None:
    async with ConvexStore.open(url, "prod:key"):
        pass


# What goes wrong, and how it is said


async def test_a_wrong_key_is_named_and_not_shown(convex: ConvexServer) -> None:
    async with ConvexStore.open(convex.url, "test|wrong-secret") as store:
        with pytest.raises(StoreRefused, match="CONVEX_DEPLOY_KEY") as caught:
            await store.list_threads()
    assert "wrong-secret" not in str(caught.value)


async def test_a_deployment_that_is_away_is_said_to_be(convex: ConvexServer) -> None:
    convex.stop()
    async with ConvexStore.open(convex.url, convex.key) as store:
        with pytest.raises(StoreUnavailable, match="CONVEX_URL") as caught:
            await store.list_threads()
        assert convex.key not in str(caught.value)
        convex.start()
        assert (await store.list_threads()).threads == ()


@pytest.mark.parametrize(("version", "said"), [(None, "not deployed"), (2, "version 2")])
async def test_functions_that_are_missing_or_of_another_version_name_the_command(
    convex: ConvexServer, version: int | None, said: str
) -> None:
    convex.turn("errors", told=False)
    convex.turn("deployed", version=version)
    async with ConvexStore.open(convex.url, convex.key) as store:
        with pytest.raises(StoreOutdated, match=f"{said}.*cody convex deploy"):
            await store.list_threads()


async def test_functions_that_change_while_they_are_used_are_noticed(
    convex: ConvexServer, store: ConvexStore
) -> None:
    await stored(store)
    convex.turn("deployed", version=2)
    with pytest.raises(StoreOutdated, match="cody convex deploy"):
        await store.list_threads()


async def test_a_deployment_over_its_limits_is_said_to_be(
    convex: ConvexServer, store: ConvexStore
) -> None:
    await stored(store)
    convex.turn("stopped", reason="You have exceeded the free plan limits")
    with pytest.raises(StoreOverQuota, match="limits"):
        await store.list_threads()


async def test_a_function_that_fails_and_does_not_say_why_is_named(
    convex: ConvexServer, store: ConvexStore
) -> None:
    convex.turn("errors", told=False)
    with pytest.raises(StoreUnavailable, match="'threads:update' failed"):
        await store._api.mutation("threads:update", threadId=1)


async def test_what_a_function_refuses_is_told_by_its_code(store: ConvexStore) -> None:
    thread = await stored(store)
    many = tuple(f"t{at}" for at in range(1001))
    with pytest.raises(InvalidRequest, match="1,000 tags"):
        await store.update_thread(thread.id, ThreadChanges(tags=many), now=1)
    assert await store.get_thread(thread.id) == thread


async def test_a_thread_that_is_too_large_for_a_document_is_refused(store: ConvexStore) -> None:
    thread = await stored(store, "x" * 250_000)
    assert await store.get_thread(thread.id) == thread
    with pytest.raises(InvalidRequest, match="262,144 bytes"):
        await store.update_thread(thread.id, ThreadChanges(summary="ä" * 140_000), now=1)
    with pytest.raises(InvalidRequest, match="262,144 bytes"):
        await store.create_thread(a_thread("x" * 263_000))


async def test_what_is_no_convex_is_said_to_be_none() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, ConvexStore.open(f"http://127.0.0.1:{port}", "k") as store:
        with pytest.raises(StoreUnavailable, match="no Convex"):
            await store.list_threads()


async def test_a_deployment_that_does_not_answer_is_given_up_in_time(
    convex: ConvexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "TIMEOUT", httpx.Timeout(0.1))
    async with ConvexStore.open(convex.url, convex.key) as store:
        await stored(store)
        convex.faults(delay=[2000, 2000])
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.list_threads()
        assert time.monotonic() - began < 2, "four tries and their pauses"
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.list_threads()
        assert time.monotonic() - began < 0.4, "while it is away, two"


async def test_all_tries_together_have_a_deadline(
    convex: ConvexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "DEADLINE", 0.2)
    async with ConvexStore.open(convex.url, convex.key) as store:
        convex.faults(delay=[2000, 2000])
        with pytest.raises(StoreUnavailable, match="in time"):
            await store.list_threads()


async def test_a_call_can_be_cancelled_at_once(convex: ConvexServer, store: ConvexStore) -> None:
    await stored(store)
    convex.faults(delay=[5000, 5000])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(store.list_threads())
        await asyncio.sleep(0.05)
        began = time.monotonic()
        task.cancel()
    assert task.cancelled()
    assert time.monotonic() - began < 0.5
    convex.faults()
    assert len((await store.list_threads()).threads) == 1


async def test_a_closed_store_says_so(store: ConvexStore) -> None:
    await store.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.list_threads()


@pytest.mark.parametrize("fault", ["before", "after", 503, -503, 500, -500, 429])
async def test_every_call_is_made_again_and_counts_once(
    convex: ConvexServer, store: ConvexStore, fault: str | int
) -> None:
    thread, other = a_thread("one"), a_thread("two")
    copy = run_of(other, say("copied"))
    run = run_of(thread, say("x"), status="in_progress")
    await store.list_threads()
    calls: list[tuple[Callable[[], Awaitable[object]], object]] = [
        (lambda: store.create_thread(thread), True),
        (lambda: store.save_run(RunWrite(run, "1-0")), True),
        (lambda: store.update_thread(thread.id, ThreadChanges(title="new"), now=5), True),
        (lambda: store.get_run(run.id), run),
        (lambda: store.open_runs(), [OpenRun(run.id, "1-0", None)]),
        (lambda: store.create_thread(other, [copy]), True),
        (lambda: store.list_runs(other.id), [copy]),
        (lambda: store.delete_thread(other.id), True),
        (lambda: store.delete_thread(other.id), False),
    ]
    for call, expected in calls:
        convex.next(fault, fault)
        assert await call() == expected
    assert convex.stats()["documents"]["runs"] >= 1
    assert [t.title for t in (await store.list_threads()).threads] == ["new"]


# Large saves


@pytest.mark.parametrize("fault", ["before", "after", -503])
async def test_a_save_in_parcels_that_is_disturbed_is_stored_once(
    convex: ConvexServer, store: ConvexStore, fault: str | int
) -> None:
    thread = await stored(store)
    run = run_of(thread, *large(70), status="in_progress")
    convex.next(*[fault, 0] * 40)
    assert await store.save_run(RunWrite(run, "1-0"))
    assert await store.get_run(run.id) == run
    changed = large(70, HEAVY.replace("word", "sword"))
    whole = run.model_copy(update={"output_items": tuple(changed), "status": "complete"})
    convex.next(*[fault, 0] * 40)
    assert await store.save_run(RunWrite(whole, "2-0"))
    assert await store.get_run(run.id) == whole
    assert await store.list_runs(thread.id) == [whole]
    expected = {"threads": 1, "runs": 1, "items": 71, "chunks": CHUNKS}
    await until(lambda: documents(convex) == expected)
    assert await store.get_run(run.id) == whole
    assert await found(store, "sword") == ["Weather"]
    assert await found(store, "word") == []


async def test_rows_that_are_not_sorted_in_yet_count_as_if_they_were(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store)
    items = [say(f"{HEAVY[:4000]}{at}", str(at)) for at in range(1500)]
    run = run_of(thread, *items, status="in_progress")
    await saved(store, run)
    items[3] = say("changed in between", "3")
    again = run.model_copy(update={"output_items": tuple(items)})
    assert await store.save_run(RunWrite(again, "2-0", changed=frozenset({3})))
    assert await store.get_run(run.id) == again
    assert await found(store, "changed between") == ["Weather"]
    short = again.model_copy(update={"output_items": tuple(items[:2]), "status": "complete"})
    assert await store.save_run(RunWrite(short, "3-0", changed=frozenset()))
    assert await store.get_run(run.id) == short
    await until(lambda: documents(convex) == {"threads": 1, "runs": 1, "items": 3})
    assert await store.get_run(run.id) == short


async def test_a_run_is_read_as_one_state_while_it_is_written(store: ConvexStore) -> None:
    thread = await stored(store)
    states = [
        run_of(
            thread,
            *(say(f"{HEAVY[:20_000]} {version} {at}", str(at)) for at in range(120 + version)),
            run_id=thread.id,
            status="in_progress",
            updated_at=version,
        )
        for version in range(6)
    ]
    seen: list[Response] = []

    async def read() -> None:
        while not seen or seen[-1] != states[-1]:
            seen.extend(await store.list_runs(thread.id))

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for version, state in enumerate(states):
            await store.save_run(RunWrite(state, f"{version}-0"))
    places = [states.index(run) for run in seen]
    assert places == sorted(places)


async def test_what_was_sent_ahead_of_a_save_that_never_came_is_swept_away(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store)
    run = run_of(thread, *large(70), status="in_progress")
    await store._api.query("threads:get", threadId=thread.id)
    convex.faults(only="runs:save", before=1)
    with pytest.raises(StoreUnavailable):
        await store.save_run(RunWrite(run, "1-0"))
    convex.faults()
    assert await store.get_run(run.id) is None
    before = documents(convex)
    assert (before["items"], before["chunks"]) == (71, CHUNKS)
    assert await store.save_run(RunWrite(run, "1-0"))
    # In an hour those of rows are swept, in two those of chunks, which had been sent first.
    for sweep in reversed(convex.stats()["sweeps"]):
        convex.call("mutation", "parcels:sweep", key=convex.key, **sweep)
    await until(
        lambda: documents(convex) == {"threads": 1, "runs": 1, "items": 71, "chunks": CHUNKS}
    )
    assert await store.get_run(run.id) == run


async def test_a_deleted_thread_is_removed_in_batches_and_nothing_is_left_of_it(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = await stored(store, tags=("a", "b"))
    runs = [run_of(thread, *large(40)) for _ in range(4)]
    for run in runs:
        await saved(store, run)
    assert await store.delete_thread(thread.id)
    assert await store.list_runs(thread.id) == []
    assert await found(store, "word") == []
    assert not await store.save_run(RunWrite(runs[0], "9-0"))
    assert not await store.save_run(RunWrite(run_of(thread, *large(70)), "9-0"))
    await until(lambda: documents(convex) == {"threads": 1})


async def test_a_thread_that_is_not_finished_being_made_is_seen_by_nobody(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread = a_thread("copy")
    run = run_of(thread, say("umbrella"), status="in_progress")
    await store.list_threads()
    convex.faults(only="threads:reveal", before=1)
    with pytest.raises(StoreUnavailable):
        await store.create_thread(thread, [run])
    convex.faults()
    assert await store.get_thread(thread.id) is None
    assert await store.get_run(run.id) is None
    assert (await store.list_threads()).threads == ()
    assert await store.open_runs() == []
    assert await found(store, "umbrella") == await found(store, "copy") == []
    assert await store.create_thread(thread, [run]), "made again, it is taken over"
    assert await store.list_runs(thread.id) == [run]
    listed = (await store.list_threads()).threads
    assert [(t.title, t.state) for t in listed] == [("copy", "running")]


# What one writes others read


async def test_two_machines_see_the_same(convex: ConvexServer, store: ConvexStore) -> None:
    thread = await stored(store)
    async with ConvexStore.open(convex.url, convex.key) as other:
        run = run_of(thread, say("one"), status="in_progress")
        await saved(store, run)
        assert await other.get_run(run.id) == run
        after = run.model_copy(update={"output_items": (say("one"), say("two"))})
        assert await other.save_run(RunWrite(after, "2-0", changed=frozenset({1})))
        assert not await store.save_run(RunWrite(run, "1-5"))
        shorter = run.model_copy(update={"output_items": ()})
        assert await other.save_run(RunWrite(shorter, "3-0", changed=frozenset()))
        whole = after.model_copy(update={"status": "complete"})
        assert await store.save_run(RunWrite(whole, "4-0", changed=frozenset()))
        assert await other.get_run(run.id) == whole


async def test_what_cannot_be_read_is_corrupt(convex: ConvexServer, store: ConvexStore) -> None:
    run = await saved(store, run_of(await stored(store), say("x")))
    row = {"kind": "output", "position": 0, "json": "{", "text": "", "size": 1}
    state = {
        "runId": run.id, "threadId": run.thread_id, "status": "complete", "createdAt": 1,
        "updatedAt": 2, "modelId": "m", "providerId": "p", "version": "9-0",
        "header": run.model_dump_json(exclude={"input_items", "output_items"}),
        "inputs": 1, "outputs": 1,
    }  # fmt: skip
    sent = {"token": "t", "tail": 0, "whole": False, "chunks": [], "parcels": []}
    rows = [{**row, "parts": 0, "texts": 0}]
    convex.call("mutation", "runs:save", key=convex.key, run=state, rows=rows, **sent)
    for reading in (store.get_run(run.id), store.list_runs(run.thread_id)):
        with pytest.raises(StoreCorrupt, match=run.id):
            await reading


async def test_a_process_is_seen_for_as_long_as_it_gives_signs(
    convex: ConvexServer, store: ConvexStore
) -> None:
    run = run_of(await stored(store), status="in_progress")
    async with store.presence("me"):
        await store.save_run(RunWrite(run, "1-0", owner="me"))
        assert await store.open_runs() == [OpenRun(run.id, "1-0", "me", seen=True)]
        convex.advance(89_000)
        assert [run.seen for run in await store.open_runs()] == [True]
        convex.advance(91_000)
        assert [run.seen for run in await store.open_runs()] == [False]


async def test_signs_go_on_while_a_run_is_open_and_end_with_it(
    convex: ConvexServer, store: ConvexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cody_core.stores.convex_presence.BEAT_SECONDS", 0.02)

    def beats() -> int:
        return int(convex.stats()["calls"].get("owners:beat", 0))

    run = run_of(await stored(store), status="in_progress")
    async with store.presence("me"):
        await store.save_run(RunWrite(run, "1-0", owner="a dead process, from the outbox"))
        await asyncio.sleep(0.1)
        assert beats() == 0
        await store.save_run(RunWrite(run, "2-0", owner="me"))
        await until(lambda: beats() > 3)
        ended = run.model_copy(update={"status": "complete"})
        await store.save_run(RunWrite(ended, "3-0", owner="me"))
        await asyncio.sleep(0.05)
        last = beats()
        await asyncio.sleep(0.1)
        assert beats() == last


async def test_many_open_runs_are_all_told_of(store: ConvexStore) -> None:
    thread = await stored(store)
    runs = [run_of(thread, created_at=at // 2, status="queued") for at in range(450)]
    for run in runs:
        await saved(store, run)
    expected = sorted(runs, key=lambda run: (run.created_at, run.id))
    assert [run.run_id for run in await store.open_runs()] == [run.id for run in expected]


async def test_threads_used_lately_can_be_read_while_the_deployment_is_away(
    convex: ConvexServer, store: ConvexStore
) -> None:
    thread, unread = await stored(store), await stored(store)
    first = await saved(store, run_of(thread, say("one"), created_at=1))
    async with ConvexStore.open(convex.url, convex.key) as other:
        assert await other.get_thread(thread.id) is not None
        assert await other.list_runs(thread.id) == [first]
        await saved(other, second := run_of(thread, say("two"), created_at=2))
        convex.stop()
        for kept in (store, other):
            assert (await kept.get_thread(thread.id)) is not None
        assert await store.list_runs(thread.id) == [first]
        assert await other.list_runs(thread.id) == [first, second]
        with pytest.raises(StoreUnavailable):
            await other.get_thread(unread.id)
        convex.start()
        await store.delete_thread(thread.id)
        assert await other.get_thread(thread.id) is None
        convex.stop()
        with pytest.raises(StoreUnavailable):
            await other.get_thread(thread.id)


# The server itself


@pytest.mark.parametrize(
    ("field", "value"),
    [("json", "x" * 2**20), ("text", "ä" * 2**19)],
    ids=["json", "text"],
)
def test_the_server_refuses_what_convex_refuses(
    convex: ConvexServer, field: str, value: str
) -> None:
    thread = {"threadId": "t", "token": "t", "hidden": False, "title": "t", "text": "", "tags": []}
    convex.call("mutation", "threads:create", key=convex.key, createdAt=1, updatedAt=1, **thread)
    row = {"kind": "output", "position": 0, "json": "", "text": "", "size": 1, "parts": 0}
    asked = {"parcel": "p", "threadId": "t", "runId": "r", "chunks": []}
    rows = [{**row, "texts": 0, field: value}]
    _, answer = convex.call("mutation", "parcels:store", key=convex.key, rows=rows, **asked)
    assert "too large" in answer["errorMessage"]
    rows = [{**row, "texts": 0, "position": at} for at in range(8193)]
    _, answer = convex.call("mutation", "parcels:store", key=convex.key, rows=rows, **asked)
    assert "too many elements" in answer["errorMessage"]
    assert documents(convex) == {"threads": 1}
