"""faq.agent in conversation: what it answers, asks, remembers, and admits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from echostack.connectors.faq_agent import FaqAgent
from echostack.connectors.faq_settings import FaqSettings
from echostack.core.payloads import AgentMessage, AgentMessagePartial, CallStarted, Text
from echostack.registry import Turn
from tests.connectors.harness import FakeClock, FakeContext

OPEN = "We are open from noon until ten. On Mondays we are closed."
PRICE = "The set lunch is eighteen dollars."
MORE = "Is there anything else?"
SETTINGS: dict[str, Any] = {
    "greeting": "Hello, this is Harbour Kitchen. How can I help?",
    "synonyms": {"price": ["cost", "how much", "charge"]},
    "follow_ups": MORE,
    "fallback": ["I do not know that.", "I cannot answer that."],
    "facts": [
        {"ask": ["what are your opening hours", "when are you open", "what time do you close"], "say": OPEN},
        {"ask": ["what are your prices", "how much is lunch", "how much does dinner cost"], "say": PRICE},
        {"ask": "where are you", "say": "We are at twelve Harbour Street."},
        {"ask": ["is there parking", "where can I park"], "say": "You can park behind the house."},
        "Dogs are welcome on the terrace.",
    ],
    "rules": [
        {
            "id": "book",
            "when": ["book a table", "reserve a table", "make a booking", "a table for {people}"],
            "needs": {
                "people": "For how many people?",
                "time": "At what time?",
                "name": "What name shall I put it under?",
            },
            "confirm": "A table for {people} at {time} for {name}, is that right?",
            "say": "Your table is booked, {name}.",
            "set": {"booked": "{people} at {time}"},
        },
        {"when": "my name is {name}", "say": "Nice to meet you, {name}."},
        {"id": "joke", "when": "tell [me] a joke", "say": "Knock, knock."},
        {"when": "who is there", "after": "joke", "say": "Tank."},
        {"id": "chain", "when": "surprise me", "say": "Right.", "then": "joke"},
    ],
}


class Call:
    """A conversation with the agent, line by line."""

    def __init__(self, **changes: Any) -> None:
        self.context: Any = FakeContext(FakeClock())
        self.agent = FaqAgent(FaqSettings.model_validate({**SETTINGS, **changes}), self.context)

    def say(self, text: str, **fields: Any) -> str:
        whole = [p.text for p in self.agent(Text(text, **fields)) if isinstance(p, AgentMessage)]
        assert len(whole) <= 1
        return whole[0] if whole else ""

    @property
    def slots(self) -> dict[str, Any]:
        slots: dict[str, Any] = self.context.conversation.slots
        return slots


def test_an_answer_leaves_by_sentences_then_whole_under_one_id() -> None:
    pieces = Call(follow_ups=[], interruptible=False).agent(Text("what are your opening hours"))
    assert pieces == (
        AgentMessagePartial("We are open from noon until ten.", "node-1", False, False, "en"),
        AgentMessagePartial("On Mondays we are closed.", "node-1", True, False, "en"),
        AgentMessage(OPEN, "node-1", False, "en"),
    )


def test_it_greets_when_the_call_starts() -> None:
    call = Call()
    pieces = call.agent(CallStarted("x"))
    assert [p.text for p in pieces] == [
        "Hello, this is Harbour Kitchen.", "How can I help?", "Hello, this is Harbour Kitchen. How can I help?",
    ]  # fmt: skip
    assert call.say("pardon?") == "Hello, this is Harbour Kitchen. How can I help?"
    assert Call(greeting="").agent(CallStarted("x")) == ()


def test_a_whole_call() -> None:
    call = Call()
    assert call.say("Hi, what are your opening hours?") == f"{OPEN} {MORE}"
    assert call.say("And how much is lunch?") == PRICE
    assert call.say("Great, I'd like to book a table for four people.") == "At what time?"
    assert call.say("What time do you close?") == f"{OPEN} At what time?"
    assert call.say("At half past seven.") == "What name shall I put it under?"
    assert call.say("My name is Anna Smith.") == "A table for 4 at 7:30 for Anna Smith, is that right?"
    assert call.say("Yes, that's right.") == f"Your table is booked, Anna Smith. {MORE}"
    assert call.slots == {"people": "4", "time": "7:30", "name": "Anna Smith", "booked": "4 at 7:30"}
    assert call.say("Can you repeat that, please?") == f"Your table is booked, Anna Smith. {MORE}"
    assert call.say("What did I say?") == "You said: Yes, that's right."
    assert call.say("No, thank you, that's all.") == "All right. Thank you for calling, and goodbye!"
    assert call.say("Bye!") == "Thank you for calling. Goodbye!"


def test_everything_in_one_breath_and_a_correction() -> None:
    call = Call()
    said = call.say("Um, I would like to reserve a cable for two at eight, under the name of Miller.")
    assert said == "A table for 2 at 8 o'clock for Miller, is that right?"
    assert call.say("No, make it nine o'clock.") == "A table for 2 at 9 o'clock for Miller, is that right?"
    assert call.say("No.") == "What should I change?"
    assert call.say("There are three of us.") == "A table for 3 at 9 o'clock for Miller, is that right?"
    assert call.say("yes please") == f"Your table is booked, Miller. {MORE}"
    assert call.say("I want to book a table for six people") == "At what time?"  # the name is known, the rest is new
    assert call.say("noon") == "A table for 6 at noon for Miller, is that right?"


def test_a_form_can_be_left_and_gives_up_in_the_end() -> None:
    call = Call()
    assert call.say("book a table") == "For how many people?"
    assert call.say("never mind") == "All right, I have left that. Is there anything else?"
    assert call.say("four") == "I do not know that."
    assert call.say("book a table") == "For how many people?"
    assert call.say("hello") == "For how many people?"
    assert call.say("purple") == "Sorry, I did not get that. For how many people?"
    assert call.say("elephants") == "Sorry, I did not get that. For how many people?"
    assert call.say("singing") == "I am sorry, I could not get that. Let us leave it for now."
    assert call.say("four") == "I cannot answer that."


def test_goodbye_ends_a_form() -> None:
    call = Call()
    call.say("book a table")
    assert call.say("goodbye") == "Thank you for calling. Goodbye!"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("what are your opening ours", OPEN),
        ("what are you openning hour", OPEN),
        ("um when uh are you like open", OPEN),
        ("wear can I park", "You can park behind the house."),
        ("is there any barking", "You can park behind the house."),
        ("how much does the diner cost", PRICE),
        ("what do you charge for lunch", PRICE),
        ("where are you located", "We are at twelve Harbour Street."),
        ("can I bring my dog", "Dogs are welcome on the terrace."),
    ],
)
def test_recogniser_errors_and_other_words(said: str, answer: str) -> None:
    assert Call(follow_ups=[]).say(said) == answer


@pytest.mark.parametrize(
    "said",
    [
        "What is the capital of France?", "Do you sell cars?", "I don't want to book a table", "sing me a song",
        "the quick brown fox jumps over the lazy cat", "who is there", "is the president at home", "blue",
        "can you fly to the moon", "what is the meaning of life", "hello my old car has broken down again",
    ],
)  # fmt: skip
def test_it_says_that_it_does_not_know(said: str) -> None:
    assert Call().say(said) == "I do not know that."


def test_fallback_lines_take_turns() -> None:
    call = Call()
    assert [call.say("blah") for _ in range(3)] == [
        "I do not know that.",
        "I cannot answer that.",
        "I do not know that.",
    ]


def test_two_questions_in_one_breath() -> None:
    said = Call().say("Is there parking, and how much is lunch?")
    assert said == f"You can park behind the house. {PRICE} {MORE}"


@pytest.mark.parametrize("said", ["", "   ", "um", "uh, er...", "?!"])
def test_nothing_said_gets_no_answer(said: str) -> None:
    assert Call().agent(Text(said)) == ()


def test_unsure_recognition_is_asked_again() -> None:
    call = Call(min_confidence=0.5)
    assert call.say("what are your opening hours", confidence=0.2) == "Sorry, I did not get that."
    assert call.say("what are your opening hours", confidence=0.9) == f"{OPEN} {MORE}"


def test_small_talk_and_its_own_words() -> None:
    call = Call(small_talk={"thanks": "Any time."})
    assert call.say("Hello?") == "Hello! How can I help you?"
    assert call.say("how are you today") == "I am well, thank you. How can I help you?"
    assert call.say("are you a robot?") == "I am an automated assistant. How can I help you?"
    assert call.say("thanks a lot") == "Any time."
    assert call.say("okay") == "Is there anything else I can help you with?"
    assert call.say("no") == "All right. Thank you for calling, and goodbye!"
    assert Call(small_talk=False).say("hello") == "I do not know that."


def test_yes_after_an_offer_invites_the_question() -> None:
    call = Call()
    assert call.say("is there parking").endswith(MORE)
    assert call.say("yes") == "Of course. What would you like to know?"


def test_rules_chain_and_follow_one_another() -> None:
    call = Call(follow_ups=[])
    assert call.say("surprise me") == "Right. Knock, knock."
    call = Call(follow_ups=[])
    assert call.say("tell me a joke") == "Knock, knock."
    assert call.say("who is there?") == "Tank."


def test_repeating_goes_by_what_the_caller_heard() -> None:
    call = Call(follow_ups=[])
    conversation = call.context.conversation
    assert call.say("say that again") == "I have not said anything yet."
    call.say("what are your opening hours")
    conversation.turns = (
        Turn("caller", "what are your opening hours", 0, 1),
        Turn("agent", "We are open from noon until ten. On Mon", 1, 2, cut=True, utterance="node-2"),
        Turn("caller", "go on", 2, 3),
    )
    assert call.say("go on") == "On Mondays we are closed."
    assert call.say("repeat that") == OPEN
    conversation.turns = (Turn("agent", "Please hold the line.", 3, 4, utterance="other-1"),)
    assert call.say("what did you say?") == "Please hold the line."


def test_what_did_i_say_with_nothing_before() -> None:
    call = Call()
    assert call.say("what did I say") == "I have not heard anything from you before that."
    call.context.conversation.turns = (Turn("caller", "first", 0, 1), Turn("caller", "what did I say", 1, 2))
    assert call.say("what did I say") == "You said: first"


def test_words_of_the_caller_are_never_read_as_a_template() -> None:
    call = Call(rules=[{"when": "remember {thing:words}", "say": "I will remember {thing}."}], follow_ups=[])
    assert call.say("remember {name} {thing} {{x}}") == "I will remember name thing x."


def test_a_line_whose_slots_are_known_goes_first() -> None:
    rules = [{"when": "status", "say": ["Dear {name}, all is well.", "All is well."]}]
    call = Call(rules=rules, follow_ups=[])
    assert call.say("status") == "All is well."
    call.slots["name"] = "Zoe"
    assert call.say("status") == "Dear Zoe, all is well."


def test_a_long_passage_is_answered_with_the_sentence_that_fits() -> None:
    passage = (
        "We began in 1990. The house was a mill. The garden has sixty chairs. It is heated in winter. Cats live here."
    )
    call = Call(facts=[passage], follow_ups=[])
    assert call.say("how many chairs are in the garden") == "The garden has sixty chairs. It is heated in winter."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rules": [{"when": "x y", "say": "a", "then": "no"}]},
            "a rule names the rule 'no', which there is not: there are ",
        ),
        (
            {"rules": [{"id": "a", "when": "x y", "say": "a"}, {"id": "a", "when": "z", "say": "b"}]},
            "two rules have the id 'a'",
        ),
        ({"rules": [{"say": "a"}]}, "a rule needs when, or an id that another rule's then names"),
        ({"rules": [{"when": "a"}]}, "a rule needs something to do: say, needs, set or then"),
        (
            {"rules": [{"when": "a", "say": "b", "confirm": "c?"}]},
            "confirm goes with needs: there is nothing to confirm",
        ),
        (
            {"rules": [{"when": "{x}", "say": "b"}]},
            "the pattern '{x}' has no word of its own, so it would match anything",
        ),
        ({"rules": [{"when": "x", "say": "a {"}]}, "'a {' has a single '{': write {{ for a brace, {name} for a field"),
        (
            {"rules": [{"when": "x", "say": "a", "kinds": {"y": "time"}}]},
            "kinds says that 'y' is a time, but neither when nor needs has it",
        ),
        (
            {"small_talk": {"helo": "x"}},
            "small_talk has no 'helo': there are hello, how_are_you, thanks, bye, done, who, ok, go_ahead, cancelled, "
            "nothing_said, nothing_heard, you_said, pardon, gave_up, change",
        ),
        ({"synonyms": {"two words": ["x"]}}, "synonyms stand under one word, not under 'two words'"),
    ],
)
def test_settings_that_cannot_work_say_why(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FaqSettings.model_validate({**SETTINGS, **changes})
    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"


SAID = st.lists(
    st.sampled_from(
        [
            "book",
            "a",
            "table",
            "for",
            "four",
            "seven",
            "people",
            "at",
            "half",
            "past",
            "yes",
            "no",
            "not",
            "name",
            "is",
            "my",
            "anna",
            "never",
            "mind",
            "what",
            "did",
            "you",
            "say",
            "repeat",
            "that",
            "thanks",
            "bye",
            "hello",
            "open",
            "hours",
            "price",
            "lunch",
            "park",
            "dog",
            "um",
            "go",
            "on",
            "who",
            "there",
            "joke",
            "friday",
            "one",
            "two",
        ]
    ),
    max_size=9,
).map(" ".join)
LINES = st.lists(SAID | st.text(max_size=40), max_size=8)


@given(LINES)
def test_any_conversation_gets_whole_answers_and_nothing_unfilled(lines: list[str]) -> None:
    call = Call()
    for line in lines:
        pieces = call.agent(Text(line))
        if not pieces:
            continue
        *parts, whole = pieces
        assert isinstance(whole, AgentMessage)
        assert " ".join(p.text for p in parts) == whole.text
        assert {p.id for p in pieces} == {whole.id}
        assert [p.final for p in parts if isinstance(p, AgentMessagePartial)] == [False] * (len(parts) - 1) + [True]
        echoed = whole.text.startswith("You said:")
        assert echoed or ("{" not in whole.text and "  " not in whole.text), whole.text


@given(LINES)
def test_the_same_conversation_gets_the_same_answers(lines: list[str]) -> None:
    first, second = Call(), Call()
    assert [first.say(x) for x in lines] == [second.say(x) for x in lines]


LINES = st.sampled_from(
    [
        "when are you open", "how much is lunch", "book a table", "for four", "at seven", "Anna", "yes", "no", "cancel",
        "tell me a joke", "who is there", "repeat that", "what did I say", "my name is Bob", "blah blah", "and now",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=6), LINES, st.lists(LINES, min_size=1, max_size=4))
def test_what_was_asked_on_a_wrong_guess_is_forgotten(before: list[str], guess: str, after: list[str]) -> None:
    straight, astray = Call(), Call()
    for call in (straight, astray):
        for line in before:
            call.agent(Text(line))
    slots = copy.deepcopy(astray.context.conversation.slots)
    kept = astray.agent.snapshot()
    astray.agent(Text(guess))
    astray.agent.restore(kept)
    astray.context.conversation.slots.clear()
    astray.context.conversation.slots.update(slots)
    assert [straight.agent(Text(line)) for line in after] == [astray.agent(Text(line)) for line in after]
