"""The caller's turn, put together from a recogniser's results: what is shown, what is settled, and what ends it.

Positions are seconds of the caller's audio from the beginning of the run, whatever connection a result came by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from echostack.connectors.deepgram.messages import HeardWord, Result
from echostack.core.payloads import Text, TextPartial, TextSegment, Word

Said = Text | TextPartial | TextSegment

RECOGNISER, SILENCE, END_OF_AUDIO = "recogniser", "silence", "end_of_audio"
"""What ended a turn: the recogniser's own judgement, silence that it was told of, the end of the audio."""

_SLACK = 0.05  # seconds: what results overlap by rounding is no repetition


class CallerTurn:
    """Takes results in the order in which they came; answers with what is to be said of them.

    Each word leaves in one ``text.segment`` and one ``text``, however often its result comes; no text is empty.
    utterance_end: seconds of silence in the results after which a turn with settled words is over, although nothing
    else has ended it. at: the session time of a position. now: the session time.
    """

    def __init__(
        self, *, language: str, utterance_end: float, at: Callable[[float], float], now: Callable[[], float]
    ) -> None:
        self._language = "" if language == "multi" else language
        self._utterance_end, self._at, self._now = utterance_end, at, now
        self._pieces: list[Result] = []
        self._interim: Result | None = None
        self._shown = ""
        self._began_at = 0.0
        self.settled = 0.0
        """Up to here all words are final and have left."""

    @property
    def open(self) -> bool:
        """Whether words have come whose turn is not over."""
        return bool(self._pieces) or self._interim is not None

    @property
    def pending(self) -> bool:
        """Whether words have come that may still change."""
        return self._interim is not None

    def hear(self, result: Result, *, ends: str = "") -> list[Said]:
        """What ``result`` adds. ``ends``: what has ended the turn if this is its last result."""
        ending = ends or (RECOGNISER if result.speech_final else "")
        if result.end <= self.settled + _SLACK and result.start < self.settled - _SLACK:
            return []  # an echo of what is settled
        result = result.after(self.settled - _SLACK)
        if not result.final:
            return self._preview(result)
        self.settled = max(self.settled, result.end)
        self._interim = None
        said: list[Said] = []
        if result.text:
            self._begin(result)
            self._pieces.append(result)
            start = self._at(result.first)
            said.append(
                TextSegment(
                    result.text, confidence=_sure([result]), language=result.language or self._language,
                    start=start, end=max(start, self._at(result.last)), words=_words(result.words, result.first),
                )
            )  # fmt: skip
        if not self._pieces:
            self._shown = ""  # what was shown has been taken back
        if ending:
            return [*said, *self.end(ending)]
        return [*said, *self._overdue(result)]

    def utterance_ended(self, last_word_end: float) -> list[Said]:
        """The recogniser says that no word has followed the one that ended there."""
        if not self._pieces or self._interim is not None or last_word_end < self._pieces[-1].last - _SLACK:
            return []
        return self.end(RECOGNISER)

    def end(self, by: str, *, unsettled: bool = False) -> list[Said]:
        """The turn is over: its text, if it has words. ``unsettled`` takes the words that might have changed as well,
        because nobody will settle them any more."""
        if unsettled and self._interim is not None and self._interim.text:
            self._begin(self._interim)
            self._pieces.append(self._interim)
            self._interim = None
        pieces, self._pieces = self._pieces, []
        self._shown = ""
        if not pieces:
            return []
        first = pieces[0].first
        end = max(self._began_at, self._at(pieces[-1].last))
        return [
            Text(
                " ".join(p.text for p in pieces),
                confidence=_sure(pieces),
                language=next((p.language for p in reversed(pieces) if p.language), self._language),
                start=self._began_at,
                end=end,
                words=_words((w for p in pieces for w in p.words), first),
                ended_by=by,
                waited_ms=round(max(0.0, self._now() - end) * 1000, 1),
            )
        ]

    def _preview(self, result: Result) -> list[Said]:
        self._interim = result if result.text else None
        if not result.text:
            self._shown = self._shown if self._pieces else ""
            return self._overdue(result)
        self._begin(result)
        parts = [*self._pieces, result]
        whole = " ".join(p.text for p in parts)
        if whole == self._shown:
            return []
        self._shown = whole
        return [
            TextPartial(
                whole, confidence=_sure(parts), language=result.language or self._language,
                start=self._began_at, end=max(self._began_at, self._at(result.last)),
            )
        ]  # fmt: skip

    def _overdue(self, result: Result) -> list[Said]:
        """End the turn when the results themselves show the silence. After a reconnect Deepgram does not know of the
        words that came before it, and never says that they were the last."""
        if not self._pieces or self._interim is not None or result.text:
            return []
        return self.end(RECOGNISER) if result.end - self._pieces[-1].last >= self._utterance_end + 0.5 else []

    def _begin(self, result: Result) -> None:
        if not self._pieces and not self._shown:
            self._began_at = self._at(result.first)


def _sure(pieces: Iterable[Result]) -> float:
    """The mean confidence of the words; of the pieces, where they have no words."""
    parts = list(pieces)
    sure = [w.confidence for p in parts for w in p.words] or [p.confidence for p in parts]
    return round(sum(sure) / len(sure), 6)


def _words(words: Iterable[HeardWord], first: float) -> tuple[Word, ...]:
    """Words with their times counted from ``first``, in milliseconds."""
    return tuple(
        Word(w.text, round((w.start - first) * 1000, 3), round((w.end - first) * 1000, 3), w.confidence) for w in words
    )
