"""pytest with the plugin, as a project runs it that EchoStack is installed beside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testing.files import QUIET, SHOP, WRONG, write


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """pytest in ``folder``, with this plugin named, whatever is announced to it."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "echostack.testing.plugin", "-p", "no:asyncio", "-p", "no:cacheprovider",
         "-q", "--color=no", *args],
        cwd=folder, text=True, capture_output=True, check=False, timeout=120,
        env={**plain, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path, shop=SHOP, quiet=QUIET, plain="pipeline: []\n")


def test_every_scenario_is_an_item(project: Path) -> None:
    done = run(project, "--collect-only")
    assert done.stdout.splitlines()[:3] == [
        "quiet.echo::says nothing",
        "shop.echo::asks for the hours",
        "shop.echo::wants lunch",
    ]
    assert run(project, "--collect-only", "--no-echostack").returncode == 5


def test_a_failure_is_told_as_the_command_tells_it(project: Path) -> None:
    done = run(project)
    assert done.returncode == 1
    assert "1 failed, 2 passed" in done.stdout
    report = done.stdout.partition("shop.echo: wants lunch")[2]
    assert "FAILED shop.echo::wants lunch\n\nfailed: expected `processing.moonshine.text where" in report
    assert "    --> shop.echo:18:9\n     |\n  18 |       - {event: processing.moonshine.text" in report
    assert "     time  c a\n" in report
    assert "see it again: echostack test shop.echo -k 'wants lunch' --seed 7\n" in report
    assert "Traceback" not in done.stdout


def test_a_scenario_is_chosen_by_its_id_and_has_the_seed_that_is_asked_for(project: Path) -> None:
    done = run(project, "shop.echo::wants lunch", "--echostack-seed", "11")
    assert "1 failed in" in done.stdout
    assert "--seed 11\n" in done.stdout


def test_a_file_with_errors_is_told_like_a_check(project: Path) -> None:
    write(project, odd="pipeline:\n  - a.b -> c.d\ntests:\n  - {name: a, expct: 1}\n", wrong=WRONG)
    done = run(project)
    assert done.returncode == 2
    assert "error[E0121]: an item of `tests` has no key `expct`\n  --> odd.echo:4:15" in done.stdout
    shown = run(project, "wrong.echo")
    assert shown.returncode == 1
    assert "error[E0401]: there is no connector 'moonshine.sttt'" in shown.stdout


def test_plugins_are_named_by_option_or_in_the_configuration(project: Path) -> None:
    (project / "replying.py").write_text("def reply(payload, simulator):\n    return 'Yes.'\n")
    write(project, quiet=QUIET + "    connectors: {faq.agent: {answers: reply}}\n")
    assert "no plugin is named" in run(project, "quiet.echo").stdout
    path = ("-o", "pythonpath=.")
    assert run(project, *path, "quiet.echo", "--echostack-plugin", "replying").returncode == 0
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\nechostack_plugins = replying\n")
    assert run(project, "quiet.echo").returncode == 0
    refused = run(project, *path, "quiet.echo", "--echostack-plugin", "nowhere")
    assert "the plugin module 'nowhere' cannot be imported" in refused.stdout + refused.stderr


def test_a_project_without_echo_files_loads_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n"
        "def test_it():\n"
        "    mine = sorted(m for m in sys.modules if m.startswith('echostack'))\n"
        "    assert mine == ['echostack', 'echostack.testing', 'echostack.testing.plugin']\n"
        "    assert not {'networkx', 'numpy', 'pydantic'} & set(sys.modules)\n"
    )
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_plugin_is_announced(checkout: Path) -> None:
    import tomllib

    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"echostack": "echostack.testing.plugin"}
