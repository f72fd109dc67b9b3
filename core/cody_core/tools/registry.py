"""The tools a run has, and how a model's call becomes one of theirs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

from pydantic import ValidationError

from cody_core.errors import EventLogError, ToolError
from cody_core.schema.items import FunctionCall
from cody_core.schema.requests import ToolSpec
from cody_core.tools import Intent, Tool, ToolContext, ToolKind, ToolResult

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 660.0
"""Seconds that any call may take; tools have shorter limits of their own."""


Consent: TypeAlias = Callable[[ToolKind, Intent], Awaitable[str | None]]


class Registry:
    """Tools by name. Whatever goes wrong in a call is an unsuccessful result, not an exception.

    A call that takes more than ``timeout`` seconds has gone wrong, too.
    """

    def __init__(self, tools: Iterable[Tool] = (), *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._timeout = timeout

    @property
    def names(self) -> Sequence[str]:
        """The names of the tools, in a stable order."""
        return tuple(self._tools)

    def only(self, names: Iterable[str] | None) -> Registry:
        """Return a registry of the tools with these names, or of all; unknown names are ignored."""
        if names is None:
            return self
        chosen = [self._tools[name] for name in names if name in self._tools]
        return Registry(chosen, timeout=self._timeout)

    @cached_property
    def specs(self) -> Sequence[ToolSpec]:
        """What a model is told, in a stable order."""
        return tuple(
            ToolSpec(
                name=tool.name,
                description=tool.description,
                parameters=tool.arguments.model_json_schema(),
            )
            for tool in self._tools.values()
        )

    def kind(self, name: str) -> ToolKind:
        """Return a tool's kind; a tool that does not exist does no harm."""
        tool = self._tools.get(name)
        return "read" if tool is None else tool.kind

    async def call(
        self, call: FunctionCall, context: ToolContext, consent: Consent | None = None
    ) -> ToolResult:
        """Validate a call, ask for consent, and run it.

        ``consent`` is told the tool's kind and what the call would do, and returns why it may not,
        or ``None``; the time it takes does not count. Without it, every call may run.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(self._unknown(call.name), success=False)
        try:
            arguments = tool.arguments.model_validate_json(call.arguments.strip() or "{}")
        except ValidationError as error:
            return ToolResult(_describe(call.name, error), success=False)
        deadline = asyncio.timeout(None)
        try:
            if consent is not None:
                intent = await tool.intend(arguments, context)
                if (refusal := await consent(tool.kind, intent)) is not None:
                    return ToolResult(refusal, success=False)
                context = replace(context, intent=intent)
            async with deadline:
                deadline.reschedule(asyncio.get_running_loop().time() + self._timeout)
                return await tool.call(arguments, context)
        except EventLogError:
            raise
        except ToolError as error:
            return ToolResult(error.message, success=False)
        except Exception as error:
            if deadline.expired() and isinstance(error, TimeoutError):
                text = f"{call.name} was stopped after {self._timeout:g} s."
                return ToolResult(text, success=False)
            logger.exception("tool %r failed", call.name)
            return ToolResult(f"{call.name} failed: {type(error).__name__}: {error}", success=False)

    def _unknown(self, name: str) -> str:
        known = ", ".join(sorted(self._tools)) or "there are none in this conversation"
        return f"There is no tool named {name!r}. Available tools: {known}."


def _describe(name: str, error: ValidationError) -> str:
    """Say which arguments are wrong, in words a model can act on."""
    problems = [
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"The arguments of {name} are not valid: {'; '.join(problems)}."
