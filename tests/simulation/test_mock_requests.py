"""The simulation of requests over HTTP: taken down as they would be sent, answered as the scenario says."""

from __future__ import annotations

from typing import Any

from echostack.language.scenario import Reply
from tests.simulation.mocking import HERE, given, output, plan, play, script


def http(settings: str, *texts: str, scripts: Any = None, env: Any = None) -> Any:
    graph = plan("ingress.chat.text -> http.request", connectors=f"{{http.request: {settings}}}")
    return play(graph, *texts, scripts=scripts or {}, env=env or {})


def test_a_request_is_taken_down_as_it_would_be_sent_and_no_secret_is() -> None:
    outcome = http(
        '{url: "https://crm.invalid/leads/{text}", method: PUT, params: {key: {env: KEY}}, '
        "json: {said: '{text}', token: '{secret.token}'}, secrets: {token: {env: KEY}}}",
        "x y",
        env={"KEY": "s3cr3t-key"},
    )
    (write,) = outcome.stores["http.request"].writes
    assert write.data == {
        "method": "PUT", "url": "https://crm.invalid/leads/x%20y", "path": "/leads/x%20y", "params": {"key": "***"},
        "headers": ["Accept", "Content-Type", "Idempotency-Key"], "json": {"said": "x y", "token": "***"},
        "body": '{"said":"x y","token":"***"}',
    }  # fmt: skip
    (answer,) = given(outcome, "processing.http.http_response")
    assert (answer.status, answer.json) == (200, {"id": "x%20y", "said": "x y", "token": "***"})
    assert "s3cr3t" not in repr(outcome.events) + repr(outcome.stores)


def test_what_was_posted_can_be_read() -> None:
    reads = http('{url: "https://crm.invalid/leads/{text}", method: GET, params: {q: all}}', "7")
    (answer,) = given(reads, "processing.http.http_response")
    assert answer.json == {"id": "7", "q": "all"}
    assert [w.data["method"] for w in reads.stores["http.request"].writes] == ["GET"]


def test_a_scripted_status_fails_as_it_would() -> None:
    busy = Reply(HERE, give=(output("http_response", status=503, body="busy"),), times=1)
    outcome = http('{url: "https://crm.invalid/", attempts: 2}', "x", scripts={"http.request": script(busy)})
    (failed,) = given(outcome, "error.http.exception")
    assert failed.message == "http.request: https://crm.invalid answered 503: busy"
    assert len(given(outcome, "error.http.retried")) == 1


def test_a_scripted_answer_is_given_on() -> None:
    found = Reply(HERE, give=(output("http_response", status=201, json={"id": 7}),))
    outcome = http('{url: "https://crm.invalid/"}', "x", scripts={"http.request": script(found)})
    (answer,) = given(outcome, "processing.http.http_response")
    assert (answer.status, answer.json, answer.url) == (201, {"id": 7}, "https://crm.invalid/")
