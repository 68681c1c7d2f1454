"""One context of a local ElevenLabs: text goes in, is held back until it is worth speaking, and leaves as audio."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from echostack.core.clock import Clock
from echostack.providers.elevenlabs.voice import Speech, Voice, encoded
from echostack.providers.elevenlabs.wire import Wire
from echostack.providers.faults import FaultKind
from echostack.providers.seen import Seen

SCHEDULE: Final = (120, 160, 250, 290)
"""Characters that have to be there before a generation is begun, the first, the second, …, and each further one."""

_TRIGGER: Final = 50  # characters that `try_trigger_generation` wants
_WAITING: Final = 1_000  # texts that wait to be spoken; each at most one message of the client


@dataclass(frozen=True, slots=True)
class Manner:
    """How one connection speaks: the format, whether times come with every message, the audio in one message in ms,
    seconds of audio made in a second (0: all at once), and seconds until a closed context is gone."""

    voice: Voice
    output_format: str
    rate: int
    sync_alignment: bool
    auto_mode: bool
    message_ms: int
    pace: float
    closing: float


class SpeakingContext:
    """Text in, messages out. ``run`` speaks until the context is closed, and tells its end.

    ``name`` is None for the one context of a connection that has no others. What has been flushed when it is closed is
    still spoken, what has not is dropped (ElevenLabs, "Multi-Context WebSocket", CloseContext).
    """

    def __init__(self, name: str | None, manner: Manner, schedule: Sequence[float], wire: Wire, *, clock: Clock,
                 seen: Seen) -> None:  # fmt: skip
        self.name = name
        self.heard_at = clock.now()
        self.closing = False
        self.busy = False
        self._manner, self._schedule, self._wire, self._clock, self._seen = manner, schedule, wire, clock, seen
        self._texts: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        self._buffer = ""
        self._generations = 0
        self._unsent_ms = 0.0
        self._label = {"context": name} if name is not None else {}

    async def take(self, message: Mapping[str, Any]) -> None:
        """One message of the client for this context."""
        self.heard_at = self._clock.now()
        text = message.get("text") or ""
        flush = bool(message.get("flush"))
        self._seen.note(self._wire.exchange, "received", text=text, flush=flush, **self._label)
        self._buffer += text
        if flush:
            self._seen.note(self._wire.exchange, "flush", **self._label)
        wanted = self._schedule[min(self._generations, len(self._schedule) - 1)]
        if message.get("try_trigger_generation"):
            wanted = min(wanted, _TRIGGER)
        if flush or (text.strip() and (self._manner.auto_mode or len(self._buffer) >= wanted)):
            await self._generate()

    async def close(self, *, spoken: bool = False) -> None:
        """Take nothing more; ``spoken``: what was held back is spoken first."""
        if self.closing:
            return
        if spoken:
            await self._generate()
        self.closing = True
        waiting = self._unsent_ms > 0 or self.busy or not self._texts.empty()
        self._seen.note(self._wire.exchange, "context closed", unsent_ms=round(self._unsent_ms), **self._label)
        if waiting and not spoken:
            self._seen.note(self._wire.exchange, "cancelled", **self._label)
        self._buffer = ""
        await self._texts.put(None)

    async def run(self) -> None:
        """Speak what comes, in order, until the end; then tell the end."""
        while (text := await self._texts.get()) is not None:
            self.busy = True
            speech = await self._manner.voice.speak(text, self._manner.rate)
            await self._say(speech)
            self.busy = False
        if self._wire.plays(FaultKind.ENDLESS):
            await self._wire.endless()
        if self._manner.closing:
            await self._clock.sleep(self._manner.closing)
        end = {"isFinal": True} if self.name is not None else {"audio": None, "isFinal": True}
        await self._wire.send({**end, **({"contextId": self.name} if self.name is not None else {})})

    async def _generate(self) -> None:
        text, self._buffer = self._buffer, ""
        if text.strip():
            self._generations += 1
            await self._texts.put(text)

    async def _say(self, speech: Speech) -> None:
        self._unsent_ms = speech.ms
        for message, ms in messages(speech, self._manner):
            if self._manner.pace:
                await self._clock.sleep(ms / 1000 / self._manner.pace)
            if self.name is not None:
                message["contextId"] = self.name
            else:
                message["isFinal"] = None
            await self._wire.send(message)
            self._unsent_ms -= ms
            self._seen.note(self._wire.exchange, "sent", ms=round(ms), **self._label)
        self._unsent_ms = 0.0
        if self._wire.plays(FaultKind.ENDLESS):
            await self._wire.endless()


def messages(speech: Speech, manner: Manner) -> list[tuple[dict[str, Any], float]]:
    """One text's speech cut into messages, each with its length in ms.

    A character's times are told with the audio in which it begins, from the beginning of that audio; without
    ``sync_alignment`` all of them with the first message.
    """
    step = max(1, round(manner.rate * manner.message_ms / 1000)) * 2
    found: list[tuple[dict[str, Any], float]] = []
    at = 0
    pieces = [speech.pcm[k : k + step] for k in range(0, len(speech.pcm), step)]
    for number, pcm in enumerate(pieces):
        begin = number * step / 2 / speech.rate * 1000
        last = number == len(pieces) - 1 or (number == 0 and not manner.sync_alignment)
        end = float("inf") if last else (number + 1) * step / 2 / speech.rate * 1000
        upto = at
        while upto < len(speech.text) and speech.starts[upto] < end:
            upto += 1
        told = alignment(speech, at, upto, begin) if upto > at else None
        at = upto
        audio = base64.b64encode(encoded(pcm, manner.output_format)).decode()
        message = {"audio": audio, "alignment": told, "normalizedAlignment": told}
        found.append((message, len(pcm) / 2 / speech.rate * 1000))
    return found


def alignment(speech: Speech, first: int, last: int, begin: float) -> dict[str, list[Any]]:
    """The times of the characters from ``first`` to before ``last``, counted from ``begin`` (ms)."""
    return {
        "chars": list(speech.text[first:last]),
        "charStartTimesMs": [round(s - begin) for s in speech.starts[first:last]],
        "charDurationsMs": list(speech.durations[first:last]),
    }
