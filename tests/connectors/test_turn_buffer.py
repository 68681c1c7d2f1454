"""The caller's turn as audio: nothing of it is lost, nothing grows without bound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from echostack.connectors.pcm import Floats, to_float, to_pcm
from echostack.connectors.speech_gate import SpeechGate
from echostack.connectors.turn_buffer import Piece, Take, TurnBuffer
from tests.connectors.harness import joined, silence, speech

RATE = 16_000


def buffer(look_ms: int = 300, longest_s: float = 15.0, endpoint_ms: int = 400) -> TurnBuffer:
    gate = SpeechGate(RATE, mode=2, gate_db=-45, start_ms=60, hangover_ms=endpoint_ms, who="test")
    return TurnBuffer(gate, look_ms=look_ms, longest_s=longest_s)


def feed(turns: TurnBuffer, wave: Floats, size: int = 640) -> list[Take]:
    pcm, takes = to_pcm(wave), []
    for at in range(0, len(pcm), size):
        takes += turns.feed(pcm[at : at + size])
        look = turns.look()
        if look is not None:
            takes.append(look)
    last = turns.end()
    return takes if last is None else [*takes, last]


def test_a_turn_holds_its_speech_with_a_lead_and_a_tail() -> None:
    wave = joined(silence(1.0), speech("Yes, please book it."), silence(1.0))
    turn = [t for t in feed(buffer(), wave) if t.piece is Piece.TURN]
    assert len(turn) == 1
    take = turn[0]
    assert take.start - take.first == 0.3 * RATE
    assert take.last - take.end == 0.16 * RATE
    assert to_pcm(wave)[2 * take.first : 2 * take.last] == take.pcm
    assert take.quiet >= 0.4 * RATE


def test_the_look_at_the_settled_silence_covers_what_the_turn_covers() -> None:
    takes = feed(buffer(look_ms=0), joined(silence(0.5), speech("Yes, please book it."), silence(1.0)))
    look, turn = takes[-2:]  # a pause between two words may have had a look of its own
    assert (look.piece, turn.piece) == (Piece.LOOK, Piece.TURN)
    assert (look.first, look.last, look.pcm) == (turn.first, turn.last, turn.pcm)


def test_looks_come_at_the_pace_asked_for() -> None:
    takes = feed(buffer(look_ms=500), joined(silence(0.5), speech("Hello there, how are you?"), silence(1)))
    lengths = [t.last - t.first for t in takes if t.piece is Piece.LOOK]
    assert lengths == sorted(lengths)
    assert 2 <= len(lengths) <= 5


def test_no_look_is_given_while_silence_may_be_about_to_settle() -> None:
    """It would keep the model from the look that stands for the turn's end."""
    pcm, turns = to_pcm(joined(silence(0.5), speech("Stop!"), silence(0.8))), buffer(look_ms=20)
    for at in range(0, len(pcm), 640):
        turns.feed(pcm[at : at + 640])
        quiet = turns._gate.quiet if turns._gate.speaking else 0
        assert (turns.look() is None) or quiet == 0 or quiet >= 0.16 * RATE


def test_looks_come_less_often_when_they_are_asked_to() -> None:
    wave = joined(silence(0.5), speech("I forgot my password and I cannot log in to my account."), silence(1))
    seldom = buffer(look_ms=100)
    seldom.slow_down(1.0)
    assert len(feed(seldom, wave)) < 0.5 * len(feed(buffer(look_ms=100), wave))


def test_the_end_of_the_audio_ends_the_turn() -> None:
    takes = feed(buffer(look_ms=0), joined(silence(0.5), speech("Yes, please book it.")[:8_000]))
    assert [t.piece for t in takes] == [Piece.TURN]


def test_no_audio_gives_nothing() -> None:
    assert feed(buffer(), silence(0.0)) == []
    assert feed(buffer(), silence(30.0)) == []


def test_silence_of_an_hour_is_not_kept() -> None:
    turns = buffer()
    for _ in range(3_600):
        turns.feed(bytes(2 * RATE))
    assert len(turns._audio) <= 2 * RATE


def test_a_turn_without_a_pause_is_cut_and_no_sample_is_lost_or_doubled() -> None:
    words = speech("I would like to book a table for two people tomorrow evening at seven and then")
    wave = joined(silence(0.5), *[words] * 5, silence(1.0))
    turns = buffer(look_ms=0, longest_s=4.0)
    takes = [t for t in feed(turns, wave) if t.piece is not Piece.LOOK]
    assert [t.piece for t in takes[:-1]] == [Piece.SEGMENT] * (len(takes) - 1)
    assert takes[-1].piece is Piece.TURN
    assert len(takes) >= 4
    assert all(a.last == b.first for a, b in pairwise(takes))
    assert b"".join(t.pcm for t in takes) == to_pcm(wave)[2 * takes[0].first : 2 * takes[-1].last]
    assert all(len(t.pcm) <= 2 * 4.1 * RATE for t in takes)


def test_a_forced_cut_falls_into_a_pause_when_there_is_one() -> None:
    tone = (0.2 * np.sin(np.arange(RATE * 3) * 0.08)).astype(np.float32)
    gap = silence(0.2)
    wave = joined(speech("Hello there")[:4000], tone[: RATE * 2], gap, tone[: RATE // 2], tone)
    turns = buffer(look_ms=0, longest_s=4.0)
    turns._gate._noise.take = lambda power: 0.0  # type: ignore[method-assign]  # a steady tone is speech here
    turns._gate._detector = type("Yes", (), {"is_speech": lambda *_: True, "set_mode": lambda *_: None})()
    segment = next(t for t in feed(turns, wave) if t.piece is Piece.SEGMENT)
    gap_at = 4000 + 2 * RATE
    assert gap_at <= segment.last <= gap_at + 0.2 * RATE


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=40))
@settings(max_examples=25)
def test_the_cutting_of_the_audio_changes_no_turn(sizes: list[int]) -> None:
    wave = joined(silence(0.4), speech("Stop!"), silence(0.7))
    want = [t for t in feed(buffer(look_ms=0), wave) if t.piece is Piece.TURN]
    pcm, turns, got, at = to_pcm(wave), buffer(look_ms=0), [], 0
    for size in sizes:
        got += turns.feed(pcm[at : at + size])
        at += size
    got += turns.feed(pcm[at:])
    last = turns.end()
    assert [*got, *([last] if last else [])] == want
    assert np.abs(to_float(want[0].pcm)).max() > 0.1
