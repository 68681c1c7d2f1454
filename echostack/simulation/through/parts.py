"""What each node of a graph is when a recorded call runs through it: replayed, simulated, or itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import UsageError
from echostack.core.payloads import AudioFrame
from echostack.plan import Plan
from echostack.plan.model import PlanNode
from echostack.recording import Header
from echostack.recording.format import NodeHead
from echostack.recording.head import node_head
from echostack.recording.redact import redact_settings
from echostack.registry import Form, StandIn, stand_in


class Part(StrEnum):
    """What a node is. LINE: gives the recorded inputs. HEARS: gives its recorded outputs at their times. ANSWERS: gives
    what it answered in the recording to an input that says the same. FAR_END: plays, and knows what was heard."""

    LINE = "the recorded inputs"
    HEARS = "replayed, at the recorded times"
    ANSWERS = "replayed, input by input"
    ITSELF = "itself"
    SIMULATED = "simulated"
    FAR_END = "a simulated far end"
    REAL = "real"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays what. parts: by node. changed: why a node does not answer as recorded (``it is new``…), in the order of
    the graph. gone: nodes of the recording that the graph does not have. lines: by recorded ingress, the node of the
    graph that carries what it carried."""

    parts: Mapping[str, Part]
    changed: Mapping[str, str]
    gone: tuple[str, ...]
    lines: Mapping[str, str]


def cast(header: Header, plan: Plan, real: Iterable[str] = ()) -> Cast:
    """What the nodes of ``plan`` are for the recording of ``header``. UsageError for a real node that it does not have,
    and when none of its ingresses can carry what was recorded."""
    wanted = dict.fromkeys(real)
    for name in wanted:
        if name not in plan.nodes or plan.nodes[name].spec is None:
            near = did_you_mean(name, [n.id for n in plan.nodes.values() if n.spec is not None])
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(plan.nodes)}"
            raise UsageError(f"the graph has no node {name!r}; {hint}")
    before = {head.id: head for head in header.nodes}
    parts: dict[str, Part] = {}
    changed: dict[str, str] = {}
    for node in plan.nodes.values():
        if node.spec is None:
            continue
        why = _changed(before.get(node.id), node, plan, redacted=header.redacted)
        parts[node.id] = _part(node, known=not why, real=node.id in wanted)
        if why and parts[node.id] not in (Part.LINE, Part.FAR_END):  # these answer nothing
            changed[node.id] = why
    gone = tuple(name for name in before if name not in plan.nodes)
    return Cast(parts, changed, gone, _lines(header, plan, parts))


def _part(node: PlanNode, *, known: bool, real: bool) -> Part:
    spec = node.spec
    assert spec is not None
    if real:
        return Part.REAL
    if spec.form is Form.SOURCE:
        return Part.LINE
    if spec.form is Form.SINK:
        return Part.FAR_END
    itself = stand_in(spec) is StandIn.ITSELF
    if known and spec.produces:
        if AudioFrame in spec.consumes:
            return Part.HEARS
        if not (itself and spec.form is Form.STREAM):
            return Part.ANSWERS
    return Part.ITSELF if itself else Part.SIMULATED


def _changed(head: NodeHead | None, node: PlanNode, plan: Plan, *, redacted: bool) -> str:
    """Why ``node`` is not the one that was recorded; empty when it is."""
    if head is None:
        return "it is new"
    now = node_head(node, plan)
    if head.use != now.use:
        return f"it was {head.use}, and is {now.use}"
    settings = redact_settings(now.settings, frozenset(now.kept)) if redacted else now.settings
    other = _paths(head.settings, settings)
    if other:
        return f"its settings differ: {', '.join(other)}"
    return "" if head.form == now.form else "its connector is called in another way by now"


def _paths(one: Any, other: Any, path: str = "") -> list[str]:
    """The settings in which two nodes differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found: list[str] = []
        for name in [*one, *(n for n in other if n not in one)]:
            inside = f"{path}.{name}" if path else name
            found += [inside] if name not in one or name not in other else _paths(one[name], other[name], inside)
        return found
    plain = (list(one) if isinstance(one, tuple) else one) == (list(other) if isinstance(other, tuple) else other)
    return [] if plain else [path]


def _lines(header: Header, plan: Plan, parts: Mapping[str, Part]) -> dict[str, str]:
    """Which ingress carries what which recorded one carried: the same name, else one that nothing else is on."""
    before = [head.id for head in header.nodes if head.form == Form.SOURCE.value]
    free = [n for n, part in parts.items() if part is Part.LINE and n not in before]
    lines: dict[str, str] = {}
    for name in before:
        if parts.get(name) is Part.LINE:
            lines[name] = name
        elif name not in plan.nodes and free:
            lines[name] = free.pop(0)
    if before and not lines:
        raise UsageError("nobody can call this graph: none of its ingresses can carry what was recorded")
    return lines
