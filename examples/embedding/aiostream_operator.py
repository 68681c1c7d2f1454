"""A compiled graph as an aiostream operator: frames of audio in, the caller's words out.

python examples/embedding/aiostream_operator.py call.wav
"""

from __future__ import annotations

import asyncio
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

from aiostream import pipe, stream

import echostack
from echostack.core.payloads import AudioFrame

GRAPH = "pipeline: [ingress.app.audio_frame -> moonshine.stt]"


async def frames(path: Path) -> AsyncIterator[AudioFrame]:
    """A WAV file of 16-bit mono in frames of 20 ms, then a second of silence, at the pace of speech."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        while pcm := file.readframes(rate // 50):
            yield AudioFrame(pcm, rate)
            await asyncio.sleep(0.02)
    for _ in range(50):
        yield AudioFrame(bytes(rate // 50 * 2), rate)
        await asyncio.sleep(0.02)


async def main(path: Path) -> None:
    """Print each turn of the caller as it ends."""
    pipeline = echostack.compile(GRAPH)
    words = stream.iterate(frames(path)) | pipeline.pipe("processing.*.text") | pipe.map(lambda e, *_: e.payload.text)
    async with words.stream() as texts:
        async for text in texts:
            print(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/embedding/aiostream_operator.py call.wav")
    asyncio.run(main(Path(sys.argv[1])))
