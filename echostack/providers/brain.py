"""What a local model server answers with: a script, or a model. Its words are those that every such server shares.

A brain is asked with the conversation as plain messages, whatever the provider's own form of them is:
``{"role": "system" | "user" | "assistant" | "tool", "content": text}``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from echostack.core.clock import LoopClock

Message = Mapping[str, str]
"""One entry of the conversation: its ``role`` and its ``content``."""


@dataclass(frozen=True, slots=True)
class Calling:
    """The model asks that the tool ``name`` be run. An empty ``id`` is filled in by the server, in its own form."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Refusing:
    """The provider's own filter ends the answer here."""


Bit = str | Calling | Refusing
"""What an answer consists of: a piece of text (about a token), a call of a tool, or its refusal."""

Answer = str | Bit | Sequence[Bit]
"""One scripted answer: a text, which is sent word by word, or its bits just as they are to be sent."""


class Brain(Protocol):
    """Whatever answers. One object a server, used by any number of requests at once."""

    def reply(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[Bit]:
        """The answer to ``messages``, at most ``max_tokens`` bits long, as it comes. Closing it ends the work."""


class Script:
    """Answers from a list, one to each request in order, the last again and again; or by a function of the messages.

    pause: seconds before each bit, as a model takes them.
    """

    def __init__(
        self,
        answers: Iterable[Answer] | Callable[[Sequence[Message]], Answer] = ("I am here. How can I help you?",),
        *,
        pause: float = 0.0,
    ) -> None:
        self._choose = answers if callable(answers) else None
        self._answers: list[Answer] = [] if callable(answers) else list(answers)
        self._pause = pause
        if self._choose is None and not self._answers:
            raise ValueError("a script holds at least one answer")

    async def reply(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[Bit]:
        """The next answer, or the one that the function gives."""
        clock = LoopClock()
        for count, bit in enumerate(bits(self._next(messages))):
            if count >= max_tokens:
                return
            if self._pause:
                await clock.sleep(self._pause)
            yield bit

    def _next(self, messages: Sequence[Message]) -> Answer:
        if self._choose is not None:
            return self._choose(messages)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def bits(answer: Answer) -> list[Bit]:
    """The bits of one scripted answer: a text's are its words, each with the space before it."""
    if isinstance(answer, str):
        return list(re.findall(r"\s*\S+\s*$|\s*\S+|\s+", answer))
    if isinstance(answer, Calling | Refusing):
        return [answer]
    return list(answer)


def last_said(messages: Sequence[Message]) -> str:
    """What the user said last; empty when there is nothing."""
    return next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
