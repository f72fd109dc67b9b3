"""What is asked for: by a client of the core, and by the core of a model."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from cody_core.schema.base import JsonObject, NonEmpty, Omittable, Shape, Uuid, Whole
from cody_core.schema.items import Item
from cody_core.schema.threads import Thread

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How hard a model thinks. Adapters map a level their API lacks to its nearest neighbour."""

Policy: TypeAlias = Literal["ask", "auto-edit", "full-auto", "read-only"]
"""Which calls of tools need somebody's consent, and which are refused."""

ToolMode: TypeAlias = Literal["calls", "script", "both"]
"""How a model reaches its tools: by function calls, by ``<script>`` blocks in its text, or by
function calls and a tool that runs scripts."""

SCRIPT_TOOL = "run_script"
"""The tool that a model sees its scripts as calls of. Its items are script executions."""

MAX_PROMPT_CHARACTERS = 4_000_000
"""About a million tokens: more than any model reads."""

Prompt = Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS, pattern=r"\S"), Whole]
"""What is asked; something has to be."""

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""A name that all provider APIs accept."""


class SubmitRequest(Shape):
    """A prompt, and how it is to be answered.

    Whatever is left out comes from the thread, then from the settings. A ``run_id`` that was
    submitted before is not run again: submitting is idempotent.
    """

    prompt: Prompt
    model: Omittable[NonEmpty] = None
    provider_id: Omittable[NonEmpty] = None
    thread_id: Omittable[Uuid] = None
    run_id: Omittable[Uuid] = None
    turn_id: Omittable[Uuid] = None
    agent_id: Omittable[NonEmpty] = None
    system: Omittable[str] = None
    reasoning_effort: Omittable[ReasoningEffort] = None
    policy: Omittable[Policy] = None
    thinking_budget: Omittable[Annotated[int, Field(ge=0)]] = None
    """Tokens the model may think for, where the API counts them."""
    max_output_tokens: Omittable[Annotated[int, Field(gt=0)]] = None


class Submitted(Shape):
    """Where to find what was submitted."""

    run_id: Uuid
    thread_id: Uuid
    turn_id: Uuid


class RunRequest(Shape):
    """A run as the engine takes it: everything that was left open is decided."""

    run_id: Uuid
    turn_id: Uuid
    thread_id: Uuid
    agent_id: Omittable[NonEmpty] = None
    provider_id: NonEmpty
    model_id: NonEmpty
    input_items: tuple[Item, ...]
    system: Omittable[str] = None
    reasoning_effort: Omittable[ReasoningEffort] = None
    thinking_budget: Omittable[int] = None
    """In tokens; see ``SubmitRequest``."""
    max_output_tokens: Omittable[int] = None
    policy: Policy = "ask"
    tools: Omittable[tuple[str, ...]] = None
    """The names of the tools that may be used; without it, all of them."""
    tool_mode: ToolMode = "calls"
    max_iterations: Omittable[Annotated[int, Field(gt=0)]] = None
    """How often the model may be asked; without it, as the engine is set."""
    context_tokens: Omittable[int] = None
    """How much the model reads, if that is known: older turns that do not fit are left out."""
    new_thread: Omittable[Thread] = None
    """The thread that the run begins, if that is still to be stored."""


class ToolSpec(Shape):
    """What a model is told about a tool; ``parameters`` is a JSON schema of type object.

    A ``free_form`` tool takes one text. Where an API has such tools, that text is all of the input;
    elsewhere the tool is a function of its ``parameters``.
    """

    name: ToolName
    description: str
    parameters: JsonObject
    free_form: bool = False


class ModelRequest(Shape):
    """One request to a model, in canonical items.

    ``items`` are the whole conversation, oldest first: prompts, answers, every call followed by its
    one output. ``response_id`` names the response that the events are for. ``cache_key`` is the
    same for all requests of a thread, for providers that route by it.
    """

    response_id: Uuid
    model: NonEmpty
    items: tuple[Item, ...]
    system: Omittable[str] = None
    tools: tuple[ToolSpec, ...] = ()
    reasoning_effort: Omittable[ReasoningEffort] = None
    thinking_budget: Omittable[int] = None
    """In tokens; see ``SubmitRequest``."""
    max_output_tokens: Omittable[int] = None
    cache_key: Omittable[str] = None
