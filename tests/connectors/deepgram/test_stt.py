"""``deepgram.stt`` with the vendor's own SDK against the local Deepgram: what is said, when, and by what cause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.deepgram.stt import DeepgramStt
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, SpeechStopped, Text, TextPartial, TextSegment, Usage
from echostack.providers.deepgram.ears import CodedScript
from echostack.providers.deepgram.server import DeepgramServer
from echostack.registry.declare import spec_of
from tests.connectors.deepgram.line import KEY, RATE, Call
from tests.connectors.harness import FakeContext

TWO_TURNS = CodedScript.of("Hello there. | How are you today?")
LONG = CodedScript.of(" ".join(f"word{n}" for n in range(120)))


@pytest.fixture
async def server() -> AsyncIterator[DeepgramServer]:
    async with DeepgramServer(TWO_TURNS) as running:
        assert isinstance(running, DeepgramServer)
        yield running


def silence(seconds: float, rate: int = RATE) -> bytes:
    return bytes(2 * round(seconds * rate))


async def heard(server: DeepgramServer, script: CodedScript, **how: object) -> Call:
    async with Call(server, **how) as call:
        await call.line.say(script.audio(RATE))
        await call.ended()
    assert call.failure is None
    return call


async def test_each_turn_is_one_text_and_its_pieces_are_segments(server: DeepgramServer) -> None:
    call = await heard(server, TWO_TURNS)
    assert call.said == ["Hello there.", "How are you today?"]
    assert [s.text for s in call.segments] == ["Hello there.", "How are you today?"]
    first, second = call.texts
    assert (first.start, first.end, first.language, first.ended_by) == (0.2, 0.64, "en", "recogniser")
    assert (second.start, second.end) == (1.68, 2.6)
    assert [(w.text, w.start_ms, w.end_ms) for w in first.words] == [("Hello", 0.0, 200.0), ("there.", 240.0, 440.0)]
    assert first.confidence == pytest.approx(0.99)


async def test_what_is_said_comes_in_order_with_partials_that_grow(server: DeepgramServer) -> None:
    call = await heard(server, TWO_TURNS)
    kinds = [type(out.payload) for out in call.outs]
    assert kinds.index(TextPartial) < kinds.index(TextSegment) < kinds.index(Text) < kinds.index(Usage)
    assert kinds[kinds.index(Text) - 1] is TextSegment
    turn = [p.text for p in call.partials if p.start == call.texts[1].start]
    assert turn == ["How are", "How are you today?"]
    assert all(b.startswith(a) for a, b in pairwise(turn))


async def test_the_cause_is_the_frame_that_completed_it(server: DeepgramServer) -> None:
    call = await heard(server, TWO_TURNS)
    for out in call.outs:
        assert out.cause in call.line.sent
    segment = next(out for out in call.outs if isinstance(out.payload, TextSegment))
    # Endpointing decides 300 ms after the last word, at 0.94 s: that is the 47th frame of 20 ms.
    assert segment.cause is call.line.sent[46]
    assert next(out.cause for out in call.outs if isinstance(out.payload, Text)) is segment.cause


async def test_a_turn_longer_than_a_result_is_told_whole_at_its_end() -> None:
    async with DeepgramServer(LONG) as server:
        call = await heard(server, LONG)
    assert call.said == [" ".join(w.text for w in LONG.words)]
    assert len(call.segments) > 4
    assert " ".join(s.text for s in call.segments) == call.said[0]
    assert len(call.texts[0].words) == 120
    for word, spoken in zip(call.texts[0].words, LONG.words, strict=True):
        assert word.start_ms == pytest.approx((spoken.start - LONG.words[0].start) * 1000, abs=0.01)


async def test_partials_show_the_whole_turn_so_far() -> None:
    async with DeepgramServer(LONG) as server:
        call = await heard(server, LONG)
    assert call.partials[-1].text.startswith("word0 word1 word2")
    assert all(p.start == call.texts[0].start for p in call.partials)


async def test_every_language_of_words_comes_through() -> None:
    words = "Grüße aus 東京 — naïve café, что? 👋 שלום"
    script = CodedScript.of(words)
    async with DeepgramServer(script) as server:
        call = await heard(server, script, language="multi")
    assert call.said == [words]
    assert call.texts[0].language == ""


@pytest.mark.parametrize("audio", [b"", silence(3.0), b"\0", silence(1 / RATE)], ids=["none", "silent", "torn", "one"])
async def test_audio_without_speech_gives_no_text(server: DeepgramServer, audio: bytes) -> None:
    async with Call(server) as call:
        await call.line.say(audio)
        await call.ended()
    assert call.failure is None
    assert [o.payload for o in call.outs if not isinstance(o.payload, Usage)] == []


async def test_a_call_that_ends_in_the_middle_of_a_word_keeps_the_words_before_it(server: DeepgramServer) -> None:
    async with Call(server) as call:
        await call.line.say(TWO_TURNS.audio(RATE)[: round(2.0 * RATE) * 2])
        await call.ended()
    assert call.said == ["Hello there.", "How"]
    assert call.texts[-1].ended_by == "end_of_audio"


@pytest.mark.parametrize(("rate", "channels", "ms"), [(8_000, 1, 20), (48_000, 1, 10), (16_000, 2, 7.3)])
async def test_the_line_s_own_rate_is_what_is_sent(rate: int, channels: int, ms: float) -> None:
    script = CodedScript.of("Yes please.")
    pcm = np.frombuffer(script.audio(rate), "<i2").repeat(channels)
    async with DeepgramServer(script) as server, Call(server, sample_rate=rate) as call:
        size = round(rate * ms / 1000) * channels
        for at in range(0, len(pcm), size):
            call.line.put(AudioFrame(pcm[at : at + size].tobytes(), rate, channels))
            await asyncio.sleep(0)
        await call.ended()
    assert call.said == ["Yes please."]
    assert ["sample_rate", str(rate)] in server.seen.of("opened")[0].data["query"]


async def test_audio_at_another_rate_than_was_asked_for_is_converted() -> None:
    script = CodedScript.of("Yes please.", seconds=0.3)
    async with DeepgramServer(script) as server, Call(server) as call:
        await call.line.say(script.audio(48_000), rate=48_000)
        await call.until(lambda: server.seen.counts.get("received", 0) > 0)
        await call.ended()
    assert call.billed == pytest.approx(len(script.audio(16_000)) / 32_000, abs=0.02)


async def test_the_settings_are_what_is_asked_for(server: DeepgramServer) -> None:
    async with Call(
        server, model="nova-3-medical", language="en-GB", endpointing_ms=450, utterance_end_ms=1500,
        keyterms=("EchoStack", "Harbour Kitchen"), smart_format=True, numerals=True, profanity_filter=True,
        redact=("pci",), mip_opt_out=True,
    ) as call:  # fmt: skip
        await call.ended()
    assert sorted(map(tuple, server.seen.of("opened")[0].data["query"])) == [
        ("channels", "1"), ("encoding", "linear16"), ("endpointing", "450"), ("interim_results", "true"),
        ("keyterm", "EchoStack"), ("keyterm", "Harbour Kitchen"), ("language", "en-GB"), ("mip_opt_out", "true"),
        ("model", "nova-3-medical"), ("numerals", "true"), ("profanity_filter", "true"), ("punctuate", "true"),
        ("redact", "pci"), ("sample_rate", "16000"), ("smart_format", "true"), ("utterance_end_ms", "1500"),
    ]  # fmt: skip


async def test_noise_that_hides_the_silence_does_not_keep_a_turn_open() -> None:
    # Endpointing of 10 s never comes: the word timing ends the turn, as it does where noise goes on.
    async with DeepgramServer(TWO_TURNS) as server, Call(server, endpointing_ms=10_000) as call:
        await call.line.say(CodedScript.of("Hello there.").audio(RATE, tail=9.0))
        await call.until(lambda: bool(call.texts))
        assert call.said == ["Hello there."]
        assert call.texts[0].ended_by == "recogniser"


async def test_speech_stopped_has_what_was_said_settled_at_once(server: DeepgramServer) -> None:
    async with Call(server, endpointing_ms=5000) as call:
        await call.line.say(CodedScript.of("Hello there.").audio(RATE, tail=0.0))
        call.line.put(SpeechStopped(at=0.64))
        await call.until(lambda: bool(call.texts))
        assert server.seen.counts["finalize"] == 1
        assert call.said == ["Hello there."]
        assert call.texts[0].ended_by == "silence"
        call.line.put(SpeechStopped(at=0.64))  # nothing has been said since
        await call.line.say(silence(0.1))
        await call.ended()
    assert call.said == ["Hello there."]


async def test_words_are_not_held_back_when_audio_stops_coming(server: DeepgramServer) -> None:
    async with Call(server, utterance_end_ms=1000, keepalive_s=1.2) as call:
        await call.line.say(CodedScript.of("Hello there.").audio(RATE, tail=0.0))
        await call.until(lambda: bool(call.texts))
    assert call.said == ["Hello there."]
    assert call.texts[0].ended_by == "silence"
    assert call.texts[0].waited_ms > 900


async def test_the_words_are_settled_in_time_although_the_connection_is_kept_alive_more_often(
    server: DeepgramServer,
) -> None:
    async with Call(server, utterance_end_ms=1000, keepalive_s=0.2) as call:
        await call.line.say(CodedScript.of("Hello there.").audio(RATE, tail=0.0))
        await call.until(lambda: bool(call.texts), 2.0)
        assert server.seen.counts["keep alive"] >= 3
    assert call.said == ["Hello there."]
    assert call.texts[0].ended_by == "silence"


async def test_waited_ms_is_the_time_since_the_last_word(server: DeepgramServer) -> None:
    async with Call(server, endpointing_ms=300) as call:
        await call.until(lambda: server.seen.counts.get("opened", 0) > 0 or True)
        await server.seen.until("opened")
        begun = call.clock.now()
        await call.line.say(CodedScript.of("Hi.", start=0.1).audio(RATE, tail=0.6), speed=1.0)
        await call.until(lambda: bool(call.texts))
        (text,) = call.texts
        assert text.start == pytest.approx(begun + 0.1, abs=0.06)
        assert text.end == pytest.approx(begun + 0.3, abs=0.06)
        told = call.times[[type(o.payload) for o in call.outs].index(Text)]
        assert text.waited_ms == pytest.approx((told - text.end) * 1000, abs=20)
        assert 300 <= text.waited_ms < 500
        await call.ended()


async def test_the_connection_is_kept_alive_while_no_audio_comes() -> None:
    async with DeepgramServer(TWO_TURNS, idle_seconds=0.25) as server:
        async with Call(server, keepalive_s=0.08) as call:
            await server.seen.until("keep alive", 6)
            await call.line.say(TWO_TURNS.audio(RATE))
            await call.ended()
        assert call.said == ["Hello there.", "How are you today?"]
        assert server.seen.counts["opened"] == 1
        assert "fault" not in server.seen.counts


async def test_the_stream_is_closed_with_its_last_words_awaited(server: DeepgramServer) -> None:
    async with Call(server) as call:
        await call.line.say(TWO_TURNS.audio(RATE, tail=0.0), speed=0)
        await call.ended()
    assert call.said == ["Hello there.", "How are you today?"]
    assert server.seen.of("close stream")[0].data["seconds"] == 2.6
    await server.seen.until("closed")
    assert server.seen.of("cancelled") == []


async def test_a_file_at_once_is_understood_like_a_call(server: DeepgramServer) -> None:
    async with Call(server) as call:
        call.line.put(AudioFrame(TWO_TURNS.audio(RATE), RATE))
        await call.ended()
    assert call.said == ["Hello there.", "How are you today?"]


async def test_what_was_used_is_told_with_each_turn_and_at_the_end(server: DeepgramServer) -> None:
    call = await heard(server, TWO_TURNS)
    kinds = [type(o.payload) for o in call.outs]
    used = [n for n, kind in enumerate(kinds) if kind is Usage]
    assert len(used) == 3
    assert kinds[used[0] - 1] is Text
    assert kinds[used[1] - 1] is Text
    assert call.billed == pytest.approx(len(TWO_TURNS.audio(RATE)) / 2 / RATE)
    assert call.of(Usage)[0].model == "nova-3"


async def test_one_connector_hears_one_call_after_another(server: DeepgramServer) -> None:
    stt = None
    for _ in range(2):
        async with Call(server) as call:
            stt = call.stt = stt or call.stt
            await call.line.say(TWO_TURNS.audio(RATE))
            await call.ended()
        assert call.said == ["Hello there.", "How are you today?"]


async def test_an_interruption_of_the_agent_disturbs_nothing(server: DeepgramServer) -> None:
    async with Call(server) as call:
        pcm = TWO_TURNS.audio(RATE)
        await call.line.say(pcm[: len(pcm) // 2])
        call.stt.interrupted()
        await call.line.say(pcm[len(pcm) // 2 :])
        await call.ended()
    assert call.said == ["Hello there.", "How are you today?"]
    assert server.seen.counts["opened"] == 1


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.01, 0.03, 0.1, 0.25])
async def test_cancelled_at_any_time_it_leaves_no_task_and_no_socket(server: DeepgramServer, seconds: float) -> None:
    before = asyncio.all_tasks()
    async with Call(server) as call:
        await call.stt.open()
        await asyncio.sleep(seconds)
        await call.line.say(TWO_TURNS.audio(RATE)[: round(seconds * RATE) * 2 * 10])
        call.task.cancel()
        await asyncio.wait([call.task])
    if server.seen.counts.get("opened"):
        await server.seen.until("closed")
    assert server.open == 0
    await asyncio.sleep(0.02)
    assert {t for t in asyncio.all_tasks() - before if "echostack" in repr(t) or "websockets" in repr(t)} == set()


async def test_a_consumer_that_is_slow_gets_every_word(server: DeepgramServer) -> None:
    said: list[str] = []
    async with Call(server) as call:
        call.line.put(AudioFrame(TWO_TURNS.audio(RATE), RATE))
        call.line.end()
        async for out in DeepgramStt(call.settings, call.context).run(call.line):
            await asyncio.sleep(0.02)
            payload = out.payload  # type: ignore[union-attr]
            said += [payload.text] if isinstance(payload, Text) else []
            if said == ["Hello there.", "How are you today?"]:
                break
    assert said == ["Hello there.", "How are you today?"]


async def test_without_a_key_it_says_where_to_get_one(server: DeepgramServer) -> None:
    async with Call(server, api_key="  ") as call:
        await call.ended()
    assert isinstance(call.failure, ConnectorFailure)
    assert str(call.failure) == (
        "deepgram.stt: there is no key: put one into DEEPGRAM_API_KEY or api_key; https://console.deepgram.com gives "
        "one"
    )
    assert not call.failure.retryable


async def test_the_key_is_in_no_log_and_no_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with DeepgramServer(TWO_TURNS) as server:
        call = await heard(server, TWO_TURNS)
        async with Call(server, model="base", language="!!") as refused:
            await refused.ended()
    assert refused.failure is not None
    told = (
        caplog.text
        + repr(call.context.logs)
        + repr(refused.failure)
        + repr(call.settings)
        + repr(server.seen.sightings)
    )
    assert "Authorization" in caplog.text
    assert KEY not in told


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"base_url": "wss://api.deepgram.com"}, "base_url is an http:// or https:// address"),
        ({"base_url": "https://key@api.deepgram.com"}, "the key goes into api_key"),
        ({"model": "nova-2", "keyterms": ["x"]}, "keyterms are a feature of the nova-3 models, not of 'nova-2'"),
        ({"utterance_end_ms": 500}, "greater than or equal to 1000"),
        ({"keepalive_s": 9}, "less than or equal to 8"),
    ],
)
def test_settings_that_cannot_work_are_findings(how: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why.replace("(", r"\(")):
        DeepgramSettings(api_key="k", **how)  # type: ignore[arg-type]


def test_its_manifest_says_what_a_call_needs() -> None:
    spec = spec_of(DeepgramStt)
    assert (spec.packages, spec.extra, spec.network, spec.keeps_running) == (("deepgram",), "deepgram", True, True)
    assert spec.input_format(DeepgramSettings(api_key="k", sample_rate=8000)) == AudioFormat(8000)  # type: ignore[arg-type]


async def test_a_probe_tells_a_good_key_from_a_bad_one_and_from_no_server(server: DeepgramServer) -> None:
    from echostack.providers.faults import Fault, FaultKind

    good = DeepgramSettings(api_key=KEY, base_url=server.url)  # type: ignore[arg-type]
    await DeepgramStt.probe(good)
    server.faults.add(Fault(FaultKind.UNAUTHORISED))
    with pytest.raises(ConnectorFailure, match="does not take the key"):
        await DeepgramStt.probe(good)
    server.faults.add(Fault(FaultKind.UNAVAILABLE))
    with pytest.raises(ConnectorFailure, match="is down or overloaded"):
        await DeepgramStt.probe(good)
    await server.stop()
    with pytest.raises(ConnectorFailure, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        await DeepgramStt.probe(good)


def test_nothing_of_the_sdk_is_loaded_before_a_call() -> None:
    import subprocess
    import sys

    loaded = "[m for m in sys.modules if m.startswith(('deepgram', 'websockets', 'httpx'))]"
    code = f"import sys, echostack.connectors.deepgram.stt; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_open_loads_the_sdk_so_that_the_first_words_do_not_wait(server: DeepgramServer) -> None:
    stt = DeepgramStt(DeepgramSettings(api_key=KEY, base_url=server.url), FakeContext())  # type: ignore[arg-type]
    await stt.open()
    assert server.seen.counts == {}
