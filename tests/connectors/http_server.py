"""A small HTTP/1.1 server on a real socket that answers as a test scripts it, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[["Seen", asyncio.StreamWriter], Any]


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    url: str = ""
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def then(self, *answers: Answer) -> None:
        """Answer the next requests so, the last one for ever."""
        self.answers[:] = answers


def reply(
    status: int = 200, body: bytes = b"{}", kind: str = "application/json", headers: dict[str, str] | None = None
) -> Answer:
    """A whole answer."""

    def write(seen: Seen, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return write


def echo(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """The request's headers and body, as JSON."""
    reply(body=json.dumps({"headers": seen.headers, "body": seen.body.decode()}).encode())(seen, writer)


def cut(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """The connection breaks in the middle of the body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of i")


def hang_up(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Nothing at all comes back."""


async def silent(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Never an answer, until the client goes."""
    await asyncio.Event().wait()


async def drip(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """A body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 4096)
        await writer.drain()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A server that runs as long as the block; every connection is closed at its end."""
    server = Server()
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = Seen(method, target, headers, body)
            server.seen.append(seen)
            server.asked.set()
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            result = answer(seen, writer)
            if asyncio.iscoroutine(result):
                await result
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{server.port}"
    server.answers = [reply()]
    try:
        yield server
    finally:
        listener.close()
        pending = list(tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await listener.wait_closed()
