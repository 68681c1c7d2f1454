"""The connectors of the calls in this folder that EchoStack does not ship: manifests, simulated from what they declare.

A scenario says what each of them replies. Most have no code of their own; what has some says so by what it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from pydantic import Field

from echostack.core.audio import AudioFormat
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunkStream,
    AudioFrame,
    CallEnded,
    Data,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
    ToolCall,
    ToolResult,
)
from echostack.registry import ITSELF, ConnectorSettings, Context, Inbox, Latency, Simulator, connector

LETTER_BY_LETTER = 10 / (4.7 * 2.5)
"""Simulated speech has 2.5 words of 4.7 letters a second, times the setting ``speed``."""

NOT_HERE = ConnectorFailure("this connector is there to be simulated", retryable=False)


@connector("ingress.line", output_format=lambda settings: AudioFormat(16_000))
class Line:
    """A transport that tells by itself when the caller begins and stops speaking."""

    async def run(self) -> AsyncIterator[AudioFrame | Text | SpeechStarted | SpeechStopped | Data]:
        raise NOT_HERE
        yield


class ModelSettings(ConnectorSettings):
    """How the model speaks."""

    interruptible: bool = True
    """Whether the caller can cut its answers off."""
    tokens_per_second: float = Field(30.0, gt=0)
    """How fast its words come."""


class EarSettings(ConnectorSettings):
    """When a turn is over."""

    endpoint_ms: int = 400
    """Silence that ends it, in milliseconds."""


@connector("cloud.stt", network=True)
class CloudEar:
    """A recogniser that gives a word the moment it was spoken, and the turn the moment its silence was heard."""

    def __init__(self, settings: EarSettings) -> None:
        raise NOT_HERE

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
        raise NOT_HERE
        yield


@connector("model.agent", latency=Latency(300, 300), network=True, guessable=True)
async def model(
    text: Text | ToolResult | Data, settings: ModelSettings
) -> AsyncIterator[AgentMessagePartial | ToolCall]:
    """A language model: answers sentence by sentence, and asks for tools."""
    raise NOT_HERE
    yield


class VoiceSettings(ConnectorSettings):
    """How the voice speaks."""

    speed: float = Field(LETTER_BY_LETTER, gt=0)
    """Ten letters a second unless said, so that a word of five letters takes half a second."""
    rate: int = 24_000
    """The sample rate of its audio, in Hz."""


@connector(
    "cloud.tts",
    latency=Latency(300, 300),
    network=True,
    guessable=True,
    output_format=lambda settings: AudioFormat(settings.rate),
)
async def cloud(
    message: AgentMessagePartial | AgentMessage, settings: VoiceSettings
) -> AsyncIterator[AudioChunkStream]:
    """A synthesiser somewhere else, at a sample rate of its own."""
    raise NOT_HERE
    yield


@connector("stream.tts", latency=Latency(300, 300), network=True, output_format=lambda settings: AudioFormat(24_000))
class StreamVoice:
    """A synthesiser behind one long connection, which no interruption cancels."""

    def __init__(self, settings: VoiceSettings) -> None:
        raise NOT_HERE

    async def run(self, inbox: Inbox[AgentMessagePartial | AgentMessage]) -> AsyncIterator[AudioChunkStream]:
        raise NOT_HERE
        yield


@connector("booking.tool", latency=Latency(500, 500), effect=True, network=True)
async def booking(call: ToolCall) -> ToolResult:
    """Books a table: something that must not happen twice."""
    raise NOT_HERE


@connector("bye.desk")
def bye(text: Text) -> CallEnded | None:
    """Asks for the end of the call when the caller says goodbye."""
    return CallEnded("the desk said goodbye") if "goodbye" in text.text.casefold() else None


class DoorSettings(ConnectorSettings):
    """How long it takes to open."""

    seconds: float = 2.0
    """In seconds."""


@connector("slow.door")
class SlowDoor:
    """A stage on the way of the caller's turns that takes its time to open, and then lets everything pass."""

    def __init__(self, settings: DoorSettings, context: Context) -> None:
        self._seconds, self._clock = settings.seconds, context.clock

    async def open(self) -> None:
        await self._clock.sleep(self._seconds)

    def __call__(self, text: Text) -> Data:
        return Data("passed", {"text": text.text})


@connector("slow.stage", latency=Latency(30, 30), network=True)
async def slow(frame: AudioFrame) -> Data:
    """Takes its time with each frame."""
    raise NOT_HERE


@connector("stream.agent", latency=Latency(300, 300), network=True)
class StreamModel:
    """A model behind one long connection, which no interruption cancels: it answers turns that are over as well."""

    def __init__(self, settings: ModelSettings) -> None:
        raise NOT_HERE

    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessagePartial]:
        raise NOT_HERE
        yield


@connector("times.forget", simulation=ITSELF)
def forget(chunk: AudioChunkStream) -> AudioChunkStream:
    """Takes the times of the words out of speech, as a synthesiser that knows none of them gives it."""
    return msgspec.structs.replace(chunk, words=())


def long_story(text: Text, simulator: Simulator) -> list[AgentMessagePartial]:
    """Eight hundred sentences of half a second each, at once: 400 s of speech. To anything else, one word."""
    if "ships" not in text.text:
        return [AgentMessagePartial("Goodbye", final=True)]
    return [AgentMessagePartial("ship. ", "story", final=number == 799) for number in range(800)]


def long_sentence(text: Text, simulator: Simulator) -> AgentMessagePartial:
    """The same in one sentence."""
    return AgentMessagePartial("ships " * 800 if "ships" in text.text else "Goodbye", final=True)
