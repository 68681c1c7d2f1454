"""The code of simulated speech: whose word a sample is, and by which name the call knows its utterance."""

from __future__ import annotations

import numpy as np
import pytest

from echostack.core.audio import AudioFormat
from echostack.runtime.resample import Resampler
from echostack.simulation.speech import (
    LOUD_NOISE,
    QUIET_NOISE,
    SILENCE,
    WORDS_AT_ONCE,
    SpeechCode,
    SpokenWord,
    coded,
    is_word,
    voiced,
)


def test_what_was_spoken_ahead_is_known_by_the_name_under_which_it_went_on_its_way() -> None:
    code = SpeechCode()
    number = code.number(SpokenWord("ships", "cloud.tts", "a guess", 0))
    assert code.name_of("a guess") == "a guess"
    code.saw(coded(number, 480), "a turn")
    assert code.name_of("a guess") == "a turn"
    assert code.name_of("another") == "another"


def test_audio_that_is_no_coded_speech_or_has_no_name_names_nothing() -> None:
    code = SpeechCode()
    number = code.number(SpokenWord("ships", "cloud.tts", "a guess", 0))
    code.saw(b"", "a turn")
    code.saw(coded(number + 1, 480), "a turn")
    code.saw(coded(number, 480), "")
    assert code.name_of("a guess") == "a guess"


def test_every_word_has_a_number_of_its_own_until_all_numbers_are_taken() -> None:
    code = SpeechCode()
    numbers = [code.number(SpokenWord(f"w{n}", "a.tts", "m", n, samples=100, rate=100)) for n in range(WORDS_AT_ONCE)]
    assert (numbers[0], min(numbers), max(numbers), len(set(numbers))) == (1, -32_768, 32_767, 65_533)
    assert all(is_word(number) and voiced(number) for number in numbers)
    assert not {SILENCE, QUIET_NOISE, LOUD_NOISE} & set(numbers)
    assert [code.word(number).index for number in numbers] == list(range(65_533))  # type: ignore[union-attr]
    assert not code.full


def test_a_word_that_is_still_to_sound_keeps_its_number() -> None:
    code = SpeechCode()
    for n in range(WORDS_AT_ONCE):
        code.number(SpokenWord(f"w{n}", "a.tts", "m", n, samples=100, rate=100))
    new = SpokenWord("new", "b.tts", "n", 0, samples=100, rate=100)
    assert code.number(new, 600.0) == SILENCE  # the first of all is over after a second, and may be late
    assert code.full
    assert code.word(1) == SpokenWord("w0", "a.tts", "m", 0, samples=100, rate=100)
    assert code.number(new, 601.0) == 1
    assert code.word(1) == new
    assert code.number(new, 601.5) == SILENCE


@pytest.mark.parametrize("value", [-3, -129, -30_001, -32_768, 30_001, 32_767])
def test_a_resampler_keeps_the_number_of_a_word_within_it(value: int) -> None:
    for source, target in ((24_000, 16_000), (16_000, 24_000), (22_050, 48_000), (16_000, 8_000)):
        resampler = Resampler(AudioFormat(source), AudioFormat(target))
        pcm = resampler.push(coded(value, source)) + resampler.flush()
        middle = np.frombuffer(pcm, dtype="<i2")[target // 10 : -target // 10]
        assert set(middle.tolist()) == {value}
