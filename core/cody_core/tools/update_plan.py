"""The ``update_plan`` tool: the steps of long work, for the person who waits for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cody_core.schema.base import NonEmpty
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult

Status: TypeAlias = Literal["pending", "in_progress", "completed"]

_SIGNS: dict[Status, str] = {"pending": "☐", "in_progress": "◐", "completed": "☑"}


class Step(BaseModel):
    """A step of the plan."""

    model_config = ConfigDict(extra="forbid")

    step: NonEmpty = Field(description="What is to be done, in a few words.")
    status: Status


class Arguments(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    explanation: str | None = Field(default=None, description="Why the plan changes.")
    plan: Annotated[list[Step], Field(min_length=1, description="All steps, in their order.")]

    @field_validator("plan")
    @classmethod
    def _one_at_a_time(cls, plan: list[Step]) -> list[Step]:
        if sum(step.status == "in_progress" for step in plan) > 1:
            msg = "at most one step may be in_progress"
            raise ValueError(msg)
        return plan


class UpdatePlan(BaseTool):
    """Shows a plan. It is kept nowhere: the call and its output are in the conversation."""

    name = "update_plan"
    description = (
        "Show the plan for work of several steps and how far it is. Give all steps each time; at "
        "most one is in_progress."
    )
    kind: ToolKind = "read"
    arguments: type[BaseModel] = Arguments

    async def call(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Return the plan as text."""
        steps = [f"{_SIGNS[step.status]} {step.step}" for step in arguments.plan]
        return ToolResult(
            "\n".join([arguments.explanation, *steps] if arguments.explanation else steps)
        )
