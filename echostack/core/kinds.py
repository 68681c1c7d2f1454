"""What a kind of payload is, and the policies that belong to it rather than to an edge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import msgspec


class Overflow(StrEnum):
    """What a full queue does with one event more. Every event dropped is counted on its edge."""

    BLOCK = "block"  # the producer waits
    DROP_OLDEST = "drop_oldest"  # the head of the queue goes
    DROP_NEWEST = "drop_newest"  # the arriving event goes
    LATEST = "latest"  # everything queued goes, the arriving event stays
    ERROR = "error"  # the producer gets a QueueOverflow, the event goes


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind: ``base`` names what it is, ``modifier`` whether it is a piece on the way (``partial``, ``stream``…).

    ``lossy``: an event may be dropped by a queue without changing what is said or done.
    ``keep``: an interruption does not make it stale (tool results, playout acknowledgements, end of call).
    ``control``: travels in the lane that media never blocks.
    ``queue``: the bound of a queue for this kind when the rule names none, in events.
    """

    base: str
    modifier: str = ""
    overflow: Overflow = Overflow.BLOCK
    queue: int = 64
    lossy: bool = False
    keep: bool = False
    control: bool = False
    audio: bool = False
    about: str = ""

    @property
    def name(self) -> str:
        """``text`` or ``text.partial``: the third part of an event name and, with a modifier, the fourth."""
        return f"{self.base}.{self.modifier}" if self.modifier else self.base


class Payload(msgspec.Struct, frozen=True, gc=False, kw_only=False):
    """The base of every payload: an immutable struct whose class carries its kind.

    ``gc=False`` keeps payloads out of the cycle collector (FACTS: 53 ns and untracked); a payload therefore
    must not reach itself, which immutable data cannot.
    """

    __kind__: ClassVar[KindSpec]


P = TypeVar("P", bound=type[Payload])


def kind(name: str, **policies: Any) -> Any:
    """Class decorator that gives a payload class its kind: ``@kind("text.partial", lossy=True)``.

    Kinds are found through the connectors that use their classes, so declaring one in a plugin is all it takes.
    """
    base, _, modifier = name.partition(".")

    def give(cls: P) -> P:
        doc = (cls.__doc__ or "").strip().split("\n", 1)[0]
        cls.__kind__ = KindSpec(base, modifier, about=doc, **policies)
        return cls

    return give
