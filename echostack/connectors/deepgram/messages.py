"""What Deepgram's live API says, read from the messages that its SDK hands out.

The SDK does not validate what it gets, so everything is checked here: a message with a part missing or of another type
is ``Unreadable``, whatever it was meant to be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any


class Unreadable(ValueError):
    """A message that is not what its type says."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word, its times in seconds of audio."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was said between two places of the audio, in seconds. ``final``: it will not change any more."""

    start: float
    end: float
    text: str = ""
    words: tuple[HeardWord, ...] = ()
    confidence: float = 0.0
    language: str = ""
    final: bool = False
    speech_final: bool = False
    from_finalize: bool = False

    @property
    def first(self) -> float:
        """Where its first word begins."""
        return self.words[0].start if self.words else self.start

    @property
    def last(self) -> float:
        """Where its last word ends."""
        return self.words[-1].end if self.words else self.end

    def moved(self, seconds: float) -> Result:
        """The same, ``seconds`` later in the audio."""
        if not seconds:
            return self
        words = tuple(replace(w, start=w.start + seconds, end=w.end + seconds) for w in self.words)
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)

    def after(self, place: float) -> Result:
        """Only the words that begin at ``place`` or later."""
        if self.start >= place:
            return self
        words = tuple(w for w in self.words if w.start >= place)
        return replace(self, start=place, words=words, text=" ".join(w.text for w in words))


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """No word has come for a while after the one that ended at ``last_word_end`` seconds of audio."""

    last_word_end: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The stream is over; Deepgram has heard ``seconds`` of audio."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Complaint:
    """Deepgram could not use what it was sent; the stream goes on."""

    text: str


Message = Result | UtteranceEnd | Summary | Complaint


def read(message: Any) -> Message | None:
    """The message, or None for one that means nothing here. Unreadable when it is not what its type says."""
    try:
        match getattr(message, "type", None):
            case "Results":
                return _result(message)
            case "UtteranceEnd":
                return UtteranceEnd(_seconds(message.last_word_end))
            case "Metadata":
                return Summary(_seconds(message.duration))
            case "Error":
                return Complaint(f"{message.variant}: {message.description}")
            case str():
                return None
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise Unreadable(str(error)) from error
    raise Unreadable("a message without a type")


def _result(message: Any) -> Result:
    start = _seconds(message.start)
    best = message.channel.alternatives[0]
    words = tuple(
        HeardWord(
            _text(word.punctuated_word or word.word), _seconds(word.start), _seconds(word.end), _share(word.confidence)
        )
        for word in best.words
    )
    languages = best.languages or []
    return Result(
        start=start,
        end=start + _seconds(message.duration),
        text=" ".join(_text(best.transcript).split()),
        words=words,
        confidence=_share(best.confidence),
        language=_text(languages[0]) if languages else "",
        final=message.is_final is True,
        speech_final=message.speech_final is True,
        from_finalize=message.from_finalize is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text, not {type(value).__name__}")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("a time that is no number")
    return max(0.0, float(value))


def _share(value: Any) -> float:
    return min(1.0, _seconds(value))
