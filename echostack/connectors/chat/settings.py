"""What every chat agent can be told, whoever its model's provider is."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, field_validator

from echostack.connectors.chat.words import Tool
from echostack.registry import ConnectorSettings

DEFAULT_SYSTEM: Final = (
    "You are on a phone call, and everything you write is spoken aloud to the caller. Answer in one or two short, "
    "plain sentences, without lists, headings or markup. Ask for one thing at a time. Say so when you do not know "
    "something."
)

CUT_NOTE: Final = (
    "Where a line of yours in this conversation ends in a dash, the caller interrupted you there and heard nothing "
    "that came after it."
)
"""Stands under the instructions of every request: how the model is to read its own lines that were cut."""


class ChatTool(ConnectorSettings):
    """A tool that the model may ask for. Its calls leave by the port of its name."""

    description: str = Field(min_length=1)
    """What it does and when to use it; the model decides by this text."""
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Its arguments by name, each a JSON Schema such as {type: integer, description: How many guests}."""
    required: tuple[str, ...] = ()
    """The arguments that it cannot do without."""

    @field_validator("required")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        known = info.data.get("parameters", {})
        for name in value:
            if name not in known:
                raise ValueError(f"{name!r} is required, and parameters has none of that name")
        return value

    @property
    def schema_of_arguments(self) -> dict[str, Any]:
        """The JSON Schema of the object of arguments."""
        return {
            "type": "object",
            "properties": self.parameters,
            "required": list(self.required),
            "additionalProperties": False,
        }


class ChatSettings(ConnectorSettings):
    """Instructions, tools, memory, and how the answers are said."""

    system: str = DEFAULT_SYSTEM
    """The instructions: who the agent is, what it knows, how it speaks."""
    greeting: str = ""
    """Said when call_started reaches the agent (route control.call.call_started to it)."""
    max_tokens: int = Field(default=400, ge=1, le=64_000)
    """The longest answer, in tokens; one that is cut there ends with its last whole sentence."""
    tools: dict[str, ChatTool] = Field(default_factory=dict)
    """The tools that the model may ask for, by name; a call leaves by the port of that name."""
    tool_rounds: int = Field(default=6, ge=1, le=50)
    """How often the model may ask for tools in one turn before the turn fails."""
    history_turns: int = Field(default=60, ge=1, le=1000)
    """Turns of the conversation that the model is told, the latest ones; older ones go a quarter of it at a time."""
    history_characters: int = Field(default=40_000, ge=1_000, le=2_000_000)
    """The same bound in characters, for long turns; a tool's result counts too."""
    speak: Literal["speakable", "verbatim"] = "speakable"
    """speakable writes numbers, times, money, lists and markup out as they are said; verbatim leaves the text."""
    first_words: int = Field(default=3, ge=0, le=50)
    """The first piece of an answer may be a clause of at least so many words, so that speech begins early; 0 for
    whole sentences only."""
    first_seconds: float = Field(default=6.0, gt=0, le=120)
    """How long the model may take to begin its answer, in seconds; after that it counts as failed."""
    next_seconds: float = Field(default=4.0, gt=0, le=120)
    """How long it may pause within its answer, in seconds."""
    interruptible: bool = True
    """Whether the caller can cut the answers off."""
    language: str = "en"
    """Handed to the synthesiser, and the language in which numbers are written out."""

    @field_validator("tools")
    @classmethod
    def _tools(cls, value: dict[str, ChatTool]) -> dict[str, ChatTool]:
        for name, tool in value.items():
            # The providers' own rule for names of tools, and what a port of the file can be called.
            if not name.isidentifier() or not name.isascii() or len(name) > 64:
                raise ValueError(f"{name!r} is no name for a tool: it takes letters, digits and _, at most 64")
            _check_schema(name, tool)
        return value

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The tools as a provider is told of them, in the order of the file."""
        return tuple(Tool(n, t.description, t.schema_of_arguments) for n, t in self.tools.items())


def tool_ports(settings: Any) -> tuple[str, ...]:
    """The output ports that these settings give: one a tool."""
    return tuple(settings.tools) if settings is not None else ()


def misfit(tool: ChatTool, arguments: Any) -> str:
    """What is wrong with the arguments that a model wrote, for the model to read; empty when they fit."""
    from jsonschema import Draft202012Validator  # not loaded where nothing calls a tool

    found = sorted(Draft202012Validator(tool.schema_of_arguments).iter_errors(arguments), key=lambda e: e.json_path)
    return "; ".join(f"{e.json_path}: {e.message[:200]}" for e in found[:5])


def _check_schema(name: str, tool: ChatTool) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    if _refers(tool.parameters):
        # A reference could lead out of the file, and no provider takes one.
        raise ValueError(f"the parameters of {name} hold a $ref: write the schema out in its place")
    try:
        Draft202012Validator.check_schema(tool.schema_of_arguments)
    except SchemaError as error:
        raise ValueError(f"the parameters of {name} are no JSON Schema: {error.json_path}: {error.message}") from None


def _refers(schema: Any) -> bool:
    if isinstance(schema, dict):
        return any(k in ("$ref", "$dynamicRef") or _refers(v) for k, v in schema.items())
    return isinstance(schema, list) and any(_refers(v) for v in schema)
