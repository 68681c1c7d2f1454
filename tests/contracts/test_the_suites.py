"""The suites find what is wrong, and only that: a right agent passes, and each wrong one fails where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from echostack.providers.brain import Script, last_said
from echostack.providers.openai.server import OpenAIServer
from echostack.testing.contracts import AgentContract, AgentScript, FarEnd, FaultKind
from tests.contracts import parrot


def server(script: AgentScript) -> FarEnd:
    return OpenAIServer(brain=Script(lambda said: list(script.answer(last_said(said))), pause=script.pause))


class TestParrot(AgentContract):
    connector = parrot.Parrot

    def far_end(self, script: AgentScript) -> FarEnd:
        return server(script)


def suite(wrong: Any) -> Any:
    """A suite for ``wrong``, as an object that is not collected."""

    class Wrong(AgentContract):
        connector = wrong
        patience = 0.6

        def far_end(self, script: AgentScript) -> FarEnd:
            return server(script)

    return Wrong()


@pytest.mark.parametrize(
    ("wrong", "case", "given", "told"),
    [
        (parrot.EatsCancellation, "test_it_can_be_interrupted_at_every_await", {}, "let CancelledError through"),
        (parrot.LeavesATask, "test_a_turn_is_answered_in_order", {}, "left behind: the task Event.wait"),
        (parrot.LeavesASocket, "test_a_turn_is_answered_in_order", {}, "left behind: open: socket"),
        (
            parrot.TellsTheKey,
            "test_it_survives_the_faults_of_its_provider",
            {"kind": FaultKind.UNAVAILABLE, "after": 0},
            "the error shows a secret",
        ),
        (parrot.MarksNoEnd, "test_a_turn_is_answered_in_order", {}, "final marks the last piece"),
        (parrot.WaitsForTheWhole, "test_it_speaks_before_it_has_heard_the_end", {}, "the first piece came after"),
        (parrot.RaisesRaw, "test_a_provider_that_is_gone_is_a_failure_to_try_again", {}, "raised ConnectError"),
        (
            parrot.TakesHalfForWhole,
            "test_it_survives_the_faults_of_its_provider",
            {"kind": FaultKind.CUT, "after": 3},
            "assert",
        ),
        (parrot.AsksAboutNothing, "test_a_turn_without_words_gets_no_answer", {"blank": " "}, "assert not"),
        (parrot.RemembersTheLast, "test_it_can_be_interrupted_at_every_await", {}, "after an interruption at await"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_agent_fails(wrong: Any, case: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(AssertionError) as failed:
        getattr(suite(wrong), case)(**given)
    assert told in str(failed.value) or told == "assert"
    for kept in parrot.LeavesASocket.kept:
        kept.close()


def test_network_cases_are_not_collected_without_a_far_end() -> None:
    from tests.contracts.test_agents import TestFaq

    assert callable(TestFaq.test_a_turn_is_answered_in_order)
    assert TestFaq.test_it_survives_the_faults_of_its_provider is None
    assert TestFaq.test_it_can_be_interrupted_at_every_await is None  # nothing in it waits


def test_a_connector_of_the_network_without_a_far_end_fails() -> None:
    class Alone(AgentContract):
        connector = parrot.Parrot

    with pytest.raises(AssertionError, match="is network=True: give the suite its far_end"):
        Alone().test_a_connector_of_the_network_is_tested_against_a_far_end()
