"""Runs the inputs of a recorded call through another graph, on virtual time, and says what became of it.

What is new is the graph: the caller says what was recorded when it was recorded, every connector that stands in both
graphs alike answers as it did, and the engine, its queues, scopes and times are those of the new graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import EchoStackError, UsageError
from echostack.language.scenario import Scenario
from echostack.plan import Plan
from echostack.plan.model import PlanNode
from echostack.recording import Recording
from echostack.registry import ConnectorSpec, Context, Form, Registry, StandIn, stand_in
from echostack.runtime import Session
from echostack.runtime.probe import Probe
from echostack.simulation.ears import Ears
from echostack.simulation.loop import Deadlock, Standstill, run_virtual
from echostack.simulation.mock.registry import simulated
from echostack.simulation.through.answering import (
    AnsweringAtOnce,
    AnsweringInPieces,
    AnsweringInThread,
    AnsweringInTime,
    AnsweringStream,
    Count,
    Memory,
)
from echostack.simulation.through.compare import Comparison, graph_changes, pairs
from echostack.simulation.through.course import CourseProbe, recorded_course
from echostack.simulation.through.difference import Difference
from echostack.simulation.through.parts import Cast, Part, cast
from echostack.simulation.through.player import LISTENERS, HeardStream, Player, RecordedLine
from echostack.simulation.through.tape import PLACE, Tape, listeners
from echostack.simulation.world import World

GRACE = 600.0
"""Seconds after the end of the recording in which the new call must have come to its own."""


def through(
    recording: Recording,
    plan: Plan,
    *,
    real: Iterable[str] = (),
    registry: Registry | None = None,
    probes: Sequence[Probe] = (),
) -> Difference:
    """Run the recorded inputs of ``recording`` through ``plan``, and compare what came of it with what was recorded.

    real: nodes that run their own code, with everything that it needs. registry: where kinds of plugins come from.
    probes: who else watches the new call, a Recorder for instance.

    A simulated recording through its own graph gives no difference at all; a real one none in what is said and done,
    with times within a quarter of a second. Never raises for what the call does: that is the difference's ``crash``.
    UsageError for a graph that nobody can call, and for a real node that it does not have; RecordingError.
    """
    header = recording.header
    played = cast(header, plan, real)
    tape = Tape(recording, plan, played, registry)
    before = recorded_course(recording, played.lines, registry)
    until = float("inf") if tape.ended else tape.until
    course = CourseProbe(redacted=header.redacted, until=until)
    counts = {name: Count() for name, part in played.parts.items() if part is Part.ANSWERS}
    held: list[Session] = []
    unknown: dict[str, int] = {}
    crash = ""
    try:
        run_virtual(_play(tape, plan, played, frozenset(real), counts, [course, *probes], held, unknown))
    except UsageError:
        raise
    except (Deadlock, Standstill, TimeoutError) as error:
        crash = str(error) or f"the call still went on {GRACE:g} s after the end of the recording"
    except BaseExceptionGroup as group:
        crash = "; ".join(f"{type(error).__name__}: {error}" for error in group.exceptions)
    except EchoStackError as error:
        crash = str(error)
    after = course.course
    if held and after.moments:
        stats = held[0].stats()
        if tape.ended:
            after.voice = list(stats.voice_to_voice_ms)
        for effect in stats.effects:
            after.writes[effect.node] = after.writes.get(effect.node, 0) + 1
    comparison = Comparison(recording, plan, played, before, after, course.events, registry)
    return Difference(
        graph_changes(recording, plan, played),
        played.parts,
        {name: (c.known, c.unknown, c.cut) for name, c in counts.items()},
        played.changed,
        comparison.first(until),
        comparison.exact,
        tape.until,
        (sum(map(len, before.moments.values())), sum(map(len, after.moments.values()))),
        comparison.counts(),
        comparison.talk(),
        (tuple(before.voice), tuple(after.voice)),
        pairs(before.writes, after.writes.items()),
        (before.drops, after.drops),
        crash,
        tuple(_notes(recording, tape, unknown)),
    )


async def _play(
    tape: Tape, plan: Plan, played: Cast, real: frozenset[str], counts: dict[str, Count], probes: list[Probe],
    held: list[Session], unknown: dict[str, int],
) -> None:  # fmt: skip
    header = tape.recording.header
    clock = LoopClock()
    scenario = Scenario("a recorded call", PLACE, seed=header.seed)
    world = World(scenario, header.seed, {}, real, clock.now)
    world.ears = ears = Ears(plan, clock.now)
    player = Player(tape, clock, lambda: held[0].hang_up(tape.ended))
    player.unknown = unknown
    if listeners(plan, played):
        player.understood(world.speech)
    prepared = simulated(plan, world)
    nodes = {n.id: _node(n, plan.nodes[n.id], played, tape, player, counts) for n in prepared.nodes.values()}
    call = Session(
        replace(prepared, nodes=nodes), session=header.session, clock=clock, compute=InlineCompute(), seed=header.seed,
        probes=[player, ears, *probes],
    )  # fmt: skip
    held.append(call)
    async with clock.timeout(tape.until + GRACE), call:
        if tape.left:
            await player.left.wait()
            await call.close(tape.ended)
        else:
            await call.finished()


def _node(
    node: PlanNode, original: PlanNode, played: Cast, tape: Tape, player: Player, counts: dict[str, Count]
) -> PlanNode:
    """``node``, simulated, with what it is given by the recording in the place of its simulation."""
    spec = node.spec
    part = played.parts.get(node.id)
    if spec is None or original.spec is None:
        return node
    if part is Part.LINE:

        def line(settings: Any, context: Context) -> Any:
            return RecordedLine(node.id, player, context.emit)

        return replace(node, spec=_made_by(spec, line))
    if part is Part.HEARS:

        def listener(settings: Any, context: Context) -> Any:
            if spec.form is Form.STREAM:
                return HeardStream(node.id, player, context.emit)
            player.carries(node.id, context.emit)
            return LISTENERS[spec.form.value]

        return replace(node, spec=replace(_made_by(spec, listener), wants_event=""))
    if part is Part.ANSWERS:
        itself = stand_in(original.spec) is StandIn.ITSELF
        threaded = spec.form is Form.SYNC and not node.fused

        def answering(settings: Any, context: Context) -> Any:
            memory = Memory(node.id, tape, context.clock, counts[node.id], player.shown)
            parts = memory, spec.target(settings, context), bool(spec.wants_event), context
            if threaded:
                return AnsweringInThread(*parts)
            if spec.form is Form.SYNC:
                return AnsweringAtOnce(*parts, itself=itself)
            shape: dict[Form, Any] = {
                Form.ASYNC: AnsweringInTime, Form.GENERATOR: AnsweringInPieces, Form.STREAM: AnsweringStream,
            }  # fmt: skip
            return shape[spec.form](*parts)

        made = _made_by(spec, answering)
        return replace(node, spec=replace(made, form=Form.ASYNC) if threaded else made)
    return node


def _made_by(spec: ConnectorSpec, make: Any) -> ConnectorSpec:
    called = spec.form in (Form.SYNC, Form.ASYNC, Form.GENERATOR)
    return replace(
        spec, make=make, is_class=True, wants_settings="settings", wants_context="context",
        wants_event="event" if called else "", single_output=False, packages=(),
    )  # fmt: skip


def _notes(recording: Recording, tape: Tape, unknown: dict[str, int]) -> Iterable[str]:
    header = recording.header
    if header.redacted:
        yield "the recording is redacted: words and numbers are placeholders, and audio is silence"
    if not tape.ended:
        why = "is still being written" if recording.live else "breaks off"
        yield f"the recording {why} at {tape.until:.3f} s, and nothing after that is compared"
    for kind, count in unknown.items():
        yield f"{count} recorded events of the kind {kind} could not be given: no connector here knows it"
