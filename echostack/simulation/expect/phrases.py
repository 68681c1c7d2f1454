"""The pieces that messages about a call are made of: instants, counts, and what an event says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    Committed,
    Intent,
    PlayoutFinished,
    PlayoutStarted,
    SpeechStarted,
    SpeechStopped,
    Suspended,
    Text,
    TextPartial,
    TextSegment,
    TranscriptEntry,
)

MOST_TEXT = 72
MOST_INSTANTS = 5
_UNTOLD = ("text", "id", "pcm", "words", "language")


def micros(seconds: float) -> int:
    """Seconds as whole microseconds: what times are compared by."""
    return round(seconds * 1_000_000)


def instant(seconds: float) -> str:
    """``3.520 s``"""
    return f"{seconds:.3f} s"


def exact(seconds: float) -> str:
    """The same for a time that had to be met exactly: what is no whole millisecond is told to the microsecond."""
    return f"{seconds:.3f} s" if micros(seconds) % 1000 == 0 else f"{seconds:.6f} s"


def by_how_much(seconds: float) -> str:
    """How far off something was; what is less than a millisecond is told to the microsecond."""
    return f"{seconds:.3f} s" if micros(seconds) >= 1000 else f"{seconds:.6f} s"


def instants(times: Sequence[float], told_as: Callable[[float], str] = instant) -> str:
    """``at 1.200 s and 3.400 s``; of many the first, and how many more."""
    told = [told_as(t) for t in times[:MOST_INSTANTS]]
    if len(times) > MOST_INSTANTS:
        return f"at {', '.join(told)} and {len(times) - MOST_INSTANTS} more times"
    return f"at {told[0]}" if len(told) == 1 else f"at {', '.join(told[:-1])} and {told[-1]}"


def count(number: int, word: str, words: str = "") -> str:
    """``1 event``, ``2 events``, ``no event``."""
    return f"{number or 'no'} {word if number in (0, 1) else words or f'{word}s'}"


def how_often(times: tuple[int, int | None], word: str = "") -> str:
    """``exactly 2``, ``at least 1``, ``at most 3``, ``2 to 4``, ``none``."""
    least, most = times
    if most is None:
        said = f"at least {least}"
    elif least == most:
        said = f"exactly {least}" if least else "none"
    elif least == 0:
        said = f"at most {most}"
    else:
        said = f"{least} to {most}"
    return f"{said} {word}".rstrip()


def often_enough(number: int, times: tuple[int, int | None]) -> bool:
    """Whether ``number`` lies within ``times`` (at least, at most)."""
    least, most = times
    return least <= number and (most is None or number <= most)


def quoted(text: str, most: int = MOST_TEXT) -> str:
    """``text`` in quotes, on one line, cut in its middle when it is long."""
    flat = " ".join(text.split())
    if len(flat) > most:
        flat = f"{flat[: most * 2 // 3].rstrip()} … {flat[-(most // 4) :].lstrip()}"
    return f'"{flat}"'


def shown(payload: Payload, *, most: int = MOST_TEXT) -> str:
    """What a payload says, on one line: its words first, then what is not as it always is. Empty for nothing."""
    match payload:
        case Text(text=text, ended_by=ended_by, waited_ms=waited):
            ended = f"  (turn ended by {ended_by}, {waited:.0f} ms)" if ended_by else ""
            return f"{quoted(text, most)}{ended}"
        case TextPartial(text=text) | TextSegment(text=text) | AgentMessage(text=text):
            return quoted(text, most)
        case AgentMessagePartial(text=text, final=final):
            return f"{quoted(text, most)}{'  (the last piece)' if final else ''}"
        case TranscriptEntry(role=role, text=text, cut=cut):
            return f"{role}: {quoted(text, most)}{'  (cut)' if cut else ''}"
        case Intent(name=name, text=text, slots=slots):
            pieces = [name, *([quoted(text, most)] if text else []), *(f"{k}={v}" for k, v in slots.items())]
            return "  ".join(pieces)
        case SpeechStarted(at=at):
            return f"since {instant(at)}"
        case SpeechStopped(at=at, seconds=seconds):
            return f"at {instant(at)}, after {instant(seconds)}"
        case PlayoutStarted(latency_ms=latency):
            return f"{latency:.0f} ms after the end of the turn" if latency else ""
        case PlayoutFinished(heard=heard, cut=cut, seconds=seconds):
            return f"{quoted(heard, most)}  ({'cut ' if cut else ''}after {instant(seconds)})"
        case Suspended(heard_seconds=heard):
            return f"after {instant(heard)} of the reply"
        case Committed(epoch=epoch, cause=cause, dropped=dropped):
            return f"by {cause or 'speech'}, epoch {epoch}, {count(dropped, 'queued event')} dropped"
    return _fields(payload, most)


def field_text(payload: Payload, name: str, *, most: int = MOST_TEXT) -> str:
    """One field of a payload as it is told."""
    return _value(getattr(payload, name, None), most)


def names_of(events: Iterable[Event]) -> list[str]:
    """The names of events, each once, in order of first appearance."""
    return list(dict.fromkeys(e.name for e in events))


def _fields(payload: Payload, most: int) -> str:
    pieces = []
    text = getattr(payload, "text", None)
    if isinstance(text, str) and text:
        pieces.append(quoted(text, most))
    defaults = dict(
        zip(
            payload.__struct_fields__[len(payload.__struct_fields__) - len(payload.__struct_defaults__) :],
            payload.__struct_defaults__,
            strict=True,
        )
    )
    for name in payload.__struct_fields__:
        value = getattr(payload, name)
        if (
            name in ("text", "id", "pcm", "words", "language")
            or value in (None, "", (), {})
            or defaults.get(name) == value
        ):
            continue
        if isinstance(value, bool):
            pieces.append(name if value else f"not {name}")
        else:
            pieces.append(f"{name}={_value(value, most)}")
    line = "  ".join(pieces)
    return line if len(line) <= 2 * most else line[: 2 * most - 1].rstrip() + "…"


def _value(value: Any, most: int) -> str:
    if isinstance(value, str):
        return quoted(value, most)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
