"""Small graphs without audio, simulated: what one connector's simulation gives to what a caller writes, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import echostack.api as echostack
from echostack.connectors import BUILTIN
from echostack.core.events import EventPattern
from echostack.core.payloads import AudioFrame, Data, Intent, Record, Text, ToolCall
from echostack.core.span import Span
from echostack.language.data import Mapping_, Scalar, Sequence_, Value
from echostack.language.scenario import Caller, Fault, FaultKind, Output, Reply, Say, Scenario, Script, Step
from echostack.plan import Plan
from echostack.registry import Registry, connector
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import simulate

HERE = Span("test.echo", 3, 5, 3, 9)


@connector("ingress.chat")
class Chat:
    """A caller who writes."""

    async def run(self) -> AsyncIterator[Text | Intent | ToolCall | Record | Data]:
        raise AssertionError("a simulated call has no chat")
        yield Text("")


@connector("ingress.phone")
class Phone:
    """A caller who speaks."""

    async def run(self) -> AsyncIterator[AudioFrame]:
        raise AssertionError("a simulated call has no phone")
        yield AudioFrame(b"", 16_000)


def registry(*more: Any) -> Registry:
    """The shipped connectors, a caller who writes, and ``more``."""
    return Registry(BUILTIN).add(Chat, Phone, *more)


def plan(
    *rules: str,
    more: tuple[Any, ...] = (),
    connectors: str = "{}",
    env: Mapping[str, str] | None = None,
    speculate: str = "",
) -> Plan:
    """The plan of a graph of ``rules``."""
    lines = "".join(f"  - {rule}\n" for rule in rules)
    text = f"echostack: 1\nconnectors: {connectors}\npipeline:\n{lines}"
    if speculate:
        text += f"speculate: {speculate}\n"
    return echostack.compile(text, registry=registry(*more), env=env or {}).plan


def turns(*texts: str, every: float = 1.0) -> tuple[Step, ...]:
    """The caller writes these, each ending a second after the one before."""
    return tuple(Say(text, HERE, lasts=every) for text in texts)


def play(graph: Plan, *texts: str, scripts: Mapping[str, Script] | None = None, **options: Any) -> Outcome:
    """A call in which the caller writes ``texts``."""
    caller = Caller(steps=options.pop("steps", None) or turns(*texts))
    scenario = Scenario(
        "a call", HERE, caller=caller, connectors=scripts or {}, env=options.pop("env", {}), lasts=120.0
    )
    return simulate(graph, scenario, **options)


def at(outcome: Outcome, pattern: str) -> list[tuple[float, Any]]:
    """When which payloads of matching events came, in milliseconds."""
    wanted = EventPattern.parse(pattern)
    return [(round(e.time, 3), e.payload) for e in outcome.events if wanted.matches(e.name)]


def given(outcome: Outcome, pattern: str) -> list[Any]:
    return [payload for _, payload in at(outcome, pattern)]


def script(*replies: Reply, **rest: Any) -> Script:
    """What a scenario says about a node."""
    return Script("", HERE, replies=replies, **rest)


def fault(kind: FaultKind | str, **rest: Any) -> Script:
    """A node at which one thing goes wrong."""
    return Script("", HERE, faults=(Fault(FaultKind(kind), HERE, **rest),))


def value(data: Any) -> Value:
    """Plain data as a file holds it."""
    if isinstance(data, Mapping):
        return Mapping_({k: value(v) for k, v in data.items()}, dict.fromkeys(data, HERE), HERE)
    if isinstance(data, list | tuple):
        return Sequence_(tuple(value(v) for v in data), HERE)
    return Scalar(data, HERE)


def output(kind: str, port: str = "", after: float | None = None, **fields: Any) -> Output:
    """One event that a scenario gives."""
    return Output(kind, value(fields), HERE, port, after)
