"""Which scenarios an expression chooses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.errors import UsageError
from echostack.testing.choose import choosing, chosen_by

NAME = "desk/front.echo::Interrupts the (long) answer"


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("interrupts", True),
        ("INTERRUPTS THE", True),
        ("the interrupts", False),
        ("front", True),
        ("front and answer", True),
        ("front and question", False),
        ("question or front", True),
        ("not question", True),
        ("not not front", True),
        ("not (question or front)", False),
        ("front and not question or nothing", True),
        ("nothing or front and question", False),
        ('"(long) answer"', True),
        ("'the (long'", True),
        ('"and"', False),
        ("front.echo::interrupts", True),
    ],
)
def test_words_and_operators_over_file_and_name(expression: str, chosen: bool) -> None:
    assert chosen_by(expression)(NAME) is chosen


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("a and", "it ends too early"),
        ("and a", "there is nothing before 'and'"),
        ("(a", "a parenthesis is not closed"),
        ("a (b)", "'(' stands where `and` or `or` should"),
        ("a)", "')' stands where `and` or `or` should"),
        ('"a', "a quote is not closed"),
        ("   ", "it ends too early"),
    ],
)
def test_an_expression_that_means_nothing_is_refused(expression: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen_by(expression)
    assert str(refused.value) == f"-k {expression!r}: {why}; it takes words, and, or, not and parentheses"


@given(st.text(st.sampled_from("ab (\"')[]andornt\u00e9.-"), min_size=1, max_size=30).filter(str.strip))
def test_every_name_can_be_chosen(name: str) -> None:
    name = name.strip()
    expression = choosing(name)
    if expression:
        assert chosen_by(expression)(f"a.echo::{name}")
