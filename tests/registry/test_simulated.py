"""What stands in for a connector in a simulated call: what it declares, or what its manifest says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.connectors import BUILTIN
from echostack.core.errors import InvalidConnector
from echostack.core.payloads import AgentMessage, AudioFrame, Intent, Record, Text
from echostack.registry import (
    ITSELF,
    ConnectorSettings,
    Context,
    Form,
    Inbox,
    Registry,
    Simulator,
    StandIn,
    connector,
    simulates,
    stand_in,
)
from echostack.registry.declare import own_simulation, spec_of


class Loud(ConnectorSettings):
    """How loud."""

    volume: int = 3


class Other(ConnectorSettings):
    """Something else."""


async def shouted(text: Text, settings: Loud, simulator: Simulator) -> AgentMessage:
    return AgentMessage(text.text)


def declared(simulation: Any) -> Any:
    @connector("shout.agent", network=True, simulation=simulation)
    async def shout(text: Text, settings: Loud) -> AgentMessage:
        """Says it louder."""
        return AgentMessage(text.text)

    return shout


def test_a_simulation_is_read_by_its_annotations_like_a_connector() -> None:
    own = own_simulation(spec_of(declared(shouted)))
    assert own is not None
    assert (own.make, own.form, own.is_class) == (shouted, Form.ASYNC, False)
    assert (own.wants_settings, own.wants_context, own.settings) == ("settings", "simulator", Loud)


def test_a_simulation_may_stand_after_its_connector() -> None:
    shout = declared(None)
    assert stand_in(spec_of(shout)) is StandIn.AGENT
    assert simulates(shout)(shouted) is shouted
    assert stand_in(spec_of(shout)) is StandIn.OWN


def test_what_is_called_once_an_event_may_be_simulated_without_waiting() -> None:
    def at_once(text: Text) -> AgentMessage:
        return AgentMessage(text.text)

    own = own_simulation(spec_of(declared(at_once)))
    assert own is not None
    assert own.form is Form.SYNC


def test_none_and_itself_are_no_simulations_of_its_own() -> None:
    assert own_simulation(spec_of(declared(None))) is None
    assert own_simulation(spec_of(declared(ITSELF))) is None
    assert stand_in(spec_of(declared(ITSELF))) is StandIn.ITSELF


class Stream:
    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]:
        yield AgentMessage("")


async def with_others(text: Text, settings: Other) -> AgentMessage:
    return AgentMessage("")


async def of_intents(intent: Intent) -> AgentMessage:
    return AgentMessage("")


async def with_records(text: Text) -> AgentMessage | Record:
    return AgentMessage("")


@pytest.mark.parametrize(
    ("simulation", "message"),
    [
        (3, "the simulation of shout.agent is a class, a function, ITSELF or None, not int"),
        (
            Stream,
            "the simulation of shout.agent is a stream one, and the connector an async one: give it the same form",
        ),
        (with_others, "the simulation of shout.agent takes Other, and the connector Loud"),
        (of_intents, "the simulation of shout.agent does not take text, and the connector does"),
        (with_records, "the simulation of shout.agent makes record, and the connector does not"),
    ],
)
def test_a_simulation_that_cannot_stand_in_is_refused_when_it_is_declared(simulation: Any, message: str) -> None:
    with pytest.raises(InvalidConnector) as caught:
        declared(simulation)
    assert str(caught.value) == message


def test_a_synchronous_connector_is_simulated_synchronously() -> None:
    async def waits(text: Text) -> AgentMessage:
        return AgentMessage("")

    with pytest.raises(InvalidConnector, match="is an async one, and the connector a sync one"):

        @connector("shout.agent", simulation=waits)
        def shout(text: Text) -> AgentMessage:
            return AgentMessage("")


def test_only_a_simulation_is_given_a_simulator() -> None:
    with pytest.raises(InvalidConnector) as caught:

        @connector("shout.agent")
        def shout(text: Text, view: Simulator) -> AgentMessage:
            return AgentMessage("")

    assert str(caught.value) == "shout.agent: 'view' asks for a Simulator, which only a simulation is given"


def test_a_class_may_inherit_how_it_is_called() -> None:
    class Base:
        def __init__(self, context: Context) -> None: ...

        def __call__(self, text: Text) -> AgentMessage:
            return AgentMessage("")

    @connector("shout.agent")
    class Shout(Base):
        """Says it louder."""

    assert spec_of(Shout).form is Form.SYNC


def test_the_shipped_connectors_are_simulated_as_what_they_are() -> None:
    found = {spec.name: stand_in(spec) for spec in Registry(BUILTIN)}
    assert found == {
        "claude.agent": StandIn.AGENT,
        "deepgram.stt": StandIn.RECOGNISER,
        "egress.app": StandIn.FAR_END,
        "egress.file": StandIn.FAR_END,
        "egress.livekit": StandIn.FAR_END,
        "egress.speaker": StandIn.FAR_END,
        "elevenlabs.tts": StandIn.SYNTHESISER,
        "faq.agent": StandIn.ITSELF,
        "http.request": StandIn.OWN,
        "ingress.app": StandIn.CALLER,
        "ingress.file": StandIn.CALLER,
        "ingress.livekit": StandIn.CALLER,
        "ingress.mic": StandIn.CALLER,
        "intent.router": StandIn.ITSELF,
        "knowledge.search": StandIn.ITSELF,
        "llama.agent": StandIn.AGENT,
        "moonshine.stt": StandIn.RECOGNISER,
        "openai.agent": StandIn.AGENT,
        "piper.tts": StandIn.SYNTHESISER,
        "say.agent": StandIn.ITSELF,
        "sentiment.score": StandIn.ITSELF,
        "transcript.log": StandIn.OWN,
        "webhook.send": StandIn.OWN,
        "webrtc.vad": StandIn.DETECTOR,
    }


def test_a_plain_function_runs_as_it_is_unless_it_reaches_outside() -> None:
    def answer(text: Text) -> AgentMessage:
        return AgentMessage("")

    def look(frame: AudioFrame) -> Record | None:
        return None

    assert stand_in(spec_of(connector("a.agent")(answer))) is StandIn.ITSELF
    assert stand_in(spec_of(connector("a.agent", network=True)(answer))) is StandIn.AGENT
    assert stand_in(spec_of(connector("a.agent", packages=("acme",))(answer))) is StandIn.AGENT
    assert stand_in(spec_of(connector("a.agent", effect=True)(answer))) is StandIn.AGENT
    assert stand_in(spec_of(connector("a.agent", blocking_ms=20)(answer))) is StandIn.AGENT
    assert stand_in(spec_of(connector("a.watch")(look))) is StandIn.SERVICE
