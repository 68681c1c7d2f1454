"""One connector at work as a session would have it: made from its settings, opened, asked, interrupted, closed."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from itertools import count
from typing import Any

from pydantic import SecretStr

from echostack.core.clock import Clock, Compute
from echostack.core.events import Event, event_name
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, Text
from echostack.registry import ConnectorSettings, ConnectorSpec, Turn, filled, open_fields
from echostack.runtime.outputs import outputs
from echostack.testing.contracts.context import MemoryContext, MemoryInbox

SECRET = "sk-contract-0c5e3cd1f0d94"
"""The key that a suite gives a connector where any key will do, and that must be seen nowhere."""

_ANY_KEY = "local"


def settings_of(
    spec: ConnectorSpec, given: Mapping[str, Any], environment: Mapping[str, str], *, any_key: bool = True
) -> ConnectorSettings:
    """The connector's settings as a session makes them: what the file gives, and the rest from ``environment``. A
    secret for which the far end takes any value (``any_key``) is ``SECRET``."""
    values = {}
    for field in open_fields(spec.settings, dict(given)):
        value = environment.get(field.variable, "")
        if value:
            values[field.path] = SECRET if any_key and field.secret and value == _ANY_KEY else value
    return spec.settings.model_validate(filled(dict(given), values, spec.settings))


def secrets_of(settings: ConnectorSettings) -> tuple[str, ...]:
    """The secret values among settings, long enough to be told from words."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) > 5:
            found.append(value.get_secret_value())
    return tuple(found)


class Rig:
    """``async with Rig(...)`` opens the connector and closes it. Outputs are payloads, whatever the connector's form.

    Only ``context`` and ``target`` (the connector itself) are what the connector knows of.
    """

    def __init__(
        self,
        spec: ConnectorSpec,
        settings: ConnectorSettings,
        clock: Clock,
        compute: Compute,
        *,
        node: str = "",
        shared: dict[str, Any] | None = None,
    ) -> None:
        self.spec, self.settings, self.clock = spec, settings, clock
        self.context = MemoryContext(node or spec.name, clock, compute, shared)
        self.target = spec.target(settings, self.context)
        self._number = count(1).__next__

    async def open(self) -> None:
        """The connector's own ``open``, when it has one."""
        await _maybe(self.target, "open")

    async def close(self) -> None:
        """The connector's own ``close``, when it has one."""
        await _maybe(self.target, "close")

    async def __aenter__(self) -> Rig:
        try:
            await self.open()
        except BaseException:
            await self.close()  # as a session does
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def event(self, payload: Payload) -> Event:
        """``payload`` in an envelope of its own."""
        name = event_name("processing", "contract", payload.__kind__.name)
        return Event(name, payload, self.context.session, self._number(), self.clock.now(), node="contract")

    async def stream(self, payload: Payload) -> AsyncGenerator[Payload, None]:
        """What the connector answers to ``payload``, as it comes. Closing it interrupts the answer.

        A turn of the caller stands in the conversation before the connector is asked, as in a session.
        """
        if isinstance(payload, Text) and payload.text.strip():
            self.context.conversation.said.append(Turn("caller", payload.text, payload.start, payload.end))
        event = self.event(payload)
        extra = {self.spec.wants_event: event} if self.spec.wants_event else {}
        answer = self.target(payload, **extra)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__anext__"):
            async with aclosing(answer) as pieces:
                async for piece in pieces:
                    for one, _, _ in outputs(piece, event):
                        if one is not None:
                            yield one
        else:
            for one, _, _ in outputs(answer, event):
                if one is not None:
                    yield one

    async def ask(self, payload: Payload) -> list[Payload]:
        """Everything that the connector answers to ``payload``; what an agent says enters the conversation."""
        async with aclosing(self.stream(payload)) as answers:
            told = [one async for one in answers]
        for one in told:
            if isinstance(one, AgentMessage):
                self.context.conversation.said.append(Turn("agent", one.text, self.clock.now(), self.clock.now()))
        return told

    async def ask_all(self, payloads: Iterable[Payload]) -> list[Payload]:
        """The answers to several payloads, one after the other."""
        return [one for payload in payloads for one in await self.ask(payload)]

    async def hear(self, inbox: MemoryInbox) -> AsyncGenerator[Payload, None]:
        """What a connector with ``run(inbox)`` makes of an inbox, as it comes."""
        async with aclosing(self.target.run(inbox)) as made:
            async for one in made:
                for payload, _, _ in outputs(one, self.event(Text(""))):
                    if payload is not None:
                        yield payload

    async def heard(self, inbox: MemoryInbox) -> list[Payload]:
        """Everything that it makes of the inbox, to its end."""
        async with aclosing(self.hear(inbox)) as made:
            return [one async for one in made]


async def _maybe(target: Any, method: str) -> None:
    call = getattr(target, method, None)
    if call is not None:
        answer = call()
        if inspect.isawaitable(answer):
            await answer
