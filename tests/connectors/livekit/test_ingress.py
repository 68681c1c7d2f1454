"""``ingress.livekit`` with the real SDK in a room of the local server: who is heard, how long, and what else comes."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from livekit import api
from pydantic import SecretStr

from echostack.connectors.livekit import awaited
from echostack.connectors.livekit.ingress import LiveKitIngressSettings
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AudioFrame, Data, Dtmf
from echostack.providers.faults import Fault, FaultKind
from echostack.providers.livekit.server import SECRET, LiveKitServer
from echostack.providers.server import KEY
from tests.connectors.livekit.rig import ROOM, Caller, Ends, call, remains, tone


def loud(frame: AudioFrame, level: int = 1_000) -> bool:
    return bool(np.abs(np.frombuffer(frame.pcm, "<i2")).max(initial=0) >= level)


def pitch(pcm: Any, rate: int = 16_000) -> float:
    """The strongest frequency of the audible part, in Hz."""
    sounding = np.flatnonzero(np.abs(pcm) > 2_000)
    part = pcm[sounding[0] : sounding[-1]].astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * rate / len(part))


async def ended(ends: Ends, seconds: float = 5.0) -> list[tuple[str, dict[str, Any]]]:
    """Wait until the ingress has come to its end; what was logged."""
    assert ends.run is not None
    async with asyncio.timeout(seconds):
        await asyncio.wait([ends.run])
    ends.run.result()
    return ends.context.logs


async def test_the_callers_words_come_as_frames_of_the_asked_length_and_rate() -> None:
    async with call() as (_, ends, ann):
        await ann.say(tone(0.5, 600))
        await ends.until(lambda: len([f for f in ends.of(AudioFrame) if loud(f)]) >= 20)
        frames = ends.of(AudioFrame)
        assert {(f.rate, f.samples, f.channels, f.track) for f in frames} == {(16_000, 320, 1, "ann")}
        assert pitch(ends.pcm) == pytest.approx(600, abs=5)


async def test_frames_keep_the_time_whether_the_caller_speaks_or_not() -> None:
    async with call() as (_, ends, ann):
        before, began = len(ends.of(AudioFrame)), asyncio.get_running_loop().time()
        await ann.say(tone(0.2))
        await asyncio.sleep(0.8)
        passed = asyncio.get_running_loop().time() - began
        assert (len(ends.of(AudioFrame)) - before) * 0.02 == pytest.approx(passed, abs=0.1)


async def test_silence_stands_for_a_microphone_that_is_taken_away() -> None:
    async with call() as (_, ends, ann):
        await ann.unpublish()
        await ends.until(lambda: not ends.ingress._tracks)
        before, began = len(ends.of(AudioFrame)), asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        passed = asyncio.get_running_loop().time() - began
        assert (len(ends.of(AudioFrame)) - before) * 0.02 == pytest.approx(passed, abs=0.25)
        assert not any(loud(f) for f in ends.of(AudioFrame)[before:])
        await ann.publish()
        await ann.say(tone(0.5))
        await ends.until(lambda: any(loud(f) for f in ends.of(AudioFrame)[before:]))


async def test_data_packets_come_under_their_topic() -> None:
    async with call() as (_, ends, ann):
        await ann.send(b'{"seats": 2}', "booking")
        await ann.send("für zwei".encode(), "note")
        await ann.send(b"\xff\xfe\x00", "blob")
        await ann.send(b"[1, 2]", "list")
        await ends.until(lambda: len(ends.of(Data)) == 5)
        assert ends.of(Data)[1:] == [
            Data("booking", {"seats": 2}),
            Data("note", {"text": "für zwei"}),
            Data("blob", {"bytes": 3}),
            Data("list", {"value": [1, 2]}),
        ]


async def test_nobody_can_pretend_that_the_caller_left() -> None:
    async with call() as (_, ends, ann):
        await ann.send(b'{"identity": "ann"}', "participant_left")
        await ann.send(b"{}", "after")
        await ends.until(lambda: any(d.name == "after" for d in ends.of(Data)))
        assert [d.name for d in ends.of(Data)] == ["participant_joined", "after"]
        assert ends.ingress.refused_messages == 1


async def test_keys_of_a_phone_come_as_dtmf() -> None:
    async with call() as (_, ends, ann):
        await ann.room.local_participant.publish_dtmf(code=5, digit="5")
        await ends.until(lambda: ends.of(Dtmf))
        assert ends.of(Dtmf) == [Dtmf("5")]


async def test_the_call_ends_when_the_caller_has_left_and_does_not_come_back() -> None:
    async with call(ingress={"rejoin": 0.2}) as (_, ends, ann):
        await ann.leave()
        logs = await ended(ends)
        assert ("livekit call ended", {"why": "the caller left the room"}) in logs
        assert [d.name for d in ends.of(Data)] == ["participant_joined", "participant_left"]


async def test_a_caller_who_comes_back_in_time_goes_on_with_the_call() -> None:
    async with call(ingress={"rejoin": 5.0}) as (server, ends, ann):
        await ann.leave()
        await ends.until(lambda: ends.of(Data)[-1].name == "participant_left")
        again = Caller(server)
        try:
            await again.join()
            await again.publish()
            count = len(ends.of(AudioFrame))
            await again.say(tone(0.4))
            await ends.until(lambda: any(loud(f) for f in ends.of(AudioFrame)[count:]))
            assert not ends.run.done()
        finally:
            await again.leave()


async def test_the_call_ends_when_nobody_comes() -> None:
    async with call(caller=False, ingress={"wait_for_caller": 0.2}) as (_, ends, _ann):
        assert ("livekit call ended", {"why": "nobody came within 0.2 s"}) in await ended(ends)


async def test_an_agent_is_not_taken_for_the_caller() -> None:
    async with call(caller=False, ingress={"wait_for_caller": 0.6}) as (server, ends, ann):
        other = Caller(server, "robot")
        try:
            await other.join(agent=True)
            await other.publish()
            await ends.until(lambda: ends.of(Data))
            assert ends.of(Data)[0].data["kind"] == "agent"
            await ended(ends)
            assert ends.of(AudioFrame) == []
        finally:
            await other.leave()
            await ann.leave()


async def test_the_named_participant_is_heard_and_the_others_are_not() -> None:
    async with call(caller=False, ingress={"participant": "bob"}) as (server, ends, ann):
        bob = Caller(server, "bob")
        try:
            await ann.join()
            await ann.publish()
            await bob.join()
            await bob.publish()
            await ends.until(lambda: ends.of(AudioFrame))
            await ann.say(tone(0.6, 400))
            await ann.send(b"{}", "from ann")
            await bob.say(tone(0.6, 900))
            await bob.send(b"{}", "from bob")
            await ends.until(lambda: len([f for f in ends.of(AudioFrame) if loud(f)]) >= 20)
            assert {f.track for f in ends.of(AudioFrame)} == {"bob"}
            assert pitch(ends.pcm) == pytest.approx(900, abs=5)
            assert [d.name for d in ends.of(Data) if d.name.startswith("from")] == ["from bob"]
        finally:
            await bob.leave()


async def test_two_participants_are_mixed_into_one_line() -> None:
    async with call(ingress={"others": "mix"}) as (server, ends, ann):
        bob = Caller(server, "bob")
        try:
            await bob.join()
            await bob.publish()
            await ends.until(lambda: len(ends.ingress._ears.listening) == 2)
            await asyncio.gather(ann.say(tone(0.8, 400)), bob.say(tone(0.8, 900)))
            await ends.until(lambda: len([f for f in ends.of(AudioFrame) if loud(f)]) >= 30)
            sounding = ends.pcm[np.flatnonzero(np.abs(ends.pcm) > 2_000)[0] :][: 16_000 // 2].astype(float)
            spectrum = np.abs(np.fft.rfft(sounding * np.hanning(len(sounding))))
            at = lambda hertz: spectrum[round(hertz * len(sounding) / 16_000)]  # noqa: E731
            assert min(at(400), at(900)) > 20 * at(650)
        finally:
            await bob.leave()


async def test_a_room_that_is_deleted_ends_the_call() -> None:
    async with call() as (server, ends, _):
        await server.delete(ROOM)
        assert ("livekit call ended", {"why": "the room was deleted"}) in await ended(ends)


async def test_a_lost_signalling_connection_comes_back_and_that_is_told() -> None:
    async with call() as (server, ends, ann):
        server.cut(ROOM, "agent-call")
        await ends.until(lambda: any(d.name == "reconnected" for d in ends.of(Data)), 10)
        assert [d.name for d in ends.of(Data)] == ["participant_joined", "reconnecting", "reconnected"]
        count = len(ends.of(AudioFrame))
        await ann.say(tone(0.5))
        await ends.until(lambda: any(loud(f) for f in ends.of(AudioFrame)[count:]))


async def test_after_a_whole_new_connection_both_sides_hear_each_other() -> None:
    async with call(ingress={"rejoin": 5.0}) as (_, ends, ann):
        from livekit.rtc import SimulateScenarioKind

        room = ends.ingress._room.sdk
        renewing = asyncio.create_task(room.simulate_scenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT))
        await ends.until(lambda: any(d.name == "reconnected" for d in ends.of(Data)), 10)
        await renewing
        await ends.until(lambda: ends.ingress._ears.listening)
        count = len(ends.of(AudioFrame))
        await ann.say(tone(0.5))
        await ends.until(lambda: any(loud(f) for f in ends.of(AudioFrame)[count:]))
        ann.heard.clear()
        for _ in range(10):  # until the caller's side has taken the new track up
            ends.egress.write(tone(0.08, rate=24_000))
            await asyncio.sleep(0.1)
        await ann.hear()
        assert not ends.run.done()


async def test_a_server_that_dies_in_the_call_is_one_clear_failure() -> None:
    async with call(ingress={"reconnect_timeout": 1.0}) as (server, ends, _):
        await server.stop()
        with pytest.raises(ConnectorFailure) as failure:
            await ended(ends)
        assert str(failure.value).startswith("node: the LiveKit room at 127.0.0.1:")


async def test_a_server_that_goes_silent_in_the_call_is_given_up_in_time() -> None:
    async with call(ingress={"reconnect_timeout": 0.5}) as (server, ends, _):
        server.faults.add(Fault(FaultKind.UNAVAILABLE, times=0))
        server.cut(ROOM, "agent-call", media=True)
        with pytest.raises(ConnectorFailure) as failure:
            await ended(ends)
        assert str(failure.value) == (
            f"node: the connection to the LiveKit room at 127.0.0.1:{server.port} was lost and did not come back "
            "within 0.5 s: check the network and the server"
        )


async def test_the_same_identity_joining_elsewhere_is_said() -> None:
    async with call() as (server, ends, _):
        thief = Caller(server, "agent-call")
        try:
            await thief.join()
            with pytest.raises(ConnectorFailure, match="another participant joined under the agent's identity"):
                await ended(ends)
        finally:
            await thief.leave()


async def test_what_the_agent_says_is_taken_out_of_what_is_heard() -> None:
    """The far end sends back what it hears, as a loudspeaker beside a microphone does."""
    heard: dict[bool, float] = {}
    for cancelled in (False, True):
        async with call(ingress={"echo_cancellation": cancelled}) as (_, ends, ann):
            noise = (np.random.default_rng(1).standard_normal(24_000 * 4) * 4_000).astype("<i2").tobytes()
            stop = asyncio.Event()

            async def echo(ann: Caller = ann, stop: asyncio.Event = stop) -> None:
                at = len(ann.heard)
                while not stop.is_set():
                    while at < len(ann.heard):
                        await ann.say((ann.heard[at][1] // 2).astype("<i2").tobytes())
                        at += 1
                    await asyncio.sleep(0.005)

            echoing = asyncio.create_task(echo())
            written = 0
            while written < len(noise):
                if written // 2 - ends.egress.played() <= 24_000 * 8 // 100:
                    ends.egress.write(noise[written : written + 960])
                    written += 960
                else:
                    await asyncio.sleep(0.005)
            stop.set()
            await echoing
            heard[cancelled] = float(np.abs(ends.pcm[-24_000:].astype(float)).mean())
    assert heard[True] < heard[False] / 2


async def test_echo_cancellation_needs_an_egress_in_the_room() -> None:
    async with LiveKitServer() as server:
        ends = Ends(server, ingress={"echo_cancellation": True}, egress=None)
        try:
            await ends.open()
            with pytest.raises(ConnectorFailure, match=r"there is no egress\.livekit in the same room"):
                await ended(ends)
        finally:
            await ends.close()


async def test_noise_is_taken_out_and_quiet_voices_pass() -> None:
    async with call(ingress={"noise_suppression": True, "rate": 48_000, "frame_ms": 10}) as (_, ends, ann):
        hiss = (np.random.default_rng(1).standard_normal(48_000 * 2) * 600).astype("<i2").tobytes()
        await ann.say(hiss)
        await asyncio.sleep(1.2)
        assert {f.samples for f in ends.of(AudioFrame)} == {480}
        assert np.abs(ends.pcm[-4_800:]).mean() < 200


async def test_nothing_of_the_sdk_remains() -> None:
    async def once() -> None:
        async with call() as (_, _ends, ann):
            await ann.say(tone(0.1))

    await once()
    before = remains()
    await once()
    await once()
    assert remains() == before
    assert before[1:] == (0, 0)


def test_the_settings_are_held_to_what_the_room_can_do() -> None:
    for wrong in ({"frame_ms": 25}, {"rate": 11_025 + 1}, {"others": "all"}, {"url": "livekit.example"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            LiveKitIngressSettings(**wrong)  # type: ignore[arg-type]


async def test_a_caller_of_whom_nothing_is_heard_is_a_failure_and_not_a_call_without_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(awaited, "FIRST_AUDIO", 0.3)
    grants = api.VideoGrants(room_join=True, room=ROOM, can_subscribe=False)
    deaf = SecretStr(api.AccessToken(KEY, SECRET).with_identity("agent").with_grants(grants).to_jwt())
    async with LiveKitServer() as server:
        ann = Caller(server)
        await ann.join()
        await ann.publish()
        ends = Ends(server, ingress={"token": deaf}, egress=None)
        try:
            await ends.open()
            assert ends.run is not None
            await asyncio.wait([ends.run], timeout=5)
            failure = ends.run.exception()
            assert isinstance(failure, ConnectorFailure)
            assert str(failure) == (
                "node: 'ann' is in the room with a track of his voice, and nothing of it came within 0.3 s: the server "
                "does not give it to the agent; the token needs the grant canSubscribe"
            )
            assert not ends.of(AudioFrame)
        finally:
            await ends.close()
            await ann.leave()


async def test_a_microphone_that_is_off_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaited, "FIRST_AUDIO", 0.1)
    async with call(caller=False) as (_, ends, ann):
        await ann.join()  # and publishes nothing
        await ends.until(lambda: ends.of(Data))
        await asyncio.sleep(0.3)
        assert ends.run is not None
        assert not ends.run.done()
