"""Embed a compiled graph in an asyncio program: a call by text, its words and its speech as events.

python examples/embedding/asyncio_program.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import echostack
from echostack.core.payloads import AudioChunk, PlayoutFinished, Text

GRAPH = Path(__file__).with_name("desk.echo")


async def caller(impatient: asyncio.Event) -> AsyncIterator[Text]:
    """Two questions; the second comes while the first is still being answered."""
    yield Text("What are your opening hours?")
    await impatient.wait()
    yield Text("How much is a room for one night?")


async def main() -> None:
    """One call: print what is said, and how much of it was heard."""
    pipeline = echostack.compile(GRAPH)
    impatient, seconds = asyncio.Event(), 0.0
    async with pipeline.session(ingress={"app": caller(impatient)}) as call:
        async for event in call.events("egress.app.audio_chunk", "control.app.playout_finished"):
            match event.payload:
                case AudioChunk() as chunk:
                    seconds += chunk.seconds
                    if seconds > 1.5:
                        impatient.set()
                case PlayoutFinished(heard=heard, cut=cut):
                    print(f"heard{' (cut off)' if cut else ''}: {heard}")
    for turn in call.conversation:
        print(f"{turn.role}: {turn.text}")
    print(f"{seconds:.1f} s of speech, {call.stats().interruptions} interruption")


if __name__ == "__main__":
    asyncio.run(main())
