"""The shapes in which a connector may answer, read as what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Usage
from echostack.registry import Forward, Out


def says(answer: Any) -> bool:
    """Whether ``answer`` answers anything: what a provider counted is told beside the answer, before it or after."""
    payload = answer.payload if isinstance(answer, Out) else answer
    return payload is not None and not isinstance(payload, Usage)


def outputs(answer: Any, cause: Event) -> Sequence[tuple[Payload | None, Event, str]]:
    """A connector's answer as (payload or None for a Forward, cause, port), in order.

    Raises TypeError for something that is not an output; a connector's mistake is reported, never passed on.
    """
    if isinstance(answer, Payload):
        return ((answer, cause, ""),)
    if isinstance(answer, Out):
        return ((answer.payload, answer.cause or cause, answer.port),)
    if isinstance(answer, Forward):
        return ((None, cause, answer.port),)
    if answer is None:
        return ()
    if isinstance(answer, str | bytes | dict) or not hasattr(answer, "__iter__"):
        raise TypeError(f"a connector answers with payloads, Out or Forward, not with {type(answer).__name__}")
    return [one for item in answer for one in outputs(item, cause)]
