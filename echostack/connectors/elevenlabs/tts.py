"""``elevenlabs.tts``: speaks with ElevenLabs, over one websocket that stands as long as the call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from echostack.connectors.clauses import spoken_form
from echostack.connectors.elevenlabs.errors import NAME, Asked
from echostack.connectors.elevenlabs.http import HttpSpeaker, probe
from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.speaker import SocketSpeaker, Speaker
from echostack.connectors.http_call import Redactor, where
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunkStream, Usage
from echostack.registry import Context, Latency, connector


@connector(
    NAME,
    alternatives=((AgentMessagePartial, AgentMessage),),
    output_format=lambda settings: AudioFormat(settings.rate),
    # Published: about 75 ms of inference for Flash models, and 20 to 200 ms of network.
    latency=Latency(p50=150, p95=350),
    network=True,
    guessable=True,
    timeout=5.0,
    packages=("elevenlabs", "websockets"),
    extra="elevenlabs",
)
class ElevenLabsTts:
    """Speaks with ElevenLabs, over one websocket that stands as long as the call.

    The chunks of a message come as the service makes them, with the words that each one ends and their times in ms
    from the beginning of that chunk (a word that began in an earlier chunk has a negative start). The message's text
    comes with the first chunk in which it is said. The pieces of one message are spoken in one context, so that they
    sound like one; its last chunk is ``final`` and holds no audio. A message without anything to pronounce ends at
    once. Each utterance ends with what it used, in characters.

    Cancelled, it closes the context and drops what still comes for it, at once and on the same connection. A
    connection that broke is made anew, once a message, and what was not said yet asked for again from the first word
    that was not said whole. ConnectorFailure when the service refuses, gives no audio within ``first_audio_s``, or
    breaks off twice; its messages say what to do.

    Simulated: by a synthesiser of audio of the right length, with the times of its words.
    """

    def __init__(self, settings: ElevenLabsTtsSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        asked = Asked(
            where(settings.base_url), settings.voice_id, settings.model_id, settings.rate, Redactor([settings.api_key])
        )
        make: type[SocketSpeaker] | type[HttpSpeaker] = SocketSpeaker
        if settings.transport == "http":
            make = HttpSpeaker
        self._speaker: Speaker = make(settings, asked, context)

    async def open(self) -> None:
        """Connect, so that the first message finds the connection made. ConnectorFailure when that fails."""
        await self._speaker.open()

    async def close(self) -> None:
        """Close the connection and everything that is spoken over it."""
        await self._speaker.close()

    def snapshot(self) -> Any:
        """Which messages are begun and not ended."""
        return self._speaker.snapshot()

    def restore(self, kept: Any) -> None:
        """Give up the messages that were begun since."""
        self._speaker.restore(kept)

    async def __call__(self, message: AgentMessagePartial | AgentMessage) -> AsyncIterator[AudioChunkStream | Usage]:
        last = isinstance(message, AgentMessage) or message.final
        spoken = spoken_form(message.text)
        if not spoken and isinstance(message, AgentMessage):
            return
        rate, utterance, interruptible = self._settings.rate, message.id, message.interruptible
        said = message.text.strip()
        speech = self._speaker.speak(utterance, spoken, last=last)
        try:
            async for piece in speech:
                yield AudioChunkStream(
                    piece.pcm, rate, utterance=utterance, text=said if piece.begins else "", words=piece.words,
                    interruptible=interruptible,
                )  # fmt: skip
        finally:
            await speech.aclose()
        if last:
            characters = self._speaker.used(utterance)
            used = Usage(self._settings.model_id, characters=characters) if characters else None
            try:
                yield AudioChunkStream(b"", rate, utterance=utterance, final=True, interruptible=interruptible)
                told, used = used, None
                if told is not None:
                    yield told
            finally:
                if used is not None:  # interrupted with everything said: it was used all the same
                    self._context.emit(used)

    @staticmethod
    async def probe(settings: ElevenLabsTtsSettings) -> None:
        """Ask for the account that the key belongs to. ConnectorFailure when it cannot be had."""
        await probe(settings)
