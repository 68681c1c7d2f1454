"""Payloads that are made up: true to their types, plausible, and the same for the same randomness."""

from __future__ import annotations

import datetime
import enum
import uuid
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.errors import UsageError
from echostack.core.kinds import Payload, kind
from echostack.core.payloads import BUILTIN, Documents, Record, Text
from echostack.simulation.mock.samples import sample


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float
    name: str = ""


@kind("anything")
class Anything(Payload, frozen=True, gc=False):
    """One field of every type."""

    name: str
    count: Annotated[int, msgspec.Meta(ge=5, le=7)]
    share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    step: Annotated[int, msgspec.Meta(multiple_of=5)]
    code: Annotated[str, msgspec.Meta(min_length=40, max_length=50)]
    flag: bool
    nothing: None
    maybe: int | None
    color: Color
    word: Literal["yes", "no"]
    when: datetime.datetime
    day: datetime.date
    time: datetime.time
    long: datetime.timedelta
    key: uuid.UUID
    price: Decimal
    raw: bytes
    words: tuple[str, ...]
    numbers: list[int]
    unique: frozenset[str]
    pair: tuple[str, int]
    point: Point
    table: dict[str, str]
    points: dict[str, Point]
    free: Any


@kind("picky")
class Picky(Payload, frozen=True, gc=False):
    """A field that takes only texts of one shape."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}-\d+$")]


@given(st.integers(), st.sampled_from([*BUILTIN, Anything]))
def test_every_kind_can_be_made_up_and_is_true_to_its_types(seed: int, cls: type[Payload]) -> None:
    made = sample(cls, Random(seed), {})
    assert type(made) is cls
    assert msgspec.convert(msgspec.to_builtins(made), type=cls) == made
    assert sample(cls, Random(seed), {}) == made


def test_bounds_hold() -> None:
    made = sample(Anything, Random(2), {})
    assert isinstance(made, Anything)
    assert 5 <= made.count <= 7
    assert 0 < made.share < 1
    assert made.step % 5 == 0
    assert 40 <= len(made.code) <= 50


def test_what_an_event_says_goes_before_what_is_made_up() -> None:
    made = sample(Anything, Random(2), {"name": "Zoe", "count": 6, "share": 3.0, "flag": False})
    assert isinstance(made, Anything)
    assert (made.name, made.count, made.flag) == ("Zoe", 6, False)
    assert 0 < made.share < 1  # what does not fit is no help


def test_a_question_goes_into_what_is_found() -> None:
    made = sample(Documents, Random(1), {"text": "where is the station?"})
    assert isinstance(made, Documents)
    assert made.query == "where is the station?"
    assert all("where is the station" in p["text"] for p in made.passages)


def test_ids_are_made_up_and_other_defaults_are_left() -> None:
    record = sample(Record, Random(1), {})
    assert isinstance(record, Record)
    assert record.id.startswith("item-")
    text = sample(Text, Random(1), {"text": "hello"})
    assert text == Text("hello")


def test_what_cannot_be_made_up_is_the_scenarios_to_say() -> None:
    with pytest.raises(UsageError) as caught:
        sample(Picky, Random(1), {})
    assert str(caught.value) == (
        r"a simulated code would have to be like ^[A-Z]{3}-\d+$: let the scenario say what is given"
    )
