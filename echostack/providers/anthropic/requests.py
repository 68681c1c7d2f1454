"""What Anthropic's Messages API takes, and how it refuses the rest: types and places as the vendor's API names them
("Create a message", "Errors"); most sentences are our own, those that people search for are worded as the API's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from echostack.providers.brain import Message

_KNOWN: Final = frozenset((
    "cache_control", "container", "diagnostics", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice", "tools",
    "user_profile_id",
))  # fmt: skip
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL: Final = re.compile(r"[a-zA-Z0-9_-]+")
_MARKS: Final = 4  # marks for the cache in one request
_THINKING: Final = ("enabled", "disabled", "adaptive", "between_tools")
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_USER: Final = ("text", "image", "document", "search_result", "tool_result")
_ASSISTANT: Final = ("text", "thinking", "redacted_thinking", "tool_use")

STATUSES: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip


class Refusal(Exception):
    """The API does not take a request: the type of error, and the message."""

    def __init__(self, message: str, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.message, self.kind = message, kind

    @property
    def status(self) -> int:
        return STATUSES[self.kind]

    def body(self, request_id: str) -> dict[str, Any]:
        """As the API sends it."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}, "request_id": request_id}


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request that the API takes. ``blocks`` are the parts of its prompt in the order in which they are cached, each
    with whether it bears a mark; ``messages`` the conversation as a brain is told it."""

    model: str
    max_tokens: int
    stream: bool
    tools: tuple[str, ...]
    messages: tuple[Message, ...]
    blocks: tuple[tuple[str, bool], ...]
    body: Mapping[str, Any]


def read_request(data: bytes) -> MessagesRequest:
    """The request of a body. Refusal when the API would not take it."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refusal("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal("The request body is not a JSON object")
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise Refusal(f"{name}: Field required")
    for name in body:
        if name not in _KNOWN:
            raise Refusal(f"{name}: Extra inputs are not permitted")
    if not isinstance(body["model"], str) or not body["model"]:
        raise Refusal("model: Input should be a valid string")
    most = body["max_tokens"]
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise Refusal("max_tokens: Input should be greater than or equal to 0")
    if not isinstance(body.get("stream", False), bool):
        raise Refusal("stream: Input should be a valid boolean")
    _check_thinking(body, most)
    system = _texts("system", body.get("system"))
    tools = _tools(body.get("tools"))
    messages = _messages(body["messages"])
    if not tools and any(b["type"] in ("tool_use", "tool_result") for m in messages for b in m["content"]):
        raise Refusal("Requests which include `tool_use` or `tool_result` blocks must define tools")
    blocks = [_marked(t) for t in tools]
    blocks += [_marked(b) for b in system]
    blocks += [_marked({**b, "role": m["role"]}) for m in messages for b in m["content"]]
    marks = sum(marked for _, marked in blocks)
    if marks > _MARKS:
        raise Refusal(f"A maximum of {_MARKS} blocks with cache_control may be provided. Found {marks}.")
    told: list[Message] = [{"role": "system", "content": b["text"]} for b in system]
    for message in messages:
        told += _told(message)
    names = tuple(t["name"] for t in tools)
    return MessagesRequest(
        body["model"], most, bool(body.get("stream")), names, tuple(told), tuple(blocks), body
    )  # fmt: skip


def _check_thinking(body: Mapping[str, Any], most: int) -> None:
    thinking = body.get("thinking")
    if thinking is not None:
        kind = thinking.get("type") if isinstance(thinking, dict) else None
        if kind not in _THINKING:
            known = ", ".join(f"'{k}'" for k in _THINKING)
            raise Refusal(f"thinking: Input tag {kind!r} does not match any of the expected tags: {known}")
        if kind == "enabled":
            budget = thinking.get("budget_tokens")
            if not isinstance(budget, int) or not 1024 <= budget < most:
                raise Refusal("`max_tokens` must be greater than `thinking.budget_tokens`, which is at least 1024")
    config = body.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    if effort is not None and effort not in _EFFORTS:
        raise Refusal(f"output_config.effort: Input should be one of {', '.join(_EFFORTS)}")


def _texts(place: str, value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, str):
        return [{"type": "text", "text": value}] if value else []
    if not isinstance(value, list):
        raise Refusal(f"{place}: Input should be a valid list")
    for at, block in enumerate(value):
        _check_block(f"{place}.{at}", block, ("text",))
    return value


def _tools(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refusal("tools: Input should be a valid list")
    names: set[str] = set()
    for at, tool in enumerate(value):
        if not isinstance(tool, dict):
            raise Refusal(f"tools.{at}: Input should be a valid dictionary")
        name, schema = tool.get("name"), tool.get("input_schema")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refusal(f"tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if not isinstance(schema, dict):
            raise Refusal(f"tools.{at}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise Refusal(f"tools.{at}.custom.input_schema.type: Input should be 'object'")
        if name in names:
            raise Refusal("tools: Tool names must be unique.")
        names.add(name)
    return value


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Refusal("messages: Input should be a valid list")
    if not value:
        raise Refusal("messages: at least one message is required")
    joined: list[dict[str, Any]] = []
    for at, message in enumerate(value):
        if not isinstance(message, dict):
            raise Refusal(f"messages.{at}: Input should be a valid dictionary")
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            raise Refusal(f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".')
        extra = [k for k in message if k not in ("role", "content")]
        if extra:
            raise Refusal(f"messages.{at}.{extra[0]}: Extra inputs are not permitted")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}] if content else []
        if not isinstance(content, list):
            raise Refusal(f"messages.{at}.content: Field required")
        if not content:
            raise Refusal(f"messages.{at}: all messages must have non-empty content")
        for place, block in enumerate(content):
            _check_block(f"messages.{at}.content.{place}", block, _USER if role == "user" else _ASSISTANT)
        if joined and joined[-1]["role"] == role:
            joined[-1] = {"role": role, "content": [*joined[-1]["content"], *content]}
        else:
            joined.append({"role": role, "content": list(content)})
    if joined[0]["role"] != "user":
        raise Refusal('messages: first message must use the "user" role')
    if joined[-1]["role"] != "user":
        raise Refusal(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    _check_pairs(joined)
    return joined


def _check_pairs(messages: Sequence[Mapping[str, Any]]) -> None:
    """Every call has its result at the beginning of the next message, and every result its call in the one before."""
    for at, message in enumerate(messages):
        calls = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
        if len(set(calls)) < len(calls):
            raise Refusal(f"messages.{at}: `tool_use` ids must be unique")
        after = messages[at + 1]["content"] if at + 1 < len(messages) else []
        begins = [b["tool_use_id"] for b in after[: len(calls)] if b["type"] == "tool_result"]
        missing = [c for c in calls if c not in begins]
        if missing:
            raise Refusal(
                f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        results = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        before = [b["id"] for b in messages[at - 1]["content"] if b["type"] == "tool_use"] if at else []
        for result in results:
            if result not in before:
                raise Refusal(
                    f"messages.{at}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {result}. Each "
                    "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                )
        if len(set(results)) < len(results):
            raise Refusal(f"messages.{at}: each tool_use must have a single result")


def _check_block(place: str, block: Any, kinds: Sequence[str]) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in kinds:
        known = ", ".join(f"'{k}'" for k in kinds)
        raise Refusal(
            f"{place}: Input tag {kind!r} found using 'type' does not match any of the expected tags: {known}"
        )
    mark = block.get("cache_control")
    if mark is not None and (
        not isinstance(mark, dict) or mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h")
    ):
        raise Refusal(f"{place}.cache_control: Input should be of type 'ephemeral' with ttl '5m' or '1h'")
    if kind == "text":
        text = block.get("text")
        if not isinstance(text, str):
            raise Refusal(f"{place}.text.text: Field required")
        if not text:
            raise Refusal(f"{place.split('.content')[0]}: text content blocks must be non-empty")
        if not text.strip():
            raise Refusal(f"{place.split('.content')[0]}: text content blocks must contain non-whitespace text")
    elif kind == "tool_use":
        if not isinstance(block.get("id"), str) or not _CALL.fullmatch(block["id"]):
            raise Refusal(f"{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not isinstance(block.get("input"), dict):
            raise Refusal(f"{place}.tool_use.input: Input should be a valid dictionary")
        if not isinstance(block.get("name"), str):
            raise Refusal(f"{place}.tool_use.name: Field required")
    elif kind == "tool_result" and not isinstance(block.get("tool_use_id"), str):
        raise Refusal(f"{place}.tool_result.tool_use_id: Field required")


def _marked(block: Mapping[str, Any]) -> tuple[str, bool]:
    """A block as it counts for the cache, and whether it bears a mark."""
    plain = {k: v for k, v in block.items() if k != "cache_control"}
    return msgspec.json.encode(plain).decode(), block.get("cache_control") is not None


def _told(message: Mapping[str, Any]) -> list[Message]:
    found: list[Message] = []
    for block in message["content"]:
        if block["type"] == "tool_result":
            found.append({"role": "tool", "content": _text_of(block.get("content"))})
        elif block["type"] == "text":
            found.append({"role": message["role"], "content": block["text"]})
    return found or [{"role": message["role"], "content": ""}]


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(p.get("text", "")) for p in parts if isinstance(p, dict))
