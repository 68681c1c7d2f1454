"""Runs one call for a command: on real or virtual time, shown or silent, ended by itself or by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterable, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from echostack.api import Pipeline, Session, Stats
from echostack.cli.call_lines import CallLines
from echostack.cli.call_screen import CallScreen
from echostack.cli.guard import INTERRUPTED, ended_by_signals
from echostack.cli.output import console
from echostack.cli.trace import Trace
from echostack.core.clock import InlineCompute, ThreadCompute
from echostack.core.errors import UsageError
from echostack.recording import Recorder
from echostack.registry import Turn
from echostack.simulation.loop import run_virtual

LIVE_ONLY = ("ingress.mic", "egress.speaker")
"""Transports that live in real time and nowhere else."""

EVENTS_HELD = 65_536
"""Events that wait for the terminal and the trace before the oldest are lost; the statistics count the lost ones."""


@dataclass(slots=True)
class Outcome:
    """What a call came to, as far as it came: filled in while it runs, so that an interrupted one has its part."""

    conversation: tuple[Turn, ...] = ()
    stats: Stats | None = None
    failures: int = 0
    failed: str = ""
    """The first of the failures, in words."""
    ended: str = ""
    interrupted: bool = False
    unrecorded: str = ""
    """Why the recording ended before the call; empty when it did not."""
    files: dict[str, str] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        return {
            "ended": "interrupted from the keyboard" if self.interrupted else self.ended,
            "failures": self.failures,
            **({"failed": self.failed} if self.failed else {}),
            **({"unrecorded": self.unrecorded} if self.unrecorded else {}),
            "conversation": [asdict(turn) for turn in self.conversation],
            "stats": asdict(self.stats) if self.stats else None,
            "files": self.files,
        }


def conduct(
    pipeline: Pipeline,
    *,
    fast: bool = False,
    show: bool = True,
    trace: Path | None = None,
    lines: CallLines | None = None,
    ingress: Mapping[str, AsyncIterable[Any]] | None = None,
    recorder: Recorder | None = None,
) -> Outcome:
    """Run one call from its beginning to its end, or to Ctrl-C or SIGTERM, after which it ends as cleanly.

    fast: on virtual time, as fast as the machine can; UsageError for a graph with a microphone, a loudspeaker or the
    network in it. show: on stdout, live on a terminal. trace: where the events go. lines: what is told of the call,
    for a caller who listens; ingress: who stands in for a transport. recorder: what records it. What the outcome says
    about an interrupted call is true of what there was until then.
    """
    if fast:
        _refuse_real_time(pipeline)
    outcome = Outcome()
    with Trace(trace) if trace else contextlib.nullcontext() as writer:
        if trace:
            outcome.files["trace"] = str(trace)
        # On virtual time a thread would let the clock run away, so heavy work is done in place.
        compute = InlineCompute() if fast else ThreadCompute()
        session = pipeline.session(compute=compute, ingress=ingress, record=recorder)
        call = _call(session, outcome, lines or CallLines(), writer, show)
        interruption = Interruption()
        with ended_by_signals(interruption.signalled):
            try:
                ending = interruption.ends(call)
                run_virtual(ending) if fast else asyncio.run(ending)
            except asyncio.CancelledError:
                if not interruption.signals:
                    raise
        outcome.interrupted = bool(interruption.signals)
    if recorder is not None:
        outcome.files["recording"] = str(recorder.path)
        outcome.unrecorded = recorder.error
    return outcome


async def _call(session: Session, outcome: Outcome, lines: CallLines, trace: Trace | None, show: bool) -> None:
    opened = False
    # From before the call opens, so that the trace has its first event; far more than a slow terminal falls behind.
    events = session.events(queue=EVENTS_HELD)
    try:
        async with session as call:
            opened = True
            with _screen(show, lines, call) as screen:
                async for event in events:
                    if trace is not None:
                        trace.write(event)
                    new = lines.take(event)
                    if screen is not None:
                        screen.show(new)
                        screen.refresh(event.time)
    finally:
        outcome.failures, outcome.failed, outcome.ended = lines.failures, lines.failed, lines.ended
        if opened:
            outcome.conversation, outcome.stats = session.conversation, session.stats()
            _note_the_mute(session, outcome, lines)


def _note_the_mute(session: Session, outcome: Outcome, lines: CallLines) -> None:
    """A node that was tried again and again until the call was over, and never answered, is a failure as well."""
    assert outcome.stats is not None
    for node, why in lines.retried.items():
        spec, counted = session.plan.nodes[node].spec, outcome.stats.nodes.get(node)
        if spec is None or not spec.produces or counted is None or counted["emitted"]:
            continue
        if set(counted["failures"]) <= {"retried"}:  # else it is a failure already
            outcome.failures += 1
            outcome.failed = outcome.failed or f"{node} never answered: {why}"


@contextlib.contextmanager
def _screen(show: bool, lines: CallLines, call: Session) -> Iterator[CallScreen | None]:
    if not show:
        yield None
        return
    with CallScreen(console(), lines, call.stats) as screen:
        yield screen


def _refuse_real_time(pipeline: Pipeline) -> None:
    for node in pipeline.plan.nodes.values():
        if node.spec is not None and (node.spec.name in LIVE_ONLY or node.spec.network):
            raise UsageError(f"--fast cannot be: {node.id} ({node.spec.name}) lives in real time")


class Interruption:
    """Ctrl-C and its like as the cancellation of a call: nothing is torn apart between two of its bytecodes.

    A call ends by its deadline, so a second signal changes nothing; a third leaves at once, with what is on the disk.
    """

    def __init__(self) -> None:
        self.signals = 0
        self._task: asyncio.Task[Any] | None = None

    async def ends(self, call: Coroutine[Any, Any, None]) -> None:
        """Await ``call``; a signal cancels it, one that came before it has begun as well."""
        self._task = asyncio.current_task()
        if self.signals and self._task is not None:
            self._task.cancel()
        await call

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signals."""
        self.signals += 1
        task = self._task
        if self.signals > 2:
            os._exit(INTERRUPTED)
        if self.signals == 1 and task is not None and not task.done():
            task.cancel()
            task.get_loop().call_soon_threadsafe(lambda: None)  # wakes a loop that waits, as asyncio.run does


def log_to_stderr(verbose: bool) -> None:
    """Send what connectors log to stderr: warnings and worse, or everything. What vendors' libraries log only with
    ``verbose``: it is not written for whoever makes a call, and a connector tells what matters in its own words."""
    vendors = logging.StreamHandler(sys.stderr) if verbose else logging.NullHandler()
    vendors.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[vendors], level=logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def transcript_lines(conversation: tuple[Turn, ...]) -> Iterator[str]:
    """The conversation as text, a line a turn; a cut one ends with a dash."""
    for turn in conversation:
        yield f"[{turn.start:7.2f} .. {turn.end:7.2f}] {turn.role}: {turn.text}{' --' if turn.cut else ''}"
