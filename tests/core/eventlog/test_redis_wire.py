"""Servers that are away, restart or change, and connections that break, below the log on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio
from cody_core import redis_server as server_module
from cody_core.errors import EventLogUnavailable, RunClosed
from cody_core.eventlog import redis as redis_module
from cody_core.eventlog.redis import RedisEventLog
from cody_core.ids import new_id
from cody_core.patience import impatient
from cody_core.schema.events import ItemDelta, ResponseDone
from cody_core.tasks import task_group
from support.redis import RedisServer
from support.shapes import events, started


@pytest.fixture
def run_id() -> str:
    return new_id()


class Proxy:
    """Stands between client and server; can cut the connection, or keep what either says."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.hold_request_with: bytes | None = None
        self.release = asyncio.Event()
        self.arrived = asyncio.Event()
        self.cut_before_reply_to: bytes | None = None
        self.cuts = 0
        self.mute = False

    @asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[str]:
        async with await asyncio.start_unix_server(self._relay, path):
            yield f"unix://{path}"

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(
            self.target.removeprefix("unix://")
        )
        try:
            while request := await reader.read(1 << 20):
                if self.hold_request_with and self.hold_request_with in request:
                    await self._hold(writer)
                up_writer.write(request)
                reply = await up_reader.read(1 << 20)
                if writer.is_closing():
                    self.arrived.set()
                    return
                if self.cut_before_reply_to and self.cut_before_reply_to in request:
                    self.cut_before_reply_to = None
                    self.cuts += 1
                    return
                if not self.mute:
                    writer.write(reply)
        finally:
            writer.close()
            up_writer.close()

    async def _hold(self, writer: asyncio.StreamWriter) -> None:
        """Be cut off from the client, with what it has sent still on its way to the server."""
        self.hold_request_with = None
        writer.close()
        await self.release.wait()


async def test_an_append_whose_answer_was_lost_lands_once(
    redis_server: RedisServer, run_id: str, tmp_path: Path
) -> None:
    proxy = Proxy(redis_server.url)
    first, second = (
        events(ItemDelta(item_id="a", delta_content=text), run_id=run_id) for text in "xy"
    )
    async with proxy.serve(tmp_path / "s") as url, RedisEventLog.open(url) as log:
        await log.append(run_id, events(started(run_id), run_id=run_id))
        proxy.cut_before_reply_to = b"EVALSHA"
        offsets = [*await log.append(run_id, first), *await log.append(run_id, second)]
        entries = [e async for batch in log.read(run_id, follow=False) for e in batch]
    assert proxy.cuts == 1
    assert [entry.offset for entry in entries[1:]] == offsets
    assert [entry.event for entry in entries[1:]] == [*first, *second]


async def test_an_append_that_arrives_after_it_was_sent_again_and_later_ones_lands_once(
    redis_server: RedisServer, run_id: str, tmp_path: Path
) -> None:
    proxy = Proxy(redis_server.url)
    first, second, third = (
        events(ItemDelta(item_id="a", delta_content=text), run_id=run_id) for text in "xyz"
    )
    async with (
        asyncio.timeout(20),
        proxy.serve(tmp_path / "s") as url,
        RedisEventLog.open(url) as log,
    ):
        await log.append(run_id, events(started(run_id), run_id=run_id))
        proxy.hold_request_with = b"EVALSHA"
        await log.append(run_id, first)
        await log.append(run_id, second)
        proxy.release.set()
        await proxy.arrived.wait()
        await log.append(run_id, third)
        entries = [e async for batch in log.read(run_id, follow=False) for e in batch]
    assert [entry.event for entry in entries[1:]] == [*first, *second, *third]


async def test_a_terminal_event_whose_answer_was_lost_is_not_a_failure(
    redis_server: RedisServer, run_id: str, tmp_path: Path
) -> None:
    proxy = Proxy(redis_server.url)
    end = events(ResponseDone(response_id=run_id, status="complete"), run_id=run_id)
    async with proxy.serve(tmp_path / "s") as url, RedisEventLog.open(url) as log:
        await log.append(run_id, events(started(run_id), run_id=run_id))
        proxy.cut_before_reply_to = b"EVALSHA"
        assert len(await log.append(run_id, end)) == 1
        with pytest.raises(RunClosed):
            await log.append(run_id, end)


async def test_a_server_that_restarts_mid_run_is_survived(
    own_redis: RedisServer, run_id: str
) -> None:
    async with RedisEventLog.open(own_redis.url) as log, task_group() as tasks:

        async def follow() -> list[str]:
            seen = []
            async for batch in log.read(run_id):
                seen += [
                    e.event.payload.delta_content
                    for e in batch
                    if isinstance(e.event.payload, ItemDelta)
                ]
            return seen

        async def write() -> None:
            await log.append(run_id, events(started(run_id), run_id=run_id))
            for number in range(200):
                delta = ItemDelta(item_id="a", delta_content=str(number))
                await log.append(run_id, events(delta, run_id=run_id))
                if number == 100:
                    half_way.set()
            done = ResponseDone(response_id=run_id, status="complete")
            await log.append(run_id, events(done, run_id=run_id))

        half_way = asyncio.Event()
        reader = tasks.create_task(follow())
        tasks.create_task(write())
        await half_way.wait()
        await asyncio.to_thread(own_redis.stop)
        await asyncio.to_thread(own_redis.start)
        assert await reader == [str(number) for number in range(200)]


async def test_a_server_that_stays_away_is_given_up_on(own_redis: RedisServer, run_id: str) -> None:
    async with RedisEventLog.open(own_redis.url, patience=0.2) as log:
        await log.append(run_id, events(started(run_id), run_id=run_id))
        own_redis.stop()
        with pytest.raises(EventLogUnavailable):
            await log.append(run_id, events(started(run_id), run_id=run_id))
        with pytest.raises(EventLogUnavailable):
            async for _ in log.read(run_id):
                pass


async def test_where_the_address_leads_to_another_server_after_a_failover_that_is_written_to(
    own_redis: RedisServer, redis_server: RedisServer, run_id: str, tmp_path: Path
) -> None:
    proxy, other = Proxy(own_redis.url), new_id()
    async with (
        proxy.serve(tmp_path / "s") as url,
        RedisEventLog.open(url) as log,
        asyncio.timeout(10),
        task_group() as tasks,
    ):
        await log.append(run_id, events(started(run_id), run_id=run_id))
        reader = tasks.create_task(_drain_events(log, run_id))
        await _fail_over(own_redis, proxy, to=redis_server)
        await log.server.call(lambda: log.server.client.set(other, "by the client's pool"))
        await log.append(run_id, events(started(run_id), run_id=run_id))
        done = ResponseDone(response_id=run_id, status="complete")
        await log.append(run_id, events(done, run_id=run_id))
        assert await reader == ["response_start", "response_start", "response_done"]
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        assert await client.exists(other, redis_module.stream_key(run_id)) == 2


async def _fail_over(server: RedisServer, proxy: Proxy, *, to: RedisServer) -> None:
    """Let a server that somebody waits at become a replica, and its address lead elsewhere."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        while not (await client.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.001)
        proxy.target = to.url
        await client.replicaof("127.0.0.1", "1")


async def test_a_server_that_stops_answering_is_given_up_on(
    redis_server: RedisServer, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SILENCE_SECONDS", 0.2)
    proxy = Proxy(redis_server.url)
    async with (
        asyncio.timeout(20),
        proxy.serve(tmp_path / "s") as url,
        RedisEventLog.open(url, patience=0.2) as log,
    ):
        proxy.mute = True
        with pytest.raises(EventLogUnavailable, match="REDIS_URL"):
            await log.append(run_id, events(started(run_id), run_id=run_id))


async def test_that_the_server_is_away_is_said_once_and_that_it_is_back(
    own_redis: RedisServer, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with RedisEventLog.open(own_redis.url) as log, task_group() as tasks:
        own_redis.stop()
        appended = [
            tasks.create_task(log.append(run_id, events(started(run_id), run_id=run_id)))
            for _ in range(3)
        ]
        async with asyncio.timeout(10):
            while not caplog.messages:
                await asyncio.sleep(0.001)
        await asyncio.to_thread(own_redis.start)
        for task in appended:
            await task
    away, back = caplog.messages
    assert "REDIS_URL cannot be reached" in away
    assert "30 s" in away
    assert "is back" in back


async def test_who_is_impatient_waits_less(own_redis: RedisServer, run_id: str) -> None:
    async with RedisEventLog.open(own_redis.url) as log, asyncio.timeout(10):
        own_redis.stop()
        with impatient(0.1), pytest.raises(EventLogUnavailable, match="REDIS_URL"):
            await log.exists(run_id)


async def _drain_events(log: RedisEventLog, run_id: str) -> list[str]:
    return [entry.event.type async for batch in log.read(run_id) for entry in batch]


async def test_a_beginning_whose_answer_was_lost_is_the_first_all_the_same(
    redis_server: RedisServer, run_id: str, tmp_path: Path
) -> None:
    proxy = Proxy(redis_server.url)
    async with proxy.serve(tmp_path / "s") as url, RedisEventLog.open(url) as log:
        await log.append(run_id, events(started(run_id), run_id=run_id))
        assert await log.begin(new_id(), "a") == "gone"  # the server has the script by now
        proxy.cut_before_reply_to = b"EVALSHA"
        assert await log.begin(run_id, "a") == "first"
        assert await log.begin(run_id, "b") == "begun"
    assert proxy.cuts == 1
