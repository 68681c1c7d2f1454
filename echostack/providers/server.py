"""The frame of a local provider: an HTTP server on this machine, with faults and a record of what it saw."""

from __future__ import annotations

import errno
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from aiohttp import web

from echostack.core.clock import LoopClock
from echostack.core.errors import UsageError
from echostack.providers.faults import Fault, Faults
from echostack.providers.seen import Seen, Sighting

KEY = "local"
"""The key that a local provider gives out; it takes any key that is not empty, and never shows one."""


class ProviderServer(ABC):
    """One local provider. ``start`` before use, ``stop`` after; both on the event loop that serves it.

    It listens on this machine only. ``open`` counts the exchanges that are under way.
    """

    name: ClassVar[str]
    """The provider's, as ``echostack providers up`` names it."""

    def __init__(self, *, faults: Iterable[Fault] = (), tell: Callable[[Sighting], None] | None = None) -> None:
        self.faults = Faults(faults)
        self.seen = Seen(tell)
        self.clock = LoopClock()
        self.open = 0
        self.next_exchange = itertools.count(1).__next__
        self._runner: web.AppRunner | None = None
        self._address = ("", 0)

    @abstractmethod
    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """What it serves."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """The environment variables that make the provider's connector use this server, key and all."""

    @property
    def host(self) -> str:
        return self._address[0]

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen, on a free port unless one is named. UsageError when it is taken."""
        application = web.Application(client_max_size=64 * 2**20)
        application.add_routes(list(self.routes()))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            taken = error.errno == errno.EADDRINUSE
            why = "it is taken; choose others, or none for free ones" if taken else error.strerror or error
            raise UsageError(f"{self.name} cannot listen on port {port}: {why}") from error
        self._runner = runner
        host, bound = runner.addresses[0][:2]
        self._address = (str(host), int(bound))

    async def stop(self) -> None:
        """Close every connection and stop listening. Idempotent; what is served meanwhile is cancelled."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> ProviderServer:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()
