"""A request is served only as long as its client is there: what a local provider does is ended when the client goes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from echostack.connectors.alongside import Alongside
from echostack.core.clock import Clock

_LOOK = 0.002  # seconds between two looks at the connection: the web framework tells nobody of its end


async def while_connected(request: web.Request, clock: Clock, work: Coroutine[Any, Any, None]) -> bool:
    """Do ``work`` until it is done, or cancel it when the client closes its connection. Whether it was done.

    Within 2 ms of the connection's end. Raises what ``work`` raises, unless it is that the connection is gone.
    """
    try:
        async with Alongside(work) as task:
            while not task.done():
                try:
                    async with clock.timeout(_LOOK):
                        await asyncio.wait([task])
                except TimeoutError:
                    if gone(request):
                        return False
    except ConnectionError:  # the work wrote to a client that is no longer there
        return False
    return True


def gone(request: web.Request) -> bool:
    """Whether the client has closed its connection."""
    transport = request.transport
    return transport is None or transport.is_closing()
