"""Finding files, reading scenarios, running them: for the command, for pytest and for a program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from echostack.core.errors import InvalidFile, UsageError
from echostack.testing import explain, scenarios, simulate
from echostack.testing.bench import Bench
from echostack.testing.collect import collect
from echostack.testing.files import files_of
from echostack.testing.result import Status
from tests.testing.files import QUIET, SHOP, WRONG, write


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write(tmp_path, shop=SHOP, quiet=QUIET))
    return Path("shop.echo")


def test_a_folder_gives_its_files_with_tests(tmp_path: Path) -> None:
    write(tmp_path, b=QUIET, a__c=SHOP, a__plain="pipeline: []\n", _hidden=QUIET)
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden", x=QUIET)
    (tmp_path / "notes.txt").write_text("tests:\n")
    write(tmp_path, call__graph__shop=SHOP)
    (tmp_path / "call" / "recording.jsonl").write_text("")
    found = [str(p.relative_to(tmp_path)) for p in files_of([tmp_path, tmp_path / "b.echo"])]
    assert found == ["_hidden.echo", "b.echo", "a/c.echo"]


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.echo: there is no such file or folder"):
        files_of([tmp_path / "none.echo"])


def test_a_scenario_passes_or_fails_with_what_is_shown(shop: Path) -> None:
    bench = Bench()
    good = bench.result(shop, "asks for the hours")
    assert (good.status, good.failures, good.seed, good.line) == (Status.PASSED, (), 0, 10)
    bad = bench.result(shop, "wants lunch")
    assert (bad.status, bad.seed) == (Status.FAILED, 7)
    (failure,) = bad.failures
    assert failure.what.startswith(
        'expected `processing.moonshine.text where "lunch" in text`; there was one such event'
    )
    assert any("When are you open?" in line for line in failure.timeline)
    assert bench.result(shop, "wants lunch", 3).seed == 3


def test_the_same_seed_gives_the_same_result(shop: Path) -> None:
    once, again = (Bench().result(shop, "wants lunch", 5).data() for _ in range(2))
    assert {**once, "took_seconds": 0} == {**again, "took_seconds": 0}


def test_a_file_of_scenarios_tests_the_graph_beside_it(shop: Path) -> None:
    assert Bench().result(Path("quiet.echo"), "says nothing").ok


def test_nothing_of_a_file_with_errors_is_run_and_the_others_are(shop: Path) -> None:
    write(Path(), wrong=WRONG)
    found = collect(Bench(), [Path("wrong.echo"), Path("quiet.echo")])
    assert [(str(run.file), run.name, run.seed) for run in found.runs] == [("quiet.echo", "says nothing", 0)]
    assert list(found.broken) == ["wrong.echo"]
    assert [f.code.id for f in found.findings.items] == ["E0401"]


def test_runs_are_seeds_from_the_scenarios_own_on(shop: Path) -> None:
    found = collect(Bench(), [shop], "lunch", runs=3)
    assert [run.seed for run in found.runs] == [7, 8, 9]
    assert found.left_out == 1
    assert [run.seed for run in collect(Bench(), [shop], "lunch", seed=1, runs=2).runs] == [1, 2]


def test_a_function_of_a_plugin_replies(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = QUIET.replace("pause: 3s", "say: hello, pause: 2s").replace(
        "{heard: ''}", "{event: processing.faq.agent_message, where: '\"plugin\" in text'}"
    )
    write(Path(), answered=answered + "    connectors: {faq.agent: {answers: reply}}\n")
    Path("replying_plugin.py").write_text("def reply(payload, simulator):\n    return 'From a plugin.'\n")
    monkeypatch.syspath_prepend(".")
    file = Path("answered.echo")
    assert Bench(["replying_plugin"]).result(file, "says nothing").failures == ()
    sys.modules.pop("replying_plugin")
    (told,) = Bench().result(file, "says nothing").failures
    assert told.what == "`answers: reply` cannot be asked: no plugin is named; name its module as a plugin"


def test_a_failed_call_is_recorded_by_playing_it_again(shop: Path) -> None:
    result = Bench().result(shop, "wants lunch", record=Path("calls"))
    assert result.recorded == "calls/shop-wants-lunch-seed-7.rec"
    assert (Path(result.recorded) / "recording.jsonl").is_file()
    assert Bench().result(shop, "asks for the hours", record=Path("calls")).recorded == ""


def test_a_program_names_a_scenario_and_gets_its_call(shop: Path) -> None:
    assert scenarios(shop) == ("asks for the hours", "wants lunch")
    outcome = simulate(shop, "asks for the hours")
    assert not outcome.failures
    assert explain(outcome) == ""
    assert [turn.role for turn in outcome.conversation] == ["caller", "agent"]
    failed = simulate("shop.echo", "wants lunch", seed=2)
    assert explain(failed).startswith("FAILED shop.echo::wants lunch\n\nfailed: expected ")
    assert explain(failed).endswith("see it again: echostack test shop.echo -k 'wants lunch' --seed 2\n")


def test_a_program_is_told_what_is_wrong(shop: Path) -> None:
    write(Path(), wrong=WRONG, odd="tests: [{nme: a}]\n")
    with pytest.raises(UsageError, match="has no scenario 'wants lunsh'; did you mean 'wants lunch'"):
        simulate(shop, "wants lunsh")
    with pytest.raises(InvalidFile, match="E0401"):
        simulate("wrong.echo", "a")
    with pytest.raises(InvalidFile):
        scenarios("odd.echo")


def test_settings_and_environment_are_the_scenarios_own(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREETING", "From the machine.")
    greeting = SHOP.replace("    facts:", "    greeting: {env: GREETING, default: By default.}\n    facts:", 1).replace(
        "pipeline:", "pipeline:\n  - control.call.call_started -> faq.agent"
    )
    greeting = greeting.partition("tests:")[0] + (
        "tests:\n"
        "  - {name: default, caller: [listen: 1s], expect: [{heard: By default.}]}\n"
        "  - {name: given, env: {GREETING: Given.}, caller: [listen: 1s], expect: [{heard: Given.}]}\n"
        "  - {name: set, settings: {faq.agent: {greeting: Set.}}, caller: [listen: 1s], expect: [{heard: Set.}]}\n"
        "  - {name: lacking, settings: {faq.agent: {greeting: {env: NONE}}}, caller: [listen: 1s]}\n"
    )
    write(Path(), greeting=greeting)
    bench = Bench()
    told = {name: bench.result(Path("greeting.echo"), name).failures for name in scenarios("greeting.echo")}
    assert [told[name] for name in ("default", "given", "set")] == [(), (), ()]
    assert [t.what for t in told["lacking"]] == ["faq.agent takes `{env: NONE}`, and the scenario's `env` has no NONE"]


def replying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Bench:
    """A bench with a plugin of ``source``, whose function ``reply`` answers for the agent of ``asked.echo``."""
    monkeypatch.chdir(write(tmp_path, shop=SHOP, asked=ASKED))
    (tmp_path / "replying.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "replying", raising=False)
    return Bench(["replying"])


ASKED = """\
graph: shop.echo
tests:
  - name: is answered
    connectors: {faq.agent: {answers: reply}}
    caller: [say: When are you open?, pause: 2s, hang_up: true]
"""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def reply(payload, simulator):\n    raise KeyError('hours')\n", "KeyError: 'hours' (replying.py:2)"),
        (
            "import json\ndef reply(payload, simulator):\n    return json.loads('{')\n",
            "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) "
            "(replying.py:3)",
        ),
        (
            "def reply(payload, simulator):\n    yield 'a'\n    1 / 0\n",
            "ZeroDivisionError: division by zero (replying.py:3)",
        ),
        (
            "import sys\ndef reply(payload, simulator): sys.exit(3)\n",
            "RuntimeError: it ends the process (SystemExit: 3 (replying.py:2))",
        ),
    ],
)
def test_a_function_that_fails_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, told: str
) -> None:
    bad = replying(tmp_path, monkeypatch, source).result(Path("asked.echo"), "is answered")
    assert bad.status is Status.FAILED
    assert any(failure.what.endswith(f"and no fault was scripted: {told}") for failure in bad.failures), bad.failures


def test_a_function_that_cannot_be_called_so_is_told_before_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = replying(tmp_path, monkeypatch, "\ndef reply(payload):\n    return 'x'\n")
    bad = bench.result(Path("asked.echo"), "is answered")
    assert (bad.status, [failure.what for failure in bad.failures]) == (
        Status.ERROR,
        [
            "asked.echo:4:18: reply (replying.py:2) cannot be asked: write it as reply(payload, simulator), "
            "which is how it is called"
        ],
    )


@pytest.mark.parametrize("raised", [TypeError("torn"), SystemExit(3), RecursionError()])
def test_an_error_that_nobody_expected_fails_one_scenario_and_says_how_to_see_more(
    shop: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise raised

    bench = Bench()
    monkeypatch.delenv("ECHOSTACK_TRACEBACK", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr("echostack.testing.bench.simulate", broken)
        (failure,) = (bad := bench.result(shop, "asks for the hours")).failures
        assert bad.status is Status.ERROR
        assert failure.what.startswith(f"an unexpected {type(raised).__name__}")
        assert "test_bench.py:" in failure.what
        assert failure.help == "ECHOSTACK_TRACEBACK=1 shows the way to it"
        patch.setenv("ECHOSTACK_TRACEBACK", "1")
        (failure,) = bench.result(shop, "asks for the hours").failures
        assert "Traceback (most recent call last):" in failure.what.split("\n")
    assert bench.result(shop, "asks for the hours").ok


def test_a_recording_that_cannot_be_written_loses_no_result(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no folder")
    bad = Bench().result(shop, "wants lunch", record=tmp_path / "full")
    assert (bad.status, bad.recorded) == (Status.FAILED, "")
    assert bad.failures[-1].what.startswith("the call was not recorded: ")
    assert len(bad.failures) == 2
