"""The wire server's checks are worth what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from wire.anthropic_checks import check, sign
from wire.server import Answer, Request

HEADERS = {"authorization": "Bearer key", "anthropic-version": "2026-10-21"}
CACHED = {"cache_control": {"type": "ephemeral"}}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}
BOUND = {**ADAPTIVE, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": sign("hm")}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "read_file", "input": {}}


def result(call_id: str, value: str = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": value, **more}


HI = ("user", [text("a")])
CALL = ("assistant", [use("c1")])
ANSWER = ("user", [result("c1")])


def asked_with(**changes: Any) -> dict[str, Any]:
    """Return a body that is taken as it is, changed."""
    loop = said(HI, ("assistant", [THINKING, use("c1")]), ANSWER)
    budget = {"type": "enabled", "budget_tokens": 4_096}
    return {**loop, "thinking": budget, **changes}


def said(*messages: tuple[str, list[Any]]) -> dict[str, Any]:
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 64_000,
        "messages": [{"role": role, "content": list(blocks)} for role, blocks in messages],
        "tools": [{"name": "read_file", "input_schema": {"type": "object"}}],
    }


def answer(body: dict[str, Any], **headers: str) -> Answer | None:
    return check(Request("POST", "/v1/messages", {**HEADERS, **headers}, body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {key: value for key, value in asked_with().items() if key != "max_tokens"},
            "Field required",
        ),
        (asked_with(max_tokens=4_096), "must be greater than `thinking.budget_tokens`"),
        (asked_with(thinking={"type": "enabled", "budget_tokens": 9}), "or equal to 1024"),
        (asked_with(thinking=ADAPTIVE), "adaptive thinking is not supported"),
        (asked_with(output_config={"effort": "low"}), "does not support the effort"),
        (asked_with(model="claude-opus-4-7"), "is not supported for this model"),
        (asked_with(model="claude-opus-5-5", thinking=BOUND), "block_binding: Extra inputs"),
        (asked_with(model="claude-haiku-4.5"), "model: claude-haiku-4.5"),
        (said(), "at least one message"),
        (said(("assistant", [text("a")]), HI), "first message must use"),
        (said(HI, HI), "roles must alternate"),
        (said(HI, ("assistant", [text("a")])), "prefill"),
        (said(HI, ("assistant", []), HI), "must have non-empty content"),
        (said(("user", [text(" ")])), "text content blocks must be non-empty"),
        (said(HI, ("assistant", [THINKING]), HI), "final block in an assistant message"),
        (said(HI, ("assistant", [use("c 1")]), ("user", [result("c 1")])), "match pattern"),
        (said(HI, CALL, HI), "`tool_use` ids were found without"),
        (said(HI, CALL, ("user", [text("b"), result("c1")])), "without"),
        (said(ANSWER), "unexpected `tool_use_id`"),
        (
            said(HI, CALL, ("user", [result("c1", "", is_error=True)])),
            "content cannot be empty",
        ),
        (
            said(HI, CALL, ("user", [result("c1"), result("c1")])),
            "a single result",
        ),
        (
            said(HI, *[CALL, ANSWER] * 2),
            "ids must be unique",
        ),
        (asked_with(tools=[]), "must define tools"),
        (asked_with(tools=[{"name": "x", "input_schema": {}}]), "input_schema.type"),
        (
            said(HI, ("assistant", [{**THINKING, "thinking": "Hm"}, text("b")]), HI),
            "Invalid `signature`",
        ),
        (
            {
                **said(HI, CALL, ANSWER),
                "thinking": {"type": "enabled", "budget_tokens": 1_024},
            },
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        ),
        (said(("user", [{**text("a"), **CACHED}] * 5)), "A maximum of 4 blocks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_api_refuses_is_refused(body: dict[str, Any], words: str) -> None:
    refusal = answer(body)
    assert refusal is not None
    assert words in refusal.body.decode()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (asked_with(), {}),
        (said(HI, CALL, ANSWER), {}),
        (said(HI, ("assistant", [THINKING, text("b")]), HI), {}),
        (
            asked_with(model="claude-opus-5-5", thinking=BOUND),
            {"anthropic-beta": "thinking-binding-controls-2026-08-01"},
        ),
    ],
    ids=["a loop with thinking", "a loop without", "a turn that is over", "a newer model"],
)
def test_what_the_api_takes_is_taken(body: dict[str, Any], headers: dict[str, str]) -> None:
    assert answer(body, **headers) is None


def test_a_request_without_credential_or_version_is_refused() -> None:
    statuses = []
    for missing in HEADERS:
        headers = {name: value for name, value in HEADERS.items() if name != missing}
        refusal = check(Request("POST", "/v1/messages", headers, said(HI)))
        statuses.append(refusal and refusal.status)
    assert statuses == [401, 400]
