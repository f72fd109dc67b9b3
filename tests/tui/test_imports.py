from __future__ import annotations

import subprocess
import sys

SLOW_TO_IMPORT = ("pydantic", "markdown_it", "pygments", "openai", "anthropic", "httpx", "fastapi")


def test_the_first_paint_waits_for_nothing_heavy() -> None:
    code = f"import sys, cody_tui.app; print([m for m in {SLOW_TO_IMPORT} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


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
