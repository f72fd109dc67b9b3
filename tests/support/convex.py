"""A Convex deployment of the tests' own: the real functions, behind ``tests/convex``."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "convex"


def missing() -> str | None:
    """Return why the server cannot be started here, if it cannot."""
    if shutil.which("node") is None:
        return "no node: install Debian's nodejs and npm"
    if not (FOLDER / "node_modules").is_dir():
        return "what the server needs is not installed: npm ci --prefix tests/convex"
    return None


class ConvexServer:
    """Started when it is made; ``stop`` and ``start`` cut and open its port, ``close`` ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(FOLDER / "start.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline() or "{}")
        self.url: str = said["url"]
        self.key: str = said["key"]
        self._control: str = said["control"]

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def reset(self) -> None:
        """Forget everything, and turn all switches off."""
        self.turn("reset")

    def faults(self, **chances: object) -> None:
        """Let things go wrong by chance; see ``Chances`` in ``faults.ts``. Without any, stop."""
        self.turn("faults", **chances)

    def next(self, *faults: str | int) -> None:
        """Let these faults happen to the next calls."""
        self.turn("next", faults=faults)

    def stop(self, *, forget: bool = False) -> None:
        """Be away, cutting all connections."""
        self.turn("stop", forget=forget)

    def start(self) -> None:
        """Be there again, at the same address."""
        self.turn("start")

    def advance(self, milliseconds: int) -> None:
        """Set the clock that the functions see ahead."""
        self.turn("clock", ahead=milliseconds)

    def stats(self) -> dict[str, Any]:
        """Return calls by function, documents by table, and how many subscribe."""
        return self.turn("stats")

    def turn(self, switch: str, **values: object) -> dict[str, Any]:
        """Turn a switch."""
        request = urllib.request.Request(
            f"{self._control}/{switch}", json.dumps(values).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def call(self, kind: str, path: str, *, key: str | None, **args: object) -> tuple[int, Any]:
        """Call a function as any program could; return the status and the answer."""
        headers = {} if key is None else {"Authorization": f"Convex {key}"}
        body = json.dumps({"path": path, "format": "json", "args": args}).encode()
        request = urllib.request.Request(f"{self.url}/api/{kind}", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
