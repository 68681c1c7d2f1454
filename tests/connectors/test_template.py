"""Templates: fields are data, and nothing but data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostack.connectors.plain import plain
from echostack.connectors.template import MissingField, Template, Tree, tidy
from echostack.core.payloads import AudioChunk, Documents, Intent

DATA: dict[str, Any] = {
    "name": "Ann", "n": 3, "x": 0.5, "ok": True, "none": None, "empty": "", "list": [{"a": "deep"}],
    "map": {"k": [1, 2]},
}  # fmt: skip
TEXT = st.text(max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {name}!", "Hello Ann!"),
        ("{n} {x} {ok}", "3 0.5 true"),
        ("{list.0.a} {map.k.1} {map}", 'deep 2 {"k":[1,2]}'),
        ("{lost|there} {none|x} {empty|y} {lost.deep|}", "there x y "),
        ("{{name}} {{ }}", "{name} { }"),
        ("{ name | you }", "Ann"),
        ("", ""),
    ],
)
def test_renders(text: str, expected: str) -> None:
    assert Template(text).render(DATA) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a { b", "'a { b' has a single '{': write {{ for a brace, {name} for a field"),
        ("a } b", "'a } b' has a single '}': write }} for a brace, {name} for a field"),
        ("{}", "'{}' has the field {}, which is not a name: it takes {name} or {name.part|words}"),
        ("{0}", "'{0}' has the field {0}, which is not a name: it takes {name} or {name.part|words}"),
        ("{a!r}", "'{a!r}' has the field {a!r}, which is not a name: it takes {name} or {name.part|words}"),
        ("{a[0]}", "'{a[0]}' has the field {a[0]}, which is not a name: it takes {name} or {name.part|words}"),
        ("{a:>9}", "'{a:>9}' has the field {a:>9}, which is not a name: it takes {name} or {name.part|words}"),
    ],
)
def test_what_is_no_template_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        Template(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "path", ["name.__class__", "__class__", "list.append", "map.keys", "list.9", "list.-1", "n.real"]
)
def test_nothing_but_data_can_be_reached(path: str) -> None:
    try:
        template = Template(f"{{{path}}}")
    except ValueError:
        return
    with pytest.raises(MissingField):
        template.render(DATA)


def test_a_missing_field_names_what_there_is() -> None:
    with pytest.raises(MissingField) as caught:
        Template("{lost}").render({"a": 1, "b": 2})
    assert str(caught.value) == "there is no {lost}: there are a, b"


@given(TEXT, TEXT)
def test_a_value_is_never_read_as_a_template(value: str, around: str) -> None:
    escaped = around.replace("{", "{{").replace("}", "}}")
    assert (
        Template(escaped + "{v|-}" + escaped).render({"v": value, "name": "SECRET"}) == around + (value or "-") + around
    )


@given(TEXT)
def test_text_without_fields_comes_out_as_it_went_in(text: str) -> None:
    assert Template(text.replace("{", "{{").replace("}", "}}")).render({}) == text


@given(TEXT, st.characters(categories=["Lu", "Nd", "P"]))
def test_every_value_goes_through_the_escape(value: str, mark: str) -> None:
    assert Template("{v|}-{v|}").render({"v": value}, lambda v: f"<{v}>") == f"<{value}>-<{value}>"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="ab c", max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("xyz", max_size=3), inside, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_tree_keeps_values_that_are_no_templates_and_types_of_fields(value: Any) -> None:
    assert Tree(value).render({}) == value
    assert Tree({"a": "{v}", "b": ["{v|none}"]}).render({"v": value if value is not None else 1}) == {
        "a": value if value is not None else 1, "b": [value if value is not None else 1],
    } or value == ""  # fmt: skip


def test_gaps_are_tidied() -> None:
    assert Template("Thank you, {name}.").fill({}) == ("Thank you.", False)
    assert Template("Hi {name}, how are {x} you?").fill({}) == ("Hi, how are you?", False)
    assert tidy(" a  b , , c ") == "a b, c"


def test_payloads_become_plain_data_without_audio() -> None:
    assert plain(Intent("a", 0.5, "t", {"k": "v"})) == {
        "name": "a",
        "confidence": 0.5,
        "text": "t",
        "slots": {"k": "v"},
    }
    assert plain(AudioChunk(b"1234", 8000))["pcm"] == {"bytes": 4}
    assert plain(Documents("q", ({"text": "x", "score": 1},)))["passages"] == [{"text": "x", "score": 1}]
