"""The local ElevenLabs: what it speaks over its websockets and over HTTP, what it refuses, and how it can fail."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import numpy as np
import pytest
from elevenlabs import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types.websocket_tts_server_message_multi import WebsocketTtsServerMessageMulti
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.elevenlabs.voice import CodedVoice, EmbeddedVoice, code, encoded
from echostack.providers.faults import Fault, FaultKind

VOICE = "JBFqnCBsd6RMkjVDRZzb"


@asynccontextmanager
async def served(**how: Any) -> AsyncIterator[ElevenLabsServer]:
    async with ElevenLabsServer(voice=how.pop("voice", CodedVoice(40)), **how) as server:
        assert isinstance(server, ElevenLabsServer)
        yield server


ASKED = "output_format=pcm_16000&model_id=eleven_flash_v2_5&sync_alignment=true"


def socket(
    server: ElevenLabsServer,
    *,
    path: str = "multi-stream-input",
    voice: str = VOICE,
    key: str = "k",
    query: str = ASKED,
) -> connect:
    url = f"ws{server.url[4:]}/v1/text-to-speech/{voice}/{path}?{query}"
    return connect(url, additional_headers={"xi-api-key": key} if key else {}, proxy=None)


async def say(ws: ClientConnection, **message: Any) -> None:
    await ws.send(json.dumps(message))


async def answers(ws: ClientConnection, ends: int = 1) -> list[dict[str, Any]]:
    """Every message up to the ``ends``th end of a context, or the end of the connection."""
    found: list[dict[str, Any]] = []
    try:
        while ends:
            message = json.loads(await asyncio.wait_for(ws.recv(), 5))
            found.append(message)
            ends -= bool(message.get("isFinal"))
    except ConnectionClosed:
        pass
    return found


def pcm(messages: list[dict[str, Any]], context: str | None = None) -> np.ndarray[Any, Any]:
    wanted = [m for m in messages if m.get("audio") and (context is None or m.get("contextId") == context)]
    return np.frombuffer(b"".join(base64.b64decode(m["audio"]) for m in wanted), "<i2")


def spoken(text: str, rate: int = 16_000, ms: int = 40) -> np.ndarray[Any, Any]:
    return np.repeat(np.asarray([code(c) for c in text], "<i2"), rate * ms // 1000)


async def test_a_context_speaks_what_is_flushed_with_the_times_of_every_character() -> None:
    async with served(message_ms=100) as server, socket(server) as ws:
        await say(ws, text=" ", context_id="a", voice_settings={"stability": 0.4})
        await say(ws, text="Hello you. ", context_id="a", flush=True)
        await say(ws, context_id="a", close_context=True)
        got = await answers(ws)
    assert np.array_equal(pcm(got), spoken(" Hello you. "))
    assert got[-1] == {"isFinal": True, "contextId": "a"}
    told = [m["alignment"] for m in got[:-1]]
    assert "".join("".join(t["chars"]) for t in told if t) == " Hello you. "
    assert told[0] == {"chars": [" ", "H", "e"], "charStartTimesMs": [0, 40, 80], "charDurationsMs": [40, 40, 40]}
    assert told[1] == {"chars": ["l", "l"], "charStartTimesMs": [20, 60], "charDurationsMs": [40, 40]}
    for message in got:  # as the SDK reads them
        WebsocketTtsServerMessageMulti.model_validate(message)
    assert server.seen.of("context opened")[0].data == {"context": "a", "voice_settings": {"stability": 0.4}}
    assert [s.data["text"] for s in server.seen.of("received")] == [" ", "Hello you. "]
    assert sum(s.data["ms"] for s in server.seen.of("sent")) == 480


async def test_text_waits_for_the_schedule_unless_auto_mode_is_on() -> None:
    async with served() as server:
        async with socket(server) as ws:
            config = {"chunk_length_schedule": [50, 60]}
            await say(ws, text="x" * 49, context_id="a", generation_config=config)
            await say(ws, text="y", context_id="a")
            await say(ws, text="z" * 59, context_id="a")  # held back, and dropped by closing
            await say(ws, context_id="a", close_context=True)
            assert np.array_equal(pcm(await answers(ws)), spoken("x" * 49 + "y"))
        async with socket(server, query="output_format=pcm_16000&auto_mode=true") as ws:
            await say(ws, text="Hi. ", context_id="a")
            await say(ws, context_id="a", close_context=True)
            assert np.array_equal(pcm(await answers(ws)), spoken("Hi. "))


async def test_contexts_are_spoken_side_by_side_and_never_mix() -> None:
    async with served(pace=40.0, message_ms=80) as server, socket(server) as ws:
        for name in "abc":
            await say(ws, text=f"{name * 30} ", context_id=name, flush=True)
            await say(ws, context_id=name, close_context=True)
        got = await answers(ws, ends=3)
    for name in "abc":
        assert np.array_equal(pcm(got, name), spoken(f"{name * 30} "))
    first = [m["contextId"] for m in got[:6]]
    assert set(first) == {"a", "b", "c"}


async def test_a_sixth_context_is_one_too_many() -> None:
    async with served() as server, socket(server) as ws:
        for name in "abcdef":
            await say(ws, text=" ", context_id=name)
        got = await answers(ws)
    assert got[-1]["error"] == "max_active_conversations"
    assert ws.close_code == 1008


async def test_a_closed_context_counts_until_it_is_gone() -> None:
    async with served(closing=0.2) as server, socket(server) as ws:
        for name in "abcde":
            await say(ws, text=" ", context_id=name)
            await say(ws, context_id=name, close_context=True)
        await say(ws, text=" ", context_id="f")
        got = await answers(ws, ends=9)
    assert got[-1]["error"] == "max_active_conversations"


async def test_closing_a_context_is_seen_with_what_had_not_been_sent() -> None:
    async with served(pace=1.0, message_ms=40) as server, socket(server) as ws:
        await say(ws, text="a" * 100, context_id="a", flush=True)
        await server.seen.until("sent")
        await say(ws, context_id="a", close_context=True)
        closed = await server.seen.until("context closed")
        assert 3_800 <= closed.data["unsent_ms"] < 4_000
        assert server.seen.counts["cancelled"] == 1


async def test_the_single_socket_ends_with_an_empty_text() -> None:
    async with served() as server, socket(server, path="stream-input") as ws:
        await say(ws, text=" ", voice_settings={"speed": 1.1})
        await say(ws, text="Good day. ")
        await say(ws, text="")
        got = await answers(ws)
        assert np.array_equal(pcm(got), spoken(" Good day. "))
        assert got[-1] == {"audio": None, "isFinal": True}
        assert "contextId" not in got[0]
        with pytest.raises(ConnectionClosed):
            await ws.recv()


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"key": ""}, "invalid_api_key"),
        ({"voice": "nobody"}, "voice_not_found"),
        ({"query": "output_format=pcm_16000&model_id=eleven_nine"}, "model_not_found"),
        ({"query": "output_format=mp3_44100_128"}, "invalid_output_format"),
        ({"query": "output_format=pcm_16000&model_id=eleven_v3"}, "invalid_input_message"),
    ],
)
async def test_what_cannot_be_is_told_and_the_socket_closed(how: dict[str, str], error: str) -> None:
    async with served() as server, socket(server, **how) as ws:
        with suppress(ConnectionClosed):
            await say(ws, text=" ", context_id="a")
        got = await answers(ws)
    assert [(m["error"], m["code"]) for m in got] == [(error, 1008)]
    assert ws.close_code == 1008
    assert (await server.seen.until("refused")).data == {"code": error}


async def test_a_key_may_come_with_the_first_message() -> None:
    async with served() as server, socket(server, key="") as ws:
        await say(ws, text="Hi. ", context_id="a", flush=True, xi_api_key="k")
        await say(ws, context_id="a", close_context=True)
        assert len(pcm(await answers(ws)))
        assert all(v != "k" for s in server.seen.sightings for v in s.data.values())


@pytest.mark.parametrize("message", ["{", "[1]", '{"text": 3}'])
async def test_what_is_no_message_closes_the_socket(message: str) -> None:
    async with served() as server, socket(server) as ws:
        await ws.send(message)
        assert (await answers(ws))[-1]["error"] == "invalid_input_message"


async def test_silence_closes_the_socket_and_an_empty_text_keeps_it() -> None:
    async with served(quiet=0.15) as server, socket(server) as ws:
        for _ in range(4):
            await asyncio.sleep(0.08)
            await say(ws, text="")
        assert server.seen.counts["keep alive"] >= 3
        got = await answers(ws)
    assert [m["error"] for m in got] == ["input_timeout_exceeded"]


async def test_a_quota_is_used_up_and_told() -> None:
    async with served(quota=10) as server, socket(server) as ws:
        await say(ws, text="Hello. ", context_id="a", flush=True)
        await say(ws, text="More than is left. ", context_id="a", flush=True)
        got = await answers(ws)
    assert got[-1]["error"] == "quota_exceeded"
    assert server.quota == 4


async def test_close_socket_finishes_what_was_flushed() -> None:
    async with served() as server, socket(server) as ws:
        await say(ws, text="Bye. ", context_id="a", flush=True)
        await say(ws, close_socket=True)
        got = await answers(ws, ends=2)
    assert np.array_equal(pcm(got), spoken("Bye. "))


async def test_the_sdk_hears_the_stream_with_its_times() -> None:
    async with served(message_ms=100) as server, httpx.AsyncClient() as http:
        client = AsyncElevenLabs(api_key="k", base_url=server.url, httpx_client=http)
        chunks = [
            c async for c in client.text_to_speech.stream_with_timestamps(
                VOICE, text="Hello you.", model_id="eleven_flash_v2_5", output_format="pcm_8000"
            )
        ]  # fmt: skip
        audio = b"".join([
            c async for c in client.text_to_speech.stream(VOICE, text="Hello you.", output_format="pcm_8000")
        ])  # fmt: skip
        assert b"".join(base64.b64decode(c.audio_base_64) for c in chunks) == audio
        assert np.array_equal(np.frombuffer(audio, "<i2"), spoken("Hello you.", 8_000))
        told = [c.alignment for c in chunks if c.alignment]
        assert "".join("".join(t.characters) for t in told) == "Hello you."
        assert [s for t in told for s in t.character_start_times_seconds] == pytest.approx(
            [k * 0.04 for k in range(10)]
        )
        voices = await client.voices.get_all()
        assert VOICE in [v.voice_id for v in voices.voices]
        user = await client.user.get()
        assert user.subscription.character_limit == 10_000_000
        with pytest.raises(ApiError) as caught:
            async for _ in client.text_to_speech.stream(VOICE, text="Hi", output_format="mp3_44100_128"):
                pass
        assert caught.value.status_code == 400
        assert caught.value.body["detail"]["code"] == "invalid_output_format"


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.UNAUTHORISED, 401), (FaultKind.RATE_LIMITED, 429), (FaultKind.UNAVAILABLE, 503)]
)
async def test_a_refused_opening(kind: FaultKind, status: int) -> None:
    async with served(faults=[Fault(kind, seconds=7)]) as server:
        with pytest.raises(InvalidStatus) as caught:
            async with socket(server):
                pass
        assert caught.value.response.status_code == status
        assert caught.value.response.headers.get("Retry-After") == ("7" if status == 429 else None)
        async with socket(server):
            pass


async def test_the_faults_of_a_stream() -> None:
    async def told(fault: Fault) -> list[str]:
        server.faults.add(fault)
        async with socket(server) as ws:
            await say(ws, text="abcdefgh", context_id="a", flush=True)
            await say(ws, context_id="a", close_context=True)
            texts = []
            try:
                while len(texts) < 12 and "isFinal" not in "".join(texts[-1:]):
                    texts.append(str(await asyncio.wait_for(ws.recv(), 0.3)))
            except (ConnectionClosed, TimeoutError) as error:
                texts.append(type(error).__name__)
        return texts

    async with served(message_ms=80) as server:
        cut = await told(Fault(FaultKind.CUT, after=2))
        assert len(cut) == 3
        assert cut[2] == "ConnectionClosedError"
        broken = await told(Fault(FaultKind.MALFORMED, after=1))
        assert len(broken) == 4 + 2 + 1
        with pytest.raises(ValueError, match=r"delimiter|Unterminated"):
            json.loads(broken[1])
        assert "not base64" in broken[2]
        half = await told(Fault(FaultKind.HALF_OPEN, after=1))
        assert len(half) == 2
        assert half[1] == "TimeoutError"
        twice = await told(Fault(FaultKind.DUPLICATE))
        assert len(twice) == 9
        assert twice[0] == twice[1]
        endless = await told(Fault(FaultKind.ENDLESS))
        assert len(endless) == 12
        assert endless[3] == endless[-1]
        slow = await told(Fault(FaultKind.SLOW, seconds=0.4))
        assert slow == ["TimeoutError"]
        assert server.seen.counts["fault"] == 6
        assert server.open <= 2


def test_mu_law_is_that_of_the_standard() -> None:
    samples = np.asarray([0, 1, -1, 132, -132, 1_000, -1_000, 32_767, -32_768], "<i2")
    assert encoded(samples.tobytes(), "ulaw_8000").hex() == _reference(samples)
    assert encoded(samples.tobytes(), "pcm_8000") == samples.tobytes()


def _reference(samples: np.ndarray[Any, Any]) -> str:
    """Sample by sample, as ITU-T G.711 tells it."""
    out = bytearray()
    for sample in (int(s) for s in samples):
        sign = 0x80 if sample < 0 else 0
        magnitude = min(abs(sample), 32_635) + 132
        exponent = 7
        while exponent and not magnitude & (0x80 << exponent):
            exponent -= 1
        out.append(~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF)
    return out.hex()


async def test_the_embedded_voice_speaks_at_any_rate() -> None:
    voice = EmbeddedVoice()
    speech = await voice.speak("Good morning.", 16_000)
    assert 500 < speech.ms < 3_000
    assert len(speech.starts) == len("Good morning.")
    assert speech.starts[-1] + speech.durations[-1] == round(speech.ms)
    voice.close()
