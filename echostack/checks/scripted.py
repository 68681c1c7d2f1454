"""What a scenario makes a node give: kinds that it makes, with fields that they have, by ports that there are."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from echostack.checks.carry import alternatives
from echostack.checks.codes import CANNOT_GIVE, GUARD_TYPES, NEVER_TAKEN, NO_SUCH_PART, UNKNOWN_FIELD, UNKNOWN_PORT
from echostack.checks.guards import LIST, MAPPING, NOTHING, NUMBER, TEXT, TRUTH, fields, problem
from echostack.checks.work import Resolved, Work, kinds
from echostack.core.kinds import Payload
from echostack.core.span import Span
from echostack.language.data import Mapping_, Value, env_names, plain
from echostack.language.guard import Expression, Field, operands
from echostack.language.scenario import Output, Script, Written
from echostack.registry import ConnectorSpec, Form, StandIn, stand_in

_WORDS = {
    "str": TEXT, "int": "a whole number", "float": NUMBER, "bool": TRUTH, "array": LIST, "object": MAPPING,
    "null": NOTHING,
}  # fmt: skip
_TYPES = re.compile(f"`({'|'.join(_WORDS)})`")
"""How msgspec names types, and what people call them."""
_FIELDS = "`echostack connectors` shows the fields of what a connector makes"


def check(work: Work, resolved: Resolved, script: Script, env: Mapping[str, str]) -> None:
    """Everything that the node cannot do of what its script says."""
    spec, node = resolved.spec, resolved.node.id
    assert spec is not None
    if (script.replies or script.answers) and not spec.consumes:
        work.report(
            CANNOT_GIVE, f"{node} takes no events, so it replies to none", script.span,
            help="what comes from outside is the caller's: `send` an event",
        )  # fmt: skip
        return
    for reply in script.replies:
        if reply.where is not None:
            condition_fits(work, reply.where, spec.consumes, f"what {node} takes")
        if reply.say is not None and not _says(spec):
            work.report(
                CANNOT_GIVE, f"{node} says nothing in words: it makes {kinds(spec.produces)}", reply.span,
                help="write what it gives: give: [{kind: {field: value}}]",
            )  # fmt: skip
        for output in reply.give:
            _output(work, resolved, output, env)


def _says(spec: ConnectorSpec) -> bool:
    """Whether it makes anything that has words, or speaks of itself."""
    return stand_in(spec) is StandIn.VOICE or any(
        not p.__kind__.audio and any(TEXT in types for types in fields(p).values()) for p in spec.produces
    )


def _output(work: Work, resolved: Resolved, output: Output, env: Mapping[str, str]) -> None:
    spec, node = resolved.spec, resolved.node.id
    assert spec is not None
    kind = next((p for p in spec.produces if p.__kind__.name == output.kind), None)
    if kind is None:
        known = [p.__kind__.name for p in spec.produces]
        work.report(
            CANNOT_GIVE, f"{node} makes no {output.kind}", output.span,
            help=work.nearest(output.kind, known) or f"it makes {kinds(spec.produces)}",
        )  # fmt: skip
        return
    before = len(work.findings.items)
    ports = tuple(spec.ports(resolved.known)) if resolved.known is not None else None
    if output.port and ports is not None and output.port not in ports:
        work.report(
            UNKNOWN_PORT, f"{node} has no port {output.port!r}", output.span,
            help=work.nearest(output.port, ports) or (f"its ports are {', '.join(ports)}" if ports else "it has none"),
        )  # fmt: skip
    fields_fit(work, kind, output.fields, output.span, env)
    if len(work.findings.items) == before:
        _spoken(work, node, kind, output)


def _spoken(work: Work, node: str, kind: type[Payload], output: Output) -> None:
    """Report a payload that stops at the node because what follows takes the same in another shape: a synthesiser that
    is fed a message's pieces is never given the whole."""
    own = [r for r in work.routes if r.source == work.end(node)]
    if any(kind in r.payloads for r in own):
        return
    for route in own:
        for group in alternatives(work, route.target) if route.target in work.nodes else ():
            instead = next((p for p in group if p in route.payloads), None)
            if kind in group and instead is not None:
                name, other = kind.__kind__.name, instead.__kind__.name
                final = f", its last piece with `final: true`: give: [{{{other}: {{text: ..., final: true}}}}]"
                work.report(
                    NEVER_TAKEN, f"the {name} that {node} gives here is never spoken: {route.target} is fed {other}",
                    output.span,
                    help=f"write what it is to say as `say:`, or give {other}"
                    + (final if "final" in instead.__struct_fields__ else ""),
                )  # fmt: skip
                return


def fields_fit(work: Work, kind: type[Payload], value: Value, span: Span, env: Mapping[str, str]) -> None:
    """Report fields that ``kind`` does not have or needs, and values of another type than they have."""
    name, known = kind.__kind__.name, fields(kind)
    if not isinstance(value, Mapping_):
        return
    unknown = [f for f in value.items if f not in known]
    for field in unknown:
        work.report(
            CANNOT_GIVE, f"{name} has no field {field!r}", value.keys.get(field, span),
            help=work.nearest(field, known) or (f"its fields are {', '.join(known)}" if known else "it has none"),
        )  # fmt: skip
    missing = [leaf for n, leaf in env_names(value).items() if n not in env and leaf.default is None]
    for leaf in missing:
        work.report(
            NO_SUCH_PART, f"the scenario gives no value for {{env: {leaf.name}}}", leaf.span,
            help=f"write it under `env:` of the scenario: {leaf.name}: value",
        )  # fmt: skip
    if unknown or missing:
        return
    try:
        msgspec.convert(plain(value, env), type=kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at ")
        said = _TYPES.sub(lambda found: _WORDS[found[1]], said[:1].lower() + said[1:]).replace("`", "")
        path = path.strip("`").removeprefix("$").removeprefix(".")
        place = value.keys.get(path.partition(".")[0].partition("[")[0], span)
        message = f"the field {path!r} of {name} is wrong: {said}" if path else f"{name} is not complete: {said}"
        message = message.replace("object missing required field ", "it needs the field ")
        work.report(CANNOT_GIVE, message, place, help=_FIELDS)
    except (NameError, TypeError):
        pass  # a plugin's annotations that do not resolve: nothing can be said of its types


def written(work: Work, resolved: Resolved, expected: Written) -> None:
    """Report a node that never writes, and a condition on fields that none of its writes has. What a simulation of its
    own writes, only that knows."""
    spec, node = resolved.spec, resolved.node.id
    if spec is None or resolved.known is None or stand_in(spec) is StandIn.OWN:
        return
    takes = [p for p in spec.consumes if spec.form is not Form.SINK or not p.__kind__.audio]
    if not (takes if spec.form is Form.SINK else spec.acts(resolved.known)):
        work.report(
            CANNOT_GIVE, f"{node} writes nothing to the outside world, whatever happens", expected.span,
            help="`echostack connectors` shows which connectors have an effect",
        )  # fmt: skip
        return
    known = ("kind", *dict.fromkeys(f for p in takes for f in fields(p)))
    for operand in operands(expected.where) if expected.where is not None else ():
        if isinstance(operand, Field) and operand.name not in known:
            work.report(
                UNKNOWN_FIELD, f"what {node} writes has no field {operand.name!r}", operand.span,
                help=work.nearest(operand.name, known) or f"its fields are {', '.join(known)}",
            )  # fmt: skip


def condition_fits(work: Work, condition: Expression, payloads: tuple[type[Payload], ...], what: str) -> None:
    """Report a condition that none of ``payloads`` can fulfil: unknown fields, types that do not compare."""
    wanted = dict.fromkeys(o for o in operands(condition) if isinstance(o, Field))
    fitting = [p for p in payloads if all(o.name in fields(p) for o in wanted)]
    if fitting:
        found = [problem(condition, p) for p in fitting]
        if found[0] is not None and all(found):
            span, message = found[0]
            work.report(GUARD_TYPES, message, span, help=_FIELDS)
        return
    told: set[str] = set()
    for operand in wanted:
        if operand.name in told or any(operand.name in fields(p) for p in payloads):
            continue
        told.add(operand.name)
        known = tuple(dict.fromkeys(f for p in payloads for f in fields(p)))
        work.report(
            UNKNOWN_FIELD, f"{_some(payloads)} has no field {operand.name!r}", operand.span,
            help=work.nearest(operand.name, known) or (f"its fields are {', '.join(known)}" if known else ""),
            label=f"{what} is {_some(payloads)}",
        )  # fmt: skip
    if not told:
        work.report(
            UNKNOWN_FIELD, f"no kind has all the fields of the condition: {what} is {_some(payloads)}", condition.span,
            help="write one condition for each kind",
        )  # fmt: skip


def _some(payloads: tuple[type[Payload], ...]) -> str:
    return kinds(payloads[:6]) + (", …" if len(payloads) > 6 else "")
