"""intent.router: which intent, how sure, which slots, which port."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echostack.connectors.intent_router import IntentRouter, RouterSettings
from echostack.core.payloads import Intent, Text
from echostack.registry import Forward
from echostack.registry.declare import spec_of
from tests.connectors.harness import FakeClock, FakeContext

ROUTES: dict[str, Any] = {
    "book_meeting": {
        "examples": ["I would like to book a meeting", "can we meet on {day}", "schedule an appointment"],
        "keywords": ["book a meeting", "appointment"],
        "slots": {"time": "time", "day": "day", "name": "name"},
    },
    "cancel": ["cancel my appointment", "call off the meeting"],
    "billing": {"keywords": ["invoice", "bill", "refund"]},
}


def router(**more: Any) -> IntentRouter:
    context: Any = FakeContext(FakeClock())
    return IntentRouter(RouterSettings.model_validate({"routes": ROUTES, **more}), context)


def route(text: str, **more: Any) -> tuple[str, dict[str, str]]:
    intent, forward = router(**more)(Text(text))
    assert isinstance(intent, Intent)
    assert forward == Forward(intent.name)
    return intent.name, intent.slots


@pytest.mark.parametrize(
    ("said", "name", "slots"),
    [
        (
            "Hello, I'd like to book a meeting tomorrow at ten.",
            "book_meeting",
            {"day": "tomorrow", "time": "10 o'clock"},
        ),
        ("could we meet on friday", "book_meeting", {"day": "Friday"}),
        ("I need an apointment, my name is Ann", "book_meeting", {"name": "Ann"}),
        ("please cancel my appointment", "cancel", {}),
        ("I have a question about my invoices", "billing", {}),
        ("I want a refound", "billing", {}),
        ("I do not want to book a meeting", "other", {}),
        ("what is the weather like", "other", {}),
        ("hello", "other", {}),
    ],
)
def test_routes(said: str, name: str, slots: dict[str, str]) -> None:
    assert route(said) == (name, slots)


def test_confidence_counts_the_recognisers_own() -> None:
    sure = router()(Text("cancel my appointment"))[0]
    unsure = router()(Text("cancel my appointment", confidence=0.5))[0]
    assert isinstance(sure, Intent)
    assert isinstance(unsure, Intent)
    assert (sure.confidence, unsure.confidence) == (1.0, 0.5)
    assert sure.text == "cancel my appointment"


def test_nothing_said_is_no_intent() -> None:
    assert router()(Text("  ")) == ()


def test_the_ports_are_the_routes_and_the_rest() -> None:
    settings = RouterSettings.model_validate({"routes": ROUTES, "other": "rest"})
    assert spec_of(IntentRouter).ports(settings) == ("book_meeting", "cancel", "billing", "rest")
    assert route("hello", other="rest") == ("rest", {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"routes": {"a b": ["x"]}}, "'a b' cannot be a port: it takes letters, digits and _"),
        (
            {"routes": {"other": ["x"]}},
            "'other' is both a route and the port for everything else: name one of them otherwise",
        ),
        ({"routes": {"a": {}}}, "a route needs examples or keywords"),
        ({"routes": {"a": ["{x}"]}}, "the pattern '{x}' has no word of its own, so it would match anything"),
    ],
)
def test_settings_that_cannot_route_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RouterSettings.model_validate(settings)
    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"


@given(st.text(max_size=60))
def test_every_turn_leaves_by_one_port(said: str) -> None:
    found = router()(Text(said))
    assert len(found) in (0, 2)
    if found:
        intent = found[0]
        assert isinstance(intent, Intent)
        assert 0 <= intent.confidence <= 1
        assert all(isinstance(v, str) for v in intent.slots.values())


@pytest.mark.parametrize("name", list(ROUTES))
def test_every_example_routes_to_its_own_intent(name: str) -> None:
    given_by = ROUTES[name]
    examples = given_by if isinstance(given_by, list) else given_by.get("examples", [])
    for example in examples:
        assert route(example.replace("{day}", "Friday"))[0] == name
