"""What is made of settings is made once for one object, bounded, and keeps nothing of a call."""

from __future__ import annotations

from echostack.connectors.compiled import KEPT, PerSettings
from echostack.connectors.faq_dialogue import Dialogue
from echostack.connectors.faq_settings import FaqSettings
from echostack.registry import ConnectorSettings


class Nothing(ConnectorSettings):
    """Settings by which only objects differ."""


def test_it_is_made_once_for_one_object_and_anew_for_another() -> None:
    made: list[Nothing] = []

    def make(settings: Nothing) -> list[Nothing]:
        made.append(settings)
        return [settings]

    of, first, second = PerSettings(make), Nothing(), Nothing()
    assert of(first) is of(first)
    assert of(second) is not of(first)
    assert len(made) == 2


def test_the_oldest_is_forgotten() -> None:
    made: list[Nothing] = []
    of = PerSettings(lambda settings: made.append(settings) or len(made))
    every = [Nothing() for _ in range(KEPT + 1)]
    numbers = [of(settings) for settings in every]
    assert [of(settings) for settings in every[1:]] == numbers[1:]
    assert of(every[0]) == KEPT + 2, "it was made again"


def test_two_calls_with_one_settings_object_remember_nothing_of_each_other() -> None:
    settings = FaqSettings.model_validate({"facts": [{"ask": ["when are you open"], "say": "From noon until ten."}]})
    first, second = Dialogue(settings), Dialogue(settings)
    assert first.answer("when are you open", {}) == "From noon until ten."
    assert first.answer("can you repeat that", {}) == "From noon until ten."
    assert "From noon until ten." not in second.answer("can you repeat that", {})
