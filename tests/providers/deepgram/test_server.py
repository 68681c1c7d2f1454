"""The local Deepgram speaks as Deepgram does: seen by the vendor's own SDK, and by a plain websocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from echostack.connectors.deepgram.link import Sdk
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.providers.faults import Fault, FaultKind

RATE = 16_000
SCRIPT = CodedScript.of("Hello there. | How are you?")
ASKED = {
    "model": "nova-3", "encoding": "linear16", "sample_rate": "16000", "interim_results": "true",
    "endpointing": "300", "utterance_end_ms": "1000", "vad_events": "true", "punctuate": "true",
}  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[DeepgramServer]:
    async with DeepgramServer(SCRIPT, idle_seconds=0.3) as running:
        assert isinstance(running, DeepgramServer)
        yield running


class Socket:
    """A plain websocket to the server, without the SDK."""

    def __init__(self, server: DeepgramServer, key: str = "Token k", **asked: Any) -> None:
        self._server, self._key = server, key
        self._asked = {**ASKED, **asked}

    async def __aenter__(self) -> Socket:
        self._session = aiohttp.ClientSession()
        headers = {"Authorization": self._key} if self._key else {}
        params = {name: value for name, value in self._asked.items() if value is not None}
        try:
            self.ws = await self._session.ws_connect(
                self._server.url + "/v1/listen", params=params, headers=headers, autoping=False
            )
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.ws.close()
        await self._session.close()

    async def send(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def all(self) -> list[dict[str, Any]]:
        """Every message until the server closes."""
        found = []
        async with asyncio.timeout(5):
            async for message in self.ws:
                found.append(json.loads(message.data))
        return found


def results(messages: list[dict[str, Any]], *, final: bool) -> list[str]:
    return [
        m["channel"]["alternatives"][0]["transcript"]
        for m in messages
        if m["type"] == "Results" and m["is_final"] is final
    ]


async def test_audio_becomes_interim_and_final_results_with_words(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE, tail=1.5))
        await client.send(type="CloseStream")
        messages = await client.all()
    assert [t for t in results(messages, final=True) if t] == ["Hello there.", "How are you?"]
    assert "Hello" in results(messages, final=False)
    first = next(m for m in messages if m["type"] == "Results" and m["is_final"])
    assert (first["start"], first["duration"], first["speech_final"], first["from_finalize"]) == (0, 0.94, True, False)
    assert first["channel"]["alternatives"][0]["words"][0] == {
        "word": "hello", "start": 0.2, "end": 0.4, "confidence": 0.99, "punctuated_word": "Hello",
    }  # fmt: skip
    assert [m["timestamp"] for m in messages if m["type"] == "SpeechStarted"] == [0.2, 1.68]
    assert [m["last_word_end"] for m in messages if m["type"] == "UtteranceEnd"] == [0.64, 2.36]
    assert messages[-1]["type"] == "Metadata"
    assert messages[-1]["duration"] == pytest.approx(len(SCRIPT.audio(RATE, tail=1.5)) / 2 / RATE)


async def test_results_follow_each_other_without_a_gap(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE))
        await client.send(type="CloseStream")
        messages = await client.all()
    at = 0.0
    for message in messages:
        if message["type"] == "Results":
            assert message["start"] == pytest.approx(at)
            at += message["duration"] if message["is_final"] else 0.0
    assert at == pytest.approx(messages[-1]["duration"])


@pytest.mark.parametrize("size", [2, 640, 6400, 33_333])
async def test_the_size_of_messages_changes_nothing(server: DeepgramServer, size: int) -> None:
    pcm = SCRIPT.audio(RATE)[: 3 * RATE]
    async with Socket(server) as client:
        if size == 2:
            pcm = pcm[: RATE // 2]
        for at in range(0, len(pcm), size):
            await client.ws.send_bytes(pcm[at : at + size])
        await client.send(type="CloseStream")
        messages = await client.all()
    assert messages[-1]["duration"] == pytest.approx(len(pcm) / 2 / RATE, abs=1e-4)


async def test_without_features_there_are_only_final_results_in_plain_words(server: DeepgramServer) -> None:
    asked = {"interim_results": None, "utterance_end_ms": None, "vad_events": None, "punctuate": None}
    async with Socket(server, **asked) as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE))
        await client.send(type="CloseStream")
        messages = await client.all()
    assert {m["type"] for m in messages} == {"Results", "Metadata"}
    assert results(messages, final=False) == []
    assert [t for t in results(messages, final=True) if t] == ["hello there", "how are you"]
    assert "punctuated_word" not in str(messages)


async def test_finalize_settles_what_was_said_at_once(server: DeepgramServer) -> None:
    async with Socket(server, endpointing="5000") as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE)[: round(0.7 * RATE) * 2])
        await client.send(type="Finalize")
        await client.send(type="Finalize")  # there is nothing more to settle
        await client.send(type="CloseStream")
        messages = await client.all()
    settled = [m for m in messages if m["type"] == "Results" and m["from_finalize"]]
    assert results(settled, final=True) == ["Hello there."]
    assert server.seen.counts["finalize"] == 2


async def test_silence_of_the_client_closes_the_connection_with_net_0001(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        assert await client.all() == []
        assert client.ws.close_code == 1011
    assert (await server.seen.until("fault")).data == {"kind": "NET-0001"}


async def test_keep_alive_keeps_it_open(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        for _ in range(5):
            await asyncio.sleep(0.1)
            await client.send(type="KeepAlive")
        await client.send(type="CloseStream")
        assert [m["type"] for m in await client.all()] == ["Metadata"]
        assert client.ws.close_code == 1000
    assert server.seen.counts["keep alive"] == 5


async def test_an_empty_message_of_audio_ends_the_stream(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        await client.ws.send_bytes(b"")
        assert [m["type"] for m in await client.all()] == ["Metadata"]


async def test_what_is_no_command_is_answered_with_an_error_frame(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        for text in ("not json", "[]", '{"type": "Dance"}', "5"):
            await client.ws.send_str(text)
        await client.send(type="CloseStream")
        messages = await client.all()
    assert [m["type"] for m in messages] == ["Error"] * 4 + ["Metadata"]
    assert messages[0]["variant"] == "SchemaError"
    assert messages[0]["message"] == "not json"


async def test_configure_is_answered(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        await client.send(type="Configure", keyterms=["EchoStack"])
        await client.send(type="CloseStream")
        assert (await client.all())[0] == {"type": "ConfigureSuccess", "request_id": "", "keyterms": ["EchoStack"]}
    async with Socket(server, model="nova-2") as client:
        await client.send(type="Configure", keyterms=["EchoStack"])
        await client.send(type="CloseStream")
        assert (await client.all())[0]["code"] == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ({"key": ""}, 401, "Invalid credentials."),
        ({"key": "Token "}, 401, "Invalid credentials."),
        ({"model": "nova-33"}, 400, "No such model/language/tier combination found."),
        ({"language": "!"}, 400, "No such model/language/tier combination found."),
        ({"encoding": "opus"}, 400, "encoding=linear16 only"),
        ({"encoding": None}, 400, "raw audio only"),
        ({"sample_rate": None}, 400, "sample_rate is needed"),
        ({"sample_rate": "4000"}, 400, "sample_rate is a whole number from 8000 to 48000, not '4000'"),
        ({"interim_results": "maybe"}, 400, "interim_results is true or false, not 'maybe'"),
        ({"interim_results": "false"}, 400, "utterance_end_ms needs interim_results=true"),
        ({"utterance_end_ms": "500"}, 400, "utterance_end_ms is a whole number from 1000 to 5000"),
        ({"endpointing": "-1"}, 400, "endpointing is a whole number"),
        ({"keyterm": "x", "model": "nova-2"}, 400, "keyterm is a feature of nova-3 models"),
        ({"multichannel": "true"}, 400, "does not tell channels apart"),
        ({"colour": "red"}, 400, "unknown query parameter 'colour'"),
    ],
)
async def test_a_bad_request_is_refused_in_words(
    server: DeepgramServer, asked: dict[str, Any], status: int, why: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with Socket(server, **asked):
            pass
    assert refused.value.status == status
    assert refused.value.headers is not None
    assert why in refused.value.headers["dg-error"]
    assert refused.value.headers["dg-request-id"]
    assert server.open == 0


@pytest.mark.parametrize(
    ("fault", "status"),
    [(FaultKind.UNAUTHORISED, 401), (FaultKind.RATE_LIMITED, 429), (FaultKind.UNAVAILABLE, 503)],
)
async def test_faults_before_the_stream_are_http_answers(server: DeepgramServer, fault: FaultKind, status: int) -> None:
    server.faults.add(Fault(fault, seconds=7))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with Socket(server):
            pass
    assert refused.value.status == status
    assert refused.value.headers is not None
    assert refused.value.headers.get("Retry-After") == ("7" if status == 429 else None)


async def test_a_half_open_connection_takes_audio_and_answers_nothing_not_even_pings(server: DeepgramServer) -> None:
    server.faults.add(Fault(FaultKind.HALF_OPEN))
    async with Socket(server) as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE))
        await client.ws.ping()
        with pytest.raises(TimeoutError):
            await client.ws.receive(timeout=0.2)
    await server.seen.until("cancelled")
    assert server.seen.of("sent") == []


async def test_a_ping_is_answered(server: DeepgramServer) -> None:
    async with Socket(server) as client:
        await client.ws.ping(b"there?")
        answer = await client.ws.receive(timeout=1)
    assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_a_key_is_tried_by_the_sdk(server: DeepgramServer) -> None:
    sdk = Sdk()
    async with sdk.http_client() as http:
        client = sdk.client(server.url, "k", http)
        assert (await client.manage.v1.projects.list()).projects[0].name == "local"
        server.faults.add(Fault(FaultKind.UNAUTHORISED))
        with pytest.raises(sdk.api_error, match="INVALID_AUTH"):
            await client.manage.v1.projects.list()


async def test_stopping_ends_what_is_under_way() -> None:
    server = DeepgramServer(SCRIPT)
    await server.start()
    async with Socket(server) as client:
        await client.ws.send_bytes(SCRIPT.audio(RATE))
        await server.seen.until("received")
        assert server.open == 1
        await server.stop()
        assert server.open == 0
        await server.stop()


async def test_it_says_how_to_be_reached(server: DeepgramServer) -> None:
    assert server.environment == {"DEEPGRAM_BASE_URL": server.url, "DEEPGRAM_API_KEY": "local"}
    assert "local" not in str(server.seen.sightings)
