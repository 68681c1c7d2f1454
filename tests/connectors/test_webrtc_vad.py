"""``webrtc.vad``: opens on speech within 120 ms, and on nothing else that a quiet line carries."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.pcm import Floats
from echostack.connectors.speech_gate import SpeechGate
from echostack.connectors.webrtc_vad import WebrtcVad, WebrtcVadSettings
from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.core.payloads import AudioFrame, SpeechStarted, SpeechStopped
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeClock, FakeContext, frames, joined, noise, silence, speech

WORDS = ["No", "Stop!", "Yes, please book it.", "Hello there, how are you?", "So I think we should leave."]


def listen(audio: list[AudioFrame], *, late: float = 0.0, **how: object) -> list[tuple[float, object]]:
    """What the connector says of audio that arrives in real time, each with the time at which it said it."""
    clock = FakeClock()
    vad = WebrtcVad(WebrtcVadSettings(**how), FakeContext(clock))  # type: ignore[arg-type]
    said = []
    clock.time = late
    for frame in audio:
        clock.time += frame.seconds
        out = vad(frame)
        if out is not None:
            said.append((clock.time, out))
    return said


def bounds(wave: Floats, rate: int) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(wave) > 0.02)
    return float(loud[0]) / rate, float(loud[-1]) / rate


@pytest.mark.parametrize("words", WORDS)
def test_speech_is_found_within_120_ms_of_its_beginning(words: str) -> None:
    wave = joined(silence(1.0), speech(words), silence(1.0))
    begins, ends = bounds(wave, 16_000)
    said = listen(frames(wave))
    (told, started), (_, stopped) = said[0], said[-1]
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert started.at == pytest.approx(begins, abs=0.05)
    assert told - begins <= 0.12
    assert told - started.at >= 0.06
    assert stopped.at == pytest.approx(ends, abs=0.1)


def test_the_end_is_told_after_the_hangover_and_says_how_long_it_lasted() -> None:
    wave = joined(silence(1.0), speech("No"), silence(1.0))
    (_, started), (told, stopped) = listen(frames(wave), hangover_ms=500)
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert 0.5 <= told - stopped.at + 1e-9 <= 0.52
    assert stopped.seconds == pytest.approx(stopped.at - started.at)


@pytest.mark.parametrize("size_ms", [0.0625, 1, 7.3, 10, 20, 33, 60])
def test_the_size_of_the_frames_changes_nothing(size_ms: float) -> None:
    wave = joined(silence(0.5), speech("Stop!"), silence(0.6))
    want = [said for _, said in listen(frames(wave))]
    assert [said for _, said in listen(frames(wave, ms=size_ms))] == want
    assert len(want) == 2


def test_one_frame_that_holds_a_whole_utterance_loses_no_edge() -> None:
    wave = joined(silence(0.5), speech("Stop!"), silence(0.6))
    said = [out for _, out in listen([*frames(wave, ms=60_000), *frames(silence(0.02))])]
    assert [type(out) for out in said] == [SpeechStarted, SpeechStopped]


@pytest.mark.parametrize("rate", [8_000, 16_000, 32_000, 48_000])
def test_every_rate_of_the_detector_is_heard(rate: int) -> None:
    wave = joined(silence(0.5, rate), speech("Hello there, how are you?", rate), silence(0.6, rate))
    said = [out for _, out in listen(frames(wave, rate))]
    assert type(said[0]) is SpeechStarted
    assert said[0].at == pytest.approx(bounds(wave, rate)[0], abs=0.08)


def test_channels_are_mixed() -> None:
    wave = joined(silence(0.5), speech("Stop!"), silence(0.6))
    both = np.stack([wave, wave], axis=1)
    assert [o for _, o in listen(frames(both, channels=2))] == [o for _, o in listen(frames(wave))]


def test_a_change_of_rate_in_the_middle_keeps_the_time() -> None:
    first = frames(joined(silence(1.0)), 8_000)[:50]
    said = listen([*first, *frames(joined(silence(0.5), speech("Stop!"), silence(0.5)), 16_000)])
    out = said[0][1]
    assert isinstance(out, SpeechStarted)
    start = sum(f.seconds for f in first) + 0.5
    assert start - 0.05 <= out.at <= start + 0.15


def test_a_change_of_rate_while_speaking_ends_the_speech() -> None:
    said = listen([*frames(joined(silence(0.5), speech("Stop!")[:4000])), *frames(silence(1.0, 8_000), 8_000)])
    assert [type(out) for _, out in said] == [SpeechStarted, SpeechStopped]


def test_a_stream_that_begins_late_tells_session_times() -> None:
    wave = joined(silence(0.5), speech("Stop!"), silence(0.5))
    early, late = listen(frames(wave))[0][1], listen(frames(wave), late=3.0)[0][1]
    assert isinstance(early, SpeechStarted)
    assert isinstance(late, SpeechStarted)
    assert late.at == pytest.approx(early.at + 3.0)


def test_a_rate_that_the_detector_does_not_know_is_refused_in_words() -> None:
    with pytest.raises(ConnectorFailure) as caught:
        listen(frames(silence(0.1, 44_100), 44_100))
    assert str(caught.value) == "webrtc.vad takes audio at 8, 16, 32, 48 kHz, not at 44.1 kHz"
    assert not caught.value.retryable


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize("db", [-90, -60, -50])
def test_faint_noise_is_no_speech(mode: int, db: int) -> None:
    assert listen(frames(joined(silence(0.7), noise(6.0, db))), mode=mode) == []


def test_silence_is_no_speech() -> None:
    assert listen(frames(silence(20.0))) == []


def test_a_fan_is_no_speech_for_longer_than_it_takes_to_know_it() -> None:
    wave = joined(noise(20.0, -25))
    stops = [out for _, out in listen(frames(wave)) if isinstance(out, SpeechStopped)]
    starts = [told for told, out in listen(frames(wave)) if isinstance(out, SpeechStarted)]
    assert len(stops) == len(starts)
    assert all(told < 3.0 for told in starts)


@given(st.integers(0, 15_000), st.integers(1, 640), st.floats(0.05, 0.95), st.integers(0, 2**31))
@settings(max_examples=60)
def test_a_single_click_is_no_speech(at: int, length: int, level: float, seed: int) -> None:
    wave = silence(1.5)
    wave[at : at + length] = np.random.default_rng(seed).uniform(-level, level, length)
    assert listen(frames(wave)) == []


def test_odd_bytes_and_empty_frames_are_taken_as_they_come() -> None:
    assert listen([AudioFrame(b"", 16_000), AudioFrame(b"\x01", 16_000), AudioFrame(b"\x01\x02\x03", 16_000)]) == []


def test_the_gate_counts_positions_in_whole_blocks() -> None:
    gate = SpeechGate(16_000, mode=3, gate_db=-45, start_ms=60, hangover_ms=300, who="test")
    assert gate.feed(bytes(2 * 321)) == []
    assert gate.position == 320
    assert gate.end() is None


def test_a_missing_detector_is_an_error_and_never_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(MissingExtra) as caught:
        WebrtcVad(WebrtcVadSettings(), FakeContext(FakeClock()))
    assert "webrtc.vad needs the package 'webrtcvad-wheels', which is not installed" in str(caught.value)


def test_its_manifest() -> None:
    spec = spec_of(WebrtcVad)
    assert spec.form.value == "sync"
    assert spec.single_output
    assert spec.input_format(WebrtcVadSettings()) == AudioFormat(16_000)
    assert [k.name for k in spec.produced_kinds] == ["speech_started", "speech_stopped"]
