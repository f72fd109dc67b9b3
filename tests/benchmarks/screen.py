"""The terminal program as somebody in front of it has it: starts, keys, answers, reading back.

The real program runs in a pseudo-terminal; see ``screen_terminal``. Its start is measured against
the least Textual program there is, in turns. Whatever else a machine does makes starts longer,
never shorter, and of two in a row not the same: the quickest count, as those of ``timeit`` do, and
the medians stand beside them. Everything else is measured against a goal. Bytecode of both is made
beforehand, as an installed program has it.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from benchmarks.latency import texts
from benchmarks.screen_bare import TEXT
from benchmarks.screen_terminal import Terminal, row_of
from benchmarks.screen_thread import FIRST_WORDS, store_thread
from benchmarks.source import LAST_WORDS, source
from benchmarks.table import Goals, Table
from benchmarks.timing import percentile

CODY: Final = (str(Path(sys.executable).with_name("cody")),)
BARE: Final = (sys.executable, str(Path(__file__).with_name("screen_bare.py")))
PROMPT: Final = "Ask anything"
STARTS: Final = 21
PAGES: Final = 60
IDLE_SECONDS: Final = 10.0
KEY_SECONDS: Final = 0.1
PATIENCE: Final = 60.0
RECENT: Final = 2
"""Reads of the terminal that are looked through again: a row may have come in two."""
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz" * 3
"""What is typed before the prompt is emptied again: less than one row."""
BORDERS: Final = " │▊▎█"
CLEAR: Final = "\x15"
PAGE_UP: Final = "\x1b[5~"
TO_START: Final = "\x1b[1;5H"

_Times = tuple[float, float]
"""When two things were seen, in seconds from the start."""


@dataclass
class Place:
    """Where the programs run: directories of their own and an address to ask."""

    home: Path
    url: str
    peaks: list[float] = field(default_factory=list)

    def cody(self, *options: str, home: str = "") -> Terminal:
        """Return the program, not yet started, with nothing in its home: it remembers drafts."""
        home = home or tempfile.mkdtemp(dir=self.home)
        return Terminal((*CODY, *options), {**self.environment, "CODY_HOME": home}, self.home)

    def bare(self) -> Terminal:
        """Return what it is compared with."""
        return Terminal(BARE, self.environment, self.home)

    @property
    def environment(self) -> dict[str, str]:
        """No settings of the user's, and a cache for bytecode that is thrown away."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "HOME", "PYTHONPATH")
            if name in os.environ
        }
        ours = {"XDG_CONFIG_HOME": "config", "PYTHONPYCACHEPREFIX": "bytecode"}
        return {
            **kept,
            **{name: str(self.home / folder) for name, folder in ours.items()},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_KEY": "benchmark",
        }


def tables() -> Iterator[Table]:
    """Measure; see the module."""
    with source() as url, tempfile.TemporaryDirectory(prefix="cody-bench-") as home:
        place = Place(Path(home), url)
        yield _starts(place)
        table = Goals("streaming, reading back and waiting, in a terminal of 120 by 40")
        _streaming(table, place)
        _flat_out(table, place)
        _long_thread(table, place)
        table.goal("all of it: peak resident memory (MB)", max(place.peaks), 90)
        yield table


def _starts(place: Place) -> Table:
    pairs: list[tuple[_Times, _Times]] = []
    for run in range(STARTS + 1):  # the first makes the bytecode
        pair = _start(place.bare(), TEXT), _start(place.cody(), PROMPT)
        if run:
            pairs.append(pair)
    table = Table(
        "from the start to what is seen (ms)", "what", "bare", "cody", "times bare", "goal", ""
    )
    for index, (label, goal) in enumerate({"first paint": 1.2, "typed character": 1.25}.items()):
        times = [[pair[of][index] * 1000 for pair in pairs] for of in (0, 1)]
        bare, cody = map(min, times)
        mark = "PASS" if cody / bare <= goal else "over"
        table.add(f"{label}, the quickest of {STARTS}", bare, cody, cody / bare, goal, mark)
        bare, cody = map(statistics.median, times)
        table.add(f"{label}, the median", bare, cody, cody / bare, "", "")
    return table


def _start(terminal: Terminal, text: str) -> _Times:
    """Return when a text is seen, and a character that is typed as soon as it is."""
    with terminal:
        before = terminal.until(text)
        terminal.type("x")
        terminal.until("x", since=before)
    painted = terminal.shown(text)
    for when, screen in terminal.screens(before):
        if any(row_of(screen, y).strip(BORDERS).startswith("x") for y in screen.dirty):
            return painted - terminal.began, when - terminal.began
    raise AssertionError("a typed character was lost")


def _streaming(table: Goals, place: Place) -> None:
    keys: list[tuple[str, float]] = []
    _warm_up(place)
    with place.cody("-m", "openai/200-markdown") as cody:
        cody.until("ready")
        time.sleep(1.0)  # what is imported after the first paint
        start = len(cody.output)
        cody.type("go\r")
        cody.until("Step 1", since=start)  # before it, the provider's SDK is imported
        cpu, began = cody.usage.cpu_seconds, time.perf_counter()
        typed, letters, due, read = "", LETTERS, began, start
        while not cody.wrote(LAST_WORDS, since=max(start, read - RECENT)):
            assert time.perf_counter() < began + PATIENCE, "the answer did not end"
            read = len(cody.output)
            time.sleep(max(0.0, due - time.perf_counter()))
            due += KEY_SECONDS
            if typed == letters:
                cody.type(CLEAR)
                typed, letters = "", letters.swapcase()
            else:
                typed = letters[: len(typed) + 1]
                keys.append((typed, cody.type(typed[-1])))
        spent, seconds = cody.usage.cpu_seconds - cpu, time.perf_counter() - began
        place.peaks.append(cody.usage.peak_mb)
        seen = _idle(table, cody, lambda: _watch(cody, start, keys))
    table.goal("40,000 characters at 200 deltas/s, with typing: CPU (%)", spent / seconds * 100, 25)
    table.add(
        "the same stream, read by httpx and shown nowhere", asyncio.run(_bare(place)), "", "", ""
    )
    table.goal("the last delta to its paint (ms)", (seen.shown - seen.sent) * 1000, 50)
    table.goal("keystroke to echo meanwhile: p50 (ms)", percentile(seen.echoes, 50) * 1000, 15)
    table.goal("keystroke to echo meanwhile: p99 (ms)", percentile(seen.echoes, 99) * 1000, 60)


async def _bare(place: Place) -> float:
    """Return what share of a core (%) it takes to read the stream and do nothing with it."""
    cpu, began = time.process_time(), time.perf_counter()
    async with httpx.AsyncClient(trust_env=False) as client:
        async for _ in texts(client, place.url, "200-markdown"):
            pass
    return (time.process_time() - cpu) / (time.perf_counter() - began) * 100


def _warm_up(place: Place) -> None:
    """Have an answer once: it makes the bytecode of what only answers need."""
    with place.cody("-m", "openai/0-markdown") as cody:
        cody.until("ready")
        start = len(cody.output)
        cody.type("go\r")
        cody.until(LAST_WORDS, since=start, patience=PATIENCE)


@dataclass
class _Seen:
    """When the last delta of an answer was sent and shown, and how late keys were."""

    sent: float = 0.0
    shown: float = 0.0
    echoes: list[float] = field(default_factory=list)


def _watch(cody: Terminal, since: int, keys: Sequence[tuple[str, float]] = ()) -> _Seen:
    """Replay an answer; its last line says when it was sent. A key may be seen with the next."""
    seen = _Seen()
    waiting = list(reversed(keys))
    for when, screen in cody.screens(since):
        rows = [row_of(screen, y).strip(BORDERS) for y in sorted(screen.dirty)]
        while waiting and when > waiting[-1][1] and any(r.startswith(waiting[-1][0]) for r in rows):
            seen.echoes.append(when - waiting.pop()[1])
        for row in rows:
            if not seen.shown and (said := re.search(rf"{LAST_WORDS} (\d+)", row)):
                seen.sent, seen.shown = int(said[1]) / 1e9, when
    assert not waiting, f"{len(waiting)} keys were not echoed"
    assert seen.shown, "the last delta was not shown"
    return seen


def _idle(table: Goals, cody: Terminal, replay: Callable[[], _Seen]) -> _Seen:
    """Measure a program that nothing is asked of, and replay meanwhile what it wrote before."""
    time.sleep(1.0)  # the run is stored
    cpu, read, began = cody.usage.cpu_seconds, len(cody.output), time.perf_counter()
    seen = replay()
    time.sleep(max(0.0, began + IDLE_SECONDS - time.perf_counter()))
    used = (cody.usage.cpu_seconds - cpu) / (time.perf_counter() - began) * 100
    written = sum(len(data) for _, data in cody.output[read:])
    table.goal("idle for 10 s or more: CPU (%)", used, 0.3)
    table.add("idle meanwhile: bytes written", written, 0.0, "", "over" if written else "PASS")
    return seen


def _flat_out(table: Goals, place: Place) -> None:
    with place.cody("-m", "openai/0-markdown") as cody:
        cody.until("ready")
        time.sleep(1.0)
        start = len(cody.output)
        cody.type("go\r")
        cody.until(LAST_WORDS, since=start)
        time.sleep(0.3)
        place.peaks.append(cody.usage.peak_mb)
    seen = _watch(cody, start)
    table.goal(
        "the same as fast as it comes: last byte to final screen (s)", seen.shown - seen.sent, 0.7
    )


def _long_thread(table: Goals, place: Place) -> None:
    thread_ids = {size: store_thread(place.home / "threads", size) for size in (1, 250)}
    opened = {size: _read_back(place, thread_id, size) for size, thread_id in thread_ids.items()}
    (first, memory, _, _), (long, long_memory, pages, jump) = opened[1], opened[250]
    table.goal("500 messages, 1 MB: first screen, later than of 2 (ms)", (long - first) * 1000, 150)
    table.goal("500 messages: resident memory, more than of 2 (MB)", long_memory - memory, 20)
    table.goal("500 messages: Page Up p50 (ms)", percentile(pages, 50) * 1000, 15)
    table.goal("500 messages: Page Up p95 (ms)", percentile(pages, 95) * 1000, 80)
    table.goal("500 messages: jump to the top (ms)", jump * 1000, 150)


def _read_back(place: Place, thread_id: str, size: int) -> tuple[float, float, list[float], float]:
    """Return when a thread is seen, what memory is taken, and how long pages and the jump take."""
    pages: list[float] = []
    with place.cody("-t", thread_id, home=str(place.home / "threads")) as cody:
        cody.until(f"answer {size}")
        time.sleep(0.5)
        for _ in range(PAGES if size > 1 else 0):
            pages.append(_until_painted(cody, PAGE_UP))
            time.sleep(KEY_SECONDS)
        jump = _until_painted(cody, TO_START) if size > 1 else 0.0
        cody.until(FIRST_WORDS) if size > 1 else None
        memory = cody.usage.resident_mb
        place.peaks.append(cody.usage.peak_mb)
    return cody.shown(f"answer {size}") - cody.shown("ready"), memory, pages, jump


def _until_painted(cody: Terminal, key: str) -> float:
    read = len(cody.output)
    typed = cody.type(key)
    return cody.until_painted(read) - typed
