"""The five forms of endpoint, told apart by their parts alone (no registry, no declarations needed)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from echostack.core.diagnostic import Code
from echostack.graph.codes import NO_SUCH_FORM, STRAY_STAR
from echostack.language.ast import Ref

PATTERN_STAGES: Final = ("processing", "control", "error")
TRANSPORT_STAGES: Final = ("ingress", "egress")
PLAYBOOK: Final = "playbook"


class EndpointForm(StrEnum):
    """What an endpoint is: a transport's end, an event pattern, a playbook, or a node."""

    INGRESS = "ingress"
    EGRESS = "egress"
    PATTERN = "pattern"
    PLAYBOOK = "playbook"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint by its form. ``name`` is the identity in its file: ``ingress.file``, ``processing.*.text``,
    ``booker.playbook``, ``deepgram.stt``; ``kind`` what a transport's endpoint names, empty elsewhere."""

    form: EndpointForm
    name: str
    kind: str = ""

    @property
    def head_only(self) -> bool:
        return self.form in (EndpointForm.INGRESS, EndpointForm.PATTERN)

    @property
    def tail_only(self) -> bool:
        return self.form in (EndpointForm.EGRESS, EndpointForm.PLAYBOOK)


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a path is no endpoint."""

    code: Code
    message: str
    help: str


def classify(ref: Ref) -> Endpoint | Misfit:
    """The form of ``ref``, or what is wrong with it."""
    path, name = ref.path, ref.name
    first, count = path[0], len(path)
    if first in PATTERN_STAGES:
        if count in (3, 4):
            return Endpoint(EndpointForm.PATTERN, name)
        return Misfit(
            NO_SUCH_FORM, f"{name!r} is not an event pattern", f"an event is named {first}.<source>.<kind>[.<modifier>]"
        )
    if "*" in path:
        return Misfit(
            STRAY_STAR,
            f"{name!r} has a star, but is not an event pattern",
            "only event patterns take `*`: processing.*.text, error.*.timeout",
        )
    if first in TRANSPORT_STAGES:
        if count in (3, 4):
            return Endpoint(EndpointForm(first), f"{first}.{path[1]}", ".".join(path[2:]))
        kind = "audio_frame" if first == "ingress" else "audio_chunk"
        return Misfit(
            NO_SUCH_FORM,
            f"{name!r} is not a transport's end",
            f"it is named {first}.<transport>.<kind>, such as {first}.{path[1] if count == 2 else 'file'}.{kind}",
        )
    if count == 2 and path[1] == PLAYBOOK:
        return Endpoint(EndpointForm.PLAYBOOK, name)
    if count <= 2:
        return Endpoint(EndpointForm.NODE, name)
    return Misfit(
        NO_SUCH_FORM,
        f"{name!r} has none of the forms that an endpoint can have",
        "a node is vendor.role or one declared name; an event is processing.<source>.<kind>; a transport's end is "
        "ingress.<transport>.<kind> or egress.<transport>.<kind>; a playbook is <name>.playbook",
    )
