"""Whatever an event carries can be written and read again."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from echostack.core.kinds import Payload, kind
from echostack.core.payloads import BUILTIN, AgentMessage, AudioFrame, Data, Word
from echostack.recording import Recording
from echostack.registry import Registry, connector
from tests.recording.helpers import events_of, made_up
from tests.runtime.cast import registry


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Part(msgspec.Struct, frozen=True):
    name: str
    seal: bytes = b""


@kind("acme_form")
class Form(Payload, frozen=True, gc=False):
    """A kind of somebody else's."""

    who: str
    mood: Mood = Mood.GLAD
    parts: tuple[Part, ...] = ()
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    maybe: float | None = None


@kind("acme_sound", audio=True)
class Sound(Payload, frozen=True, gc=False):
    """Audio of somebody else's, without channels."""

    pcm: bytes
    rate: int
    label: str = ""


@connector("acme.maker")
def maker(message: AgentMessage) -> Form | Sound | None:
    """Makes kinds that EchoStack does not ship."""


@kind("acme_form")
class Changed(Payload, frozen=True, gc=False):
    """The same kind in a later version of its package."""

    age: int


@connector("acme.changed")
def changed(message: AgentMessage) -> Changed | None:
    """Makes it."""


KNOWN: Registry = registry(maker)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return JSON
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if hint is int:
        return st.integers(-(2**62), 2**62)
    if hint is str:
        return TEXTS
    if type(None) in inner:
        return st.none() | values(inner[0])
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, values(inner[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    return st.from_type(hint)


def structs(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Instances of a struct; of audio, whole samples."""
    hints = typing.get_type_hints(cls)
    fields = {name: values(hints[name]) for name in cls.__struct_fields__}
    if "pcm" in fields:
        channels = st.integers(1, 3) if "channels" in fields else st.just(1)
        fields["rate"] = st.sampled_from([8_000, 16_000, 24_000, 48_000])
        return channels.flatmap(
            lambda count: st.builds(
                cls,
                **{
                    **fields,
                    "pcm": st.binary(max_size=40).map(lambda pcm: pcm[: len(pcm) // (2 * count) * 2 * count]),
                    **({"channels": st.just(count)} if "channels" in fields else {}),
                },
            )
        )
    return st.builds(cls, **fields)


PAYLOADS = st.one_of([structs(cls) for cls in (*BUILTIN, Form, Sound)])


@pytest.mark.parametrize("cls", [*BUILTIN, Form, Sound], ids=lambda cls: cls.__kind__.name)
@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_kind_reads_back_as_it_was(cls: type[Payload], data: st.DataObject, tmp_path: Path) -> None:
    payloads = data.draw(st.lists(structs(cls), min_size=1, max_size=4))
    recording = made_up(tmp_path / "call.rec", events_of(payloads))
    assert [recording.payload(entry, KNOWN) for entry in recording.events()] == payloads


@given(payloads=st.lists(PAYLOADS, max_size=12))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_kinds_and_formats_of_audio_mix_on_one_node(payloads: list[Payload], tmp_path: Path) -> None:
    recording = made_up(tmp_path / "call.rec", events_of(payloads))
    assert [recording.payload(entry, KNOWN) for entry in recording.events()] == payloads


def test_a_kind_that_nobody_knows_stays_data(tmp_path: Path) -> None:
    recording = made_up(tmp_path / "call.rec", events_of([Form("Ann", parts=(Part("x"),)), Sound(b"\1\0" * 3, 8_000)]))
    form, sound = recording.events()
    assert recording.payload(form) == {
        "who": "Ann", "mood": "glad", "parts": [{"name": "x", "seal": ""}], "counts": {}, "maybe": None,
    }  # fmt: skip
    assert recording.payload(sound) == {"pcm": {"track": "acme.agent", "at": 0, "samples": 3}, "rate": 8_000}
    assert recording.event(form) is None
    assert recording.audio("acme.agent", 1, 2) == b"\1\0" * 2


def test_a_kind_whose_fields_have_changed_stays_data(tmp_path: Path) -> None:
    recording = made_up(tmp_path / "call.rec", events_of([Form("Ann")]))
    (entry,) = recording.events()
    assert recording.payload(entry, Registry().add(changed)) == entry.data


class Card(BaseModel):
    number: SecretStr
    name: str


@dataclass
class Loop:
    me: Any = None


def _nested(depth: int) -> Any:
    deep: Any = "end"
    for _ in range(depth):
        deep = [deep]
    return deep


def _endless() -> Loop:
    loop = Loop()
    loop.me = loop
    return loop


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("half \ud83d of a pair", "half � of a pair"),
        (2**80, 2**80),
        (float("nan"), None),
        (float("inf"), None),
        ({1: "one", (2, 3): "pair"}, {"1": "one", "(2, 3)": "pair"}),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (object(), "<builtins.object>"),
        (SecretStr("hunter22"), "**********"),
        (Card(number=SecretStr("4111"), name="Ann"), {"number": "**********", "name": "Ann"}),
        (ValueError("no"), "ValueError: no"),
        (Word("hi", 0.0, 1.0), {"text": "hi", "start_ms": 0.0, "end_ms": 1.0, "confidence": 1.0}),
        ({"\ud800": 1}, {"�": 1}),
    ],
    ids=str,
)
def test_what_json_cannot_hold_is_told_as_well_as_can_be(tmp_path: Path, value: Any, kept: Any) -> None:
    recording = made_up(tmp_path / "call.rec", events_of([Data("x", {"value": value})]))
    (entry,) = recording.events()
    assert entry.data == {"name": "x", "data": {"value": kept}}


@pytest.mark.parametrize("value", [_nested(5_000), _endless()], ids=["deep", "endless"])
def test_nothing_that_an_event_carries_ends_a_recording(tmp_path: Path, value: Any) -> None:
    recording = made_up(tmp_path / "call.rec", events_of([Data("x", {"value": value}), AgentMessage("after")]))
    assert [e.kind for e in recording.events()] == ["data", "agent_message"]


def test_audio_that_passes_through_nodes_is_written_once(tmp_path: Path) -> None:
    pcm = bytes(range(200))
    first = events_of([AudioFrame(pcm, 8_000)], node="one.tts")
    again = events_of([AudioFrame(pcm, 8_000)], node="two.tts")
    recording = made_up(tmp_path / "call.rec", [*first, *again, *events_of([AudioFrame(pcm, 8_000)], node="one.tts")])
    assert [e.data["pcm"]["track"] for e in recording.events()] == ["one.tts"] * 3
    assert recording.track("one.tts").samples == 200
    assert recording.tracks == ("one.tts", "two.tts")


def test_a_node_that_changes_its_format_gets_another_track(tmp_path: Path) -> None:
    sounds = [AudioFrame(b"\1\0" * 4, 8_000), AudioFrame(b"\2\0" * 8, 16_000, 2), AudioFrame(b"\3\0" * 4, 8_000)]
    recording: Recording = made_up(tmp_path / "call.rec", events_of(sounds))
    assert [recording.payload(e) for e in recording.events()] == sounds
    assert {name: (t.form.rate, t.form.channels) for name in recording.tracks for t in [recording.track(name)]} == {
        "acme.agent": (8_000, 1), "acme.agent.2": (16_000, 2),
    }  # fmt: skip
