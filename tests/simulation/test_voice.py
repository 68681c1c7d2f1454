"""A voice that can really be heard: spoken or recorded, in frames that say which word they belong to."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.errors import UsageError
from echostack.core.span import Span
from echostack.simulation.voice import framed, recorded


def wav(path: Path, samples: int, rate: int = 16_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\1\0" * samples)


def test_a_recording_beside_the_scenario_is_read_at_the_rate_of_the_line(tmp_path: Path) -> None:
    wav(tmp_path / "hello.wav", 800, 8_000)
    place = Span(str(tmp_path / "calls.echo"), 3, 1, 3, 9)
    assert len(recorded("hello.wav", 16_000, place)) == 2 * 1600


@pytest.mark.parametrize("path", ["../hello.wav", "/hello.wav", "sub/../../hello.wav"])
def test_a_recording_outside_the_project_is_refused(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    wav(tmp_path / "hello.wav", 800)
    place = Span(str(inside / "calls.echo"), 3, 1, 3, 9)
    with pytest.raises(UsageError) as told:
        recorded(path, 16_000, place)
    assert str(told.value) == (f"{place}: {path} lies outside the project's folder: put the recording beside this file")


def test_a_recording_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    place = Span(str(tmp_path / "calls.echo"), 3, 1, 3, 9)
    with pytest.raises(UsageError, match=r"calls\.echo:3:1: .*gone\.wav: there is no such file"):
        recorded("gone.wav", 16_000, place)


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 2000)), min_size=1, max_size=6), st.integers(80, 960))
def test_frames_hold_all_samples_and_each_names_a_word_that_is_in_it(words: list[tuple[int, int]], size: int) -> None:
    pcm = b"".join(number.to_bytes(2, "little") * count for number, count in words)
    frames = list(framed(pcm, words, size))
    assert b"".join(frame for frame, _ in frames) == pcm
    for frame, track in frames:
        assert int(track[1:]).to_bytes(2, "little") in {frame[i : i + 2] for i in range(0, len(frame), 2)}
