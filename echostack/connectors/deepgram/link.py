"""One websocket to Deepgram's live API, through the vendor's SDK, and what its refusals and endings mean.

The SDK (deepgram-sdk 7) opens the websocket by the legacy client of ``websockets`` with its own time limits, 10 s and
more to open and to close. Here every wait has a limit of ours, and a socket that is given up is closed at once.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from echostack.connectors.deepgram.messages import Message, Unreadable, read
from echostack.connectors.unreachable import nobody_there, why_unreachable
from echostack.core.clock import Clock
from echostack.core.errors import ConnectorFailure, MissingExtra

WHO: Final = "deepgram.stt"
_GIVE_UP_SECONDS: Final = 0.5  # for an opening that is given up to end by itself


class LinkLost(Exception):
    """The connection is gone, or never came: ``reason`` says how. Another one may well work, after ``retry_after``
    seconds where Deepgram said so. ``whole``: it was closed in good order, after the stream had been. ``nobody``: there
    is nobody at the address, which was told at once: nothing listens there, or no host has the name."""

    def __init__(
        self, reason: str, retry_after: float | None = None, *, whole: bool = False, nobody: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.retry_after, self.whole, self.nobody = reason, retry_after, whole, nobody


class Sdk:
    """The vendor's package, imported on first use (0.3 s), and what is used of it."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # The SDK uses deprecated parts of `websockets`; whoever makes warnings errors can do nothing about it.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                deepgram = import_module("deepgram")
                environment = import_module("deepgram.environment")
                errors = import_module("deepgram.core.api_error")
                import_module("deepgram.listen.v1.client")
                sockets, http = import_module("websockets.exceptions"), import_module("httpx")
            except ImportError as error:
                raise MissingExtra(WHO, "deepgram-sdk", "deepgram") from error
        self._client, self._environment = deepgram.AsyncDeepgramClient, environment.DeepgramClientEnvironment
        self.api_error: type[Exception] = errors.ApiError
        self.closed: type[Exception] = sockets.ConnectionClosed
        self.http_error: type[Exception] = http.HTTPError
        self.http_client: Any = http.AsyncClient
        # Every client wants one, and making one takes 50 ms; live recognition makes no request by it.
        self._no_requests: Any = http.AsyncClient()
        self.socket_error: type[Exception] = sockets.WebSocketException

    def client(self, base_url: str, api_key: str, http: Any = None) -> Any:
        """A client for one server; ``base_url`` is http or https, the websocket's address follows from it.

        http: what it makes plain requests by, for the caller to close; without it, it is for live recognition only.
        """
        base = base_url.rstrip("/")
        live = "ws" + base.removeprefix("http")
        address = self._environment(base=base, production=live, agent=live, agent_rest=base)
        return self._client(api_key=api_key, environment=address, max_retries=0, httpx_client=http or self._no_requests)


@cache
def shared_sdk() -> Sdk:
    """The process's one Sdk. MissingExtra when the package is not installed."""
    return Sdk()


class Link:
    """An open websocket. Sending and receiving raise LinkLost once it is gone, ConnectorFailure when it was closed for
    a reason that another one would meet as well."""

    def __init__(self, sdk: Sdk, socket: Any, wire: Any) -> None:
        self._sdk, self._socket, self._wire = sdk, socket, wire
        self._given_up = ""
        self._closed_stream = False

    async def audio(self, pcm: bytes) -> None:
        """Send audio; never empty, which would end the stream. Waits while the far end takes no more."""
        await self._sending(self._socket.send_media(pcm))

    async def keep_alive(self) -> None:
        """Say that the stream goes on although no audio comes."""
        await self._sending(self._socket.send_keep_alive())

    async def finalize(self) -> None:
        """Have everything sent so far recognised for good, at once."""
        await self._sending(self._socket.send_finalize())

    async def close_stream(self) -> None:
        """Say that no more audio comes: the last results follow."""
        self._closed_stream = True
        await self._sending(self._socket.send_close_stream())

    async def receive(self) -> Message | None:
        """The next message; None for one that means nothing here, Unreadable for one that is broken."""
        try:
            return read(await self._socket.recv())
        except self._sdk.closed as error:
            raise self._ended(error) from error
        except ValueError as error:  # not JSON at all
            raise Unreadable(str(error)) from error
        except OSError as error:
            raise LinkLost(self._given_up or f"broke: {error.strerror or error}") from error

    def abandon(self, reason: str) -> None:
        """Give the connection up, at once: whoever waits for it gets LinkLost with this reason."""
        self._given_up = self._given_up or reason
        self._wire.transport.abort()

    async def _sending(self, sent: Any) -> None:
        try:
            await sent
        except self._sdk.closed as error:
            raise self._ended(error) from error
        except OSError as error:
            raise LinkLost(self._given_up or f"broke: {error.strerror or error}") from error

    def _ended(self, error: Any) -> Exception:
        if self._given_up:
            return LinkLost(self._given_up)
        close = error.rcvd
        if close is None:
            return LinkLost("broke")
        why = f"{close.code}{': ' if close.reason else ''}{close.reason}"
        if close.code == 1008:  # policy: what was sent is not what was announced (DATA-0000)
            return ConnectorFailure(f"{WHO}: Deepgram closed the stream ({why}): it cannot read the audio",
                                    retryable=False)  # fmt: skip
        return LinkLost(f"was closed by Deepgram ({why})", whole=self._closed_stream and close.code == 1000)


@asynccontextmanager
async def linked(
    sdk: Sdk, client: Any, address: str, query: dict[str, Any], *, clock: Clock, seconds: float
) -> AsyncIterator[Link]:
    """A websocket for the time of the block, opened within ``seconds``.

    LinkLost when Deepgram cannot be reached, is overloaded or has too many streams; ConnectorFailure, not retryable,
    when it refuses the key, the account or the settings. Leaving the block closes the socket without waiting for the
    far end.
    """
    manager = client.listen.v1.connect(**query)
    try:
        socket = await _opened(manager, clock, seconds)
    except sdk.api_error as error:
        raise refused(error, address) from None
    except (OSError, TimeoutError) as error:
        late = isinstance(error, TimeoutError)
        how = f"did not answer within {seconds:g} s" if late else f"cannot be reached: {why_unreachable(error)}"
        raise LinkLost(how, nobody=nobody_there(error)) from None
    except sdk.socket_error as error:
        raise LinkLost(f"does not answer as a websocket: {type(error).__name__}") from None
    try:
        wire = _wire(socket)
        try:
            yield Link(sdk, socket, wire)
        finally:
            wire.transport.abort()
            # The legacy close() swallows a cancellation that meets it in the middle; once the socket is closed it has
            # no middle.
            await wire.wait_closed()
    finally:
        await manager.__aexit__(None, None, None)


async def _opened(manager: Any, clock: Clock, seconds: float) -> Any:
    task = asyncio.get_running_loop().create_task(manager.__aenter__())
    try:
        async with clock.timeout(seconds):
            await asyncio.wait([task])
    except BaseException:
        try:
            if not task.done():
                # A far end that takes the connection and says nothing holds the SDK up for its own time limit, unless
                # it is asked twice.
                task.cancel()
                await asyncio.wait([task], timeout=_GIVE_UP_SECONDS)
        finally:
            task.cancel()
            # It may have been made in the very instant in which it was given up: nobody else would close it.
            task.add_done_callback(_abort_made)
        raise
    return task.result()


def _abort_made(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is None:
        _wire(task.result()).transport.abort()


def _wire(socket: Any) -> Any:
    """The websocket behind the SDK's. Nothing public leads to it, and the SDK's own closing waits for the far end."""
    wire = getattr(socket, "_websocket", None)
    if not (hasattr(wire, "transport") and hasattr(wire, "wait_closed")):
        raise ConnectorFailure(
            f"{WHO}: this deepgram-sdk is not one that EchoStack knows: pip install 'echostack[deepgram]' gives one",
            retryable=False,
        )
    return wire


def refused(error: Any, address: str) -> Exception:
    """What an HTTP answer other than the one hoped for means: LinkLost or ConnectorFailure.

    error: the SDK's ApiError; the response is only known to the exception behind it, and may not be.
    """
    status = error.status_code
    headers = getattr(error.__context__, "headers", None) or {}
    said = _said(headers.get("dg-error", ""))
    hint = _seconds(headers.get("retry-after", headers.get("Retry-After", "")))
    if status == 429:
        return LinkLost(f"has no room for another stream (429{said})", hint)
    if status is None or status >= 500 or status == 408:
        return LinkLost(f"is down or overloaded ({status}{said})", hint)
    return ConnectorFailure(f"{WHO}: {_why(status, said, address)}", retryable=False)


def _why(status: int, said: str, address: str) -> str:
    match status:
        case 401:
            return f"Deepgram does not take the key (401{said}): put a valid one into DEEPGRAM_API_KEY or api_key"
        case 402:
            return f"the Deepgram account has no credit left (402{said}): add some at https://console.deepgram.com"
        case 403:
            return f"the key may not use this (403{said}): give it the rights, or ask for a model that the account has"
        case 400:
            return f"Deepgram does not take the settings (400{said}): look at model, language, keyterms and sample_rate"
        case 404:
            return f"there is no live recognition at {address} (404{said}): check base_url"
    return f"{address} refuses the connection ({status}{said})"


def host_of(base_url: str) -> str:
    """The host and port that people know a server by."""
    return urlsplit(base_url).netloc.rpartition("@")[2]


def _said(text: Any) -> str:
    words = " ".join(str(text).split())[:200].rstrip(". ")
    return f": {words}" if words else ""


def _seconds(text: Any) -> float | None:
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < 3600 else None
