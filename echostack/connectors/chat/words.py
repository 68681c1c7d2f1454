"""What a model says and is told, whoever its provider is: the words that chat agents and their providers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from echostack.core.payloads import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """The model's request that a tool be run. ``arguments`` is the JSON object that it wrote."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the call ``id``, as text for the model; ``failed`` when it is the account of a failure."""

    id: str
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One entry of what the model is told was said: ``role`` is ``user`` or ``assistant``.

    An assistant's entry may hold calls, a user's the results of them. Neighbouring entries never have the same role,
    and every call's result stands in the very next entry, because providers refuse anything else.
    """

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may ask for: its name, what it is for, and the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request: instructions, the conversation so far (its last entry is a user's), and the tools."""

    system: str
    said: Sequence[Said]
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of the answer, as it comes; any size."""

    text: str


@dataclass(frozen=True, slots=True)
class Writing:
    """The model writes the arguments of a call: ``arguments`` is their JSON text so far."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What the request used, told once, at its end."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is whole. ``reason``: ``end``, ``tools``, ``length`` (cut at the bound of tokens) or ``refused``."""

    reason: str


Delta = Piece | Writing | Call | Spent | Ended
"""What a model's answer consists of, in the order in which it comes; nothing is behind Ended, unless it is Spent."""


class ChatProvider(Protocol):
    """A model behind an API. One object a node, used by one request at a time."""

    async def open(self) -> None:
        """Make the client; called once, before the first request. Waits for no far end."""

    async def close(self) -> None:
        """Let go of every connection."""

    def answer(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """The model's answer as it comes. Closing the iterator aborts the request at the provider at once.

        ConnectorFailure, retryable where another try may help, with the provider's own hint of when; without a secret.
        """
