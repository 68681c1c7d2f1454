"""say.agent: says one fixed line, or lines in turn, whenever an event reaches it: greetings, reprompts, apologies."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from echostack.connectors.plain import AnyWords, plain
from echostack.connectors.template import Template
from echostack.core.payloads import AgentMessage
from echostack.registry import ITSELF, ConnectorSettings, Context, connector


class SaySettings(ConnectorSettings):
    """What to say."""

    text: tuple[str, ...] = Field(min_length=1)
    """The line, or several that take turns; {field} of the payload, {slots.name} of the conversation, {field|words}."""
    interruptible: bool = True
    """Whether the caller can cut it off."""
    language: str = "en"
    """Handed to the synthesiser."""

    @field_validator("text", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _reads(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            if not line.strip():
                raise ValueError("a line to say is empty")
            Template(line)
        return value


@connector("say.agent", simulation=ITSELF)
class SayAgent:
    """Says a fixed line whenever an event reaches it, with fields of the payload and slots of the call put in.

    A field that is not there is left out and the line tidied; a line that comes out empty is not said.
    """

    def __init__(self, settings: SaySettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._lines = tuple(Template(line) for line in settings.text)
        self._next = 0

    def __call__(self, event: AnyWords) -> AgentMessage | None:
        """The next line, for this event."""
        line = self._lines[self._next]
        self._next = (self._next + 1) % len(self._lines)
        own = plain(event)
        # An intent has slots of its own; the call's are under the same name where it has not.
        slots = {**plain(self._context.conversation.slots), **own.get("slots", {})}
        data = {"kind": event.__kind__.name, **own, "slots": slots}
        said, _ = line.fill(data)
        if not said.strip():
            return None
        return AgentMessage(said, interruptible=self._settings.interruptible, language=self._settings.language)
