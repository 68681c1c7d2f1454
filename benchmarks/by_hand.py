"""The chain of ``provider_overhead`` written by hand: the vendors' own clients and a bare websocket, glued with plain
asyncio. No part of it is EchoStack's, so what EchoStack adds is what it takes longer.

Deepgram's SDK hears, Anthropic's SDK answers, ElevenLabs' ``multi-stream-input`` speaks over ``websockets``. It asks
for what the connectors ask for by default, and does nothing that a call needs besides: no interruption, no deadline, no
second try, no counting.
"""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

RATE = 16_000
QUERY = {
    "model": "nova-3", "language": "en", "encoding": "linear16", "sample_rate": RATE, "channels": 1,
    "interim_results": True, "endpointing": 300, "utterance_end_ms": 1000, "punctuate": True, "smart_format": False,
    "numerals": False, "profanity_filter": False,
}  # fmt: skip
SPEECH = (
    "/v1/text-to-speech/JBFqnCBsd6RMkjVDRZzb/multi-stream-input?model_id=eleven_flash_v2_5&output_format=pcm_16000"
    "&inactivity_timeout=180&sync_alignment=true&auto_mode=true"
)
Told = Callable[[], None]


async def call(frames: AsyncIterator[bytes], environment: dict[str, str], first: Told) -> None:
    """One call: ``frames`` in as they come, ``first`` told when a reply's first audio is ready to be played."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK uses deprecated parts of `websockets`
        from deepgram import AsyncDeepgramClient
        from deepgram.environment import DeepgramClientEnvironment
    import anthropic
    import httpx2
    from websockets.asyncio.client import connect

    heard, spoken = environment["DEEPGRAM_BASE_URL"], environment["ELEVENLABS_BASE_URL"]
    live = "ws" + heard.removeprefix("http")
    where = DeepgramClientEnvironment(base=heard, production=live, agent=live, agent_rest=heard)
    model = anthropic.AsyncAnthropic(
        api_key=environment["ANTHROPIC_API_KEY"], base_url=environment["ANTHROPIC_BASE_URL"], max_retries=0,
        http_client=httpx2.AsyncClient(limits=httpx2.Limits(keepalive_expiry=300), trust_env=False, timeout=30),
    )  # fmt: skip
    ears = AsyncDeepgramClient(api_key=environment["DEEPGRAM_API_KEY"], environment=where, max_retries=0)
    headers = {"xi-api-key": environment["ELEVENLABS_API_KEY"]}
    async with (
        ears.listen.v1.connect(**QUERY) as socket,
        model,
        connect("ws" + spoken.removeprefix("http") + SPEECH, additional_headers=headers, compression=None) as voice,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(_converse(socket, model, voice)), group.create_task(_play(voice, first))]
        async for frame in frames:
            await socket.send_media(frame)
        for task in tasks:
            task.cancel()


async def _converse(socket: Any, model: Any, voice: Any) -> None:
    """Each turn that is over is answered, each answer that ends a sentence is spoken."""
    said: list[dict[str, str]] = []
    settled, turn = "", 0
    while True:
        result = await socket.recv()
        if result.type != "Results":
            continue
        if result.is_final:
            settled = f"{settled} {result.channel.alternatives[0].transcript}".strip()
        if not (result.speech_final and settled):
            continue
        said.append({"role": "user", "content": settled})
        settled, turn, answer, waiting = "", turn + 1, "", ""
        await voice.send(json.dumps({"text": " ", "context_id": f"hand-{turn}"}))
        asked = await model.messages.create(
            model="claude-haiku-5-5", max_tokens=1024, messages=said, stream=True, thinking={"type": "disabled"}
        )
        async for event in asked:
            if event.type != "content_block_delta":
                continue
            answer, waiting = answer + event.delta.text, waiting + event.delta.text
            if waiting.endswith((".", "?", "!")):
                text = {"text": f"{waiting} ", "context_id": f"hand-{turn}", "flush": True}
                await voice.send(json.dumps(text))
                waiting = ""
        said.append({"role": "assistant", "content": answer})
        await voice.send(json.dumps({"context_id": f"hand-{turn}", "close_context": True}))


async def _play(voice: Any, first: Told) -> None:
    playing = ""
    async for text in voice:
        message = json.loads(text)
        if message.get("audio") and base64.b64decode(message["audio"]) and message["contextId"] != playing:
            playing = message["contextId"]
            first()
