"""Connectors for the tests of graph and check: manifests that are like real ones, with nothing behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import Field, SecretStr, field_validator

from echostack.core.audio import AudioFormat
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunk,
    AudioChunkStream,
    AudioFrame,
    Data,
    Documents,
    Dtmf,
    Intent,
    Record,
    Sentiment,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextPartial,
    TextSegment,
    TranscriptEntry,
)
from echostack.registry import AudioSink, ConnectorSettings, Forward, Inbox, Latency, Registry, connector


class DeepgramSettings(ConnectorSettings):
    model: str = "nova-3"
    """Which of the vendor's models listens."""
    language: str = "en"
    rate: int = Field(16_000, ge=8_000, le=48_000)
    api_key: SecretStr = SecretStr("")

    @field_validator("api_key")
    @classmethod
    def _whole(cls, value: SecretStr) -> SecretStr:
        if "broken" in value.get_secret_value():
            raise ValueError(f"the key {value.get_secret_value()} is broken")
        return value


@connector(
    "deepgram.stt",
    input_format=lambda s: AudioFormat(s.rate),
    latency=Latency(250, 400),
    network=True,
    packages=("deepgram",),
    extra="deepgram",
)
class DeepgramStt:
    """Recognises speech."""

    def __init__(self, settings: DeepgramSettings) -> None: ...

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial | TextSegment]:
        yield Text("")


class WhisperSettings(ConnectorSettings):
    size: str = "base"


@connector("whisper.stt", input_format=lambda s: AudioFormat(16_000), latency=Latency(400, 700))
class WhisperStt:
    """Recognises speech, whole turns only."""

    def __init__(self, settings: WhisperSettings) -> None: ...

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
        yield Text("")


@connector("narrow.stt", input_format=lambda s: AudioFormat(8_000), latency=Latency(100, 200))
class NarrowStt:
    """Recognises telephone speech."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial | TextSegment]:
        yield Text("")


class ClaudeSettings(ConnectorSettings):
    system: str = ""
    max_tokens: int = Field(300, gt=0)
    temperature: float | None = None


@connector("claude.agent", latency=Latency(350, 900), network=True, packages=("anthropic",), extra="anthropic")
class ClaudeAgent:
    """Answers."""

    def __init__(self, settings: ClaudeSettings) -> None: ...

    async def __call__(self, text: Text | Intent | Documents) -> AsyncIterator[AgentMessage | AgentMessagePartial]:
        yield AgentMessage("")


class ElevenLabsSettings(ConnectorSettings):
    voice: str = "rachel"
    rate: int = 24_000


@connector(
    "elevenlabs.tts",
    alternatives=((AgentMessagePartial, AgentMessage),),
    output_format=lambda s: AudioFormat(s.rate),
    latency=Latency(180, 400),
)
class ElevenLabsTts:
    """Speaks."""

    def __init__(self, settings: ElevenLabsSettings) -> None: ...

    async def __call__(self, message: AgentMessage | AgentMessagePartial) -> AsyncIterator[AudioChunkStream]:
        yield AudioChunkStream(b"", 24_000)


@connector("piper.tts", output_format=lambda s: AudioFormat(22_050), latency=Latency(120, 300))
async def piper(message: AgentMessage) -> AudioChunk:
    """Speaks whole messages."""
    return AudioChunk(b"", 22_050)


@connector("webrtc.vad", input_format=lambda s: AudioFormat(16_000))
class WebrtcVad:
    """Hears when somebody speaks."""

    def __call__(self, frame: AudioFrame) -> list[SpeechStarted | SpeechStopped]:
        return []


@connector("silero.vad", input_format=lambda s: AudioFormat(16_000), hangover=lambda s: 0.25)
class SileroVad:
    """Hears when somebody speaks, better."""

    def __call__(self, frame: AudioFrame) -> list[SpeechStarted | SpeechStopped]:
        return []


class RouterSettings(ConnectorSettings):
    intents: dict[str, list[str]] = Field(default_factory=lambda: {"book_meeting": ["book"]})


@connector("intent.router", ports=lambda s: (*s.intents, "other"), latency=Latency(4, 8))
class IntentRouter:
    """Sorts what the caller wants."""

    def __init__(self, settings: RouterSettings) -> None: ...

    def __call__(self, text: Text) -> Intent | Forward:
        return Forward()


@connector("denoise.filter", output_format=lambda s: AudioFormat(48_000), blocking_ms=30)
def denoise(frame: AudioFrame) -> AudioFrame:
    """Cleans the caller's audio."""
    return frame


@connector("sentiment.score")
def score(text: Text) -> Sentiment:
    """Scores a turn."""
    return Sentiment(0.0, "neutral")


@connector("transcript.log")
def log(entry: Text | TextPartial | AgentMessage) -> TranscriptEntry:
    """Writes down what was said."""
    return TranscriptEntry("caller", "")


@connector("reprompt.say")
def reprompt(text: Text) -> AgentMessage:
    """Asks again."""
    return AgentMessage("Sorry?")


@connector("echo.text")
def echo(text: Text) -> Text:
    """Says it again."""
    return text


@connector("keys.log")
def keys(key: Dtmf | Text) -> None:
    """Writes down keys and words."""


@connector("knowledge.search", latency=Latency(60, 120))
async def search(query: Text) -> Documents:
    """Finds passages."""
    return Documents(query.text)


@connector("alert.send", effect=True)
async def alert(failure: Data) -> None:
    """Tells somebody."""


class CrmSettings(ConnectorSettings):
    url: str
    """Where the CRM listens."""
    token: SecretStr = SecretStr("")


@connector("crm.write", effect=True, network=True)
async def write(intent: Intent, settings: CrmSettings) -> Record:
    """Writes a lead."""
    return Record("lead")


@connector("ingress.livekit", output_format=lambda s: AudioFormat(48_000))
class LivekitIngress:
    """The caller, from a room."""

    async def run(self) -> AsyncIterator[AudioFrame | Data]:
        yield AudioFrame(b"", 48_000)


@connector("ingress.file")
class FileIngress:
    """The caller, from a file."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        yield AudioFrame(b"", 16_000)


@connector("ingress.sms")
class SmsIngress:
    """The caller, by text message."""

    async def run(self) -> AsyncIterator[Text]:
        yield Text("")


class _Sink(AudioSink):
    @property
    def format(self) -> AudioFormat:
        return AudioFormat(48_000)

    def write(self, pcm: bytes) -> None: ...

    def clear(self) -> None: ...


@connector("egress.livekit")
class LivekitEgress(_Sink):
    """The caller's ear, in a room."""


@connector("egress.file")
class FileEgress(_Sink):
    """A file in the place of the caller's ear."""


def registry() -> Registry:
    """A registry of everything above."""
    return Registry().add(
        DeepgramStt, WhisperStt, NarrowStt, ClaudeAgent, ElevenLabsTts, piper, WebrtcVad, SileroVad, IntentRouter,
        denoise, score, log, reprompt, echo, keys, search, alert, write, LivekitIngress, FileIngress, SmsIngress,
        LivekitEgress, FileEgress,
    )  # fmt: skip
