"""What the tests of speculation share: a cast of which nothing remains, a script, and what was told of the guesses."""

from __future__ import annotations

from collections.abc import AsyncIterator

from echostack.core.audio import AudioFormat
from echostack.core.payloads import AgentMessage, AudioChunkStream, Text
from echostack.registry import Context, connector
from tests.runtime.cast import CALL, RATE, Outcome, Pace, reply_to, spoken

STARTED, CONFIRMED, DISCARDED = (f"control.speculation.{k}" for k in ("started", "confirmed", "discarded"))
FIRST_SAMPLE = "control.line.playout_started"
SPOKEN = [("caller", "hello there"), ("agent", reply_to("hello"))]
SCRIPT = [(2.2, "partial:hello"), (2.3, "partial:hello there"), (3.0, "say:hello there")]
"""The words stand from 2.3 on; the turn ends at 3.0."""


@connector("acme.agent")
async def agent(text: Text, settings: Pace, context: Context) -> AsyncIterator[AgentMessage]:
    """As the cast's agent; of a function nothing remains."""
    await context.clock.sleep(settings.seconds)
    yield AgentMessage(reply_to(text.text))


@connector("acme.tts", output_format=lambda settings: AudioFormat(RATE))
async def tts(message: AgentMessage, settings: Pace, context: Context) -> AsyncIterator[AudioChunkStream]:
    await context.clock.sleep(settings.seconds)
    words = message.text.split()
    for number, word in enumerate(words, 1):
        yield spoken(word, message, final=number == len(words))


def guessing(on: str, graph: str = CALL) -> str:
    return f"{graph}speculate: {on}\n"


def told(over: Outcome) -> list[tuple[float, str, str]]:
    """Every event of the speculation: when, what, and why or about which words."""
    return [
        (round(e.time, 6), e.name.rsplit(".", 1)[1], getattr(e.payload, "why", "") or getattr(e.payload, "text", ""))
        for e in over.events
        if e.name.startswith("control.speculation.")
    ]  # fmt: skip


def made(over: Outcome, pattern: str = "processing.*.agent_message") -> list[float]:
    return over.times(pattern)
