"""Event names, patterns over them, and the kinds behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.core.events import EventPattern, event_name
from echostack.core.kinds import Overflow, Payload, kind
from echostack.core.payloads import BUILTIN, AudioFrame, Text, TextPartial

NAMES = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)


def test_three_parts_match_no_modifier() -> None:
    pattern = EventPattern.parse("processing.*.text")
    assert pattern.matches("processing.deepgram.text")
    assert not pattern.matches("processing.deepgram.text.partial")
    assert not pattern.matches("control.deepgram.text")


@given(st.lists(NAMES, min_size=3, max_size=4), st.data())
def test_a_star_stands_for_one_part_and_a_name_for_itself(parts: list[str], data: st.DataObject) -> None:
    starred = [data.draw(st.sampled_from([p, "*"])) for p in parts]
    assert EventPattern.parse(".".join(starred)).matches(".".join(parts))
    at = data.draw(st.integers(0, len(parts) - 1))
    other = [*parts]
    other[at] += "x"
    assert EventPattern.parse(".".join(starred)).matches(".".join(other)) is (starred[at] == "*")


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d.e", "a..c", "a.b.c*", "a.b.1", "a b.c.d", "a.b.c\n"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an event pattern"):
        EventPattern.parse(text)


def test_names_are_put_together_of_stage_source_and_kind() -> None:
    assert event_name("processing", "deepgram", TextPartial.__kind__.name) == "processing.deepgram.text.partial"


def test_every_shipped_kind_has_a_name_of_its_own_and_says_what_it_is() -> None:
    names = [p.__kind__.name for p in BUILTIN]
    assert len(names) == len(set(names))
    assert all(p.__kind__.about.endswith(".") or p.__kind__.about for p in BUILTIN)


def test_only_what_may_be_lost_is_dropped_by_default() -> None:
    dropping = {Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.LATEST}
    assert {p.__kind__.name for p in BUILTIN if p.__kind__.overflow in dropping} == {
        p.__kind__.name for p in BUILTIN if p.__kind__.lossy
    }


def test_a_plugin_declares_a_kind_by_decorating_its_class() -> None:
    @kind("lead.draft", lossy=True, overflow=Overflow.LATEST, queue=3)
    class Lead(Payload, frozen=True, gc=False):
        """Someone who may buy."""

        name: str

    spec = Lead.__kind__
    assert (spec.name, spec.base, spec.modifier, spec.queue, spec.about) == (
        "lead.draft", "lead", "draft", 3, "Someone who may buy."
    )  # fmt: skip


def test_payloads_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Text("hello").text = "bye"  # type: ignore[misc]


def test_a_torn_last_sample_does_not_count() -> None:
    frame = AudioFrame(b"\0" * 7, 8000, 1)
    assert (frame.samples, frame.seconds) == (3, 3 / 8000)
