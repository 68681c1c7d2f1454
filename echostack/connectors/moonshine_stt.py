"""``moonshine.stt``: recognises English speech on this machine, without a network, and finds the ends of turns.

The model is Moonshine tiny (MIT), carried by its package. It is not a streaming model: the audio of the turn is
decoded anew as it grows, which at about 3 % of real time is cheap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from echostack.connectors.alongside import Alongside
from echostack.connectors.audio_time import AudioTime
from echostack.connectors.moonshine_model import RATE, shared_model
from echostack.connectors.pcm import mono, to_float, to_pcm
from echostack.connectors.resample import Resampler
from echostack.connectors.speech_gate import SpeechGate
from echostack.connectors.turn_buffer import Piece, Take, TurnBuffer
from echostack.core.audio import AudioFormat
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame, Text, TextPartial, TextSegment
from echostack.registry import ConnectorSettings, Context, Inbox, Latency, Out, connector

_WAITING = 4  # takes that may wait for the model before the inbox is left alone; each at most `longest_s` of audio


class MoonshineSttSettings(ConnectorSettings):
    """When a turn ends, and how often it is looked at before."""

    model: Literal["tiny-en"] = "tiny-en"
    """The model; the one whose weights come in a package."""
    endpoint_ms: int = Field(400, ge=160, le=10_000)
    """Silence that ends the caller's turn, in milliseconds."""
    partial_ms: int = Field(300, ge=0, le=10_000)
    """Speech between two partial texts, in milliseconds; 0 for none."""
    longest_s: float = Field(15.0, ge=4.0, le=30.0)
    """Seconds of speech after which a piece is cut off, at a quiet place, as a segment of the turn."""
    min_speech_ms: int = Field(100, ge=0, le=5000)
    """A turn with less voice than this, in milliseconds, is noise and gives no text."""
    mode: Literal[0, 1, 2, 3] = 2
    """How strict the voice-activity detector is, 0 to 3."""
    gate_db: float = Field(-45.0, ge=-96.0, le=0.0)
    """Loudness in dB of full scale under which nothing is speech."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A take with the event that completed it, its times on the session's clock, and when it was made."""

    take: Take
    cause: Event
    start: float
    end: float
    made: float


@connector(
    "moonshine.stt",
    input_format=lambda settings: AudioFormat(RATE),
    latency=Latency(p50=410, p95=650),
    packages=("moonshine_voice",),
    extra="embedded",
)
class MoonshineStt:
    """Recognises English speech on this machine, without a network, and finds the ends of turns.

    A ``text`` is a whole turn, with ``waited_ms`` the time from the end of the speech to the text, mostly the
    silence that ended it: the decode happens during that silence. ``text.partial`` shows the turn so far. A turn
    longer than ``longest_s`` gives ``text.segment`` pieces on the way, and a ``text`` with all of it at its end.
    The model tells no confidence and no word times. Noise that is not speech gives nothing.

    Audio is taken and kept while the model works, in bounded memory: when more than a minute waits for the model,
    the inbox is left to its own policy. Cancelling it loses the turn that was going on and nothing else; what the
    model is working on is finished in its thread and thrown away. An interruption of the agent does not disturb it.

    Simulated: by a recogniser that hears the scripted words.
    """

    def __init__(self, settings: MoonshineSttSettings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._model = shared_model(settings.model)
        self._begin()

    def _begin(self) -> None:
        """Nothing heard yet: at first, and when the engine starts it again."""
        settings = self._settings
        gate = SpeechGate(
            RATE, mode=settings.mode, gate_db=settings.gate_db, start_ms=60,
            hangover_ms=settings.endpoint_ms, who="moonshine.stt",
        )  # fmt: skip
        self._buffer = TurnBuffer(gate, look_ms=settings.partial_ms, longest_s=settings.longest_s)
        self._time = AudioTime()
        self._resampler = Resampler(RATE, RATE)
        self._heard: Event | None = None
        self._jobs: deque[_Job] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._ended = False
        self._said: list[str] = []  # the segments of the turn that is going on
        self._turn_start = 0.0
        self._looked: tuple[int, int, str] | None = None  # what was decoded last: first and last sample, text
        self._shown = ""

    def interrupted(self) -> None:
        """The caller's words outlive an interruption of the agent: there is nothing to forget."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial | TextSegment | Out]:
        self._begin()
        async with Alongside(self._listen(inbox)):
            # Loading takes half a second: begun before the caller's first word ends, so that no turn waits for it.
            await self._context.compute.run(self._model.load)
            while True:
                job = self._next()
                if job is not None:
                    payload = await self._recognise(job)
                    if payload is not None:
                        yield Out(payload, cause=job.cause)
                elif self._ended:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()

    async def _listen(self, inbox: Inbox[AudioFrame]) -> None:
        try:
            async for event in inbox:
                self._hear(event)
                while len(self._jobs) >= _WAITING:
                    self._room.clear()
                    await self._room.wait()
            last = self._buffer.end()
            if last is not None and self._heard is not None:
                self._jobs.append(self._job(last, self._heard))
        finally:
            self._ended = True
            self._wake.set()

    def _hear(self, event: Event) -> None:
        frame = event.payload
        assert isinstance(frame, AudioFrame)
        pcm = mono(frame.pcm, frame.channels)
        if frame.rate != self._resampler.source:
            self._resampler = Resampler(frame.rate, RATE)
        if frame.rate != RATE:
            pcm = to_pcm(self._resampler.feed(to_float(pcm)))
        self._heard = event
        takes = self._buffer.feed(pcm)
        self._time.arrived(self._buffer.position / RATE, event.time)
        self._jobs.extend(self._job(take, event) for take in takes)
        if takes or self._buffer.look_due:
            self._wake.set()

    def _job(self, take: Take, cause: Event) -> _Job:
        start, end = self._time.at(take.start / RATE), self._time.at(take.end / RATE)
        return _Job(take, cause, start, end, self._context.clock.now())

    def _next(self) -> _Job | None:
        if self._jobs:
            job = self._jobs.popleft()
            self._room.set()
            return job
        look = self._buffer.look()
        return self._job(look, self._heard) if look is not None and self._heard is not None else None

    async def _recognise(self, job: _Job) -> Text | TextPartial | TextSegment | None:
        take = job.take
        if not self._said and take.voiced_ms < self._settings.min_speech_ms:
            return None
        text = await self._decode(take)
        if take.piece is Piece.LOOK:
            return self._partial(job, text)
        if not self._said:
            self._turn_start = job.start
        if text:
            self._said.append(text)
        if take.piece is Piece.SEGMENT:
            return TextSegment(text, language="en", start=job.start, end=job.end) if text else None
        whole = " ".join(self._said)
        self._said, self._shown = [], ""
        if not whole:
            return None
        waited = take.quiet / RATE + self._context.clock.now() - job.made
        return Text(
            whole, language="en", start=self._turn_start, end=job.end,
            ended_by="recogniser", waited_ms=round(waited * 1000, 1),
        )  # fmt: skip

    def _partial(self, job: _Job, text: str) -> TextPartial | None:
        over = any(waiting.take.piece is Piece.TURN for waiting in self._jobs)
        whole = " ".join([*self._said, *([text] if text else [])])
        # Once the turn is over its text is at hand; the same words twice tell nobody anything.
        if over or not self._settings.partial_ms or not text or whole == self._shown:
            return None
        self._shown = whole
        start = self._turn_start if self._said else job.start
        return TextPartial(whole, language="en", start=start, end=job.end)

    async def _decode(self, take: Take) -> str:
        if self._looked is not None and self._looked[:2] == (take.first, take.last):
            return self._looked[2]
        clock = self._context.clock
        begun = clock.now()
        text = await self._context.compute.run(self._model.decode, take.pcm)
        # On a machine that is busy partial texts come less often, so that they do not hold up the final one.
        self._buffer.slow_down(2 * (clock.now() - begun))
        self._looked = (take.first, take.last, text)
        return text
