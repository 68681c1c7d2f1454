"""What OpenAI's Chat Completions API takes, and how it refuses the rest: codes and parameters as the vendor's API names
them (developers.openai.com, "Create chat completion" and "Error codes"); the sentences are our own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_KNOWN: Final = frozenset((
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options",
))  # fmt: skip
_CALL_ID: Final = 40  # characters at most


class Refusal(Exception):
    """The API does not take a request: its status, and the body that says why."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.kind = status, message, code, param, kind

    @property
    def body(self) -> dict[str, Any]:
        """As the API sends it."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that the API takes. ``max_tokens`` is 0 where it names no bound."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[str, ...]
    stream: bool
    include_usage: bool
    obfuscated: bool
    max_tokens: int
    body: Mapping[str, Any]


def read_request(data: bytes) -> ChatRequest:
    """The request of a body. Refusal when the API would not take it."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refusal(400, "The body of the request is not JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body of the request is not a JSON object.")
    for name in body:
        if name not in _KNOWN:
            raise Refusal(400, f"Unrecognized request argument supplied: {name}")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "You must provide a model parameter.")
    messages = _messages(body)
    tools = _tools(body)
    options = body.get("stream_options")
    if options is not None and not body.get("stream"):
        raise Refusal(400, "'stream_options' goes with 'stream' only.", param="stream_options")
    options = options if isinstance(options, dict) else {}
    return ChatRequest(
        model=model,
        messages=messages,
        tools=tools,
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        obfuscated=bool(options.get("include_obfuscation", True)),
        max_tokens=_bound(body),
        body=body,
    )


def _bound(body: Mapping[str, Any]) -> int:
    _number(body, "temperature", 0, 2)
    _number(body, "top_p", 0, 1)
    if body.get("n") not in (None, 1):
        raise Refusal(400, "This server gives one choice: 'n' is 1.", code="invalid_value", param="n")
    given = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    if len(given) == 2:
        both = "'max_tokens' and 'max_completion_tokens' do not go together: 'max_tokens' is the deprecated one."
        raise Refusal(400, both, code="invalid_parameter_combination", param="max_tokens")
    for name in given:
        value = body[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal(400, f"Invalid type for '{name}': expected an integer.", code="invalid_type", param=name)
        if value < 1:
            low = f"Invalid '{name}': expected a value >= 1, but got {value}."
            raise Refusal(400, low, code="integer_below_min_value", param=name)
        return value
    return 0


def _number(body: Mapping[str, Any], name: str, low: float, high: float) -> None:
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refusal(400, f"Invalid type for '{name}': expected a decimal.", code="invalid_type", param=name)
    if not low <= value <= high:
        code = "decimal_above_max_value" if value > high else "decimal_below_min_value"
        raise Refusal(400, f"Invalid '{name}': expected {low} to {high}, but got {value}.", code=code, param=name)


def _tools(body: Mapping[str, Any]) -> tuple[str, ...]:
    tools = body.get("tools")
    if tools is None:
        return ()
    if not isinstance(tools, list) or not tools:
        raise Refusal(400, "Invalid 'tools': expected an array of at least one.", code="empty_array", param="tools")
    names = []
    for at, tool in enumerate(tools):
        where = f"tools[{at}].function"
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict):
            raise Refusal(
                400, f"Missing required parameter: '{where}'.", code="missing_required_parameter", param=where
            )
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            bad = f"Invalid '{where}.name': it takes 1 to 64 letters, digits, _ and -."
            raise Refusal(400, bad, code="invalid_value", param=f"{where}.name")
        schema = function.get("parameters")
        if schema is not None and (not isinstance(schema, dict) or schema.get("type") != "object"):
            bad = f"Invalid schema for function '{name}': schema must be of type object."
            raise Refusal(400, bad, code="invalid_function_parameters", param=f"{where}.parameters")
        names.append(name)
    return tuple(names)


def _messages(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = body.get("messages")
    if messages is None:
        raise Refusal(
            400, "Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages"
        )
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "Invalid 'messages': it holds at least one.", code="empty_array", param="messages")
    waiting: list[str] = []  # ids of calls that have no answer yet
    for at, message in enumerate(messages):
        where = f"messages.[{at}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            bad = f"Invalid value for 'role': supported are {', '.join(_ROLES)}."
            raise Refusal(400, bad, code="invalid_value", param=f"messages[{at}].role")
        if role == "tool":
            waiting = _answered(waiting, message, where)
            continue
        _none_waits(waiting, where)
        calls = message.get("tool_calls") if role == "assistant" else None
        waiting = _calls(calls, where) if calls is not None else []
        if not (calls or (role == "assistant" and message.get("refusal"))):
            _content(message, where)
    _none_waits(waiting, f"messages.[{len(messages) - 1}]")
    return tuple(messages)


def _calls(calls: Any, where: str) -> list[str]:
    if not isinstance(calls, list) or not calls:
        bad = f"Invalid '{where}.tool_calls': it holds at least one."
        raise Refusal(400, bad, code="empty_array", param=f"{where}.tool_calls")
    ids = []
    for at, call in enumerate(calls):
        here = f"{where}.tool_calls[{at}]"
        function = call.get("function") if isinstance(call, dict) else None
        written = isinstance(function, dict) and isinstance(function.get("arguments"), str)
        if not written or not isinstance(call.get("id"), str):
            raise Refusal(400, f"'{here}' lacks its id or its function.", code="invalid_type", param=here)
        if len(call["id"]) > _CALL_ID:
            long = f"Invalid '{here}.id': at most {_CALL_ID} characters."
            raise Refusal(400, long, code="string_above_max_length", param=f"{here}.id")
        ids.append(call["id"])
    return ids


def _answered(waiting: list[str], message: Mapping[str, Any], where: str) -> list[str]:
    if message.get("tool_call_id") not in waiting:
        bad = "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
        raise Refusal(400, bad, param=f"{where}.role")
    _content(message, where)
    return [one for one in waiting if one != message["tool_call_id"]]


def _none_waits(waiting: Sequence[str], where: str) -> None:
    if waiting:
        bad = "A message with 'tool_calls' must be followed by tool messages for each. There is none for: "
        raise Refusal(400, bad + ", ".join(waiting), param=f"{where}.role")


def _content(message: Mapping[str, Any], where: str) -> None:
    content = message.get("content")
    if not isinstance(content, str | list):
        got = "null" if content is None else type(content).__name__
        bad = f"Invalid value for 'content': expected a string, got {got}."
        raise Refusal(400, bad, param=f"{where}.content")


def text_of(content: Any) -> str:
    """The text of a message's ``content``: a string, or parts of which those with text count."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(p.get("text", "") for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str))
