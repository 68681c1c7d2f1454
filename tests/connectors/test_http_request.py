"""http.request against a real socket: what it sends, what it takes for an answer, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from echostack.connectors.http_call import retry_after, where
from echostack.connectors.http_request import HttpRequest, HttpSettings
from echostack.core.errors import ConnectorFailure, InDoubt
from echostack.core.payloads import Data, HttpResponse, Intent, Text, ToolCall, ToolResult
from echostack.registry.declare import spec_of
from echostack.runtime.failures import retryable
from tests.connectors.harness import FakeClock, FakeContext
from tests.connectors.http_server import Server, cut, drip, echo, hang_up, reply, serving, silent

BOOKING = Intent("book", 0.9, "a table for four", {"name": "Ann & Bob", "people": "4"})
SECRET = "s3cr3t-t0ken-value"


@asynccontextmanager
async def calling(server: Server, **settings: Any) -> AsyncIterator[HttpRequest]:
    settings["url"] = server.url + settings.pop("path", "/hook")
    caller = HttpRequest(HttpSettings.model_validate(settings), FakeContext())
    await caller.open()
    try:
        yield caller
    finally:
        await caller.close()


async def failure(server: Server, payload: Any = BOOKING, **settings: Any) -> ConnectorFailure:
    async with calling(server, **settings) as caller:
        with pytest.raises(ConnectorFailure) as caught:
            await caller(payload)
    return caught.value


async def doubt(server: Server, **settings: Any) -> str:
    async with calling(server, **settings) as caller:
        with pytest.raises(InDoubt) as caught:
            await caller(BOOKING)
    return str(caught.value)


async def test_posts_the_whole_payload_as_json_with_the_key_of_the_effect() -> None:
    async with serving() as server:
        server.then(reply(201, b'{"id": 7}'))
        async with calling(server) as caller:
            answer = await caller(BOOKING)
    assert (answer.status, answer.json, answer.body) == (201, {"id": 7}, '{"id": 7}')
    assert answer.url == server.url + "/hook"
    assert answer.elapsed_ms > 0
    seen = server.seen[0]
    assert (seen.method, seen.target) == ("POST", "/hook")
    assert seen.json == {
        "name": "book", "confidence": 0.9, "text": "a table for four", "slots": {"name": "Ann & Bob", "people": "4"},
    }  # fmt: skip
    assert seen.headers["idempotency-key"] == "call/0/0"
    assert seen.headers["content-type"] == "application/json"


async def test_a_models_call_is_answered_with_its_result() -> None:
    async with serving() as server, calling(server, json={"people": "{arguments.people}"}) as caller:
        server.then(reply(201, b'{"id": 7}'))
        booked = await caller(ToolCall("book", "c1", {"people": 4}))
        server.then(reply(200, b"plain words", "text/plain"))
        worded = await caller(ToolCall("book", "c2", {"people": 5}))
        nobody = await caller(ToolCall("book", "", {"people": 6}))
    assert booked == ToolResult("book", "c1", {"id": 7})
    assert worded == ToolResult("book", "c2", "plain words")
    assert isinstance(nobody, HttpResponse)
    assert [s.json for s in server.seen] == [{"people": 4}, {"people": 5}, {"people": 6}]


async def test_templates_fill_url_params_headers_and_body() -> None:
    async with (
        serving() as server,
        calling(
            server,
            path="/users/{slots.name}/x?q={text}",
            method="put",
            params={"key": "{secret.crm}"},
            headers={"X-Session": "{session}", "Authorization": f"Bearer {SECRET}"},
            secrets={"crm": "abcd efgh"},
            json={"who": "{slots.name}", "n": "{confidence}", "all": "{slots}", "no": [1, None, "{lost|none}"]},
        ) as caller,
    ):
        await caller(BOOKING)
    seen = server.seen[0]
    assert seen.target == "/users/Ann%20%26%20Bob/x?q=a%20table%20for%20four&key=abcd%20efgh"
    assert seen.headers["x-session"] == "call"
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert seen.json == {
        "who": "Ann & Bob", "n": 0.9, "all": {"name": "Ann & Bob", "people": "4"}, "no": [1, None, "none"],
    }  # fmt: skip


async def test_slots_of_the_conversation_can_be_used_by_any_event() -> None:
    async with serving() as server, calling(server, body="for {slots.name}: {text}") as caller:
        caller._context.conversation.slots["name"] = "Zoe"
        await caller(Text("hello"))
    assert server.seen[0].body == b"for Zoe: hello"
    assert server.seen[0].headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_get_sends_no_body_and_no_key_and_is_no_effect() -> None:
    async with serving() as server, calling(server, method="GET", params={"q": "{text}"}) as caller:
        await caller(Text("what now?"))
    assert server.seen[0].target == "/hook?q=what%20now%3F"
    assert server.seen[0].body == b""
    assert "idempotency-key" not in server.seen[0].headers
    spec = spec_of(HttpRequest)
    assert spec.acts(HttpSettings(url="http://a.example/", method="POST"))
    assert not spec.acts(HttpSettings(url="http://a.example/", method="GET"))
    assert spec.acts(None)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(500, True), (502, True), (503, True), (504, True), (408, True), (501, False), (404, False)],
)
async def test_statuses_that_may_pass_are_worth_another_try(status: int, retryable: bool) -> None:
    async with serving() as server:
        server.then(reply(status, b"the  reason\nin words", "text/plain"))
        error = await failure(server)
    assert str(error) == f"http.request: {server.url} answered {status}: the reason in words"
    assert error.retryable is retryable


async def test_expected_statuses_are_answers() -> None:
    async with serving() as server:
        server.then(reply(404, b"gone", "text/plain"))
        async with calling(server, expect=[200, 404]) as caller:
            answer = await caller(BOOKING)
        assert (answer.status, answer.body, answer.json) == (404, "gone", None)
        error = await failure(server, expect=200)
    assert str(error) == f"http.request: {server.url} answered 404: gone"


async def test_too_many_requests_says_how_long_to_wait() -> None:
    async with serving() as server:
        server.then(reply(429, b"", headers={"Retry-After": "7"}))
        error = await failure(server)
    assert (error.retryable, error.retry_after) == (True, 7.0)
    assert str(error) == f"http.request: {server.url} answered 429"


def test_retry_after_reads_seconds_and_dates_and_is_held_to_an_hour() -> None:
    clock: Any = FakeClock()
    clock.time = 1_000_000_000.0  # Sun, 09 Sep 2001 01:46:40 GMT
    assert retry_after("3", clock) == 3.0
    assert retry_after("Sun, 09 Sep 2001 01:47:40 GMT", clock) == 60.0
    assert retry_after("Sun, 09 Sep 2001 01:00:00 GMT", clock) == 0.0
    assert retry_after("999999999999999999999", clock) == 3600.0
    for nonsense in ("", "soon", "-5", "1.5e9", "٣"):
        assert retry_after(nonsense, clock) is None


async def test_a_silent_service_fails_in_time() -> None:
    async with serving() as server:
        server.then(silent)
        # Not a ConnectorFailure: the service may have acted, so the engine must not ask another one for the same.
        with pytest.raises(TimeoutError) as caught:
            await failure(server, max_seconds=0.05)
    assert str(caught.value) == f"http.request: {server.url} did not answer within 0.05 s"


@pytest.mark.parametrize("fault", [cut, hang_up])
@pytest.mark.parametrize(
    ("method", "raised"),
    # What acts may have acted: TimeoutError is what the engine tries again here, under the same key, and nowhere else.
    [("GET", ConnectorFailure), *((m, TimeoutError) for m in ("POST", "PUT", "PATCH", "DELETE"))],
)
async def test_a_connection_that_breaks_is_worth_another_try_and_in_doubt_where_something_was_to_be_done(
    fault: Any, method: str, raised: type[Exception]
) -> None:
    async with serving() as server:
        server.then(fault, reply())
        async with calling(server, method=method) as caller:
            with pytest.raises(raised, match=f"^http.request: the connection to {server.url} broke: ") as caught:
                await caller(BOOKING)
            assert retryable(caught.value)
            assert (await caller(BOOKING)).status == 200  # the client is whole
        assert len(server.seen) == 2


async def test_nobody_listening_is_worth_another_try() -> None:
    async with serving() as server:
        pass
    error = await failure(server)
    assert str(error).startswith(f"http.request: cannot connect to {server.url}: ")
    assert error.retryable


@pytest.mark.parametrize(("method", "raised"), [("GET", ConnectorFailure), ("POST", InDoubt)])
@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        (drip, {"max_bytes": 10_000}),
        (reply(headers={"Content-Encoding": "gzip"}), {}),
        (reply(body=b"{nope"), {}),
    ],
)
async def test_an_answer_that_cannot_be_taken_is_asked_for_once_and_is_no_refusal_of_what_was_to_be_done(
    answer: Any, settings: Any, method: str, raised: type[Exception]
) -> None:
    async with serving() as server:
        server.then(answer)
        async with calling(server, method=method, **settings) as caller:
            with pytest.raises(raised) as caught:
                await caller(BOOKING)
    assert not retryable(caught.value)


async def test_an_endless_body_is_not_taken() -> None:
    async with serving() as server:
        server.then(drip)
        error = await doubt(server, max_bytes=10_000)
    assert error == f"http.request: {server.url} answered with more than 10000 bytes: raise max_bytes to take them"


async def test_what_claims_to_be_json_must_be() -> None:
    async with serving() as server:
        server.then(reply(200, b"{nope"))
        error = await doubt(server)
        assert error == f"http.request: {server.url} says that it answers in JSON, and does not"
        server.then(reply(200, b"{nope", "text/html"))
        async with calling(server) as caller:
            answer = await caller(BOOKING)
    assert (answer.json, answer.body) == (None, "{nope")


async def test_compressed_answers_are_refused() -> None:
    async with serving() as server:
        server.then(reply(200, b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))
        error = await doubt(server)
    assert error == f"http.request: {server.url} answered in gzip, which was not asked for"
    assert server.seen[0].headers["accept-encoding"] == "identity"


async def test_redirects_are_not_followed_unless_asked_and_never_to_another_host() -> None:
    async with serving() as server, serving() as other:
        server.then(reply(302, b"", headers={"Location": "/there"}))
        error = await failure(server)
        assert str(error) == (
            f"http.request: {server.url} answered 302: it redirects; set redirects to follow it on the same host, or "
            "write the new address as url"
        )
        assert not error.retryable
        server.then(reply(307, b"", headers={"Location": "/there"}), echo)
        async with calling(server, redirects=1, headers={"X-Key": SECRET}) as caller:
            assert (await caller(BOOKING)).status == 200
        assert [s.target for s in server.seen[-2:]] == ["/hook", "/there"]
        assert server.seen[-1].method == "POST"
        server.then(reply(307, b"", headers={"Location": other.url + f"/?k={SECRET}"}))
        error = await failure(server, redirects=3, headers={"X-Key": SECRET})
        assert str(error) == (
            f"http.request: {server.url} redirects to {other.url}: redirects are followed only to the same host, so "
            "write the new address as url"
        )
        assert other.seen == []


async def test_a_loop_of_redirects_ends() -> None:
    async with serving() as server:
        server.then(reply(302, b"", headers={"Location": "/hook"}))
        error = await failure(server, redirects=3, method="GET")
        assert len(server.seen) == 4
    assert "answered 302" in str(error)


async def test_secrets_are_in_no_message_no_answer_and_no_repr() -> None:
    settings = {
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "secrets": {"k": "another-secret"},
        "params": {"key": "{secret.k}"},
    }
    async with serving() as server:
        server.then(echo)
        async with calling(server, **settings) as caller:
            answer = await caller(BOOKING)
            shown = f"{answer!r} {caller._settings!r} {caller._settings.model_dump_json(by_alias=True)}"
        assert server.seen[0].headers["authorization"] == f"Bearer {SECRET}"
        assert answer.json["headers"]["authorization"] == "***"
        server.then(reply(500, f"bad token {SECRET} and another-secret".encode(), "text/plain"))
        error = await failure(server, **settings)
    for secret in (SECRET, "another-secret"):
        assert secret not in shown
        assert secret not in str(error)
    assert str(error) == f"http.request: {server.url} answered 500: bad token *** and ***"
    assert error.__cause__ is None


async def test_a_missing_field_says_what_there_is() -> None:
    async with serving() as server:
        error = await failure(server, Data("form", {"a": 1}), json={"x": "{text}"})
    assert str(error) == (
        "http.request: there is no {text}: there are data, kind, name, secret, session, slots, in data; "
        "write {text|words} to do without"
    )
    assert not error.retryable
    assert server.seen == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("..", "http.request: a field of url holds only dots, which would change the path"),
        (".", "http.request: a field of url holds only dots, which would change the path"),
    ],
)
async def test_a_field_cannot_climb_out_of_the_path(said: str, message: str) -> None:
    async with serving() as server:
        error = await failure(server, Text(said), path="/a/{text}/b")
        assert str(error) == message
        async with calling(server, path="/a/{text}") as caller:
            await caller(Text("../../etc?x#y"))
    assert server.seen[0].target == "/a/..%2F..%2Fetc%3Fx%23y"


async def test_a_field_cannot_add_a_header() -> None:
    async with serving() as server:
        error = await failure(server, Text("a\r\nX-Evil: 1"), headers={"X-Said": "{text}"})
    assert str(error) == "http.request: the header X-Said would hold a line break"
    assert server.seen == []


async def test_cancelling_closes_the_connection_and_leaves_the_client_whole() -> None:
    async with serving() as server:
        server.then(silent, reply())
        async with calling(server) as caller:
            task = asyncio.ensure_future(caller(BOOKING))
            await server.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            answer = await caller(BOOKING)
    assert isinstance(answer, HttpResponse)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://a.example/"}, "url takes an address that begins with http:// or https:// and a host"),
        ({"url": "http:///x"}, "url takes an address that begins with http:// or https:// and a host"),
        ({"url": "http://{text}/x"}, "url has a field in its host: where a call goes must stand in the file"),
        ({"url": "http://a.{text}"}, "url has a field in its host: where a call goes must stand in the file"),
        (
            {"url": "https://me:pw@a.example/"},
            "url holds a user or password: give them as a header, {Authorization: {env: NAME}}",
        ),
        ({"url": "http://a.example:99999/"}, "url has a port that is no number up to 65535"),
        ({"url": "http://a.example/a b"}, "url holds a space or a control character: write it percent-encoded"),
        (
            {"url": "http://a.example/{secret.k}", "secrets": {"k": "v"}},
            "url shows in messages: put the secret into headers or params",
        ),
        ({"url": "http://a.example/", "json": {}, "body": "x"}, "json and body cannot both be the body"),
        (
            {"url": "http://a.example/", "method": "GET", "json": {}},
            "GET sends no body: use params, or another method",
        ),
        ({"url": "http://a.example/", "json": "{secret.no}"}, "{secret.no} names no entry of secrets"),
        (
            {"url": "http://a.example/", "headers": {"A": "tok{en"}},
            "a value of headers or params has a brace that does not fit: write {{ and }}",
        ),
        ({"url": "http://a.example/", "headers": {"A b": "x"}}, "'A b' is not the name of a header"),
    ],
)
def test_settings_that_cannot_be_called_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpSettings.model_validate(settings)
    assert [e["msg"] for e in caught.value.errors()] == [f"Value error, {message}"]


def test_messages_name_the_origin_only() -> None:
    assert where("https://api.example:8443/services/T00/B00/XXXX?key=1#f") == "https://api.example:8443"
