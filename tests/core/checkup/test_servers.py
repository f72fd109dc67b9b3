"""Redis, Convex and ``cody serve``, real ones, in order and out of it."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from cody_core.checkup import Finding, servers
from cody_core.checkup.servers import redis_findings
from cody_core.errors import (
    ServerUnavailable,
    SettingsError,
    StoreRefused,
    StoreUnavailable,
)
from cody_core.providers.scripted import ScriptedProvider
from cody_core.settings import load_settings
from support.convex import ConvexServer
from support.redis import RedisServer
from support.server import served

FINE = {"redis_version": "7.0.15", "aof_enabled": 1, "maxmemory_policy": "noeviction"}


def states(found: Any) -> list[tuple[str, str]]:
    return [(each.subject, each.state) for each in found]


async def test_what_is_not_set_is_a_note() -> None:
    (found,) = await servers.redis(load_settings())
    assert (found.state, "REDIS_URL" in found.text) == ("note", True)
    (found,) = await servers.convex(load_settings())
    assert (found.state, "CONVEX_URL" in found.text) == ("note", True)
    (found,) = await servers.convex(load_settings(convex_url="https://x", store="sqlite"))
    assert (found.state, "CODY_STORE" in found.text) == ("note", True)
    assert await servers.server(load_settings()) == []


async def test_a_redis_server_that_keeps_everything_is_in_order(redis_server: RedisServer) -> None:
    (found,) = await servers.redis(load_settings(redis_url=redis_server.url))
    assert (found.subject, found.state) == ("redis", "ok")
    assert "answers in" in found.text


async def test_a_redis_server_that_forgets_is_told_how_not_to(own_redis: RedisServer) -> None:
    settings = load_settings(redis_url=own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        found = await servers.redis(settings)
        assert states(found) == [
            ("redis", "ok"),
            ("redis memory", "problem"),
            ("redis disk", "note"),
        ]
        for each in found[1:]:
            name, value = str(each.remedy).split()[-2:]
            client.config_set(name, value)
        while (now := client.info("persistence"))["aof_rewrite_in_progress"] or now[
            "aof_rewrite_scheduled"
        ]:
            pass  # it does not end before it has written the first file
    assert states(await servers.redis(settings)) == [("redis", "ok")]


async def test_a_redis_server_that_shows_its_configuration_to_nobody_is_in_order(
    own_redis: RedisServer,
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.acl_setuser("cody", True, passwords=["+hunter2"], categories=["+@all"], keys=["*"],
                           commands=["-config"])  # fmt: skip
        client.config_set("appendonly", "no")
    url = own_redis.url.replace("unix://", "unix://cody:hunter2@")
    (found,) = await servers.redis(load_settings(redis_url=url))
    assert found.state == "ok"
    assert "hunter2" not in found.text


@pytest.mark.parametrize(
    ("info", "saved", "expected"),
    [
        (FINE, "", [("redis", "ok")]),
        ({**FINE, "redis_version": "6.2.0"}, "", [("redis", "ok")]),
        ({**FINE, "redis_version": "6.0.16"}, "", [("redis", "problem")]),
        ({**FINE, "redis_version": "5.0.7"}, "", [("redis", "problem")]),
        ({**FINE, "aof_enabled": 0}, "3600 1", [("redis", "ok")]),
        ({**FINE, "aof_enabled": 0}, None, [("redis", "ok")]),
        ({**FINE, "maxmemory": 1, "maxmemory_policy": "volatile-lru"}, "", [("redis", "ok")]),
        ({**FINE, "maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, "", [("redis", "ok")]),
    ],
)
def test_what_a_redis_server_says_of_itself_is_judged(
    info: dict[str, Any], saved: str | None, expected: list[tuple[str, str]]
) -> None:
    assert states(redis_findings("here", info, saved)) == expected


async def test_a_redis_server_that_is_away_is_to_be_started() -> None:
    (found,) = await servers.redis(load_settings(redis_url="redis://:secret@127.0.0.1:1"))
    assert (found.subject, found.state) == ("redis", "problem")
    assert "secret" not in found.text
    assert str(found.remedy).startswith("start it, or set REDIS_URL")


async def test_an_address_of_no_redis_server_is_an_error() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        await servers.redis(load_settings(redis_url="nonsense"))


async def test_a_deployment_is_in_order_or_told_how_to_be(convex: ConvexServer) -> None:
    settings = load_settings(convex_url=convex.url, convex_deploy_key=convex.key)
    answers, functions = await servers.convex(settings)
    assert (answers.state, "takes the key" in answers.text) == ("ok", True)
    assert functions == Finding("convex functions", "ok", "version 1, up to date")
    for version, remedy in (
        (None, "cody convex deploy"),
        (0, "cody convex deploy"),
        (9, "upgrade"),
    ):
        convex.turn("deployed", version=version)
        _, functions = await servers.convex(settings)
        assert functions.state == "problem"
        assert str(functions.remedy).startswith(remedy)


async def test_a_deployment_that_refuses_or_is_away_is_an_error(convex: ConvexServer) -> None:
    with pytest.raises(StoreRefused, match="CONVEX_DEPLOY_KEY"):
        await servers.convex(load_settings(convex_url=convex.url, convex_deploy_key="test|wrong"))
    with pytest.raises(SettingsError, match="CONVEX_DEPLOY_KEY"):
        await servers.convex(load_settings(convex_url=convex.url))
    convex.stop()
    with pytest.raises(StoreUnavailable):
        await servers.convex(load_settings(convex_url=convex.url, convex_deploy_key=convex.key))
    convex.start()


async def test_a_server_to_work_on_is_asked_who_it_is() -> None:
    async with served(ScriptedProvider([]), token="s3cret") as running:
        (found,) = await servers.server(load_settings(server=running.url, token="s3cret"))
        assert (found.state, running.url in found.text) == ("ok", True)
        with pytest.raises(SettingsError, match="CODY_TOKEN"):
            await servers.server(load_settings(server=running.url))
    with pytest.raises(ServerUnavailable):
        await servers.server(load_settings(server=running.url))
