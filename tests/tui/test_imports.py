from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect

SLOW_TO_IMPORT = ("pydantic", "markdown_it", "pygments", "openai", "anthropic", "httpx", "fastapi")


def test_the_first_paint_waits_for_nothing_heavy() -> None:
    code = f"import sys, cody_tui.app; print([m for m in {SLOW_TO_IMPORT} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


OURS = ("cody_tui.features.listing", "cody_tui.widgets.approval", "cody_tui.widgets.completion")
STARTED = """
import sys
from cody_tui.app import CodyApp
from cody_tui.cli import main

shown = CodyApp.post_display_hook

def look(app):
    found = [name for name in {heavy!r} if name in sys.modules]
    if app.screen.is_mounted and app.screen.query("Prompt") and app.screen.query_one("Prompt").size:
        assert app.settings is None
        app.exit(return_code=40 + len(found))
    else:
        shown(app)

CodyApp.post_display_hook = look
sys.argv = ["cody"]
main()
"""


def test_cody_without_a_word_has_imported_nothing_heavy_when_its_first_frame_is_out(
    tmp_path: Path,
) -> None:
    heavy = (*SLOW_TO_IMPORT, "pydantic_settings", "typer", "json", "logging.handlers", *OURS)
    code = STARTED.format(heavy=heavy)
    child = pexpect.spawn(
        sys.executable,
        ["-c", code],
        env={**os.environ, "CODY_HOME": str(tmp_path), "TERM": "xterm-256color"},
        timeout=30,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 40


def test_garbage_is_collected_again_after_the_start_but_what_the_start_made_is_left_alone() -> None:
    code = (
        "import gc; from cody_tui import collecting; collecting.resume();"
        "before = gc.get_freeze_count(); collecting.pause(); paused = not gc.isenabled();"
        "collecting.resume(); print(before, paused, gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["0", "True", "True", "True"]
