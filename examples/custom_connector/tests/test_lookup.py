"""A connector is a class like any other: make it, call it, look at what it gives. And a whole call can be simulated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from echostack_loyalty.lookup import LoyaltyCard, LoyaltyLookup, LoyaltySettings

from echostack.core.payloads import AgentMessage, Text
from echostack.registry import Form
from echostack.registry.declare import spec_of
from echostack.testing import explain, simulate

CALLS = """
graph: loyalty.echo
tests:
  - name: a caller reads out a card
    caller:
      - say: My card is 4 7 1 1.
      - listen: 500ms
      - hang up
    expect:
      - {event: processing.loyalty.loyalty_card, where: holder == "Ann", times: 1}
      - heard: Welcome back, Ann. You have 120 points.
"""


def lookup(slots: dict[str, Any]) -> LoyaltyLookup:
    settings = LoyaltySettings.model_validate({"cards": {"4711": {"holder": "Ann", "points": 120}}})
    context: Any = SimpleNamespace(conversation=SimpleNamespace(slots=slots, turns=()))
    return LoyaltyLookup(settings, context)


def test_a_known_card_is_greeted() -> None:
    slots: dict[str, Any] = {}
    assert lookup(slots)(Text("it is 47 11")) == (
        LoyaltyCard("4711", "Ann", 120),
        AgentMessage("Welcome back, Ann. You have 120 points."),
    )
    assert slots == {"name": "Ann"}


def test_anything_else_is_left_to_others() -> None:
    assert lookup({})(Text("what are your opening hours")) == ()


def test_the_manifest_comes_out_of_the_annotations() -> None:
    spec = spec_of(LoyaltyLookup)
    assert (spec.name, spec.form) == ("loyalty.lookup", Form.SYNC)
    assert spec.manifest()["consumes"] == ["processing.*.text"]
    assert spec.manifest()["produces"] == ["processing.loyalty.loyalty_card", "processing.loyalty.agent_message"]


def test_a_whole_call_in_simulation(tmp_path: Path) -> None:
    graph = Path(__file__).parents[1] / "loyalty.echo"
    (tmp_path / "loyalty.echo").write_text(graph.read_text("utf-8"), encoding="utf-8")
    (tmp_path / "calls.echo").write_text(CALLS, encoding="utf-8")
    call = simulate(tmp_path / "calls.echo", "a caller reads out a card", plugins=["echostack_loyalty.lookup"])
    assert call.ok, explain(call)
