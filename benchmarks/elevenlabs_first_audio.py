"""elevenlabs.tts: what the connector adds to the time to first audio, against a bare websocket to the same server.

Both ask a local server, which answers at once with scripted audio, for the same sentence, in turn, ``--rounds N`` times
(500). The server and both clients share one process, so the difference is the connector's own: cutting and cleaning the
text, posting it to the writing task, reading, decoding and timing the audio.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.tts import ElevenLabsTts
from echostack.core.clock import InlineCompute, LoopClock, stopwatch
from echostack.core.payloads import AgentMessage
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.elevenlabs.voice import CodedVoice
from echostack.runtime.stats import percentile

TEXT = "Your table for two is booked, see you at seven."


class Context:
    """As much of a session as the connector uses."""

    node, session = "elevenlabs.tts", "bench"

    def __init__(self) -> None:
        self.clock, self.compute, self.random = LoopClock(), InlineCompute(), random.Random(1)

    def log(self, message: str, **fields: Any) -> None: ...

    def emit(self, payload: Any, **how: Any) -> None: ...


async def bare(ws: ClientConnection, name: str) -> float:
    """Seconds from the text to its first audio, with nothing in between."""
    took = stopwatch()
    await ws.send(json.dumps({"text": " ", "context_id": name}))
    await ws.send(json.dumps({"text": f"{TEXT} ", "context_id": name, "flush": True}))
    await ws.recv()
    first = took()
    await ws.send(json.dumps({"context_id": name, "close_context": True}))
    while not json.loads(await ws.recv()).get("isFinal"):
        pass
    return first


async def connector(tts: ElevenLabsTts, name: str) -> float:
    """The same through ``elevenlabs.tts``."""
    took = stopwatch()
    chunks = tts(AgentMessage(TEXT, id=name))
    await anext(chunks)
    first = took()
    async for _ in chunks:
        pass
    return first


async def measured(rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"bare websocket": [], "elevenlabs.tts": []}
    async with ElevenLabsServer(voice=CodedVoice(40)) as server:
        settings = ElevenLabsTtsSettings.model_validate({"api_key": "local", "base_url": server.url})
        tts = ElevenLabsTts(settings, Context())  # type: ignore[arg-type]
        await tts.open()
        query = "model_id=eleven_flash_v2_5&output_format=pcm_24000&sync_alignment=true&auto_mode=true"
        url = f"ws{server.url[4:]}/v1/text-to-speech/{settings.voice_id}/multi-stream-input?{query}"
        async with connect(url, additional_headers={"xi-api-key": "local"}, compression=None, proxy=None) as ws:
            for number in range(rounds):
                found["bare websocket"].append(await bare(ws, f"b{number}"))
                found["elevenlabs.tts"].append(await connector(tts, f"c{number}"))
        await tts.close()
    return found


def main() -> None:
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 500
    if "--quick" in sys.argv:
        rounds = 100
    found = asyncio.run(measured(rounds))
    print(f"first audio of one sentence, {rounds} rounds, ms")
    for name, times in found.items():
        p50, p95 = (percentile(tuple(t * 1000 for t in times), share) for share in (0.5, 0.95))
        print(f"  {name:16} p50 {p50:6.2f}  p95 {p95:6.2f}")
    without, within = (percentile(tuple(times), 0.5) for times in found.values())
    print(f"  added by the connector, of the medians: {(within - without) * 1000:.2f} ms")


if __name__ == "__main__":
    main()
