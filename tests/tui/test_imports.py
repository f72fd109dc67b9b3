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
