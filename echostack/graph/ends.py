"""From an endpoint in a rule to the node that it stands for, made when it is first named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from echostack.core.diagnostic import Code, Findings, at, did_you_mean
from echostack.core.events import EventPattern
from echostack.core.span import Provenance, Span
from echostack.graph.codes import (
    BAD_INTERFACE,
    BAD_MEMBER,
    IMPORT_WITHOUT_PORT,
    NO_INTERFACE,
    REPEATED_MEMBER,
    STRAY_PORT,
    TWO_CHOICES,
    UNDECLARED,
    UNKNOWN_INTERFACE_PORT,
    WRONG_PLACE,
)  # fmt: skip
from echostack.graph.endpoints import TRANSPORT_STAGES, Endpoint, EndpointForm, Misfit, classify
from echostack.graph.frame import Frame, merge
from echostack.graph.model import Node, NodeRole
from echostack.language.ast import Choice, Ref
from echostack.language.data import Mapping_
from echostack.language.document import InterfaceDecl, NodePolicy

_ROLES = {
    EndpointForm.INGRESS: NodeRole.INGRESS,
    EndpointForm.EGRESS: NodeRole.EGRESS,
    EndpointForm.PATTERN: NodeRole.PATTERN,
    EndpointForm.PLAYBOOK: NodeRole.PLAYBOOK,
    EndpointForm.NODE: NodeRole.CONNECTOR,
}
_PLACES = {
    EndpointForm.INGRESS: ("a transport's ingress", "begin", "audio and messages come in there, nothing goes to it"),
    EndpointForm.PATTERN: ("an event pattern", "begin", "to feed a node, name the node"),
    EndpointForm.EGRESS: ("a transport's egress", "end", "what reaches it has left the graph"),
    EndpointForm.PLAYBOOK: ("a playbook", "end", "a playbook takes the call over; its own file says what follows"),
}
_SUGGESTIONS = 50
"""For how many names of one graph a nearest name is looked for: more would make a broken large file slow."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of an edge to be: the node, the output port or transport kind named there, and the place."""

    node: str
    place: Provenance
    port: str = ""
    kind: str = ""


@dataclass(slots=True)
class _Draft:
    node: Node
    places: list[Provenance] = field(default_factory=list)


class Ends:
    """Resolves endpoints, and keeps the nodes that they named, in the order of their first naming."""

    def __init__(self, findings: Findings, everything: list[Frame]) -> None:
        self.findings = findings
        self._drafts: dict[str, _Draft] = {}
        self._choice_of: dict[str, str] = {}
        self._frames = everything
        self._suggested = 0
        self._transports: dict[str, Frame] = {}
        for frame in everything:
            for name in frame.document.connectors:
                if name.split(".", 1)[0] in TRANSPORT_STAGES:
                    self._transports.setdefault(name, frame)

    def resolve(self, frame: Frame, choice: Choice, *, head: bool, tail: bool) -> tuple[End | None, End | None]:
        """``choice`` as the source of the arrow after it and as the target of the one before it.

        Both are None when it is no endpoint, which has then been reported.
        """
        if len(choice.members) > 1:
            end = self._choice(frame, choice)
            return end, end
        ref = choice.members[0]
        endpoint = self._classified(frame, ref)
        if endpoint is None:
            return None, None
        if (endpoint.head_only and not head) or (endpoint.tail_only and not tail):
            what, where, why = _PLACES[endpoint.form]
            self._report(WRONG_PLACE, f"{ref.name!r} is {what}: a rule can only {where} with it", frame, ref.span, why)
            return None, None
        if endpoint.form is EndpointForm.NODE:
            if endpoint.name in frame.document.imports and endpoint.name not in frame.document.connectors:
                return self._import(frame, ref, head=head, tail=tail)
            if not self._known(frame, ref):
                return None, None
        if ref.port and (endpoint.form is not EndpointForm.NODE or (tail and not head)):
            if endpoint.form is EndpointForm.NODE:
                why = f"a port says by which way an event leaves a node: {ref} -> ..."
                self._report(STRAY_PORT, f"nothing follows the port {ref.port!r} of {ref.name!r}", frame, ref.span, why)
            else:
                what = _PLACES[endpoint.form][0]
                self._report(
                    STRAY_PORT, f"{what} has no ports", frame, ref.span, f"write {ref.name} without :{ref.port}"
                )
            return None, None
        node = self._node(frame, endpoint, ref.span)
        place = frame.at(ref.span)
        return End(node, place, ref.port, endpoint.kind), End(node, place, "", endpoint.kind)

    def finished(self) -> list[Node]:
        return [replace(draft.node, places=tuple(draft.places)) for draft in self._drafts.values()]

    def declared(self) -> dict[str, Provenance]:
        """Everything declared under `connectors:`, by the id that its node has or would have."""
        return {
            self._id(frame, name): frame.at(decl.span)
            for frame in reversed(self._frames)
            for name, decl in frame.document.connectors.items()
        }

    def interface(self, frame: Frame) -> InterfaceDecl | None:
        """The interface of ``frame`` with the ids of its nodes; one that names no node is reported and left out."""
        decl = frame.document.interface
        if decl is None:
            return None

        def resolved(ports: Mapping[str, tuple[str, Span]], inwards: bool) -> dict[str, tuple[str, Span]]:
            found = {}
            for port, (text, span) in ports.items():
                end = self._inside(frame, text, frame.at(span), inwards)
                if end is not None:
                    found[port] = (f"{end.node}:{end.port}" if end.port else end.node, span)
            return found

        return replace(decl, inputs=resolved(decl.inputs, True), outputs=resolved(decl.outputs, False))

    # -- nodes

    def _node(self, frame: Frame, endpoint: Endpoint, span: Span | None) -> str:
        transport = endpoint.form in (EndpointForm.INGRESS, EndpointForm.EGRESS)
        home = self._transports.get(endpoint.name, frame) if transport else frame
        identity = self._id(frame, endpoint.name)
        draft = self._drafts.get(identity)
        if draft is None:
            draft = self._drafts[identity] = self._draft(home, endpoint, identity, "" if transport else frame.group)
        if span is not None:
            draft.places.append(frame.at(span))
        return identity

    def _draft(self, frame: Frame, endpoint: Endpoint, identity: str, group: str) -> _Draft:
        role = _ROLES[endpoint.form]
        parts = endpoint.name.split(".")
        if role is NodeRole.PATTERN:
            return _Draft(Node(identity, role, pattern=EventPattern(tuple(parts)), group=group))
        if role is NodeRole.PLAYBOOK:
            playbook = frame.document.playbooks.get(parts[0])
            return _Draft(Node(identity, role, source=parts[0], playbook=playbook, group=group))
        decl = frame.declaration(endpoint.name)
        over = frame.overrides.get(endpoint.name)
        settings: Mapping_ | None = decl.settings if decl is not None else None
        if over is not None:
            settings = merge(settings, over)
        # An alias of an alias has been reported; behind it, the connector that was meant keeps the checks going.
        behind = frame.declaration(decl.use) if decl is not None else None
        node = Node(
            identity,
            role,
            use=behind.use if behind is not None else decl.use if decl is not None else endpoint.name,
            source=parts[-1] if role is not NodeRole.CONNECTOR else parts[0],
            settings=settings,
            policy=decl.policy if decl is not None else NodePolicy(),
            group=group,
        )
        return _Draft(node, [frame.at(decl.span)] if decl is not None else [])

    def _choice(self, frame: Frame, choice: Choice) -> End | None:
        members: list[str] = []
        for ref in choice.members:
            endpoint = self._classified(frame, ref)
            if endpoint is None:
                continue
            imported = len(ref.path) == 1 and ref.name in frame.document.imports
            if endpoint.form is not EndpointForm.NODE or imported or ref.port:
                self._report(
                    BAD_MEMBER, f"{ref} cannot stand in a choice", frame, ref.span,
                    "`??` chooses between connectors, named without ports",
                )  # fmt: skip
            elif self._known(frame, ref):
                members.append(self._node(frame, endpoint, ref.span))
        if len(members) < len(choice.members):
            return None
        identity = " ?? ".join(members)
        if len(set(members)) < len(members):
            self._report(
                REPEATED_MEMBER, f"the choice {choice} names one member twice", frame, choice.span,
                "name each member once, the preferred one first",
            )  # fmt: skip
            return None
        for member in members:
            other = self._choice_of.setdefault(member, identity)
            if other != identity:
                self._report(
                    TWO_CHOICES, f"{member} is a member of two choices: {other}, and {identity}", frame, choice.span,
                    f"write the same choice in both places; or give {member} a second name with `use:`",
                )  # fmt: skip
                return None
        draft = self._drafts.get(identity)
        if draft is None:
            node = Node(identity, NodeRole.CHOICE, members=tuple(members), group=frame.group)
            draft = self._drafts[identity] = _Draft(node)
        draft.places.append(frame.at(choice.span))
        return End(identity, frame.at(choice.span))

    # -- imports

    def _import(self, frame: Frame, ref: Ref, *, head: bool, tail: bool) -> tuple[End | None, End | None]:
        name = ref.name
        if not ref.port:
            self._report(
                IMPORT_WITHOUT_PORT, f"{name!r} is an import: which port of its interface is meant?", frame, ref.span,
                f"write {name}:in where something goes into it, {name}:out where something comes out",
            )  # fmt: skip
            return None, None
        child = frame.imports[name]
        if child is None:  # the import itself has been reported
            return None, None
        place = frame.at(ref.span)
        target = None if head else self._port(frame, child, ref, place, inwards=True)
        source = None if tail else self._port(frame, child, ref, place, inwards=False)
        return source, target

    def _port(self, frame: Frame, child: Frame, ref: Ref, place: Provenance, *, inwards: bool) -> End | None:
        interface = child.document.interface
        file = child.document.source.file
        if interface is None:
            self._report(
                NO_INTERFACE, f"{file} cannot be used as {ref}: it declares no interface", frame, ref.span,
                "add to it, for instance, interface: {in: <node>, out: <node>}",
            )  # fmt: skip
            return None
        ports = interface.inputs if inwards else interface.outputs
        if ref.port not in ports:
            way = "into" if inwards else "out of"
            known = ", ".join(f"{ref.name}:{p}" for p in ports)
            self._report(
                UNKNOWN_INTERFACE_PORT, f"{file} has no port {ref.port!r} that leads {way} it", frame, ref.span,
                f"what leads {way} it is {known}" if known else f"nothing leads {way} it",
            )  # fmt: skip
            return None
        text, span = ports[ref.port]
        end = self._inside(child, text, child.at(span), inwards)
        if end is None:
            return None
        self._drafts[end.node].places.append(place)
        return replace(end, place=place)

    def _inside(self, frame: Frame, text: str, place: Provenance, inwards: bool) -> End | None:
        """The node of ``frame`` that an entry of its interface names, made if need be."""
        name, _, port = text.partition(":")
        path = tuple(name.split("."))
        ref = Ref(path, port, place.span)
        if name in frame.document.imports and port:
            child = frame.imports[name]
            return None if child is None else self._port(frame, child, ref, place, inwards=inwards)
        endpoint = classify(ref) if all(path) else None
        fits = isinstance(endpoint, Endpoint) and endpoint.form is EndpointForm.NODE and name in frame.names
        if not fits or (port and inwards):
            near = did_you_mean(text, frame.names)
            self.findings.add(
                at(BAD_INTERFACE, f"the interface names {text!r}, which is no node of this file", place,
                   help=f"did you mean {' or '.join(repr(n) for n in near)}?" if near
                   else "an interface names a node of the pipeline")
            )  # fmt: skip
            return None
        assert isinstance(endpoint, Endpoint)
        return End(self._node(frame, endpoint, None), place, port)

    # -- names

    def _id(self, frame: Frame, name: str) -> str:
        return name if name.split(".", 1)[0] in TRANSPORT_STAGES else f"{frame.prefix}{name}"

    def _classified(self, frame: Frame, ref: Ref) -> Endpoint | None:
        found = classify(ref)
        if isinstance(found, Misfit):
            self._report(found.code, found.message, frame, ref.span, found.help)
            return None
        return found

    def _known(self, frame: Frame, ref: Ref) -> bool:
        """Whether a node's name can be one: dotted, or declared."""
        if len(ref.path) == 2:
            child = frame.imports.get(ref.path[0])
            interface = child.document.interface if child is not None else None
            # An import may be named like a vendor (`transcript.log` beside an import `transcript`): only a port counts.
            ports = {*interface.inputs, *interface.outputs} if interface is not None else set()
            if ref.path[1] in ports and ref.name not in frame.document.connectors:
                first, second = ref.path
                self._report(
                    IMPORT_WITHOUT_PORT, f"{first!r} is an import, and {ref.name!r} is no port of it", frame, ref.span,
                    f"a port follows a colon: {first}:{second}",
                )  # fmt: skip
                return False
            return True
        if ref.name in frame.document.connectors:
            return True
        self._suggested += 1
        known = [*frame.document.connectors, *frame.document.imports]
        near = did_you_mean(ref.name, known) if self._suggested <= _SUGGESTIONS else ()
        self._report(
            UNDECLARED, f"{ref.name!r} is not declared under `connectors:`", frame, ref.span,
            f"did you mean {' or '.join(repr(n) for n in near)}?" if near
            else f"declare it, such as {ref.name}: {{use: vendor.role}}; or name the connector itself: vendor.role",
        )  # fmt: skip
        return False

    def _report(self, code: Code, message: str, frame: Frame, span: Span, help_: str) -> None:
        self.findings.add(at(code, message, frame.at(span), help=help_))
