from __future__ import annotations

from typing import Any

import pytest
from cody_core.ids import new_id
from cody_core.providers.anthropic_request import api_model, build_request
from cody_core.schema.items import (
    Cancelled,
    ErrorItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ProviderData,
    Reasoning,
    ScriptExecution,
    ScriptExecutionOutput,
)
from cody_core.schema.requests import ModelRequest, ToolSpec
from wire.anthropic_checks import check, seal, sign
from wire.server import Request

CACHED = {"cache_control": {"type": "ephemeral"}}
TOOL = ToolSpec(name="read_file", description="Reads.", parameters={"type": "object"})


def user(text: str) -> Message:
    return Message(id="u", origin="user", content=text)


def agent(text: str) -> Message:
    return Message(id="a", content=text)


def call(
    call_id: str, arguments: str = "{}", name: str = "read_file", step: int | None = None
) -> FunctionCall:
    return FunctionCall(id=new_id(), name=name, arguments=arguments, call_id=call_id, step=step)


def output(call_id: str, text: str = "ok", *, success: bool = True) -> FunctionCallOutput:
    return FunctionCallOutput(id=new_id(), call_id=call_id, output=text, success=success)


def thought(text: str, provider_id: str = "anthropic", **own: str) -> Reasoning:
    own = own or {"signature": sign(text)}
    return Reasoning(id="t", content=text, provider_data=data(provider_id, **own))


def data(provider_id: str = "anthropic", **values: str) -> ProviderData | None:
    return ProviderData(provider_id=provider_id, data=dict(values)) if values else None


def build(*items: Item, **changes: Any) -> dict[str, Any]:
    """Return the body of a request that the API takes."""
    values: dict[str, Any] = {"model": "claude-haiku-4.5", "tools": (TOOL,), **changes}
    asked = ModelRequest(response_id=new_id(), items=items or (user("Hi"),), **values)
    body = build_request(asked, provider_id="anthropic")
    assert refusal(body) is None
    return body


def refusal(body: dict[str, Any]) -> str | None:
    sent = dict(body)
    headers = {"authorization": "Bearer k", "anthropic-version": "2026-10-21"}
    headers |= sent.pop("extra_headers", {})
    answer = check(Request("POST", "/v1/messages", headers, sent))
    return None if answer is None else answer.body.decode()


def conversation(*items: Item, **changes: Any) -> list[tuple[str, list[Any]]]:
    """Return messages as roles and blocks, without the marks of the cache."""
    return [
        (
            message["role"],
            [
                {key: value for key, value in block.items() if key != "cache_control"}
                for block in message["content"]
            ],
        )
        for message in build(*items, **changes)["messages"]
    ]


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def use(call_id: str, name: str = "read_file", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, value: str = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": value, **more}


def test_messages_of_one_side_become_one() -> None:
    assert conversation(user("a"), user("b"), agent("c"), agent("d"), user("e")) == [
        ("user", [text("a"), text("b")]),
        ("assistant", [text("c"), text("d")]),
        ("user", [text("e")]),
    ]


def test_blank_text_is_not_sent() -> None:
    assert conversation(user("a"), agent(" \n"), user("b"), user("")) == [
        ("user", [text("a"), text("b")])
    ]


def test_a_system_message_in_the_midst_is_marked_as_one() -> None:
    note = Message(id="s", origin="system", content="The file changed.")
    assert conversation(user("a"), note) == [
        ("user", [text("a"), text("<system_message>\nThe file changed.\n</system_message>")])
    ]


def test_a_conversation_begins_with_the_user_even_when_its_head_is_gone() -> None:
    assert conversation(agent("So."), user("Yes?")) == [
        ("user", [text("(The beginning is not shown.)")]),
        ("assistant", [text("So.")]),
        ("user", [text("Yes?")]),
    ]


def test_outputs_come_first_in_the_message_after_their_calls() -> None:
    assert conversation(
        user("a"), call("c1"), call("c2"), user("also"), output("c2"), output("c1")
    ) == [
        ("user", [text("a")]),
        ("assistant", [use("c1"), use("c2")]),
        ("user", [result("c2"), result("c1"), text("also")]),
    ]


def test_what_one_step_said_stays_together_when_an_output_came_between() -> None:
    items = (
        user("a"),
        thought("Both."),
        call("c1", step=0),
        output("c1"),
        Message(id="m", content="And", step=0),
        call("c2", step=0),
        output("c2"),
        call("c3", step=1),
        output("c3"),
        user("b"),
        call("c4", step=1),
        output("c4"),
    )
    assert [(role, [block["type"] for block in said]) for role, said in conversation(*items)] == [
        ("user", ["text"]),
        ("assistant", ["thinking", "tool_use", "text", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result", "text"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result"]),
    ]


def test_calls_of_no_known_step_take_turns_with_their_outputs() -> None:
    items = (user("a"), call("c1"), output("c1"), call("c2"), output("c2"))
    assert [role for role, _ in conversation(*items)] == ["user", "assistant"] * 2 + ["user"]


def test_a_failed_or_empty_output_has_a_text() -> None:
    items = (user("a"), call("c1"), call("c2"), output("c1", ""), output("c2", " ", success=False))
    assert conversation(*items)[-1][1] == [
        result("c1", "(no output)"),
        result("c2", "(no output)", is_error=True),
    ]


def test_a_call_without_output_gets_one_and_an_output_without_call_goes() -> None:
    items = (user("a"), call("c1"), output("c9"), user("b"))
    assert conversation(*items)[-1][1] == [
        result("c1", "The call was cut off: there is no output.", is_error=True),
        text("b"),
    ]


def test_call_ids_are_made_to_fit_and_kept_apart() -> None:
    items: list[Item] = [user("a")]
    for call_id in ("call_0", "call_0", "functions.read:0", "functions.read:0"):
        items += [call(call_id), output(call_id)]
    messages = conversation(*items)
    ids = [blocks[0]["id"] for role, blocks in messages if role == "assistant"]
    assert len(set(ids)) == 4
    assert ids[:2] == ["call_0", "call_0_2"]
    assert conversation(*items) == messages


def test_an_id_that_is_still_open_ends_the_call_before_it() -> None:
    items = (user("a"), call("c1"), call("c1"), output("c1"))
    assert [len(blocks) for _, blocks in conversation(*items)] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"path": "a", "deep": {"n": [1, null]}}', {"path": "a", "deep": {"n": [1, None]}}),
        ("", {}),
        (" ", {}),
        ('{"path": "a', {"INVALID_JSON": '{"path": "a'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
def test_arguments_are_sent_as_an_object(arguments: str, sent: dict[str, Any]) -> None:
    messages = conversation(user("a"), call("c1", arguments), output("c1"))
    assert messages[1][1] == [use("c1", **sent)]


def test_a_tool_name_is_made_to_fit() -> None:
    messages = conversation(user("a"), call("c1", name="fs.read file"), output("c1"))
    assert messages[1][1] == [use("c1", "fs_read_file")]


def test_every_script_is_a_call_with_its_own_output() -> None:
    """One that is repeated, and one that broke off, as well."""
    scripts = [ScriptExecution(id=number, code="1 + 1", step=0) for number in ("1", "2")]
    cut = ScriptExecution(id="3", code="1 +", step=0, unclosed=True)

    def out(number: str, **outcome: Any) -> Item:
        return ScriptExecutionOutput(id=f"o{number}", script_id=number, **outcome)

    outputs = (
        out("1", result="2", success=True, logs="seen\n"),
        out("2", result="2", success=True),
        out("3", result="null", success=False, error="unclosed_script"),
    )
    called, answered = conversation(user("a"), *scripts, cut, *outputs)[1:]
    codes = {"script_1": "1 + 1", "script_2": "1 + 1", "script_3": "1 +"}
    assert called[1] == [use(name, "run_script", code=code) for name, code in codes.items()]
    assert answered[1] == [
        result("script_1", "2\n\nConsole:\nseen"),
        result("script_2", "2"),
        result("script_3", "unclosed_script", is_error=True),
    ]


def test_thinking_goes_back_untouched() -> None:
    items = (
        user("a"),
        thought(" why \u2028 "),
        thought("", redacted_thinking=seal("x")),
        agent("b"),
        user("c"),
    )
    assert conversation(*items)[1][1] == [
        {"type": "thinking", "thinking": " why \u2028 ", "signature": sign(" why \u2028 ")},
        {"type": "redacted_thinking", "data": seal("x")},
        text("b"),
    ]


def test_thinking_of_others_and_without_signature_stays_here() -> None:
    unsigned = Reasoning(id="r", content="hm")
    items = (user("a"), thought("x", "openai"), unsigned, thought("y", other="z"), agent("b"))
    assert conversation(*items, user("c"))[1] == ("assistant", [text("b")])


def test_an_answer_that_was_cut_off_while_thinking_is_left_out() -> None:
    assert conversation(user("a"), thought("hm"), user("b")) == [("user", [text("a"), text("b")])]
    ends = conversation(user("a"), agent("x"), thought("hm"), user("b"))
    assert ends[1] == ("assistant", [text("x")])


def test_an_answer_that_broke_off_is_gone_on_with_at_the_users_word() -> None:
    said = conversation(user("a"), agent("One. "), model="claude-opus-4-6")
    assert said[1] == ("assistant", [text("One. ")])
    assert [role for role, _ in said] == ["user", "assistant", "user"]


def test_items_that_never_came_to_be_are_skipped() -> None:
    items = (Cancelled(id="c"), ErrorItem(id="e", code="x", message="y"))
    assert conversation(user("a"), *items) == [("user", [text("a")])]


def test_the_cache_is_marked_after_the_system_prompt_and_at_the_end() -> None:
    body = build(user("a"), agent("b"), user("c"), user("d"), system="Be kind.")
    assert body["system"] == [{**text("Be kind."), **CACHED}]
    assert body["messages"][-1]["content"] == [text("c"), {**text("d"), **CACHED}]
    assert str(body).count("cache_control") == 2


def test_a_blank_system_prompt_is_left_out() -> None:
    assert "system" not in build(system=" \n")


def test_tools_that_are_gone_are_still_named_and_not_to_be_called() -> None:
    body = build(user("a"), call("c1"), output("c1"), tools=())
    assert [tool["name"] for tool in body["tools"]] == ["read_file"]
    assert body["tool_choice"] == {"type": "none"}
    assert "tools" not in build(tools=())


def test_the_schema_of_a_tools_parameters_is_an_object() -> None:
    bare = ToolSpec(name="now", description="", parameters={"properties": {}})
    assert build(tools=(bare,))["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("claude-haiku-4.5", "claude-haiku-4-5"),
        ("claude-opus-4.1", "claude-opus-4-1"),
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
        ("glm-4.6", "glm-4.6"),
    ],
)
def test_dots_in_a_model_name_are_the_apis_dashes(name: str, sent: str) -> None:
    assert api_model(name) == sent


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-opus-5-5", 128_000),
        ("claude-sonnet-4-6", 128_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("claude-sonnet-4-20250514", 32_000),
        ("claude-3-7-sonnet-20250219", 32_000),
        ("claude-3-5-haiku-20241022", 8_192),
        ("claude-3-haiku-20240307", 4_096),
        ("claude-something", 32_000),
        ("glm-4.6", 8_192),
    ],
)
def test_an_answer_may_be_as_long_as_the_model_can(model: str, tokens: int) -> None:
    assert build(model=model)["max_tokens"] == tokens
    assert build(model=model, max_output_tokens=77)["max_tokens"] == 77


def thinking(model: str, **changes: Any) -> tuple[Any, Any]:
    body = build(model=model, **changes)
    return body.get("thinking"), body.get("output_config")


ADAPTIVE = {"type": "adaptive", "display": "summarized"}
BOUND = {**ADAPTIVE, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-haiku-4-5", None, (None, None)),
        ("claude-haiku-4-5", "none", (None, None)),
        ("claude-haiku-4-5", "low", ({"type": "enabled", "budget_tokens": 4_096}, None)),
        ("claude-opus-4-1", "max", ({"type": "enabled", "budget_tokens": 30_976}, None)),
        ("claude-3-5-haiku-20241022", "high", (None, None)),
        ("claude-opus-4-6", None, (None, None)),
        ("claude-opus-4-6", "none", (None, None)),
        ("claude-opus-4-6", "xhigh", (ADAPTIVE, {"effort": "high"})),
        ("claude-opus-4-7", "xhigh", (ADAPTIVE, {"effort": "xhigh"})),
        ("claude-opus-4-7", "minimal", (ADAPTIVE, {"effort": "low"})),
        ("claude-opus-5", None, (ADAPTIVE, None)),
        ("claude-opus-5", "none", ({"type": "disabled"}, None)),
        ("claude-opus-5-5", None, (BOUND, None)),
        ("claude-opus-5-5", "none", (BOUND, {"effort": "low"})),
        ("claude-fable-5", "none", (ADAPTIVE, {"effort": "low"})),
        ("claude-sonnet-5-5", "none", ({"type": "between_tools"}, None)),
        ("claude-haiku-5-5", "none", ({"type": "disabled"}, None)),
    ],
)
def test_effort_is_said_in_the_words_of_the_model(model: str, effort: Any, expected: Any) -> None:
    assert thinking(model, reasoning_effort=effort) == expected


@pytest.mark.parametrize(
    ("model", "budget", "expected"),
    [
        ("claude-haiku-4-5", 0, (None, None)),
        ("claude-haiku-4-5", 1, ({"type": "enabled", "budget_tokens": 1_024}, None)),
        ("claude-haiku-4-5", 9_000, ({"type": "enabled", "budget_tokens": 9_000}, None)),
        ("claude-haiku-4-5", 10**6, ({"type": "enabled", "budget_tokens": 62_976}, None)),
        ("claude-opus-4-7", 0, (None, None)),
        ("claude-opus-4-7", 1, (ADAPTIVE, {"effort": "low"})),
        ("claude-opus-4-7", 12_000, (ADAPTIVE, {"effort": "medium"})),
    ],
)
def test_a_budget_is_kept_within_bounds(model: str, budget: int, expected: Any) -> None:
    assert thinking(model, thinking_budget=budget) == expected


def test_the_answer_has_its_room_beside_the_thinking() -> None:
    body = build(thinking_budget=9_000, max_output_tokens=500)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (9_500, 9_000)


def test_thinking_does_not_begin_between_a_call_and_its_output() -> None:
    asked = {"reasoning_effort": "low"}
    items = (user("a"), call("c1"), output("c1"))
    assert "thinking" not in build(*items, **asked)
    assert "thinking" in build(*items, agent("b"), user("c"), **asked)
    assert "thinking" in build(user("a"), thought("hm"), *items[1:], **asked)
