"""Refuses what the Messages API refuses, in its words: a request that passes here has its shape.

A signature here is the hash of the thinking it signs, as the recordings hold it: thinking that
was touched on its way through the program does not pass.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from wire.server import Answer, Request

Body = dict[str, Any]
Rule = Callable[[Body], Iterator[str]]

_ID = "^[a-zA-Z0-9_-]+$"
_THINKING = ("thinking", "redacted_thinking")


def sign(thinking: str) -> str:
    """Return the signature of a thinking block."""
    return base64.b64encode(hashlib.sha512(thinking.encode()).digest()).decode()


def seal(payload: str) -> str:
    """Return the data of a redacted thinking block."""
    return f"{payload}.{sign(payload)}"


def error(kind: str, message: str) -> Body:
    """Return an error body as the API words it."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}


def check(request: Request) -> Answer | None:
    """Answer as the API would to a request it does not take, and not at all to one it does."""
    if not request.headers.get("authorization", "").startswith("Bearer "):
        return Answer.error(401, error("authentication_error", "a credential is required"))
    if "anthropic-version" not in request.headers:
        refusal = error("invalid_request_error", "anthropic-version: header is required")
        return Answer.error(400, refusal)
    if request.path.split("?")[0] != "/v1/messages":
        return None
    body = {**request.json, "betas": request.headers.get("anthropic-beta", "")}
    if re.match(r"claude-.*\d\.\d", body["model"]):
        return Answer.error(404, error("not_found_error", f"model: {body['model']}"))
    for rule in _RULES:
        for message in rule(body):
            return Answer.error(400, error("invalid_request_error", message))
    return None


def _blocks(body: Body) -> Iterator[tuple[str, Body]]:
    for number, message in enumerate(body["messages"]):
        for index, block in enumerate(message["content"]):
            yield f"messages.{number}.content.{index}", block


def _limits(body: Body) -> Iterator[str]:
    if "max_tokens" not in body:
        yield "max_tokens: Field required"
    elif not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        yield "max_tokens: must be greater than or equal to 1"


def _thinking(body: Body) -> Iterator[str]:
    thinking = body.get("thinking", {})
    if thinking.get("type") == "enabled":
        budget = thinking["budget_tokens"]
        if budget < 1024:
            yield ("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body["max_tokens"]:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`."
        if re.match(r"claude-[a-z]+-(4-[7-9]|[5-9])", body["model"]):
            yield '"thinking.type.enabled" is not supported for this model.'
    old = re.match(r"claude-(3|[a-z]+-4-[0-5](?!\d)|[a-z]+-4-\d{8})", body["model"])
    if old and thinking.get("type") == "adaptive":
        yield "adaptive thinking is not supported on this model"
    if old and "output_config" in body:
        yield "This model does not support the effort parameter."
    if "block_binding" in thinking and "thinking-binding-controls" not in body["betas"]:
        yield f"thinking.{thinking['type']}.block_binding: Extra inputs are not permitted"


def _roles(body: Body) -> Iterator[str]:
    roles = [message["role"] for message in body["messages"]]
    if not roles:
        yield "messages: at least one message is required"
    elif roles[0] != "user":
        yield 'messages: first message must use the "user" role'
    elif roles[-1] != "user":
        yield "This model does not support assistant message prefill."
    for before, role in pairwise(roles):
        if before == role:
            yield (
                'messages: roles must alternate between "user" and "assistant", but found '
                f'multiple "{role}" roles in a row'
            )


def _content(body: Body) -> Iterator[str]:
    for number, message in enumerate(body["messages"]):
        if not message["content"]:
            yield f"messages.{number}: {message['role']} messages must have non-empty content"
        elif message["role"] == "assistant" and message["content"][-1]["type"] in _THINKING:
            yield (
                f"messages.{number}: The final block in an assistant message cannot be `thinking`."
            )
    for place, block in _blocks(body):
        if block["type"] == "text" and not block["text"].strip():
            yield "messages: text content blocks must be non-empty"
        if block["type"] == "tool_result" and block.get("is_error") and not block.get("content"):
            yield f"{place}.tool_result: content cannot be empty if `is_error` is true"


def _calls(body: Body) -> Iterator[str]:
    seen: set[str] = set()
    for place, block in _blocks(body):
        if block["type"] != "tool_use":
            continue
        if not re.search(_ID, block["id"]):
            yield f"{place}.tool_use.id: String should match pattern '{_ID}'"
        if not re.search("^[a-zA-Z0-9_-]{1,128}$", block["name"]):
            yield f"{place}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if not isinstance(block["input"], dict):
            yield f"{place}.tool_use.input: Input should be a valid dictionary"
        if block["id"] in seen:
            yield f"{place}: `tool_use` ids must be unique"
        seen.add(block["id"])


def _pairs(body: Body) -> Iterator[str]:
    called: list[str] = []
    for number, message in enumerate(body["messages"]):
        content = message["content"]
        results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        head = [block.get("tool_use_id") for block in content[: len(called)]]
        if missing := [call for call in called if call not in head]:
            yield (
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
                "corresponding `tool_result` block in the next message."
            )
        if extra := [result for result in results if result not in called]:
            yield (
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` "
                f"blocks: {', '.join(extra)}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
        if len(results) != len(set(results)):
            yield f"messages.{number}: each tool_use must have a single result."
        called = [block["id"] for block in content if block["type"] == "tool_use"]


def _tools(body: Body) -> Iterator[str]:
    for index, tool in enumerate(body.get("tools", ())):
        if tool["input_schema"].get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Field required"
    used = any(block["type"] in ("tool_use", "tool_result") for _, block in _blocks(body))
    if used and not body.get("tools"):
        yield "Requests which include `tool_use` or `tool_result` blocks must define tools"


def _signatures(body: Body) -> Iterator[str]:
    for place, block in _blocks(body):
        if block["type"] == "thinking" and block["signature"] != sign(block["thinking"]):
            yield f"{place}: Invalid `signature` in `thinking` block"
        if block["type"] == "redacted_thinking":
            payload, _, signature = block["data"].partition(".")
            if signature != sign(payload):
                yield f"{place}: Invalid `data` in `redacted_thinking` block"
        if block["type"] in _THINKING and "cache_control" in block:
            yield f"{place}.{block['type']}.cache_control: Extra inputs are not permitted"


def _loop(body: Body) -> Iterator[str]:
    """In a loop of calls that is under way, the model's turn begins with its thinking."""
    if body.get("thinking", {}).get("type") != "enabled":
        return
    first: tuple[int, str] | None = None
    for number, message in reversed(list(enumerate(body["messages"]))):
        kinds = [block["type"] for block in message["content"]]
        if message["role"] == "assistant":
            first = number, kinds[0]
        elif "tool_result" not in kinds:
            break
    if first is not None and first[1] not in _THINKING:
        yield (
            f"messages.{first[0]}.content.0.type: Expected `thinking` or `redacted_thinking`, but "
            f"found `{first[1]}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceeding the lastmost set of `tool_use` and "
            "`tool_result` blocks)."
        )


def _cache(body: Body) -> Iterator[str]:
    blocks = [
        *body.get("system", ()),
        *body.get("tools", ()),
        *(block for _, block in _blocks(body)),
    ]
    marked = sum("cache_control" in block for block in blocks)
    if marked > 4:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marked}."


_RULES: tuple[Rule, ...] = (
    _limits,
    _thinking,
    _roles,
    _content,
    _calls,
    _pairs,
    _tools,
    _signatures,
    _loop,
    _cache,
)
