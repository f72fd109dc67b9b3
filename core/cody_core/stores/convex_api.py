"""Convex's HTTP API: functions called over one connection pool, bounded in time and number.

What may have come to pass unnoticed, a connection that broke or an overloaded server, is tried a
few times more, after pauses that differ from client to client; functions can bear to be called
twice. What will not pass is not tried again, and while the deployment is away a call is made but
twice, for a connection that is left from before: whoever waits is told soon. Each failure is told
as what it is and how it is mended.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, Self, TypeAlias

import anyio._backends._asyncio  # noqa: F401  # or the first request imports it, on the loop
import httpx
import orjson

from cody_core import __version__
from cody_core.certificates import certificates
from cody_core.errors import (
    InvalidRequest,
    SettingsError,
    StoreError,
    StoreOutdated,
    StoreOverQuota,
    StoreRefused,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal["query", "mutation"]

FUNCTIONS_VERSION: Final = 1
"""What the functions must promise; see ``VERSION`` in ``core/convex/functions/status.ts``."""
TIMEOUT: Final = httpx.Timeout(15.0, connect=4.0)
"""Seconds for each step of a request; to connect is the first."""
DEADLINE: Final = 25.0
"""Seconds for a call with all its tries."""
TRIES: Final = 4
TRIES_AWAY: Final = 2
FIRST_PAUSE: Final = 0.1
AT_ONCE: Final = 8
"""Mutations of one process at the same time; the smallest plan lets a deployment do 16."""

_TRANSIENT: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_BUSY: Final = "busy"
_REFUSALS: Final = {"too_many_tags": "a thread has 1,000 tags at most"}
"""What functions refuse, by the codes of ``core/convex/functions/failures.ts``."""
_NAME: Final = re.compile(r"[\w.:-]+")
"""A name or an address of a machine."""
_DEPLOY: Final = "bring them up to date with 'cody convex deploy'"
_QUOTA_WORDS: Final = ("exceeded", "disabled", "paused", "suspended")
"""What Convex's texts say of a deployment that is stopped; it gives no code for that."""


class ConvexApi:
    """The functions of a deployment. Get one with ``open``."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http
        self._mutating = asyncio.Semaphore(AT_ONCE)
        self._is_checked = False
        self._is_away = False

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str) -> AsyncIterator[Self]:
        """Open the deployment at ``url``. Nothing is sent yet.

        Raises:
            SettingsError: the address is none, or the key would go over the network in the clear.
        """
        is_local = _check(url)
        headers = {
            "Authorization": f"Convex {key}",
            "Content-Type": "application/json",
            "Convex-Client": f"cody-{__version__}",
        }
        limits = httpx.Limits(max_connections=2 * AT_ONCE, max_keepalive_connections=AT_ONCE)
        async with httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=TIMEOUT,
            verify=await certificates(url),
            limits=limits,
            trust_env=not is_local,
        ) as http:
            yield cls(url, http)

    async def aclose(self) -> None:
        """Close all connections; further calls fail."""
        await self._http.aclose()

    async def query(self, path: str, **args: object) -> Any:
        """Call a query; see ``call``."""
        return await self.call("query", path, args)

    async def mutation(self, path: str, **args: object) -> Any:
        """Call a mutation; see ``call``. It may be called twice, and must not mind."""
        async with self._mutating:
            return await self.call("mutation", path, args)

    async def call(self, kind: Kind, path: str, args: Mapping[str, object]) -> Any:
        """Call a function and return what it returns; all numbers in it are floats.

        Arguments that are ``None`` are left out.

        Raises:
            StoreRefused: the key is wrong.
            StoreOutdated: the functions are not deployed, or of another version.
            StoreOverQuota: the deployment is stopped.
            StoreUnavailable: it cannot be reached, or does not answer in time.
            StoreError: the arguments cannot be sent.
            InvalidRequest: they are refused.
        """
        if self._http.is_closed:
            msg = f"the store at {self.url!r} is closed"
            raise StoreUnavailable(msg)
        given = {name: value for name, value in args.items() if value is not None}
        try:
            body = orjson.dumps({"path": path, "format": "json", "args": given})
        except TypeError as error:
            msg = f"what is to be stored at {self.url!r} is not text that can be sent"
            raise StoreError(msg) from error
        try:
            async with asyncio.timeout(DEADLINE):
                if not self._is_checked:
                    await self._check_version()
                return await self._tried(kind, path, body)
        except TimeoutError as error:
            self._is_away = True
            raise self._unreachable("it does not answer in time") from error

    async def version(self) -> int | None:
        """Return the version of the deployed functions; ``None`` if there are none of ours.

        Raises:
            StoreRefused: the key is wrong.
            StoreOverQuota: the deployment is stopped.
            StoreUnavailable: it cannot be reached, or does not answer in time.
        """
        try:
            found = await self._tried("query", "status:get", _STATUS, diagnoses=False)
        except _Failed as failure:
            if any(word in failure.text for word in _QUOTA_WORDS):
                raise self._over_quota() from failure
            return None
        return int(found["version"])

    async def _check_version(self) -> None:
        found = await self.version()
        if found != FUNCTIONS_VERSION:
            what = "cody's functions are not deployed there"
            if found is not None:
                what = f"its functions are of version {found}, this cody needs {FUNCTIONS_VERSION}"
            msg = f"the Convex deployment {self.url!r} cannot be used: {what}; {_DEPLOY}"
            raise StoreOutdated(msg)
        self._is_checked = True

    async def _tried(self, kind: Kind, path: str, body: bytes, *, diagnoses: bool = True) -> Any:
        reason = ""
        for failures in range(TRIES_AWAY if self._is_away else TRIES):
            if failures:
                await asyncio.sleep(FIRST_PAUSE * 2.0 ** (failures - 1) * random.uniform(0.5, 1.5))
            try:
                found = await self._once(kind, body)
            except _Transient as error:
                reason = str(error)
                logger.debug("%s is tried again: %s", path, reason)
            except _Failed as failure:
                if not diagnoses:
                    raise
                await self._diagnose(path, failure)
            else:
                self._is_away = False
                return found
        self._is_away = True
        raise self._unreachable(reason)

    async def _once(self, kind: Kind, body: bytes) -> Any:
        try:
            response = await self._http.post(f"/api/{kind}", content=body)
        except httpx.TransportError as error:
            msg = str(error) or type(error).__name__
            raise _Transient(msg) from error
        if response.status_code in _TRANSIENT:
            raise _Transient(f"it answered {response.status_code}")
        if response.status_code in (401, 403):
            msg = (
                f"the Convex deployment {self.url!r} does not take the key: set CONVEX_DEPLOY_KEY"
                " to a deploy key of that deployment"
            )
            raise StoreRefused(msg)
        answer = _parsed(response)
        if answer is None or response.status_code != 200:
            raise self._unreachable(f"what is there is no Convex ({response.status_code})")
        if answer.get("status") == "success":
            return answer.get("value")
        data = answer.get("errorData")
        code = data.get("code") if isinstance(data, dict) else None
        if code == _BUSY:
            raise _Transient("it is still sorting in what was stored before")
        raise _Failed(str(answer.get("errorMessage")), code)

    async def _diagnose(self, path: str, failure: _Failed) -> None:
        """Raise what a failed function comes to; what it says of it may have been left out.

        Raises:
            InvalidRequest: what was to be stored is refused.
            StoreUnavailable: anything else, always.
        """
        if failure.code is not None:
            what = _REFUSALS.get(failure.code, failure.code)
            msg = f"the Convex deployment {self.url!r} does not store this: {what}"
            raise InvalidRequest(msg) from failure
        self._is_checked = False
        await self._check_version()
        logger.error("%s failed: %s", path, failure.text)
        raise self._unreachable(f"its function {path!r} failed; see its log") from failure

    def _over_quota(self) -> StoreOverQuota:
        return StoreOverQuota(
            f"the Convex deployment {self.url!r} is stopped: it is over its limits, or paused; see"
            " its settings in the dashboard"
        )

    def _unreachable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"the Convex deployment {self.url!r} cannot be used now: {reason}; check CONVEX_URL"
            " and the network"
        )


class _Transient(Exception):
    """Something that may pass."""


class _Failed(Exception):
    """A function threw."""

    def __init__(self, text: str, code: str | None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


_STATUS: Final = orjson.dumps({"path": "status:get", "format": "json", "args": {}})


def _parsed(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _check(url: str) -> bool:
    """Tell whether an address is of this machine.

    Raises:
        SettingsError: it is none, or the key would go over the network in the clear.
    """
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL("")
    is_local = _is_loopback(parts.host)
    is_host = is_local or _NAME.fullmatch(parts.host)
    if not is_host or parts.scheme not in ("http", "https") or parts.userinfo:
        msg = "CONVEX_URL is no address of a deployment: it looks like https://NAME.convex.cloud"
        raise SettingsError(msg)
    if parts.scheme != "https" and not is_local:
        msg = (
            f"CONVEX_URL is {url!r}: the key and all conversations would go over the network in the"
            " clear; only https:// is spoken with other machines"
        )
        raise SettingsError(msg)
    return is_local


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
