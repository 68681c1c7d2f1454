"""What providers counted is summed up by node and model."""

from __future__ import annotations

from collections.abc import AsyncIterator

from echostack.core.payloads import AgentMessage, Text, Usage
from echostack.registry import connector
from echostack.runtime.stats import UsageStats
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
