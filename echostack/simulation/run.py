"""One call, simulated: a plan, a scenario and a seed in, an Outcome out. No keys, no network, no waiting.

What runs is the plan that would run: the same islands, queues, policies and scopes, the same engine, its connectors
replaced by their simulations (``simulation.mock``) and time by virtual time (``simulation.loop``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from echostack.core.clock import InlineCompute, LoopClock
from echostack.core.errors import EchoStackError, UsageError
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, CallEnded, Dtmf
from echostack.language.scenario import Keys, Scenario, Send
from echostack.plan import Plan
from echostack.plan.model import PlanNode
from echostack.registry import StandIn, stand_in
from echostack.runtime import Session
from echostack.runtime.probe import Probe
from echostack.simulation.ears import Ears
from echostack.simulation.expect import judge
from echostack.simulation.invariants.witness import Witness
from echostack.simulation.loop import Deadlock, Standstill, VirtualLoop, run_virtual
from echostack.simulation.mock.registry import simulated
from echostack.simulation.outcome import Outcome
from echostack.simulation.speech import WORDS_AT_ONCE
from echostack.simulation.world import Answers, World

GRACE = 30.0
"""Seconds on the call's clock that a call which went on too long is given to close."""


def simulate(
    plan: Plan,
    scenario: Scenario,
    *,
    seed: int | None = None,
    real: Iterable[str] = (),
    answers: Mapping[str, Answers] | None = None,
    probes: Sequence[Probe] = (),
    shuffle: bool = False,
    jitter: float = 0.0,
    session: str = "simulated",
) -> Outcome:
    """Play ``scenario`` to a call of ``plan`` on a virtual clock of its own, and judge what came of it.

    seed: in place of the scenario's. real: nodes that are not simulated, besides those that the scenario names.
    answers: plugins' functions by name. shuffle: run what is ready at one instant in an order drawn by the seed, to
    search for orders that matter, with wake-ups up to ``jitter`` seconds late; otherwise the order is the engine's own.
    probes: who else watches.

    Never raises for what the call does: a deadlock or an error that nobody took is the outcome's ``crash``.
    UsageError for a scenario that this graph cannot play.
    """
    seed = scenario.seed if seed is None else seed
    shuffle, jitter = shuffle or scenario.shuffle, jitter or scenario.jitter
    held: list[Outcome] = []
    left: list[str] = []
    timers: list[str] = []
    crash = ""

    async def main() -> None:
        held.append(await play(plan, scenario, seed=seed, real=real, answers=answers, probes=probes, session=session))
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            await LoopClock().sleep(0)  # what ends with the call in this very step
            left.extend(task.get_name() for task in loop.pending() if task is not asyncio.current_task())
            timers.extend(_named(timer) for timer in loop.timers())

    try:
        run_virtual(main(), shuffle=random.Random(f"{seed}:order") if shuffle else None, jitter=jitter)
    except UsageError:
        raise
    except (Deadlock, Standstill) as error:
        crash = str(error)
    except BaseExceptionGroup as group:
        crash = "; ".join(f"{type(error).__name__}: {error}" for error in group.exceptions)
    except EchoStackError as error:
        crash = str(error)
    outcome = held[0] if held else Outcome(scenario, seed, plan)
    outcome = replace(outcome, crash=outcome.crash or crash, left=tuple(left), timers=tuple(timers))
    return replace(outcome, failures=judge(outcome))


async def play(
    plan: Plan,
    scenario: Scenario,
    *,
    seed: int,
    real: Iterable[str] = (),
    answers: Mapping[str, Answers] | None = None,
    probes: Sequence[Probe] = (),
    session: str = "simulated",
) -> Outcome:
    """The same call in the running loop, which must be a virtual one; any number at once. Not yet judged."""
    clock = LoopClock()
    nodes = frozenset({*real, *(s.node for s in scenario.connectors.values() if s.real)})
    unknown = sorted(nodes - set(plan.nodes))
    if unknown:
        raise UsageError(f"the graph has no node {unknown[0]!r}; it has {', '.join(sorted(plan.nodes))}")
    world = World(scenario, seed, dict(answers or {}), nodes, clock.now)
    world.lines = {
        n.id: n.spec.produces for n in plan.ingresses
        if n.spec is not None and n.id not in nodes and stand_in(n.spec) is StandIn.CALLER
    }  # fmt: skip
    world.caller_line = _caller_line(plan, world)
    world.audible = any(_listens(plan.nodes[n]) for n in nodes)
    ears = world.ears = Ears(plan, clock.now)
    witness = Witness(plan, world.speech)
    prepared = simulated(plan, world)
    _check_script(plan, world)
    call = Session(
        prepared, session=session, clock=clock, compute=InlineCompute(), seed=seed, probes=[ears, witness, *probes]
    )  # fmt: skip
    world.hang_up = lambda: call.hang_up("the caller hung up")
    crash, entered = "", False
    try:
        async with asyncio.timeout(scenario.lasts + GRACE):
            async with call:
                entered = True
                async with clock.timeout(scenario.lasts):
                    await call.finished()
    except TimeoutError:
        crash = f"the call still went on at {scenario.lasts:g} s"
    except UsageError:
        raise
    except EchoStackError as error:  # it could not open
        crash = str(error)
    if world.speech.full:
        crash = crash or (
            f"the call had more than {WORDS_AT_ONCE:,} words being said or waiting to be said at once; a simulated "
            "call cannot tell more from each other: say less at a time"
        )
    stats = call.stats() if entered else None
    ends = [e for e in ears.events if isinstance(e.payload, CallEnded) and e.name == "control.call.call_ended"]
    ended = ends[0] if ends else None
    return Outcome(
        scenario, seed, plan, tuple(ears.events), tuple(world.heard), call.conversation if entered else (),
        dict(world.stores), stats, ended.time if ended is not None else clock.now(),
        getattr(ended.payload, "reason", "") if ended is not None else "",
        stats.late if stats is not None else (), crash=crash, notes=tuple(world.notes), faults=tuple(world.faults),
        steps=tuple(world.begun), witness=witness,
    )  # fmt: skip


def _check_script(plan: Plan, world: World) -> None:
    """UsageError, before the call begins, for a caller's step that this graph cannot take."""
    caller = world.scenario.caller
    if caller.steps and not world.caller_line:
        has = "none of its ingresses is simulated" if world.real else "it has no ingress"
        if plan.ingresses and not world.real:
            has = f"{plan.ingresses[0].id} has a simulation of its own, which plays no script"
        raise UsageError(f"{world.scenario.span}: nobody can call this graph, because {has}")
    for step in caller.steps:
        kinds: list[tuple[type[Payload], str | None]] = []
        if isinstance(step, Send):
            kinds = [(type(p), step.source) for p in world.payloads(step.kind, step.fields, step.span)]
        elif isinstance(step, Keys):
            kinds = [(Dtmf, None)]
        for payload, source in kinds:
            if not world.lines_for(payload, source):
                of = f"the ingress {source!r}" if source else "no simulated ingress"
                does = "does not carry" if source else "carries"
                raise UsageError(f"{step.span}: {of} {does} {payload.__kind__.name}")


def _listens(node: PlanNode) -> bool:
    return node.spec is not None and AudioFrame in node.spec.consumes


def _caller_line(plan: Plan, world: World) -> str:
    """The ingress that the caller speaks on: the one that is named, else the first that carries a voice, else any."""
    wanted = world.scenario.caller.ingress
    if wanted:
        named = [n for n in world.lines if wanted in (n, n.partition(".")[2])]
        if not named:
            has = ", ".join(world.lines) or "none that is simulated"
            raise UsageError(f"{world.scenario.span}: the caller speaks on {wanted!r}, and the graph has {has}")
        return named[0]
    voices = [n for n, kinds in world.lines.items() if AudioFrame in kinds]
    return next(iter([*voices, *world.lines]), "")


def _named(timer: asyncio.TimerHandle) -> str:
    """What a timer was to call, and when."""
    call = getattr(timer, "_callback", None)
    return f"{getattr(call, '__qualname__', type(call).__name__)} at {timer.when():g} s"
