"""How the end of the sources runs through a graph, and whom it does not reach by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

import echostack.api as echostack
from echostack.core.payloads import AgentMessage, DeadLetter, Text
from echostack.registry import connector
from echostack.runtime.driver import Driver
from echostack.runtime.ending import Ending
from echostack.runtime.queues import Inbox, Pressure
from tests.runtime.cast import registry


@connector("acme.loop")
async def loop(text: Text) -> Text | None:
    """Hears itself."""
    return text


@connector("acme.undertaker")
async def undertaker(letter: DeadLetter) -> AgentMessage | None:
    """Looks after what failed."""
    return None


@dataclass
class Idle:
    """A driver that has nothing to do."""

    inbox: Inbox
    resting: bool = True


def is_source(node: str) -> bool:
    return node.startswith("ingress")


def ending(*rules: str) -> tuple[Ending, dict[str, Idle]]:
    """The wave of a graph whose every node has a driver, but for voice activity."""
    text = "echostack: 1\npipeline:\n" + "".join(f"  - {rule}\n" for rule in rules) + "barge_in: off\n"
    plan = echostack.compile(text, registry=registry(loop, undertaker), env={}).plan
    idle = {n.id: Idle(Inbox(n.id, Pressure())) for n in plan.nodes.values() if not n.fused}
    return Ending(plan, cast("dict[str, Driver]", idle)), idle


STRAIGHT = "ingress.line.audio_frame -> ear.stt -> acme.agent -> acme.tts -> egress.line.audio_chunk"


def test_the_end_reaches_every_node_of_a_straight_graph_by_itself() -> None:
    wave, idle = ending(STRAIGHT)
    assert not wave.must_ask(is_source)
    order = [n for n in idle if not is_source(n)]
    wave.ended(next(n for n in idle if is_source(n)))
    for at, node in enumerate(order):
        assert [n for n in order if idle[n].inbox.closed] == order[: at + 1]
        assert not wave.must_ask(is_source)
        wave.ended(node)


@pytest.mark.parametrize(
    "rule",
    [
        "ear.stt -> acme.loop\n  - acme.loop -> acme.loop: {cycle: true, queue: 4, overflow: drop_oldest}",
        "error.acme.dead_letter -> acme.undertaker",
    ],
)
def test_a_node_that_feeds_itself_or_is_fed_by_the_engine_must_be_asked_whether_it_is_idle(rule: str) -> None:
    wave, idle = ending(STRAIGHT, rule)
    lonely = "acme.loop" if "loop" in rule else "acme.undertaker"
    for node in idle:
        if node != lonely:
            assert wave.must_ask(is_source)
            wave.ended(node)
    assert wave.must_ask(is_source)
    assert not idle[lonely].inbox.closed
    assert wave.close_idle(is_source)
    assert idle[lonely].inbox.closed
    assert not wave.must_ask(is_source)
