"""Scenarios against the graph that they test: every name is one of its own, every event can happen, and what the
caller and the scripted connectors give is what they can give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from echostack.checks import scripted
from echostack.checks.codes import CANNOT_CALL, NO_PRODUCER, NO_SUCH_PART, UNKNOWN_KIND
from echostack.checks.model import CheckedGraph
from echostack.checks.patterns import Events
from echostack.checks.settings import validate
from echostack.checks.work import Resolved, Route, Work, kinds
from echostack.core.diagnostic import Findings
from echostack.core.events import STAGES
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, Dtmf
from echostack.core.span import Span
from echostack.graph.frame import merge
from echostack.language.data import Mapping_
from echostack.language.scenario import (
    Await,
    Caller,
    Drops,
    Ends,
    EventMatch,
    Expectation,
    InOrder,
    Interrupt,
    Keys,
    Never,
    Noise,
    Say,
    Scenario,
    Sees,
    Send,
    Takes,
    Written,
)
from echostack.registry import Registry

TIMES = ("voice_to_voice", "turn_to_audio")
"""What `takes` may speak of besides nodes."""


def check_scenarios(
    checked: CheckedGraph, scenarios: Iterable[Scenario], findings: Findings, registry: Registry | None = None
) -> None:
    """Add everything that keeps ``scenarios`` from being played on ``checked``.

    ``registry`` only serves to tell a kind that exists elsewhere from one that does not exist at all.
    """
    check = _Check(checked, findings, registry or Registry())
    for scenario in scenarios:
        check.scenario(scenario)


class _Check:
    """What is known of one graph, for any number of scenarios."""

    def __init__(self, checked: CheckedGraph, findings: Findings, registry: Registry) -> None:
        self._work = Work.of(checked.graph, registry, findings, {})
        self._work.nodes = {
            n.id: Resolved(n.node, n.spec, n.settings, n.missing_env, inserted=n.inserted, presumed=n.presumed)
            for n in checked.nodes.values()
        }  # fmt: skip
        self._work.routes = [
            Route(e.source, e.target, e.payloads, None, e.place, e.port, pattern=e.pattern, rule=e.rule)
            for e in checked.edges
        ]
        self._nodes = [n.id for n in checked.nodes.values() if n.spec is not None]
        self._edges = [e.id for e in checked.edges]
        self._events = Events(self._work)
        self._lines = {
            n.id: n.spec.produces for n in checked.nodes.values() if n.spec is not None and n.spec.role == "ingress"
        }

    def scenario(self, scenario: Scenario) -> None:
        """Everything that is wrong with one scenario."""
        given = dict(scenario.env)
        for node, value in scenario.settings.items():
            span = value.span
            if self._is_node(node, span) and isinstance(value, Mapping_):
                self._settings(node, value, given)
        for node, script in scenario.connectors.items():
            if self._is_node(node, script.span):
                scripted.check(self._work, self._work.nodes[node], script, given)
        self._caller(scenario.caller, given, scenario.span)
        for expectation in scenario.expect:
            self._expectation(expectation)

    # -- names

    def _is_node(self, name: str, span: Span) -> bool:
        if name in self._nodes:
            return True
        self._no_part(f"the graph has no node {name!r}", name, self._nodes, span, "its nodes are")
        return False

    def _no_part(self, message: str, name: str, known: list[str], span: Span, there_are: str) -> None:
        shown = f"{there_are} {', '.join(known[:12])}{', …' if len(known) > 12 else ''}" if known else ""
        self._work.report(NO_SUCH_PART, message, span, help=self._work.nearest(name, known) or shown)

    def _settings(self, name: str, over: Mapping_, given: dict[str, str]) -> None:
        known = self._work.nodes[name]
        work = replace(self._work, env=given)
        validate(work, Resolved(replace(known.node, settings=merge(known.node.settings, over)), known.spec))

    # -- the caller

    def _caller(self, caller: Caller, given: dict[str, str], span: Span) -> None:
        lines = self._lines
        if caller.ingress:
            lines = self._named(caller.ingress)
            if not lines:
                known = [n.removeprefix("ingress.") for n in self._lines]
                self._no_part(
                    f"the graph has no ingress {caller.ingress!r}", caller.ingress, known, span, "its transports are"
                )
        speaks = next((s for s in caller.steps if isinstance(s, Say | Interrupt | Noise)), None)
        if speaks is not None and lines and not any(AudioFrame in made for made in lines.values()):
            self._cannot(lines, AudioFrame, "the caller speaks", speaks.span)
        for step in caller.steps:
            match step:
                case Await():
                    self._event(step.event)
                case Keys():
                    if not any(Dtmf in made for made in self._lines.values()):
                        self._cannot(self._lines, Dtmf, "the caller presses keys", step.span)
                case Send():
                    self._send(step, given)
                case _:
                    pass

    def _named(self, transport: str) -> dict[str, tuple[type[Payload], ...]]:
        return {n: made for n, made in self._lines.items() if transport in (n, n.removeprefix("ingress."))}

    def _cannot(
        self, lines: dict[str, tuple[type[Payload], ...]], kind: type[Payload], what: str, span: Span
    ) -> None:  # fmt: skip
        has = [f"{n} makes {kinds(made)}" for n, made in lines.items()]
        self._work.report(
            CANNOT_CALL, f"{what}, and no ingress of this graph makes {kind.__kind__.name}", span, notes=has,
            help="add an ingress that does, or remove the step",
        )  # fmt: skip

    def _send(self, step: Send, given: dict[str, str]) -> None:
        lines = self._lines if step.source is None else self._named(step.source)
        if not lines:
            known = [n.removeprefix("ingress.") for n in self._lines]
            name = step.source or ""
            self._no_part(f"the graph has no ingress {name!r}", name, known, step.span, "its transports are")
            return
        kind = next((p for made in lines.values() for p in made if p.__kind__.name == step.kind), None)
        if kind is None:
            made = tuple(dict.fromkeys(p for one in lines.values() for p in one))
            who = " and ".join(lines) if len(lines) < 4 else "no ingress"
            message = f"{who} {'make' if 1 < len(lines) < 4 else 'makes'} no {step.kind}"
            help_ = self._work.nearest(step.kind, [p.__kind__.name for p in made]) or f"what comes in is {kinds(made)}"
            self._work.report(CANNOT_CALL, message, step.span, help=help_)
            return
        scripted.fields_fit(self._work, kind, step.fields, step.span, given)

    # -- events and expectations

    def _expectation(self, expected: Expectation) -> None:
        match expected:
            case Sees(event=event, after=after, before=before):
                self._all(event, after, before)
            case Never(event=event, after=after):
                self._all(event, after)
            case InOrder(events=events):
                self._all(*events)
            case Written(node=node):
                if self._is_node(node, expected.span):
                    scripted.written(self._work, self._work.nodes[node], expected)
            case Takes(of=of) if of not in TIMES:
                known = [*TIMES, *self._nodes]
                if of not in known:
                    self._no_part(f"the graph has no node {of!r}", of, known, expected.span, "it takes")
            case Drops(edge=edge) if edge and not any(edge in e for e in self._edges):
                self._no_part(f"no edge is called like {edge!r}", edge, self._edges, expected.span, "the edges are")
            case Ends(late=late) if late:
                for node in late:
                    self._is_node(node, expected.span)
            case _:
                pass

    def _all(self, *events: EventMatch | None) -> None:
        for event in events:
            if event is not None:
                self._event(event)

    def _event(self, event: EventMatch) -> None:
        found = self._events.matching(event.pattern)
        matched = tuple(dict.fromkeys(p for payloads in found.values() for p in payloads))
        if not matched:
            self._no_event(event)
            return
        seen = tuple(p for p in matched if not p.__kind__.audio)
        if not seen:
            self._work.report(
                NO_PRODUCER, f"{event.pattern} matches audio only, which a scenario does not see", event.span,
                help="expect what was `heard`, or control.*.playout_started",
            )  # fmt: skip
        elif event.where is not None:
            scripted.condition_fits(self._work, event.where, seen, f"what {event.pattern} matches")

    def _no_event(self, event: EventMatch) -> None:
        stage, source = event.pattern.parts[:2]
        kind = ".".join(event.pattern.parts[2:])
        names = list(self._events.names)
        known = {*self._work.every_kind(), *(n.split(".", 2)[2] for n in names)}
        if stage not in (*STAGES, "*"):
            help_ = self._work.nearest(stage, STAGES) or f"the stages are {', '.join(STAGES)}"
            self._work.report(NO_PRODUCER, f"no event has the stage {stage!r}", event.span, help=help_)
        elif "*" not in kind and kind not in known:
            here = [n.split(".", 2)[2] for n in names]
            self._work.report(
                UNKNOWN_KIND, f"there is no kind {kind!r}", event.span,
                help=self._work.nearest(kind, [*here, *known])
                or "`echostack connectors` shows what each connector makes",
            )  # fmt: skip
        else:
            like = [n for n in names if n.split(".", 2)[2] == kind] or [n for n in names if n.split(".")[1] == source]
            shown = f"what can happen is {', '.join(like[:5])}{', …' if len(like) > 5 else ''}" if like else ""
            self._work.report(
                NO_PRODUCER, f"no event of this graph matches {event.pattern}", event.span,
                help=self._work.nearest(str(event.pattern), names)
                or shown
                or "`echostack explain` shows what a node makes",
            )  # fmt: skip
