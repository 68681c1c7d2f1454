"""What a scenario says that one node answers: which reply fits an event, and the payloads that it gives.

Everything is read once, before the call: a reply that the node cannot give is a UsageError at its place.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import UsageError
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, Text
from echostack.core.span import Span
from echostack.language.scenario import Delay, Output, Reply, Script
from echostack.registry import ConnectorSpec, StandIn, stand_in
from echostack.simulation.building import built, kind_of, made, text_field, text_of
from echostack.simulation.matching import fulfils
from echostack.simulation.mock.replies import in_pieces
from echostack.simulation.mock.samples import sample_fields

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True, slots=True)
class Placed:
    """One payload that is given: by which port, and how many seconds after the one before it."""

    payload: Payload
    port: str = ""
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Given:
    """What is answered to one event. ``said``: it is text, to be given as the connector gives text, which is
    ``in_kinds`` where nothing else knows how. ``delay``: in place of the node's own, None for that."""

    outputs: tuple[Placed, ...] = ()
    said: bool = False
    delay: Delay | None = None
    in_kinds: tuple[Placed, ...] = ()

    @property
    def payloads(self) -> tuple[Payload, ...]:
        return tuple(p.payload for p in self.outputs)


class Player:
    """The replies of one node in one call. ``reply`` chooses, in the order of the scenario.

    A reply without a condition is used once, the last of them without end; one with a condition as long as there are
    events that fulfil it. ``times`` says otherwise, 0 for without end.
    """

    def __init__(self, spec: ConnectorSpec, script: Script, settings: Any, env: Mapping[str, str]) -> None:
        self._spec, self._env = spec, env
        self._ports = spec.ports(settings) if settings is not None else ()
        bare = [r for r in script.replies if r.to is None and r.where is None]
        self._replies = [(_condition(r), _limit(r, bare), self._given(r)) for r in script.replies]
        self._used = [0] * len(self._replies)
        self._last: tuple[int, Given | None] | None = None

    def reply(self, payload: Payload) -> Given | None:
        """What is answered to ``payload``; None when no reply fits it."""
        for at, (fits, most, given) in enumerate(self._replies):
            if (most == 0 or self._used[at] < most) and fits(payload):
                self._used[at] += 1
                return given
        return None

    def take(self, event: Event) -> Given | Awaitable[Given | None] | None:
        """What is answered to ``event``: the same again for another try of the same one."""
        return self.take_now(event)

    def take_now(self, event: Event) -> Given | None:
        """The same for a node that answers in place."""
        if self._last is None or self._last[0] != event.seq:
            self._last = event.seq, self.reply(event.payload)
        return self._last[1]

    def snapshot(self) -> Any:
        """How far the replies are used; ``restore`` goes back to it."""
        return list(self._used), self._last

    def restore(self, snapshot: Any) -> None:
        used, self._last = snapshot
        self._used = list(used)

    # -- reading -----------------------------------------------------------------------------------------------

    def _given(self, reply: Reply) -> Given:
        if reply.say is not None:
            return text_given(self._spec, reply.say, reply.span, reply.delay)
        return Given(tuple(self._placed(o) for o in reply.give), False, reply.delay)

    def _placed(self, output: Output) -> Placed:
        cls = kind_of(output.kind, self._spec.produces, output.span, self._spec.name)
        if output.port and output.port not in self._ports:
            near = did_you_mean(output.port, list(self._ports))
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self._ports) or 'none'}"
            raise UsageError(f"{output.span}: {self._spec.name} has no port {output.port!r}; {hint}")
        return Placed(built(cls, output.fields, output.span, self._env), output.port, output.after or 0.0)


def text_given(spec: ConnectorSpec, text: str, span: Span, delay: Delay | None = None) -> Given:
    """``text`` as the answer of ``spec``."""
    payload = said(spec, text, span)
    outputs = (Placed(payload),)
    if isinstance(payload, AgentMessage) and AgentMessagePartial in spec.produces:
        return Given(outputs, True, delay, tuple(map(Placed, in_pieces(payload, whole=True))))
    return Given(outputs, True, delay, outputs)


def said(spec: ConnectorSpec, text: str, span: Span) -> Payload:
    """``text`` as ``spec`` says it: an agent's message, a recogniser's text, or else the first kind that has words."""
    makes = spec.produces
    if AgentMessage in makes or stand_in(spec) is StandIn.VOICE:
        return AgentMessage(text)
    if AgentMessagePartial in makes:
        return AgentMessagePartial(text, final=True)
    if Text in makes:
        return Text(text)
    for cls in makes:
        name = text_field(cls)
        if name is not None:
            return made(cls, {**sample_fields(cls, Random(0), {}, required=True), name: text}, span)
    kinds = ", ".join(p.__kind__.name for p in makes) or "nothing"
    raise UsageError(f"{span}: {spec.name} makes {kinds}, which says nothing in words: write what it gives (give:)")


def fits_words(wanted: str) -> Callable[[str], bool]:
    """Whether a text holds the words of ``wanted`` in order, one after the other but for ``*``, which is any words.
    Case and punctuation do not count."""
    runs = [w for part in wanted.split("*") if (w := _words(part))]

    def holds(text: str) -> bool:
        words, at = _words(text), 0
        for run in runs:
            found = next((i for i in range(at, len(words) - len(run) + 1) if words[i : i + len(run)] == run), None)
            if found is None:
                return False
            at = found + len(run)
        return True

    return holds


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _condition(reply: Reply) -> Callable[[Payload], bool]:
    tests: list[Callable[[Payload], bool]] = []
    if reply.to is not None:
        holds = fits_words(reply.to)

        def worded(payload: Payload) -> bool:
            text = text_of(payload)
            return text is not None and holds(text)

        tests.append(worded)
    if reply.where is not None:
        tests.append(fulfils(reply.where))
    return lambda payload: all(test(payload) for test in tests)


def _limit(reply: Reply, bare: list[Reply]) -> int:
    """How often ``reply`` may be used, 0 for without end."""
    if reply.times is not None:
        return reply.times
    return 1 if any(reply is b for b in bare[:-1]) else 0
