"""Every connector is simulated: what it gives in a call is what it could really give, and the same for one seed."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

import echostack.api as echostack
from echostack.connectors import BUILTIN
from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.events import Event
from echostack.core.kinds import Payload, kind
from echostack.core.payloads import (
    AgentMessage,
    AgentMessagePartial,
    AudioChunk,
    AudioChunkStream,
    AudioFrame,
    CallEnded,
    Data,
    Documents,
    Intent,
    Record,
    Sentiment,
    Text,
    TextPartial,
    ToolCall,
    ToolResult,
)
from echostack.language.data import Mapping_
from echostack.language.document import NodePolicy
from echostack.language.scenario import Caller, Reply, Say, Scenario, Send
from echostack.plan import Plan
from echostack.plan.model import PlanNode
from echostack.registry import (
    AudioSink,
    ConnectorSettings,
    ConnectorSpec,
    Form,
    Forward,
    Inbox,
    Latency,
    Out,
    Registry,
    StandIn,
    connector,
    stand_in,
)
from echostack.registry.declare import spec_of
from echostack.simulation.environment import simulated_settings
from echostack.simulation.loop import run_virtual
from echostack.simulation.mock.generic import act
from echostack.simulation.mock.registry import simulated
from echostack.simulation.mock.samples import sample
from echostack.simulation.world import NodeStore, World
from tests.simulation.mocking import HERE, fault, given, plan, play, script, value

ROOT = Path(__file__).parents[2]


# -- connectors of every role and form ---------------------------------------------------------------------------


class Keyed(ConnectorSettings):
    """A key from the environment."""

    key: str = ""


@connector("far.lookup", network=True, latency=Latency(p50=100, p95=400))
async def lookup(text: Text) -> Record:
    raise AssertionError("a simulated call has no network")


@connector("far.tools", network=True)
async def tools(call: ToolCall) -> ToolResult:
    raise AssertionError


@connector("far.search", network=True)
async def search(text: Text) -> AsyncIterator[Documents]:
    raise AssertionError
    yield Documents("")


@connector("far.mood", network=True)
class Mood:
    async def run(self, inbox: Inbox[Text]) -> AsyncIterator[Sentiment]:
        raise AssertionError
        yield Sentiment(0.0, "")


@connector("far.write", network=True, effect=True)
async def write(record: Record | Text) -> Record:
    raise AssertionError


@connector("far.router", network=True, ports=lambda settings: ("sales", "help", "other"))
async def router(text: Text) -> AsyncIterator[Intent | Forward]:
    raise AssertionError
    yield Intent("")


@connector("far.hangup", network=True)
async def hangup(text: Text) -> CallEnded | None:
    raise AssertionError


@connector("far.translate", network=True)
async def translate(text: Text) -> Text:
    raise AssertionError


@connector("far.volume", packages=("no_such_package",))
def volume(chunk: AudioChunkStream | AudioChunk) -> AudioChunkStream | AudioChunk:
    raise AssertionError


@connector("far.agent", network=True, latency=Latency(p50=300, p95=700))
async def agent(text: Text) -> AsyncIterator[AgentMessagePartial | AgentMessage]:
    raise AssertionError
    yield AgentMessage("")


@connector("far.stt", network=True, latency=Latency(p50=500, p95=900), packages=("no_such_package",))
class Stt:
    async def run(self, inbox: Inbox[AudioFrame]) -> AsyncIterator[Text | TextPartial]:
        raise AssertionError
        yield Text("")


@connector(
    "far.tts",
    network=True,
    latency=Latency(p50=200, p95=300),
    alternatives=((AgentMessagePartial, AgentMessage),),
)
async def tts(message: AgentMessagePartial | AgentMessage) -> AsyncIterator[AudioChunkStream]:
    raise AssertionError
    yield AudioChunkStream(b"", 16_000)


FAR = (lookup, tools, search, Mood, write, router, hangup, translate, volume, agent, Stt, tts)


# -- whole calls -------------------------------------------------------------------------------------------------


def test_a_voice_call_through_vendors_that_are_not_there() -> None:
    graph = plan("ingress.phone.audio_frame -> far.stt -> far.agent -> far.tts -> egress.app.audio_chunk", more=FAR)
    answer = script(Reply(HERE, to="opening hours", say="From nine to five, every day."))
    outcome = play(graph, steps=(Say("What are your opening hours?", HERE),), scripts={"far.agent": answer})
    assert not outcome.crash
    assert given(outcome, "processing.far.text")[0].text == "What are your opening hours?"
    assert given(outcome, "processing.far.text.partial")
    assert [h.text for h in outcome.heard] == ["From nine to five, every day."]
    assert [(t.role, t.text) for t in outcome.conversation] == [
        ("caller", "What are your opening hours?"),
        ("agent", "From nine to five, every day."),
    ]
    assert outcome.left == ()


def test_everything_that_ships_runs_in_one_simulated_call(tmp_path: Path) -> None:
    log = tmp_path / "calls" / "log.jsonl"
    graph = plan(
        "ingress.mic.audio_frame -> webrtc.vad",
        "ingress.mic.audio_frame -> moonshine.stt -> intent.router",
        "ingress.file.audio_frame -> moonshine.stt",
        "intent.router:book -> faq.agent -> piper.tts -> egress.speaker.audio_chunk",
        "intent.router:other -> say.agent -> piper.tts -> egress.file.audio_chunk",
        "piper.tts -> egress.app.audio_chunk",
        "moonshine.stt -> (sentiment.score, transcript.log, knowledge.search, http.request, webhook.send)",
        connectors=f"""
  ingress.file: {{path: {tmp_path}/none.wav}}
  egress.file: {{path: {tmp_path}/none/out.wav}}
  intent.router: {{routes: {{book: [book a table]}}}}
  faq.agent: {{facts: [{{ask: book a table, say: "Your table is booked."}}]}}
  say.agent: {{text: "I see."}}
  transcript.log: {{path: {log}}}
  knowledge.search: {{passages: [Tables are booked by phone.]}}
  http.request: {{url: "https://crm.invalid/leads", headers: {{Authorization: {{env: CRM_KEY}}}}}}
  webhook.send: {{url: {{env: HOOK}}, secret: {{env: HOOK_KEY}}}}""",
    )
    steps = (Say("I want to book a table.", HERE, at=1.0), Say("What a lovely day!", HERE, at=8.0))
    outcome = play(graph, steps=steps)
    assert not outcome.crash
    made = {e.name for e in outcome.events}
    assert made >= {
        "processing.moonshine.text", "processing.moonshine.text.partial", "processing.webrtc.speech_started",
        "processing.webrtc.speech_stopped", "processing.intent.intent", "processing.faq.agent_message",
        "processing.say.agent_message", "processing.sentiment.sentiment", "processing.knowledge.documents",
        "processing.transcript.transcript_entry", "processing.http.http_response",
    }  # fmt: skip
    assert [e for e in outcome.events if e.name.startswith("error.")] == []
    assert {h.egress for h in outcome.heard} == {"egress.speaker", "egress.file", "egress.app"}
    assert {h.text for h in outcome.heard} == {"Your table is booked.", "I see."}
    said = ["I want to book a table.", "What a lovely day!"]
    assert [w.data["text"] for w in outcome.stores["transcript.log"].writes] == said
    assert [w.data["json"]["payload"]["text"] for w in outcome.stores["webhook.send"].writes] == said
    assert list(tmp_path.iterdir()) == []


def test_the_example_package_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ROOT / "examples" / "custom_connector"
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.chdir(package)
    found = echostack.default_registry(["echostack_loyalty.lookup"])
    graph = echostack.compile(package / "loyalty.echo", registry=found, env={}).plan
    outcome = play(graph, steps=(Say("My card is 4711.", HERE),))
    assert [h.text for h in outcome.heard] == ["Welcome back, Ann. You have 120 points."]
    sys.modules.pop("echostack_loyalty.lookup", None)
    importlib.invalidate_caches()


def test_a_real_node_is_left_as_it_is() -> None:
    @connector("here.once", network=True)
    async def real(text: Text) -> Record:
        return Record("real", text.text)

    graph = plan("ingress.chat.text -> here.once", more=(real,))
    assert [r.type for r in given(play(graph, "x"), "processing.here.record")] == ["item"]
    assert [r.type for r in given(play(graph, "x", real=("here.once",)), "processing.here.record")] == ["real"]


# -- what stands in for a service --------------------------------------------------------------------------------


def test_a_service_answers_with_what_the_event_says_and_plausible_rest() -> None:
    rules = [f"ingress.chat.text -> far.{n}" for n in ("lookup", "search", "mood", "translate", "hangup")]
    outcome = play(plan(*rules, more=FAR), "where is my order")
    assert not outcome.crash
    (found,) = given(outcome, "processing.far.record")
    assert found.type == "item"
    assert found.id.startswith("item-")
    assert set(found.data) == {"name", "phone"}
    (documents,) = given(outcome, "processing.far.documents")
    assert documents.query == "where is my order"
    assert [set(p) for p in documents.passages] == [{"text", "score", "source"}] * 2
    assert given(outcome, "processing.far.sentiment") == [Sentiment(0.0, "neutral", "where is my order")]
    assert [t.text for t in given(outcome, "processing.far.text")] == ["where is my order"]
    assert outcome.ended != ""  # far.hangup ends no call by itself
    assert given(outcome, "processing.far.call_ended") == []


def test_the_same_question_has_the_same_answer_and_another_another() -> None:
    graph = plan("ingress.chat.text -> far.lookup", more=FAR)
    one, two, three = given(play(graph, "order 1", "order 1", "order 2"), "processing.far.record")
    assert one == two
    assert one != three


def test_a_tool_gives_its_result_under_the_calls_own_id() -> None:
    graph = plan("ingress.chat.tool_call -> far.tools", more=FAR)
    call = Send("tool_call", value({"name": "book", "id": "t-7", "arguments": {"people": 4}}), HERE, at=1.0)
    (result,) = given(play(graph, steps=(call, Say("x", HERE))), "processing.far.tool_result")
    assert (result.name, result.id, result.error) == ("book", "t-7", "")
    assert result.result["status"] == "ok"


def test_a_router_takes_the_port_that_the_words_name() -> None:
    @connector("here.note")
    def note(text: Text) -> Data:
        return Data(text.text)

    graph = plan("ingress.chat.text -> far.router", "far.router:sales -> here.note", more=(*FAR, note))
    outcome = play(graph, "put me through to sales", "something else")
    assert [i.name for i in given(outcome, "processing.far.intent")] == ["sales", "other"]
    assert [d.name for d in given(outcome, "processing.here.data")] == ["put me through to sales"]


def test_an_effect_is_written_once_for_its_key_and_keeps_records() -> None:
    graph = plan("ingress.chat.record -> far.write", more=FAR)
    new = Send("record", value({"type": "lead", "id": "lead-1", "data": {"name": "Ann"}}), HERE, at=1.0)
    again = Send("record", value({"type": "lead", "id": "lead-1", "data": {"name": "Ann"}}), HERE, at=2.0)
    unnamed = Send("record", value({"type": "lead", "data": {"name": "Ben"}}), HERE, at=3.0)
    outcome = play(graph, steps=(new, again, unnamed, Say("x", HERE, lasts=5.0)))
    store = outcome.stores["far.write"]
    assert [(w.time, w.data["kind"], w.data["data"]) for w in store.writes] == [
        (1.0, "record", {"name": "Ann"}), (3.0, "record", {"name": "Ben"}),
    ]  # fmt: skip
    assert store.records["lead-1"] == {"type": "lead", "name": "Ann"}
    (made,) = [name for name in store.records if name != "lead-1"]
    assert [r.id for r in given(outcome, "processing.far.record")] == ["lead-1", "lead-1", made]


def test_a_record_is_changed_by_what_is_written_of_it_later() -> None:
    store = NodeStore(lambda: 2.5)
    simulator: Any = SimpleNamespace(store=store, idempotency_key="first")
    assert act(Record("lead", "lead-1", {"name": "Ann"}), simulator) == "lead-1"
    assert act(Record("lead", "lead-1", {"name": "Bob"}), simulator) == "lead-1"  # another try of the same effect
    simulator.idempotency_key = "second"
    act(Record("lead", "lead-1", {"phone": "555"}), simulator)
    assert store.records == {"lead-1": {"type": "lead", "name": "Ann", "phone": "555"}}
    assert (len(store.writes), store.repeated, store.writes[0].time) == (2, 1, 2.5)


def test_an_effect_that_timed_out_is_done_once() -> None:
    rule = "{far.write: {timeout: 1s, attempts: 3}}"
    graph = plan("ingress.chat.text -> far.write", more=FAR, connectors=rule)
    outcome = play(graph, "x", scripts={"far.write": fault("slow", nth=1, seconds=5.0)})
    store = outcome.stores["far.write"]
    assert (len(store.writes), store.repeated) == (1, 1)
    assert len(given(outcome, "processing.far.record")) == 1


# -- the same again ----------------------------------------------------------------------------------------------


MANY = plan(
    "ingress.chat.text -> far.lookup", "ingress.chat.text -> far.search", "ingress.chat.text -> far.agent", more=FAR
)


def trace(seed: int, graph: Any = MANY, **options: Any) -> list[tuple[float, str, Payload]]:
    return [(e.time, e.name, e.payload) for e in play(graph, "a", "b", "c", seed=seed, **options).events]


def test_one_seed_is_one_trace_and_another_seed_another() -> None:
    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_what_one_node_draws_is_independent_of_the_others() -> None:
    def lookups(graph: Any) -> list[Any]:
        return [(t, p) for t, name, p in trace(5, graph) if name == "processing.far.record"]

    assert lookups(MANY) == lookups(plan("ingress.chat.text -> far.lookup", more=FAR))


# -- every connector there is ------------------------------------------------------------------------------------


@kind("loyalty_card", keep=True)
class Card(Payload, frozen=True, gc=False):
    """A kind of someone else's."""

    number: str
    holder: str
    points: int
    tier: str | None = None
    history: tuple[str, ...] = ()


@connector("far.cards", network=True)
async def cards(text: Text) -> Card:
    raise AssertionError


SPECS = [*Registry(BUILTIN), *(spec_of(t) for t in (*FAR, cards))]
SETTINGS: dict[str, dict[str, Any]] = {
    "egress.file": {"path": "x.wav"},
    "ingress.file": {"path": "x.wav"},
    "http.request": {"url": "https://crm.invalid/"},
    "webhook.send": {"url": "https://crm.invalid/"},
    "intent.router": {"routes": {"book": "book a table"}},
    "knowledge.search": {"passages": ["Tables are booked by phone."]},
    "say.agent": {"text": "Hello."},
}


def examples(spec: ConnectorSpec) -> list[Payload]:
    """An event of each kind that ``spec`` takes and that has a plausible one."""
    return [sample(cls, Random(3), {"text": "book a table", "rate": 16_000, "channels": 1}) for cls in spec.consumes]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_what_a_simulation_gives_is_of_the_kinds_that_its_connector_makes(spec: ConnectorSpec) -> None:
    if spec.name in SETTINGS:
        settings = spec.settings.model_validate(SETTINGS[spec.name])
    else:
        settings = simulated_settings(spec.settings, Mapping_({}, {}, HERE), {}, spec.name, HERE)
    outputs = run_virtual(_outputs(spec, settings, examples(spec)))
    again = run_virtual(_outputs(spec, settings, examples(spec)))
    assert outputs == again
    for made in outputs:
        assert type(made) in spec.produces
        if not made.__kind__.audio:
            assert msgspec.convert(msgspec.to_builtins(made), type=type(made)) == made
    silent = spec.form in (Form.SOURCE, Form.SINK) or stand_in(spec) in (StandIn.RECOGNISER, StandIn.DETECTOR)
    silent = silent or not spec.produces or spec.produces == (CallEnded,)
    assert bool(outputs) is not silent


async def _outputs(spec: ConnectorSpec, settings: BaseModel, events: list[Payload]) -> list[Payload]:
    """What the simulation of ``spec`` gives to ``events``, called as the runtime calls it."""
    fused = spec.form is Form.SYNC and not spec.effect
    node = PlanNode("node", spec.vendor, spec, settings, NodePolicy(), island=0 if fused else -1)
    graph: Any = type("Graph", (), {"nodes": {}})()
    checked: Any = type("Checked", (), {"graph": graph})()
    bare = Plan("", "", {"node": node}, (), (), (), None, "", None, None, (), checked)  # type: ignore[arg-type]
    world = World(Scenario("x", HERE, caller=Caller()), 1)
    made = simulated(bare, world).nodes["node"].spec
    assert made is not None
    emitted: list[Payload] = []
    context = _Context(emitted)
    view: dict[str, Any] = {}
    if made.wants_settings:
        view[made.wants_settings] = settings
    if made.wants_context:
        view[made.wants_context] = context
    target: Any = made.make(**view) if made.is_class else lambda *a: made.make(*a, **view)
    if hasattr(target, "open"):
        await target.open()
    if made.form in (Form.SOURCE, Form.SINK):
        if isinstance(target, AudioSink):
            target.write(b"\0\0" * 160)
            await target.close()
        return []
    found: list[Any] = []
    envelopes = [Event(f"processing.x.{p.__kind__.name}", p, "s", n, 0.0) for n, p in enumerate(events, 1)]
    if made.form is Form.STREAM:
        async for answer in target.run(_Inbox(envelopes)):
            found.append(answer)
    else:
        for event in envelopes:
            answer = target(event.payload, event) if made.wants_event else target(event.payload)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if hasattr(answer, "__aiter__"):
                found += [one async for one in answer]
            else:
                found += [answer] if isinstance(answer, Payload) else list(answer or ())
    if hasattr(target, "close"):
        await target.close()
    payloads = [a.payload if isinstance(a, Out) else a for a in found if not isinstance(a, Forward)]
    return [*payloads, *emitted]


class _Conversation:
    turns: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.slots: dict[str, Any] = {}


class _Context:
    def __init__(self, emitted: list[Payload]) -> None:
        self.node, self.session, self.choice = "node", "s", ""
        self.clock, self.compute = LoopClock(wall=lambda: 0.0), InlineCompute()
        self.random = Random(1)
        self.conversation: Any = _Conversation()
        self.idempotency_key = "key"
        self.live = True
        self._emitted = emitted

    def emit(self, payload: Payload, *, cause: Event | None = None, port: str = "") -> None:
        self._emitted.append(payload)

    def log(self, message: str, **fields: Any) -> None: ...

    def share(self, key: str, make: Callable[[], Any]) -> Any:
        return make()


class _Inbox:
    def __init__(self, events: list[Event]) -> None:
        self._events = list(events)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            raise StopAsyncIteration
        return self._events.pop(0)

    async def take(self, timeout: float | None = None) -> Event | None:
        return await anext(self)
