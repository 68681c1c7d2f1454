"""Audio formats at the two ends of every route: where they differ, the route converts.

A source whose format is known only at run time (a file's) gets a converter too, which passes on what fits already.
A sink's format is the business of the engine's playout, which converts what it plays.
"""

from __future__ import annotations

from echostack.checks.codes import FALLBACK_FORMATS, WRONG_SETTING
from echostack.checks.work import Resolved, Route, Work
from echostack.core.audio import AudioFormat
from echostack.registry import Form


def convert(work: Work) -> None:
    """Set ``resample`` on every route that carries audio to a node with a format of its own."""
    needs: dict[str, AudioFormat | None] = {}
    for route in work.routes:
        if route.source not in work.nodes or not any(p.__kind__.audio for p in route.payloads):
            continue
        if route.target not in needs:
            needs[route.target] = _needed(work, route)
        needed = needs[route.target]
        if needed is None:
            continue
        if any(_format(work, work.nodes[m], output=True) != needed for m in work.members(route.source)):
            route.resample = needed


def _needed(work: Work, route: Route) -> AudioFormat | None:
    members = [work.nodes[m] for m in work.members(route.target)]
    if any(m.spec is not None and m.spec.form is Form.SINK for m in members):
        return None
    formats = {m.node.id: f for m in members if (f := _format(work, m, output=False)) is not None}
    if len(set(formats.values())) > 1:
        told = ", ".join(f"{name} {format_}" for name, format_ in formats.items())
        work.report(
            FALLBACK_FORMATS, f"the members of {route.target} need different audio: {told}",
            work.nodes[route.target].node.place,
            help="set them to the same rate and number of channels",
        )  # fmt: skip
    return next(iter(formats.values()), None)


def _format(work: Work, resolved: Resolved, *, output: bool) -> AudioFormat | None:
    """The format at one side of a node; None for any, and for one that its settings do not tell yet."""
    spec = resolved.spec
    if spec is None or resolved.known is None:
        return None
    try:
        return (spec.output_format if output else spec.input_format)(resolved.known)
    except Exception as error:  # noqa: BLE001 - a connector's own code runs here
        side = "output" if output else "input"
        # The error's text may quote a setting, and a setting may be a secret: its type has to do.
        work.report(
            WRONG_SETTING,
            f"{spec.name} cannot tell its {side} format from its settings ({type(error).__name__})",
            resolved.node.place,
        )
        return None
