"""The time that a simulation takes for an answer, and how an interruption ends it."""

from __future__ import annotations

import asyncio

from echostack.core.clock import Clock


class Pauses:
    """The waits of one simulation. One that is called once an event is cancelled by the engine while it waits. One that
    runs on through an interruption, as a connector with a socket of its own does, is told of it: ``give_up``."""

    def __init__(self, clock: Clock, *, told: bool) -> None:
        self._clock, self._told = clock, told
        self._turn = 0
        self._waiting: asyncio.Future[None] | None = None

    @property
    def turn(self) -> int:
        """What is being answered now; ask before the first wait of an answer."""
        return self._turn

    async def over(self, seconds: float, turn: int) -> bool:
        """Wait; whether ``turn`` has been given up meanwhile, in which case nothing more is to be said for it."""
        if not self._told:
            await self._clock.sleep(seconds)
            return False
        if turn != self._turn:
            return True
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, _settle, waiting)
        self._waiting = waiting
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None
        return turn != self._turn

    def give_up(self) -> None:
        """The turn is over: whoever waits goes on at once."""
        self._turn += 1
        if self._waiting is not None:
            _settle(self._waiting)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
