"""Puts simulations into a plan: the same nodes, edges, queues and scopes, their connectors simulated.

What stands in for a connector is chosen by ``registry.stand_in``; what makes it goes into the node's spec as ``make``,
so that the runtime makes and calls it like any connector. Nothing that a scenario asks of a node is left for the call
to find out: what cannot be is a UsageError here.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import UsageError
from echostack.core.kinds import Payload
from echostack.core.payloads import BUILTIN
from echostack.core.span import Span
from echostack.language.data import Mapping_, Value
from echostack.language.scenario import Script
from echostack.plan import Plan
from echostack.plan.model import PlanNode
from echostack.registry import ConnectorSpec, Context, Form, StandIn, stand_in
from echostack.registry.declare import own_simulation
from echostack.simulation.building import built, kind_of
from echostack.simulation.caller import Line
from echostack.simulation.environment import simulated_settings, wants_environment
from echostack.simulation.faulty import check_faults, with_faults
from echostack.simulation.mock.agent import SimulatedAgent
from echostack.simulation.mock.answers import Answerer, answerer
from echostack.simulation.mock.detector import SimulatedDetector
from echostack.simulation.mock.far_end import SimulatedFarEnd
from echostack.simulation.mock.forms import Asynchronous, AtOnce, Called, Generating, Streaming
from echostack.simulation.mock.generic import SimulatedService
from echostack.simulation.mock.recogniser import SimulatedRecogniser
from echostack.simulation.mock.simulator import NodeSimulator, Replies
from echostack.simulation.mock.synthesiser import SimulatedSynthesiser
from echostack.simulation.mock.voice_model import SimulatedVoiceModel
from echostack.simulation.scripts import Player
from echostack.simulation.world import World

_MOCKS: dict[StandIn, Callable[..., Any]] = {
    StandIn.RECOGNISER: SimulatedRecogniser,
    StandIn.DETECTOR: SimulatedDetector,
    StandIn.SYNTHESISER: SimulatedSynthesiser,
    StandIn.VOICE: SimulatedVoiceModel,
    StandIn.AGENT: SimulatedAgent,
    StandIn.SERVICE: SimulatedService,
}
_CALLED = (Form.SYNC, Form.ASYNC, Form.GENERATOR)


def simulated(plan: Plan, world: World) -> Plan:
    """``plan`` with a simulation in the place of every connector that is not real, for one call in ``world``.

    Real nodes keep their own code and settings; faults are played on them too. UsageError for a scenario that this
    graph cannot play: a node that it does not have, a reply that a node cannot give, a delay or a fault where there
    can be none, settings that a placeholder does not fit.
    """
    _all_known(plan, world)
    classes = _kinds(plan)

    def payloads(kind: str, fields: Value, span: Span) -> tuple[Payload, ...]:
        cls = kind_of(kind, classes, span, "this graph")
        return (built(cls, fields, span, world.scenario.env),)

    world.payloads = payloads
    world.choices = {node.id: node.choice for node in plan.nodes.values() if node.choice}
    world.formats = {node.id: found for node in plan.egresses if (found := _spoken_format(node, plan)) is not None}
    return dataclasses.replace(plan, nodes={name: _node(node, plan, world) for name, node in plan.nodes.items()})


def _spoken_format(egress: PlanNode, plan: Plan) -> AudioFormat | None:
    """The format that everything which speaks into ``egress`` has; None where they differ or do not say.

    A simulated far end takes it, so that what was heard is known to the sample and no time goes into converting audio
    that nobody listens to. Where formats differ the engine converts, as it does in a real call.
    """
    found: set[AudioFormat | None] = set()
    for edge in plan.edges:
        if edge.target == egress.id and any(kind.__kind__.audio for kind in edge.payloads):
            source = plan.nodes[edge.source]
            for node in [plan.nodes[m] for m in source.members] or [source]:
                spec, settings = node.spec, plan.checked.nodes[node.id].known
                known = spec is not None and settings is not None and edge.resample is None
                found.add(spec.output_format(settings) if known and spec is not None else None)
    return found.pop() if len(found) == 1 else None


def _kinds(plan: Plan) -> tuple[type[Payload], ...]:
    """Every kind that the graph knows, the shipped ones first."""
    specs = [n.spec for n in plan.nodes.values() if n.spec is not None]
    return tuple(dict.fromkeys([*BUILTIN, *(p for s in specs for p in (*s.consumes, *s.produces))]))


def _all_known(plan: Plan, world: World) -> None:
    named: list[tuple[str, str]] = [(f"{s.span}: ", name) for name, s in world.scenario.connectors.items()]
    for place, name in [*named, *(("", n) for n in sorted(world.real))]:
        node = plan.nodes.get(name)
        if node is None:
            known = [n.id for n in plan.nodes.values() if n.spec is not None]
            near = did_you_mean(name, known)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
            raise UsageError(f"{place}the graph has no node {name!r}; {hint}")
        if node.spec is None:
            raise UsageError(f"{place}{name} is a choice: say it of its members, {', '.join(node.members)}")


def _node(node: PlanNode, plan: Plan, world: World) -> PlanNode:
    if node.spec is None:
        return node
    script = world.script(node.id)
    real = node.id in world.real or (script is not None and script.real)
    faults = script.faults if script is not None else ()
    if not real:
        node = _with_settings(node, plan, world)
        node = dataclasses.replace(node, spec=_Simulation(node, script, world).spec())
    if faults:
        check_faults(node, faults)
        assert node.spec is not None
        node = dataclasses.replace(node, spec=with_faults(node, faults, world))
    return node


def _with_settings(node: PlanNode, plan: Plan, world: World) -> PlanNode:
    """``node`` with settings that hold nothing of the real environment."""
    known = plan.checked.graph.nodes.get(node.id)
    raw = known.settings if known is not None else None
    if node.spec is None or (node.settings is not None and not wants_environment(node.spec.settings, raw)):
        return node
    settings = simulated_settings(
        node.spec.settings, raw or Mapping_({}, {}, world.scenario.span), world.scenario.env, node.id,
        world.scenario.span,
    )  # fmt: skip
    return dataclasses.replace(node, settings=settings)


class _Simulation:
    """How one node is simulated in one call."""

    def __init__(self, node: PlanNode, script: Script | None, world: World) -> None:
        assert node.spec is not None
        self._node, self._connector, self._script, self._world = node, node.spec, script, world
        self._stand = stand_in(node.spec)
        self._own = _own(node.spec)
        self._instant = node.fused
        # What takes a task anyway may take its time, as its own code would in its thread.
        self._form = Form.ASYNC if node.spec.form is Form.SYNC and not node.fused else node.spec.form
        self._replies = self._read_script()

    def spec(self) -> ConnectorSpec:
        """The node's spec with its simulation in the place of its code, and nothing that must be installed for it."""
        spec = self._connector
        if self._stand is StandIn.ITSELF and self._bare:
            return spec
        return dataclasses.replace(
            spec,
            make=self._make,
            form=self._form,
            is_class=True,
            wants_settings="settings",
            wants_context="context",
            wants_event="event" if self._form in _CALLED else "",
            single_output=False,
            packages=spec.packages if self._stand is StandIn.ITSELF else (),
        )

    @property
    def _bare(self) -> bool:
        """Whether the connector's own code needs nothing around it: it takes no time, and nobody replies for it."""
        form = self._connector.form
        timed = form in (Form.ASYNC, Form.GENERATOR)
        delayed = self._script is not None and self._script.delay is not None
        return not (timed or delayed) and self._replies is None

    # -- what the scenario says ----------------------------------------------------------------------------------

    def _read_script(self) -> Replies | None:
        script, spec, name = self._script, self._connector, self._node.id
        if script is None:
            return None
        replies: Player | Answerer | None = None
        if script.answers:
            replies = answerer(spec, script, self._world)
        elif script.replies:
            replies = Player(spec, script, self._node.settings, self._world.scenario.env)
        if replies is not None and spec.form in (Form.SOURCE, Form.SINK):
            end = "the caller's steps say what comes from it" if spec.form is Form.SOURCE else "it only plays"
            raise UsageError(f"{script.span}: {name} answers nothing: {end}")
        if replies is not None and spec.form is Form.STREAM and not self._can_ask:
            raise UsageError(
                f"{script.span}: {name} runs its own code as a stream in a simulated call, so nobody can reply for it"
            )
        for span in _delays(script):
            if self._instant or spec.form in (Form.SOURCE, Form.SINK):
                why = "answers in the step in which it is called" if self._instant else "answers nothing"
                raise UsageError(
                    f"{span}: {name} {why}, so there is nothing to delay; delay a node that waits for an answer"
                )
        return replies

    @property
    def _can_ask(self) -> bool:
        """Whether what stands in for a stream asks what the scenario says."""
        if self._stand is StandIn.OWN:
            return self._own is not None and bool(self._own.wants_context)
        return self._stand is not StandIn.ITSELF

    # -- making, once a call -------------------------------------------------------------------------------------

    def _make(self, settings: Any, context: Context) -> Any:
        spec, world = self._connector, self._world
        simulator = NodeSimulator(spec, settings, context, world, self._replies, instant=self._instant)
        if isinstance(self._replies, Answerer):
            self._replies.simulator = simulator
        if spec.form is Form.SOURCE:
            return self._own.target(settings, simulator) if self._own else Line(spec, settings, simulator, world)
        if spec.form is Form.SINK:
            if self._own:
                return self._own.target(settings, simulator)
            return SimulatedFarEnd(spec, settings, simulator, world)
        mock, life = self._mock(settings, context, simulator)
        by_itself = self._stand in (StandIn.ITSELF, StandIn.OWN, StandIn.SERVICE)
        acts = not by_itself and spec.acts(settings)
        shape = {Form.SYNC: AtOnce, Form.ASYNC: Asynchronous, Form.GENERATOR: Generating, Form.STREAM: Streaming}
        return shape[self._form](mock, life, simulator, self._replies, acts=acts)

    def _mock(self, settings: Any, context: Context, simulator: NodeSimulator) -> tuple[Any, Any]:
        """The simulation and whatever of it is opened and closed."""
        if self._stand not in (StandIn.ITSELF, StandIn.OWN):
            mock = _MOCKS[self._stand](self._connector, settings, simulator, self._world)
            return mock, mock
        own = self._own or self._connector
        target = own.target(settings, simulator if self._own else context)
        if own.form is Form.STREAM:
            return target, target
        timed = own.form is Form.SYNC if self._own else not self._instant
        asks = self._own is not None and bool(own.wants_context)
        called = Called(
            target, own.form, simulator, wants_event=bool(own.wants_event), timed=timed,
            threaded=own.form is Form.SYNC and self._own is None, asks_script=asks,
        )  # fmt: skip
        return called, target


@functools.lru_cache(maxsize=1024)
def _own(spec: ConnectorSpec) -> ConnectorSpec | None:
    """Read once a connector: a search plays its graph ten thousand times."""
    return own_simulation(spec)


def _delays(script: Script) -> Iterator[Span]:
    """Where a script asks for time."""
    if script.delay is not None:
        yield script.span
    for reply in script.replies:
        if reply.delay is not None:
            yield reply.span
        yield from (output.span for output in reply.give if output.after)
