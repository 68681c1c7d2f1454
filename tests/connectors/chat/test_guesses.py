"""A chat agent that begins on guesses of the turn, in whole calls on the virtual clock: of a wrong guess nothing is
heard, stored, asked of a tool or told to the model, and what it cost is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostack.connectors.chat.agent import ChatAgent
from echostack.connectors.chat.settings import ChatSettings, tool_ports
from echostack.connectors.chat.words import Call, Delta, Ended, Piece, Prompt, Spent
from echostack.core.payloads import AgentMessage, ToolCall, ToolResult, Usage
from echostack.registry import Context, connector
from tests.runtime.cast import Outcome, play
from tests.runtime.guessing import tts

GRAPH = """
echostack: 1
connectors:
  acme.agent: {speak: verbatim, tools: {book: {description: Books., parameters: {what: {type: string}}}}}
  acme.tts: {seconds: 0.1}
pipeline:
  - ingress.line.audio_frame -> ear.vad
  - ingress.line.audio_frame -> ear.stt -> acme.agent
  - acme.agent:book -> crm.write
  - crm.write -> acme.agent: {cycle: true, queue: 8, overflow: drop_oldest}
  - acme.agent -> acme.tts -> egress.line.audio_chunk
barge_in: {on: processing.ear.speech_started}
"""


class Slow:
    """A model that thinks for 0.4 s and tells what it used, cut off as well. Asked to book, it asks for the tool."""

    prompts: list[Prompt]

    def __init__(self, context: Context) -> None:
        self._context = context
        self.prompts = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def answer(self, prompt: Prompt) -> AsyncIterator[Delta]:
        self.prompts.append(prompt)
        spent = Usage("m", 10, 1)
        try:
            await self._context.clock.sleep(0.4)
            spent = Usage("m", 10, 2 if prompt.said[-1].text.startswith("book") else 3)
        except BaseException:
            self._context.emit(spent)
            raise
        asked = prompt.said[-1]
        if asked.text.startswith("book"):
            yield Call(f"c{len(self.prompts)}", "book", {"what": asked.text})
        else:
            word = asked.results[0].text if asked.results else asked.text.split()[0]
            yield Piece(f"{word} {word} {word}.")
        yield Spent(spent)
        yield Ended("end")


def called(*script: tuple[float, str], speculate: str = "model") -> tuple[Outcome, list[Prompt], list[str]]:
    """The call, what the model was told, and what the tool was asked for."""
    models: list[Slow] = []
    ran: list[str] = []

    @connector("acme.agent", ports=tool_ports)
    class Talking(ChatAgent):
        def __init__(self, settings: ChatSettings, context: Context) -> None:
            models.append(Slow(context))
            super().__init__(settings, context, models[-1])

    @connector("crm.write", effect=True)
    async def write(call: ToolCall) -> ToolResult:
        ran.append(call.arguments["what"])
        return ToolResult(call.name, call.id, "done")

    over = play(list(script), Talking, write, tts, graph=f"{GRAPH}speculate: {speculate}\n")
    return over, models[0].prompts, ran


def told(prompt: Prompt) -> list[Any]:
    return [(s.text, *(c.arguments["what"] for c in s.calls), *(r.text for r in s.results)) for s in prompt.said]


def used(over: Outcome) -> tuple[int, int, int]:
    (usage,) = over.stats.usage
    return usage.requests, usage.input_tokens, usage.output_tokens


def test_a_right_guess_saves_the_models_time_and_is_asked_once() -> None:
    script = [(2.3, "partial:hello there"), (3.0, "say:hello there")]
    (early, prompts, _), (late, asked, _) = called(*script), called(*script, speculate="off")
    assert [o.times("control.line.playout_started") for o in (early, late)] == [[3.1], [3.5]]
    assert early.said == late.said == [("caller", "hello there"), ("agent", "hello hello hello.")]
    assert [told(p) for p in prompts] == [told(p) for p in asked] == [[("hello there",)]]
    assert used(early) == used(late) == (1, 10, 3)


@pytest.mark.parametrize("final", [2.6, 2.95, 3.0, 4.0])
def test_of_a_wrong_guess_only_what_it_cost_remains(final: float) -> None:
    over, prompts, ran = called((2.3, "partial:book a table"), (final, "say:goodbye now"), (8.0, "say:and then"))
    assert ran == []
    assert over.said[:2] == [("caller", "goodbye now"), ("agent", "goodbye goodbye goodbye.")]
    theirs = [e for e in over.events if e.name.split(".")[1] in ("acme", "crm")]
    assert theirs
    assert not [e for e in theirs if "book" in str(e.payload)]
    # What the model is told after it never had the turn that was guessed, nor the call that came of it.
    assert [told(p) for p in prompts[1:]] == [
        [("goodbye now",)], [("goodbye now",), ("goodbye goodbye goodbye.",), ("and then",)],
    ]  # fmt: skip
    assert used(over) == ((3, 30, 8) if final > 2.9 else (3, 30, 7))  # before, the guess had no answer yet


def test_a_tool_that_was_asked_for_ahead_runs_once_the_turn_is_over_and_the_model_is_told_what_came() -> None:
    over, prompts, ran = called((2.3, "partial:book a table"), (3.0, "say:book a table"))
    assert ran == ["book a table"]
    assert over.times("processing.acme.tool_call") == [3.0]
    assert [told(p) for p in prompts] == [
        [("book a table",)], [("book a table",), ("", "book a table"), ("", "done")],
    ]  # fmt: skip
    assert [p.text for _, p in over.at("processing.acme.agent_message") if isinstance(p, AgentMessage)] == [
        "done done done."
    ]
    assert over.times("control.line.playout_started") == [3.5]
    assert used(over) == (2, 20, 5)
