"""The mouth of a call on virtual time: what is heard, when, and what is said to have been heard, to the sample."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import numpy as np
import pytest

from echostack.core.audio import AudioFormat
from echostack.core.clock import LoopClock
from echostack.core.errors import UsageError
from echostack.core.events import Event
from echostack.core.payloads import AudioChunk, Text, Word
from echostack.runtime.conversation import SessionConversation
from echostack.runtime.playout import Heard, Playout
from echostack.simulation.loop import run_virtual
from tests.runtime.playing import RATE, Stage, numbered, stage
from tests.runtime.sinks import MemorySink

TEN_SECONDS = numbered(0, 10 * RATE)


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on virtual time."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run


# -- pacing -----------------------------------------------------------------------------------------------------


@virtual
async def test_frames_of_20_ms_go_out_no_further_ahead_than_the_lead() -> None:
    async with stage() as s:
        s.say("u", numbered(0, 3200 + 100), "hi")
        await s.playout.drained()
        assert s.sink.writes == [
            (0.0, 320), (0.0, 320), (0.0, 320), (0.0, 320), (0.0, 320),
            (0.02, 320), (0.04, 320), (0.06, 320), (0.08, 320), (0.1, 320), (0.12, 100),
        ]  # fmt: skip
        assert s.sink.most_ahead == 1600
        assert s.clock.now() == 0.20625
        assert s.sink.heard == numbered(0, 3300)
        assert s.started == [(0.0, "u")]
        assert [(h.text, h.cut, h.seconds, h.start, h.end) for h in s.finished] == [
            ("hi", False, 0.20625, 0.0, 0.20625)
        ]


@virtual
async def test_a_far_end_may_take_strides_of_audio_and_is_written_to_when_half_its_lead_is_played() -> None:
    for told in (True, False):
        async with stage(lead=2.0, stride=1.0) as s:
            if not told:
                s.playout.show_played(None)
            s.say("u", TEN_SECONDS[: 2 * 5 * RATE], "one", final=False)
            s.say("u", TEN_SECONDS[2 * 5 * RATE :], "two")
            await s.playout.drained()
            assert s.sink.writes == [(0.0, RATE), *((float(at), RATE) for at in range(9))]
            assert s.clock.now() == 10.0
            assert s.sink.heard == TEN_SECONDS == b"".join(s.written)
            assert s.played == (TEN_SECONDS if told else b"")


@virtual
async def test_a_stride_waits_for_no_audio_and_holds_whole_frames_of_one_piece() -> None:
    async with stage(lead=2.0, stride=1.0) as s:
        s.say("u", numbered(0, 1000), "one", final=False)  # three frames and a bit
        await s.clock.sleep(0.05)
        s.say("u", numbered(1000, 1000), "two", final=False)
        await s.clock.sleep(0.02)
        s.say("u", numbered(2000, 1000), "three")
        await s.playout.drained()
        assert s.sink.writes == [(0.0, 960), (0.05, 320), (0.05, 640), (0.07, 320), (0.07, 760)]
        assert s.sink.heard == numbered(0, 3000)
        assert s.clock.now() == 0.1875


@virtual
async def test_what_was_written_in_strides_is_suspended_and_cut_at_the_very_sample() -> None:
    async with stage(lead=4.0, stride=2.0) as s:
        s.say("u", TEN_SECONDS, " ".join(["word"] * 10))
        await s.clock.sleep(1.5)
        assert s.playout.suspend() == 1.5
        assert s.sink.clears == [1.5]
        await s.clock.sleep(0.3)
        s.playout.resume()
        await s.clock.sleep(1.0001)
        s.epoch += 1
        assert s.playout.cut() == 1
        await s.clock.sleep(1.0)
        samples = 2 * RATE + RATE // 2 + 1
        assert s.sink.heard == TEN_SECONDS[: 2 * samples] == bytes(s.played)
        assert [(h.cut, h.seconds, h.text) for h in s.finished] == [(True, samples / RATE, "word word")]


@virtual
async def test_an_hour_of_speech_is_written_on_time_to_the_last_frame() -> None:
    rate = 22_050  # 20 ms are 441 samples, no whole number of microseconds each
    async with stage(AudioFormat(rate), max_ahead=1.0) as s:
        minute = bytes(2 * 60 * rate)
        for _ in range(60):
            await s.playout.wait_room()
            s.say("u", minute, final=False, format=AudioFormat(rate))
        s.say("u", b"", format=AudioFormat(rate))
        await s.playout.drained()
        assert s.clock.now() == 3600.0
        assert s.sink.heard_samples == 3600 * rate
        assert [t for t, _ in s.sink.writes[5:]] == pytest.approx([0.02 * k for k in range(1, 179_996)], abs=1e-9)
        assert s.sink.most_ahead == 5 * 441


@virtual
async def test_an_underrun_moves_the_start_of_what_follows() -> None:
    async with stage() as s:
        s.say("u", numbered(0, 1600), final=False)
        await s.clock.sleep(0.5)
        assert s.sink.heard_samples == 1600
        s.say("u", numbered(1600, 1600))
        await s.playout.drained()
        assert s.clock.now() == 0.6
        assert s.sink.heard == numbered(0, 3200)
        assert s.finished[0].seconds == 0.2
        assert (s.finished[0].start, s.finished[0].end) == (0.0, 0.6)


@virtual
async def test_what_is_left_of_a_frame_waits_for_more_until_the_utterance_ends() -> None:
    async with stage() as s:
        s.say("u", numbered(0, 500), final=False)
        await s.clock.sleep(0.2)
        assert s.sink.writes == [(0.0, 320)]
        s.say("u", b"")
        await s.playout.drained()
        assert s.sink.writes == [(0.0, 320), (0.2, 180)]
        assert s.sink.heard == numbered(0, 500)


@virtual
async def test_the_far_end_itself_says_how_far_it_is() -> None:
    async with stage(reports=True, speed=0.5) as s:  # plays at half the pace that the clock would have it
        s.say("u", numbered(0, RATE), "one two")
        await s.clock.sleep(1.0)
        assert s.playout.suspend() == 0.5
        assert s.sink.most_ahead == 1600
        assert s.playout.cut() == 1
        assert s.finished[0] == Heard("u", "one", True, 0.5, 0.0, 1.0, s.finished[0].event)


@virtual
async def test_a_lead_shorter_than_a_frame_is_one_frame() -> None:
    async with stage(lead=0.005) as s:
        s.say("u", numbered(0, 960))
        await s.playout.drained()
        assert s.sink.writes == [(0.0, 320), (0.02, 320), (0.04, 320)]
        assert s.clock.now() == 0.06


# -- behaviours -------------------------------------------------------------------------------------------------


@virtual
async def test_a_reply_is_suspended_at_once_and_cut_when_the_speech_has_lasted() -> None:
    """Case 1: it starts at 3.5 s, the caller speaks at 5.0 s for 0.5 s: 1.5 s of it were heard."""
    async with stage() as s:
        await s.clock.sleep(3.5)
        s.say("u", TEN_SECONDS, " ".join(["word"] * 100))
        await s.clock.sleep(1.5)
        assert s.clock.now() == 5.0
        assert s.playout.suspend() == 1.5
        await s.clock.sleep(0.5)
        assert s.playout.cut() == 1
        await s.clock.sleep(20)
        assert s.sink.heard == numbered(0, 24_000)
        assert s.finished == [Heard("u", " ".join(["word"] * 15), True, 1.5, 3.5, 5.0, s.finished[0].event)]
        assert not s.playout.speaking


@virtual
async def test_the_conversation_holds_only_the_words_that_were_played() -> None:
    """Case 2: the caller speaks over the reply after 1.2 s of it."""
    conversation = SessionConversation()
    words = (Word("We", 0, 200), Word("open", 200, 700), Word("at", 800, 1200), Word("nine", 1200, 1700))
    async with stage() as s:
        s.say("u", TEN_SECONDS, "We open at nine.", words=words)
        await s.clock.sleep(1.2)
        s.playout.cut()
        heard = s.finished[0]
        conversation.agent_was_heard(heard.text, heard.start, heard.end, cut=heard.cut, utterance=heard.utterance)
        assert [(t.text, t.end, t.cut) for t in conversation.turns] == [("We open at", 1.2, True)]
        assert s.sink.heard_samples == round(1.2 * RATE)


@virtual
async def test_one_sample_before_its_end_a_word_was_not_heard() -> None:
    async with stage() as s:
        s.say("u", TEN_SECONDS, "We open", words=(Word("We", 0, 200), Word("open", 200, 700)))
        await s.clock.sleep(0.7 - 1 / RATE)
        s.playout.cut()
        assert s.finished[0].text == "We"
        assert s.sink.heard_samples == 11_199


@pytest.mark.parametrize("written", [False, True])
@virtual
async def test_cut_before_the_first_sample_nothing_was_said(written: bool) -> None:
    """Case 3, before and after the first frames went to the far end."""
    async with stage() as s:
        s.say("u", TEN_SECONDS, "hello")
        if written:
            await s.clock.sleep(0)
            assert len(s.sink.writes) == 5
        assert s.playout.cut() == 1
        await s.clock.sleep(5)
        assert s.sink.heard == b""
        assert s.finished == []


@virtual
async def test_what_cannot_be_interrupted_plays_to_its_last_sample() -> None:
    """Case 5, suspended and cut in every way."""
    async with stage() as s:
        s.say("notice", numbered(0, RATE), "this call is recorded", interruptible=False)
        await s.clock.sleep(0.3)
        assert not s.playout.interruptible_now
        assert s.playout.suspend() == 0.3
        await s.clock.sleep(0.2)
        s.epoch += 1
        assert s.playout.cut() == 0
        await s.playout.drained()
        assert s.clock.now() == 1.0
        assert s.sink.heard == numbered(0, RATE)
        assert [(h.text, h.cut) for h in s.finished] == [("this call is recorded", False)]
        assert s.sink.clears == []


@virtual
async def test_what_cannot_be_interrupted_keeps_its_place_among_what_can() -> None:
    async with stage() as s:
        s.say("a", numbered(0, 8000), "aa")
        s.say("notice", numbered(10_000, 8000), "nn", interruptible=False)
        s.say("b", numbered(20_000, 8000), "bb")
        await s.clock.sleep(0.25)
        assert s.playout.interruptible_now
        s.playout.suspend()
        await s.clock.sleep(1.0)
        assert s.sink.heard == numbered(0, 4000)
        assert s.playout.cut() == 2
        await s.playout.drained()
        assert s.sink.heard == numbered(0, 4000) + numbered(10_000, 8000)
        assert s.clock.now() == 1.75
        assert [(h.utterance, h.cut) for h in s.finished] == [("a", True), ("notice", False)]


@virtual
async def test_a_suspension_near_the_end_of_a_notice_holds_what_follows_without_a_gap_in_it() -> None:
    async with stage() as s:
        s.say("notice", numbered(0, 8000), interruptible=False)
        s.say("b", numbered(10_000, 8000))
        await s.clock.sleep(0.45)  # by now the far end holds the notice's last 50 ms and 50 ms of what follows
        s.playout.suspend()
        await s.clock.sleep(2.0)
        assert s.sink.heard == numbered(0, 8000)
        assert (s.finished[0].start, s.finished[0].end) == (0.0, 0.5)
        s.playout.resume()
        await s.playout.drained()
        assert s.clock.now() == 2.95
        assert s.sink.heard == numbered(0, 8000) + numbered(10_000, 8000)
        assert s.started == [(0.0, "notice"), (2.45, "b")]


@virtual
async def test_after_a_false_interruption_it_goes_on_at_the_very_sample() -> None:
    """Case 9: nothing is repeated, nothing is lost."""
    async with stage() as s:
        s.say("u", numbered(0, 2 * RATE), "one two three")
        await s.clock.sleep(0.777_75)
        assert s.playout.suspend() == 0.777_75
        await s.clock.sleep(2.0)
        assert s.sink.heard == numbered(0, 12_444)
        s.playout.resume()
        await s.playout.drained()
        assert s.clock.now() == 4.0
        assert s.sink.heard == numbered(0, 2 * RATE)
        assert bytes(s.played) == s.sink.heard
        assert s.started == [(0.0, "u")]
        assert [(h.text, h.cut, h.seconds, h.start, h.end) for h in s.finished] == [
            ("one two three", False, 2.0, 0.0, 4.0)
        ]


@virtual
async def test_suspending_twice_and_resuming_at_the_same_instant_change_nothing() -> None:
    async with stage() as s:
        s.say("u", numbered(0, RATE))
        await s.clock.sleep(0.5)
        assert s.playout.suspend() == s.playout.suspend() == 0.5
        s.playout.resume()
        s.playout.resume()
        await s.playout.drained()
        assert s.clock.now() == 1.0
        assert s.sink.heard == numbered(0, RATE)


@virtual
async def test_interleaved_requests_are_heard_one_by_one_in_the_order_asked() -> None:
    """Case 19: eight synthesis requests whose pieces come in turn; one producer that waits for room."""
    async with stage(max_ahead=0.5) as s:
        pieces = [numbered(1000 * u, 3200) for u in range(8)]
        for k in range(10):
            for u in range(8):
                await s.playout.wait_room()
                s.say(f"u{u}", pieces[u][640 * k : 640 * (k + 1)], f"text {u}" if k == 0 else "", final=k == 9)
        await s.playout.drained()
        assert s.sink.heard == b"".join(pieces)
        assert s.clock.now() == pytest.approx(1.6)
        assert [(h.utterance, h.text) for h in s.finished] == [(f"u{u}", f"text {u}") for u in range(8)]
        assert [u for _, u in s.started] == [f"u{u}" for u in range(8)]


@virtual
async def test_an_utterance_without_audio_ends_at_once() -> None:
    """Case 20, alone and between others."""
    async with stage() as s:
        s.say("empty", b"", "")
        await s.playout.drained()
        assert s.clock.now() == 0.0
        assert [(h.utterance, h.text, h.cut, h.seconds) for h in s.finished] == [("empty", "", False, 0.0)]
        s.say("a", numbered(0, 320))
        s.say("nothing", b"", "...")
        s.say("b", numbered(320, 320))
        await s.playout.drained()
        assert s.sink.heard == numbered(0, 640)
        assert [(h.utterance, h.text) for h in s.finished[1:]] == [("a", ""), ("nothing", ""), ("b", "")]
        assert [u for _, u in s.started] == ["a", "b"]


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 1600, 1601])
@virtual
async def test_the_last_piece_is_played_however_short(samples: int) -> None:
    """Case 21, with a torn last byte that is no sample."""
    async with stage() as s:
        s.say("u", numbered(0, samples) + b"\x01", "hi")
        await s.playout.drained()
        assert s.sink.heard == numbered(0, samples)
        assert s.clock.now() == pytest.approx(samples / RATE)
        assert s.sink.writes[-1][1] == (samples - 1) % 320 + 1
        assert s.finished[0].text == "hi"


@virtual
async def test_a_change_of_rate_in_mid_utterance_is_one_voice_stream() -> None:
    """Case 22: the synthesiser fails over to one at another rate, with another number of channels."""

    def tone(rate: int, start: float, seconds: float, channels: int = 1) -> bytes:
        t = start + np.arange(round(rate * seconds)) / rate
        wave = np.rint(np.sin(2 * np.pi * 200 * t) * 12_000).astype("<i2")
        return np.repeat(wave[:, None], channels, axis=1).tobytes()

    async with stage() as s:
        s.say("u", tone(24_000, 0.0, 0.5), "one", final=False, format=AudioFormat(24_000))
        s.say("u", tone(22_050, 0.5, 0.5, 2), "two", format=AudioFormat(22_050, 2))
        await s.playout.drained()
        assert s.sink.heard_samples == RATE
        assert s.clock.now() == 1.0
        got = np.frombuffer(s.sink.heard, "<i2").astype(int)
        wanted = np.frombuffer(tone(RATE, 0.0, 1.0), "<i2").astype(int)
        assert np.abs(got - wanted)[100:-100].max() < 1200  # a filter's edge at the seam, no click and no gap
        assert np.abs(got - wanted)[100:7800].max() <= 2
        assert np.abs(got - wanted)[8200:-100].max() <= 2
        assert [(h.utterance, h.text, h.seconds) for h in s.finished] == [("u", "one two", 1.0)]


@virtual
async def test_far_more_speech_than_can_be_played_stays_bounded_and_is_cut_as_fast_as_ever() -> None:
    """Case 26: 400 s of speech made in 0.2 s."""
    async with stage(max_ahead=5.0) as s:
        piece = bytes(640)
        pushed = 0

        async def produce() -> None:
            nonlocal pushed
            while pushed < 20_000:
                await s.playout.wait_room()
                s.say("u", piece, "word" if pushed % 10 == 0 else "", final=pushed == 19_999)
                pushed += 1

        producer = asyncio.get_running_loop().create_task(produce())
        await s.clock.sleep(0.21)
        assert s.playout.buffered == 5.0
        assert s.playout.room == 0.0
        assert pushed == 250 + 10 + 5  # waiting, played, and with the far end
        producer.cancel()
        assert s.playout.cut() == 255
        assert s.playout.buffered == 0.0
        assert s.playout.room == 5.0
        assert s.sink.heard_samples == 3360
        assert s.finished[0].text == "word"


@virtual
async def test_a_cut_costs_the_same_with_a_big_backlog() -> None:
    import time

    def backlog(s: Stage, pieces: int) -> None:
        for k in range(pieces):
            s.say(f"u{k % 50}", bytes(640), "some words", final=False)

    async def cost(pieces: int) -> float:
        best = 1.0
        for _ in range(7):
            async with stage(max_ahead=1e6) as s:
                backlog(s, pieces)
                await s.clock.sleep(0.1)
                before = time.process_time()
                s.playout.cut()
                best = min(best, time.process_time() - before)
        return best

    small, big = await cost(100), await cost(10_000)
    assert big < 20 * small + 50e-6


# -- order, staleness, bounds -----------------------------------------------------------------------------------


@virtual
async def test_nothing_of_an_old_epoch_is_taken() -> None:
    async with stage() as s:
        s.say("u", numbered(0, 3200), final=False)
        s.epoch += 1
        s.playout.cut()
        assert s.say("u", numbered(3200, 3200), epoch=0) is False
        assert s.say("v", numbered(9000, 320)) is True
        await s.playout.drained()
        assert s.sink.heard == numbered(9000, 320)
        assert s.playout.stale == 1


@virtual
async def test_an_epoch_that_ends_without_a_cut_is_noticed_before_the_next_write() -> None:
    async with stage() as s:
        s.say("u", numbered(0, RATE), "one two")
        s.say("w", numbered(5000, RATE), "three")
        await s.clock.sleep(0.25)
        s.epoch += 1
        s.say("v", numbered(9000, 320), "new")
        await s.clock.sleep(0.02)
        # The write that was due found the epoch over: what the far end held of it is gone too.
        assert [(h.utterance, h.cut) for h in s.finished] == [("u", True)]
        await s.playout.drained()
        assert s.sink.heard == numbered(0, s.sink.heard_samples - 320) + numbered(9000, 320)
        assert s.sink.heard_samples <= round(0.27 * RATE) + 320
        assert [h.utterance for h in s.finished] == ["u", "v"]


@virtual
async def test_a_whole_utterance_in_one_piece_is_final_by_itself() -> None:
    async with stage() as s:
        s.playout.push(s.event(AudioChunk(numbered(0, 3200), RATE, 1, "u", "hello")))
        await s.playout.drained()
        assert [(h.utterance, h.text, h.cut) for h in s.finished] == [("u", "hello", False)]


@virtual
async def test_an_utterance_that_is_never_ended_does_not_silence_the_next_for_ever() -> None:
    async with stage(patience=3.0) as s:
        s.say("broken", numbered(0, 3000), "half a", final=False)
        s.say("next", numbered(9000, 3200), "whole")
        await s.playout.drained()
        assert s.sink.heard == numbered(0, 3000) + numbered(9000, 3200)
        assert [(h.utterance, h.text, h.cut) for h in s.finished] == [
            ("broken", "half a", False),
            ("next", "whole", False),
        ]
        began = [t for t, _ in s.started]
        assert began == [0.0, pytest.approx(0.1 + 3.0 + 120 / RATE)]


@virtual
async def test_an_utterance_can_be_ended_by_whoever_knows() -> None:
    async with stage() as s:
        s.say("u", numbered(0, 3000), "half", final=False)
        s.playout.end("u")
        s.playout.end("unknown")
        await s.playout.drained()
        assert s.clock.now() == 3000 / RATE
        assert s.sink.heard == numbered(0, 3000)


@virtual
async def test_what_is_pushed_while_suspended_waits_and_is_bounded() -> None:
    async with stage(max_ahead=1.0) as s:
        s.playout.suspend()
        s.say("u", numbered(0, RATE))
        with pytest.raises(TimeoutError):
            async with s.clock.timeout(5):
                await s.playout.wait_room()
        assert s.sink.writes == []
        assert s.playout.speaking
        s.playout.resume()
        await s.playout.wait_room()
        await s.playout.drained()
        assert s.clock.now() == 6.0


@virtual
async def test_a_cut_ends_a_suspension() -> None:
    async with stage() as s:
        s.say("u", numbered(0, RATE))
        await s.clock.sleep(0.1)
        s.playout.suspend()
        s.playout.cut()
        assert not s.playout.suspended
        s.say("v", numbered(500, 320))
        await s.playout.drained()
        assert s.clock.now() == pytest.approx(0.12)


@virtual
async def test_a_reply_that_begins_to_sound_may_be_suspended_by_the_one_who_is_told() -> None:
    clock = LoopClock()
    sink = MemorySink(clock)
    playout: Playout

    def on_started(utterance: str, event: Event) -> None:
        assert playout.suspend() == 0.0

    playout = Playout(sink, clock, on_started=on_started, on_finished=lambda heard: None)
    pacer = asyncio.get_running_loop().create_task(playout.run())
    playout.push(Event("processing.t.audio_chunk", AudioChunk(numbered(0, 3200), RATE, 1, "u"), "s", 1, 0.0))
    await clock.sleep(1)
    assert sink.heard == b""
    playout.resume()
    await playout.drained()
    assert clock.now() == 1.2
    assert sink.heard == numbered(0, 3200)
    playout.close()
    await pacer


@virtual
async def test_only_speech_can_be_pushed() -> None:
    async with stage() as s:
        with pytest.raises(TypeError, match="a playout takes audio chunks, not Text"):
            s.playout.push(Event("processing.t.text", Text("hi"), "s", 1, 0.0))
        with pytest.raises(UsageError, match=r"cannot convert 0\.1 kHz mono to 16 kHz mono"):
            s.say("u", bytes(10), format=AudioFormat(100))
        assert not s.playout.speaking


# -- endings ----------------------------------------------------------------------------------------------------


@virtual
async def test_closing_silences_at_once_and_says_what_was_heard() -> None:
    async with stage() as s:
        s.say("notice", numbered(0, RATE), "one two", interruptible=False)
        await s.clock.sleep(0.5)
        s.playout.close()
        s.playout.close()
        assert [(h.text, h.cut, h.seconds) for h in s.finished] == [("one", True, 0.5)]
        assert s.say("late", numbered(0, 320)) is False
        await s.playout.drained()
        await s.playout.wait_room()
        await s.clock.sleep(1)
        assert s.sink.heard == numbered(0, 8000)


@pytest.mark.parametrize("where", ["write", "clear by suspend", "clear by cut", "clear by close"])
@virtual
async def test_a_sink_that_fails_ends_the_playout_and_hangs_nobody(where: str) -> None:
    clock = LoopClock()
    s = Stage(MemorySink(clock), clock, max_ahead=0.5)
    pacer = asyncio.get_running_loop().create_task(s.playout.run())
    s.say("u", numbered(0, RATE), "one two")
    waits = [asyncio.get_running_loop().create_task(w) for w in (s.playout.drained(), s.playout.wait_room())]
    await clock.sleep(0.5)
    lost = ConnectionError("the line is gone")
    if where == "write":
        s.sink.fail_write = lost
        await clock.sleep(0.02)
    else:
        s.sink.fail_clear = lost
        call = where.rpartition(" ")[2]
        getattr(s.playout, call)()
    with pytest.raises(ConnectionError, match="the line is gone"):
        await pacer
    for wait in waits:
        await wait
    assert s.playout.broken is lost
    assert not s.playout.speaking
    assert s.say("v", numbered(0, 320)) is False
    assert [(h.utterance, h.text, h.cut) for h in s.finished] == [("u", "one", True)]
    s.playout.suspend()
    s.playout.resume()
    assert s.playout.cut() == 0
    s.playout.close()
    with pytest.raises(ConnectionError):
        await s.playout.run()


@virtual
async def test_it_cannot_be_run_twice() -> None:
    async with stage() as s:
        await s.clock.sleep(0)
        with pytest.raises(RuntimeError, match="run already"):
            await s.playout.run()


@virtual
async def test_what_was_cut_is_released_in_the_background() -> None:
    async with stage(max_ahead=1e6) as s:
        for k in range(2000):
            s.say(f"u{k % 7}", bytes(640), final=False)
        s.playout.cut()
        assert s.playout._graves
        await s.clock.sleep(0.1)
        assert s.playout._graves == []


@virtual
async def test_speech_that_is_cut_where_it_goes_on_was_over_when_it_paused() -> None:
    async with stage() as s:
        s.say("u", numbered(0, RATE))
        await s.clock.sleep(0.4)
        s.playout.suspend()
        await s.clock.sleep(1.5)
        s.playout.resume()
        for _ in range(3):  # the pacer writes on
            await asyncio.sleep(0)
        s.playout.cut()
        assert [(h.cut, h.seconds, round(h.end, 6)) for h in s.finished] == [(True, 0.4, 0.4)]
