"""The `.echo` files that ship: they check, they are in the canonical style, and their agents answer."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from echostack.api.loading import check
from echostack.api.registry import default_registry
from echostack.connectors.faq_agent import FaqAgent
from echostack.core.payloads import AgentMessage, Text
from echostack.language import format_text
from echostack.testing import scenarios
from tests.connectors.harness import FakeClock, FakeContext

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "custom_connector"
FILES = sorted([*(ROOT / "graphs").glob("*.echo"), *(ROOT / "examples").glob("*.echo")])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_it_checks_without_a_finding(path: Path) -> None:
    result = check(path, env={})
    assert [f"{d.code.id} {d.span}: {d.message}" for d in result.findings] == []
    assert result.ok


@pytest.mark.parametrize("path", [*FILES, PACKAGE / "loyalty.echo"], ids=name)
def test_it_is_in_the_canonical_style(path: Path) -> None:
    text = path.read_text("utf-8")
    assert format_text(text, str(path)) == text


def test_every_example_has_scenarios_that_pass_with_many_seeds() -> None:
    files = sorted(path for path in FILES if path.parent.name == "examples")
    assert all(scenarios(path) for path in files)
    command = [str(Path(sys.executable).parent / "echostack"), "test", "examples", "--runs", "20", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_shipped_graph_offers_an_interface() -> None:
    for path in (ROOT / "graphs").glob("*.echo"):
        graph = check(path, env={}).graph
        assert graph is not None
        assert graph.interface is not None
        assert graph.interface.inputs
        assert graph.interface.outputs
        assert graph.description


def agent(path: Path) -> Any:
    checked = check(path, env={}).checked
    assert checked is not None
    context: Any = FakeContext(FakeClock())
    return FaqAgent(checked.nodes["faq.agent"].settings, context)


def answers(talker: Any, text: str) -> str:
    return " ".join(p.text for p in talker(Text(text)) if isinstance(p, AgentMessage))


def test_the_front_desk_answers_a_call() -> None:
    desk = agent(ROOT / "examples" / "front_desk.echo")
    told = [
        ("Hello, what are your opening hours?", "We are open from Tuesday to Sunday"),
        ("are you open on monday", "No, on Mondays we are closed."),
        ("How much is the lunch?", "The set lunch is eighteen dollars."),
        ("can I bring my dogs", "Dogs are welcome on the terrace."),
        ("do you have vegan dishes", "Yes, a third of our menu is vegetarian"),
        ("Great. I'd like to book a table for four on Friday.", "And at what time?"),
        ("At half past seven in the evening.", "What name shall I put it under?"),
        ("The name is Smith.", "That is a table for 4, Friday at 7:30 pm, under the name of Smith. Is that right?"),
        ("Sorry, can you repeat that?", "That is a table for 4, Friday at 7:30 pm"),
        ("Yes.", "Your table is booked, Smith."),
        ("Do you sell tractors?", "I am sorry, I do not know that."),
        ("I want to speak to the manager", "I will ask a colleague to call you back as soon as possible."),
        ("Thank you, goodbye.", "Thank you for calling. Goodbye!"),
    ]
    for said, expected in told:
        answer = answers(desk, said)
        assert answer.startswith(expected), (said, answer)


@pytest.mark.parametrize("file", ["minimal", "guards", "fallback", "front_desk"])
def test_every_question_of_an_example_finds_its_answer(file: str) -> None:
    settings = agent(ROOT / "examples" / f"{file}.echo")._settings
    for fact in settings.facts:
        for question in fact.ask:
            said = answers(agent(ROOT / "examples" / f"{file}.echo"), question)
            assert said.startswith(fact.say), (question, said)


def test_the_custom_connector_passes_its_own_tests(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(PACKAGE),
        str(PACKAGE / "tests"),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "28 passed" in done.stdout


def test_the_custom_connectors_file_checks_when_the_package_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGE))
    importlib.invalidate_caches()
    registry = default_registry(["echostack_loyalty.lookup"])
    result = check(PACKAGE / "loyalty.echo", registry=registry, env={})
    assert [d.message for d in result.findings] == []
    assert result.ok
