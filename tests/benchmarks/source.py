"""A model's server in a process of its own; it prints its address.

It answers in the OpenAI Responses API. The model's name says how: ``200-800`` is 800 deltas at
200 a second, ``0-1000`` as fast as they go. Each delta begins with the reading of ``perf_counter``
when it was sent, in nanoseconds; that clock is the same in all processes of a machine.

``200-markdown`` is a long answer in Markdown at 200 deltas a second. Its last line alone has such a
reading, which can then be read off the screen. ``0-call`` calls a tool that costs next to nothing,
and has nothing to say to its output.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown

FILLER = " tokens of an answer\n"
MARKDOWN_CHARACTERS = 40_000
DELTA_CHARACTERS = 12
LAST_WORDS = "the last delta was sent at"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_PLAN = '{"plan":[{"step":"measure","status":"completed"}]}'


@contextmanager
def source() -> Iterator[str]:
    """Run the server while the block runs, and give its address."""
    command = [sys.executable, "-m", "benchmarks.source"]
    tests = Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tests) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def sent_at(delta: str) -> int:
    """Return when a delta was sent, in nanoseconds of ``perf_counter``."""
    return int(delta.split(maxsplit=1)[0])


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection, one after the other."""
    try:
        while request := await _request(reader):
            writer.write(_HEAD)
            async for event in _answer(request):
                frame = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _json(event))
                writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
    except ConnectionError:
        pass  # it was left in the middle, as a run that is cancelled does
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the body of the next request, or ``None`` after the last."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    fields = dict(line.split(": ", 1) for line in head.decode().lower().splitlines()[1:-1])
    body: dict[str, Any] = json.loads(await reader.readexactly(int(fields["content-length"])))
    return body


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _answer(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    rate, what = request["model"].split("-")
    answered = any(item["type"] == "function_call_output" for item in request.get("input", ()))
    if what == "call" and not answered:
        events = _call()
    else:
        events = _message(_paced(int(rate), _texts(what)))
    async for event in events:
        yield event
    yield {"type": "response.completed", "response": {"id": "resp_1", "usage": None}}


async def _call() -> AsyncIterator[dict[str, Any]]:
    item = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "update_plan"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    done = {**item, "arguments": _PLAN}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}


async def _message(deltas: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    item = {"id": "msg_1", "type": "message", "role": "assistant"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    texts = []
    async for text in deltas:
        texts.append(text)
        yield {"type": "response.output_text.delta", "output_index": 0, "delta": text}
    content = [{"type": "output_text", "text": "".join(texts)}]
    done = {**item, "content": content}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}


async def _paced(rate: int, texts: Iterator[str]) -> AsyncIterator[str]:
    """Yield texts when they are due, counted from the first: a late one delays no other."""
    began = time.perf_counter()
    number = 0
    while True:
        if rate and (early := began + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        if (text := next(texts, None)) is None:
            return
        yield text
        number += 1


def _texts(what: str) -> Iterator[str]:
    match what:
        case "markdown":
            return _long_answer()
        case "call":
            return iter(["Done."])
        case count:
            return _stamps(int(count))


def _stamps(count: int) -> Iterator[str]:
    for _ in range(count):
        yield f"{time.perf_counter_ns()}{FILLER}"


def _long_answer() -> Iterator[str]:
    text = markdown(MARKDOWN_CHARACTERS)
    for start in range(0, len(text), DELTA_CHARACTERS):
        yield text[start : start + DELTA_CHARACTERS]
    yield f"\n\n{LAST_WORDS} {time.perf_counter_ns()}"


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
