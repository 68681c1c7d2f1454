"""How messages become speech over a websocket to ElevenLabs: one context a message, one connection a call."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Protocol

from echostack.connectors.clauses import clauses
from echostack.connectors.elevenlabs.channel import Channel, Piece
from echostack.connectors.elevenlabs.contexts import Contexts
from echostack.connectors.elevenlabs.errors import NAME, Asked
from echostack.connectors.elevenlabs.settings import ElevenLabsTtsSettings
from echostack.connectors.elevenlabs.socket import Broken
from echostack.connectors.elevenlabs.words import SpokenText, letters_of
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import Usage, Word
from echostack.registry import Context

AHEAD: Final = 600
"""Letters that are sent and not said yet, at most: what an interruption has asked for in vain."""

_LETTERS_A_MS: Final = 0.015  # the pace of speech, where no times tell it
_SPARE_MS, _LETTER_MS = 5_000.0, 400.0  # audio that a text may have at most: so much, and so much a character
_PAUSE_MS: Final = 1_500.0  # audio without a letter of the text that may still be a pause in it
_KNOWN: Final = 64  # messages begun and not ended


@dataclass(frozen=True, slots=True)
class Said:
    """Audio, the words that end in it with their times in ms from its beginning, and whether with it the text begins
    that is being said."""

    pcm: bytes
    words: tuple[Word, ...] = ()
    begins: bool = False


class Speaker(Protocol):
    """What turns the pieces of messages into speech."""

    async def open(self) -> None:
        """Make ready."""

    async def close(self) -> None:
        """Let go of everything."""

    def speak(self, utterance: str, spoken: str, *, last: bool) -> AsyncGenerator[Said, None]:
        """The speech of the next piece of ``utterance``; after the ``last`` one, all that is left of it. Closed early,
        it gives the utterance up."""

    def used(self, utterance: str) -> int:
        """The characters that an ended utterance was asked for with; told once."""

    def snapshot(self) -> frozenset[str]:
        """The utterances begun and not ended."""

    def restore(self, kept: frozenset[str] | None) -> None:
        """Give up those that are not in ``kept``."""


@dataclass(slots=True)
class _Utterance:
    """One message being spoken: its context, what that was given, and how much audio came of it."""

    channel: Channel | None = None
    text: SpokenText = field(default_factory=SpokenText)
    audio_ms: float = 0.0
    untimed_ms: float = 0.0  # of it, since the last letter of the text that had a time
    source: str = ""  # the last message, to know it when it comes twice
    characters: int = 0
    active: bool = False

    @property
    def lost(self) -> bool:
        """Whether the times do not tell what is being said: there are none, or they are not of this text."""
        return self.untimed_ms > _PAUSE_MS or not (self.text.told or self.untimed_ms == 0.0)

    def again(self) -> str:
        """Begin anew in another context; what has to be asked for again."""
        rest = self.text.rest.strip()
        self.leave()
        self.text, self.audio_ms, self.untimed_ms, self.source = SpokenText(), 0.0, 0.0, ""
        return rest

    def leave(self) -> None:
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.abandon()


@dataclass(slots=True)
class _Call:
    """One piece of a message: what of it was not sent yet, the letter of its context that it begins at, whether its
    text was told, whether any of its audio came, and whether any came twice."""

    waiting: deque[str]
    last: bool
    start: int = -1
    told: bool = False
    heard: bool = False
    repeated: bool = False


class SocketSpeaker:
    """Speaks over one connection, which is made anew when it broke. Messages may be spoken side by side."""

    def __init__(self, settings: ElevenLabsTtsSettings, asked: Asked, context: Context) -> None:
        self._settings, self._asked, self._context, self._clock = settings, asked, context, context.clock
        self._contexts = Contexts(settings, asked, context)
        self._utterances: dict[str, _Utterance] = {}
        self._used: dict[str, int] = {}
        self.duplicates = 0
        """Messages of audio that came twice."""

    async def open(self) -> None:
        await self._contexts.open()

    async def close(self) -> None:
        self.restore(None)
        await self._contexts.close()

    def used(self, utterance: str) -> int:
        return self._used.pop(utterance, 0)

    def snapshot(self) -> frozenset[str]:
        return frozenset(self._utterances)

    def restore(self, kept: frozenset[str] | None) -> None:
        for name in [n for n in self._utterances if n not in (kept or ())]:
            self._utterances.pop(name).leave()

    async def speak(self, utterance: str, spoken: str, *, last: bool) -> AsyncGenerator[Said, None]:
        known = self._utterances.get(utterance)
        if known is None and not spoken:
            return
        u = known or self._begun(utterance)
        call = _Call(deque(c.spoken for c in clauses(spoken)), last)
        u.active, whole = True, False
        try:
            async with aclosing(self._piece(u, call)) as pieces:
                async for said in pieces:
                    yield said
            whole = True
        finally:
            u.active = False
            if u.channel is not None:
                u.channel.rests()
            if last or not whole:
                self._ended(utterance, u, whole=whole)

    def _begun(self, utterance: str) -> _Utterance:
        idle = [n for n, u in self._utterances.items() if not u.active]
        for name in idle[: max(0, len(self._utterances) - _KNOWN)]:
            self._utterances.pop(name).leave()
        u = self._utterances[utterance] = _Utterance()
        return u

    def _ended(self, utterance: str, u: _Utterance, *, whole: bool) -> None:
        """The utterance is over, or given up: no await, so that nothing of it can come after."""
        u.leave()
        if self._utterances.get(utterance) is u:
            del self._utterances[utterance]
        if whole:
            self._used[utterance] = u.characters
        elif u.characters:
            self._context.emit(Usage(self._settings.model_id, characters=u.characters))

    def _make_room(self, live: Sequence[Channel]) -> None:
        """Give the oldest message up that nobody goes on with and that has one of these contexts."""
        for u in self._utterances.values():
            if not u.active and u.channel in live:
                u.leave()
                return

    # -- one piece ---------------------------------------------------------------------------------------------

    async def _piece(self, u: _Utterance, call: _Call) -> AsyncGenerator[Said, None]:
        again = False
        while True:
            try:
                if u.channel is None:
                    if not call.waiting:
                        return  # nothing is left to be said
                    u.again()
                    u.channel = await self._contexts.channel(self._make_room)
                u.channel.reading = True
                async with aclosing(self._listen(u, u.channel, call)) as pieces:
                    async for said in pieces:
                        yield said
                if u.channel is not None or not call.waiting:
                    return  # otherwise the context was closed before all was sent: the rest is said in another one
            except Broken as error:
                if again or (u.lost and not u.text.whole):
                    raise ConnectorFailure(str(error)) from None
                again = True
                if call.start >= 0 and (rest := u.again()):
                    call.waiting.appendleft(rest)
                u.leave()
                call.start = 0 if call.told else -1
                self._context.log(f"{error}; what is not said yet is asked for again")

    async def _listen(self, u: _Utterance, channel: Channel, call: _Call) -> AsyncGenerator[Said, None]:
        text, now = u.text, self._clock.now
        patient_from = now()
        while True:
            if self._send(u, channel, call):
                patient_from = now()
            heard_all = not call.waiting and text.whole and u.audio_ms >= text.end_ms - 1.0
            complete = heard_all and (text.told or not text.letters)
            if complete and not call.last:
                return
            if complete:
                channel.close()
            patience = self._patience(u, channel, call)
            piece = await channel.take(patient_from + patience - now())
            if piece is None:
                if self._quiet(u, channel, call):
                    return
                patient_from = now()
                continue
            if piece.end:
                u.leave()
                if channel.closing or complete:
                    return
                raise Broken(f"{NAME}: {self._asked.place} ended before everything was said")
            if self._twice(u, piece):
                call.repeated = True
                continue
            for said in self._heard(u, channel, piece, call):
                yield said
            patient_from = now()

    def _send(self, u: _Utterance, channel: Channel, call: _Call) -> bool:
        """Send what may be sent by now; whether anything was."""
        if channel.closing:
            return False
        batch: list[str] = []
        ahead = len(u.text.letters) - max(u.text.said, 0 if u.text.told else int(u.audio_ms * _LETTERS_A_MS))
        while call.waiting and (ahead < AHEAD or not batch):
            if ahead >= AHEAD:
                return False
            batch.append(call.waiting.popleft())
            ahead += len(letters_of(batch[-1]))
        if not batch:
            return False
        u.untimed_ms = 0.0 if u.text.told else u.untimed_ms
        for number, clause in enumerate(batch):
            start = u.text.add(f"{clause} ")
            if call.start < 0:
                call.start = start
            u.characters += len(clause) + 1
            channel.send(f"{clause} ", **({"flush": True} if number == len(batch) - 1 else {}))
        return True

    def _patience(self, u: _Utterance, channel: Channel, call: _Call) -> float:
        """How many seconds the next audio may take."""
        settings = self._settings
        if channel.closing:
            return settings.gap_s
        if not call.heard and call.start >= 0:
            return settings.first_audio_s
        if not call.waiting and (u.lost or u.text.nearly):
            return settings.settle_ms / 1000
        return settings.gap_s

    def _quiet(self, u: _Utterance, channel: Channel, call: _Call) -> bool:
        """Nothing came in time. Whether the piece is over; otherwise there is something to wait for again."""
        settings, place = self._settings, self._asked.place
        settled = not call.waiting and (u.lost or u.text.nearly)
        if not call.heard and call.start >= 0 and not channel.closing:
            channel.connection.give_up(f"{place} went silent")
            raise ConnectorFailure(f"{NAME}: {place} gave no audio within {settings.first_audio_s:g} s")
        if not channel.closing:
            if settled and not call.last:
                u.text.skip()
                return True  # what still comes is given with the next piece
            # Either it is over and the times do not show it, or the far end is dead: its answer to this tells.
            channel.close()
            return False
        if (settled or u.text.whole) and not call.repeated:
            u.leave()  # it is over, and only its end was not told
            return True
        channel.connection.give_up(f"{place} went silent")
        u.channel = None
        if settled or u.text.whole:
            return True
        raise Broken(f"{NAME}: {place} gave no audio for {settings.gap_s:g} s")

    def _twice(self, u: _Utterance, piece: Piece) -> bool:
        """Whether a message came before: the same to the last bit, and not what is to be said next."""
        same, u.source = piece.source == u.source, piece.source
        if not same or (letters_of("".join(piece.characters)) and u.text.continues(piece.characters)):
            return False
        if not piece.characters and not any(piece.pcm):
            return False  # silence, which may be like silence
        self.duplicates += 1
        return True

    def _heard(self, u: _Utterance, channel: Channel, piece: Piece, call: _Call) -> list[Said]:
        """What one message of audio says, in two parts where it ends one text and begins the next."""
        begin, rate, before = u.audio_ms, self._settings.rate, u.text.said
        words = u.text.hear(piece.characters, [s + begin for s in piece.starts], [e + begin for e in piece.ends])
        length = len(piece.pcm) / 2 / rate * 1000
        u.audio_ms += length
        u.untimed_ms = 0.0 if u.text.said > before else u.untimed_ms + length
        if u.audio_ms > _SPARE_MS + _LETTER_MS * len(u.text.text):
            channel.connection.give_up(f"{self._asked.place} did not end")
            raise ConnectorFailure(f"{NAME}: {self._asked.place} gave more audio than the text can have")
        # Times that are not of this text are nevertheless of this piece, when all before it has been said.
        elsewhere = before >= call.start and letters_of("".join(piece.characters))
        reached = bool(u.text.said > call.start or not u.text.told or u.lost or elsewhere)
        call.heard = call.heard or reached
        if call.told or not reached or call.start < 0:
            return [_part(piece.pcm, words, begin)]
        call.told = True
        first = u.text.begins(call.start) if call.start > 0 else None
        cut = 2 * round((first - begin) * rate / 1000) if first is not None else 0
        if not 0 < cut < len(piece.pcm):
            return [_part(piece.pcm, words, begin, begins=True)]
        at = begin + cut / 2 / rate * 1000
        earlier = [w for w in words if w.end_ms <= at]
        return [
            _part(piece.pcm[:cut], earlier, begin),
            _part(piece.pcm[cut:], words[len(earlier) :], at, begins=True),
        ]  # fmt: skip


def _part(pcm: bytes, words: list[Word], begin: float, *, begins: bool = False) -> Said:
    """Audio that begins at ``begin`` in its context, with words whose times count from there on."""
    own = (Word(w.text, round(w.start_ms - begin, 3), round(w.end_ms - begin, 3)) for w in words)
    return Said(pcm, tuple(own), begins)
