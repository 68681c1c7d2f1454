"""Every behaviour that a call must have is held by scenarios, and those that cannot be yet say what they wait for."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from echostack.language import format_text
from echostack.language.scenario import Hears, Holds, Sees, Written
from echostack.testing.bench import Bench

HERE = Path(__file__).parent
BENCH = Bench(["tests.behaviours.parts"])

BEHAVIOURS = {
    1: "suspended when the caller speaks, and cut half a second later",
    2: "the conversation holds only the words that were played",
    3: "interrupted before its first sample, a reply leaves nothing behind",
    4: "min_words",
    5: "speech that may not be interrupted plays to its last sample",
    6: "a noise while the agent thinks changes nothing",
    7: "a late answer to an abandoned turn is neither heard nor stored",
    8: "a backchannel does not interrupt",
    9: "after a false interruption the reply goes on at the very sample",
    10: "speculation makes replies earlier, and nothing else",
    11: "nothing of a wrong guess is heard, stored or done",
    12: "a tool that finishes during an interruption keeps its result",
    13: "a tool call of an abandoned turn that had not begun never runs",
    14: "word times of a dead turn are ignored",
    15: "the call ends although its end meets an interruption",
    16: "an end before anything started is done at once",
    17: "who never finishes is named, and the call ends by its deadline",
    18: "hanging up leaves no task, and effects that began are recorded",
    19: "eight synthesis requests never mix",
    20: "empty text is neither audio nor an error",
    21: "a last chunk shorter than a frame is played",
    22: "a synthesiser of another sample rate takes over",
    23: "a failed primary is probed and used again",
    25: "control passes a stage that is slower than its source",
    26: "400 s of speech at once stay bounded",
    27: "two interruptions within 50 ms make one turn, of the last",
    30: "one booking for one idempotency key",
}
LATER = {
    24: "draining a worker with two calls: workers come with calls on several machines",
    28: "a playbook switches while the old one speaks: comes with playbooks",
    29: "two playbooks claim one utterance: comes with playbooks",
}


def files() -> dict[int, list[Path]]:
    """The files of scenarios by the number that their names begin with."""
    found: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(HERE.glob("*.echo")):
        number = re.match(r"(\d\d)_", path.name)
        assert number is not None, f"{path.name} does not say which behaviour it is about"
        found[int(number[1])].append(path)
    return found


def test_every_number_is_held_or_waits_for_what_it_needs() -> None:
    assert sorted({**BEHAVIOURS, **LATER}) == list(range(1, 31))
    assert not set(BEHAVIOURS) & set(LATER)
    assert sorted(files()) == sorted(BEHAVIOURS)


@pytest.mark.parametrize("number", sorted(BEHAVIOURS))
def test_a_behaviour_has_the_case_and_its_neighbours_and_asserts_exact_times(number: int) -> None:
    scenarios = [s for path in files()[number] for s in BENCH.read(path).scenarios]
    assert len(scenarios) >= 3, f"{BEHAVIOURS[number]}: one case is none, its neighbours belong to it"
    kinds = (Sees, Hears, Holds, Written)
    for scenario in scenarios:
        assert scenario.expect, scenario.name
    exact = [
        e
        for s in scenarios
        for e in s.expect
        if isinstance(e, kinds)
        and any(getattr(e, key, None) is not None for key in ("at", "starts", "stops", "seconds"))
    ]
    assert exact, f"{BEHAVIOURS[number]}: no time is asserted"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.echo")), ids=lambda path: path.stem)
def test_scenarios_are_in_the_common_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text, path.name) == text
