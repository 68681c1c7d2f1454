"""A small agent of the network, to try the suite of agents on: right as it stands, and wrong in one way each."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, ClassVar

import httpx2
from pydantic import SecretStr

from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import AgentMessage, AgentMessagePartial, Text
from echostack.registry import ConnectorSettings, Context, Env, connector


class ParrotSettings(ConnectorSettings):
    """Where it is asked."""

    base_url: Annotated[str, Env("OPENAI_BASE_URL")]
    """The address."""
    api_key: Annotated[SecretStr, Env("OPENAI_API_KEY")]
    """The key."""
    patience: float = 0.3
    """Seconds that may pass without a byte."""


@connector("parrot.agent", network=True)
class Parrot:
    """Asks a model, and says its answer sentence by sentence."""

    def __init__(self, settings: ParrotSettings, context: Context) -> None:
        self.settings, self.context = settings, context
        self.client: Any = None
        self.count = 0

    async def open(self) -> None:
        self.client = httpx2.AsyncClient(timeout=self.settings.patience, trust_env=False)

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        if not turn.text.strip():
            return
        self.count += 1
        utterance, said, rest = f"{self.context.node}-{self.count}", [], ""
        try:
            async with aclosing(self.answer(turn.text)) as pieces:
                async for piece in pieces:
                    rest += piece
                    sentence, end, more = rest.partition(". ")
                    if end:
                        said.append(sentence + ".")
                        rest = more
                        yield AgentMessagePartial(said[-1], utterance)
        except httpx2.HTTPError as error:
            raise ConnectorFailure(f"parrot.agent: the server is gone ({type(error).__name__})") from error
        said.append(rest)
        yield AgentMessagePartial(rest, utterance, final=True)
        yield AgentMessage(" ".join(said), utterance)

    async def answer(self, text: str) -> AsyncIterator[str]:
        body = {"model": "any", "stream": True, "messages": [{"role": "user", "content": text}]}
        headers = {"authorization": f"Bearer {self.settings.api_key.get_secret_value()}"}
        url = f"{self.settings.base_url}/chat/completions"
        async with self.client.stream("POST", url, json=body, headers=headers) as response:
            if response.status_code == 401:
                raise ConnectorFailure("parrot.agent: the key is not taken", retryable=False)
            if response.status_code != 200:
                after = response.headers.get("retry-after")
                raise ConnectorFailure("parrot.agent: not now", retry_after=float(after) if after else None)
            over = False
            async for line in response.aiter_lines():
                if over or not line.startswith("data:"):
                    continue
                if line == "data: [DONE]":
                    return
                try:
                    choices = json.loads(line[5:])["choices"]
                except (ValueError, KeyError) as error:
                    raise ConnectorFailure("parrot.agent: the server's answer cannot be read") from error
                if choices:
                    yield choices[0]["delta"].get("content") or ""
        raise ConnectorFailure("parrot.agent: the answer broke off")


@connector("parrot.agent", network=True)
class EatsCancellation(Parrot):
    """Goes on as if it had not been interrupted."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        try:
            async for one in super().__call__(turn):
                yield one
        except asyncio.CancelledError:
            return


@connector("parrot.agent", network=True)
class LeavesATask(Parrot):
    """Has something go on beside it, for ever."""

    async def open(self) -> None:
        await super().open()
        self.beside = asyncio.create_task(asyncio.Event().wait())


@connector("parrot.agent", network=True)
class LeavesASocket(Parrot):
    """Never lets go of what it opened."""

    kept: ClassVar[list[socket.socket]] = []

    async def open(self) -> None:
        await super().open()
        self.kept.extend(socket.socketpair())


@connector("parrot.agent", network=True)
class TellsTheKey(Parrot):
    """Shows in its errors what it sent."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        try:
            async for one in super().__call__(turn):
                yield one
        except ConnectorFailure as error:
            key = self.settings.api_key.get_secret_value()
            raise ConnectorFailure(str(error), retryable=error.retryable) from ValueError(f"Bearer {key}")


@connector("parrot.agent", network=True)
class MarksNoEnd(Parrot):
    """Does not say which piece is the last."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        async for one in super().__call__(turn):
            if isinstance(one, AgentMessagePartial) and one.final:
                one = AgentMessagePartial(one.text, one.id)
            yield one


@connector("parrot.agent", network=True)
class WaitsForTheWhole(Parrot):
    """Speaks only when it has heard everything."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        for one in [one async for one in super().__call__(turn)]:
            yield one


@connector("parrot.agent", network=True)
class RaisesRaw(Parrot):
    """Lets the errors of its library through."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        try:
            async for one in super().__call__(turn):
                yield one
        except ConnectorFailure as error:
            raise error.__cause__ or RuntimeError("boom") from error


@connector("parrot.agent", network=True)
class TakesHalfForWhole(Parrot):
    """Is content with what came."""

    async def answer(self, text: str) -> AsyncIterator[str]:
        try:
            async for one in super().answer(text):
                yield one
        except (ConnectorFailure, httpx2.HTTPError):
            return


@connector("parrot.agent", network=True)
class AsksAboutNothing(Parrot):
    """Has the model answer a turn without words."""

    async def __call__(self, turn: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
        async for one in super().__call__(Text(turn.text.strip() or "nothing")):
            yield one


@connector("parrot.agent", network=True)
class RemembersTheLast(Parrot):
    """After an interruption it begins with the rest of the answer before."""

    kept = ""

    async def answer(self, text: str) -> AsyncIterator[str]:
        kept, self.kept = self.kept, ""
        yield kept
        async for one in super().answer(text):
            self.kept = one
            yield one
        self.kept = ""
