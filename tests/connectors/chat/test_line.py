"""The connections to a model's API: one is there before the first request, and none outlives its line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from echostack.connectors.chat.line import ModelLine, rehearsal
from echostack.core.clock import LoopClock

ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Far:
    """A far end that answers whatever it is asked, or nothing: what it was asked, by connection."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self._answer = answer
        self.asked: list[list[str]] = []
        self.gone = 0
        self.news = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[str] = []
        self.asked.append(mine)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                mine.append(head.decode())
                writer.write(self._answer)
                self.news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone += 1
            self.news.set()
            writer.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def line_to(far: Far) -> AsyncIterator[tuple[ModelLine, str]]:
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    line = ModelLine(address, httpx2.Timeout(5))
    try:
        yield line, address
    finally:
        await line.close()
        server.close()
        await server.wait_closed()


async def connected(line: ModelLine) -> None:
    """Wait until the early connection is there, or is known not to be had."""
    assert line._early is not None
    assert line._early._task is not None
    await asyncio.wait([line._early._task])


async def test_the_first_request_finds_a_connection_that_asked_for_nothing_and_showed_no_key() -> None:
    far = Far()
    async with line_to(far) as (line, address):
        await line.connect(LoopClock())
        await line.connect(LoopClock())
        await connected(line)
        answer = await line.http.post(f"{address}/messages", headers={"x-api-key": "secret"}, content=b"")
        assert answer.status_code == 404
    (asked,) = far.asked
    assert [head.split("\r\n")[0] for head in asked] == ["HEAD / HTTP/1.1", "POST /v1/messages HTTP/1.1"]
    assert "secret" not in asked[0]


async def test_a_far_end_that_says_nothing_holds_up_neither_the_beginning_nor_the_end() -> None:
    far = Far(b"")
    async with line_to(far) as (line, _), asyncio.timeout(1):
        await line.connect(LoopClock())
        await far.until(lambda: bool(far.asked and far.asked[0]))
        await line.close()
        await far.until(lambda: far.gone == 1)


async def test_a_far_end_that_is_not_there_is_left_to_the_first_request_to_tell() -> None:
    line = ModelLine("http://127.0.0.1:9", httpx2.Timeout(1))
    await line.connect(LoopClock())
    await connected(line)
    with pytest.raises(httpx2.ConnectError):
        await line.http.get("http://127.0.0.1:9/")
    await line.close()


def _claude() -> None:
    from echostack.connectors.claude.provider import _rehearsed

    _rehearsed.__wrapped__()


def _openai() -> None:
    from echostack.connectors.openai.chat import _rehearsed

    _rehearsed.__wrapped__()


@pytest.mark.parametrize("rehearsed", [_claude, _openai])
def test_a_rehearsal_is_read_by_the_sdk_to_its_end(rehearsed: Callable[[], None]) -> None:
    rehearsed()


def test_a_rehearsal_reaches_no_server() -> None:
    with rehearsal(b"data: {}\n\n") as client:
        assert client.post("http://192.0.2.1/").text == "data: {}\n\n"
