"""The servers that may hold log and store: Redis, Convex, and a ``cody serve``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cody_core.checkup import Finding
from cody_core.errors import EventLogUnavailable
from cody_core.hiding import address
from cody_core.settings import Settings

OLDEST_REDIS: Final = (6, 2)
"""The first version that has all commands the log and the queue use."""


async def server(settings: Settings) -> Sequence[Finding]:
    """Look at the ``cody serve`` to work on, if one is set.

    Raises:
        SettingsError: its address is none, or it does not take the token.
        ServerUnavailable: it cannot be reached.
    """
    if settings.server is None:
        return []
    from cody_core.remote import open_remote

    token = settings.token.get_secret_value() if settings.token is not None else None
    async with open_remote(settings.server, token=token) as client:
        info = await client.info()
    return [Finding("server", "ok", f"cody {info.version} at {address(settings.server)}")]


async def redis(settings: Settings) -> Sequence[Finding]:
    """Look at the server of the event log: reachable, new enough, and not one that forgets.

    Raises:
        SettingsError: REDIS_URL is malformed.
    """
    if not settings.redis_url:
        text = "REDIS_URL is not set: the event log is in the process"
        return [Finding("redis", "note", text)]
    try:
        return await _redis(settings.redis_url)
    except EventLogUnavailable as error:
        remedy = "start it, or set REDIS_URL to one that runs; without it the log is in the process"
        return [Finding("redis", "problem", error.message, remedy)]


async def _redis(url: str) -> Sequence[Finding]:
    from cody_core.redis_server import RedisServer

    async with RedisServer.open(url, patience=0.0) as log:
        began = time.monotonic()
        info = await log.call(log.client.info)
        spent = (time.monotonic() - began) * 1000
        try:
            saved = (await log.call(lambda: log.client.config_get("save"))).get("save", "")
        except EventLogUnavailable:  # the command is not for everybody
            saved = None
    return redis_findings(f"at {address(url)}, answers in {spent:.0f} ms", info, saved)


def redis_findings(where: str, info: Mapping[str, Any], saved: str | None) -> Sequence[Finding]:
    """Say what a server is, and what makes it lose runs that are not stored yet.

    Args:
        where: Its place, and how it answered.
        info: What it says of itself, to ``INFO``.
        saved: When it writes all it has to the disk; empty for never, ``None`` if it does not say.
    """
    version, policy = str(info.get("redis_version", "?")), str(info.get("maxmemory_policy", ""))
    found = [Finding("redis", "ok", f"{version} {where}")]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST_REDIS:
        found = [Finding("redis", "problem", f"{version} {where}: too old", "upgrade it to 6.2")]
    if info.get("maxmemory") and policy.startswith("allkeys"):
        text = f"it throws runs away when its memory is full (maxmemory-policy {policy})"
        remedy = "redis-cli CONFIG SET maxmemory-policy noeviction"
        found.append(Finding("redis memory", "problem", text, remedy))
    if not info.get("aof_enabled") and saved == "":
        text = "it keeps nothing on disk: runs that are live are lost if it restarts"
        found.append(Finding("redis disk", "note", text, "redis-cli CONFIG SET appendonly yes"))
    return found


async def convex(settings: Settings) -> Sequence[Finding]:
    """Look at the deployment that stores threads, if one does; see ``convex_deployment``."""
    if not settings.is_on_convex:
        text = "CONVEX_URL is not set: threads are in a database on this machine"
        if settings.convex_url:
            text = "CONVEX_URL is set, and CODY_STORE=sqlite: threads are on this machine"
        return [Finding("convex", "note", text)]
    return await convex_deployment(settings)


async def convex_deployment(settings: Settings) -> Sequence[Finding]:
    """Look at the deployment that is set: reachable, the key, and the functions.

    Raises:
        SettingsError: none is set, or wrongly, or the key is missing.
        StoreError: it cannot be reached, or does not take the key.
    """
    from cody_core.resources import open_convex
    from cody_core.stores.convex_api import FUNCTIONS_VERSION

    async with open_convex(settings) as store:
        began = time.monotonic()
        version = await store.version()
        spent = (time.monotonic() - began) * 1000
    return [
        Finding("convex", "ok", f"answers in {spent:.0f} ms, and takes the key"),
        _functions(version, FUNCTIONS_VERSION),
    ]


def _functions(found: int | None, needed: int) -> Finding:
    subject = "convex functions"
    if found == needed:
        return Finding(subject, "ok", f"version {found}, up to date")
    if found is None:
        return Finding(subject, "problem", "they are not deployed", "cody convex deploy")
    text = f"they are of version {found}, and this cody needs {needed}"
    return Finding(
        subject, "problem", text, "cody convex deploy" if found < needed else "upgrade cody"
    )
