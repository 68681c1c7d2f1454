"""The witness: a probe that every simulated call has, whose evidence invariants are judged by.

It sees no audio frame, and of everything else only what it needs: the pieces of speech that synthesisers give, what
queues lose, and, each time that anything happens, which queues have let an event wait while others were served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echostack.core.events import Event
from echostack.core.payloads import AudioChunk, AudioChunkStream
from echostack.plan.model import ENGINE, Plan
from echostack.runtime.probe import CallView
from echostack.runtime.queues import Lane
from echostack.simulation.speech import SpeechCode

_SPEECH = ("audio_chunk", "audio_chunk.stream")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of speech as it left its synthesiser: what it says, how long it is, and for which epoch it was made."""

    seq: int
    time: float
    node: str
    kind: str
    port: str
    utterance: str
    text: str
    seconds: float
    final: bool
    interruptible: bool
    scope: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Unfair:
    """A queue whose event waited while the node before which it stands took others: ``passed`` of them, between two
    instants. control: it was a control event, which waits for none."""

    edge: str
    node: str
    passed: int
    since: float
    until: float
    control: bool


class _Waiting:
    """Before one node: its queues, and since when each that holds something has not been served."""

    __slots__ = ("control", "lanes", "node", "since")

    def __init__(self, node: str, lanes: Sequence[Lane], control: Lane | None) -> None:
        self.node, self.lanes, self.control = node, lanes, control
        self.since: dict[int, tuple[int, int, int, float]] = {}

    def look(self, now: float) -> Unfair | None:
        """Take note of who waits; who has been passed over too often since the last time."""
        lanes, since = self.lanes, self.since
        if not since and not any(map(len, lanes)) and not (self.control is not None and len(self.control)):
            return None
        all_taken = sum(lane.taken for lane in lanes)
        found = None
        for at, lane in enumerate(lanes):
            if not len(lane):
                since.pop(at, None)
                continue
            before = since.get(at)
            gone = lane.dropped + lane.stale
            if before is None or before[0] != lane.taken or before[1] != gone:
                since[at] = (lane.taken, gone, all_taken, now)
            elif all_taken - before[2] >= len(lanes):
                found = Unfair(lane.edge, self.node, all_taken - before[2], before[3], now, False)
        control = self.control
        if control is None or not len(control):
            since.pop(-1, None)
            return found
        before = since.get(-1)
        if before is None or before[0] != control.taken:
            since[-1] = (control.taken, 0, all_taken, now)
        elif all_taken > before[2]:
            found = Unfair(control.edge, self.node, all_taken - before[2], before[3], now, True)
        return found


class Witness:
    """The probe of one call. Synchronous, and cheap: a look at the queues before nodes with a choice, once an event.

    Whatever it finds about an order it knows from two instants between which the runtime's counters moved, so it
    accuses nobody wrongly; what happens unseen between two instants it does not know.
    """

    wants_audio = False

    def __init__(self, plan: Plan, speech: SpeechCode | None = None) -> None:
        self._speech = speech
        self.pieces: list[Piece] = []
        self.lost: dict[str, int] = {}
        """What queues said they lost, by edge."""
        self.unfair: list[Unfair] = []
        self.lanes: Sequence[Lane] = ()
        self.control_put: dict[str, int] = {}
        self._plan = plan
        self._waiting: list[_Waiting] = []
        self._view: CallView | None = None
        audio = {k.name for n in plan.nodes.values() if n.spec for k in n.spec.produced_kinds if k.audio}
        self._unseen = (audio | {"audio_frame"}) - set(_SPEECH)

    # -- Probe -------------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        """Everything but audio; of audio the speech that a synthesiser gives."""
        stage, _, kind = name.split(".", 2)
        return kind not in self._unseen and (stage == "processing" or kind not in _SPEECH)

    def begin(self, view: CallView) -> None:
        """Find the nodes before which events wait in more than one queue."""
        self._view, self.lanes = view, view.lanes
        by_name = {lane.edge: lane for lane in view.lanes}
        target = {_edge_name(e.source, e.target, e.pattern): e.target for e in self._plan.edges if e.queue is not None}
        before: dict[str, list[Lane]] = {}
        for lane in view.lanes:
            node = target.get(lane.edge) or (lane.edge[8:] if lane.edge.startswith("emit -> ") else None)
            if node is not None:
                before.setdefault(node, []).append(lane)
        for node, lanes in before.items():
            control = by_name.get(f"{node} (control)")
            if len(lanes) > 1 or control is not None:
                self._waiting.append(_Waiting(node, lanes, control))

    def event(self, event: Event) -> None:
        """Keep a piece of speech; look at the queues."""
        payload = event.payload
        if isinstance(payload, AudioChunk | AudioChunkStream):
            if self._speech is not None:
                self._speech.saw(payload.pcm, payload.utterance)
            whole = payload.final or isinstance(payload, AudioChunk)
            self.pieces.append(
                Piece(
                    event.seq, event.time, event.node, payload.__kind__.name, event.port, payload.utterance,
                    payload.text, payload.seconds, whole, payload.interruptible, event.scope, event.epoch,
                )
            )  # fmt: skip
        for waiting in self._waiting:
            found = waiting.look(event.time)
            if found is not None and len(self.unfair) < 100:
                self.unfair.append(found)

    def dropped(self, edge: str, event: Event) -> None:
        """Count it."""
        self.lost[edge] = self.lost.get(edge, 0) + 1

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """The simulated far end knows better."""

    def end(self) -> None:
        """The queues keep their counters."""


def _edge_name(source: str, target: str, pattern: str) -> str:
    return f"{pattern if source == ENGINE else source} -> {target}"
