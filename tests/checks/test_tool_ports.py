"""The ports of a model are its tools: a call that goes nowhere is a finding."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import Field

from echostack.core.payloads import AgentMessage, Text, ToolCall, ToolResult
from echostack.registry import ConnectorSettings, connector
from tests.checks.helpers import checked, told
from tests.checks.vendors import registry


class ModelSettings(ConnectorSettings):
    tools: list[str] = Field(default_factory=lambda: ["book", "cancel"])


@connector("acme.model", ports=lambda s: tuple(s.tools))
class Model:
    """Answers, and calls tools."""

    def __init__(self, settings: ModelSettings) -> None: ...

    async def __call__(self, heard: Text | ToolResult) -> AsyncIterator[AgentMessage | ToolCall]:
        yield AgentMessage("")


@connector("acme.book")
async def book(call: ToolCall) -> ToolResult:
    """Books."""
    return ToolResult(call.name, call.id)


SPOKEN = (
    "  - ingress.livekit.audio_frame -> deepgram.stt -> acme.model -> elevenlabs.tts -> egress.livekit.audio_chunk\n"
)
BACK = "  - acme.book -> acme.model: {cycle: true, queue: 8, overflow: drop_oldest}\n"


def said(*rules: str) -> list[str]:
    text = "pipeline:\n" + SPOKEN + "".join(f"  - {rule}\n" for rule in rules) + (BACK if rules else "")
    return told(checked(text, known=registry().add(Model, book))[1]).split("\n")


def lost(tool: str, place: str = "2:52-62") -> list[str]:
    return [
        f"{place} W0515 acme.model may call the tool {tool!r}, and its calls go nowhere",
        f"  help: write a rule that begins with acme.model:{tool}, and one that brings the result back to acme.model",
    ]


def test_a_rule_that_carries_no_calls_takes_none_up() -> None:
    assert said() == [*lost("book"), *lost("cancel")]


def test_each_tool_needs_a_rule_of_its_own() -> None:
    assert said("acme.model:book -> acme.book") == lost("cancel")
    assert said("acme.model:book -> acme.book", "acme.model:cancel -> acme.book") == [""]


def test_a_rule_without_a_port_that_carries_calls_takes_up_all() -> None:
    assert said("acme.model -> acme.book") == [""]


def test_a_pattern_takes_up_all_as_well() -> None:
    assert said("processing.acme.tool_call -> acme.book") == [""]
