"""Connectors that live dangerously, for a graph in which every part of the runtime has something to do wrong.

They run as they are in a simulated call, and do what providers do: go on after they were cancelled, speak from a
callback, answer in bursts, ask twice for one thing, are slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    Data,
    Intent,
    PlayoutFinished,
    PlayoutStarted,
    Record,
    Text,
    ToolCall,
    TranscriptEntry,
)
from echostack.registry import ITSELF, Context, connector


@connector("stubborn.agent", simulation=ITSELF)
class StubbornAgent:
    """Answers in two pieces. Cancelled, it says a last word in its cleanup; and a callback speaks for it later."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, text: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        clock = self._context.clock
        try:
            await clock.sleep(0.3)
            yield AgentMessagePartial("That is a long story,")
            await clock.sleep(0.3)
            yield AgentMessagePartial("and you will hear all of it before you say anything more.", final=True)
        except asyncio.CancelledError:
            await clock.sleep(0.05)
            self._context.emit(AgentMessage("Let me finish what I had to say about that."))
            raise


@connector("asks.tool", simulation=ITSELF)
def asks_tool(text: Text) -> list[ToolCall]:
    """Three things to do, and the first of them twice."""
    words = len(text.text)
    return [ToolCall("book", f"{words}-{n}-{int(1000 * text.end)}") for n in (0, 0, 1, 2)]


@connector("book.table", effect=True, network=True)
async def book_table(call: ToolCall) -> Record:
    """Acts on the outside world."""
    raise AssertionError("simulated")


@connector("confirm.agent", simulation=ITSELF)
def confirm(record: Record) -> AgentMessage:
    """Says what was done."""
    return AgentMessage("It is booked.")


@connector("left.burst", simulation=ITSELF)
def left_burst(text: Text) -> list[Data]:
    """Much at once."""
    return [Data("left", {"n": n}) for n in range(12)]


@connector("right.burst", simulation=ITSELF)
async def right_burst(text: Text) -> AsyncIterator[Intent]:
    """More than anybody can take, one after the other; it waits when it is told to."""
    for n in range(60):
        yield Intent(f"right-{n}")


@connector("slow.log", simulation=ITSELF)
class SlowLog:
    """Takes its time over everything."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    async def __call__(self, one: Data | Intent | PlayoutStarted | PlayoutFinished) -> TranscriptEntry:
        await self._clock.sleep(0.02)
        return TranscriptEntry("log", type(one).__name__)
