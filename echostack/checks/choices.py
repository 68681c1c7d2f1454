"""The members of a choice `a ?? b` must be able to stand in for each other."""

from __future__ import annotations

from echostack.checks.carry import alternatives, choose, takes
from echostack.checks.codes import FALLBACK_DIFFERS, NO_FALLBACK
from echostack.checks.work import Payloads, Route, Work, kinds
from echostack.core.kinds import Payload
from echostack.graph import NodeRole
from echostack.registry import Form


def check(work: Work) -> None:
    """Every member must make something of what each arrow from the choice carries, and share what it takes."""
    leaving: dict[str, list[Route]] = {}
    for route in work.routes:
        leaving.setdefault(route.source, []).append(route)
    for resolved in work.of_role(NodeRole.CHOICE):
        choice = resolved.node.id
        if not work.known(choice) or not _forms(work, choice):
            continue
        _inputs(work, choice)
        for route in leaving.get(choice, ()):
            _outputs(work, choice, route)


def _forms(work: Work, choice: str) -> bool:
    """Whether all members run alike: those that run as long as the call cannot be asked for one answer, and those that
    are called once an event cannot take up a stream. How the latter answer, at once, later or in pieces, is all one."""
    specs = dict(zip(work.members(choice), work.specs(choice), strict=True))
    streams = [name for name, spec in specs.items() if spec.form is Form.STREAM]
    others = [name for name in specs if name not in streams]
    if not streams or not others:
        return True
    work.report(
        NO_FALLBACK, f"the members of {choice} run in different ways", work.nodes[choice].node.place,
        notes=(f"{', '.join(streams)} runs as long as the call; {', '.join(others)} is called once an event",),
        help="choose members that run alike; `echostack connectors NAME` shows how one runs",
    )  # fmt: skip
    return False


def _inputs(work: Work, choice: str) -> None:
    members, specs = work.members(choice), work.specs(choice)
    common = takes(work, choice)
    place = work.nodes[choice].node.place
    each = "; ".join(f"{m} takes {kinds(s.consumes)}" for m, s in zip(members, specs, strict=True))
    if not common and any(s.consumes for s in specs):
        work.report(
            NO_FALLBACK, f"the members of {choice} take nothing in common", place, notes=(each,),
            help="a choice is fed once, whichever member works: choose connectors that take the same kind",
        )  # fmt: skip
        return
    groups = [set(g) for g in alternatives(work, choice)]

    def covered(payload: type[Payload]) -> bool:
        return payload in common or any(payload in g and any(c in g for c in common) for g in groups)

    # A control event beside the media (the caller fell silent) helps one member; the others do without it.
    if not all(covered(p) for s in specs for p in s.consumes if not p.__kind__.control):
        work.report(
            FALLBACK_DIFFERS, f"the members of {choice} take different kinds", place, notes=(each,),
            help=f"it is fed only what all of them take: {kinds(common)}",
        )  # fmt: skip


def _outputs(work: Work, choice: str, route: Route) -> None:
    members, specs = work.members(choice), work.specs(choice)
    if route.target not in work.nodes:
        return
    groups = alternatives(work, route.target)

    def group_of(payload: type[Payload]) -> object:
        return next((i for i, g in enumerate(groups) if payload in g), payload)

    given: list[Payloads] = [
        choose([p for p in route.payloads if p in (*s.produces, *s.forwards)], route.payloads, groups) for s in specs
    ]
    place = work.nodes[choice].node.place
    most = {group_of(p): p for p in route.payloads}
    for member, gives in zip(members, given, strict=True):
        if not gives:
            work.report(
                NO_FALLBACK, f"{member} cannot stand in for the other members of {choice}", place,
                notes=(f"{route.target} is given {kinds(route.payloads)}, and {member} makes none of it",),
                help="choose a connector that makes the same kind",
            )  # fmt: skip
            continue
        lacking = [p for g, p in most.items() if g not in {group_of(x) for x in gives}]
        if lacking:
            work.report(
                FALLBACK_DIFFERS, f"while {member} stands in, {route.target} gets no {kinds(lacking)}", place,
                notes=(f"the other members of {choice} make it, {member} does not",),
            )  # fmt: skip
