"""The caller's end of a line: frames without gaps, exact to the sample, short in speech and long in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from echostack.core.clock import LoopClock
from echostack.core.payloads import AudioFrame
from echostack.simulation.line import COMFORT, VoiceLine
from echostack.simulation.loop import run_virtual
from echostack.simulation.speech import LOUD_NOISE, QUIET_NOISE, runs

RATE = 16_000
Play = Callable[[VoiceLine, LoopClock], Awaitable[None]]


def carried(play: Play, *, frame: float = 0.02, continuous: bool = False) -> list[tuple[float, AudioFrame]]:
    """When each frame left a line on which ``play`` is played."""
    sent: list[tuple[float, AudioFrame]] = []

    async def main() -> None:
        clock = LoopClock()
        line = VoiceLine(clock, lambda f: sent.append((clock.now(), f)), RATE, frame=frame, continuous=continuous)
        line.open()
        await play(line, clock)
        line.close()

    run_virtual(main())
    return sent


def values(sent: list[tuple[float, AudioFrame]]) -> list[tuple[int, int]]:
    """The runs of sample values over all frames."""
    found: list[tuple[int, int]] = []
    for _, frame in sent:
        for value, count in runs(frame.pcm, RATE):
            if found and found[-1][0] == value:
                found[-1] = value, found[-1][1] + count
            else:
                found.append((value, count))
    return found


def test_silence_goes_as_one_comfort_frame_every_400_ms() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        await clock.sleep(1.3)

    assert [(at, f.seconds) for at, f in carried(play)] == [(0.4, 0.4), (0.8, 0.4), (1.2, 0.4)]


def test_a_continuous_line_sends_silence_in_short_frames() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        await clock.sleep(0.1)

    assert [round(at, 9) for at, _ in carried(play, continuous=True)] == [0.02, 0.04, 0.06, 0.08, 0.1]


def test_speech_begins_at_the_instant_at_which_it_is_said_and_a_frame_leaves_at_its_end() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        await clock.sleep(0.13)
        await line.speak([(7, 500), (8, 300)])
        assert clock.now() == 0.13 + 800 / RATE

    sent = carried(play)
    assert sent[0][0] == 0.13
    assert sent[0][1].samples == 0.13 * RATE, "what had passed of the comfort frame goes first"
    assert [round(at, 9) for at, _ in sent[1:]] == [0.15, 0.17, 0.18]
    assert values(sent) == [(0, 2080), (7, 500), (8, 300)]


def test_half_a_second_after_speech_still_goes_in_short_frames() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        await line.speak([(3, 320)])
        await clock.sleep(1.0)

    lengths = [f.seconds for _, f in carried(play)]
    assert lengths[:26] == [0.02] * 26
    assert lengths[26:] == [COMFORT]


def test_loud_noise_in_the_background_stands_where_nobody_speaks() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        line.noise(LOUD_NOISE)
        await clock.sleep(0.1)
        await line.speak([(3, 1600)])
        line.noise(0)
        await clock.sleep(0.1)

    assert values(carried(play)) == [(LOUD_NOISE, 1600), (3, 1600), (0, 1600)]


def test_a_dead_line_carries_nothing_and_then_goes_on() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        await line.dead(2.0)
        await clock.sleep(0.4)

    assert [(round(at, 9), f.seconds) for at, f in carried(play)] == [(2.4, 0.4)]


def test_a_line_that_is_closed_ends_the_speech_on_it() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        asyncio.get_running_loop().call_later(0.05, line.close)
        await line.speak([(3, RATE)])
        assert clock.now() == 0.05

    assert values(carried(play)) == [(3, 640)]


def test_speech_that_is_cancelled_is_cut_at_that_instant() -> None:
    async def play(line: VoiceLine, clock: LoopClock) -> None:
        try:
            async with clock.timeout(0.05):
                await line.speak([(3, RATE)])
        except TimeoutError:
            pass
        await clock.sleep(0.03)

    # What had passed of the frame that was under way is told as silence: nobody knows yet whether a word was in it.
    # The line is closed 10 ms into its next frame, which is lost.
    assert values(carried(play)) == [(3, 640), (0, 480)]


pieces = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4000)), min_size=1, max_size=5)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), pieces),
        st.tuples(st.just("pause"), st.integers(1, 12_000)),
        st.tuples(st.just("noise"), st.sampled_from([0, QUIET_NOISE, LOUD_NOISE])),
    ),
    max_size=8,
)


@given(acts, st.sampled_from([0.01, 0.02, 0.06]), st.booleans())
def test_frames_add_up_to_the_time_whatever_is_done(
    script: list[tuple[str, object]], frame: float, continuous: bool
) -> None:
    said: list[tuple[int, int]] = []

    async def play(line: VoiceLine, clock: LoopClock) -> None:
        for act, what in script:
            if act == "speak":
                assert isinstance(what, list)
                said.extend(what)
                await line.speak(what)
            elif act == "pause":
                assert isinstance(what, int)
                await clock.sleep(what / RATE)
            else:
                assert isinstance(what, int)
                line.noise(what)
        await clock.sleep(COMFORT)

    sent = carried(play, frame=frame, continuous=continuous)
    position = 0
    for at, sent_frame in sent:
        position += sent_frame.samples
        assert abs(position / RATE - at) < 1e-6, "every frame leaves at the end of the time that it covers"
    words = b"".join(v.to_bytes(2, "little") * n for v, n in said)
    heard = b"".join(
        bytes(f.pcm[i : i + 2])
        for _, f in sent
        for i in range(0, len(f.pcm), 2)
        if int.from_bytes(f.pcm[i : i + 2], "little", signed=True) > 0
    )
    assert heard == words
