"""webhook.send: what is posted, how it is signed, and that its address and secret stay hidden."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from echostack.connectors.webhook_send import WebhookSend, WebhookSettings, signature
from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.payloads import Sentiment
from tests.connectors.harness import FakeContext
from tests.connectors.http_server import hang_up, reply, serving

EVENT = Event(
    "processing.sentiment.sentiment", Sentiment(-0.5, "negative", "no"), "call", 12, 3.25, node="sentiment.score"
)


async def post(settings: dict[str, Any]) -> None:
    sender = WebhookSend(WebhookSettings.model_validate(settings), FakeContext())
    await sender.open()
    try:
        await sender(EVENT.payload, EVENT)  # type: ignore[arg-type]
    finally:
        await sender.close()


async def test_posts_the_event_and_signs_it() -> None:
    async with serving() as server:
        await post({"url": server.url + "/in", "secret": "top-secret", "headers": {"X-Team": "blue"}})
    seen = server.seen[0]
    assert (seen.method, seen.target) == ("POST", "/in")
    assert seen.json == {
        "event": "processing.sentiment.sentiment",
        "kind": "sentiment",
        "payload": {"score": -0.5, "label": "negative", "text": "no"},
        "session": "call",
        "node": "sentiment.score",
        "time": 3.25,
        "seq": 12,
        "idempotency_key": "call/0/0",
    }
    assert seen.headers["idempotency-key"] == "call/0/0"
    assert seen.headers["x-team"] == "blue"
    stamp, _, digest = seen.headers["x-echostack-signature"].partition(",v1=")
    at = stamp.removeprefix("t=")
    assert digest == hmac.new(b"top-secret", at.encode() + b"." + seen.body, hashlib.sha256).hexdigest()


async def test_without_a_secret_nothing_is_signed() -> None:
    async with serving() as server:
        await post({"url": server.url})
    assert "x-echostack-signature" not in server.seen[0].headers


async def test_failures_hide_address_and_secret() -> None:
    async with serving() as server:
        server.then(reply(503, b"key T0K3N/hidden, top-secret", "text/plain", {"Retry-After": "2"}), hang_up)
        settings = {"url": server.url + "/T0K3N/hidden", "secret": "top-secret"}
        with pytest.raises(ConnectorFailure) as caught:
            await post(settings)
        assert str(caught.value) == f"webhook.send: {server.url} answered 503: key ***, ***"
        assert (caught.value.retryable, caught.value.retry_after) == (True, 2.0)
        with pytest.raises(TimeoutError, match=f"^webhook.send: the connection to {server.url} broke: "):
            await post(settings)
    assert "T0K3N" not in repr(WebhookSettings.model_validate(settings))
    assert "top-secret" not in repr(WebhookSettings.model_validate(settings))


def test_an_address_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"url": "hooks.example/T0K3N"})
    assert caught.value.errors()[0]["msg"] == (
        "Value error, url takes an address that begins with http:// or https:// and a host"
    )


def test_the_signature_is_the_documented_one() -> None:
    assert signature("k", 5, b"{}") == "t=5,v1=" + hmac.new(b"k", b"5.{}", hashlib.sha256).hexdigest()
