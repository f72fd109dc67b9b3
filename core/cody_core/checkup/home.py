"""The data directory, and what is in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cody_core.checkup import Finding, State
from cody_core.errors import StoreError
from cody_core.glance import config_path
from cody_core.hiding import holds_any
from cody_core.kept import KEYS_FILE
from cody_core.resources import DATABASE
from cody_core.settings import Settings
from cody_core.stores.examination import examine

SCARCE: Final = 200_000_000
"""Bytes that should be free: a thread with long answers and tool output takes some megabytes."""
EXAMINATION_SECONDS: Final = 20.0
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def home(settings: Settings) -> Sequence[Finding]:
    """See whether things can be kept there, and nobody else reads them."""
    return await asyncio.to_thread(lambda: [*_place(settings), *_privacy(settings)])


async def database(settings: Settings) -> Sequence[Finding]:
    """Read all of the database, and see that it is one of this version."""
    path = settings.home / DATABASE
    if settings.is_on_convex:
        return []
    if not path.exists():
        return [Finding("database", "note", f"there is none yet: {path}")]
    try:
        state = await asyncio.to_thread(examine, path, EXAMINATION_SECONDS)
    except StoreError as error:  # whose message says what to do
        return [Finding("database", "problem", error.message)]
    if state.problems:
        text = f"it is damaged: {state.problems[0]}"
        remedy = f"move {path} away to start a new one, or restore a backup"
        return [Finding("database", "problem", text, remedy)]
    size, threads = path.stat().st_size / 1e6, state.threads
    looked = "in order" if state.is_whole else "in order as far as it was read"
    text = f"{threads} threads, {size:.1f} MB, version {state.version} of {state.known}, {looked}"
    return [Finding("database", "ok", text)]


async def outbox(settings: Settings) -> Sequence[Finding]:
    """Look at what could not be stored yet."""
    from cody_core.workers.outbox import Outbox

    directory = settings.home / "outbox"
    found = []
    if waiting := len(Outbox(directory).kept):
        runs = "1 run waits" if waiting == 1 else f"{waiting} runs wait"
        text = f"{runs} to be stored: the next start of cody tries again"
        found.append(Finding("outbox", "note", text))
    if aside := len(list(directory.glob("*.unreadable"))):
        text = f"files that cannot be read were set aside in {directory}: {aside}"
        remedy = "send them along if you report it; delete them to be rid of this"
        found.append(Finding("outbox", "problem", text, remedy))
    return found or [Finding("outbox", "ok", "nothing waits to be stored")]


def _place(settings: Settings) -> Iterator[Finding]:
    place = settings.home
    there = next(path for path in (place, *place.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        text = f"{there} cannot be written: {error.strerror}"
        yield Finding("data directory", "problem", text, "mend that, or set CODY_HOME")
        return
    free = shutil.disk_usage(there).free
    if free < SCARCE:
        text = f"{free / 1e6:.0f} MB are free where {place} is"
        yield Finding("data directory", "problem", text, "make room, or set CODY_HOME")
    elif there != place:
        yield Finding("data directory", "note", f"the first start makes it: {place}")
    else:
        yield Finding("data directory", "ok", f"{place}, {free / 1e9:.1f} GB free")
    if not settings.workspace.is_dir():
        text = f"{settings.workspace} is no directory"
        yield Finding("workspace", "problem", text, "set CODY_WORKSPACE, or leave it out")


def _privacy(settings: Settings) -> Iterator[Finding]:
    """Find what other users of the machine may read."""
    place, config = settings.home, config_path()
    if os.name != "nt" and place.is_dir() and _mode(place) & _OTHERS:
        text = f"other users can look into {place} (mode {_mode(place):04o})"
        yield Finding("privacy", "note", text, f"chmod 700 {place}")
        for path in sorted(place.iterdir()):
            if path.is_file() and _mode(path) & _OTHERS:
                state: State = "problem" if path.name == KEYS_FILE else "note"
                text = f"other users can read {path} (mode {_mode(path):04o})"
                yield Finding("privacy", state, text, f"chmod 600 {path}")
    if config.is_file() and _mode(config) & _OTHERS and _holds_key(config, settings):
        text = f"other users can read {config}, which holds a key (mode {_mode(config):04o})"
        yield Finding("privacy", "problem", text, f"chmod 600 {config}")


def _holds_key(config: Path, settings: Settings) -> bool:
    text = config.read_text(encoding="utf-8")
    return holds_any(text, settings.secrets)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
