"""The child process: it runs one script after the other, and says so over its pipe.

It is a process of its own because an engine that is caught in a loop, or full, can only be ended
from outside. Messages are JSON, one a line; nothing but them goes over standard input and output,
which are moved out of the way of the engine first. A thread reads, and ends the process when the
parent has gone, whatever the script is doing.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from cody_core.tools.sandbox.engine import EngineError, Thrown, World, strip_types, warm_up
from cody_core.tools.sandbox.limits import CHILD_MEMORY
from cody_core.tools.sandbox.source import RETURN_OUTSIDE, Form, describe, forms

Message = dict[str, Any]


class Channel:
    """The pipe to the parent."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._received: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message; without a parent there is nothing left to do."""
        try:
            self._sink.write(json.dumps(message).encode() + b"\n")
            self._sink.flush()
        except OSError:
            os._exit(1)

    def receive(self, timeout: float | None = None) -> Message | None:
        """Return the next message, or ``None`` if none came within ``timeout`` seconds."""
        try:
            return self._received.get(timeout=timeout)
        except queue.Empty:
            return None

    def _read(self) -> None:
        for line in self._source:
            self._received.put(json.loads(line))
        os._exit(0)


class Script:
    """One script, from its source to its last message."""

    def __init__(self, channel: Channel, world: World, order: Message) -> None:
        self._channel = channel
        self._world = world
        self._order = order
        self._form = Form("", "")
        self._heard = 1
        self._calls = 0
        self._timers: list[tuple[float, str]] = []
        self._log_left: int = order["log_bytes"]
        self._log_full = False

    def run(self) -> Message:
        """Run it and return what to say of it; ``retire`` says that the engine must go."""
        try:
            outcome = self._outcome()
        except EngineError as error:
            outcome = _failure(str(error), error.code, retire=True)
        except MemoryError:
            outcome = _failure("the script used too much memory", "memory_limit", retire=True)
        except Exception:  # noqa: BLE001 - whatever it is, a script did it, and is told
            # It may change what all objects have, those of the engine too: its own loss.
            text = "the script made its own world unusable: leave what all objects have as it is"
            outcome = _failure(text, "script_error", retire=True)
        return {"done": outcome}

    def _outcome(self) -> Message:
        order = self._order
        self._world.prepare(
            self._host,
            order["tools"],
            order["context"],
            (order["argument_chars"], order["log_bytes"]),
        )
        try:
            promise = self._begin(order["code"])
        except Thrown as error:
            return _failure(str(error), "syntax_error", line=self._line(error))
        try:
            value = self._settled(promise, completion=True)
            while self._world.is_promise(value):
                value = self._settled(value)
            return self._finish(value)
        except _Rejected as rejected:
            return self._explain(rejected.reason)

    def _begin(self, code: str) -> Any:
        """Start the first form that parses; if none does, say what is wrong with the first."""
        wrong: Thrown | None = None
        typed = ""
        for form in forms(code, strip_types):
            if isinstance(form, Thrown):
                typed = typed or f" (as TypeScript: {form.message})"
                continue
            try:
                promise = self._world.start(form.text)
            except Thrown as error:
                if wrong is None or wrong.message == RETURN_OUTSIDE:
                    wrong, self._form = error, form
            else:
                self._form = form
                return promise
        assert wrong is not None, "a script has a form"
        text = describe(f"{wrong.name}: {wrong.message}", self._form.frames(wrong.stack)) + typed
        raise Thrown(wrong.name, text, wrong.stack)

    def _settled(self, promise: Any, *, completion: bool = False) -> Any:
        while True:
            busy = self._world.step()
            state = self._world.state(promise)
            if state == "fulfilled":
                value = self._world.completion if completion else self._world.value
                return value(promise)
            if state == "rejected":
                raise _Rejected(self._world.value(promise))
            if not busy:
                self._wait()

    def _wait(self) -> None:
        """Wait for the answer to a call, or for the next sleeper's time."""
        if not self._calls and not self._timers:
            message = "the script waits for a promise that nothing can settle"
            raise EngineError("stalled", message)
        timeout = None
        if self._timers:
            timeout = max(0.0, self._timers[0][0] - time.monotonic())
        else:
            # To sleep is the script's own time, whatever else it waits for.
            self._channel.send({"idle": self._heard})
        answered = self._channel.receive(timeout)
        if answered is None:
            self._world.tell("wake", heapq.heappop(self._timers)[1])
            return
        self._heard += 1
        self._calls -= 1
        self._world.tell("settle", json.dumps(answered["answer"]))

    def _host(self, text: str) -> None:
        """Take what the script sends; it must not raise."""
        sent: Message = json.loads(text)
        match sent:
            case {"log": line}:
                self._log(line)
            case {"sleep": number, "milliseconds": time_left}:
                wake_at = time.monotonic() + time_left / 1000
                heapq.heappush(self._timers, (wake_at, str(number)))
            case _:
                self._calls += 1
                self._channel.send(sent)

    def _log(self, line: str) -> None:
        size = len(line.encode()) + 1
        if size <= self._log_left:
            self._log_left -= size
            self._channel.send({"log": line})
        else:
            # What is longer than the rest ends the log: a later, shorter line would mislead.
            self._log_left = 0
            if not self._log_full:
                self._log_full = True
                self._channel.send({"log_full": True})

    def _finish(self, value: Any) -> Message:
        try:
            text = self._world.ask("finish", value)
        except Thrown as error:
            code = "memory_limit" if error.name == "InternalError" else "result_not_serializable"
            return _failure(error.message, code)
        most = self._order["result_bytes"]
        if (size := len(text.encode())) > most:
            message = f"the result has {size} bytes of JSON, and at most {most} are taken"
            return _failure(message, "result_too_large")
        return {"success": True, "result": text, "retire": False}

    def _explain(self, reason: Any) -> Message:
        told = json.loads(self._world.ask("explain", reason))
        frames = self._form.frames(told["stack"])
        message = f"{told['name']}: {told['message']}".removesuffix(": ")
        line = frames[0].line if frames else None
        # Without the memory for an error, the engine throws ``null``.
        starved = self._world.is_full and message == "Uncaught: null"
        code = "memory_limit" if starved else told["code"]
        text = "the script ran out of memory" if starved else describe(message, frames)
        return _failure(text, code, line=line, retire=code == "memory_limit")

    def _line(self, error: Thrown) -> int | None:
        frames = self._form.frames(error.stack)
        return frames[0].line if frames else None


class _Rejected(Exception):
    def __init__(self, reason: Any) -> None:
        super().__init__()
        self.reason = reason


def _failure(message: str, code: str, *, line: int | None = None, retire: bool = False) -> Message:
    return {"success": False, "error": message, "code": code, "line": line, "retire": retire}


def main(options: Mapping[str, Any]) -> None:
    """Serve until the parent closes the pipe."""
    channel = _channel()
    memory = options["memory_bytes"]
    warm_up(Path(options["cache"]), memory)
    # Until here, what goes wrong is told there.
    os.dup2(1, 2)
    _cap()
    gc.collect()
    # What is there now stays: each collection looks at one script's leavings only.
    gc.freeze()
    while True:
        with World(memory) as world:
            channel.send({"ready": _resident()})
            order = _next(channel)
            channel.send(Script(channel, world, order).run())
        gc.collect()


def _next(channel: Channel) -> Message:
    """Wait for a script; answers to calls that the last one did not wait for may still come."""
    while True:
        message = channel.receive()
        if message is not None and "run" in message:
            order: Message = message["run"]
            return order


def _channel() -> Channel:
    """Move the pipe away from where the engine could write to it."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    return Channel(source, sink)


def _cap() -> None:
    """Cap what this process can ever take, from outside the engine; only Linux counts it well."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        ceiling = pages * resource.getpagesize() + CHILD_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _resident() -> int:
    """Return the bytes of memory this process holds, or 0 where it cannot be told."""
    if sys.platform != "linux":
        return 0
    import resource

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()
