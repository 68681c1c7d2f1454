"""The envelope around every payload, and the names that events go by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import msgspec

from echostack.core.kinds import Payload

STAGES = ("ingress", "processing", "egress", "control", "error")


class Event(msgspec.Struct, frozen=True, gc=False):
    """An immutable event.

    name: ``<stage>.<source>.<kind>[.<modifier>]``. session: the call's id. seq: unique and rising in a session.
    time: seconds on the session's clock, 0 at its start. scope, epoch: the cancellation scope it belongs to and
    that scope's generation when its cause entered (0, 0 outside any). cause: ``seq`` of the event that led to
    this one, 0 for none. port: the output port it left by, empty for the main one. node: who made it.
    """

    name: str
    payload: Payload
    session: str
    seq: int
    time: float
    scope: int = 0
    epoch: int = 0
    cause: int = 0
    port: str = ""
    node: str = ""

    @property
    def kind(self) -> str:
        return self.payload.__kind__.name


class Matcher(Protocol):
    """Whatever chooses events by their names, as a pattern does."""

    def matches(self, name: str) -> bool:
        """Whether an event of this name is chosen."""


@dataclass(frozen=True, slots=True)
class EventPattern:
    """A pattern over event names; ``*`` stands for exactly one part, and for nothing else.

    Three parts match events without a modifier only: ``processing.*.text`` never sees ``text.partial``.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> EventPattern:
        """Raises ValueError when ``text`` is not three or four dotted names or stars."""
        parts = tuple(text.split("."))
        if len(parts) not in (3, 4) or not all(re.fullmatch(r"\*|[A-Za-z_]\w*", p) for p in parts):
            raise ValueError(f"{text!r} is not an event pattern: it takes <stage>.<source>.<kind>[.<modifier>]")
        return cls(parts)

    def matches(self, name: str) -> bool:
        theirs = name.split(".")
        return len(theirs) == len(self.parts) and all(m in ("*", t) for m, t in zip(self.parts, theirs, strict=True))

    def __str__(self) -> str:
        return ".".join(self.parts)


def event_name(stage: str, source: str, kind: str) -> str:
    """``processing`` + ``deepgram`` + ``text.partial`` → ``processing.deepgram.text.partial``."""
    return f"{stage}.{source}.{kind}"
