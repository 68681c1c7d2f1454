"""How long an answer is waited for, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from echostack.connectors.chat.patience import Patience
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure
from echostack.simulation.loop import run_virtual


async def pieces(*pauses: float) -> AsyncIterator[float]:
    for pause in pauses:
        await asyncio.sleep(pause)
        yield pause


async def taken(*pauses: float, beat: float = 0.0) -> tuple[int, str, float]:
    """How many pieces came, what was said when no more did, and when that was."""
    clock = LoopClock()
    patience = Patience("node", clock, first=6.0, between=2.0)
    if beat:
        patience.alive = lambda: int(clock.now() / beat)
    source, count = pieces(*pauses), 0
    try:
        while True:
            await patience.next(source)
            patience.got_on()
            count += 1
    except StopAsyncIteration:
        return count, "", round(clock.now(), 3)
    except ConnectorFailure as failure:
        return count, str(failure), round(clock.now(), 3)


@pytest.mark.parametrize(
    ("pauses", "beat", "outcome"),
    [
        ((5.9, 1.9, 1.9), 0.0, (3, "", 9.7)),
        ((6.1,), 0.0, (0, "node: the model did not begin its answer within 6 s", 6.0)),
        ((1.0, 2.1), 0.0, (1, "node: the model stopped in its answer and sent nothing more in time", 3.0)),
        ((1.0, 5.9), 0.5, (2, "", 6.9)),  # it shows that it lives meanwhile
        ((1.0, 6.1), 0.5, (1, "node: the model stopped in its answer and sent nothing more in time", 7.0)),
    ],
)
def test_an_answer_has_time_to_begin_and_less_to_go_on(
    pauses: tuple[float, ...], beat: float, outcome: tuple[int, str, float]
) -> None:
    assert run_virtual(taken(*pauses, beat=beat)) == outcome


def test_the_request_itself_has_the_time_that_the_beginning_has() -> None:
    async def main() -> float:
        clock = LoopClock()
        patience = Patience("node", clock, first=6.0, between=2.0)
        await clock.sleep(1.0)
        with pytest.raises(ConnectorFailure, match="did not begin its answer within 6 s") as failure:
            await patience.begin(clock.sleep(60.0))
        assert failure.value.retryable
        return clock.now()

    assert run_virtual(main()) == 6.0
