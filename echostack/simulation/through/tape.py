"""What a recording holds of a call's inputs: what came in when, what was heard of it, and who answered what to what."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.core.span import Span
from echostack.plan import Plan
from echostack.recording import EventEntry, Recording
from echostack.recording.redact import redact_text
from echostack.registry import Form, Registry
from echostack.simulation.through.content import key_of, recorded_content
from echostack.simulation.through.parts import Cast, Part

PLACE = Span("<recording>", 1, 1, 1, 1)
_ENGINE = "(the engine)"
_CONTROL = ("control.", "error.")
_BY_ITSELF = "the sources ended"
_FAILS = ("exception", "timeout", "retried", "failed_over")
_ALREADY = "failed after its answer had begun: "
_AT_ONCE = 0.05
_OWN_ENDS = ("", "recogniser", "message")
"""What ended a turn when the recogniser itself did."""
_SILENCE = 0.5
"""Seconds without audio from a line that sends some all the time after which it had ended."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A recorded failure of a node: after so many seconds, with these words; again: it was tried once more."""

    time: float
    kind: str
    message: str
    again: bool


@dataclass(slots=True)
class Answer:
    """What a node answered to one input. asked: when the input was made. cut: when an interruption ended it before it
    had answered for good, None when nothing did."""

    asked: float
    outputs: list[EventEntry] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    cut: float | None = None
    asked_id: str = ""

    @property
    def steps(self) -> list[EventEntry | Failed]:
        """What happened, in order: outputs, and failures of tries."""
        if not self.failures:
            return list(self.outputs)
        return sorted([*self.outputs, *self.failures], key=lambda step: step.time)

    @property
    def whole(self) -> bool:
        """Whether it came to its end: its last output is no piece of something, or is the last piece."""
        last = self.outputs[-1] if self.outputs else None
        if last is None:
            return False
        modifier = last.kind.partition(".")[2]
        return modifier not in ("partial", "stream") or bool(last.data.get("final"))


class Tape:
    """The recorded inputs of a call, for the graph that ``cast`` is of.

    ``timed``: what comes at its recorded time, in the recorded order: the inputs of ingresses, and what listeners made
    of them. ``until``: the instant up to which the recording tells; ``ended``: why it ended, empty for a torn one.
    """

    def __init__(self, recording: Recording, plan: Plan, cast: Cast, registry: Registry | None = None) -> None:
        self.recording, self._registry = recording, registry
        header = recording.header
        self.timed: list[EventEntry] = []
        self.causes: set[int] = set()
        self.breaks: dict[str, list[Failed]] = defaultdict(list)
        self.until, self.ended, self.asked_to_end = 0.0, "", False
        self.gone: float | None = None
        self.lines = cast.lines
        self.line_ends = 0.0
        self._answers: dict[str, dict[bytes, list[Answer]]] = {}
        self._texts: list[EventEntry] = []
        hears = {n for n, part in cast.parts.items() if part is Part.HEARS}
        answers = [n for n, part in cast.parts.items() if part is Part.ANSWERS]
        inputs = self._inputs(answers)
        wanted = {pair for pairs in inputs.values() for pair in pairs}
        seen: dict[int, EventEntry] = {}
        given: dict[str, dict[int, Answer]] = {n: {} for n in answers}
        commits: dict[str, list[float]] = defaultdict(list)
        carries = continues = active = 0.0
        keeps = plan.turns.end_by != "recogniser"
        for entry in recording.entries():
            self.until = max(self.until, entry.time)
            if not isinstance(entry, EventEntry):
                continue
            stage, kind = entry.name.partition(".")[0], entry.kind
            if entry.node in cast.lines and stage != "error":
                self.timed.append(entry)
                carries = entry.time
                if kind == "audio_frame":
                    continues = entry.time
            elif entry.node in hears and stage != "error":
                if kind == "text" and keeps and entry.data.get("ended_by") not in _OWN_ENDS:
                    pass  # the engine made it of pieces that are given as well, and will again
                else:
                    self.timed.append(entry)
                    self.causes.add(entry.cause)
            elif entry.node in given and stage != "error":
                given[entry.node].setdefault(entry.cause, Answer(entry.time)).outputs.append(entry)
            elif stage == "error" and kind in _FAILS and (entry.node in given or entry.node in hears):
                self._failed(entry, given, hears)
            elif kind == "committed":
                commits[str(entry.data.get("scope", ""))].append(entry.time)
                if entry.data.get("cause") == "hang up":
                    self.gone = entry.time
            elif kind == "call_ended":
                if entry.name == "control.call.call_ended":
                    self.ended = str(entry.data.get("reason", "")) or _BY_ITSELF
                else:
                    self.asked_to_end = True
            if not _is_audio(kind) or (entry.node, entry.port, kind) in wanted:
                seen[entry.seq] = entry
            if kind != "call_ended" and stage != "ingress" and kind != "audio_frame":
                active = entry.time
            if kind == "text" and entry.node:
                self._texts.append(entry)
        # A call whose end follows upon something was drained by then, and its line over before that. One that ends
        # out of the blue ends with its line, which had nothing to carry for a while.
        quiet = continues and self.until - continues > _SILENCE and self.until - active < _AT_ONCE
        self.line_ends = max(carries, continues) if quiet else self.until
        if not self.ended:
            self.line_ends = self.until + _SILENCE  # nobody knows what came next, and nothing of it is compared
        scopes = {s.id: s.name for s in header.scopes}
        heads = {n.id: n for n in header.nodes}
        end = recording.end
        received = end.stats.get("nodes", {}) if end is not None else {}
        for node in answers:
            cuts = commits.get(scopes.get(heads[node].scope, ""), [])
            asked = [seq for seq, e in seen.items() if seq in given[node] or _may_have_asked(e, inputs[node])]
            silent = [seq for seq in asked if seq not in given[node]]
            count = received.get(node, {}).get("received", len(asked)) - len(given[node])
            if count < len(silent):
                # Not all of them came through (a guard, a backchannel). Those that did were cut soon, if anything.
                kept = set(sorted(silent, key=lambda seq: _until_cut(seen[seq].time, cuts))[: max(0, count)])
                asked = [seq for seq in asked if seq in given[node] or seq in kept]
            self._answers[node] = _by_content(given[node], seen, asked, cuts)

    def answers(self, node: str) -> dict[bytes, list[Answer]]:
        """By what an input says, what ``node`` answered to it, each time that it was asked, in order."""
        return self._answers.get(node, {})

    def payload(self, entry: EventEntry) -> Payload | None:
        """The payload of a recorded event; None when its kind is not known here."""
        found = self.recording.payload(entry, self._registry)
        return found if isinstance(found, Payload) else None

    @property
    def hung_up(self) -> bool:
        """Whether somebody outside the graph ended the call."""
        return bool(self.ended) and self.ended not in (_BY_ITSELF, redact_text(_BY_ITSELF)) and not self.asked_to_end

    @property
    def left(self) -> bool:
        """Whether the program closed the call, and nobody hung up, which interrupts what is being said."""
        return self.hung_up and self.gone is None and bool(self.recording.header.scopes)

    @property
    def end(self) -> float:
        """When the lines end: at the hang-up, or when nothing more comes on them."""
        if not self.hung_up:
            return self.line_ends
        return self.until if self.gone is None else self.gone

    def words(self) -> list[tuple[float, float, str]]:
        """What the caller said, word for word, as one of the recognisers heard it: from when to when (seconds)."""
        node = self._texts[0].node if self._texts else ""
        found: list[tuple[float, float, str]] = []
        for entry in self._texts:
            data = entry.data
            if entry.node != node:
                continue
            start, end, words = data.get("start", 0.0), data.get("end", 0.0), data.get("words") or ()
            if words:
                found += [(start + w["start_ms"] / 1000, start + w["end_ms"] / 1000, w["text"]) for w in words]
            elif end > start:
                said = str(data.get("text", "")).split()
                step = (end - start) / max(1, len(said))
                found += [(start + i * step, start + (i + 1) * step, w) for i, w in enumerate(said)]
        return sorted(found)

    # -- inside ------------------------------------------------------------------------------------------------

    def _inputs(self, nodes: Iterable[str]) -> dict[str, set[tuple[str, str, str]]]:
        """By node, whose events of which port and kind may have come to it."""
        header = self.recording.header
        members = {head.id: head.members for head in header.nodes}
        wanted: dict[str, set[tuple[str, str, str]]] = {}
        for node in nodes:
            names = {node, *(choice for choice, m in members.items() if node in m)}
            wanted[node] = {
                (source, edge.port, kind)
                for edge in header.edges
                if edge.target in names
                for source in ((edge.source, *members.get(edge.source, ())) if edge.source in members else (_ENGINE,))
                for kind in edge.kinds
            }
        return wanted

    def _failed(self, entry: EventEntry, given: Mapping[str, dict[int, Answer]], hears: set[str]) -> None:
        data = entry.data
        message = str(data.get("message", "")).removeprefix(_ALREADY)
        failed = Failed(entry.time, entry.kind, message, entry.kind == "retried")
        if entry.node in hears:
            before = self.breaks[entry.node]
        elif entry.cause:
            before = given[entry.node].setdefault(entry.cause, Answer(entry.time)).failures
        else:
            return
        if not before or before[-1].time != failed.time:
            before.append(failed)


def _by_content(
    given: Mapping[int, Answer], seen: Mapping[int, EventEntry], asked: Iterable[int], cuts: Sequence[float]
) -> dict[bytes, list[Answer]]:
    """Answers by what was asked. cuts: when the node's scope was interrupted."""
    busy = sorted(answer.steps[0].time for answer in given.values() if answer.steps)
    found: dict[bytes, list[Answer]] = {}
    for seq in asked:
        entry = seen[seq]
        answer = given.get(seq) or Answer(entry.time)
        answer.asked, answer.asked_id = entry.time, _id_of(entry)
        place = bisect_right(cuts, entry.time + 1e-9)  # a turn that interrupts is not cut by that itself
        # What a piece of a message comes to is no end of the whole either.
        piece = bool(answer.outputs) and entry.kind.endswith(".partial") and not entry.data.get("final")
        if place < len(cuts) and not answer.whole and not answer.failures and not piece:
            after = answer.outputs[-1].time if answer.outputs else entry.time
            begun = bisect_left(busy, after + 1e-9)
            if not (begun < len(busy) and busy[begun] < cuts[place]):  # it had gone on to another input by then
                answer.cut = cuts[place]
        found.setdefault(key_of(entry.kind, recorded_content(entry)), []).append(answer)
    return found


def _may_have_asked(entry: EventEntry, inputs: set[tuple[str, str, str]]) -> bool:
    """Whether an event is one of those that an edge carries to a node; guards may have stopped it."""
    if (entry.node, entry.port, entry.kind) in inputs:
        return True
    return entry.name.startswith(_CONTROL) and (_ENGINE, entry.port, entry.kind) in inputs


def _until_cut(time: float, cuts: Sequence[float]) -> float:
    place = bisect_left(cuts, time)
    return cuts[place] - time if place < len(cuts) else float("inf")


def _is_audio(kind: str) -> bool:
    return kind.startswith("audio_")


def _id_of(entry: EventEntry) -> str:
    found = entry.data.get("id", "") if "audio" not in entry.kind else ""
    return found if isinstance(found, str) else ""


def listeners(plan: Plan, cast: Cast) -> bool:
    """Whether a simulation listens to the caller, who then must be understood."""
    return any(
        cast.parts.get(n.id) is Part.SIMULATED and n.spec is not None and AudioFrame in n.spec.consumes
        and n.spec.form is not Form.SINK
        for n in plan.nodes.values()
    )  # fmt: skip
