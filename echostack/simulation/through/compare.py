"""Holds the course of the new call against that of the recorded one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from echostack.core.events import Event
from echostack.plan import Plan
from echostack.recording import EventEntry, Header, Recording
from echostack.registry import Registry
from echostack.simulation.expect.phrases import quoted, shown
from echostack.simulation.through.content import EXACT, LOOSE
from echostack.simulation.through.course import Course, Moment, Parting, partings
from echostack.simulation.through.difference import First, Link, Side
from echostack.simulation.through.parts import Cast


class Comparison:
    """Two calls: what was recorded, and what came of it. events: of the new call, by number."""

    def __init__(
        self, recording: Recording, plan: Plan, cast: Cast, before: Course, after: Course, events: Mapping[int, Event],
        registry: Registry | None,
    ) -> None:  # fmt: skip
        self._recording, self._plan, self._cast = recording, plan, cast
        self._before, self._after, self._events, self._registry = before, after, events, registry

    @property
    def exact(self) -> bool:
        """Whether times must agree: a simulated call has its times from nobody but us."""
        return self._recording.header.simulated

    def first(self, until: float) -> First | None:
        """The first difference up to ``until``."""
        found = partings(self._before, self._after, EXACT if self.exact else LOOSE, until)
        parting = min(found, key=lambda p: (round(p.time, 5), _order(p)), default=None)
        if parting is None:
            return None
        entries = self._entries(parting)
        before = self._side(parting, self._before, parting.before, entries, {})
        after = self._side(parting, self._after, parting.after, {}, self._events)
        return First(parting.time, _what(parting, self.exact), before, after, self._why(parting))

    def counts(self) -> dict[str, tuple[int, int]]:
        """Events by name where their number differs; audio of a real call is cut as it comes, and is not counted."""
        before, after = self._before.counts(), self._after.counts()
        names = [n for n in [*before, *(n for n in after if n not in before)] if self.exact or "audio_" not in n]
        pairs = {n: (before.get(n, 0), after.get(n, 0)) for n in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def talk(self) -> list[tuple[str, str, str]]:
        """The conversation: which side has a line (``-``, ``+`` or both), who says it, and what."""
        one, other = self._before.talk, self._after.talk
        lines: list[tuple[str, str, str]] = []
        for tag, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
            if tag == "equal":
                lines += [(" ", *line) for line in one[a:b]]
            else:
                lines += [*(("-", *line) for line in one[a:b]), *(("+", *line) for line in other[c:d])]
        return lines

    # -- the first difference ------------------------------------------------------------------------------------

    def _entries(self, parting: Parting) -> dict[int, EventEntry]:
        """The recorded events that are to be told, read anew."""
        moment = parting.before
        if moment is None:
            return {}
        wanted = {moment.seq, *self._before.chain(moment.cause)}
        return {e.seq: e for e in self._recording.events() if e.seq in wanted}

    def _side(
        self, parting: Parting, course: Course, moment: Moment | None, entries: Mapping[int, EventEntry],
        events: Mapping[int, Event],
    ) -> Side | None:  # fmt: skip
        if moment is None:
            return None

        def link(seq: int) -> Link:
            time, name, node, _ = course.causes.get(seq, (moment.time, parting.path[1], parting.path[0], 0))
            if seq in entries:
                return Link(time, name, node, says_of(self._recording, entries[seq], self._registry))
            return Link(time, name, node, shown(events[seq].payload) if seq in events else "")

        return Side(link(moment.seq), moment.seq, tuple(link(seq) for seq in course.chain(moment.cause)))

    def _why(self, parting: Parting) -> tuple[str, ...]:
        """What of the graph lies on the way to the difference and is not what it was."""
        nodes: dict[str, None] = {parting.path[0]: None}
        for course, moment in ((self._after, parting.after), (self._before, parting.before)):
            if moment is not None:
                nodes.update(dict.fromkeys(course.causes[seq][2] for seq in course.chain(moment.cause)))
        found = [f"{node}: {self._cast.changed[node]}" for node in nodes if node in self._cast.changed]
        found += [f"{node}: it is gone" for node in nodes if node in self._cast.gone]
        edges = changed_edges(self._recording.header, self._plan)
        found += [line for line, ends in edges if any(end in nodes for end in ends)]
        return tuple(found or changed_lines(self._recording, self._plan))


def graph_changes(recording: Recording, plan: Plan, cast: Cast) -> tuple[str, ...]:
    """What differs between the recorded graph and ``plan``: nodes, then edges; where these are the same (when an
    interruption holds has changed, say), lines of the files."""
    header = recording.header
    nodes = [f"{node}: {why}" for node, why in cast.changed.items()]
    nodes += [f"{node}: it is gone" for node in cast.gone]
    found = (*nodes, *(line for line, _ in changed_edges(header, plan)))
    return found or tuple(changed_lines(recording, plan))


def changed_lines(recording: Recording, plan: Plan) -> list[str]:
    """Lines of the opened file that the recorded one has not, and the other way round; none of a copy that is not
    what ran, because something in it is masked."""
    path, header = recording.graph, recording.header
    documents = plan.checked.graph.documents
    if path is None or header.files[0].masked or not documents:
        return []
    try:
        before = _graph_lines(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # the comparison does without
        return []
    compared = difflib.unified_diff(before, _graph_lines(documents[0].source.text), n=0, lineterm="")
    return [line for line in compared if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()]


def changed_edges(header: Header, plan: Plan) -> list[tuple[str, tuple[str, str]]]:
    """Edges that one graph has and the other has not, in words, and what they join."""
    before = [(e.source, e.port, e.pattern, e.target) for e in header.edges]
    now = [(e.source, e.port, e.pattern, e.target) for e in plan.edges]
    gone = [(f"the edge {_edge(e)} is gone", (e[0], e[3])) for e in dict.fromkeys(before) if e not in now]
    new = [(f"the edge {_edge(e)} is new", (e[0], e[3])) for e in dict.fromkeys(now) if e not in before]
    return [*gone, *new]


def _graph_lines(text: str) -> list[str]:
    """The lines that make the graph: neither comments nor the section of tests."""
    lines, inside = [], False
    for line in text.splitlines():
        if line[:1] not in ("", " ", "-", "#"):
            inside = line.startswith("tests:")
        if not inside and not line.lstrip().startswith("#"):
            lines.append(line)
    return lines


def says_of(recording: Recording, entry: EventEntry, registry: Registry | None = None) -> str:
    """What a recorded event says, on one line; empty for audio."""
    if "audio_" in entry.kind:
        return ""
    event = recording.event(entry, registry)
    return shown(event.payload) if event is not None else quoted(str(entry.data))


def _edge(edge: tuple[str, str, str, str]) -> str:
    source, port, pattern, target = edge
    via = f" ({pattern})" if pattern else ""
    return f"{source}{f':{port}' if port else ''} -> {target}{via}"


def _order(parting: Parting) -> int:
    return min(m.seq for m in (parting.before, parting.after) if m is not None)


def _what(parting: Parting, exact: bool) -> str:
    before, after = parting.before, parting.after
    if before is None:
        return "the recording has nothing like it"
    if after is None:
        return "it does not happen any more"
    apart = after.time - before.time
    if abs(apart) > (EXACT if exact else LOOSE):
        return f"it comes {abs(apart):.3f} s {'later' if apart > 0 else 'earlier'}"
    return "it says something else"


def pairs(one: Mapping[str, int], other: Iterable[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """Two counts by name as pairs, where there is any."""
    after = dict(other)
    return {name: (one.get(name, 0), after.get(name, 0)) for name in [*one, *(n for n in after if n not in one)]}
