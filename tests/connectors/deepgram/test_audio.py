"""The audio that is kept until it is recognised: what is sent again, and what is lost, to the sample."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.deepgram.audio import HeldAudio
from echostack.core.events import Event
from echostack.core.payloads import AudioFrame

RATE = 1000


def event(number: int) -> Event:
    return Event("processing.test.audio_frame", AudioFrame(b"", RATE), "call", number, 0.0)


def pcm(first: int, samples: int) -> bytes:
    """Samples whose values are their own places."""
    return b"".join((n % 30_000).to_bytes(2, "little") for n in range(first, first + samples))


def places(data: bytes) -> list[int]:
    return [int.from_bytes(data[n : n + 2], "little") for n in range(0, len(data), 2)]


def test_audio_is_sent_once_in_order() -> None:
    audio = HeldAudio(RATE, 30.0)
    audio.add(pcm(0, 20), event(1))
    audio.add(pcm(20, 20), event(2))
    assert places(audio.take(60)) == list(range(30))
    assert places(audio.take(60)) == list(range(30, 40))
    assert audio.take(60) == b""
    assert audio.latest == event(2)


def test_a_new_connection_gets_everything_since_the_last_final_result() -> None:
    audio = HeldAudio(RATE, 30.0)
    for n in range(5):
        audio.add(pcm(n * 20, 20), event(n))
    audio.take(1000)
    audio.settle(0.050)
    assert audio.settled_by == event(2)
    assert audio.again() == 0.050
    assert places(audio.take(1000)) == list(range(50, 100))
    assert audio.lost == 0


def test_the_event_of_a_place_is_the_one_that_its_audio_came_by() -> None:
    audio = HeldAudio(RATE, 30.0)
    for n in range(5):
        audio.add(pcm(n * 20, 20), event(n))
    audio.take(1000)
    assert [audio.event_at(at) for at in (0.001, 0.020, 0.021, 0.100)] == [event(0), event(0), event(1), event(4)]
    assert audio.event_at(9.0) == event(4)


def test_what_no_connection_took_in_time_is_counted() -> None:
    audio = HeldAudio(RATE, 0.1)
    for n in range(10):
        audio.add(pcm(n * 20, 20), event(n))
    assert audio.behind
    assert audio.again() == 0.1
    assert audio.lost == 0.1
    assert places(audio.take(1000)) == list(range(100, 200))
    assert not audio.behind


def test_what_was_sent_and_forgotten_is_lost_only_if_it_is_needed_again() -> None:
    audio = HeldAudio(RATE, 0.1)
    for n in range(10):
        audio.add(pcm(n * 20, 20), event(n))
        audio.take(1000)
    assert (audio.behind, audio.lost) == (False, 0)
    audio.settle(0.2)
    assert (audio.again(), audio.lost) == (0.2, 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 60)),
            st.tuples(st.just("take"), st.integers(2, 200)),
            st.tuples(st.just("settle"), st.integers(0, 100)),
            st.tuples(st.just("again"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_a_connection_gets_audio_without_a_gap_from_where_it_begins(steps: list[tuple[str, int]]) -> None:
    audio = HeldAudio(RATE, 1000.0)
    heard = at = settled = 0
    for what, much in steps:
        if what == "add":
            audio.add(pcm(heard, much), event(heard))
            heard += much
        elif what == "take":
            taken = places(audio.take(much - much % 2))
            assert taken == list(range(at, min(heard, at + much // 2)))
            at += len(taken)
        elif what == "settle":
            settled = max(settled, (settled * (100 - much) + at * much) // 100)
            audio.settle(settled / RATE)
        else:
            assert audio.again() == settled / RATE
            at = settled
    assert audio.lost == 0
    assert not audio.behind
    assert audio.unsettled == (heard - settled) / RATE
