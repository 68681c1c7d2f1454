"""What every chat agent does: turns in, speech and calls of tools out, one request to its model after the other.

A vendor's connector is a subclass with a settings model, and one ``ChatProvider`` that speaks the vendor's protocol:

    @connector("acme.agent", ports=tool_ports, network=True, attempts=3, timeout=10.0, ...)
    class AcmeAgent(ChatAgent):
        def __init__(self, settings: AcmeSettings, context: Context) -> None:
            super().__init__(settings, context, AcmeProvider(settings, context))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from echostack.connectors.chat.memory import ChatMemory, Kept, State
from echostack.connectors.chat.settings import CUT_NOTE, ChatSettings, misfit
from echostack.connectors.chat.speech import Speech
from echostack.connectors.chat.words import Call, ChatProvider, Delta, Ended, Piece, Prompt, Result, Spent, Writing
from echostack.connectors.clauses import LONGEST
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    CallStarted,
    Text,
    ToolCall,
    ToolCallPartial,
    ToolResult,
    Usage,
)
from echostack.registry import Context, Out

Output = AgentMessagePartial | AgentMessage | Usage | Out
Snapshot = tuple[int, State]

_KEPT: Final = "chat.kept"  # what the agents of one choice remember together, so that one can go on for another


class ChatAgent:
    """Answers turns with a model: speech piece by piece, and calls of tools by the port of the tool's name.

    A turn is answered with ``agent_message.partial`` as early as each piece can be spoken, the last one ``final``, then
    whole as ``agent_message``, under one id. When the answer asks for tools, their calls leave as soon as their
    arguments are whole; the agent goes on when every one of them has its result, in whatever order they come, and not
    when its turn is over by then: the results are told with the next turn. In a choice any member goes on with what
    another one asked for. A call for a tool that is not offered, or with arguments that do not fit, goes back to the
    model as failed without leaving.

    Cancelling it, or closing its iterator, aborts the model's answer at once. What is remembered of a call is what was
    asked of tools, by all members of a choice together; the words are the conversation's. ``snapshot`` and ``restore``
    make it guessable.
    """

    def __init__(self, settings: ChatSettings, context: Context, provider: ChatProvider) -> None:
        self._settings, self._context, self._provider = settings, context, provider
        self._tools = settings.offered
        self._system = f"{settings.system.strip()}\n\n{CUT_NOTE}".strip()
        self._memory = ChatMemory(
            turns=settings.history_turns,
            characters=settings.history_characters,
            kept=context.share(f"{_KEPT} {context.choice or context.node}", Kept),
            node=context.node,
            offers=settings.tools.__contains__,
        )
        self._count = 0

    async def open(self) -> None:
        """Make the provider's client."""
        await self._provider.open()

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()

    async def __call__(
        self, event: Text | ToolResult | CallStarted
    ) -> AsyncIterator[AgentMessagePartial | AgentMessage | ToolCall | ToolCallPartial | Usage | Out]:
        """The answer to one turn, what follows from a tool's result, or the greeting.

        ConnectorFailure as the provider says, and when a turn asks for tools too often.
        """
        if isinstance(event, CallStarted):
            for piece in self._greeting():
                yield piece
            return
        if isinstance(event, Text):
            if not event.text.strip():
                return
            self._memory.ask(event, self._context.conversation.turns)
        elif not self._goes_on(event):
            return
        before = self.snapshot()
        given = False
        answer = self._answer(results=isinstance(event, ToolResult))
        try:
            async for output in answer:
                given = given or not isinstance(output, Usage)
                yield output
        except Exception:
            if given:
                # What was said was said, and what was asked of tools may still be gone on with.
                self._memory.end()
            else:
                # Nothing of this try remains, so that the next one, here or at another agent, begins where it began.
                self.restore(before)
            self._memory.kept.gave_up = event.id if isinstance(event, ToolResult) else ""
            raise
        finally:
            await answer.aclose()

    def snapshot(self) -> Snapshot:
        """What is remembered of the call, to be put back when what was asked turns out never to have been said."""
        return self._count, self._memory.state

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what ``snapshot`` gave."""
        self._count, self._memory.state = snapshot

    # -- results -----------------------------------------------------------------------------------------------

    def _goes_on(self, event: ToolResult) -> bool:
        """Keep a result; whether the answer that waited for it goes on now."""
        memory, known = self._memory, self._memory.answered(event.id)
        if not memory.result(_told(event)):
            self._context.log("a result of a tool that nobody here asked for", tool=event.name, id=event.id)
            return False
        # The same result once more, as when this is another try, or another agent's: what was waited for is there.
        again = known and memory.kept.gave_up == event.id
        return memory.ready and self._context.live and (not known or again)

    # -- answers -----------------------------------------------------------------------------------------------

    def _greeting(self) -> Iterator[AgentMessagePartial | AgentMessage]:
        utterance = self._utterance()
        yield from utterance.feed(self._settings.greeting)
        yield from utterance.end()

    async def _answer(self, *, results: bool) -> AsyncGenerator[Output, None]:
        """Requests to the model until it has answered, or waits for tools."""
        while True:
            rounds = self._memory.rounds
            turns = self._context.conversation.turns
            prompt = Prompt(self._system, self._memory.said(turns, results=results), self._tools)
            self._memory.go_on()
            utterance = self._utterance()
            reason, asked = "", False
            async with _closing(self._provider.answer(prompt)) as deltas:
                async for delta in deltas:
                    match delta:
                        case Piece(text):
                            for piece in utterance.feed(text):
                                yield piece
                        case Writing() | Call():
                            if rounds >= self._settings.tool_rounds:
                                raise self._too_often()
                            asked = True
                            # What it says before it asks is said while the tool works.
                            for message in utterance.end():
                                yield message
                            for output in self._asks(delta, utterance):
                                yield output
                        case Spent(usage):
                            yield usage
                        case Ended():
                            # What is left is said now: the request may take a moment more to be over.
                            reason = delta.reason
                            for message in utterance.end(cut=reason == "length"):
                                yield message
            self._memory.end()
            for message in utterance.end():
                yield message
            if reason == "refused" and not utterance.said:
                raise ConnectorFailure(
                    f"{self._context.node}: the model refused to answer, for reasons of its provider's policies",
                    retryable=False,
                )
            if not utterance.said and not asked:
                if reason == "length":
                    raise self._spent()
                self._context.log("the model answered with nothing that could be said")
            if reason in ("length", "refused"):
                self._context.log(f"the answer was cut: {reason}", max_tokens=self._settings.max_tokens)
            if not self._memory.ready:
                return
            results = True  # every call came back as failed without leaving: the model is told at once

    def _asks(self, delta: Writing | Call, utterance: _Utterance) -> Iterator[Out]:
        if isinstance(delta, Writing):
            if delta.name in self._settings.tools:
                yield Out(ToolCallPartial(delta.name, delta.id, delta.arguments), port=delta.name)
            return
        self._memory.call(delta, utterance.id, utterance.said)
        tool = self._settings.tools.get(delta.name)
        if tool is None:
            known = ", ".join(self._settings.tools) or "none at all"
            why = f"There is no tool {delta.name!r}; there are: {known}."
        else:
            why = misfit(tool, dict(delta.arguments))
            why = f"The arguments do not fit: {why}" if why else ""
        if why:
            self._context.log("a call of a tool went back to the model", tool=delta.name, why=why)
            self._memory.result(Result(delta.id, why, failed=True))
            return
        yield Out(ToolCall(delta.name, delta.id, dict(delta.arguments)), port=delta.name)

    def _spent(self) -> ConnectorFailure:
        return ConnectorFailure(
            f"{self._context.node}: the model used all of max_tokens ({self._settings.max_tokens}) without a word that "
            "could be said: raise max_tokens, or have it think less",
            retryable=False,
        )

    def _too_often(self) -> ConnectorFailure:
        rounds = self._settings.tool_rounds
        return ConnectorFailure(
            f"{self._context.node}: the model asked for tools {rounds + 1} times in one turn without an answer; "
            "say in system when to stop, or raise tool_rounds",
            retryable=False,
        )

    def _utterance(self) -> _Utterance:
        self._count += 1
        return _Utterance(f"{self._context.node}-{self._count}", self._settings)


class _Utterance:
    """One message as it grows: pieces as soon as they can be spoken, then its end."""

    def __init__(self, identity: str, settings: ChatSettings) -> None:
        self.id = identity
        self._how: dict[str, Any] = {"interruptible": settings.interruptible, "language": settings.language}
        self._speech = Speech(
            language=settings.language, speakable=settings.speak == "speakable", first_words=settings.first_words
        )
        self._pieces: list[str] = []
        self._over = False

    @property
    def said(self) -> str:
        """All of it so far, as it is spoken."""
        return " ".join(self._pieces)

    def feed(self, text: str) -> Iterator[AgentMessagePartial]:
        """The pieces that ``text`` completes. Nothing, once it is over: what a model writes after it has asked for
        tools would be said after what the tools bring."""
        if self._over:
            return
        # A provider may send a whole answer at once: its first piece does not wait until the last one is found, and
        # what is left of the text is not copied whole for each.
        for start in range(0, len(text), LONGEST):
            for piece in self._speech.feed(text[start : start + LONGEST]):
                yield self._partial(piece)

    def end(self, *, cut: bool = False) -> Iterator[AgentMessagePartial | AgentMessage]:
        """The rest, and the whole. Nothing when there was nothing to say, and only once."""
        if self._over:
            return
        self._over = True
        rest = self._speech.end(cut=cut)
        for place, piece in enumerate(rest):
            yield self._partial(piece, final=place == len(rest) - 1)
        if not self._pieces:
            return
        if not rest:
            yield AgentMessagePartial("", self.id, final=True, **self._how)
        yield AgentMessage(self.said, self.id, **self._how)

    def _partial(self, piece: str, *, final: bool = False) -> AgentMessagePartial:
        self._pieces.append(piece)
        return AgentMessagePartial(piece, self.id, final=final, **self._how)


@asynccontextmanager
async def _closing(deltas: AsyncIterator[Delta]) -> AsyncIterator[AsyncIterator[Delta]]:
    """Closes the model's answer when it is left, however it is left: that is what aborts the request."""
    try:
        yield deltas
    finally:
        close = getattr(deltas, "aclose", None)
        if close is not None:
            await close()


def _told(event: ToolResult) -> Result:
    if event.error:
        return Result(event.id, event.error, failed=True)
    result = event.result
    return Result(event.id, result if isinstance(result, str) else msgspec.json.encode(result).decode())
