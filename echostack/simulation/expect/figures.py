"""Judges of what a call amounts to: what was written to the outside world, how long it took, what queues lost."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from echostack.core.diagnostic import did_you_mean
from echostack.language.guard import Field, operands
from echostack.language.printing import guard_text
from echostack.language.scenario import Drops, Takes, Written
from echostack.registry import Write
from echostack.runtime.stats import percentile
from echostack.simulation.expect.finding import failure
from echostack.simulation.expect.phrases import count, how_often, instant, instants, micros, often_enough
from echostack.simulation.matching import fulfils
from echostack.simulation.outcome import Failure, Outcome

CALL_TIMES = ("voice_to_voice", "turn_to_audio")
NODE_PERCENTILES = {50: "p50", 90: "p90", 95: "p95", 99: "p99", 100: "max"}
"""What a call's statistics keep of a node's times."""


def written(expected: Written, outcome: Outcome) -> Iterator[Failure]:
    """So many writes of a node whose fields fulfil the condition."""
    if expected.node not in outcome.plan.nodes:
        yield failure(outcome, _no_node(expected.node, outcome), expected.span, whole=False)
        return
    store = outcome.stores.get(expected.node)
    writes = store.writes if store is not None else ()
    test = fulfils(expected.where) if expected.where is not None else None
    found = [w for w in writes if test is None or test(SimpleNamespace(**w.data))]
    if often_enough(len(found), expected.times):
        return
    where = f" with `{guard_text(expected.where)}`" if expected.where is not None else ""
    said = f"expected {how_often(expected.times)} written by `{expected.node}`{where}"
    if found:
        there = f"there {'was' if len(found) == 1 else 'were'} {len(found)}, {instants([w.time for w in found])}"
        yield failure(outcome, f"{said}, and {there}", expected.span, at=found[-1].time)
    elif writes:
        last = writes[-1]
        others = f"of {count(len(writes), 'write')} none is such; the last was {_told(last, expected)}"
        yield failure(outcome, f"{said}; {others} at {instant(last.time)}", expected.span, at=last.time)
    else:
        yield failure(outcome, f"{said}, and it wrote nothing", expected.span, whole=False)


def takes(expected: Takes, outcome: Outcome) -> Iterator[Failure]:
    """Percentiles (nearest rank) of a time of the call, none above its limit."""
    measured = _measured(expected, outcome)
    if isinstance(measured, str):
        yield failure(outcome, measured, expected.span, whole=False)
        return
    over = []
    for share, limit in sorted(expected.limits.items()):
        found = measured.get(share)
        if found is None:
            known = ", ".join(str(p) for p in NODE_PERCENTILES)
            yield failure(
                outcome,
                f"expected a limit at percentile {share} of `{expected.of}`, and of a node's times the percentiles"
                f" {known} are kept",
                expected.span,
                whole=False,
            )
        elif micros(found) > micros(limit):
            over.append(f"{_share(share)} was {instant(found)} (at most {instant(limit)})")
    if over:
        yield failure(outcome, f"{_name(expected.of)} took too long: {', '.join(over)}", expected.span, whole=False)


def _measured(expected: Takes, outcome: Outcome) -> dict[int, float] | str:
    """Seconds by percentile, or why there are none."""
    stats = outcome.stats
    if stats is None:
        return f"expected {_name(expected.of)} to be measured, and the call never opened"
    if expected.of in CALL_TIMES:
        values = stats.voice_to_voice_ms if expected.of == "voice_to_voice" else stats.turn_to_audio_ms
        if not values:
            return f"expected a limit of {_name(expected.of)}, and no turn of the caller was answered"
        return {share: percentile(values, share / 100) / 1000 for share in expected.limits}
    if expected.of not in outcome.plan.nodes:
        return _no_node(expected.of, outcome)
    first = stats.nodes.get(expected.of, {}).get("first_output_ms", {})
    if not first.get("count"):
        return f"expected a limit of {_name(expected.of)}, and it gave nothing that is timed"
    return {share: first[key] / 1000 for share, key in NODE_PERCENTILES.items()}


def drops(expected: Drops, outcome: Outcome) -> Iterator[Failure]:
    """How many events queues lost by their policies, of some edges or of all."""
    queues = outcome.stats.queues if outcome.stats is not None else ()
    chosen = [q for q in queues if expected.edge in q.edge]
    if expected.edge and not chosen:
        there = f"its queues are {', '.join(f'`{q.edge}`' for q in queues)}" if queues else "it has no queue"
        what = f"expected {how_often(expected.times)} dropped on an edge named `{expected.edge}`, and the call has none"
        yield failure(outcome, f"{what}; {there}", expected.span, whole=False)
        return
    lost = sum(q.dropped + q.refused for q in chosen)
    if often_enough(lost, expected.times):
        return
    losers = [q for q in chosen if q.dropped + q.refused]
    told = "; ".join(
        f"`{q.edge}` lost {q.dropped + q.refused} of {q.put} ({q.overflow}, bound {q.bound})" for q in losers
    )
    on = f" on `{expected.edge}`" if expected.edge else ""
    what = f"expected {how_often(expected.times)} dropped{on}, and {lost or 'none'} {'was' if lost < 2 else 'were'}"
    yield failure(outcome, f"{what}: {told}" if told else what, expected.span, whole=False)


def _told(write: Write, expected: Written) -> str:
    """The fields that the condition asks about, or all."""
    fields = [o.name for o in operands(expected.where) if isinstance(o, Field)] if expected.where is not None else []
    shown = [f for f in dict.fromkeys(fields) if f in write.data] or list(write.data)
    return "{" + ", ".join(f"{name}: {write.data[name]!r}" for name in shown[:6]) + (", …}" if len(shown) > 6 else "}")


def _no_node(node: str, outcome: Outcome) -> str:
    known = sorted(n.id for n in outcome.plan.nodes.values() if n.spec is not None)
    near = did_you_mean(node, known, most=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
    return f"the graph has no node `{node}`; {hint}"


def _name(of: str) -> str:
    return {"voice_to_voice": "voice to voice", "turn_to_audio": "turn to audio"}.get(of, f"`{of}`")


def _share(share: int) -> str:
    return {50: "the median", 100: "the longest"}.get(share, f"the {share}th percentile")
