"""What a server's certificate is held against."""

from __future__ import annotations

import asyncio
import ssl

import httpx


async def certificates(url: str) -> ssl.SSLContext:
    """Return the authorities that may vouch for a server; to load them takes 50 ms, in a thread.

    A server that is spoken with in the clear shows no certificate: none are loaded for it, and none
    is believed.
    """
    if httpx.URL(url).scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return await asyncio.to_thread(httpx.create_ssl_context)
