"""What Anthropic's Messages API is asked: the conversation, the tools, and the marks for its cache.

Protocol: the vendor's reference ("Messages", "Prompt caching").
"""

from __future__ import annotations

from typing import Any

from echostack.connectors.chat.words import Prompt, Said, Tool
from echostack.connectors.claude.settings import ClaudeSettings


def request(prompt: Prompt, settings: ClaudeSettings) -> dict[str, Any]:
    """What is asked of the API. Up to four marks for its cache: the tools, the instructions, the end of the
    conversation, which the next request will begin with, and where the last request ended: that is looked for no more
    than twenty blocks before a mark, and many calls of tools at once are more."""
    mark: dict[str, Any] | None = None
    if settings.cache != "off":
        mark = {"type": "ephemeral"} if settings.cache == "5m" else {"type": "ephemeral", "ttl": settings.cache}
    messages = [_message(entry) for entry in prompt.said]
    tools = [_tool(tool) for tool in prompt.tools]
    system: dict[str, Any] = {"type": "text", "text": prompt.system}
    if mark is not None:
        # What is below the model's smallest size for caching is not cached, and the mark then costs nothing.
        system["cache_control"] = mark
        for message in [m for m in messages if m["role"] == "user"][-2:]:
            message["content"][-1]["cache_control"] = mark
        if tools:
            tools[-1]["cache_control"] = mark
    asked: dict[str, Any] = {"model": settings.model, "max_tokens": settings.max_tokens, "messages": messages}
    if prompt.system:
        asked["system"] = [system]
    if tools:
        asked["tools"] = tools
    if settings.thinking != "model":
        asked["thinking"] = {"type": settings.thinking}
    if settings.effort is not None:
        asked["output_config"] = {"effort": settings.effort}
    return asked


def _message(entry: Said) -> dict[str, Any]:
    # Results go first: the API takes a user's text only after the results that it must begin with.
    content: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": r.id, "content": r.text or "(nothing)", "is_error": r.failed}
        for r in entry.results
    ]
    if entry.text.strip():
        content.append({"type": "text", "text": entry.text.strip()})
    content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": dict(c.arguments)} for c in entry.calls]
    return {"role": entry.role, "content": content or [{"type": "text", "text": "(nothing)"}]}


def _tool(tool: Tool) -> dict[str, Any]:
    # Eager: the arguments come as they are written, not when the whole of them has been checked.
    return {
        "name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters),
        "eager_input_streaming": True,
    }  # fmt: skip
