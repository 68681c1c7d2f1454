"""An audio egress that takes more than audio: what is none does not wait behind it, and nothing stale gets there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.core.audio import AudioFormat
from echostack.core.errors import InvalidConnector
from echostack.core.payloads import AgentMessage, AudioChunk, AudioChunkStream, Data, Text, ToolCall
from echostack.registry import AudioSink, Context, connector
from tests.runtime.cast import RATE, Outcome, play


class Told(AudioSink):
    """A far end with a channel for data: keeps what it is told, and when."""

    consumes = (AudioChunkStream, AudioChunk, Data)
    told: list[tuple[float, str]]

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    @property
    def format(self) -> AudioFormat:
        return AudioFormat(RATE)

    def write(self, pcm: bytes) -> None: ...

    def clear(self) -> None: ...

    def take(self, payload: Any) -> None:
        if payload.name == "broken":
            raise OSError("the channel is shut")
        type(self).told.append((round(self._clock.now(), 6), payload.name))


@connector("acme.agent")
class Agent:
    """Speaks, and says in data what it speaks about, a second after it began to."""

    def __init__(self, context: Context) -> None:
        self._clock = context.clock

    async def __call__(self, text: Text) -> AsyncIterator[AgentMessage | Data]:
        yield AgentMessage(text.text)
        await self._clock.sleep(1.0)
        yield Data(text.text)


GRAPH = """
echostack: 1
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.agent -> acme.tts -> egress.far.audio_chunk
  - acme.agent -> egress.far.data
barge_in: {on: processing.ear.speech_started}
"""


def call(*said: tuple[float, str], graph: str = GRAPH) -> tuple[Outcome, list[tuple[float, str]]]:
    class Far(Told):
        told: list[tuple[float, str]] = []

    return play(said, Agent, connector("egress.far")(Far), graph=graph), Far.told


def test_data_comes_at_once_while_the_reply_is_spoken() -> None:
    over, told = call((1.0, "say:one two three four five six seven eight"))
    assert told == [(2.0, "one two three four five six seven eight")]
    assert over.at("control.far.playout_finished")[0][0] == 5.0
    assert over.times("egress.far.data") == [2.0]


def test_what_belongs_to_an_interrupted_turn_is_never_taken() -> None:
    _, told = call((1.0, "say:one"), (1.4, "say:two"))
    assert told == [(2.4, "two")]


def test_an_error_is_the_egresss_and_ends_nothing() -> None:
    over, told = call((1.0, "say:broken"), (5.0, "say:two"))
    assert told == [(6.0, "two")]
    assert [(t, e.node, e.message) for t, e in over.at("error.far.exception")] == [
        (2.0, "egress.far", "OSError: the channel is shut")
    ]


def test_what_only_gives_data_is_no_part_of_the_reply() -> None:
    @connector("acme.note")
    def note(text: Text) -> Data:
        return Data(f"heard {text.text}")

    class Far(Told):
        told: list[tuple[float, str]] = []

    graph = GRAPH.replace("acme.agent -> egress.far.data", "ear.stt -> acme.note -> egress.far.data")
    over = play([(1.0, "say:one"), (1.2, "say:two")], Agent, note, connector("egress.far")(Far), graph=graph)
    assert Far.told == [(1.0, "heard one"), (1.2, "heard two")]
    assert over.stats.interruptions == 1


def test_a_program_may_give_it_data_by_hand() -> None:
    class Far(Told):
        told: list[tuple[float, str]] = []

    async def during(session: Any, clock: Any) -> None:
        await clock.sleep(2.0)
        await session.emit(Data("by hand"), to="egress.far")

    play([(1.0, "say:one two three four")], Agent, connector("egress.far")(Far), graph=GRAPH, during=during)
    assert (2.0, "by hand") in Far.told


def test_one_that_takes_more_has_a_method_for_it() -> None:
    with pytest.raises(InvalidConnector) as caught:

        @connector("egress.deaf")
        class Deaf(AudioSink):
            consumes = (AudioChunkStream, AudioChunk, Data, ToolCall)

            @property
            def format(self) -> AudioFormat:
                return AudioFormat(RATE)

            def write(self, pcm: bytes) -> None: ...

            def clear(self) -> None: ...

    assert str(caught.value) == "egress.deaf: what consumes data, tool_call has a method take(payload) for it"
