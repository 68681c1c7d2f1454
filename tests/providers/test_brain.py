"""What a local model server answers with when it is scripted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.clock import LoopClock
from echostack.providers.brain import Answer, Bit, Calling, Refusing, Script, bits, last_said

HELLO = [{"role": "user", "content": "Hello"}]


async def said(script: Script, most: int = 100, messages: list[dict[str, str]] = HELLO) -> list[Bit]:
    return [bit async for bit in script.reply(messages, most)]


async def test_answers_come_one_to_each_request_and_the_last_again_and_again() -> None:
    script = Script(["One.", "Two."])
    assert [await said(script) for _ in range(3)] == [["One."], ["Two."], ["Two."]]


async def test_a_function_answers_by_what_was_said() -> None:
    script = Script(lambda messages: f"You said {last_said(messages)}.")
    assert "".join(map(str, await said(script))) == "You said Hello."


async def test_an_answer_ends_at_the_bound_of_tokens() -> None:
    assert await said(Script(["one two three"]), most=2) == ["one", " two"]


async def test_a_pause_stands_before_every_bit() -> None:
    clock = LoopClock()
    begun = clock.now()
    assert len(await said(Script(["one two three"], pause=0.02))) == 3
    assert clock.now() - begun >= 0.06


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", []),
        ("Hello", ["Hello"]),
        ("Hello, world. ", ["Hello,", " world. "]),
        (Calling("look"), [Calling("look")]),
        (["Hel", "lo", Refusing()], ["Hel", "lo", Refusing()]),
    ],
)
def test_an_answer_is_cut_into_bits(answer: Answer, expected: list[Bit]) -> None:
    assert bits(answer) == expected


@given(st.text())
def test_the_bits_of_a_text_are_the_text(text: str) -> None:
    assert "".join(map(str, bits(text))) == text


def test_a_script_without_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        Script([])


def test_what_was_said_last_is_the_users() -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "tool", "content": "{}"}]
    assert last_said(messages) == "Hello"
    assert last_said([]) == ""
