"""Recorded calls to look at: real ones on virtual time, and made-up ones of chosen events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import echostack.api as echostack
from echostack.core.clock import Clock
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.recording import Recorder, Recording
from echostack.registry import Registry
from echostack.runtime import Stats
from echostack.runtime.probe import CallView
from tests.runtime.cast import CALL, Outcome, Script, play, registry

TALK: Script = ((1.0, "say:Hello there."), (3.0, "speech"), (3.8, "stop"), (4.0, "say:Wait please."))
"""A turn that is answered, and another that cuts the answer."""


def recorded(folder: Path, script: Script = TALK, **options: Any) -> tuple[Outcome, Recording]:
    """A call of the cast, as its program saw it and as it was recorded."""
    recorder = Recorder(folder, simulated=True, redact=options.pop("redact", False))
    outcome = play(script, probes=[recorder], **options)
    assert recorder.error == ""
    return outcome, Recording.open(folder)


class Still:
    """A clock that stands at 5 s."""

    def now(self) -> float:
        return 5.0

    def wall(self) -> float:
        return 0.0


@cache
def _still_view() -> CallView:
    return view_of()


def view_of(graph: str = CALL, *, known: Registry | None = None, clock: Any = None, **options: Any) -> CallView:
    """What a probe is given of a call of ``graph`` in which nothing happens by itself."""
    plan = echostack.compile(graph, registry=known or registry(), **{"env": {}, **options}).plan
    still: Clock = clock or Still()
    stats = Stats("call", 5.0, (0, 0), 0, 0, 0, 0, {}, (), (), ())
    return CallView("call", 7, plan, still, (), lambda: (0,) * (len(plan.scopes) + 1), lambda: stats)


def events_of(payloads: Iterable[Payload], node: str = "acme.agent") -> list[Event]:
    """An event for each payload, a second apart."""
    return [
        Event(f"processing.acme.{p.__kind__.name}", p, "call", number, float(number), node=node)
        for number, p in enumerate(payloads, 1)
    ]


def made_up(folder: Path, events: Iterable[Event], *, redact: bool = False, view: CallView | None = None) -> Recording:
    """A recording of these very events."""
    recorder = Recorder(folder, simulated=True, redact=redact, overwrite=folder.exists())
    recorder.begin(view or _still_view())
    for event in events:
        recorder.event(event)
    recorder.end()
    assert recorder.error == ""
    return Recording.open(folder)


def everything(folder: Path) -> bytes:
    """All bytes of all files of a folder, and their names."""
    return b"\n".join(
        part for path in sorted(folder.rglob("*")) for part in (str(path.relative_to(folder)).encode(), _bytes(path))
    )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
