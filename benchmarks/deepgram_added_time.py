"""What ``deepgram.stt`` adds to Deepgram's own time: audio in to socket, and message in to event.

``python -m benchmarks.deepgram_added_time`` sends the same audio to the same local websocket by the bare SDK and by the
connector, a frame at a time, and answers each frame with one interim result. Both ways have the SDK, the loop and the
loopback in common; the difference is the connector's own.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from echostack.connectors.alongside import Alongside
from echostack.connectors.deepgram.link import Sdk
from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame

FRAMES = 500 if "--quick" in sys.argv else 2_000
WARM_UP = 200
FRAME = AudioFrame(bytes(640), 16_000)


class Far:
    """A websocket that notes when audio comes and answers it at once."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.came: list[float] = []
        self.answered: list[float] = []
        self.url = ""

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.came.append(self._clock.now())
                number = len(self.came)
                answer = json.dumps(result(number))
                self.answered.append(self._clock.now())
                await socket.send_str(answer)
            elif "CloseStream" in str(message.data):
                break
        return socket

    async def __aenter__(self) -> Far:
        application = web.Application()
        application.router.add_get("/v1/listen", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()


def result(number: int) -> dict[str, Any]:
    """An interim result of ten words, another one each time."""
    words = [
        {"word": f"w{number + n}", "punctuated_word": f"w{number + n}", "start": n * 0.1, "end": n * 0.1 + 0.1,
         "confidence": 0.9}
        for n in range(10)
    ]  # fmt: skip
    text = " ".join(str(w["word"]) for w in words)
    return {
        "type": "Results", "channel_index": [0, 1], "duration": number * 0.02, "start": 0.0, "is_final": False,
        "speech_final": False, "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": words}]},
        "metadata": {"request_id": "", "model_info": {"name": "", "version": "", "arch": ""}, "model_uuid": ""},
        "from_finalize": False,
    }  # fmt: skip


async def bare(far: Far, clock: LoopClock) -> tuple[list[float], list[float]]:
    """When each frame was put in and each answer came out, by the SDK alone."""
    client = Sdk().client(far.url, "k")
    put: list[float] = []
    got: list[float] = []
    query = DeepgramSettings.model_validate({"api_key": "k"}).query()
    async with client.listen.v1.connect(**query) as socket:
        for _ in range(FRAMES):
            put.append(clock.now())
            await socket.send_media(FRAME.pcm)
            await socket.recv()
            got.append(clock.now())
            await clock.sleep(0.001)
        await socket.send_close_stream()
    return put, got


class Line:
    """An inbox of one frame at a time, each when the answer to the last one is out."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.put: list[float] = []
        self.next: asyncio.Queue[bool] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while await self.next.get():
            self.put.append(self._clock.now())
            yield Event("processing.line.audio_frame", FRAME, "call", len(self.put), self._clock.now())

    async def take(self, timeout: float | None = None) -> Event | None:
        raise NotImplementedError


class Here:
    """The view of a session that the connector is given."""

    node = session = idempotency_key = "call"

    def __init__(self, clock: LoopClock) -> None:
        self.clock, self.compute, self.random = clock, ThreadCompute(1), random.Random(1)

    def log(self, message: str, **fields: Any) -> None:
        print(message, fields)


async def connected(far: Far, clock: LoopClock) -> tuple[list[float], list[float]]:
    """The same by the connector."""
    line, got, context = Line(clock), [], Here(clock)
    settings = DeepgramSettings.model_validate({"api_key": "k", "base_url": far.url})
    stt: Any = DeepgramStt(settings, context)  # type: ignore[arg-type]
    await stt.open()
    out = asyncio.Event()

    async def hear() -> None:
        async for _ in stt.run(line):
            got.append(clock.now())
            out.set()

    async with Alongside(hear()) as hearing:
        for _ in range(FRAMES):
            out.clear()
            line.next.put_nowait(True)
            await out.wait()
            await clock.sleep(0.001)
        line.next.put_nowait(False)
        await asyncio.wait([hearing])
    context.compute.close()
    return line.put, got[:FRAMES]


async def measured(way: Callable[[Far, LoopClock], Awaitable[tuple[list[float], list[float]]]]) -> tuple[Any, Any]:
    clock = LoopClock()
    async with Far(clock) as far:
        put, got = await way(far, clock)
        go_in = np.array(far.came[:FRAMES]) - np.array(put)
        come_out = np.array(got) - np.array(far.answered[:FRAMES])
    return go_in[WARM_UP:] * 1e6, come_out[WARM_UP:] * 1e6


def told(name: str, figures: Any) -> str:
    p99 = float(np.percentile(figures, 99))
    return f"{name:<34} {statistics.median(figures):7.0f} µs p50 {p99:7.0f} µs p99"


async def main() -> None:
    sdk, connector = await measured(bare), await measured(connected)
    for place, name in ((0, "audio in to socket"), (1, "message in to event")):
        print(told(f"{name}, SDK alone", sdk[place]))
        print(told(f"{name}, connector", connector[place]))
        added = statistics.median(connector[place]) - statistics.median(sdk[place])
        print(f"{'':<34} {added:7.0f} µs added (median)")


if __name__ == "__main__":
    asyncio.run(main())
