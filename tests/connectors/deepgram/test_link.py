"""One websocket of ``deepgram.stt``: what is given up is closed, whatever the SDK makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from echostack.connectors.deepgram.link import LinkLost, linked, shared_sdk
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure


class Opening:
    """What the SDK gives for a websocket that ``opened`` makes."""

    def __init__(self, opened: Callable[[], Awaitable[Any]]) -> None:
        self._opened = opened
        self.aborted = self.left = 0
        wire = SimpleNamespace(transport=SimpleNamespace(abort=self._abort), wait_closed=self._wait_closed)
        self.socket = SimpleNamespace(_websocket=wire)
        self.listen = SimpleNamespace(v1=SimpleNamespace(connect=lambda **query: self))

    def _abort(self) -> None:
        self.aborted += 1

    async def _wait_closed(self) -> None:
        assert self.aborted

    async def __aenter__(self) -> Any:
        return await self._opened() or self.socket

    async def __aexit__(self, *error: object) -> None:
        self.left += 1


async def use(opening: Opening, seconds: float = 0.05) -> None:
    async with linked(shared_sdk(), opening, "there", {}, clock=LoopClock(), seconds=seconds):
        pass


async def comes_all_the_same() -> None:
    with suppress(asyncio.CancelledError):  # it was there already
        await asyncio.sleep(60)


async def test_a_connection_that_comes_in_the_moment_it_is_given_up_is_closed() -> None:
    opening = Opening(comes_all_the_same)
    with pytest.raises(LinkLost, match=r"did not answer within 0\.05 s"):
        await use(opening)
    await asyncio.sleep(0)
    assert opening.aborted == 1


async def test_a_connection_that_comes_while_its_call_is_cancelled_is_closed() -> None:
    opening = Opening(comes_all_the_same)
    task = asyncio.get_running_loop().create_task(use(opening, 60))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert task.cancelled()
    assert opening.aborted == 1


async def test_an_sdk_that_hides_its_websocket_is_told_of_and_its_connection_closed() -> None:
    async def another() -> Any:
        return SimpleNamespace(socket="elsewhere")

    opening = Opening(another)
    with pytest.raises(ConnectorFailure) as caught:
        await use(opening)
    assert str(caught.value) == (
        "deepgram.stt: this deepgram-sdk is not one that EchoStack knows: pip install 'echostack[deepgram]' gives one"
    )
    assert not caught.value.retryable
    assert opening.left == 1
