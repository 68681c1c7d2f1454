"""A recording as a trace that https://ui.perfetto.dev and chrome://tracing open: a call as a waterfall.

The form is the Trace Event Format (JSON): ``X`` slices with ``ts`` and ``dur`` in microseconds, ``i`` instants, ``C``
counters, ``s``/``f`` arrows, ``M`` names. Slices of one row must nest, so work that overlaps goes to further rows of
its node. Rows are grouped as three processes: the conversation, the nodes, the queues.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from echostack.recording.format import DropEntry, EndEntry, EventEntry, PlayedEntry, StateEntry
from echostack.recording.reader import Recording

CONVERSATION, NODES, QUEUES = 1, 2, 3
_PROCESSES = {CONVERSATION: "conversation", NODES: "nodes", QUEUES: "queues"}
CALLER, WORDS, AGENT, HEARD, PAUSED, EPOCHS = (
    "caller's voice", "caller's turns", "agent's utterances", "heard of the agent", "suspended", "epochs",
)  # fmt: skip
_LONGEST = 80

TraceEvent = dict[str, Any]


def to_chrome_trace(recording: Recording, file: str | os.PathLike[str]) -> int:
    """Write the trace of ``recording``, as far as it goes, to ``file``; how many trace events it has. OSError.

    Rows: the caller's voice and turns, the agent's utterances and what was heard of them, suspensions, epochs; one or
    more rows a node, with a slice from the event that it worked on to the last that it made of it, and arrows along
    the causes; how many events each queue held. Audio is told by its length.
    """
    events = list(chrome_events(recording))
    header = recording.header
    trace = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "session": header.session, "graph": header.graph, "seed": header.seed, "simulated": header.simulated,
            **{f"version of {name}": number for name, number in header.versions.items()},
        },
    }  # fmt: skip
    Path(file).write_bytes(msgspec.json.encode(trace))
    return len(events)


def chrome_events(recording: Recording) -> Iterator[TraceEvent]:
    """The trace events one by one: first the names of all rows, then slices, instants, counters and arrows."""
    call = _Call(recording)
    for entry in recording.entries():
        call.take(entry)
    call.finish()
    rows = _Rows([node.id for node in recording.header.nodes])
    slices = [
        (rows.place(s), s) for s in sorted(call.slices(), key=lambda s: (s.process, s.track, s.start, -s.end, s.order))
    ]
    instants = [(rows.row(i.process, i.track), i) for i in call.instants]
    yield from rows.names()
    placed: dict[int, tuple[int, _Slice]] = {}
    for row, one in slices:
        yield one.event(row)
        for seq in one.made:
            placed[seq] = row, one
    for row, instant in instants:
        yield instant.event(row)
    yield from call.counters
    for row, one in slices:
        if one.cause in placed:
            yield from _arrow(one.order, one.cause_at, placed[one.cause], (row, one))


@dataclass(slots=True)
class _Slice:
    """Something that lasted: microseconds of the call. made: numbers of the events that came out of it."""

    process: int
    track: str
    name: str
    start: int
    end: int
    order: int
    args: dict[str, Any] = field(default_factory=dict)
    cause: int = 0
    cause_at: int = 0
    made: list[int] = field(default_factory=list)

    def event(self, row: int) -> TraceEvent:
        return {
            "ph": "X", "name": self.name or "(nothing)", "cat": _PROCESSES[self.process], "pid": self.process,
            "tid": row, "ts": self.start, "dur": max(1, self.end - self.start), "args": self.args,
        }  # fmt: skip


@dataclass(slots=True)
class _Instant:
    process: int
    track: str
    name: str
    at: int
    args: dict[str, Any]

    def event(self, row: int) -> TraceEvent:
        return {
            "ph": "i", "s": "t", "name": self.name, "cat": _PROCESSES[self.process], "pid": self.process, "tid": row,
            "ts": self.at, "args": self.args,
        }  # fmt: skip


class _Rows:
    """Which row each slice goes to: the first of its track that is free by then."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._rows: dict[tuple[int, str, int], int] = {}
        self._free: dict[tuple[int, str], list[int]] = {}
        for track in (CALLER, WORDS, AGENT, HEARD, PAUSED, EPOCHS):
            self.row(CONVERSATION, track)
        for node in nodes:
            self.row(NODES, node)

    def row(self, process: int, track: str, number: int = 0) -> int:
        return self._rows.setdefault((process, track, number), len(self._rows) + 1)

    def place(self, one: _Slice) -> int:
        """Slices of a track come in order of their beginnings."""
        free = self._free.setdefault((one.process, one.track), [])
        end = max(one.end, one.start + 1)
        for number, until in enumerate(free):
            if until <= one.start:
                free[number] = end
                return self.row(one.process, one.track, number)
        free.append(end)
        return self.row(one.process, one.track, len(free) - 1)

    def names(self) -> Iterator[TraceEvent]:
        for process, name in _PROCESSES.items():
            yield _named("process_name", process, 0, {"name": name})
            yield _named("process_sort_index", process, 0, {"sort_index": process})
        # By track, its further rows right under its first.
        first = {(p, track): row for (p, track, number), row in self._rows.items() if number == 0}
        for (process, track, number), row in self._rows.items():
            shown = track if number == 0 else f"{track} ({number + 1})"
            yield _named("thread_name", process, row, {"name": shown})
            yield _named("thread_sort_index", process, row, {"sort_index": first[process, track] * 1000 + number})


class _Call:
    """The call as its entries tell it, gathered into what a trace shows."""

    def __init__(self, recording: Recording) -> None:
        self.instants: list[_Instant] = []
        self.counters: list[TraceEvent] = []
        self._queues = recording.header.queues
        self._done: list[_Slice] = []
        self._work: dict[tuple[str, int], _Slice] = {}
        self._open: dict[tuple[str, str], _Slice] = {}
        self._times: dict[int, int] = {}
        self._spoken: dict[int, tuple[str, str]] = {}
        self._heard: dict[str, tuple[_Slice, str]] = {}
        self._last = 0
        self._order = 0

    def take(self, entry: Any) -> None:
        self._last = max(self._last, _us(entry.time))
        match entry:
            case EventEntry():
                self._event(entry)
            case PlayedEntry():
                self._played(entry)
            case StateEntry():
                self._state(entry)
            case DropEntry(time=time, edge=edge, seq=seq):
                self._instant(QUEUES, "lost", f"{edge} lost {seq}", _us(time), {"edge": edge, "seq": seq})
            case EndEntry():
                pass

    def finish(self) -> None:
        """What had not ended when the recording did ends with it."""
        for one in self._open.values():
            one.end = max(one.start, self._last)
            self._done.append(one)
        self._open.clear()
        self._done += (heard for heard, _ in self._heard.values())
        self._heard.clear()

    def slices(self) -> list[_Slice]:
        return [*self._done, *self._work.values()]

    # -- what the entries are ----------------------------------------------------------------------------------

    def _event(self, entry: EventEntry) -> None:
        at = self._times[entry.seq] = _us(entry.time)
        stage, kind = entry.name.partition(".")[0], entry.kind
        if kind == "audio_frame" or stage == "egress":
            return
        data = entry.data
        if kind.startswith("audio_chunk"):
            self._spoken[entry.seq] = str(data.get("utterance", "")), str(data.get("text", ""))
        if stage == "error":
            args = {"name": entry.name, "seq": entry.seq, "payload": _shown(data)}
            self._instant(NODES, entry.node or "errors", kind, at, args)
        elif stage == "control":
            self._control(entry, kind, data, at)
        elif entry.node:
            self._worked(entry, kind, data, at)
            self._caller(entry, kind, data, at)

    def _worked(self, entry: EventEntry, kind: str, data: dict[str, Any], at: int) -> None:
        cause_at = self._times.get(entry.cause, at)
        key = entry.node, entry.cause or -entry.seq
        work = self._work.get(key)
        if work is None:
            args = {"seq": entry.seq, "cause": entry.cause, "scope": entry.scope, "epoch": entry.epoch}
            work = self._slice(NODES, entry.node, kind, cause_at, at, {**args, "payload": _shown(data)})
            work.cause, work.cause_at = entry.cause, cause_at
            self._work[key] = work
        else:
            work.args["more"] = work.args.get("more", 0) + 1
        work.end = max(work.end, at)
        work.made.append(entry.seq)

    def _caller(self, entry: EventEntry, kind: str, data: dict[str, Any], at: int) -> None:
        if kind == "speech_started":
            begin = _us(data.get("at") or entry.time)
            self._open[CALLER, entry.node] = self._slice(CONVERSATION, CALLER, "speech", min(begin, at), at)
        elif kind == "speech_stopped":
            self._close(CALLER, entry.node, _us(data.get("at") or entry.time))
        elif kind == "text":
            start, end = _us(data.get("start") or 0.0), _us(data.get("end") or 0.0)
            if end <= start:
                start = end = at
            args = {k: v for k, v in data.items() if k in ("confidence", "ended_by", "waited_ms")}
            self._done.append(self._slice(CONVERSATION, WORDS, _cut(str(data.get("text", ""))), start, end, args))

    def _control(self, entry: EventEntry, kind: str, data: dict[str, Any], at: int) -> None:
        scope = str(data.get("scope", ""))
        if kind == "suspended":
            self._open[PAUSED, scope] = self._slice(CONVERSATION, PAUSED, scope or "suspended", at, at, _shown(data))
        elif kind in ("committed", "aborted"):
            self._close(PAUSED, scope, at, kind)
        elif kind == "playout_started":
            utterance = str(data.get("utterance", ""))
            self._open[AGENT, utterance] = self._slice(CONVERSATION, AGENT, utterance, at, at, _shown(data))
        elif kind == "playout_finished":
            self._close(AGENT, str(data.get("utterance", "")), at, _cut(str(data.get("heard", ""))), _shown(data))
        if kind == "committed":
            self._instant(CONVERSATION, EPOCHS, f"epoch {data.get('epoch', '')} of {scope}", at, _shown(data))
        elif kind in ("call_started", "call_ended"):
            self._instant(CONVERSATION, EPOCHS, kind.replace("_", " "), at, _shown(data))

    def _played(self, entry: PlayedEntry) -> None:
        utterance, text = self._spoken.get(entry.seq, ("", ""))
        start, end = _us(entry.start), _us(entry.time)
        before = self._heard.get(entry.egress)
        if before is not None and before[1] == utterance and start - before[0].end <= 1000:
            before[0].end = max(before[0].end, end)
            return
        if before is not None:
            self._done.append(before[0])
        args = {"egress": entry.egress, "utterance": utterance, "event": entry.seq}
        self._heard[entry.egress] = (
            self._slice(CONVERSATION, HEARD, _cut(text) or utterance, start, end, args),
            utterance,
        )

    def _state(self, entry: StateEntry) -> None:
        for number, held, *_ in entry.queues:
            name = self._queues[number].edge if number < len(self._queues) else f"queue {number}"
            self.counters.append(
                {"ph": "C", "name": name, "cat": "queues", "pid": QUEUES, "tid": 0, "ts": _us(entry.time),
                 "args": {"events": held}}
            )  # fmt: skip

    # -- making ------------------------------------------------------------------------------------------------

    def _slice(
        self, process: int, track: str, name: str, start: int, end: int, args: dict[str, Any] | None = None
    ) -> _Slice:
        self._order += 1
        return _Slice(process, track, name, start, end, self._order, dict(args or {}))

    def _close(self, track: str, which: str, at: int, name: str = "", args: dict[str, Any] | None = None) -> None:
        one = self._open.pop((track, which), None)
        if one is None:
            return
        one.end = max(one.start, at)
        one.name = name or one.name
        one.args |= args or {}
        self._done.append(one)

    def _instant(self, process: int, track: str, name: str, at: int, args: dict[str, Any]) -> None:
        self.instants.append(_Instant(process, track, name, at, args))


def _arrow(number: int, at: int, source: tuple[int, _Slice], target: tuple[int, _Slice]) -> Iterator[TraceEvent]:
    """An arrow from the slice that made the cause to the one that worked on it; both its ends lie inside a slice."""
    common = {"name": "cause", "cat": "cause", "id": number}
    (row, one), (other_row, other) = source, target
    leaves = max(one.start, min(at, max(one.end, one.start + 1) - 1))
    yield {**common, "ph": "s", "pid": one.process, "tid": row, "ts": leaves}
    yield {**common, "ph": "f", "bp": "e", "pid": other.process, "tid": other_row, "ts": max(leaves, other.start)}


def _named(what: str, process: int, row: int, args: dict[str, Any]) -> TraceEvent:
    return {"ph": "M", "name": what, "pid": process, "tid": row, "ts": 0, "args": args}


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    """A payload for a person to read: audio by its length, what is empty left out."""
    shown = {k: v for k, v in data.items() if v not in ("", None, [], {})}
    audio = shown.get("pcm")
    if isinstance(audio, dict):
        shown["pcm"] = f"{audio.get('samples', 0)} samples"
    shown.pop("words", None)
    return shown


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
