"""A task beside a block: never without an owner, never a lost error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from echostack.connectors.alongside import Alongside


async def test_the_work_ends_with_the_block() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async with Alongside(work()) as task:
        await asyncio.sleep(0)
    assert task.cancelled()
    assert ended == ["work"]


async def test_its_error_reaches_the_block() -> None:
    async def work() -> None:
        raise ValueError("broken")

    async def block() -> None:
        async with Alongside(work()) as task:
            await asyncio.wait([task])

    with pytest.raises(ValueError, match="broken"):
        await block()


async def test_an_error_of_the_block_comes_first() -> None:
    async def work() -> None:
        raise ValueError("broken")

    async def block() -> None:
        async with Alongside(work()):
            await asyncio.sleep(0)
            raise KeyError("mine")

    with pytest.raises(KeyError):
        await block()


async def test_it_may_stand_around_a_yield() -> None:
    task: asyncio.Task[None] | None = None

    async def numbers() -> AsyncIterator[int]:
        nonlocal task
        async with Alongside(asyncio.Event().wait()) as task:  # type: ignore[arg-type]
            yield 1
            yield 2

    stream = numbers()
    assert await anext(stream) == 1
    await stream.aclose()  # type: ignore[attr-defined]
    assert task is not None
    assert task.cancelled()
