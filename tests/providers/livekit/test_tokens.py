"""Who is let in by the local LiveKit server, and what the others are answered."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
from livekit import rtc

from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.livekit.tokens import Grants, Refused, bearer, verify
from echostack.providers.server import KEY
from tests.providers.livekit.guests import Guest, guests, token

OTHER = "another secret that is long enough for it"


@pytest.fixture
async def server() -> AsyncIterator[LiveKitServer]:
    async with LiveKitServer() as server:
        assert isinstance(server, LiveKitServer)
        yield server


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({"secret": OTHER}, "invalid authorization token: go-jose/go-jose: error in cryptographic primitive"),
        ({"key": "another"}, "invalid API key"),
        (
            {"ttl": datetime.timedelta(minutes=-5)},
            "invalid authorization token: go-jose/go-jose/jwt: validation failed, token is expired (exp)",
        ),
        ({"room_join": False}, "permissions denied"),
    ],
)
async def test_the_sdk_is_told_why_it_is_refused(server: LiveKitServer, wrong: dict[str, Any], answer: str) -> None:
    guest = Guest()
    with pytest.raises(rtc.ConnectError) as refused:
        await guest.join(server, "a", **wrong)
    assert refused.value.message.endswith(f"client error: 401 Unauthorized - {answer}")
    assert [s.data for s in server.seen.of("refused")] == [{"status": 401, "why": answer}]
    assert not server.rooms


@pytest.mark.parametrize(
    ("identity", "room", "status", "answer"),
    [
        ("a" * 257, "room", 400, "participant identity length exceeds limits"),
        ("a", "r" * 257, 400, "room name length exceeds limits"),
    ],
)
async def test_what_names_nobody_or_too_much_is_refused(
    server: LiveKitServer, identity: str, room: str, status: int, answer: str
) -> None:
    headers = {"Authorization": f"Bearer {token(identity, room)}"}
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/rtc/validate", headers=headers) as response,
    ):
        assert (response.status, await response.text()) == (status, answer)


async def test_without_a_token_nothing_is_said(server: LiveKitServer) -> None:
    async with aiohttp.ClientSession(server.url) as client:
        async with client.get("/rtc/validate") as response:
            assert (response.status, await response.text()) == (401, "permissions denied")
        async with client.get("/rtc/validate", headers={"Authorization": "Basic x"}) as response:
            assert response.status == 401
            assert await response.text() == "invalid authorization header. Must start with Bearer "
        async with client.get("/rtc/validate", params={"access_token": token("a")}) as response:
            assert (response.status, await response.text()) == (200, "success")
        async with client.get("/rtc", params={"access_token": token("a")}) as response:
            assert response.status == 404


async def test_a_token_that_names_no_room_is_refused(server: LiveKitServer) -> None:
    nameless = jwt.encode({"iss": KEY, "exp": 9_000_000_000, "sub": "a", "video": {"roomJoin": True}}, SECRET)
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/rtc/validate", params={"access_token": nameless}) as response,
    ):
        assert (response.status, await response.text()) == (400, "no room name")


async def test_a_full_room_takes_nobody_else(server: LiveKitServer) -> None:
    async with guests(server, "a"):
        server.rooms["room"].info.max_participants = 1
        with pytest.raises(rtc.ConnectError):
            await Guest().join(server, "b")
    assert server.seen.of("refused")[0].data == {"status": 429, "why": "room has exceeded its max participants"}


def test_what_a_token_does_not_say_is_allowed() -> None:
    grants = _verified({"video": {"room": "r", "roomJoin": True}, "sub": "me", "name": "I", "attributes": {"a": "b"}})
    assert grants == Grants(identity="me", name="I", attributes={"a": "b"}, room="r", room_join=True)


def test_a_token_of_an_agent_is_one() -> None:
    assert _verified({"video": {}, "kind": "agent"}).kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@pytest.mark.parametrize("claims", [{"video": "no object"}, {"attributes": 3}, {"kind": 17}, {"video": {"room": 7}}])
def test_claims_of_another_form_grant_nothing(claims: dict[str, Any]) -> None:
    assert not _verified(claims).room_join


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.", "\ud800", "é"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        verify(text, "local", OTHER)
    assert refused.value.status == 401


def test_an_unsigned_token_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unsigned = jwt.encode({"iss": "local", "exp": 9e9}, "", algorithm="none")
    with pytest.raises(Refused, match="invalid authorization token"):
        verify(unsigned, "local", OTHER)


def test_a_token_without_an_end_is_refused() -> None:
    with pytest.raises(Refused, match="invalid authorization token"):
        verify(jwt.encode({"iss": "local"}, OTHER), "local", OTHER)


def test_the_header_goes_before_the_parameter() -> None:
    assert bearer({"Authorization": "Bearer h"}, {"access_token": "p"}) == "h"


def _verified(claims: dict[str, Any]) -> Grants:
    return verify(jwt.encode({"iss": "local", "exp": 9_000_000_000, **claims}, OTHER), "local", OTHER)
