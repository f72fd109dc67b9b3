"""A model's server in a process of its own; it prints its address.

It answers in the OpenAI Responses API. The model's name says how: ``200-800`` is 800 deltas at
200 a second, ``0-1000`` as fast as they go. Each delta begins with the reading of ``perf_counter``
when it was sent, in nanoseconds; that clock is the same in all processes of a machine.

``200-markdown`` is a long answer in Markdown at 200 deltas a second. Its last line alone has such a
reading, which can then be read off the screen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown

FILLER = " tokens of an answer\n"
MARKDOWN_CHARACTERS = 40_000
DELTA_CHARACTERS = 12
LAST_WORDS = "the last delta was sent at"


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


class _Connection(BaseHTTPRequestHandler):
    """Answers requests; the name of its method is the base class's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        rate, what = json.loads(body)["model"].split("-")
        texts = _long_answer() if what == "markdown" else _stamps(int(what))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in _answer(_paced(int(rate), texts)):
            frame = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _json(event))
            self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing about requests."""


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(deltas: Iterator[str]) -> Iterator[dict[str, Any]]:
    item = {"id": "msg_1", "type": "message", "role": "assistant"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    texts = []
    for text in deltas:
        texts.append(text)
        yield {"type": "response.output_text.delta", "output_index": 0, "delta": text}
    content = [{"type": "output_text", "text": "".join(texts)}]
    done = {**item, "content": content}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}
    yield {"type": "response.completed", "response": {"id": "resp_1", "usage": None}}


def _paced(rate: int, texts: Iterator[str]) -> Iterator[str]:
    """Yield texts when they are due, counted from the first: a late one delays no other."""
    began = time.perf_counter()
    number = 0
    while True:
        if rate:
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        if (text := next(texts, None)) is None:
            return
        yield text
        number += 1


def _stamps(count: int) -> Iterator[str]:
    for _ in range(count):
        yield f"{time.perf_counter_ns()}{FILLER}"


def _long_answer() -> Iterator[str]:
    text = markdown(MARKDOWN_CHARACTERS)
    for start in range(0, len(text), DELTA_CHARACTERS):
        yield text[start : start + DELTA_CHARACTERS]
    yield f"\n\n{LAST_WORDS} {time.perf_counter_ns()}"


def main() -> None:
    """Serve until the process is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Connection)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
