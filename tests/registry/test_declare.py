"""``@connector``: what annotations say becomes the manifest, and what they do not say is refused at import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from echostack.core.audio import AudioFormat
from echostack.core.errors import InvalidConnector
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, AudioChunk, AudioChunkStream, AudioFrame, Intent, Text, TextPartial
from echostack.registry import AudioSink, ConnectorSettings, Context, Form, Forward, Inbox, Out, connector
from echostack.registry.declare import spec_of


class Loud(ConnectorSettings):
    """How loud."""

    volume: int = 3
    key: SecretStr = SecretStr("")


def test_a_function_is_fused_and_says_what_it_takes_and_makes() -> None:
    @connector("shout.agent")
    def shout(text: Text, settings: Loud, context: Context) -> AgentMessage:
        """Says it louder.

        And more.
        """
        return AgentMessage(text.text.upper())

    spec = spec_of(shout)
    assert (spec.form, spec.consumes, spec.produces, spec.single_output) == (Form.SYNC, (Text,), (AgentMessage,), True)
    assert (spec.settings, spec.wants_settings, spec.wants_context) == (Loud, "settings", "context")
    assert (spec.vendor, spec.role, spec.about) == ("shout", "agent", "Says it louder.")


@pytest.mark.parametrize(
    ("returns", "produces", "single"),
    [
        (Text | None, (Text,), True),
        (Text | TextPartial, (Text, TextPartial), True),
        (list[Text], (Text,), False),
        (Iterator[Text | Out], (Text,), False),
        (tuple[Text, ...] | None, (Text,), False),
        (None, (), True),
    ],
)
def test_what_it_makes_is_seen_through_the_shapes_of_answers(returns: Any, produces: Any, single: bool) -> None:
    def answer(text: Text) -> Any: ...

    answer.__annotations__ = {"text": Text, "return": returns}
    spec = spec_of(connector("acme.node")(answer))
    assert (spec.produces, spec.single_output) == (produces, single)


def test_forward_passes_on_what_it_takes() -> None:
    @connector("acme.router", ports=lambda settings: ("a", "b"))
    def route(text: Text) -> list[Intent | Forward]:
        return [Intent("a"), Forward("a")]

    spec = spec_of(route)
    assert (spec.produces, spec.forwards, spec.ports(None), spec.single_output) == (
        (Intent,),
        (Text,),
        ("a", "b"),
        False,
    )


def test_the_form_follows_from_the_code() -> None:
    @connector("a.async")
    async def asked(text: Text, event: Event) -> AgentMessage:
        return AgentMessage("")

    @connector("a.generator")
    async def generated(text: Text) -> AsyncIterator[AgentMessage]:
        yield AgentMessage("")

    @connector("a.stream")
    class Streaming:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | Out]:
            yield Text("")

        def interrupted(self) -> None: ...

    @connector("ingress.a")
    class Source:
        async def run(self) -> AsyncIterator[AudioFrame]:
            yield AudioFrame(b"", 8000)

    @connector("egress.a")
    class Sink(AudioSink):
        @property
        def format(self) -> AudioFormat:
            return AudioFormat(8000)

        def write(self, pcm: bytes) -> None: ...

        def clear(self) -> None: ...

    @connector("a.called")
    class Called:
        def __call__(self, frame: AudioFrame) -> Text | None: ...

    made = [spec_of(c) for c in (asked, generated, Streaming, Source, Sink, Called)]
    assert [s.form for s in made] == [Form.ASYNC, Form.GENERATOR, Form.STREAM, Form.SOURCE, Form.SINK, Form.SYNC]
    assert (made[0].wants_event, made[2].keeps_running, made[3].vendor) == ("event", True, "a")
    assert made[2].consumes == (AudioFrame,)
    assert made[4].alternatives == ((AudioChunkStream, AudioChunk),)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({}, "parameter 'text' has no annotation"),
        ({"text": int}, "no parameter is annotated with a payload class"),
        ({"text": "Nowhere"}, "an annotation cannot be resolved"),
    ],
)
def test_a_declaration_that_does_not_tell_is_refused(annotations: Any, message: str) -> None:
    def silent(text): ...  # type: ignore[no-untyped-def]

    silent.__annotations__ = annotations
    with pytest.raises(InvalidConnector, match=message):
        connector("acme.node")(silent)


@pytest.mark.parametrize("name", ["acme", "acme.a.b", "acme.", ".x", "acme.1x", "a-b.c", ""])
def test_a_name_is_vendor_and_role(name: str) -> None:
    with pytest.raises(InvalidConnector, match="is not a connector name"):

        @connector(name)
        def node(text: Text) -> None: ...


def test_a_class_without_a_way_to_be_called_is_refused() -> None:
    with pytest.raises(InvalidConnector, match=r"needs run\(inbox\), run\(\) or __call__\(payload\)"):

        @connector("acme.node")
        class Silent:
            """Nothing to call."""


def test_settings_refuse_what_they_do_not_know_and_never_show_a_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Loud.model_validate({"volume": "s3cret", "wolume": "s3cret"})
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Loud.model_validate({"key": "s3cret"}))


def test_the_manifest_names_events() -> None:
    @connector("acme.stt", network=True)
    async def hear(frame: AudioFrame) -> Text:
        """Hears."""
        return Text("")

    told = spec_of(hear).manifest()
    assert (told["consumes"], told["produces"]) == (["processing.*.audio_frame"], ["processing.acme.text"])
    assert told["network"] is True


def test_functions_may_be_asked_about_a_guess_and_classes_that_say_so_or_can_take_it_back() -> None:
    @connector("a.function")
    async def function(text: Text) -> AgentMessage: ...

    @connector("a.keeper", guessable=False)
    async def keeper(text: Text) -> AgentMessage: ...

    @connector("a.writer", effect=True)
    async def writer(text: Text) -> AgentMessage: ...

    class Plain:
        async def __call__(self, text: Text) -> AgentMessage: ...

    class TakesBack(Plain):
        __call__ = Plain.__call__

        def snapshot(self) -> object: ...

        def restore(self, snapshot: object) -> None: ...

    class Stream:
        async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]: ...

    declared = {
        "function": function, "keeper": keeper, "writer": writer, "class": connector("a.plain")(Plain),
        "taking back": connector("a.back")(TakesBack), "stream": connector("a.stream", guessable=True)(Stream),
    }  # fmt: skip
    assert {n: spec_of(d).may_guess(None) for n, d in declared.items()} == {
        "function": True, "keeper": False, "writer": False, "class": False, "taking back": True, "stream": False,
    }  # fmt: skip
    assert spec_of(connector("a.says", guessable=True)(Plain)).may_guess(None)


class PlainSettings:
    """What somebody might take for settings."""


def test_a_class_that_asks_for_what_nobody_gives_it_is_refused_by_the_parameter_s_name() -> None:
    class Wanting:
        def __init__(self, settings: PlainSettings, context: Context) -> None: ...

        def __call__(self, event: Text) -> AgentMessage: ...

    with pytest.raises(InvalidConnector) as refused:
        connector("a.agent")(Wanting)
    assert str(refused.value) == "a.agent: parameter 'settings' is neither a ConnectorSettings nor a Context"

    @connector("b.agent")
    class Content:
        def __init__(self, context: Context, pause: float = 0.0) -> None: ...

        def __call__(self, event: Text) -> AgentMessage: ...

    assert spec_of(Content).wants_context == "context"
