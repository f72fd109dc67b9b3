from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest
import trustme
from cody_core.certificates import certificates


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_server_is_believed_if_an_authority_that_is_known_vouches_for_it(
    authority: trustme.CA, is_known: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    signing = authority if is_known else trustme.CA()
    signing.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(answer, "localhost", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(verify=await certificates(url), trust_env=False) as client:
            if is_known:
                assert (await client.get(url)).text == "hi"
            else:
                with pytest.raises(httpx.ConnectError, match="certificate"):
                    await client.get(url)


async def test_for_a_server_without_a_certificate_none_is_loaded_nor_believed() -> None:
    context = await certificates("http://127.0.0.1:4010")
    assert context.cert_store_stats()["x509"] == 0
    assert context.verify_mode == ssl.CERT_REQUIRED
