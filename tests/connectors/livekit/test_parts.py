"""The parts of the LiveKit ends that need no room: the caller, mixing, what was played, settings, data."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from echostack.connectors.livekit.awaited import FIRST_AUDIO, Awaited
from echostack.connectors.livekit.caller import Attendance
from echostack.connectors.livekit.data import participant, received
from echostack.connectors.livekit.mixer import Mixer
from echostack.connectors.livekit.settings import Connection, LiveKitSettings
from echostack.connectors.livekit.ticks import TICK, Ticks
from echostack.core.payloads import Data

# -- who the caller is ---------------------------------------------------------------------------------------------


def test_the_first_to_come_who_is_no_agent_is_the_caller_and_stays_it() -> None:
    who = Attendance("", wait=10, rejoin=2)
    who.begin(0.0)
    assert not who.joined("robot", agent=True)
    assert who.joined("ann", agent=False)
    assert not who.joined("bob", agent=False)
    assert who.left("ann", 5.0, final=False)
    assert not who.joined("bob", agent=False)
    assert who.over(6.9) == ""
    assert who.joined("ann", agent=False)
    assert who.over(100.0) == ""
    assert who.due() is None


def test_a_named_participant_is_the_caller_even_as_an_agent() -> None:
    who = Attendance("robot", wait=10, rejoin=2)
    who.begin(0.0)
    assert not who.joined("ann", agent=False)
    assert who.over(10.0) == "participant 'robot' did not come within 10 s"
    assert who.joined("robot", agent=True)
    assert who.caller == "robot"


@pytest.mark.parametrize(("final", "until"), [(True, 5.0), (False, 7.0)])
def test_the_call_is_over_when_the_caller_is_gone(final: bool, until: float) -> None:
    who = Attendance("", wait=10, rejoin=2)
    who.begin(0.0)
    who.joined("ann", agent=False)
    assert not who.left("bob", 4.0, final=True)
    who.left("ann", 5.0, final=final)
    assert who.due() == until
    assert who.over(until - 0.01) == ""
    assert who.over(until) == "the caller left the room"


def test_nobody_is_waited_for_before_the_call_has_begun() -> None:
    who = Attendance("", wait=10, rejoin=2)
    assert who.over(1_000.0) == ""
    who.begin(1_000.0)
    assert who.over(1_009.9) == ""
    assert who.over(1_010.0) == "nobody came within 10 s"


# -- mixing --------------------------------------------------------------------------------------------------------

SAMPLES, SECONDS = 8, 0.02


def frame(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_one_voice_passes_untouched_and_at_once() -> None:
    mixer = Mixer(SAMPLES, SECONDS)
    mixer.add("a")
    pcm = frame(*range(SAMPLES))
    mixer.push("a", pcm, 0.0)
    assert mixer.take(0.0) == pcm
    assert mixer.take(0.0) is None


def test_voices_are_added_and_held_to_sixteen_bits() -> None:
    mixer = Mixer(SAMPLES, SECONDS)
    for voice, pcm in (
        ("a", frame(30_000, -30_000, 5, 0, 0, 0, 0, 1)),
        ("b", frame(10_000, -10_000, 7, 0, 0, 0, 0, 2)),
    ):
        mixer.add(voice)
        mixer.push(voice, pcm, 0.0)
    assert mixer.take(0.0) == frame(32_767, -32_768, 12, 0, 0, 0, 0, 3)


def test_a_late_voice_is_waited_for_once() -> None:
    mixer = Mixer(SAMPLES, SECONDS)
    for voice in "ab":
        mixer.add(voice)
        mixer.push(voice, frame(*[1] * SAMPLES), 0.0)
    assert mixer.take(0.0) == frame(*[2] * SAMPLES)
    mixer.push("a", frame(*[5] * SAMPLES), 0.02)
    assert mixer.take(0.03) is None
    assert mixer.due() == pytest.approx(0.07)
    assert mixer.take(0.071) == frame(*[5] * SAMPLES)
    mixer.push("a", frame(*[6] * SAMPLES), 0.08)
    assert mixer.take(0.08) == frame(*[6] * SAMPLES)


def test_what_no_voice_of_the_mix_says_is_counted() -> None:
    mixer = Mixer(SAMPLES, SECONDS)
    mixer.push("stranger", frame(*[1] * SAMPLES), 0.0)
    mixer.add("a")
    for n in range(12):
        mixer.push("a", frame(*[n] * SAMPLES), 0.0)
    assert mixer.dropped == 3
    assert mixer.take(0.0) == frame(*[2] * SAMPLES)
    mixer.remove("a")
    assert mixer.dropped == 12
    assert mixer.due() is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9_000, 9_000), st.floats(0, 0.03)), max_size=60))
def test_every_sample_is_given_once_or_counted(pushes: list[tuple[str, int, float]]) -> None:
    mixer, now, given_sum, kept = Mixer(1, SECONDS), 0.0, 0, 0
    for voice in "abc":
        mixer.add(voice)
    frames = 0
    for voice, value, later in pushes:
        now += later
        mixer.push(voice, frame(value), now)
        frames += 1
        while (pcm := mixer.take(now)) is not None:
            given_sum += int(np.frombuffer(pcm, "<i2")[0])
            kept += 1
    while (due := mixer.due()) is not None:
        pcm = mixer.take(due + 1e-6)
        assert pcm is not None
        given_sum += int(np.frombuffer(pcm, "<i2")[0])
    if not mixer.dropped:
        assert given_sum == sum(value for _, value, _ in pushes)
    assert kept <= frames


# -- reckoning what was played -------------------------------------------------------------------------------------


class Thread:
    """The SDK's thread, as it is: a buffer, a tick each ten milliseconds from ``phase`` on."""

    def __init__(self, phase: float) -> None:
        self.phase, self.held, self.played = phase, 0, 0
        self._last = self._index(0.0)

    def _index(self, now: float) -> int:
        return int((now - self.phase) // TICK)

    def at(self, now: float) -> None:
        for _ in range(self._index(now) - self._last):
            if self.held:
                self.held -= 1
                self.played += 1
        self._last = self._index(now)

    def tick_when(self, held: int, now: float) -> float:
        """When no more than ``held`` blocks are left."""
        return self.phase + (self._index(now) + max(0, self.held - held)) * TICK


@given(
    st.floats(0.0, 0.00999),
    st.lists(st.tuples(st.integers(1, 3), st.floats(0.0, 0.05), st.booleans()), min_size=5, max_size=40),
)
def test_the_reckoning_is_the_threads_to_a_block(phase: float, steps: list[tuple[int, float, bool]]) -> None:
    thread, ticks, now = Thread(phase - TICK), Ticks(8), 0.0

    def give(blocks: int) -> None:
        nonlocal now
        ticks.given([240] * blocks, now)
        began = now
        now += 0.0002
        thread.at(now)
        ticks.landed(now)
        thread.held += blocks
        if thread.held > 8:
            now = max(now, thread.tick_when(8, now)) + 0.0003
            thread.at(now)
        ticks.confirmed(now, now - began)

    give(9)  # as the source is tuned before anything is said
    thread.held = 0
    ticks.cleared(now)
    base, lost = ticks.played // 240 - thread.played, 0
    for blocks, pause, clear in steps:
        if thread.held + blocks <= 10:
            give(blocks)
        now += pause
        thread.at(now)
        said = ticks.advance(now) // 240 - base
        assert thread.played - 1 <= said + lost <= thread.played
        if clear:
            lost = 0
            thread.held = 0
            ticks.cleared(now)
            base = ticks.played // 240 - thread.played


def test_padding_is_no_speech() -> None:
    ticks = Ticks(8)
    ticks.given([240, 100], 0.0)
    assert ticks.advance(1.0) == 340
    assert ticks.held == 0


def test_what_was_cleared_was_not_played() -> None:
    ticks = Ticks(8)
    ticks.given([240] * 5, 0.0)
    ticks.cleared(0.0249)
    assert ticks.advance(10.0) in (240, 480)


# -- settings ------------------------------------------------------------------------------------------------------


def settings(written: dict[str, Any], environment: dict[str, Any]) -> LiveKitSettings:
    made = LiveKitSettings(**{**environment, **written})
    made.model_fields_set.intersection_update(written)
    return made


def test_what_the_file_says_goes_before_a_token_of_the_environment() -> None:
    environment = {"url": "wss://x.livekit.cloud", "token": SecretStr("t"), "api_key": SecretStr("k"),
                   "api_secret": SecretStr("s" * 32), "room": "lobby"}  # fmt: skip
    assert Connection.of(settings({}, environment)).token == SecretStr("t")
    named = Connection.of(settings({"room": "hall"}, environment))
    assert (named.token, named.room, named.api_key) == (None, "hall", SecretStr("k"))
    assert Connection.of(settings({"room": "hall", "token": SecretStr("u")}, environment)).token == SecretStr("u")


def test_no_secret_is_in_the_text_of_a_connection() -> None:
    whole = Connection.of(settings({}, {"url": "wss://x.livekit.cloud", "api_key": SecretStr("key-value"),
                                        "api_secret": SecretStr("secret-value"), "room": "hall"}))  # fmt: skip
    assert "value" not in repr(whole)
    assert whole.redactor("minted-token")("401 for minted-token, secret-value") == "401 for ***, ***"


@pytest.mark.parametrize(
    ("url", "http", "place"),
    [
        ("wss://a.livekit.cloud", "https://a.livekit.cloud", "a.livekit.cloud"),
        ("ws://localhost:7880/", "http://localhost:7880", "localhost:7880"),
        ("https://user:pass@a.example/sub", "https://user:pass@a.example/sub", "a.example"),
    ],
)
def test_an_address_is_read_both_ways(url: str, http: str, place: str) -> None:
    connection = Connection.of(settings({"url": url}, {}))
    assert (connection.http_url, connection.place) == (http, place)


def test_a_token_is_made_for_one_room_and_says_that_it_is_an_agents() -> None:
    import jwt

    secret = "s" * 32
    made = Connection.of(settings({}, {"url": "ws://h", "api_key": SecretStr("key"), "api_secret": SecretStr(secret),
                                       "room": "hall"}))  # fmt: skip
    claims = jwt.decode(made.access_token("17"), secret, algorithms=["HS256"])
    assert (claims["sub"], claims["iss"], claims["kind"]) == ("agent-17", "key", "agent")
    assert claims["video"]["room"] == "hall"
    assert claims["video"]["roomJoin"] is True


# -- data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b"", {"text": ""}),
        (b"7", {"value": 7}),
        (b'"quoted"', {"value": "quoted"}),
        (b"NaN", {"text": "NaN"}),
        (b"[" * 100_000, {"text": "[" * 100_000}),
        (b"\x80", {"bytes": 1}),
    ],
)
def test_a_packet_is_read_as_what_it_is(body: bytes, data: dict[str, Any]) -> None:
    assert received("topic", body) == Data("topic", data)


@given(st.binary(max_size=200))
def test_any_packet_is_json_data(body: bytes) -> None:
    json.dumps(received("t", body).data, allow_nan=False)


def test_a_participant_is_described() -> None:
    who: Any = SimpleNamespace(identity="ann", name="Ann", kind=3, metadata="m", attributes={"b": "2", "a": "1"},
                               disconnect_reason=1)  # fmt: skip
    assert participant("participant_left", who) == Data(
        "participant_left",
        {"identity": "ann", "name": "Ann", "kind": "sip", "metadata": "m", "attributes": {"a": "1", "b": "2"},
         "reason": "client_initiated"},
    )  # fmt: skip


def test_a_track_of_which_nothing_comes_is_overdue_and_one_that_was_heard_is_not() -> None:
    awaited = Awaited()
    awaited.update(["a", "b"], 10.0)
    assert awaited.due() == 10.0 + FIRST_AUDIO
    awaited.came("a")
    awaited.update(["a", "b"], 12.0)
    assert awaited.overdue(10.0 + FIRST_AUDIO - 0.01) == ""
    assert awaited.overdue(10.0 + FIRST_AUDIO) == "b"
    awaited.update(["a"], 15.0)  # muted, or the connection is lost
    assert awaited.due() is None
    awaited.update(["a", "b"], 20.0)
    assert awaited.due() == 20.0 + FIRST_AUDIO
    awaited.gone("a")  # listened to anew, as after a connection that was made anew
    awaited.update(["a", "b"], 21.0)
    awaited.came("b")
    assert awaited.overdue(21.0 + FIRST_AUDIO) == "a"
