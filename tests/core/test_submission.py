"""What a request leaves open, decided; and that a run is held to what its agent says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.errors import UnknownAgent
from cody_core.ids import new_id
from cody_core.instructions import instructions
from cody_core.providers.scripted import Call, Say, Script, ScriptedProvider, Step
from cody_core.schema.items import FunctionCallOutput
from cody_core.schema.requests import ModelRequest, RunRequest, SubmitRequest
from cody_core.schema.response import Response
from cody_core.schema.threads import Thread, ThreadChanges
from cody_core.settings import AgentSettings, Settings, load_settings
from cody_core.submission import decide
from cody_core.tools import BaseTool, ToolContext, ToolKind, ToolResult
from pydantic import BaseModel
from support.core import core, ended, texts

TOOLS = ("shell", "read_file", "grep_files")


def decided(settings: Settings, *, thread: Thread | None = None, **request: object) -> RunRequest:
    asked = SubmitRequest.model_validate({"prompt": "hello", **request})
    return decide(settings, asked, new_id(), thread, tools=TOOLS)


def agents(**named: AgentSettings) -> Settings:
    return load_settings(model="demo/tour", agents=named)


def thread_of(agent: str | None, model: str | None = "echo") -> Thread:
    provider = None if model is None else "demo"
    return Thread(
        id=new_id(), title="t", agent_role=agent, model_id=model, provider_id=provider,
        created_at=1, updated_at=1,
    )  # fmt: skip


CAREFUL = AgentSettings(
    model="demo/work",
    system="Be careful.",
    tools=("read_file",),
    tool_mode="calls",
    policy="read-only",
    reasoning_effort="high",
    max_iterations=3,
)


def test_the_settings_decide_what_nobody_else_does() -> None:
    settings = load_settings(
        model="demo/echo", system="S", reasoning_effort="low", policy="auto-edit",
        tool_mode="script", max_output_tokens=9,
    )  # fmt: skip
    run = decided(settings)
    assert run == RunRequest(
        run_id=run.run_id, turn_id=run.turn_id, thread_id=run.thread_id, agent_id=None,
        provider_id="demo", model_id="echo", input_items=run.input_items, system="S",
        reasoning_effort="low", policy="auto-edit", tools=None, tool_mode="script",
        max_iterations=None, max_output_tokens=9,
    )  # fmt: skip
    assert texts(run.input_items) == ["hello"]


def test_the_agent_comes_before_the_settings() -> None:
    settings = load_settings(
        model="demo/echo", system="S", reasoning_effort="low", policy="full-auto",
        agents={"careful": CAREFUL},
    )  # fmt: skip
    run = decided(settings, agent_id="careful")
    assert run == run.model_copy(
        update={
            **CAREFUL.model_dump(exclude={"model"}),
            "agent_id": "careful",
            "provider_id": "demo",
            "model_id": "work",
        }
    )


def test_the_request_comes_before_the_agent() -> None:
    said: dict[str, Any] = {
        "system": "Be bold.",
        "policy": "full-auto",
        "reasoning_effort": "none",
        "thinking_budget": 0,
        "max_output_tokens": 5,
    }
    run = decided(agents(careful=CAREFUL), agent_id="careful", model="demo/long", **said)
    assert run.model_dump(include=set(said)) == said
    assert (run.model_id, run.tools, run.max_iterations) == ("long", ("read_file",), 3)


@pytest.mark.parametrize(
    ("request_", "agent", "setting", "system"),
    [
        ("R", "A", "S", "R"),
        ("", "A", "S", ""),
        (None, "A", "S", "A"),
        (None, "", "S", ""),
        (None, None, "S", "S"),
    ],
)
def test_the_system_prompt_is_the_first_that_is_said_even_if_it_is_empty(
    request_: str | None, agent: str | None, setting: str, system: str
) -> None:
    settings = load_settings(
        model="demo/tour", system=setting, agents={"a": AgentSettings(system=agent)}
    )
    assert decided(settings, agent_id="a", system=request_).system == system


def test_the_prompt_of_the_program_states_the_policy_that_was_decided() -> None:
    settings = agents(a=AgentSettings(policy="read-only"))
    for name, policy in (("a", "read-only"), ("default", "ask")):
        run = decided(settings, agent_id=name)
        assert run.policy == policy
        assert run.system == instructions(settings.workspace, run.policy, date.today())


MODELLED = AgentSettings(model="demo/work")


@pytest.mark.parametrize(
    ("named", "thread", "request_", "model"),
    [
        pytest.param(None, None, None, "tour", id="settings"),
        pytest.param(None, thread_of(None), None, "echo", id="the thread before the settings"),
        pytest.param("a", None, None, "work", id="the agent before the settings"),
        pytest.param("a", thread_of(None), None, "work", id="an agent new to the thread"),
        pytest.param("a", thread_of("b"), None, "work", id="an agent after another"),
        pytest.param("a", thread_of("a"), None, "echo", id="an agent named again"),
        pytest.param(None, thread_of("a"), None, "echo", id="a remembered agent"),
        pytest.param(None, thread_of("a", None), None, "work", id="no model yet"),
        pytest.param("b", thread_of("a"), None, "echo", id="a new agent without a model"),
        pytest.param("a", thread_of("b"), "demo/long", "long", id="the request before all"),
    ],
)
def test_the_model_is_the_requests_a_new_agents_the_threads_or_the_settings(
    named: str | None, thread: Thread | None, request_: str | None, model: str
) -> None:
    settings = agents(a=MODELLED, b=AgentSettings())
    assert decided(settings, thread=thread, agent_id=named, model=request_).model_id == model


def test_there_is_always_a_default_agent_and_it_can_be_configured() -> None:
    plain, configured = agents(), agents(default=CAREFUL)
    for name in (None, "default"):
        assert decided(plain, agent_id=name).tools is None
        run = decided(configured, agent_id=name)
        assert (run.agent_id, run.model_id, run.tools) == (name, "work", ("read_file",))
    other = agents(default=CAREFUL, other=AgentSettings())
    assert decided(other, agent_id="other").tools is None


def test_a_thread_without_an_agent_is_the_default_agents() -> None:
    settings = agents(default=CAREFUL)
    assert decided(settings, thread=thread_of(None), agent_id="default").model_id == "echo"


def test_a_thread_keeps_its_agent_until_another_is_named() -> None:
    settings = agents(careful=CAREFUL, other=AgentSettings(policy="auto-edit"))
    thread = thread_of("careful")
    kept = decided(settings, thread=thread)
    assert (kept.agent_id, kept.policy, kept.thread_id) == ("careful", "read-only", thread.id)
    for name, policy in (("other", "auto-edit"), ("default", "ask")):
        changed = decided(settings, thread=thread, agent_id=name)
        assert (changed.agent_id, changed.policy, changed.tools) == (name, policy, None)


def test_an_unknown_agent_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(UnknownAgent, match=r"'nobody' is not .* there are: careful, default\."):
        decided(agents(careful=CAREFUL), agent_id="nobody")


def test_an_agent_that_a_thread_remembers_and_is_gone_is_refused_unless_another_is_named() -> None:
    thread = thread_of("gone")
    with pytest.raises(UnknownAgent, match=r"'gone', which this thread was answered by.*--agent"):
        decided(agents(careful=CAREFUL), thread=thread)
    assert decided(agents(), thread=thread, agent_id="default").agent_id == "default"


def test_an_agent_that_names_an_unknown_tool_is_refused() -> None:
    settings = agents(a=AgentSettings(tools=("read_file", "telescope")))
    with pytest.raises(UnknownAgent, match=r"'a' names .*'telescope'.*grep_files, read_file"):
        decided(settings, agent_id="a")


def test_where_there_are_no_tools_nothing_is_a_script() -> None:
    for mode in ("script", "both"):
        settings = load_settings(tool_mode=mode, agents={"a": AgentSettings(tools=())})
        assert decided(settings, agent_id="a").tool_mode == "calls"
        assert decided(settings).tool_mode == mode


class Nothing(BaseModel):
    pass


class Noted(BaseTool):
    """A tool that keeps count of its calls."""

    description = "Note a call."
    arguments = Nothing

    def __init__(self, name: str, kind: ToolKind) -> None:
        self.name = name
        self.kind = kind
        self.calls = 0

    async def call(self, arguments: Nothing, context: ToolContext) -> ToolResult:
        self.calls += 1
        return ToolResult("noted")


async def answered(client: Client, **request: object) -> Response:
    asked = SubmitRequest.model_validate({"prompt": "go", **request})
    return await ended(client, (await client.submit(asked)).run_id)


async def test_a_run_has_the_tools_of_its_agent_and_no_others() -> None:
    look, press = Noted("look", "read"), Noted("press", "execute")
    provider = ScriptedProvider([[Call("press", {}), Call("look", {})], [Say("Done.")]])
    own = {"looker": AgentSettings(tools=("look",), tool_mode="calls")}
    async with core(provider, tools=[look, press], agents=own) as client:
        response = await answered(client, agent_id="looker")
    assert [[tool.name for tool in asked.tools] for asked in provider.requests] == [["look"]] * 2
    assert (look.calls, press.calls) == (1, 0)
    outputs = [item for item in response.output_items if isinstance(item, FunctionCallOutput)]
    refused = "There is no tool named 'press'. Available tools: look."
    assert sorted((out.success, out.output) for out in outputs) == [
        (False, refused), (True, "noted"),
    ]  # fmt: skip


async def test_a_run_is_held_to_the_policy_of_its_agent() -> None:
    press = Noted("press", "execute")
    provider = ScriptedProvider([[Call("press", {})], [Say("No.")]] * 2)
    own = {"reader": AgentSettings(policy="read-only")}
    async with core(provider, tools=[press], agents=own, policy="full-auto") as client:
        await answered(client, agent_id="reader")
        assert press.calls == 0
        await answered(client)
        assert press.calls == 1


async def test_a_run_asks_the_model_as_often_as_its_agent_may() -> None:
    look = Noted("look", "read")
    provider = ScriptedProvider(lambda request: [Call("look", {})])
    own = {"brief": AgentSettings(max_iterations=2)}
    async with core(provider, tools=[look], agents=own, max_iterations=4) as client:
        brief = await answered(client, agent_id="brief")
        assert (len(provider.requests), look.calls) == (2, 2)
        assert (brief.status, brief.finish_reason) == ("complete", "max_iterations")
        await answered(client)
        assert len(provider.requests) == 2 + 4


async def test_the_model_is_asked_with_the_prompt_and_the_effort_of_the_agent() -> None:
    provider = ScriptedProvider(lambda request: [Say("Hm.")])
    own = {"thinker": AgentSettings(system="Think.", reasoning_effort="xhigh")}
    async with core(provider, agents=own, system="Be quick.", reasoning_effort="low") as client:
        await answered(client, agent_id="thinker")
        await answered(client)
    assert [(asked.system, asked.reasoning_effort) for asked in provider.requests] == [
        ("Think.", "xhigh"), ("Be quick.", "low"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["calls", "script", "both"])
async def test_the_model_reaches_its_tools_as_the_agent_says(mode: str) -> None:
    provider = ScriptedProvider([[Say("Hm.")]])
    own = {"a": AgentSettings.model_validate({"tool_mode": mode})}
    other = "script" if mode == "calls" else "calls"
    tools = [Noted("look", "read")]
    async with core(provider, tools=tools, agents=own, tool_mode=other) as client:
        await answered(client, agent_id="a")
    (asked,) = provider.requests
    names = {"calls": ["look"], "script": [], "both": ["look", "run_script"]}
    assert [tool.name for tool in asked.tools] == names[mode]
    assert ("tools.look(" in str(asked.system)) == (mode == "script")


async def test_an_agent_without_tools_may_write_of_scripts_and_runs_none() -> None:
    page = "A page:\n<script>\nalert(1)\n</script>\n"
    own = {"writer": AgentSettings(tools=(), tool_mode="script")}
    provider = ScriptedProvider([[Say(page)], [Script("1")], [Say("I see.")]])
    async with core(provider, tools=[Noted("look", "read")], agents=own) as client:
        response = await answered(client, agent_id="writer")
    assert texts(response.output_items) == [page]
    assert provider.requests[0].tools == ()


def echo_system(request: ModelRequest) -> list[Step]:
    return [Say(str(request.system))]


NAMED = {"a": AgentSettings(system="A"), "b": AgentSettings(system="B")}


async def test_a_thread_is_answered_by_the_agent_it_remembers() -> None:
    async def next_run(agent: str | None, role: str | None = None) -> tuple[str | None, list[str]]:
        """Ask in a runtime of its own, as ``cody chat`` does: leaving it waits for the store."""
        async with core(ScriptedProvider(echo_system), agents=NAMED, system="none") as client:
            threads = (await client.threads()).threads
            thread_id = threads[0].id if threads else None
            if role is not None and thread_id is not None:
                await client.update_thread(thread_id, ThreadChanges(agent_role=role))
            run = await answered(client, thread_id=thread_id, agent_id=agent)
        return run.agent_id, texts(run.output_items)

    runs = [await next_run("a"), await next_run(None), await next_run("b"), await next_run(None)]
    assert runs == [("a", ["A"]), ("a", ["A"]), ("b", ["B"]), ("b", ["B"])]
    assert await next_run(None, role="a") == ("a", ["A"])
    assert await next_run(None, role="") == (None, ["none"])


async def test_an_unknown_agent_leaves_nothing_behind() -> None:
    async with core(ScriptedProvider([])) as client:
        with pytest.raises(UnknownAgent):
            await client.submit(SubmitRequest(prompt="x", agent_id="nobody"))
        assert (await client.threads()).threads == ()
