"""What became of a recorded call in another graph, as lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from echostack.simulation.expect.phrases import count
from echostack.simulation.through import Difference, First, Part, Side
from echostack.simulation.through.difference import Link

_WIDEST = 12


def difference_lines(found: Difference) -> Iterator[str]:
    """The first difference, the summary, and what each node was."""
    yield from (f"note: {note}" for note in found.notes)
    if found.graph:
        yield "in the graph"
        yield from (f"  {line}" for line in _most(found.graph))
        yield ""
    if found.none:
        alike = "to the microsecond" if found.exact else "in what was said and done"
        yield f"no difference: up to {found.until:.3f} s the call is what it was, {alike}"
        yield ""
    else:
        if found.crash:
            yield f"the call broke: {found.crash}"
            yield ""
        if found.first is not None:
            yield from _first(found.first)
            yield ""
        yield from _summary(found)
    yield "nodes"
    width = max((len(name) for name in found.nodes), default=0)
    yield from (f"  {name:<{width}}  {_part(found, name, part)}" for name, part in found.nodes.items())


def _first(first: First) -> Iterator[str]:
    side = first.after or first.before
    name = side.event.name if side is not None else ""
    yield f"first difference at {first.time:.3f} s: {name}: {first.what}"
    yield f"  before  {_event(first.before)}"
    yield f"  after   {_event(first.after)}"
    for title, one in (("before", first.before), ("after", first.after)):
        if one is not None and one.causes:
            yield f"  led to it {title}"
            yield from (f"    {_link(link)}" for link in one.causes)
        if first.before is not None and first.after is not None and first.before.causes == first.after.causes:
            break
    if first.why:
        yield "  in the graph"
        yield from (f"    {line}" for line in _most(first.why))


def _summary(found: Difference) -> Iterator[str]:
    if found.counts:
        yield "events"
        width = max(map(len, found.counts))
        for name, (one, other) in found.counts.items():
            yield f"  {name:<{width}}  {one} -> {other} ({other - one:+d})"
        yield ""
    if any(side != " " for side, _, _ in found.talk):
        yield "conversation"
        yield from (f"  {side} {who:<6}  {what}".rstrip() for side, who, what in found.talk)
        yield ""
    before, after = found.voice
    if before or after:
        yield f"voice to voice  {_voice(before)} -> {_voice(after)}"
    changed = {node: pair for node, pair in found.writes.items() if pair[0] != pair[1]}
    for node, (one, other) in changed.items():
        yield f"writes of {node}  {one} -> {other}"
    yield f"events dropped  {found.drops[0]} -> {found.drops[1]}"
    yield ""


def _voice(values: Sequence[float]) -> str:
    if not values:
        return "no reply"
    ordered = sorted(values)
    p50, p95 = ordered[(len(ordered) - 1) // 2], ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    replies = count(len(ordered), "reply", "replies")
    return f"{p50:.0f} ms p50, {p95:.0f} ms p95 over {replies}"


def _part(found: Difference, name: str, part: Part) -> str:
    said = str(part)
    if name in found.known:
        known, unknown, cut = found.known[name]
        said += f": {count(known, 'input')} known"
        if unknown:
            said += f", {unknown} not in the recording and simulated"
        if cut:
            said += f", {count(cut, 'answer')} known only in part"
    if name in found.changed:
        said += f" ({found.changed[name]})"
    return said


def _event(side: Side | None) -> str:
    return "(nothing)" if side is None else f"{_link(side.event)}"


def _link(link: Link) -> str:
    return f"{link.time:8.3f}  {link.name}  {link.says}".rstrip()


def _most(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_WIDEST]
    if len(lines) > _WIDEST:
        yield f"… {len(lines) - _WIDEST} more"
