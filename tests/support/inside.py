"""The command line in this process, where nothing is claimed of how one starts and ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO, TextIOWrapper

import pytest

from cody_tui.cli import main


def here(
    *args: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program with that piped in, and these variables besides those there are."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    streams = {name: TextIOWrapper(BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    streams["stdin"] = TextIOWrapper(BytesIO(given), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {"CODY_DEMO_DELAY": "0", **(env or {})}.items():
            patch.setenv(variable, value)
        patch.setattr(sys, "argv", ["cody", *args])
        patch.setattr(sys.modules["__main__"], "__package__", None)  # whose name it would take
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as ended:
            main()
    written = []
    for stream in (streams["stdout"], streams["stderr"]):
        stream.seek(0)
        written.append(stream.read())
    return subprocess.CompletedProcess(args, int(ended.value.code or 0), *written)
