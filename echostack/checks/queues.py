"""Queues that lose what may not be lost, queues that hold up live audio, and events that would arrive twice."""

from __future__ import annotations

from echostack.checks.codes import BLOCKS_LIVE_AUDIO, DUPLICATE_EDGE, MAY_BE_LOST
from echostack.checks.guards import shape
from echostack.checks.model import ENGINE
from echostack.checks.work import Route, Work, kinds
from echostack.core.diagnostic import Label
from echostack.core.kinds import Overflow
from echostack.graph import NodeRole
from echostack.registry import Form

_DROPPING = (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.LATEST)
FRAME_MS = 20.0
"""How often live audio brings a frame."""


def check(work: Work) -> None:
    """What a rule's own `queue` and `overflow` mean for what the rule carries."""
    for route in work.routes:
        if route.overflow in _DROPPING and not route.cycle:
            precious = [p for p in route.payloads if not p.__kind__.lossy]
            if precious:
                work.report(
                    MAY_BE_LOST,
                    f"`overflow: {route.overflow}` may drop {kinds(precious)} on the way to {route.target}",
                    route.place, notes=("events of this kind are words and facts: nothing brings a lost one back",),
                    help="use `overflow: block`, with a longer queue where bursts are expected",
                )  # fmt: skip
        if route.overflow is Overflow.BLOCK:
            _blocks(work, route)


def _blocks(work: Work, route: Route) -> None:
    source = work.nodes.get(route.source)
    if source is None or source.node.role is not NodeRole.INGRESS:
        return
    if not any(p.__kind__.audio for p in route.payloads):
        return
    for spec in work.specs(route.target):
        takes_ms = max(spec.latency.p50, spec.blocking_ms)
        if spec.form is not Form.STREAM and takes_ms > FRAME_MS:
            work.report(
                BLOCKS_LIVE_AUDIO,
                f"{route.target} takes about {takes_ms:g} ms for a frame, and `overflow: block` makes the caller's "
                "audio wait for it", route.place,
                notes=(f"a frame comes every {FRAME_MS:g} ms: the call falls behind, and stays behind",),
                help="leave `overflow` out: audio then drops its oldest frames",
            )  # fmt: skip
            return


def unique(work: Work) -> None:
    """Take out of every route what an earlier one to the same node carries already, with a warning.

    A route with a guard of its own stays as it is: whether both pass an event shows only when it is there.
    """
    earlier: dict[tuple[str, str], list[Route]] = {}
    kept = []
    for route in work.routes:
        others = earlier.setdefault((route.source, route.target), [])
        for other in others:
            if not _covers(other, route):
                continue
            both = tuple(p for p in route.payloads if p in other.payloads)
            same = shape(other.guard) == shape(route.guard)
            if not both or not (same or other.guard is None):
                continue
            through = f", through {route.pattern} too" if route.pattern else ""
            if same:
                message = f"{route.target} would get {kinds(both)} from {route.source} twice{through}"
                route.payloads = tuple(p for p in route.payloads if p not in both)
                help_ = "the second is left out; remove one of the two rules"
            else:
                message = f"{route.target} gets {kinds(both)} from {route.source} twice{through} where this guard holds"
                help_ = "guard the other rule as well, for instance with `else`"
            work.report(
                DUPLICATE_EDGE, message, route.place, help=help_,
                related=(Label(other.place.span, "it comes this way already"),) if other.place is not None else (),
            )  # fmt: skip
        others.append(route)
        if route.payloads:
            kept.append(route)
    work.routes = kept


def _covers(one: Route, other: Route) -> bool:
    """Whether ``one`` sees every event that ``other`` sees: without a port a route takes what leaves by any."""
    if one.source == ENGINE:
        # The engine's events of one kind have many sources: `error.a.timeout` is not `error.b.timeout`.
        return one.pattern == other.pattern
    return not one.port or one.port == other.port
