"""The code of simulated speech: whose word a sample is, and by which name the call knows its utterance."""

from __future__ import annotations

from echostack.simulation.speech import SpeechCode, SpokenWord, coded


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
