"""The simulation of whatever has no role of its own: a CRM, a search, a tool, a service of any kind.

It answers each event with one payload of each kind that its connector makes, filled with what the event says and
otherwise made up, the same for the same question. What acts on the outside world writes to the node's store instead,
once for a key, and keeps records there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random
from typing import Any

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import Intent, Record, Sentiment, ToolCall, ToolResult
from echostack.registry import ConnectorSpec, Forward, Out, Simulator
from echostack.runtime.failures import plain_payload
from echostack.simulation.building import text_of
from echostack.simulation.mock.samples import made_up_id, sample
from echostack.simulation.world import World

Answer = Payload | Out | Forward


class SimulatedService:
    """One such node. Audio that it makes of audio passes unchanged; to other audio it says nothing of itself, and it
    makes no control event (an end of the call) that the scenario does not ask for."""

    asks_script = True

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._spec, self._simulator, self._world = spec, simulator, world
        self._acts = spec.acts(settings)
        self._ports = tuple(spec.ports(settings)) if settings is not None else ()
        self._makes = _wholes(spec.produces)

    def at_once(self, event: Event) -> Sequence[Answer]:
        """The answer to ``event``, without waiting."""
        payload = event.payload
        if payload.__kind__.audio:
            return (payload,) if type(payload) in self._spec.produces else ()
        known = self._act(event) if self._acts else ""
        scripted = self._simulator.scripted(payload)
        return scripted if scripted is not None else self._made(payload, known)

    async def answer(self, event: Event) -> AsyncIterator[Answer]:
        """The same after the node's latency. An effect is done when it is asked for, whenever its answer comes."""
        answers = self.at_once(event)
        if not event.payload.__kind__.audio:
            await self._simulator.clock.sleep(self._simulator.latency())
        for answer in answers:
            yield answer

    def _act(self, event: Event) -> str:
        return act(event.payload, self._simulator)

    def _made(self, payload: Payload, record: str) -> Sequence[Answer]:
        said = text_of(payload)
        about = {**plain_payload(payload), **({"text": said} if said is not None else {})}
        # An effect makes something new each time it is done; a question has the same answer each time it is asked.
        what = f"{payload.__kind__.name} {said}" + (self._simulator.idempotency_key if self._acts else "")
        random = self._world.random_for(f"{self._simulator.node} about {what}")
        port = self._port(said or "") if self._ports else ""
        answers: list[Answer] = []
        for cls in self._makes:
            made = self._one(cls, payload, about, record, port, random)
            answers.append(Out(made, port=port) if port and not self._spec.forwards else made)
        if port and type(payload) in self._spec.forwards:
            answers.append(Forward(port))
        return answers

    def _one(
        self, cls: type[Payload], payload: Payload, about: Mapping[str, Any], record: str, port: str, random: Random
    ) -> Payload:
        if cls is ToolResult and isinstance(payload, ToolCall):
            return ToolResult(payload.name, payload.id, {"id": made_up_id(payload.name, random), "status": "ok"})
        own: dict[str, Any] = {}
        if cls is Intent and not isinstance(payload, Intent):
            own = {"name": port or "request"}
        elif cls is Sentiment and not isinstance(payload, Sentiment):
            own = {"score": 0.0, "label": "neutral"}
        elif cls is Record and record:
            own = {"id": record}
        return sample(cls, random, {**about, **own})

    def _port(self, text: str) -> str:
        """The port whose name the words are about, else the one for everything else."""
        words = set(text.casefold().split())
        fitting = [p for p in self._ports if words & set(p.casefold().split("_"))]
        return fitting[0] if fitting else "other" if "other" in self._ports else self._ports[-1]


def act(payload: Payload, simulator: Simulator) -> str:
    """Do to the node's store what ``payload`` asks for, once for the key of its event. The id of the record.

    The write holds the payload's ``kind`` and fields. The record holds what the payload says of it, over what it held.
    """
    key = simulator.idempotency_key
    fields = plain_payload(payload)
    known = str(fields.get("id") or "") or made_up_id(payload.__kind__.base, Random(key))
    if simulator.store.write({"kind": payload.__kind__.name, **fields}, key):
        if isinstance(payload, Record):
            fields = {"type": payload.type, **fields["data"]}
        elif isinstance(payload, ToolCall):
            fields = {"name": payload.name, **fields["arguments"]}
        records = simulator.store.records
        records[known] = {**records.get(known, {}), **fields}
    return known


def _wholes(classes: Sequence[type[Payload]]) -> list[type[Payload]]:
    """What is made of itself: neither audio nor control, and of a kind that comes whole or in pieces the whole."""
    kinds = [c for c in classes if not c.__kind__.audio and not c.__kind__.control]
    whole = {c.__kind__.base for c in kinds if not c.__kind__.modifier}
    return [c for c in kinds if not c.__kind__.modifier or c.__kind__.base not in whole]
