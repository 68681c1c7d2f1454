"""What all chat agents do, with a model that says what the test writes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import CUT_NOTE, ChatSettings, tool_ports
from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Prompt, Spent, Writing
from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    CallStarted,
    Text,
    ToolCall,
    ToolCallPartial,
    ToolResult,
    Usage,
)
from echostack.registry import Out, Turn
from tests.connectors.harness import FakeContext

TOOLS = {
    "book": {
        "description": "Books a table.",
        "parameters": {"people": {"type": "integer", "minimum": 1}},
        "required": ["people"],
    },
    "find": {"description": "Finds an answer."},
}


class Model:
    """Answers with the next of ``answers``; an exception among the deltas is raised in its place."""

    def __init__(self, *answers: Sequence[Delta | Exception]) -> None:
        self.answers = list(answers)
        self.prompts: list[Prompt] = []
        self.closed = 0
        self.opened = False

    async def open(self) -> None:
        self.opened = True

    async def close(self) -> None:
        self.opened = False

    async def answer(self, prompt: Prompt) -> AsyncIterator[Delta]:
        self.prompts.append(prompt)
        try:
            for delta in self.answers.pop(0):
                if isinstance(delta, Exception):
                    raise delta
                yield delta
        finally:
            self.closed += 1


def agent(model: Model, context: FakeContext | None = None, **given: Any) -> ChatAgent:
    return ChatAgent(ChatSettings.model_validate({"tools": TOOLS, **given}), context or FakeContext(), model)


async def heard(agent: ChatAgent, event: Any) -> list[Any]:
    """What the agent gives for one event: payloads, and (port, payload) of what leaves by a port."""
    return [(o.port, o.payload) if isinstance(o, Out) else o async for o in agent(event)]


def spoken(outputs: list[Any]) -> list[str]:
    return [o.text for o in outputs if isinstance(o, AgentMessagePartial)]


async def test_an_answer_is_said_piece_by_piece_then_whole_under_one_id() -> None:
    model = Model([Piece("It is open. "), Piece("Come "), Piece("by!"), Spent(Usage("m", 5, 3)), Ended("end")])
    a = agent(model)
    await a.open()
    assert await heard(a, Text("hi")) == [
        AgentMessagePartial("It is open.", "node-1", language="en"),
        Usage("m", 5, 3),
        AgentMessagePartial("Come by!", "node-1", final=True, language="en"),
        AgentMessage("It is open. Come by!", "node-1", language="en"),
    ]
    assert model.prompts[0].system.endswith(CUT_NOTE)
    assert [t.name for t in model.prompts[0].tools] == ["book", "find"]
    assert model.closed == 1
    await a.close()
    assert not model.opened


async def test_a_message_whose_last_piece_is_out_is_ended_by_an_empty_one() -> None:
    a = agent(Model([Piece("It is open.\n"), Ended("end")]))
    assert (await heard(a, Text("hi")))[1] == AgentMessagePartial("", "node-1", final=True, language="en")


@pytest.mark.parametrize("text", ["", "  \n", "👋", "..."])
async def test_an_empty_answer_says_nothing_and_is_logged(text: str) -> None:
    context = FakeContext()
    assert await heard(agent(Model([Piece(text), Ended("end")]), context), Text("hi")) == []
    assert context.logs == [("the model answered with nothing that could be said", {})]


async def test_a_bound_of_tokens_that_leaves_no_word_is_an_error_that_says_so() -> None:
    with pytest.raises(ConnectorFailure) as failure:
        await heard(agent(Model([Ended("length")]), max_tokens=20), Text("hi"))
    assert not failure.value.retryable
    assert str(failure.value) == (
        "node: the model used all of max_tokens (20) without a word that could be said: raise max_tokens, or have it "
        "think less"
    )


async def test_a_turn_without_words_is_not_asked_about() -> None:
    model = Model()
    assert await heard(agent(model), Text("  ")) == []
    assert model.prompts == []


async def test_the_greeting_is_said_without_the_model() -> None:
    assert spoken(await heard(agent(Model(), greeting="Hello! Who is there?"), CallStarted())) == [
        "Hello!", "Who is there?",
    ]  # fmt: skip
    assert await heard(agent(Model()), CallStarted()) == []


async def test_calls_leave_by_the_port_of_their_tool_as_soon_as_they_are_whole() -> None:
    model = Model(
        [
            Piece("One moment"), Writing("c1", "book", ""), Writing("c1", "book", '{"peo'),
            Call("c1", "book", {"people": 2}), Call("c2", "find", {}), Ended("tools"),
        ],
        [Piece("Done."), Ended("end")],
    )  # fmt: skip
    a = agent(model)
    assert await heard(a, Text("book")) == [
        AgentMessagePartial("One moment", "node-1", final=True, language="en"),
        AgentMessage("One moment", "node-1", language="en"),
        ("book", ToolCallPartial("book", "c1", "")),
        ("book", ToolCallPartial("book", "c1", '{"peo')),
        ("book", ToolCall("book", "c1", {"people": 2})),
        ("find", ToolCall("find", "c2", {})),
    ]
    # In whatever order they come; nothing is said before all are there.
    assert await heard(a, ToolResult("find", "c2", {"a": [1]})) == []
    assert spoken(await heard(a, ToolResult("book", "c1", error="no table"))) == ["Done."]
    last = model.prompts[1].said[-1]
    assert [(r.id, r.text, r.failed) for r in last.results] == [("c1", "no table", True), ("c2", '{"a":[1]}', False)]
    # Again, and unknown ones: nobody speaks.
    assert await heard(a, ToolResult("find", "c2", "x")) == []
    assert await heard(a, ToolResult("find", "c9", "x")) == []


async def test_a_call_that_cannot_be_made_goes_back_to_the_model_without_leaving() -> None:
    model = Model(
        [Call("c1", "fly", {}), Call("c2", "book", {"people": "two"}), Call("c3", "book", {"people": 1, "x": 1}),
         Ended("tools")],
        [Piece("Sorry."), Ended("end")],
    )  # fmt: skip
    assert spoken(await heard(agent(model), Text("fly me"))) == ["Sorry."]
    assert [(r.text, r.failed) for r in model.prompts[1].said[-1].results] == [
        ("There is no tool 'fly'; there are: book, find.", True),
        ("The arguments do not fit: $.people: 'two' is not of type 'integer'", True),
        ("The arguments do not fit: $: Additional properties are not allowed ('x' was unexpected)", True),
    ]


async def test_one_bad_call_among_good_ones_waits_for_them() -> None:
    model = Model(
        [Call("c1", "fly", {}), Call("c2", "find", {}), Ended("tools")], [Piece("So."), Ended("end")]
    )  # fmt: skip
    a = agent(model)
    assert await heard(a, Text("x")) == [("find", ToolCall("find", "c2", {}))]
    assert spoken(await heard(a, ToolResult("find", "c2", "found"))) == ["So."]


async def test_a_model_that_asks_for_tools_for_ever_fails() -> None:
    model = Model(*[[Call(f"c{n}", "find", {}), Ended("tools")] for n in range(3)])
    a = agent(model, tool_rounds=2)
    await heard(a, Text("x"))
    await heard(a, ToolResult("find", "c0", ""))
    with pytest.raises(ConnectorFailure) as failure:
        await heard(a, ToolResult("find", "c1", ""))
    assert str(failure.value) == (
        "node: the model asked for tools 3 times in one turn without an answer; say in system when to stop, or raise "
        "tool_rounds"
    )
    assert not failure.value.retryable


async def test_a_result_of_a_dead_turn_is_kept_and_does_not_make_the_model_speak() -> None:
    context = FakeContext()
    model = Model([Call("c1", "find", {}), Ended("tools")], [Piece("Sure."), Ended("end")])
    a = agent(model, context)
    context.conversation.turns = (Turn("caller", "find it", 0, 1),)
    await heard(a, Text("find it", start=0, end=1))
    context.live = False
    assert await heard(a, ToolResult("find", "c1", "found")) == []
    context.live = True
    context.conversation.turns += (Turn("caller", "well?", 2, 3),)
    assert spoken(await heard(a, Text("well?", start=2, end=3))) == ["Sure."]
    assert [(s.role, s.text, [r.text for r in s.results]) for s in model.prompts[1].said] == [
        ("user", "find it", []), ("assistant", "", []), ("user", "well?", ["found"]),
    ]  # fmt: skip


async def test_a_failure_before_the_first_word_leaves_no_trace_so_that_it_can_be_tried_again() -> None:
    broken = ConnectorFailure("gone")
    model = Model(
        [broken], [Call("c1", "find", {}), Ended("tools")], [broken], [Piece("Found."), Ended("end")]
    )  # fmt: skip
    a = agent(model)
    before = a.snapshot()
    with pytest.raises(ConnectorFailure, match="gone"):
        await heard(a, Text("x"))
    assert a.snapshot()[0] == before[0]
    assert await heard(a, Text("x")) == [("find", ToolCall("find", "c1", {}))]
    with pytest.raises(ConnectorFailure, match="gone"):
        await heard(a, ToolResult("find", "c1", "here"))
    assert spoken(await heard(a, ToolResult("find", "c1", "here"))) == ["Found."]
    assert model.prompts[2].said == model.prompts[3].said


async def test_an_answer_that_breaks_after_a_call_has_left_goes_on_with_its_result() -> None:
    model = Model([Call("c1", "find", {}), ConnectorFailure("gone")], [Piece("Found."), Ended("end")])
    a = agent(model)
    with pytest.raises(ConnectorFailure, match="gone"):
        await heard(a, Text("x"))
    assert spoken(await heard(a, ToolResult("find", "c1", "here"))) == ["Found."]


def two_agents(one: Model, two: Model, **given: Any) -> tuple[ChatAgent, ChatAgent]:
    """Two members of one choice; ``given`` are settings of the second."""
    first, second = FakeContext(), FakeContext()
    second.shared, second.node, second.conversation = first.shared, "other", first.conversation
    first.choice = second.choice = "node ?? other"
    return agent(one, first), agent(two, second, **given)


def in_short(prompt: Prompt) -> list[tuple[str, list[str], list[str]]]:
    return [(s.text, [c.id for c in s.calls], [r.text for r in s.results]) for s in prompt.said]


async def test_another_agent_goes_on_where_one_failed_in_the_middle_of_a_turn() -> None:
    model = Model([Piece("Found."), Ended("end")])
    one, two = two_agents(Model([Call("c1", "find", {}), Ended("tools")], [ConnectorFailure("gone")]), model)
    await heard(one, Text("x"))
    with pytest.raises(ConnectorFailure, match="gone"):
        await heard(one, ToolResult("find", "c1", "here"))
    assert spoken(await heard(two, ToolResult("find", "c1", "here"))) == ["Found."]
    assert in_short(model.prompts[0]) == [("x", [], []), ("", ["c1"], []), ("", [], ["here"])]


async def test_another_agent_goes_on_with_a_call_although_the_one_that_made_it_is_not_asked_again() -> None:
    """The one that asked rests, or the one before it has come back, when the result arrives."""
    model = Model([Piece("Found."), Ended("end")], [Piece("And more."), Ended("end")])
    one, two = two_agents(Model([Call("c1", "find", {}), Ended("tools")]), model)
    await heard(one, Text("x"))
    assert spoken(await heard(two, ToolResult("find", "c1", "here"))) == ["Found."]
    assert in_short(model.prompts[0]) == [("x", [], []), ("", ["c1"], []), ("", [], ["here"])]
    one._context.conversation.turns = (Turn("caller", "x", 0, 1), Turn("caller", "y", 2, 3))
    await heard(two, Text("y", start=2, end=3))
    assert in_short(model.prompts[1]) == [("x", [], []), ("", ["c1"], []), ("y", [], ["here"])]


async def test_an_agent_without_the_tool_of_another_ones_call_answers_the_turn_itself() -> None:
    model = Model([Piece("I cannot look."), Ended("end")])
    one, two = two_agents(Model([Call("c1", "find", {}), Ended("tools")]), model, tools={})
    await heard(one, Text("x"))
    assert spoken(await heard(two, ToolResult("find", "c1", "here"))) == ["I cannot look."]
    assert in_short(model.prompts[0]) == [("x", [], [])]


async def test_a_result_is_no_business_of_an_agent_that_stands_alone() -> None:
    first, second = FakeContext(), FakeContext()
    second.shared, second.node = first.shared, "other"
    one, two = agent(Model([Call("c1", "find", {}), Ended("tools")]), first), agent(Model(), second)
    await heard(one, Text("x"))
    assert await heard(two, ToolResult("find", "c1", "here")) == []


async def test_ids_that_a_server_counts_anew_in_each_answer_are_of_the_newest_call() -> None:
    asks: list[Delta | Exception] = [Call("call_0", "find", {}), Ended("tools")]
    model = Model(asks, [Piece("One."), Ended("end")], asks, [Piece("Two."), Ended("end")])
    a = agent(model)
    for said in ("One.", "Two."):
        await heard(a, Text(said))
        assert spoken(await heard(a, ToolResult("find", "call_0", said))) == [said]
    assert [r.text for r in model.prompts[3].said[-1].results] == ["Two."]


async def test_an_answer_that_only_cost_something_leaves_no_trace_when_it_fails() -> None:
    model = Model(
        [Call("c1", "find", {}), Ended("tools")],
        [Spent(Usage("m", 5, 1)), ConnectorFailure("gone")],
        [Piece("Found."), Ended("end")],
    )
    a = agent(model)
    await heard(a, Text("x"))
    with pytest.raises(ConnectorFailure, match="gone"):
        await heard(a, ToolResult("find", "c1", "here"))
    assert spoken(await heard(a, ToolResult("find", "c1", "here"))) == ["Found."]


async def test_closing_an_answer_closes_the_models_at_once() -> None:
    model = Model([Piece("One. "), Piece("Two. "), Ended("end")])
    answer = agent(model)(Text("x"))
    async for _ in answer:
        break
    assert model.closed == 0
    await answer.aclose()
    assert model.closed == 1


async def test_a_guess_is_taken_back_as_if_it_had_never_been() -> None:
    model = Model(*[[Piece("One."), Call("c1", "find", {}), Ended("tools")]] * 2)
    a = agent(model)
    kept = a.snapshot()
    guessed = await heard(a, Text("x"))
    a.restore(kept)
    assert await heard(a, ToolResult("find", "c1", "late")) == []
    assert await heard(a, Text("x")) == guessed


async def test_a_cut_answer_ends_with_its_last_whole_sentence() -> None:
    a = agent(Model([Piece("It is open. You can come at any ti"), Ended("length")]))
    assert spoken(await heard(a, Text("x"))) == ["It is open.", ""]


async def test_a_refusal_fails_unless_something_was_said() -> None:
    with pytest.raises(ConnectorFailure) as failure:
        await heard(agent(Model([Ended("refused")])), Text("x"))
    assert not failure.value.retryable
    assert str(failure.value) == "node: the model refused to answer, for reasons of its provider's policies"
    a = agent(Model([Piece("Well."), Ended("refused")]))
    assert spoken(await heard(a, Text("x"))) == ["Well."]


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ({"a b": {"description": "x"}}, "'a b' is no name for a tool"),
        ({"a": {"description": ""}}, "at least 1 character"),
        ({"a": {"description": "x", "required": ["n"]}}, "'n' is required, and parameters has none of that name"),
        (
            {"a": {"description": "x", "parameters": {"n": {"type": "number?"}}}},
            "the parameters of a are no JSON Schema",
        ),
        ({"a": {"description": "x", "parameters": {"n": {"$ref": "http://x"}}}}, r"the parameters of a hold a \$ref"),
    ],
)
def test_tools_that_no_model_could_use_are_refused(tools: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChatSettings(tools=tools)


def test_each_tool_is_a_port() -> None:
    assert tool_ports(ChatSettings(tools=TOOLS)) == ("book", "find")  # type: ignore[arg-type]


async def test_an_answer_that_comes_at_once_is_given_from_its_beginning_and_costs_in_proportion_to_its_length() -> None:
    a = agent(Model([Piece("word " * 40_000), Ended("end")], [Piece("One. Two, and three. " * 5), Ended("end")]))
    started = time.perf_counter()
    answer = a(Text("tell me all"))
    first = await anext(aiter(answer))
    waited = time.perf_counter() - started
    rest = [o.text async for o in answer if isinstance(o, AgentMessagePartial)]
    whole = time.perf_counter() - started
    assert isinstance(first, AgentMessagePartial)
    assert len(first.text) <= 200
    assert " ".join([first.text, *rest]) == " ".join(["word"] * 40_000)
    assert waited < whole / 20
    assert spoken(await heard(a, Text("and now?"))) == ["One.", "Two, and three."] * 5
