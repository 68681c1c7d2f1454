"""Payloads as plain data without audio: what templates read and what is sent or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from echostack.core.payloads import (
    AgentMessage,
    CallEnded,
    CallStarted,
    Data,
    DeadLetter,
    Documents,
    Dtmf,
    ExceptionFailure,
    FailedOver,
    HttpResponse,
    Intent,
    Record,
    Sentiment,
    Text,
    TimeoutFailure,
    ToolCall,
    ToolResult,
    TranscriptEntry,
)

AnyWords = (
    Text | AgentMessage | Intent | Sentiment | TranscriptEntry | Documents | Record | HttpResponse | ToolCall
    | ToolResult | Data | Dtmf | CallStarted | CallEnded | ExceptionFailure | TimeoutFailure | FailedOver | DeadLetter
)  # fmt: skip
"""Every kind without audio that a connector for "any event" consumes. Pieces of text and playout reports are not among
them, so that an edge from an agent or a recogniser carries each thing said once."""


def plain(value: Any) -> Any:
    """``value`` as dicts, lists, strings, numbers, booleans and None. Bytes become ``{"bytes": how many}``."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": len(value)}
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return str(value)
