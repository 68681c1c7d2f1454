"""``deepgram.stt`` when the connection or Deepgram fails: no word lost, none said twice, and an end when there is no
help. The caller's words are written into the audio, so that what became of each is known to the sample."""

from __future__ import annotations

import asyncio
import random

import pytest
from aiohttp import WSMsgType, web

from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, SpeechStopped, Text
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.providers.faults import Fault, FaultKind
from echostack.registry.context import Out
from tests.connectors.deepgram.line import RATE, Call

SCRIPT = CodedScript.of(
    "Hello there. | I would like to book a table for two people tomorrow evening at eight please. | Thank you."
)
TURNS = [
    "Hello there.",
    "I would like to book a table for two people tomorrow evening at eight please.",
    "Thank you.",
]


async def heard(*faults: Fault, script: CodedScript = SCRIPT, **how: object) -> tuple[Call, DeepgramServer]:
    async with (
        DeepgramServer(script, faults=faults) as server,
        Call(server, **how) as call,
    ):
        await call.line.say(script.audio(RATE))
        await call.ended(10.0)
    return call, server


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "kind", [FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.MALFORMED, FaultKind.DUPLICATE, FaultKind.ENDLESS]
)
async def test_no_word_is_lost_and_none_said_twice(kind: FaultKind, after: int) -> None:
    call, server = await heard(Fault(kind, after=after), stall_s=0.3)
    assert call.failure is None
    assert call.said == TURNS
    assert " ".join(s.text for s in call.segments) == " ".join(TURNS)
    assert server.seen.counts["fault"] == 1
    again = kind in (FaultKind.CUT, FaultKind.HALF_OPEN)
    assert server.seen.counts["opened"] == (2 if again else 1)


async def test_a_late_answer_is_waited_for() -> None:
    call, server = await heard(Fault(FaultKind.SLOW, seconds=0.2))
    assert call.said == TURNS
    assert server.seen.counts["opened"] == 1


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.UNAVAILABLE])
async def test_a_server_without_room_is_asked_again(kind: FaultKind) -> None:
    call, server = await heard(Fault(kind, seconds=0.15, times=2))
    assert call.said == TURNS
    assert server.seen.counts["opened"] == 3
    opened = [s.time for s in server.seen.of("opened")]
    if kind is FaultKind.RATE_LIMITED:  # its hint is followed
        assert opened[1] - opened[0] >= 0.15
        assert opened[2] - opened[1] >= 0.15


async def test_connections_that_are_cut_again_and_again_lose_nothing() -> None:
    call, server = await heard(*(Fault(FaultKind.CUT, after=n) for n in (1, 4, 0, 6)))
    assert call.failure is None
    assert call.said == TURNS
    assert server.seen.counts["opened"] == 5


async def test_the_times_of_words_survive_a_new_connection() -> None:
    whole, _ = await heard()
    cut, _ = await heard(Fault(FaultKind.CUT, after=4))
    assert [(t.start, t.end) for t in cut.texts] == [(t.start, t.end) for t in whole.texts]
    for a, b in zip(cut.texts, whole.texts, strict=True):
        for x, y in zip(a.words, b.words, strict=True):
            assert (x.text, x.start_ms) == (y.text, pytest.approx(y.start_ms, abs=0.1))
    assert [o.cause.seq for o in cut.outs if o.cause and o.payload in cut.texts] == [
        o.cause.seq for o in whole.outs if o.cause and o.payload in whole.texts
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_a_cut_at_any_place_of_any_word_loses_nothing(seed: int) -> None:
    dice = random.Random(seed)
    pcm = SCRIPT.audio(RATE)
    async with DeepgramServer(SCRIPT) as server, Call(server) as call:
        at = 0
        for _ in range(3):
            to = min(len(pcm), at + 2 * dice.randrange(RATE // 4, 2 * RATE))
            await call.line.say(pcm[at:to])
            at = to
            await server.seen.until("opened")
            server.break_connections()
        await call.line.say(pcm[at:])
        await call.ended(10.0)
    assert call.failure is None
    assert call.said == TURNS


async def test_words_that_were_settled_before_a_cut_end_their_turn_after_it() -> None:
    # The cut falls into the silence behind the words, and the new connection hears nothing but silence.
    script = CodedScript.of(" ".join(["word"] * 20))
    async with DeepgramServer(script, longest=5.0) as server, Call(server, endpointing_ms=10_000) as call:
        await call.line.say(script.audio(RATE, tail=0.1))
        await call.until(lambda: bool(call.segments))
        server.break_connections()
        await server.seen.until("opened", 2)
        await call.line.say(bytes(2 * 3 * RATE))
        await call.until(lambda: bool(call.texts))
    assert call.said == [" ".join(["word"] * 20)]
    assert call.texts[0].ended_by == "recogniser"


async def test_a_connection_that_takes_audio_and_says_nothing_of_it_is_as_good_as_none() -> None:
    async with (
        DeepgramServer(SCRIPT, interim_every=100.0, longest=100.0) as server,
        Call(server, stall_s=0.3, endpointing_ms=10_000, outage_s=0.5) as call,
    ):
        while not call.over.is_set():
            await call.line.say(bytes(2 * RATE // 10))
    assert isinstance(call.failure, ConnectorFailure)
    assert "has not answered for 0.3 s while audio was sent" in str(call.failure)


async def test_a_half_open_connection_costs_no_more_than_the_stall_time() -> None:
    async with (
        DeepgramServer(SCRIPT, faults=[Fault(FaultKind.HALF_OPEN, after=1)]) as server,
        Call(server, stall_s=0.25) as call,
    ):
        await call.line.say(SCRIPT.audio(RATE), speed=4.0)
        await server.seen.until("opened", 2)
        half_open = server.seen.of("fault")[0].time
        assert server.seen.of("opened")[1].time - half_open < 0.25 + 0.3
        await call.ended(10.0)
    assert call.said == TURNS


@pytest.mark.parametrize(
    ("fault", "message", "retryable"),
    [
        (
            Fault(FaultKind.UNAUTHORISED),
            "deepgram.stt: Deepgram does not take the key (401: Invalid credentials): "
            "put a valid one into DEEPGRAM_API_KEY or api_key",
            False,
        ),
        (
            Fault(FaultKind.RATE_LIMITED, seconds=60),
            "deepgram.stt: {where} has no room for another stream (429: Too many requests. Please try again later), "
            "and there has been no answer for 0.0 s: check the network and https://status.deepgram.com",
            True,
        ),
    ],
)
async def test_what_waiting_cannot_mend_fails_at_once(fault: Fault, message: str, retryable: bool) -> None:
    async with DeepgramServer(SCRIPT, faults=[fault]) as server, Call(server) as call:
        async with call.clock.timeout(2.0):
            await call.over.wait()
        where = f"127.0.0.1:{server.port}"
    assert isinstance(call.failure, ConnectorFailure)
    assert str(call.failure) == message.format(where=where)
    assert call.failure.retryable is retryable
    assert call.failure.retry_after == (60 if retryable else None)
    assert server.seen.counts["opened"] == 1


async def test_settings_that_deepgram_does_not_know_are_quoted_from_it() -> None:
    async with DeepgramServer(SCRIPT) as server, Call(server, model="nova-33") as call, call.clock.timeout(2.0):
        await call.over.wait()
    assert str(call.failure) == (
        "deepgram.stt: Deepgram does not take the settings (400: Bad Request: No such model/language/tier combination "
        "found): look at model, language, keyterms and sample_rate"
    )


async def test_a_server_that_is_not_there_fails_in_time_for_a_fallback() -> None:
    async with DeepgramServer(SCRIPT) as server:
        url = server.url
    async with Call(None, base_url=url, outage_s=0.3) as call:
        begun = call.clock.now()
        await call.over.wait()
        assert call.clock.now() - begun < 1.0
    assert isinstance(call.failure, ConnectorFailure)
    assert call.failure.retryable
    assert str(call.failure).startswith(f"deepgram.stt: {url.removeprefix('http://')} cannot be reached: ")


async def test_a_server_that_goes_in_the_middle_of_a_turn_leaves_the_words_so_far() -> None:
    script = CodedScript.of(" ".join(["word"] * 30))
    async with Call(None, base_url="http://127.0.0.1:9", outage_s=0.2) as nowhere:
        await nowhere.over.wait()
    assert nowhere.said == []
    server = DeepgramServer(script)
    await server.start()
    async with Call(server, outage_s=0.2) as call:
        await call.line.say(script.audio(RATE, tail=0.0)[: round(6.0 * RATE) * 2])
        await call.until(lambda: bool(call.segments))
        await server.stop()
        await call.over.wait()
    assert isinstance(call.failure, ConnectorFailure)
    assert call.said == [call.segments[0].text]
    segment = next(o for o in call.outs if o.payload is call.segments[0])
    text = next(o for o in call.outs if o.payload is call.texts[0])
    # The audio behind these words is still to be recognised: the cause tells a fallback where to go on.
    assert text.cause is segment.cause


async def test_too_many_lost_connections_are_a_failure() -> None:
    call, server = await heard(Fault(FaultKind.CUT, after=1, times=0), reconnects=3)
    assert str(call.failure) == (
        f"deepgram.stt: 4 connections to 127.0.0.1:{server.port} were lost within 60 s; the last broke"
    )
    assert server.seen.counts["opened"] == 4


async def test_audio_beyond_what_is_held_is_counted_and_told() -> None:
    async with (
        DeepgramServer(SCRIPT, faults=[Fault(FaultKind.RATE_LIMITED, seconds=0.5)]) as server,
        Call(server, hold_s=1.0) as call,
    ):
        call.line.put(AudioFrame(bytes(2 * RATE), RATE))
        await call.line.say(bytes(2 * RATE * 2), speed=0)
        await server.seen.until("received")
        await call.ended()
    assert call.failure is None
    lost = [fields["seconds"] for message, fields in call.context.logs if "lost audio" in message]
    assert lost == [2.0]
    assert call.billed == pytest.approx(1.0)


async def test_a_stream_that_never_ends_does_not_hold_up_the_end_of_the_call() -> None:
    async with (
        DeepgramServer(SCRIPT, faults=[Fault(FaultKind.SLOW, seconds=30)]) as server,
        Call(server, stall_s=20.0) as call,
    ):
        await call.line.say(SCRIPT.audio(RATE))
        begun = call.clock.now()
        await call.ended()
        assert call.clock.now() - begun < 3.0
    assert str(call.failure) == (
        f"deepgram.stt: 127.0.0.1:{server.port} has not given its last results within 2 s, and the call ended before "
        "it answered once: check the network and https://status.deepgram.com"
    )


async def test_a_call_that_ends_while_there_is_no_room_does_not_wait_for_it_and_tells_what_was_not_heard() -> None:
    script = CodedScript.of("Hello there.")
    async with DeepgramServer(script) as server, Call(server, outage_s=60) as call:
        await call.line.say(script.audio(RATE))
        await call.until(lambda: bool(call.texts))
        server.faults.add(Fault(FaultKind.RATE_LIMITED, seconds=20, times=0))
        server.break_connections()
        await server.seen.until("opened", 2)
        await call.line.say(bytes(2 * RATE), speed=0)
        begun = call.clock.now()
        await call.ended()
        assert call.clock.now() - begun < 2.5
    assert call.failure is None
    message, fields = call.context.logs[-1]
    assert message == "deepgram.stt lost the end of the audio: no results came for it in time"
    assert fields["seconds"] >= 1.0


async def test_a_call_that_ends_before_deepgram_answered_once_has_failed() -> None:
    async with (
        DeepgramServer(SCRIPT, faults=[Fault(FaultKind.RATE_LIMITED, seconds=20, times=0)]) as server,
        Call(server, outage_s=60) as call,
    ):
        await server.seen.until("opened")
        await call.line.say(bytes(2 * RATE), speed=0)
        begun = call.clock.now()
        await call.ended()
        assert call.clock.now() - begun < 2.5
    assert isinstance(call.failure, ConnectorFailure)
    assert not call.failure.retryable
    assert str(call.failure) == (
        f"deepgram.stt: 127.0.0.1:{server.port} has no room for another stream (429: Too many requests. Please try "
        "again later), and the call ended before it answered once: check the network and https://status.deepgram.com"
    )


async def test_the_end_of_speech_that_a_cut_connection_was_told_of_is_told_to_the_next_one() -> None:
    script = CodedScript.of("Hello there.")
    async with (
        DeepgramServer(script, interim_every=100, longest=100, faults=[Fault(FaultKind.CUT)]) as server,
        Call(server, stall_s=5.0, endpointing_ms=10_000, utterance_end_ms=5000) as call,
    ):
        await call.line.say(script.audio(RATE, tail=0.1))
        call.line.put(SpeechStopped(0.0))
        await call.until(lambda: bool(call.texts), 2.0)
        assert server.seen.counts["finalize"] == 2
    assert call.said == ["Hello there."]
    assert call.texts[0].ended_by == "silence"


async def test_an_answer_that_waits_for_us_is_no_reason_to_give_the_connection_up() -> None:
    script = CodedScript.of(" | ".join(["word"] * 90), seconds=0.1, gap=0.0)
    async with DeepgramServer(script, interim_every=0.2) as server:
        call = Call(server, stall_s=0.3)
        words = 0
        call.line.put(AudioFrame(script.audio(RATE), RATE))
        async for out in call.stt.run(call.line):
            assert isinstance(out, Out)
            if isinstance(out.payload, Text):
                words += 1
            if words == 1:
                await call.line.say(bytes(2 * RATE), speed=1.0)
                words += 1
                call.line.end()
        assert words == 91
        assert server.seen.counts["opened"] == 1


async def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, Call(None, base_url=f"http://127.0.0.1:{port}", connect_s=0.2, outage_s=0.3) as call:
        await call.until(call.over.is_set, 3.0)
    assert f"deepgram.stt: 127.0.0.1:{port} did not answer within 0.2 s" in str(call.failure)


async def test_what_answers_is_no_deepgram() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(web, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, Call(None, base_url=f"http://127.0.0.1:{port}", outage_s=0.1) as call:
        await call.until(call.over.is_set, 3.0)
    assert str(call.failure) == (f"deepgram.stt: 127.0.0.1:{port} refuses the connection (200)")


async def test_a_stream_that_is_closed_in_good_order_is_over_without_an_account_of_it() -> None:
    opened: list[str] = []

    async def listen(request: web.Request) -> web.WebSocketResponse:
        opened.append(request.path)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT and "CloseStream" in message.data:
                break
        return socket

    application = web.Application()
    application.router.add_get("/v1/listen", listen)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Call(None, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}") as call:
            await call.line.say(bytes(640))
            await call.ended()
    finally:
        await runner.cleanup()
    assert call.failure is None
    assert opened == ["/v1/listen"]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (
            "127.0.0.1:9",
            "nothing listens there: see that the address is right, and that the service runs",
        ),
        (
            "nobody.invalid",
            "no host of that name is known: see that the address is right, and that there is a network",
        ),
    ],
)
async def test_an_address_without_anybody_fails_at_once_in_a_choice_and_is_waited_for_without_one(
    address: str, why: str
) -> None:
    async with Call(None, base_url=f"http://{address}", choice="a ?? b", outage_s=60) as call:
        await call.until(call.over.is_set, 1.5)
    assert isinstance(call.failure, ConnectorFailure)
    assert str(call.failure) == f"deepgram.stt: {address} cannot be reached: {why}"
    assert call.failure.retryable

    # Openings that fail are no connections lost: none of them is too many.
    async with Call(None, base_url=f"http://{address}", outage_s=0.6, reconnects=0) as call:
        begun = call.clock.now()
        await call.until(call.over.is_set, 3.0)
        assert call.clock.now() - begun > 0.2
    assert str(call.failure).startswith(f"deepgram.stt: {address} cannot be reached: {why}, and there has been no ans")


async def test_a_server_that_has_been_there_is_waited_for_in_a_choice_as_well() -> None:
    server = DeepgramServer(SCRIPT)
    await server.start()
    async with Call(server, choice="a ?? b", outage_s=0.4) as call:
        await server.seen.until("opened")
        await call.line.say(bytes(RATE), speed=0)
        await server.stop()
        gone = call.clock.now()
        await call.until(call.over.is_set, 3.0)
        assert call.clock.now() - gone > 0.15
    assert "and there has been no answer for" in str(call.failure)
