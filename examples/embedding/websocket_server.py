"""Serve calls over a websocket with Starlette: binary PCM in both directions, events as JSON text.

    python examples/embedding/websocket_server.py        then open ws://127.0.0.1:8000/call

The client sends 16-bit mono PCM at 16 kHz in binary messages (and questions as text messages), and plays the binary
messages it gets, 24 kHz. On the message {"event": "clear"} it drops what it has not played: the caller interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import echostack
from echostack.core.payloads import AudioChunk, AudioFrame, Committed, Suspended, Text

PIPELINE = echostack.compile(Path(__file__).with_name("desk.echo"))


async def caller(socket: WebSocket) -> AsyncIterator[AudioFrame | Text]:
    """What the client sends, until it hangs up."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes"):
                yield AudioFrame(message["bytes"], 16_000)
            elif message.get("text"):
                yield Text(message["text"])


async def call(socket: WebSocket) -> None:
    """One call: one session of the shared pipeline."""
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        async with PIPELINE.session(ingress={"app": caller(socket)}) as session:
            events = session.events(
                "egress.app.audio_chunk", "control.barge_in.*", "processing.*.text", "processing.*.agent_message"
            )
            async for event in events:
                match event.payload:
                    case AudioChunk(pcm=pcm):
                        await socket.send_bytes(pcm)
                    case Suspended() | Committed():
                        await socket.send_json({"event": "clear"})
                    case payload if hasattr(payload, "text"):
                        await socket.send_json({"event": event.kind, "text": payload.text})
        await socket.close()


app = Starlette(routes=[WebSocketRoute("/call", call)])

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=8000)).serve())
