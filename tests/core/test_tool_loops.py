"""Loops of calls over the real SDKs, with the tools that come with the program in a workspace.

What the model says is made up here; all it is told goes through checks that refuse what its API
would: an output too many or too few, thinking that was touched, reasoning without its content.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cody_core.client import Client
from cody_core.providers.scripted import Call, Say, Script, Think
from cody_core.runtime import open_runtime
from cody_core.schema.items import (
    FunctionCall,
    FunctionCallOutput,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import SCRIPT_TOOL
from cody_core.schema.response import Response
from cody_core.settings import load_settings
from support.core import ask, texts
from wire import answers, anthropic_checks, openai_checks
from wire.server import Answer, Request, WireServer, recording

Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """One API: how to check its requests, speak for its models, and read what they are told."""

    name: str
    check: Callable[[Request], Answer | None]
    say: answers.Speak
    told: Callable[[Json], Iterator[str]]
    """What a request holds of the outputs of calls and scripts, in order."""
    codes: Callable[[Json], Iterator[str]]
    """What it holds of scripts."""
    kept: Callable[[Json], list[str]]
    """What it holds of thoughts: their seals or signatures."""
    settings: Callable[[str], Json]


def told_by_responses(body: Json) -> Iterator[str]:
    for item in body["input"]:
        if item["type"].endswith("_output"):
            yield item["output"]


def codes_of_responses(body: Json) -> Iterator[str]:
    for item in body["input"]:
        if item["type"] == "custom_tool_call":
            yield item["input"]


def kept_by_responses(body: Json) -> list[str]:
    return [item["encrypted_content"] for item in body["input"] if item["type"] == "reasoning"]


def told_by_messages(body: Json) -> Iterator[str]:
    for block in blocks(body):
        if block["type"] == "tool_result":
            yield block["content"]


def codes_of_messages(body: Json) -> Iterator[str]:
    for block in blocks(body):
        if block["type"] == "tool_use" and block["name"] == SCRIPT_TOOL:
            yield block["input"]["code"]


def kept_by_messages(body: Json) -> list[str]:
    return [block["signature"] for block in blocks(body) if block["type"] == "thinking"]


def blocks(body: Json) -> Iterator[Json]:
    for message in body["messages"]:
        yield from message["content"]


def told_by_chat(body: Json) -> Iterator[str]:
    for message in body["messages"]:
        if message["role"] == "tool":
            yield message["content"]


def codes_of_chat(body: Json) -> Iterator[str]:
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            if call["function"]["name"] == SCRIPT_TOOL:
                yield json.loads(call["function"]["arguments"])["code"]


OPENAI = Api(
    "openai",
    openai_checks.check_responses,
    answers.responses,
    told_by_responses,
    codes_of_responses,
    kept_by_responses,
    lambda url: {
        "model": "gpt-5.1-codex-mini",
        "openai_api_key": "sk-1",
        "openai_base_url": url,
    },
)
ANTHROPIC = Api(
    "anthropic",
    anthropic_checks.check,
    answers.messages,
    told_by_messages,
    codes_of_messages,
    kept_by_messages,
    lambda url: {
        "model": "claude-haiku-4.5",
        "anthropic_api_key": "sk-1",
        "anthropic_base_url": url,
    },
)
CHAT = Api(
    "local",
    openai_checks.check_chat,
    answers.chat,
    told_by_chat,
    codes_of_chat,
    lambda body: [],
    lambda url: {"model": "local/some-model", "providers": {"local": {"base_url": url}}},
)
SEALS: dict[str, Callable[[str], str]] = {
    "openai": answers.seal,
    "anthropic": anthropic_checks.sign,
}


@pytest.fixture
def workspace() -> Path:
    """The directory a test runs in, with two files."""
    Path("one.txt").write_text("alpha\nbeta\n")
    Path("two.txt").write_text("gamma\n")
    return Path.cwd()


@pytest.fixture(params=[OPENAI, ANTHROPIC, CHAT], ids=lambda api: api.name)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@asynccontextmanager
async def opened(api: Api, home: Path, *said: Answer) -> AsyncIterator[tuple[Client, list[Json]]]:
    """Open a runtime at a server that gives these answers, all of which must be asked for."""
    asked: list[Json] = []
    async with WireServer(check=api.check) as server:
        server.answers(*said)
        settings = load_settings(home=home, policy="full-auto", **api.settings(server.url))
        async with open_runtime(settings) as client:
            yield client, asked
        assert server.refused == []
        asked += [request.json for request in server.requests]
    assert len(asked) == len(said)


def outputs(response: Response) -> list[tuple[bool, str]]:
    """Return what came of the model's own calls, in the order in which they were made."""
    items = [item for item in response.output_items if item.correlation_id is None]
    calls = [item.call_id for item in items if isinstance(item, FunctionCall)]
    found = {item.call_id: item for item in items if isinstance(item, FunctionCallOutput)}
    assert len(calls) == len(found)
    return [(found[call].success, found[call].output) for call in calls]


async def test_parallel_calls_of_several_steps_are_each_told_once(
    api: Api, home: Path, workspace: Path
) -> None:
    reads = [Call("read_file", {"path": name}) for name in ("one.txt", "two.txt")]
    last = Call("list_dir", {})
    steps = (
        api.say(Say("Both."), *reads),
        api.say(Call("read_file", {"path": "none.txt"}), last),
        api.say(Say("Done.")),
        api.say(Say("Indeed.")),
    )
    async with opened(api, home, *steps) as (client, asked):
        response = await ask(client)
        await ask(client, "sure?", response.thread_id)
    one, two, none, listed = outputs(response)
    assert ("alpha" in one[1], "gamma" in two[1]) == (True, True)
    assert [one[0], two[0], none[0], listed[0]] == [True, True, False, True]
    assert "one.txt" in listed[1]
    assert texts(response.output_items) == ["Both.", "Done."]
    told = [list(api.told(body)) for body in asked]
    assert [len(texts) for texts in told] == [0, 2, 4, 4]
    assert told[3] == told[2] == [text for _, text in outputs(response)]


@pytest.mark.parametrize("api", [OPENAI, ANTHROPIC], ids=lambda api: api.name)
async def test_thoughts_go_back_untouched_at_every_step(
    api: Api, home: Path, workspace: Path
) -> None:
    thoughts = ["First “one”.", "Then\n\n two \u2028", "So."]
    steps = (
        api.say(Think(thoughts[0]), Call("read_file", {"path": "one.txt"})),
        api.say(Think(thoughts[1]), Say("And."), Call("read_file", {"path": "two.txt"})),
        api.say(Think(thoughts[2]), Say("Done.")),
    )
    async with opened(api, home, *steps) as (client, asked):
        await ask(client)
    seals = [SEALS[api.name](text) for text in thoughts]
    assert [api.kept(body) for body in asked] == [[], seals[:1], seals[:2]]


async def test_a_model_that_is_told_its_mistake_can_mend_it(
    api: Api, home: Path, workspace: Path
) -> None:
    path = workspace / "one.txt"

    def replace(old: str) -> Call:
        return Call("str_replace", {"path": "one.txt", "old_str": old, "new_str": "delta"})

    steps = (
        api.say(replace("betta")),
        api.say(replace("beta"), Call("read_file", {"path": "one.txt"})),
        api.say(Say("Done.")),
    )
    async with opened(api, home, *steps) as (client, asked):
        response = await ask(client)
    missed, mended, read = outputs(response)
    assert [missed[0], mended[0], read[0]] == [False, True, True]
    assert "does not occur" in next(api.told(asked[1]))
    assert path.read_text() == "alpha\ndelta\n"
    assert response.status == "complete"


SCRIPT = """
const names = ["one.txt", "two.txt"];
const texts = [];
for (const path of names) texts.push(await tools.read_file({ path }));
await tools.write_file({ path: "sum.txt", content: texts.length + " files\\n" });
console.log("written");
return { alpha: texts[0].includes("alpha"), gamma: texts[1].includes("gamma") };
"""


async def test_a_script_makes_its_calls_and_its_result_is_told(
    api: Api, home: Path, workspace: Path
) -> None:
    steps = (
        api.say(Say("A script."), Script(SCRIPT), Call("read_file", {"path": "one.txt"})),
        api.say(Say("Done.")),
        api.say(Say("Indeed.")),
    )
    async with opened(api, home, *steps) as (client, asked):
        response = await ask(client)
        await ask(client, "sure?", response.thread_id)
    (script,) = [item for item in response.output_items if isinstance(item, ScriptExecution)]
    assert script.code == SCRIPT
    result = '{"alpha":true,"gamma":true}'
    (output,) = [item for item in response.output_items if isinstance(item, ScriptExecutionOutput)]
    assert output == ScriptExecutionOutput(
        id=output.id, script_id=script.id, result=result, success=True, logs="written\n"
    )
    made = [item for item in response.output_items if isinstance(item, FunctionCall)]
    assert [item.name for item in made if item.correlation_id == script.id] == [
        "read_file",
        "read_file",
        "write_file",
    ]
    assert (workspace / "sum.txt").read_text() == "2 files\n"
    ((success, read),) = outputs(response)
    assert success
    for body in asked[1:]:
        assert list(api.told(body)) == [f"{result}\n\nConsole:\nwritten", read]
        assert list(api.codes(body)) == [SCRIPT]


async def test_scripts_and_calls_that_break_off_are_told_so_and_not_run(
    home: Path, workspace: Path
) -> None:
    steps = (Answer.sse(recording("openai/script_cut.sse")), OPENAI.say(Say("Once more.")))
    async with opened(OPENAI, home, *steps) as (client, asked):
        response = await ask(client)
    assert [item.type for item in response.output_items if item.correlation_id is not None] == []
    told = list(OPENAI.told(asked[1]))
    assert [text.partition(":")[0] for text in told] == [
        "unclosed_script",
        "unclosed_script",
        "There is no tool named 'list_files'. Available tools",
        "unclosed_script",
    ]


async def test_a_call_that_breaks_off_before_its_arguments_is_not_made_without_any(
    api: Api, home: Path, workspace: Path
) -> None:
    """``list_dir`` needs no arguments: made with none, it would list the wrong directory."""
    cut = api.say(Call("list_dir", ""), cut_off=True)
    async with opened(api, home, cut, api.say(Say("Once more."))) as (client, asked):
        response = await ask(client)
    ((success, output),) = outputs(response)
    assert not success
    assert "The arguments of list_dir are not valid" in output
    assert list(api.told(asked[1])) == [output]
