"""Makes the connectors of one session from their specs: settings in, context in, packages there."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.errors import InvalidConnector, MissingExtra, UsageError
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame
from echostack.plan.model import PlanNode
from echostack.registry import AudioSink
from echostack.runtime.context import NodeContext
from echostack.runtime.streams import reading

DEFAULT_FORMAT = AudioFormat(16_000)


def make_target(node: PlanNode, context: NodeContext) -> Any:
    """The connector of ``node``: an instance of its class, or its function with settings and context filled in.

    MissingExtra when a package that it needs is not installed; UsageError while its settings wait for names that
    the environment does not have; InvalidConnector when its own constructor fails.
    """
    spec = node.spec
    if spec is None:
        raise AssertionError(f"{node.id} has no connector of its own")
    for package in spec.packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(spec.name, package, spec.extra or spec.vendor)
    if node.settings is None:
        raise UsageError(f"{node.id} has settings that the environment has yet to give")
    try:
        return spec.target(node.settings, context)
    except TypeError as error:
        raise InvalidConnector(f"{spec.name} cannot be made: {error}") from error


def to_open(target: Any) -> bool:
    """Whether the connector has an ``open`` to wait for."""
    return _own(target, "open") is not None


def to_close(target: Any) -> bool:
    """Whether the connector has a ``close`` to wait for."""
    return _own(target, "close") is not None


async def opened(target: Any) -> None:
    """Await the connector's ``open``, when it has one."""
    await _maybe(target, "open")


async def closed(target: Any) -> None:
    """Await the connector's ``close``, when it has one."""
    await _maybe(target, "close")


def _own(target: Any, method: str) -> Any:
    if isinstance(target, functools.partial):
        return None
    call = getattr(target, method, None)
    # What a sink does not say for itself does nothing.
    return None if getattr(call, "__func__", None) is getattr(AudioSink, method) else call


async def _maybe(target: Any, method: str) -> None:
    call = _own(target, method)
    if call is not None:
        answer = call()
        if inspect.isawaitable(answer):
            await answer


class EmbeddedSink(AudioSink):
    """The far end of an egress that the embedding program reads as events: plays by the clock, keeps nothing."""

    def __init__(self, wanted: AudioFormat = AudioFormat(24_000)) -> None:
        self._format = wanted

    @property
    def format(self) -> AudioFormat:
        return self._format

    def write(self, pcm: bytes) -> None:
        """The event of the frame is the write."""

    def clear(self) -> None:
        """The embedding program learns of it by ``control.barge_in.committed``."""

    def take(self, payload: Payload) -> None:
        """The event is the taking, as with frames."""


async def fed(items: AsyncIterable[Any], node: PlanNode) -> AsyncIterator[Payload]:
    """The embedding program's items as payloads; raw PCM bytes become audio frames in the ingress's format."""
    spec = node.spec
    wanted = spec.output_format(node.settings) if spec is not None and node.settings is not None else None
    audio = wanted or DEFAULT_FORMAT
    async with reading(items) as source:
        async for item in source:
            if isinstance(item, Payload):
                yield item
            elif isinstance(item, bytes | bytearray | memoryview):
                yield AudioFrame(bytes(item), audio.rate, audio.channels)
            else:
                raise UsageError(f"{node.id} is fed with payloads or PCM bytes, not with {type(item).__name__}")
