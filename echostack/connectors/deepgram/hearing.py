"""One run of ``deepgram.stt``: audio in, events out, over as many connections as it takes.

Four things go on at once, each in one task: the inbox is read (``listen``), audio is sent, answers are received, and a
watch is kept on their coming. What is said is decided in one place, as answers come.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import tenacity

from echostack.connectors.alongside import Alongside
from echostack.connectors.audio_time import AudioTime
from echostack.connectors.deepgram.audio import HeldAudio
from echostack.connectors.deepgram.link import WHO, Link, LinkLost, Sdk, host_of, linked
from echostack.connectors.deepgram.messages import Complaint, Message, Result, Summary, Unreadable, UtteranceEnd
from echostack.connectors.deepgram.settings import DeepgramSettings
from echostack.connectors.deepgram.turn import END_OF_AUDIO, RECOGNISER, SILENCE, CallerTurn
from echostack.connectors.pcm import mono, to_float, to_pcm
from echostack.connectors.resample import Resampler
from echostack.core.audio import BYTES_PER_SAMPLE
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, SpeechStopped, Text, TextPartial, Usage
from echostack.registry import Context, Inbox, Out

_MESSAGE_SECONDS: Final = 0.1  # the most audio in one message: what waits is sent in pieces that Deepgram asks for
_DRAIN_SECONDS: Final = 2.0  # for the last results after the end of the audio
_FINALIZE_SECONDS: Final = 0.5  # for the answer to a Finalize, which Deepgram does not promise
_LOOK_SECONDS: Final = 0.1  # between two looks at how long an answer has been waited for
_WITHIN_SECONDS: Final = 60.0  # in which connections lost are counted together
_WAITING: Final = 256  # outputs that may wait to be taken before no more answers are read
_BACKOFF: Final = tenacity.wait_exponential(multiplier=0.1, max=2.0)


class Hearing:
    """``listen`` and ``converse`` must run while ``next`` is asked for what there is to say."""

    def __init__(self, settings: DeepgramSettings, context: Context, sdk: Sdk, client: Any) -> None:
        self._settings, self._context, self._clock = settings, context, context.clock
        self._sdk, self._client = sdk, client
        self._audio = HeldAudio(settings.sample_rate, settings.hold_s)
        self._time = AudioTime()
        self._turn = CallerTurn(
            language=settings.language, utterance_end=settings.utterance_end_ms / 1000,
            at=self._time.at, now=self._clock.now,
        )  # fmt: skip
        self._resampler = Resampler(settings.sample_rate, settings.sample_rate)
        self._heard: Event | None = None
        self._out: deque[Out] = deque()
        self._news, self._room, self._wake = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ended_at: float | None = None  # when the inbox ended
        self._over = False  # nothing more comes of Deepgram
        self._said_all = False  # and what came of it has been said
        self._base = 0.0  # where this connection's audio begins
        self._reached = 0.0  # how far its results have come: one that comes no further is an echo, and no answer
        self._asked_at: float | None = None  # audio has been sent since, and nothing has come
        self._fed_at = self._told_at = 0.0  # when audio was sent last, and when anything was
        self._stood = self._ever_stood = False  # whether this connection was open, and whether any was
        self._ever_answered = False
        self._losses: deque[float] = deque()
        self._outage_since: float | None = None
        self._tries = 0
        self._finalize = False
        self._ending: tuple[str, float] | None = None  # what ends the turn with the next result, and until when
        self._unbilled = 0
        self._lost = 0.0
        self._unreadable = 0

    # -- in -----------------------------------------------------------------------------------------------------

    async def listen(self, inbox: Inbox[AudioFrame | SpeechStopped]) -> None:
        """Take what comes, at once, whatever the state of the connection."""
        try:
            async for event in inbox:
                if isinstance(event.payload, AudioFrame):
                    self._hear(event.payload, event)
                else:
                    self._finalize = self._finalize or self._turn.open or self._audio.unsettled > 0
                self._wake.set()
            self._rest()
        finally:
            self._ended_at = self._clock.now()
            self._wake.set()

    def _hear(self, frame: AudioFrame, event: Event) -> None:
        rate = self._settings.sample_rate
        pcm = mono(frame.pcm, frame.channels)
        if frame.rate != self._resampler.source:
            self._rest()
            self._resampler = Resampler(frame.rate, rate)
        if frame.rate != rate:
            pcm = to_pcm(self._resampler.feed(to_float(pcm)))
        self._heard = event
        self._audio.add(pcm, event)
        self._time.arrived(self._audio.position, event.time)

    def _rest(self) -> None:
        """Take what the conversion of the rate still holds back."""
        if self._heard is not None and self._resampler.source != self._settings.sample_rate:
            self._audio.add(to_pcm(self._resampler.feed(to_float(b""), last=True)), self._heard)

    # -- out ----------------------------------------------------------------------------------------------------

    async def next(self) -> Out | None:
        """The next output; None when there will be no more."""
        while not self._out:
            if self._said_all:
                return None
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._out.popleft()

    def _say(self, said: Sequence[Payload], cause: Event | None) -> None:
        for payload in said:
            if self._out and isinstance(payload, TextPartial) and isinstance(self._out[-1].payload, TextPartial):
                self._out.pop()  # nobody has seen it, and it is outdated
            self._out.append(Out(payload, cause=cause))
            if isinstance(payload, Text):
                self._ending = None
                self._bill(cause)
        self._news.set()

    def _bill(self, cause: Event | None) -> None:
        """Tell what was used. Only with a turn or the end: between them it would pass for an answer to audio that is
        still to be recognised."""
        if self._unbilled:
            used = self._unbilled / BYTES_PER_SAMPLE / self._settings.sample_rate
            self._unbilled = 0
            self._out.append(Out(Usage(model=self._settings.model, audio_seconds=round(used, 6)), cause=cause))

    # -- connections --------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Have what comes recognised, until the inbox has ended and its last words are said.

        ConnectorFailure when Deepgram refuses, or cannot be had for longer than the settings allow; the settled words
        of the turn that was going on are said before.
        """
        try:
            while not self._over:
                self._stood = False
                try:
                    await self._connection()
                except LinkLost as lost:
                    await self._recover(lost)
            self._say(self._turn.end(END_OF_AUDIO, unsettled=True), self._audio.latest)
            self._bill(self._audio.latest)
        except ConnectorFailure:
            self._say(self._turn.end(RECOGNISER), self._audio.settled_by)
            raise
        finally:
            self._over = self._said_all = True
            self._news.set()

    async def _connection(self) -> None:
        settings = self._settings
        async with linked(
            self._sdk, self._client, host_of(settings.base_url), settings.query(),
            clock=self._clock, seconds=min(settings.connect_s, self._left()),
        ) as link:  # fmt: skip
            self._stood = self._ever_stood = True
            self._base = self._reached = self._audio.again()
            self._tell_lost()
            self._asked_at = None
            async with Alongside(self._send(link)), Alongside(self._watch(link)):
                while not self._over:
                    while len(self._out) >= _WAITING:
                        self._room.clear()
                        await self._room.wait()
                        self._asked_at = None  # answers waited for us, not we for them
                    try:
                        self._take(await link.receive())
                    except Unreadable as error:
                        self._broken(error)

    async def _send(self, link: Link) -> None:
        most = round(_MESSAGE_SECONDS * self._settings.sample_rate) * BYTES_PER_SAMPLE
        self._fed_at = self._told_at = self._clock.now()
        if self._ending is not None:  # the connection before this one was asked, and cannot answer any more
            self._ending, self._finalize = None, True
        try:
            while True:
                if self._audio.behind:
                    link.abandon("takes audio more slowly than it comes")
                    return
                pcm = self._audio.take(most)
                if pcm:
                    if self._asked_at is None:
                        self._asked_at = self._clock.now()
                    self._unbilled += len(pcm)
                    self._fed_at = self._told_at = self._clock.now()
                    await link.audio(pcm)
                elif self._finalize:
                    self._finalize = False
                    self._ending = (SILENCE, self._clock.now() + _FINALIZE_SECONDS)
                    await link.finalize()
                elif self._ended_at is not None:
                    await link.close_stream()
                    return
                else:
                    await self._more(link)
        except LinkLost as lost:
            link.abandon(lost.reason)
        except ConnectorFailure:
            pass  # the receiver meets it too, and it is the one that is asked

    async def _more(self, link: Link) -> None:
        """Wait for audio. When none comes, have the words so far settled, and keep the connection alive."""
        due = self._told_at + self._settings.keepalive_s
        finalizes = self._turn.open and self._ending is None
        if finalizes:
            due = min(due, self._fed_at + self._settings.utterance_end_ms / 1000)
        self._wake.clear()
        try:
            async with self._clock.timeout(max(0.0, due - self._clock.now())):
                await self._wake.wait()
        except TimeoutError:
            now = self._clock.now()
            if finalizes and now >= self._fed_at + self._settings.utterance_end_ms / 1000:
                self._finalize, self._fed_at = True, now
            else:
                self._told_at = now
                await link.keep_alive()

    async def _watch(self, link: Link) -> None:
        """Give the link up when it no longer answers; end what it cannot be waited for."""
        stall = self._settings.stall_s
        step = min(_LOOK_SECONDS, stall / 4)
        while True:
            await self._clock.sleep(step)
            now = self._clock.now()
            held_back = len(self._out) >= _WAITING  # by us: then nothing is read
            if self._asked_at is not None and not held_back and now - self._asked_at >= stall:
                link.abandon(f"has not answered for {stall:g} s while audio was sent")
                return
            if self._ended_at is not None and now - self._ended_at >= _DRAIN_SECONDS:
                link.abandon(f"has not given its last results within {_DRAIN_SECONDS:g} s")
                return
            if self._ending is not None and now >= self._ending[1]:
                by, _ = self._ending
                self._ending = None
                self._wake.set()
                if not self._turn.pending:
                    self._say(self._turn.end(by), self._audio.latest)

    async def _recover(self, lost: LinkLost) -> None:
        """Wait as long as is right before the next connection; ConnectorFailure when there should be none."""
        now, settings = self._clock.now(), self._settings
        if self._ended_at is not None:
            nothing = self._audio.unsettled <= 0 and not self._turn.pending
            if lost.whole or nothing:
                self._over = True
                return
            if self._gave_up_the_end(lost):
                return
        if self._outage_since is None:
            self._outage_since = now
        where = host_of(settings.base_url)
        if lost.nobody and not self._ever_stood and self._context.choice:
            raise ConnectorFailure(f"{WHO}: {where} {lost.reason}")  # the next member need not wait for nobody
        if self._stood:
            self._losses.append(now)
        while self._losses and now - self._losses[0] > _WITHIN_SECONDS:
            self._losses.popleft()
        if len(self._losses) > settings.reconnects:
            raise ConnectorFailure(
                f"{WHO}: {len(self._losses)} connections to {where} were lost within {_WITHIN_SECONDS:g} s; the last "
                f"{lost.reason}"
            )
        wait = self._backoff() if self._tries else 0.0
        self._tries += 1
        if lost.retry_after is not None:
            wait = max(wait, lost.retry_after)
        if now + wait - self._outage_since > settings.outage_s:
            raise ConnectorFailure(
                f"{WHO}: {where} {lost.reason}, and there has been no answer for {now - self._outage_since:.1f} s: "
                "check the network and https://status.deepgram.com",
                retry_after=lost.retry_after,
            )
        self._context.log(f"{WHO} connects again", why=lost.reason, wait_seconds=round(wait, 3))
        until = now + wait
        while (left := min(until - self._clock.now(), self._left())) > 0:
            await self._clock.sleep(min(left, _LOOK_SECONDS))  # the audio may end meanwhile
        self._gave_up_the_end(lost)

    def _gave_up_the_end(self, lost: LinkLost) -> bool:
        """Whether the last words have been waited for as long as is right; what was not recognised is told.

        ConnectorFailure when that is all there was: a call in which Deepgram never answered has not gone well.
        """
        self._over = self._left() <= 0
        if self._over:
            if not self._ever_answered:
                where = host_of(self._settings.base_url)
                raise ConnectorFailure(
                    f"{WHO}: {where} {lost.reason}, and the call ended before it answered once: "
                    "check the network and https://status.deepgram.com",
                    retryable=False,
                )
            unheard = round(self._audio.unsettled, 3)
            self._context.log(f"{WHO} lost the end of the audio: no results came for it in time", seconds=unheard)
        return self._over

    def _left(self) -> float:
        """Seconds that there still are for the last words; for ever while audio may come."""
        return math.inf if self._ended_at is None else self._ended_at + _DRAIN_SECONDS - self._clock.now()

    def _backoff(self) -> float:
        state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = self._tries
        return _BACKOFF(state) * self._context.random.uniform(0.5, 1.0)

    def _tell_lost(self) -> None:
        lost, self._lost = self._audio.lost - self._lost, self._audio.lost
        if lost > 0:
            self._context.log(
                f"{WHO} lost audio that was not yet recognised: more than hold_s came without a connection",
                seconds=round(lost, 3), seconds_in_all=round(self._lost, 3),
            )  # fmt: skip

    # -- what is said -------------------------------------------------------------------------------------------

    def _take(self, message: Message | None) -> None:
        match message:
            case Result():
                self._result(message.moved(self._base))
            case UtteranceEnd(last_word_end):
                self._say(self._turn.utterance_ended(last_word_end + self._base), self._audio.latest)
            case Summary():
                self._over = self._ended_at is not None
            case Complaint(text):
                self._context.log(f"{WHO}: Deepgram did not understand a message", complaint=text[:200])

    def _result(self, result: Result) -> None:
        before = self._turn.settled
        if result.end > self._reached:
            self._reached = result.end
            self._answered()
        cause = self._audio.event_at(result.end)
        ends = self._ending[0] if self._ending is not None and result.from_finalize else ""
        self._say(self._turn.hear(result, ends=ends), cause)
        if ends:
            self._ending = None
        if self._turn.settled > before:
            self._audio.settle(self._turn.settled)
        if self._turn.open:
            self._wake.set()  # whoever waits for audio looks anew at how long these words may wait for more

    def _answered(self) -> None:
        self._ever_answered = True
        self._asked_at = None
        self._outage_since = None
        self._tries = 0

    def _broken(self, error: Unreadable) -> None:
        self._unreadable += 1
        if self._unreadable == 1:
            self._context.log(f"{WHO}: Deepgram sent a message that cannot be read", why=str(error)[:200])
