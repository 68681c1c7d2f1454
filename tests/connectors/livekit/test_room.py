"""One room for both ends of a LiveKit transport: joined once, left by the last, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from echostack.connectors.livekit.egress import LiveKitEgress, LiveKitEgressSettings
from echostack.connectors.livekit.ingress import LiveKitIngress, LiveKitIngressSettings
from echostack.connectors.livekit.refusal import refused
from echostack.connectors.livekit.room import Rooms
from echostack.connectors.livekit.settings import Connection
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from tests.connectors.harness import FakeContext
from tests.connectors.livekit.rig import ROOM, Ends, remains, token


def from_environment(settings: type[Any], server: LiveKitServer, **written: Any) -> Any:
    """Settings as a file gives them, the rest from the environment."""
    there = {
        "url": server.environment["LIVEKIT_URL"], "api_key": SecretStr(KEY), "api_secret": SecretStr(SECRET),
        "room": ROOM,
    }  # fmt: skip
    made = settings(**{**there, **written})
    made.model_fields_set.intersection_update(written)
    return made


def ends(server: LiveKitServer, ingress: dict[str, Any], egress: dict[str, Any]) -> tuple[FakeContext, Any, Any]:
    context = FakeContext(LoopClock())
    here = LiveKitIngress(from_environment(LiveKitIngressSettings, server, **ingress), context)
    there = LiveKitEgress(from_environment(LiveKitEgressSettings, server, **egress), context)
    return context, here, there


async def to_its_end(ingress: LiveKitIngress) -> None:
    async for _ in ingress.run():
        pass


async def test_both_ends_are_in_one_room_and_the_last_one_leaves_it() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(server, {}, {})
        await ingress.open()
        await egress.open()
        assert server.seen.counts["joined"] == 1
        await ingress.close()
        assert "left" not in server.seen.counts
        await egress.close()
        await server.seen.until("left")
        assert server.rooms[ROOM].participants == {}


@pytest.mark.parametrize("named", ["ingress", "egress"])
async def test_the_end_that_names_a_room_names_it_for_both(named: str) -> None:
    async with LiveKitServer() as server:
        room = {"room": "table seven"}
        _, ingress, egress = ends(server, room if named == "ingress" else {}, room if named == "egress" else {})
        await ingress.open()
        await egress.open()
        assert list(server.rooms) == ["table seven"]
        assert server.seen.counts["joined"] == 1
        await asyncio.gather(ingress.close(), egress.close())


async def test_two_rooms_are_a_bridge() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(server, {"room": "hall"}, {"room": "kitchen"})
        await ingress.open()
        await egress.open()
        assert sorted(server.rooms) == ["hall", "kitchen"]
        await asyncio.gather(ingress.close(), egress.close())


async def test_a_third_end_that_names_nothing_must_say_which_of_two_rooms() -> None:
    async with LiveKitServer() as server:
        context, ingress, egress = ends(server, {"room": "hall"}, {"room": "kitchen"})
        third = LiveKitEgress(from_environment(LiveKitEgressSettings, server), context)
        with pytest.raises(ConnectorFailure, match="node can be in any of 2 LiveKit rooms: say which in its settings"):
            await third.open()
        await asyncio.gather(third.close(), ingress.close(), egress.close())


async def test_a_token_is_enough() -> None:
    async with LiveKitServer() as server:
        context = FakeContext(LoopClock())
        given = {"url": server.environment["LIVEKIT_URL"], "token": SecretStr(token("desk", "lobby"))}
        ingress = LiveKitIngress(LiveKitIngressSettings(**given), context)  # type: ignore[arg-type]
        await ingress.open()
        assert list(server.rooms["lobby"].participants) == ["desk"]
        await ingress.close()


async def test_everything_that_is_missing_is_said_at_once() -> None:
    ingress = LiveKitIngress(LiveKitIngressSettings(), FakeContext(LoopClock()))
    with pytest.raises(ConnectorFailure) as failure:
        await ingress.open()
    assert str(failure.value) == (
        "node does not know which LiveKit room to join: give url (LIVEKIT_URL), api_key (LIVEKIT_API_KEY), api_secret "
        "(LIVEKIT_API_SECRET) and room (LIVEKIT_ROOM); or give token (LIVEKIT_TOKEN) in place of the key, the secret "
        "and the room"
    )
    assert failure.value.retryable is False
    await ingress.close()


async def test_a_wrong_secret_is_said_and_not_shown() -> None:
    async with LiveKitServer() as server:
        wrong = SecretStr("not-the-secret-" * 3)
        _, ingress, egress = ends(server, {"api_secret": wrong}, {})
        with pytest.raises(ConnectorFailure) as failure:
            await ingress.open()
        said = str(failure.value)
        assert said.startswith(
            f"node: 127.0.0.1:{server.port} refuses the access token (401): check api_key and api_secret, and that "
            "this machine's clock is right"
        )
        assert wrong.get_secret_value() not in said
        assert failure.value.retryable is False
        await asyncio.gather(ingress.close(), egress.close())


async def test_secrets_that_were_read_from_a_file_are_taken_without_its_line_break() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(
            server, {"api_key": SecretStr(f"{KEY}\n"), "api_secret": SecretStr(f"{SECRET}\n")}, {}
        )
        await ingress.open()
        await asyncio.gather(ingress.close(), egress.close())
        _, ingress, egress = ends(server, {"token": SecretStr(f"{token('desk')}\n")}, {})
        await ingress.open()
        await asyncio.gather(ingress.close(), egress.close())
        assert server.seen.counts["joined"] == 2


async def test_a_token_that_is_none_is_said_to_be_none_and_not_shown() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(server, {"token": SecretStr("sekret\nsekret")}, {})
        with pytest.raises(ConnectorFailure) as failure:
            await ingress.open()
        assert str(failure.value) == (
            "node: the access token holds what no token does, such as a line break: check token"
        )
        assert not failure.value.retryable
        await asyncio.gather(ingress.close(), egress.close())


async def test_who_is_thrown_out_by_his_own_name_does_not_come_back_for_more() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(server, {"identity": "desk"}, {})
        await ingress.open()
        second = LiveKitIngress(
            from_environment(LiveKitIngressSettings, server, identity="desk"), FakeContext(LoopClock())
        )
        await second.open()
        with pytest.raises(ConnectorFailure, match="give each session an identity of its own") as failure:
            await asyncio.wait_for(to_its_end(ingress), 5)
        assert not failure.value.retryable
        await asyncio.gather(ingress.close(), egress.close(), second.close())


@pytest.mark.parametrize(
    ("said", "retryable"),
    [
        ("HTTP 401: no permissions", False),
        ("IO error: connect to 10.0.0.1:4010 failed", True),
        ("cannot connect to ws://example.com:401/rtc", True),
        ("HTTP 403", False),
        ("HTTP 429 Too Many Requests", True),
    ],
)
def test_a_status_is_not_read_out_of_an_address(said: str, retryable: bool) -> None:
    connection = Connection("ws://example.com:401", SecretStr("t"), None, None, "", "")
    assert refused(said, connection, "node").retryable is retryable


async def test_a_server_that_is_not_there_is_one_message() -> None:
    async with LiveKitServer() as server:
        _, ingress, egress = ends(server, {"url": "ws://127.0.0.1:9", "connect_timeout": 0.3}, {})
        with pytest.raises(ConnectorFailure, match=r"node cannot join the LiveKit room at 127\.0\.0\.1:9: "):
            await ingress.open()
        await asyncio.gather(ingress.close(), egress.close())


async def test_an_overloaded_server_may_be_tried_again() -> None:
    async with LiveKitServer(faults=[Fault(FaultKind.RATE_LIMITED, times=0)]) as server:
        _, ingress, egress = ends(server, {}, {})
        with pytest.raises(ConnectorFailure, match="429") as failure:
            await ingress.open()
        assert failure.value.retryable
        await asyncio.gather(ingress.close(), egress.close())


async def test_the_probe_asks_the_server_and_says_what_is_wrong() -> None:
    async with LiveKitServer() as server:
        good = from_environment(LiveKitIngressSettings, server)
        await LiveKitIngress.probe(good)
        await LiveKitEgress.probe(from_environment(LiveKitEgressSettings, server))
        assert "joined" not in server.seen.counts
        wrong = from_environment(LiveKitIngressSettings, server, api_secret=SecretStr("x" * 40))
        with pytest.raises(ConnectorFailure) as failure:
            await LiveKitIngress.probe(wrong)
        assert str(failure.value) == (
            f"ingress.livekit: 127.0.0.1:{server.port} does not take the access token (401): check api_key and "
            "api_secret"
        )
    gone = rf"ingress\.livekit: cannot connect to 127\.0\.0\.1:{server.port}: nothing listens there"
    with pytest.raises(ConnectorFailure, match=gone):
        await LiveKitIngress.probe(good)
    with pytest.raises(ConnectorFailure, match="does not know which LiveKit room to join"):
        await LiveKitIngress.probe(LiveKitIngressSettings())
    await LiveKitEgress.probe(LiveKitEgressSettings())  # the other end may name the room


async def test_cancelling_the_opening_at_any_moment_leaves_nothing() -> None:
    async def cancelled_after(steps: int) -> bool:
        """Whether the opening was still going on after so many turns of the loop."""
        async with LiveKitServer() as server:
            both = Ends(server, ingress=None, egress={})
            opening = asyncio.create_task(both.egress.open())
            for _ in range(steps):
                await asyncio.sleep(0.002)
            going = not opening.done()
            opening.cancel()
            await asyncio.wait([opening], timeout=5)
            assert opening.done()
            for room in list(server.rooms.values()):
                assert not room.participants or not going
            await both.close()
        return going

    await cancelled_after(400)
    before = remains()
    steps = 0
    while await cancelled_after(steps):
        steps = steps * 2 + 1 if steps < 8 else steps + 12
    assert steps > 20
    assert remains() == before
    assert before[1:] == (0, 0)


async def test_the_rooms_of_a_session_are_one_object_of_it() -> None:
    context = FakeContext(LoopClock())
    assert Rooms.of(context) is Rooms.of(context)
    assert Rooms.of(context) is not Rooms.of(FakeContext(LoopClock()))


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.HALF_OPEN])
async def test_a_join_that_never_comes_to_stand_is_told_before_the_call_s_own_time_is_up(kind: FaultKind) -> None:
    """The server takes the connection and then says nothing more: the SDK alone would wait for a minute."""
    async with LiveKitServer(faults=[Fault(kind, after=1, times=0)]) as server:
        _, ingress, egress = ends(server, {"connect_timeout": 0.3}, {})
        clock = LoopClock()
        before = clock.now()
        with pytest.raises(ConnectorFailure) as failure:
            await ingress.open()
        assert str(failure.value) == (
            f"node cannot join the LiveKit room at 127.0.0.1:{server.port}: no connection stood after 0.6 s; see that "
            "UDP, or TURN over TLS, gets to the server"
        )
        assert failure.value.retryable
        await asyncio.gather(ingress.close(), egress.close())
        assert clock.now() - before < 8
