"""The connections to a model's API: kept from turn to turn, and one made before the first request wants it."""

from __future__ import annotations

import socket
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from echostack.connectors.alongside import Alongside
from echostack.connectors.http_call import certificates
from echostack.core.clock import Clock

_KEPT: Final = 300.0  # seconds that an idle connection is kept: a reply and a question may be long, and TLS costs
_IDLE, _BEAT, _BEATS = (
    30,
    10,
    3,
)  # seconds to the first and between two of the probes that find a dead one, and how many
_EARLY: Final = 2.0  # seconds that the first connection may take before it is left to the first request

_PROBES: Final[tuple[tuple[int, int, int], ...]] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)  # not every system has all of them
        for name, value in (("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _BEAT), ("TCP_KEEPCNT", _BEATS))
        if hasattr(socket, name)
    ),
)


class ModelLine:
    """The client that a vendor's SDK makes its requests by: ``http``. Nothing of the machine's own settings (proxies,
    profiles) is used, and no redirect is followed.

    ``connect`` begins a connection to ``base_url`` and waits for nothing; ``close`` ends everything.
    """

    def __init__(self, base_url: str, timeout: httpx2.Timeout) -> None:
        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}/"
        limits = httpx2.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=_KEPT)
        transport = httpx2.AsyncHTTPTransport(
            verify=certificates(), trust_env=False, limits=limits, socket_options=_PROBES
        )
        self.http = httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout, follow_redirects=False)
        self._early: Alongside | None = None

    async def connect(self, clock: Clock) -> None:
        """Have a connection made beside everything else, so that the first request finds it. Idempotent."""
        if self._early is None:
            self._early = Alongside(self._connect(clock))
            await self._early.__aenter__()

    async def close(self) -> None:
        """Close every connection, and the one that is being made."""
        early, self._early = self._early, None
        try:
            if early is not None:
                await early.__aexit__(None, None, None)
        finally:
            await self.http.aclose()

    async def _connect(self, clock: Clock) -> None:
        # There is no way to connect and ask nothing: this asks for no model, shows no key and costs nothing, and
        # whatever comes of it leaves the connection for the next request.
        try:
            async with clock.timeout(_EARLY):
                await self.http.head(self._origin, headers={"User-Agent": "echostack"})
        except (httpx2.HTTPError, OSError, TimeoutError):
            return  # the first request meets the same, and tells it


def rehearsal(body: bytes) -> Any:
    """A client on which every request is answered at once with the event stream ``body``, without any connection: an
    SDK builds much of what it reads answers with on the first one, and does that here, before a caller waits."""

    def answered(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=body)

    return httpx2.Client(transport=httpx2.MockTransport(answered), trust_env=False)
