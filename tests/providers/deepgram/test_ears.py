"""What the local Deepgram hears with: coded words to the sample, lines of a script, and the embedded model."""

from __future__ import annotations

import asyncio
from difflib import SequenceMatcher

import numpy as np
import pytest

from echostack.connectors.pcm import to_pcm
from echostack.providers.deepgram.ears import CodedScript, Lines, spread
from echostack.providers.deepgram.query import ListenOptions
from echostack.providers.deepgram.server import DeepgramServer
from tests.connectors.deepgram.line import RATE, Call
from tests.connectors.harness import Floats, joined, silence, speech

OPTIONS = ListenOptions(sample_rate=RATE)
SCRIPT = CodedScript.of("one two three | four")


def seconds(count: float) -> int:
    return round(count * RATE) * 2


async def test_coded_words_are_heard_where_they_are() -> None:
    ear = SCRIPT(OPTIONS)
    pcm = SCRIPT.audio(RATE)
    for at in range(0, len(pcm), 640):
        ear.hear(pcm[at : at + 640])
    assert [(w.text, w.start, w.end) for w in await ear.words(0.0, 9.0)] == [
        (w.text, w.start, w.end) for w in SCRIPT.words
    ]
    assert ear.voiced_until == SCRIPT.words[-1].end
    assert ear.voiced_from == SCRIPT.words[-1].start


@pytest.mark.parametrize(
    ("cut", "before", "after"), [(0.25, [], ["one"]), (0.35, ["one"], []), (0.30, ["one"], ["one"])]
)
async def test_a_word_that_is_cut_is_heard_by_whoever_has_half_of_it(
    cut: float, before: list[str], after: list[str]
) -> None:
    pcm = CodedScript.of("one").audio(RATE)
    first, second = SCRIPT(OPTIONS), SCRIPT(OPTIONS)
    first.hear(pcm[: seconds(cut)])
    second.hear(pcm[seconds(cut) :])
    assert [w.text for w in await first.words(0.0, 9.0)] == before
    assert [w.text for w in await second.words(0.0, 9.0)] == after


async def test_the_place_for_a_final_result_splits_no_coded_word() -> None:
    ear = SCRIPT(OPTIONS)
    ear.hear(SCRIPT.audio(RATE)[: seconds(0.5)])  # in the middle of "two"
    assert ear.boundary(0.0, 0.5) == SCRIPT.words[1].start
    ear.hear(SCRIPT.audio(RATE)[seconds(0.5) : seconds(0.66)])
    assert ear.boundary(0.0, 0.66) == SCRIPT.words[1].end


def test_silence_and_what_is_no_code_say_nothing() -> None:
    ear = CodedScript.of("one")(OPTIONS)
    ear.hear(bytes(640))
    ear.hear(np.full(320, 30_000, "<i2").tobytes())
    ear.hear(b"")
    assert (ear.voiced_from, ear.voiced_until) == (None, 0.0)


def test_words_are_spread_by_their_lengths() -> None:
    words = spread("a bcd", 1.0, 2.0)
    assert [w.text for w in words] == ["a", "bcd"]
    assert (words[0].start, words[1].end) == (1.0, 2.0)
    assert words[0].end == words[1].start == pytest.approx(1 + 2 / 6)
    assert spread("", 0.0, 1.0) == []


async def heard(server: DeepgramServer, audio: Floats, *, speed: float) -> list[str]:
    async with Call(server, stall_s=5.0, endpointing_ms=600) as call:
        await call.line.say(to_pcm(audio), speed=speed)
        await call.ended(20.0)
    assert call.failure is None
    return call.said


@pytest.mark.embedded
async def test_lines_are_said_one_a_stretch_of_speech() -> None:
    audio = joined(
        silence(0.5), speech("Hello, are you there?"), silence(1.2), speech("I have a question."), silence(1.2),
        speech("Thank you."), silence(1.2),
    )  # fmt: skip
    async with DeepgramServer(Lines(["First line.", "The second line.", "And the last."])) as server:
        assert await heard(server, audio, speed=6.0) == ["First line.", "The second line.", "And the last."]


@pytest.mark.embedded
async def test_the_last_line_is_said_again_when_there_are_no_more() -> None:
    assert [Lines(["a", " ", "b"]).lines, Lines([]).lines] == [["a", "b"], ["yes"]]
    script = Lines(["a", "b"])
    assert [script.next() for _ in range(4)] == ["a", "b", "b", "b"]


@pytest.mark.embedded
async def test_the_embedded_model_hears_what_is_said() -> None:
    book, right = "I would like to book a table for two people tomorrow evening.", "Yes, that is right."
    audio = joined(silence(0.5), speech(book), silence(1.0), speech(right), silence(1.0))
    async with DeepgramServer() as server:
        said = await heard(server, audio, speed=1.0)
    assert len(said) == 2
    for told, meant in zip(said, [book, right], strict=True):
        assert SequenceMatcher(None, told.lower().split(), meant.lower().split()).ratio() > 0.8


@pytest.mark.embedded
async def test_the_embedded_model_takes_a_telephone_line() -> None:
    audio = joined(silence(0.5, 8000), speech("Yes, that is right.", 8000), silence(1.0, 8000))
    async with DeepgramServer() as server, Call(server, sample_rate=8000, endpointing_ms=600, stall_s=5.0) as call:
        await call.line.say(to_pcm(audio), rate=8000, speed=1.0)
        await call.ended(20.0)
    assert [t.lower().strip(".") for t in call.said] == ["yes, that is right"]


async def test_sixty_calls_leave_nothing_behind() -> None:
    script = CodedScript.of("Hello there.")
    pcm = script.audio(RATE, tail=0.4)
    async with DeepgramServer(script) as server:
        before = len(asyncio.all_tasks())
        for _ in range(3):
            calls = [Call(server) for _ in range(20)]
            for call in calls:
                await call.__aenter__()
            for call in calls:
                await call.line.say(pcm, speed=0)
                await call.ended(10.0)
                assert call.said == ["Hello there."]
                await call.__aexit__(None, None, None)
        await server.seen.until("closed", 60)
        assert server.open == 0
        assert len(asyncio.all_tasks()) <= before + 1
