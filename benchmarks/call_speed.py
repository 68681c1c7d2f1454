"""Call speed: how many times faster than real time a call of the shipped demo simulates, everything simulated.

The call is ``examples/front_desk.echo`` as ``echostack simulate`` plays it: its plan, every connector in simulation,
virtual time, invariants and expectations judged at the end. A caller asks a question, listens to the answer and asks
the next for ten minutes; every fourth answer is interrupted after a second. ``engine_speed`` has the engine alone.

``--quick``: fewer rounds, and a minute for each of the calls at once in place of ten.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import echostack.api as echostack
from benchmarks.measure import interleaved, table
from echostack.core.diagnostic import Findings
from echostack.core.span import Source
from echostack.language import read_scenarios
from echostack.language.scenario import Scenario
from echostack.recording import Recorder
from echostack.simulation.loop import run_virtual
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import play, simulate

DEMO = Path(__file__).parents[1] / "examples" / "front_desk.echo"
TURNS, TURNS_QUICK = 53, 5
"""Questions in ten minutes, and in one."""
CALLS = 100
SHORT = 20
STEPS = 1_000_000
QUESTIONS = (
    "What are your opening hours?",
    "How much is lunch?",
    "Is there parking?",
    "Do you have vegetarian dishes?",
    "Where are you?",
    "Are you open on Sunday?",
    "What is on the menu?",
)

PLAN = echostack.compile(DEMO, env={}).plan


def scripted(turns: int) -> Scenario:
    """A call of so many questions, every fourth answer interrupted by another."""
    steps = []
    for turn in range(turns):
        steps.append(f'say: "{QUESTIONS[turn % 7]}"')
        if turn % 4 == 3:
            steps.append(f'{{interrupt: "Sorry, {QUESTIONS[(turn + 3) % 7]}", after: 1.2s}}')
        steps.append("listen: 0.8s")
    lines = "\n".join(f"      - {step}" for step in ["listen: 0.5s", *steps, "hang up"])
    text = f"echostack: 1\ngraph: front_desk.echo\ntests:\n  - name: call\n    lasts: 1h\n    caller:\n{lines}\n"
    findings = Findings()
    found = read_scenarios(Source(str(DEMO.with_name("call.echo")), text), findings)
    if found is None or findings.errors:
        raise AssertionError([finding.message for finding in findings.ordered()])
    return found.scenarios[0]


def well(outcome: Outcome) -> Outcome:
    """``outcome``, when the call went as it should: what is fast and wrong is not measured."""
    if outcome.failures or outcome.crash:
        raise AssertionError([failure.what for failure in outcome.failures] or outcome.crash)
    return outcome


def alone(script: Scenario) -> float:
    """Seconds of call in one second of processor time, judged."""
    started = time.process_time()
    outcome = simulate(PLAN, script, seed=1)
    return well(outcome).seconds / (time.process_time() - started)


def recorded(script: Scenario) -> float:
    """The same with a recording, audio included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        recorder = Recorder(Path(folder) / "call", simulated=True)
        outcome = simulate(PLAN, script, seed=1, probes=[recorder])
        spent = time.process_time() - started
        if recorder.error:
            raise AssertionError(recorder.error)
        return well(outcome).seconds / spent


def together(script: Scenario, *, recording: bool) -> float:
    """Seconds of call in one second of processor time, a hundred calls in one virtual loop."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if recording else None

        async def main() -> list[Outcome]:
            calls = []
            for number in range(CALLS):
                probes = [Recorder(folder / str(number), simulated=True)] if folder is not None else []
                calls.append(play(PLAN, script, seed=number, probes=probes, session=f"call-{number}"))
            return await asyncio.gather(*calls)

        started = time.process_time()
        outcomes = run_virtual(main())
        spent = time.process_time() - started
        return sum(well(outcome).seconds for outcome in outcomes) / spent


def one_turn(script: Scenario) -> float:
    """Milliseconds of processor time for a call of one question, from its plan to its judgement: what a search pays."""
    started = time.process_time()
    for seed in range(SHORT):
        well(simulate(PLAN, script, seed=seed))
    return (time.process_time() - started) / SHORT * 1000


def calibration() -> float:
    """Milliseconds for a million steps of a loop: how fast this machine is while the rest is measured."""
    started = time.process_time()
    total = 0
    for step in range(STEPS):
        total += step & 3
    return (time.process_time() - started) * 1000


def what_happens(script: Scenario) -> str:
    """The call in figures, so that what is fast is known to be a call."""
    outcome = well(simulate(PLAN, script, seed=1))
    assert outcome.stats is not None
    names = [event.name for event in outcome.events]
    frames = outcome.stats.nodes["ingress.file"]["emitted"]
    spoken = sum(speech.seconds for speech in outcome.heard)
    return (
        f"{outcome.seconds:.0f} s, {frames:,} frames in, {names.count('processing.moonshine.text')} turns, "
        f"{len(outcome.heard)} replies heard in {spoken:.0f} s, {outcome.stats.interruptions} interruptions, "
        f"{len(names):,} events that are not audio"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Print the ratios to real time, what a short call costs, how fast the machine is, and what the call is made of."""
    quick = "--quick" in arguments
    rounds = 3 if quick else 7
    script, short = scripted(TURNS), scripted(1)
    many = scripted(TURNS_QUICK) if quick else script
    cases: dict[str, Callable[[], float]] = {
        "one call, judged": lambda: alone(script),
        "one call, recorded": lambda: recorded(script),
    }
    print("\n".join(table("speed of a call", "times real time", interleaved(cases, rounds=rounds))))
    at_once: dict[str, Callable[[], float]] = {
        f"{CALLS} calls": lambda: together(many, recording=False),
        f"{CALLS} calls, recorded": lambda: together(many, recording=True),
    }
    print("\n".join(table("calls at once in one loop", "times real time", interleaved(at_once, rounds=1, warm_up=0))))
    little: dict[str, Callable[[], float]] = {
        "a call of one question, judged": lambda: one_turn(short),
        "a million steps of a loop": calibration,
    }
    print("\n".join(table("a short call, and the machine", "ms", interleaved(little, rounds=rounds))))
    print(f"the call: {what_happens(script)}")


if __name__ == "__main__":
    main(sys.argv[1:])
