"""What a checked graph is lowered to: what fuses, where queues stand and why, who is in which scope."""

from __future__ import annotations

import dataclasses

import pytest

import echostack.api as echostack
from echostack.core.kinds import Overflow
from echostack.core.payloads import AgentMessage, AudioFrame, Data, SpeechStarted, Text
from echostack.plan import Plan, PlanEdge, SpeculatePlan
from echostack.registry import Latency, connector
from tests.runtime.cast import CALL, Pace, hears, registry


@connector("acme.quick")
def quick(item: Text | Data) -> Data:
    """Does not wait."""
    return Data("")


@connector("acme.slow", blocking_ms=20.0)
def slow(text: Text) -> Data:
    """Says that it takes its time."""
    return Data("")


@connector("acme.post", effect=True)
def post(text: Text) -> Data:
    """Acts."""
    return Data("")


@connector("acme.fetch", latency=Latency(p50=100, p95=300))
async def fetch(text: Text) -> Data:
    """Waits."""
    return Data("")


def plan(text: str) -> Plan:
    return echostack.compile(text, registry=registry(quick, slow, post, fetch), env={}).plan


def edge(found: Plan, source: str, target: str) -> PlanEdge:
    (one,) = [e for e in found.edges if (e.source, e.target) == (source, target)]
    return one


def test_functions_that_do_not_wait_are_one_island_without_a_queue() -> None:
    found = plan(hears("ear.stt -> acme.quick", "ingress.line.audio_frame -> ear.vad"))
    (island, vad) = found.islands
    assert (island.nodes, island.entries) == (("ear.stt", "acme.quick"), ("ear.stt",))
    assert (vad.nodes, vad.entries) == (("ear.vad",), ("ear.vad",))
    assert [e.queue for e in found.edges] == [None, None, None]
    assert found.nodes["acme.quick"].island == 0
    assert found.nodes["ingress.line"].island == -1


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("acme.fetch", "acme.fetch waits for its answer"),
        ("acme.slow", "acme.slow takes 20 ms a call"),
        ("acme.post", "acme.post acts, once for its key"),
    ],
)
def test_a_queue_stands_before_what_waits_is_slow_or_acts(target: str, why: str) -> None:
    queue = edge(plan(hears(f"ear.stt -> {target}")), "ear.stt", target).queue
    assert queue is not None
    assert (queue.bound, queue.overflow, queue.why) == (64, Overflow.BLOCK, why)


def test_a_queue_that_a_rule_asks_for_splits_an_island() -> None:
    found = plan(hears("ear.stt -> acme.quick: {queue: 7, overflow: latest}"))
    queue = edge(found, "ear.stt", "acme.quick").queue
    assert queue is not None
    assert (queue.bound, queue.overflow, queue.why) == (7, Overflow.LATEST, "the rule asks for it")
    assert [i.nodes for i in found.islands] == [("ear.stt",), ("acme.quick",)]


def test_an_edge_of_several_kinds_has_the_policy_of_what_may_not_be_lost() -> None:
    @connector("acme.all")
    async def everything(item: AudioFrame | Text) -> None:
        """Takes what may be lost and what may not."""

    @connector("acme.mix")
    def mix(frame: AudioFrame) -> list[AudioFrame | Text]:
        return []

    text = hears("ingress.line.audio_frame -> acme.mix -> acme.all")
    found = echostack.compile(text, registry=registry(everything, mix), env={}).plan
    queue = edge(found, "acme.mix", "acme.all").queue
    assert queue is not None
    assert (queue.bound, queue.overflow) == (64, Overflow.BLOCK)


def test_control_alone_travels_in_its_own_lane() -> None:
    @connector("acme.watch")
    async def watch(event: SpeechStarted) -> None:
        """Waits for control."""

    text = hears("ingress.line.audio_frame -> ear.vad -> acme.watch")
    queue = edge(echostack.compile(text, registry=registry(watch), env={}).plan, "ear.vad", "acme.watch").queue
    assert queue is not None
    assert queue.control


def test_the_reply_is_one_scope_and_is_entered_once() -> None:
    found = plan(CALL)
    (scope,) = found.scopes
    assert (scope.id, scope.name, scope.nodes, scope.egresses) == (
        1, "reply", ("acme.agent", "acme.tts", "egress.line"), ("egress.line",)
    )  # fmt: skip
    assert {f"{e.source} -> {e.target}": e.enters for e in found.edges if e.enters} == {"ear.stt -> acme.agent": 1}
    assert found.nodes["ear.stt"].scope == 0
    assert found.nodes["acme.tts"].scope == 1


def test_an_else_knows_its_guarded_siblings_of_the_same_port_and_pattern() -> None:
    found = plan(
        hears(
            "ear.stt -[ confidence < 0.4 ]-> acme.slow",
            "ear.stt -[ else ]-> acme.fetch",
            "processing.*.text -[ confidence > 0.9 ]-> acme.post",
        )
    )
    assert edge(found, "ear.stt", "acme.fetch").siblings == (edge(found, "ear.stt", "acme.slow").id,)
    assert edge(found, "ear.stt", "acme.slow").siblings == ()


def test_the_members_of_a_choice_have_one_inbox_and_are_never_fused() -> None:
    found = plan(hears("ear.stt -> acme.slow ?? acme.fetch -> acme.quick"))
    (choice,) = [n for n in found.nodes.values() if n.members]
    assert choice.members == ("acme.slow", "acme.fetch")
    assert [found.nodes[m].choice for m in choice.members] == [choice.id, choice.id]
    assert [found.nodes[m].fused for m in choice.members] == [False, False]
    # What a choice reports itself has a name that a pattern can match.
    assert choice.source == "acme"
    queue = edge(found, "ear.stt", choice.id).queue
    assert queue is not None
    assert queue.why == f"{choice.id} waits for the member that answers"


def test_the_same_text_gives_the_same_plan_and_another_text_another_hash() -> None:
    first, second = plan(CALL), plan(CALL)
    for field in dataclasses.fields(Plan):
        if field.name != "checked":
            assert repr(getattr(first, field.name)) == repr(getattr(second, field.name)), field.name
    assert plan(CALL + "\n").hash != first.hash


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan(CALL).name = "other"  # type: ignore[misc]


def test_the_latency_path_is_the_slowest_way_from_ear_to_mouth() -> None:
    assert [node for node, _, _ in plan(CALL).latency] == ["ear.stt", "acme.agent", "acme.tts", "egress.line"]
    assert plan(hears("ear.stt -> acme.fetch")).latency == ()


def test_who_begins_on_a_guess_is_in_the_plan() -> None:
    @connector("acme.agent")
    async def agent(text: Text, settings: Pace) -> AgentMessage: ...

    def guessing(on: str) -> SpeculatePlan | None:
        return echostack.compile(f"{CALL}speculate: {on}\n", registry=registry(agent), env={}).plan.speculate

    assert guessing("off") is None
    assert guessing("{on: model, stable_for: 50ms}") == SpeculatePlan(
        "model", 0.05, ("ear.stt",), ("acme.agent",), (), ()
    )
