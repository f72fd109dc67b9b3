"""Files that go along with a prompt: their text is written below it, fenced and labelled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cody_core.errors import CodyError, InvalidRequest, NotFound

if TYPE_CHECKING:
    from cody_core.client import Client
    from cody_core.schema.files import Attachment


async def attach(
    client: Client, prompt: str, paths: Sequence[str]
) -> tuple[str, Sequence[CodyError]]:
    """Return a prompt with the files below it, and what could not be attached.

    A word that only looks like a path stays a word. One that cannot be anything else, since it
    has a ``/`` in it, is said to name no file.
    """
    blocks: list[str] = []
    problems: list[CodyError] = []
    for path in paths:
        try:
            found = await client.read_attachment(path)
        except NotFound as error:
            if "/" in path:
                problems.append(error)
        except CodyError as error:
            problems.append(error)
        else:
            if f"{_label(found)}\n" not in prompt and (block := _block(found)) not in blocks:
                blocks.append(block)
                if found.is_cut:
                    problems.append(InvalidRequest(f"of {found.path} only {_share(found)}"))
    return "".join([prompt, *blocks]), problems


def _label(file: Attachment) -> str:
    return f"Attached file: {file.path}"


def _block(file: Attachment) -> str:
    ticks = max((len(run) for run in re.findall("`{3,}", file.content)), default=2) + 1
    fence = "`" * ticks
    language = PurePosixPath(file.path).suffix.removeprefix(".")
    end = "" if file.content.endswith("\n") else "\n"
    note = f"\n[cut: only {_share(file)}]" if file.is_cut else ""
    return f"\n\n{_label(file)}\n{fence}{language}\n{file.content}{end}{fence}{note}"


def _share(file: Attachment) -> str:
    taken = len(file.content.encode("utf-8", "replace"))
    return f"the first {taken / 1000:,.0f} kB of {file.size / 1000:,.0f} kB are attached"
