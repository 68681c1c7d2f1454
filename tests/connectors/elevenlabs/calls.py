"""``elevenlabs.tts`` against the local ElevenLabs, whose samples say which character they speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import SecretStr

from echostack.connectors.elevenlabs.tts import ElevenLabsTts, ElevenLabsTtsSettings
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunkStream, Usage, Word
from echostack.providers.elevenlabs.server import ElevenLabsServer
from echostack.providers.elevenlabs.voice import CodedVoice, code
from tests.connectors.harness import FakeContext

KEY = "sk-very-secret-0123456789"
RATE = 16_000
QUICK: dict[str, Any] = {"connect_s": 0.3, "first_audio_s": 0.3, "gap_s": 0.15, "settle_ms": 60, "rate": RATE}
_CODES = {code(c): c for c in map(chr, range(0x9FFF, 31, -1))}


@dataclass
class Said:
    """What one call gave."""

    chunks: list[AudioChunkStream]
    usage: list[Usage]

    @property
    def pcm(self) -> bytes:
        return b"".join(c.pcm for c in self.chunks)

    @property
    def characters(self) -> str:
        """What the samples say."""
        return spelled(self.pcm)

    @property
    def text(self) -> list[str]:
        return [c.text for c in self.chunks if c.text]

    @property
    def words(self) -> list[Word]:
        """With times from the beginning of all of this audio."""
        return timeline(self.chunks)


def timeline(chunks: Sequence[AudioChunkStream]) -> list[Word]:
    found: list[Word] = []
    at = 0.0
    for chunk in chunks:
        found += [Word(w.text, round(w.start_ms + at, 3), round(w.end_ms + at, 3)) for w in chunk.words]
        at += chunk.seconds * 1000
    return found


def spelled(pcm: bytes, rate: int = RATE, ms: int = 40) -> str:
    """The characters that coded audio says, each of which lasts ``ms``."""
    samples = np.frombuffer(pcm, "<i2")
    step = rate * ms // 1000
    assert len(samples) % step == 0, "a character is torn"
    rows = samples.reshape(-1, step)
    assert (rows == rows[:, :1]).all(), "two characters are mixed"
    return "".join(_CODES[int(v)] for v in rows[:, 0])


@asynccontextmanager
async def server(**how: Any) -> AsyncIterator[ElevenLabsServer]:
    """The local ElevenLabs with a coded voice of 40 ms a character."""
    async with ElevenLabsServer(voice=how.pop("voice", None) or CodedVoice(40), **how) as there:
        assert isinstance(there, ElevenLabsServer)
        yield there


def settings(there: ElevenLabsServer | str, **how: Any) -> ElevenLabsTtsSettings:
    url = there if isinstance(there, str) else there.url
    return ElevenLabsTtsSettings(api_key=SecretStr(KEY), base_url=url, **{**QUICK, **how})


@asynccontextmanager
async def speaking(
    there: ElevenLabsServer | str, context: FakeContext | None = None, **how: Any
) -> AsyncIterator[ElevenLabsTts]:
    """An open connector; when it is closed no task of it is left."""
    before = asyncio.all_tasks()
    tts = ElevenLabsTts(settings(there, **how), context or FakeContext())  # type: ignore[arg-type]
    await tts.open()
    try:
        yield tts
    finally:
        await tts.close()
    if isinstance(there, str):
        assert asyncio.all_tasks() <= before


async def say(tts: ElevenLabsTts, message: AgentMessage | AgentMessagePartial) -> Said:
    said = Said([], [])
    async for item in tts(message):
        if isinstance(item, Usage):
            said.usage.append(item)
        else:
            said.chunks.append(item)
    return said


def whole(text: str, name: str = "u") -> AgentMessage:
    return AgentMessage(text, id=name)


def piece(text: str, name: str = "u", *, final: bool = False) -> AgentMessagePartial:
    return AgentMessagePartial(text, id=name, final=final)


def words_of(text: str, ms: int = 40) -> list[Word]:
    """The words of coded speech that says exactly ``text``: each from its first letter to its last."""
    found: list[Word] = []
    at = 0
    for word in text.split():
        at = text.index(word, at)
        letters = [k for k, c in enumerate(word) if c.isalnum()]
        if letters:
            found.append(Word(word, float((at + letters[0]) * ms), float((at + letters[-1] + 1) * ms)))
        at += len(word)
    return found
