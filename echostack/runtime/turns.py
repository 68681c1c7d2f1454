"""The end of the caller's turn: the one place that decides it, whatever the recogniser thinks (DESIGN: Turns).

Under ``recogniser`` its Text is the turn. Otherwise its Text is only one more piece of the turn, and the turn is the
pieces together, once silence has lasted or the named node has said so (``Data`` called ``end_of_turn``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Data, SpeechStarted, SpeechStopped, Text, TextPartial, TextSegment, Word
from echostack.language.document import TurnsDecl

RECOGNISER, SILENCE, END_OF_TURN = "recogniser", "silence", "end_of_turn"
END_OF_AUDIO = "end_of_audio"

DETECTOR_PATIENCE = 3.0
"""Seconds of silence after which a turn ends although the node that should end it has not said so."""

PARTIAL_GRACE = 1.0
"""Seconds that the end of a turn waits for words that are known to be on their way."""


class TurnKeeper:
    """Decides where a turn ends, for the events of one recogniser, one voice activity detector and one turn detector.

    ``on_event`` answers with the payloads that take the event's place, in order: the same payload when it passes
    unchanged, none when it is swallowed, a Text after it when it ends the turn. A turn that ends by the clock goes to
    ``emit`` with the event of its last words. Synchronous; at most one timer, which ``close`` revokes.
    """

    def __init__(self, turns: TurnsDecl, clock: Clock, emit: Callable[[Text, Event], None]) -> None:
        self._clock, self._emit = clock, emit
        self._by = turns.end_by
        self._silence = turns.silence if turns.end_by == SILENCE else max(DETECTOR_PATIENCE, turns.silence)
        self._pieces: list[TextSegment] = []
        self._unconfirmed = 0
        self._spent = 0
        self._last_words: Event | None = None
        self._speaking = False
        self._has_ears = False
        self._last_speech: float | None = None
        self._partial = False
        self._asked = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def passive(self) -> bool:
        """Whether everything passes unchanged, so that nobody need ask."""
        return self._by == RECOGNISER

    def on_event(self, event: Event) -> list[Payload]:
        """Take note of ``event``; the payloads that go on in its place."""
        payload = event.payload
        if self.passive:
            return [payload]
        match payload:
            case SpeechStarted():
                self._speech_started()
            case SpeechStopped():
                self._speech_stopped(payload)
            case TextPartial():
                self._partial = self._partial or bool(payload.text.strip())
                self._words_came(event, payload.end)
            case TextSegment():
                self._collect(payload, event)
                self._unconfirmed += bool(payload.text.strip())
                return [payload, *self._end_if_due()]
            case Text():
                return [*self._demote(payload, event), *self._end_if_due()]
            case Data() if payload.name == END_OF_TURN and event.node == self._by:
                self._asked = True
                return [payload, *self._end_if_due()]
        return [payload]

    def finish(self) -> list[Payload]:
        """The caller's audio is over: the turn that was being spoken, if it has words."""
        return [] if self.passive else self._end(END_OF_AUDIO)

    def close(self) -> None:
        """No timer fires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what is heard ------------------------------------------------------------------------------------------

    def _speech_started(self) -> None:
        self._has_ears = self._speaking = True
        self._asked = False  # whatever was about to end goes on
        self.close()

    def _speech_stopped(self, payload: SpeechStopped) -> None:
        self._has_ears = True
        self._speaking = False
        self._last_speech = payload.at or self._clock.now()
        self._arm(self._last_speech + self._silence - self._clock.now())

    def _words_came(self, event: Event, end: float) -> None:
        """Without a voice activity detector words are the only sign of speech there is."""
        if not self._has_ears:
            self._last_speech = max(self._last_speech or 0.0, end or self._clock.now())
            self._arm(self._last_speech + self._silence - self._clock.now())

    def _collect(self, piece: TextSegment, event: Event) -> None:
        self._partial = False
        if piece.text.strip():
            self._pieces.append(piece)
            self._last_words = event
        self._words_came(event, piece.end)

    def _demote(self, text: Text, event: Event) -> list[Payload]:
        piece = TextSegment(text.text, text.confidence, text.language, text.start, text.end, text.words)
        # A recogniser's Text is all that it said since its last one: the segments in between are part of it, and
        # have been passed on already. Where a turn has taken some of them, the rest of them stand as they are.
        again, self._unconfirmed = self._unconfirmed, 0
        spent, self._spent = self._spent, 0
        if spent:
            return []
        if again:
            del self._pieces[max(0, len(self._pieces) - again) :]
        self._collect(piece, event)
        return [] if again or not text.text.strip() else [piece]

    # -- the end ------------------------------------------------------------------------------------------------

    def _end_if_due(self) -> list[Payload]:
        if self._speaking or not self._pieces:
            return []
        if self._asked:
            return self._end(self._by)
        if self._partial or self._last_speech is None:
            return []
        # A hair's breadth: the sum of a time and a wait may round below the time that the wait led to.
        return self._end(SILENCE) if self._waited() + 1e-9 >= self._silence else []

    def _on_silence(self) -> None:
        self._timer = None
        if self._partial and self._waited() + 1e-9 < self._silence + PARTIAL_GRACE:
            self._arm(self._silence + PARTIAL_GRACE - self._waited())
            return
        self._partial = False
        cause = self._last_words
        for text in self._end_if_due():
            if isinstance(text, Text) and cause is not None:
                self._emit(text, cause)

    def _waited(self) -> float:
        return self._clock.now() - self._last_speech if self._last_speech is not None else 0.0

    def _end(self, by: str) -> list[Payload]:
        pieces, self._pieces = self._pieces, []
        waited = self._waited()
        self._spent += self._unconfirmed
        self._unconfirmed = 0
        self._last_words = None
        self._asked = self._partial = False
        self.close()
        return [_joined(pieces, by, waited)] if pieces else []

    def _arm(self, seconds: float) -> None:
        self.close()
        self._timer = self._clock.call_later(max(0.0, seconds), self._on_silence)


def _joined(pieces: list[TextSegment], by: str, waited: float) -> Text:
    """One turn of its pieces: as sure as the least sure of them, its words' times counted from its own start."""
    start = pieces[0].start
    words: list[Word] = []
    for piece in pieces:
        shift = (piece.start - start) * 1000
        words += [
            msgspec.structs.replace(w, start_ms=w.start_ms + shift, end_ms=w.end_ms + shift) if shift else w
            for w in piece.words
        ]
    return Text(
        text=" ".join(p.text.strip() for p in pieces),
        confidence=min(p.confidence for p in pieces),
        language=next((p.language for p in reversed(pieces) if p.language), ""),
        start=start,
        end=pieces[-1].end,
        words=tuple(words),
        ended_by=by,
        waited_ms=round(waited * 1000, 6),
    )
