"""What providers counted is summed up by node and model."""

from __future__ import annotations

from collections.abc import AsyncIterator

from echostack.core.errors import ConnectorFailure
from echostack.core.events import Event
from echostack.core.payloads import AgentMessage, AudioFrame, Text, Usage
from echostack.registry import Inbox, connector
from echostack.runtime.guess import Held, Prepared
from echostack.runtime.stats import Counters, UsageStats
from tests.runtime.cast import CALL, play


@connector("acme.agent")
class Agent:
    """Counts what it uses, of two models."""

    async def __call__(self, text: Text) -> AsyncIterator[AgentMessage | Usage]:
        yield Usage("small", input_tokens=100, output_tokens=5, cached_tokens=60)
        if text.text == "more":
            yield Usage("large", input_tokens=7, output_tokens=1, cache_written_tokens=3)
        yield AgentMessage("hello")


GRAPH = CALL.replace("  acme.agent: {seconds: 0.4}\n", "")


def test_usage_is_summed_up_by_node_and_model_whether_anybody_takes_it_or_not() -> None:
    stats = play([(1.0, "say:hello"), (5.0, "say:more")], Agent, graph=GRAPH).stats
    assert stats.usage == (
        UsageStats("acme.agent", "small", 2, input_tokens=200, output_tokens=10, cached_tokens=120),
        UsageStats("acme.agent", "large", 1, input_tokens=7, output_tokens=1, cache_written_tokens=3),
    )


def test_nothing_is_used_where_nobody_counts() -> None:
    assert play([(1.0, "say:hello")]).stats.usage == ()


# -- what is counted is no answer ---------------------------------------------------------------------------------


def test_a_count_before_a_failure_keeps_nobody_from_trying_again() -> None:
    tries: list[int] = []

    @connector("acme.agent")
    class Counts:
        async def __call__(self, text: Text) -> AsyncIterator[AgentMessage | Usage]:
            tries.append(1)
            yield Usage("small", input_tokens=10)
            if len(tries) == 1:
                raise ConnectorFailure("busy", retry_after=0.1)
            yield AgentMessage("hello")

    graph = CALL.replace("acme.agent: {seconds: 0.4}", "acme.agent: {attempts: 2}")
    over = play([(1.0, "say:hello")], Counts, graph=graph)
    assert len(tries) == 2
    assert over.stats.usage == (UsageStats("acme.agent", "small", 2, input_tokens=20),)
    # Its first output is the message, not the count.
    assert over.stats.nodes["acme.agent"]["first_output_ms"]["count"] == 1


def test_a_count_of_a_recogniser_lets_go_of_no_word() -> None:
    @connector("first.stt")
    class First:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | Usage]:
            heard = 0
            async for _ in inbox:
                heard += 1
                yield Usage("ears", audio_seconds=1.0)
                if heard == 3:
                    raise ConnectorFailure("gone")

    @connector("second.stt")
    class Second:
        async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text]:
            words = []
            async for event in inbox:
                words.append(event.payload.track)  # type: ignore[attr-defined]
                if words[-1] == "end":
                    yield Text(" ".join(words))

    @connector("acme.words")
    def words(text: Text) -> None:
        """Somewhere to go."""

    graph = """
echostack: 1
pipeline:
  - ingress.line.audio_frame -> first.stt ?? second.stt -> acme.words
barge_in: off
"""
    cues = [(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.0, "end")]
    over = play(cues, First, Second, words, graph=graph)
    assert [p.text for _, p in over.at("processing.*.text")] == ["a b c end"]
    assert over.stats.usage == (UsageStats("first.stt", "ears", 3, audio_seconds=3.0),)


def test_what_a_wrong_guess_used_is_counted_although_nobody_sees_it() -> None:
    held = Held(counters := Counters())
    guess = Prepared(Text("a"), event(), None, held)  # type: ignore[arg-type]
    guess.member = "acme.agent"
    guess.put((Usage("small", input_tokens=5), event(), ""))
    assert counters.usage == {}
    assert guess.give_up() == 1
    guess.put((Usage("small", output_tokens=2), event(), ""))
    assert list(counters.usage.values()) == [UsageStats("acme.agent", "small", 2, input_tokens=5, output_tokens=2)]


def event() -> Event:
    return Event("processing.ear.text", Text("a"), "call", 1, 0.0)
