"""A picture as data: what is to be drawn and what it means, before any tool decides where it goes.

Nothing in it is a setting of a connector, so no secret can reach a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echostack.core.diagnostic import Severity


class Part(StrEnum):
    """What a box does in a call; decides its shape and colour. The value is the word that the picture shows."""

    INGRESS = "ingress"
    EGRESS = "egress"
    RECOGNISER = "recogniser"
    VAD = "voice activity"
    AGENT = "agent"
    ROUTER = "router"
    SYNTHESISER = "synthesiser"
    STEP = "step"
    EFFECT = "effect"
    LOG = "log"
    CHOICE = "fallback"
    PATTERN = "event pattern"
    PLAYBOOK = "playbook"
    RESAMPLER = "resampler"
    UNKNOWN = "unknown"


class Medium(StrEnum):
    """What a line carries; decides its colour and weight."""

    AUDIO = "audio"
    WORDS = "words and data"
    CONTROL = "control"


class FrameKind(StrEnum):
    """Why some boxes stand in one frame."""

    IMPORT = "import"
    SCOPE = "barge-in scope"
    ISLAND = "island"


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding as it is shown on a box or a line: its code, how bad it is, its message."""

    code: str
    severity: Severity
    message: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One of the nodes that a fallback chooses from, in its order."""

    title: str
    part: Part


@dataclass(frozen=True, slots=True)
class Box:
    """One node. ``note`` is a small second line (the registry name behind an alias, a resampler's format);
    ``badges`` are words of the plan (``island 1``); ``members`` belong to a fallback."""

    id: str
    title: str
    part: Part
    note: str = ""
    frame: str = ""
    badges: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    inserted: bool = False
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One route. ``kinds`` are already folded for reading; ``policy`` is set only where it is not the default.

    ``detail`` is what a pointer over the line tells of its queue. ``quiet``: resolved from a pattern, so drawn
    thinner than an arrow that was written. ``queued``: a queue stands here. ``into``: the frame whose border the
    arrow ends at, empty to end at ``target``. ``arrow``: whether its end has a head (the first half of a line through
    a resampler has none).
    """

    source: str
    target: str
    medium: Medium = Medium.WORDS
    kinds: tuple[str, ...] = ()
    port: str = ""
    guard: str = ""
    policy: str = ""
    detail: str = ""
    marks: tuple[Mark, ...] = ()
    quiet: bool = False
    queued: bool = False
    arrow: bool = True
    into: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame around boxes and other frames; ``parent`` is the id of the one around it, empty for the picture."""

    id: str
    title: str
    kind: FrameKind
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn, in a stable order. ``findings`` are those that belong to no box and no line."""

    title: str
    subtitle: str
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    frames: tuple[Frame, ...] = ()
    findings: tuple[Mark, ...] = ()
    planned: bool = False

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Every finding of the picture once: those on boxes, on lines, and the rest."""
        everywhere = [*(m for b in self.boxes for m in b.marks), *(m for e in self.lines for m in e.marks)]
        return tuple(dict.fromkeys([*everywhere, *self.findings]))
