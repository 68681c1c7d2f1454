"""Where a turn ends under each policy, on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from echostack.core.clock import LoopClock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Data, SpeechStarted, SpeechStopped, Text, TextPartial, TextSegment, Word
from echostack.language.document import TurnsDecl
from echostack.runtime.turns import TurnKeeper
from echostack.simulation.loop import run_virtual


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        run_virtual(test(*args, **kwargs))

    return run


class Ear:
    """A turn keeper and what came out of it, with the time."""

    def __init__(self, end_by: str, silence: float = 0.6) -> None:
        self.clock = LoopClock()
        self.out: list[tuple[float, Payload]] = []
        self.causes: list[Payload] = []
        self._seq = itertools.count(1)
        self.keeper = TurnKeeper(TurnsDecl(end_by, silence), self.clock, self._emit)

    def _emit(self, text: Text, cause: Event) -> None:
        self.out.append((self.clock.now(), text))
        self.causes.append(cause.payload)

    def feed(self, payload: Payload, node: str = "stt") -> list[Payload]:
        name = f"processing.{node}.{payload.__kind__.name}"
        came = self.keeper.on_event(Event(name, payload, "s", next(self._seq), self.clock.now(), node=node))
        self.out += [(self.clock.now(), p) for p in came]
        return came

    @property
    def turns(self) -> list[tuple[float, str, str, float]]:
        return [(t, p.text, p.ended_by, p.waited_ms) for t, p in self.out if isinstance(p, Text)]

    async def speak(self, seconds: float) -> None:
        self.feed(SpeechStarted(self.clock.now()), "vad")
        await self.clock.sleep(seconds)
        self.feed(SpeechStopped(self.clock.now(), seconds), "vad")


@virtual
async def test_the_recognisers_turn_passes_as_it_is() -> None:
    ear = Ear("recogniser")
    assert ear.keeper.passive
    for payload in (SpeechStarted(1.0), TextPartial("he"), TextSegment("hello"), Text("hello", ended_by="endpoint")):
        assert ear.feed(payload) == [payload]
    await ear.clock.sleep(10)
    assert len(ear.out) == 4
    assert ear.keeper.finish() == []


@virtual
async def test_a_turn_ends_when_silence_has_lasted() -> None:
    ear = Ear("silence", 0.6)
    await ear.speak(2.0)
    await ear.clock.sleep(0.1)
    assert ear.feed(Text("book a table", 0.9, "en", 0.0, 2.0)) == [TextSegment("book a table", 0.9, "en", 0.0, 2.0)]
    await ear.clock.sleep(5)
    assert ear.turns == [(2.6, "book a table", "silence", 600.0)]
    assert isinstance(ear.causes[0], Text)


@virtual
async def test_a_pause_within_a_turn_does_not_end_it() -> None:
    ear = Ear("silence", 0.6)
    await ear.speak(1.0)
    ear.feed(Text("a table", 0.9, "en", 0.0, 1.0, (Word("a", 0, 300), Word("table", 300, 1000))))
    await ear.clock.sleep(0.59)
    await ear.speak(1.0)
    ear.feed(Text("for two", 0.7, "", 1.6, 2.59, (Word("for", 0, 400), Word("two", 400, 990))))
    await ear.clock.sleep(5)
    assert ear.turns == [(3.19, "a table for two", "silence", 600.0)]
    turn = ear.out[-1][1]
    assert isinstance(turn, Text)
    assert (turn.confidence, turn.language, turn.start, turn.end) == (0.7, "en", 0.0, 2.59)
    assert [(w.text, w.start_ms, w.end_ms) for w in turn.words] == [
        ("a", 0, 300), ("table", 300, 1000), ("for", 1600, 2000), ("two", 2000, 2590),
    ]  # fmt: skip


@virtual
async def test_words_that_come_after_the_silence_end_the_turn_as_they_come() -> None:
    ear = Ear("silence", 0.3)
    await ear.speak(1.0)
    await ear.clock.sleep(0.5)
    came = ear.feed(TextSegment("hello there", end=1.0))
    assert came == [
        TextSegment("hello there", end=1.0),
        Text("hello there", end=1.0, ended_by="silence", waited_ms=500.0),
    ]


@virtual
async def test_the_end_waits_for_words_on_their_way_but_not_for_ever() -> None:
    ear = Ear("silence", 0.3)
    await ear.speak(1.0)
    ear.feed(TextSegment("my name is"))
    ear.feed(TextPartial("An"))
    await ear.clock.sleep(0.5)
    assert ear.turns == []
    ear.feed(TextSegment("Ann"))
    assert ear.turns == [(1.5, "my name is Ann", "silence", 500.0)]
    await ear.speak(1.0)
    ear.feed(TextSegment("and I"))
    ear.feed(TextPartial("want"))
    await ear.clock.sleep(5)
    assert ear.turns[1:] == [(3.8, "and I", "silence", 1300.0)]


@virtual
async def test_silence_without_words_is_no_turn() -> None:
    ear = Ear("silence")
    await ear.speak(0.4)
    await ear.clock.sleep(5)
    assert ear.feed(Text("   ")) == []
    await ear.clock.sleep(5)
    assert ear.turns == []


@virtual
async def test_a_text_after_its_own_segments_adds_no_word_twice() -> None:
    ear = Ear("silence", 0.5)
    ear.feed(SpeechStarted(0.1), "vad")
    ear.feed(TextSegment("I would like"))
    ear.feed(TextSegment(""))
    ear.feed(TextSegment("a table"))
    assert ear.feed(Text("I would like a table.")) == []
    ear.feed(TextSegment("for two"))
    ear.feed(TextSegment(" "))
    assert ear.feed(Text("for two!")) == []
    ear.feed(SpeechStopped(ear.clock.now()), "vad")
    await ear.clock.sleep(1)
    assert [t[1] for t in ear.turns] == ["I would like a table. for two!"]


@virtual
async def test_a_text_that_comes_after_its_segments_became_a_turn_is_no_second_turn() -> None:
    ear = Ear("silence", 0.3)
    await ear.speak(1.0)
    ear.feed(TextSegment("hello"))
    await ear.clock.sleep(0.5)
    ear.feed(TextSegment("again"))
    assert ear.feed(Text("hello again")) == []
    await ear.clock.sleep(5)
    assert [t[:2] for t in ear.turns] == [(1.3, "hello"), (1.5, "again")]
    await ear.speak(1.0)
    ear.feed(Text("new words"))
    await ear.clock.sleep(5)
    assert [t[1] for t in ear.turns] == ["hello", "again", "new words"]


@virtual
async def test_without_a_voice_detector_silence_counts_from_the_last_words() -> None:
    ear = Ear("silence", 0.6)
    ear.feed(TextPartial("one"))
    await ear.clock.sleep(0.5)
    ear.feed(TextSegment("one two", end=0.4))
    await ear.clock.sleep(0.3)
    ear.feed(TextSegment("three", end=0.8))
    await ear.clock.sleep(3)
    assert ear.turns == [(1.4, "one two three", "silence", 600.0)]


@virtual
async def test_silence_counts_from_the_end_of_speech_not_from_its_detection() -> None:
    ear = Ear("silence", 0.6)
    ear.feed(SpeechStarted(0.5), "vad")
    await ear.clock.sleep(2.3)
    ear.feed(TextSegment("hi"))
    ear.feed(SpeechStopped(2.0, 1.5), "vad")
    await ear.clock.sleep(3)
    assert ear.turns == [(2.6, "hi", "silence", 600.0)]


@virtual
async def test_the_named_node_ends_the_turn() -> None:
    ear = Ear("smart.turn", 0.6)
    await ear.speak(1.0)
    ear.feed(Text("so I wanted"))
    await ear.clock.sleep(2.0)  # longer than the silence that would have ended it otherwise
    assert ear.turns == []
    assert ear.feed(Data("end_of_turn"), "somebody.else") == [Data("end_of_turn")]
    assert ear.feed(Data("other"), "smart.turn") == [Data("other")]
    came = ear.feed(Data("end_of_turn", {"probability": 0.9}), "smart.turn")
    assert came == [
        Data("end_of_turn", {"probability": 0.9}),
        Text("so I wanted", ended_by="smart.turn", waited_ms=2000.0),
    ]
    await ear.clock.sleep(10)
    assert len(ear.turns) == 1


@virtual
async def test_a_node_that_decides_before_the_words_are_there_is_remembered_until_speech_goes_on() -> None:
    ear = Ear("smart.turn")
    await ear.speak(1.0)
    ear.feed(Data("end_of_turn"), "smart.turn")
    await ear.clock.sleep(0.2)
    ear.feed(Text("hello"))
    assert ear.turns == [(1.2, "hello", "smart.turn", 200.0)]
    await ear.speak(1.0)
    ear.feed(Data("end_of_turn"), "smart.turn")
    ear.feed(SpeechStarted(ear.clock.now()), "vad")
    ear.feed(Text("wait"))
    assert len(ear.turns) == 1


@virtual
async def test_a_node_that_never_decides_does_not_keep_the_turn_for_ever() -> None:
    ear = Ear("smart.turn")
    await ear.speak(1.0)
    ear.feed(Text("hello"))
    await ear.clock.sleep(10)
    assert ear.turns == [(4.0, "hello", "silence", 3000.0)]


@pytest.mark.parametrize("end_by", ["silence", "smart.turn"])
@virtual
async def test_when_the_audio_ends_the_words_so_far_are_a_turn(end_by: str) -> None:
    ear = Ear(end_by)
    await ear.speak(1.0)
    ear.feed(Text("hello"))
    await ear.clock.sleep(0.25)
    assert ear.keeper.finish() == [Text("hello", ended_by="end_of_audio", waited_ms=250.0)]
    assert ear.keeper.finish() == []
    await ear.clock.sleep(10)
    assert ear.turns == []


@virtual
async def test_closed_it_is_silent() -> None:
    ear = Ear("silence")
    await ear.speak(1.0)
    ear.feed(Text("hello"))
    ear.keeper.close()
    await ear.clock.sleep(10)
    assert ear.turns == []
