"""Barge-in without asking: a voice-activity tap at the caller's audio, and the scope that an interruption silences.

The reply scope holds every node from which a speaking egress can be reached, except those on the caller's side:
ingresses, and whatever takes the caller's audio (recognisers, voice activity).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from echostack.checks.carry import takes
from echostack.checks.codes import LOW_MIN_SPEECH, NEVER_INTERRUPTED, NO_BARGE_IN, NO_SUCH_TRIGGER, NO_VOICE_ACTIVITY
from echostack.checks.connectors import equip
from echostack.checks.model import CheckedScope
from echostack.checks.patterns import Events
from echostack.checks.work import Resolved, Route, Work, kinds, reached
from echostack.core.events import EventPattern
from echostack.core.payloads import AudioFrame, SpeechStarted
from echostack.core.span import Provenance
from echostack.graph import Node, NodeRole
from echostack.registry import ConnectorSpec, Form

REPLY = "reply"
_HAIR: Final = 1e-9


def arrange(work: Work) -> str:
    """Put the tap in where it is needed; the pattern that suspends, empty when nothing can interrupt."""
    decl = work.graph.barge_in
    heard = _caller_audio(work)
    speakers = speaking(work)
    if not heard or not speakers:
        if decl.enabled and decl.span is not None and work.whole:
            lacks = "no caller's audio comes in" if not heard else "no speech goes out"
            work.report(
                NO_BARGE_IN, f"`barge_in:` has no effect here: {lacks}", decl.span,
                help="remove it, or write `barge_in: off`",
            )  # fmt: skip
        return ""
    if not decl.enabled:
        work.report(
            NEVER_INTERRUPTED, f"what reaches {', '.join(speakers)} can never be interrupted", decl.span,
            notes=("`barge_in: off` lets the agent talk on while the caller speaks",),
            help="remove `barge_in: off`; to protect single messages, make those uninterruptible",
        )  # fmt: skip
        return ""
    if decl.on:
        return _named(work, decl.on, heard)
    audible = _reached(work, heard)
    for resolved in work.nodes.values():
        if (
            resolved.spec is not None
            and SpeechStarted in resolved.spec.produces
            and work.end(resolved.node.id) in audible
        ):
            return _started(resolved.node.source)
    return _started(tap.node.source) if (tap := _tap(work, heard)) is not None else ""


def long_enough(work: Work, on: str) -> None:
    """Warn where `min_speech` tells nothing apart: a detector says that speech has stopped only after its hangover, so
    to the engine even a click has lasted that long."""
    decl = work.graph.barge_in
    if not on or decl.min_words:
        return
    pattern = EventPattern.parse(on)
    for resolved in work.nodes.values():
        spec = resolved.spec
        if spec is None or resolved.known is None or SpeechStarted not in spec.produces:
            continue
        if not pattern.matches(_started(resolved.node.source)):
            continue
        hangover = _hangover(spec, resolved.known)
        if hangover and decl.min_speech <= hangover + _HAIR:
            least, most = f"{decl.min_speech * 1000:g} ms", f"{hangover * 1000:g} ms"
            work.report(
                LOW_MIN_SPEECH, f"every sound interrupts: `min_speech` is {least}, and {resolved.node.id} waits {most} "
                "of silence before it says that speech has stopped", decl.span or resolved.node.place,
                notes=(f"a cough of 100 ms counts as {hangover * 1000 + 100:g} ms of speech",),
                help=f"write more than {most} plus what a cough may last, such as `min_speech: "
                f"{round(hangover * 1000 + 200):g}ms`, or `min_words: 1`",
            )  # fmt: skip
            return


def _hangover(spec: ConnectorSpec, settings: Any) -> float:
    try:
        return spec.hangover(settings)
    except Exception:  # noqa: BLE001 - a connector's own code runs here; one that cannot tell is not warned about
        return 0.0


def speaking(work: Work) -> list[str]:
    """The egresses that the engine speaks through; one that is fed nothing but data is none."""
    fed: dict[str, bool] = {}
    for route in work.routes:
        fed[route.target] = fed.get(route.target, False) or any(p.__kind__.audio for p in route.payloads)
    sinks = [r.node.id for r in work.nodes.values() if r.spec is not None and r.spec.form is Form.SINK]
    return [name for name in sinks if fed.get(name, True)]


def scope(work: Work) -> CheckedScope:
    """The reply scope, its nodes in graph order; of a choice the members too."""
    egresses = speaking(work)
    arriving: dict[str, list[str]] = {}
    for route in work.routes:
        # What only gives an egress data has no part in what is said.
        if route.target not in egresses or any(p.__kind__.audio for p in route.payloads):
            arriving.setdefault(route.target, []).append(route.source)
    found = [n for n in reached(egresses, arriving) if n in work.nodes]  # the engine is none
    inside = {n for n in found if n in egresses or not _callers_side(work, n)}
    nodes = tuple(n for n in work.nodes if work.end(n) in inside)
    return CheckedScope(1, REPLY, nodes, tuple(egresses))


def _callers_side(work: Work, node: str) -> bool:
    if work.nodes[node].node.role is NodeRole.INGRESS:
        return True
    return any(p.__kind__.base == "audio_frame" for p in takes(work, node))


def _caller_audio(work: Work) -> list[str]:
    """The ingresses whose audio some rule takes."""
    return list(
        dict.fromkeys(
            r.source
            for r in work.routes
            if r.source in work.nodes
            and work.nodes[r.source].node.role is NodeRole.INGRESS
            and AudioFrame in r.payloads
        )
    )


def _reached(work: Work, starts: Iterable[str]) -> set[str]:
    leaving: dict[str, list[str]] = {}
    for route in work.routes:
        leaving.setdefault(route.source, []).append(route.target)
    return reached(starts, leaving)


def _named(work: Work, on: str, heard: list[str]) -> str:
    """The event named under `barge_in.on`, made by a node, or by the tap that is put in for it."""
    decl = work.graph.barge_in
    place = decl.on_span or decl.span
    try:
        pattern = EventPattern.parse(on)
    except ValueError:
        work.report(
            NO_SUCH_TRIGGER, f"`barge_in.on` is not an event pattern: {on!r}", place,
            help="an event is named processing.<source>.<kind>, such as processing.webrtc.speech_started",
        )  # fmt: skip
        return ""
    events = Events(work)
    if events.matching(pattern):
        return on
    source = decl.vad.split(".")[0]
    if pattern.matches(_started(source)):
        return on if _tap(work, heard) is not None else ""
    if work.whole:
        work.report(
            NO_SUCH_TRIGGER, f"no node makes {on}, so nothing could ever interrupt", place,
            help=work.nearest(on, [*events.names, _started(source)])
            or f"remove `on:`, and {_started(source)} is used",
        )  # fmt: skip
    return ""


def _tap(work: Work, heard: list[str]) -> Resolved | None:
    """The voice-activity node fed by every ingress in ``heard``; put in unless the graph has it."""
    decl = work.graph.barge_in
    name, place = decl.vad, decl.span
    resolved = work.nodes.get(name)
    if resolved is None:
        resolved = Resolved(_declared(work, name), inserted=True)
        if resolved.node.use not in work.registry:
            work.report(
                NO_VOICE_ACTIVITY, f"barge-in listens through {resolved.node.use}, which is not known here", place,
                help="install or add that connector, name another with `barge_in: {vad: vendor.vad}`, or write "
                "`barge_in: off`",
            )  # fmt: skip
            return None
        equip(work, resolved)
    spec = resolved.spec
    if spec is None:
        return None
    if AudioFrame not in spec.consumes or SpeechStarted not in spec.produces:
        work.report(
            NO_VOICE_ACTIVITY, f"barge-in cannot listen through {name}: it takes {kinds(spec.consumes)} and "
            f"makes {kinds(spec.produces)}", place,
            help="`barge_in.vad` names a connector that takes audio_frame and makes speech_started",
        )  # fmt: skip
        return None
    work.nodes.setdefault(name, resolved)
    for ingress in heard:
        work.routes.append(Route(ingress, work.end(name), (AudioFrame,), None, work.nodes[ingress].node.place))
    return resolved


def _declared(work: Work, name: str) -> Node:
    """The tap's node, with the settings that the opened file declares for it."""
    source, decl = name.split(".")[0], work.graph.documents[0].connectors.get(name)
    span = decl.span if decl is not None else work.graph.barge_in.span
    places = (Provenance(span),) if span is not None else ()
    if decl is None:
        return Node(name, NodeRole.CONNECTOR, use=name, source=source, places=places)
    return Node(name, NodeRole.CONNECTOR, decl.use, source, decl.settings, decl.policy, places=places)


def _started(source: str) -> str:
    return f"processing.{source}.{SpeechStarted.__kind__.name}"
