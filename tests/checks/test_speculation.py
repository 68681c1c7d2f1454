"""Who may begin on a guess of the turn, and the words for it when nobody may."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from echostack.checks.model import CheckedSpeculation
from echostack.core.payloads import (
    AgentMessage,
    AudioChunkStream,
    AudioFrame,
    GuessDiscarded,
    Intent,
    Text,
    TextPartial,
)
from echostack.registry import ConnectorSettings, Forward, Inbox, Registry, connector
from tests.checks.helpers import checked, sound, told
from tests.checks.vendors import registry


@connector("early.stt")
class EarlyStt:
    """Says what it hears before the turn is over."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]: ...


@connector("late.stt")
class LateStt:
    """Says nothing before the turn is over."""

    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]: ...


@connector("free.agent")
async def free(text: Text) -> AgentMessage: ...


@connector("other.agent")
async def other(text: Text) -> AgentMessage: ...


@connector("quick.agent")
def quick(text: Text) -> AgentMessage: ...


@connector("deep.agent", blocking_ms=300)
def deep(text: Text) -> AgentMessage: ...


@connector("acting.agent", effect=True)
async def acting(text: Text) -> AgentMessage: ...


class Method(ConnectorSettings):
    writes: bool = False


@connector("maybe.agent", effect=True, effect_when=lambda settings: bool(settings.writes))
async def maybe(text: Text, settings: Method) -> AgentMessage: ...


@connector("keeping.agent")
class Keeping:
    """Says nothing about what it keeps."""

    async def __call__(self, text: Text) -> AgentMessage: ...


@connector("long.agent")
class Long:
    """Runs as long as the call."""

    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[AgentMessage]: ...


@connector("free.router", ports=lambda settings: ("one", "two"))
def route(text: Text) -> Forward | Intent: ...


@connector("free.tts")
async def speak(message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
    raise NotImplementedError
    yield


@connector("keeping.tts")
class KeepingTts:
    """Says nothing about what it keeps."""

    async def __call__(self, message: AgentMessage) -> AsyncIterator[AudioChunkStream]:
        raise NotImplementedError
        yield


def known() -> Registry:
    own = (EarlyStt, LateStt, free, other, quick, deep, acting, maybe, Keeping, Long, route, speak, KeepingTts)
    return registry().add(*own)


def chain(*nodes: str, on: str, more: str = "") -> str:
    rule = " -> ".join(("ingress.livekit.audio_frame", *nodes, "egress.livekit.audio_chunk"))
    return f"pipeline:\n  - {rule}\n{more}speculate: {on}\n"


def guessers(text: str) -> CheckedSpeculation | None:
    return sound(text, known=known()).speculation


def test_off_and_nothing_said_are_the_same() -> None:
    assert guessers(chain("early.stt", "free.agent", "free.tts", on="off")) is None
    assert guessers(chain("early.stt", "free.agent", "free.tts", on="off").replace("speculate: off\n", "")) is None


def test_the_model_begins_and_with_synthesis_what_speaks_behind_it() -> None:
    text = chain("early.stt", "free.agent", "free.tts", on="{on: model, stable_for: 90ms}")
    assert guessers(text) == CheckedSpeculation("model", 0.09, ("early.stt",), ("free.agent",), (), ())
    text = chain("early.stt", "free.agent", "free.tts", on="synthesis")
    assert guessers(text) == CheckedSpeculation("synthesis", 0.2, ("early.stt",), ("free.agent",), ("free.tts",), ())


@pytest.mark.parametrize("agent", ["deep.agent", "maybe.agent"])
def test_a_slow_function_and_a_request_that_only_reads_may_begin(agent: str) -> None:
    found = guessers(chain("early.stt", agent, "free.tts", on="model"))
    assert found is not None
    assert found.models == (agent,)


def test_functions_that_answer_at_once_are_passed() -> None:
    text = chain("early.stt", "free.router:one", "free.agent", "free.tts", on="synthesis").replace(
        "early.stt -> free.router:one ->", "early.stt -> free.router\n  - free.router:one ->"
    )
    more = "  - free.router:two -> other.agent -> free.tts\n"
    found = guessers(text.replace("speculate:", f"{more}speculate:"))
    assert found is not None
    assert (found.models, found.synthesisers, found.passed) == (
        ("free.agent", "other.agent"), ("free.tts",), ("free.router",),
    )  # fmt: skip
    found = guessers(chain("early.stt", "quick.agent", "free.tts", on="synthesis"))
    assert found is not None
    assert (found.models, found.synthesisers, found.passed) == ((), ("free.tts",), ("quick.agent",))


def test_a_choice_begins_when_each_of_its_members_may() -> None:
    found = guessers(chain("early.stt", "free.agent ?? other.agent", "free.tts", on="model"))
    assert found is not None
    assert found.models == ("free.agent ?? other.agent",)


def test_recognisers_in_a_choice_are_one_ear() -> None:
    text = chain("early.stt ?? second", "free.agent", "free.tts", on="model")
    found = guessers(f"connectors:\n  second: {{use: early.stt}}\n{text}")
    assert found is not None
    assert found.ears == ("early.stt ?? second",)


def test_where_silence_ends_the_turn_a_recognisers_turns_are_its_pieces() -> None:
    text = chain("late.stt", "free.agent", "free.tts", on="model", more="turns: {end_by: silence}\n")
    found = guessers(text)
    assert found is not None
    assert found.ears == ("late.stt",)


@pytest.mark.parametrize(
    ("nodes", "on", "message"),
    [
        (
            ("late.stt", "free.agent", "free.tts"), "model",
            "here: no node makes text.partial or text.segment of the caller's audio, and then text",
        ),
        (
            ("early.stt", "keeping.agent", "free.tts"), "model",
            "here: keeping.agent does not say that it keeps nothing from one event for the next",
        ),
        (("early.stt", "long.agent", "free.tts"), "synthesis", "here: long.agent runs as long as the call"),
        (("early.stt", "acting.agent", "free.tts"), "synthesis", "here: acting.agent acts on the outside world"),
        (
            ("early.stt", "quick.agent", "free.tts"), "model",
            "here: nothing that speaks waits for an answer behind early.stt",
        ),
        (
            ("early.stt", "free.agent ?? keeping.agent", "free.tts"), "model",
            "here: free.agent ?? keeping.agent does not say that it keeps nothing from one event for the next",
        ),
        (
            ("early.stt", "free.agent", "keeping.tts"), "synthesis",
            "on a synthesiser here: keeping.tts does not say that it keeps nothing from one event for the next",
        ),
    ],
)  # fmt: skip
def test_why_nobody_begins(nodes: tuple[str, ...], on: str, message: str) -> None:
    graph, findings = checked(chain(*nodes, on=on), known=known())
    speaks = "quick.agent" in nodes
    assert told(findings).split("\n") == [
        f"3:12-{12 + len(on)} W0517 `speculate:` has no effect {message}",
        "  help: write `speculate: {on: synthesis}`: free.tts can begin"
        if speaks
        else "  help: remove it, or let a node that keeps nothing from one event for the next answer",
    ]
    assert graph is not None
    assert (graph.speculation is None) is not message.startswith("on a synthesiser")


def test_what_does_not_lead_to_speech_does_not_begin() -> None:
    text = chain("early.stt", "free.agent", "free.tts", on="model").replace(
        "speculate:", "  - early.stt -> other.agent -> transcript.log\nspeculate:"
    )
    found = guessers(text)
    assert found is not None
    assert found.models == ("free.agent",)


def test_the_events_of_the_guesses_can_be_listened_to() -> None:
    text = chain("early.stt", "free.agent", "free.tts", on="model").replace(
        "speculate:", "  - control.speculation.discarded -> guesses.note\nspeculate:"
    )

    @connector("guesses.note")
    def note(guess: GuessDiscarded) -> None: ...

    sound(text, known=known().add(note))
    graph, findings = checked(text.replace("speculate: model", "speculate: off"), known=known().add(note))
    assert graph is None
    assert "no event matches control.speculation.discarded" in told(findings)
