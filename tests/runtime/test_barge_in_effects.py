"""What an interruption does to effects: what has begun is kept, what has not never happens, nothing happens twice."""

from __future__ import annotations

from echostack.core.errors import ConnectorFailure
from echostack.core.payloads import (
    AgentMessage,
    Text,
    ToolCall,
    ToolResult,
)  # fmt: skip
from echostack.registry import Context, connector
from tests.runtime.cast import Pace, play

TOOLS = """
echostack: 1
connectors:
  acme.booker: {seconds: 1.0}
  acme.tts: {seconds: 0.1}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.planner -> acme.booker -> acme.teller -> acme.tts
  - acme.tts -> egress.line.audio_chunk
  - acme.booker -> acme.ledger
barge_in: {on: processing.ear.speech_started}
"""


class Office:
    """A booking office that counts."""

    def __init__(self, plan_seconds: float = 0.2) -> None:
        self.booked: list[tuple[float, str]] = []
        self.kept: list[str] = []
        office = self

        @connector("acme.planner")
        class Planner:
            def __init__(self, context: Context) -> None:
                self._clock = context.clock

            async def __call__(self, text: Text) -> list[ToolCall]:
                await self._clock.sleep(plan_seconds)
                return [ToolCall("book", name) for name in text.text.split()]

        @connector("acme.booker", effect=True)
        class Booker:
            def __init__(self, settings: Pace, context: Context) -> None:
                self._wait, self._clock = settings.seconds, context.clock

            async def __call__(self, call: ToolCall) -> ToolResult:
                office.booked.append((self._clock.now(), call.id))
                await self._clock.sleep(self._wait)
                return ToolResult("book", call.id, "done")

        @connector("acme.teller")
        def teller(result: ToolResult) -> AgentMessage:
            return AgentMessage(f"{result.id}-1 {result.id}-2")

        @connector("acme.ledger")
        def ledger(result: ToolResult) -> None:
            office.kept.append(result.id)

        self.cast = (Planner, Booker, teller, ledger)


def test_a_tool_that_finishes_during_a_barge_in_keeps_its_result_and_is_not_run_again() -> None:
    office = Office()
    over = play([(3.0, "say:table"), (3.8, "say:wine")], *office.cast, graph=TOOLS)
    assert office.booked == [(3.2, "table"), (4.2, "wine")]
    assert office.kept == ["table", "wine"]
    assert over.heard("table") == 0.0
    assert over.heard("wine") == 1.0
    # What a function in place makes of the result of a turn that is over is not even seen.
    assert [p.text for _, p in over.at("processing.acme.agent_message")] == ["wine-1 wine-2"]
    assert over.stats.nodes["acme.teller"]["stale"] == 1


def test_a_tool_call_of_an_abandoned_turn_that_had_not_begun_never_runs() -> None:
    office = Office()
    play([(3.0, "say:table chair"), (3.8, "say:wine")], *office.cast, graph=TOOLS)
    assert office.booked == [(3.2, "table"), (4.2, "wine")]


def test_a_tool_call_that_is_queued_at_the_instant_of_the_barge_in_never_runs() -> None:
    office = Office()
    play([(3.0, "say:table"), (3.2, "say:wine")], *office.cast, graph=TOOLS)
    assert [name for _, name in office.booked][-1] == "wine"
    assert len(office.booked) <= 2


def test_an_effect_that_failed_is_not_tried_again_for_a_turn_that_is_over() -> None:
    tried: list[tuple[float, str]] = []
    office = Office()

    @connector("acme.booker", effect=True)
    class Engaged:
        """Refuses the first call."""

        def __init__(self, settings: Pace, context: Context) -> None:
            self._clock = context.clock

        async def __call__(self, call: ToolCall) -> ToolResult:
            tried.append((self._clock.now(), call.id))
            if len(tried) == 1:
                raise ConnectorFailure("engaged", retry_after=1.0)
            return ToolResult("book", call.id, "done")

    graph = TOOLS.replace("acme.booker: {seconds: 1.0}", "acme.booker: {attempts: 3}")
    over = play([(3.0, "say:table"), (3.8, "say:wine")], *office.cast[:1], Engaged, *office.cast[2:], graph=graph)
    assert tried == [(3.2, "table"), (4.2, "wine")]
    letters = [(t, p.message) for t, p in over.at("error.acme.dead_letter")]
    assert letters == [(4.2, "its turn was over before it could be tried again")]
    assert [(e.node, e.state) for e in over.stats.effects] == [("acme.booker", "failed"), ("acme.booker", "done")]


def test_one_booking_for_one_idempotency_key() -> None:
    office = Office()
    over = play([(3.0, "say:table table table")], *office.cast, graph=TOOLS)
    assert office.booked == [(3.2, "table")]
    assert office.kept == ["table", "table", "table"]
    assert over.stats.late == ()
