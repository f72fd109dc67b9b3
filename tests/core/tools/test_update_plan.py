from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cody_core.tools import ToolResult
from cody_core.tools.update_plan import UpdatePlan
from support.editing import make

STEPS = [
    {"step": "Read", "status": "completed"},
    {"step": "Write", "status": "in_progress"},
    {"step": "Test", "status": "pending"},
]


async def test_a_plan_is_shown_with_how_far_it_is(tmp_path: Path) -> None:
    plan = "☑ Read\n◐ Write\n☐ Test"
    tool = UpdatePlan()
    assert await make(tool, tmp_path, plan=STEPS) == ToolResult(plan)
    result = await make(tool, tmp_path, plan=STEPS, explanation="Shorter now.")
    assert result == ToolResult(f"Shorter now.\n{plan}")
    assert tool.kind == "read"


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ([*STEPS, STEPS[1]], "at most one step may be in_progress"),
        ([{"step": "a", "status": "done"}], "'pending', 'in_progress' or 'completed'"),
        ([{"step": "", "status": "pending"}], "plan.0.step"),
        ([], "at least 1 item"),
    ],
)
async def test_a_plan_that_says_nothing_clear_is_refused(
    tmp_path: Path, plan: list[Any], problem: str
) -> None:
    result = await make(UpdatePlan(), tmp_path, plan=plan)
    assert problem in result.output
    assert not result.success
