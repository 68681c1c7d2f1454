"""Which graph a file of scenarios tests, and that it may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from echostack import api
from echostack.core.diagnostic import Findings
from echostack.core.errors import InvalidFile, UsageError
from echostack.graph.scenarios import scenarios_of

GRAPH = "pipeline:\n  - ingress.mic.audio_frame -> moonshine.stt -> transcript.log\ntests: [{name: its own}]\n"
TESTS = "tests: [{name: beside it}]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    (root / "desk.echo").write_text(GRAPH)
    (tmp_path / "outside.echo").write_text(GRAPH)
    return root


def put(project: Path, graph: str, name: str = "tests/desk_tests.echo") -> Path:
    path = project / name
    path.write_text(f"graph: {graph}\n{TESTS}")
    return path


def test_a_graph_has_its_own(project: Path) -> None:
    findings = Findings()
    found = scenarios_of(project / "desk.echo", findings)
    assert findings.items == []
    assert found is not None
    assert [s.name for s in found.scenarios] == ["its own"]
    assert found.graph == project / "desk.echo"
    assert found.document is not None


@pytest.mark.parametrize("name", ["tests/desk_tests.echo", "tests/desk_tests.json"])
def test_a_file_of_scenarios_names_its_graph(project: Path, name: str) -> None:
    path = put(project, "../desk.echo", name)
    if name.endswith(".json"):
        path.write_text('{"graph": "../desk.echo", "tests": [{"name": "beside it"}]}')
    findings = Findings()
    found = scenarios_of(path, findings)
    assert findings.items == []
    assert found is not None
    assert [(s.name, s.graph) for s in found.scenarios] == [("beside it", "../desk.echo")]
    assert found.graph.resolve() == (project / "desk.echo").resolve()
    assert (found.file, found.document) == (path, None)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("../dask.echo", "E0325 there is no file '../dask.echo'"),
        ("..", "E0325 there is no file '..'"),
        ("../pyproject.toml", "E0325 '../pyproject.toml' is not an EchoStack file"),
        ("../../outside.echo", "E0326 '../../outside.echo' lies outside the project's folder"),
        ("/etc/hosts.echo", "E0326 '/etc/hosts.echo' lies outside the project's folder"),
        ("a" * 900 + ".echo", f"E0325 there is no file '{'a' * 900}.echo'"),
    ],
)
def test_a_graph_that_is_not_to_be_had(project: Path, graph: str, message: str) -> None:
    findings = Findings()
    assert scenarios_of(put(project, graph), findings) is None
    assert [f"{d.code.id} {d.message}" for d in findings.items] == [message]
    assert str(findings.items[0].span).endswith(":1:8")


def test_a_link_out_of_the_project_is_followed_first(project: Path) -> None:
    (project / "link.echo").symlink_to(project.parent / "outside.echo")
    findings = Findings()
    assert scenarios_of(put(project, "../link.echo"), findings) is None
    assert [d.code.id for d in findings.items] == ["E0326"]


def test_a_file_that_cannot_be_read(project: Path) -> None:
    (project / "bad.echo").write_bytes(b"\xff\xfe")
    findings = Findings()
    assert scenarios_of(project / "bad.echo", findings) is None
    assert [d.code.id for d in findings.items] == ["E0102"]
    with pytest.raises(UsageError):
        scenarios_of(project / "nothing.echo", findings)


def test_check_takes_a_file_of_scenarios(project: Path) -> None:
    path = put(project, "../desk.echo")
    assert api.check(path).findings == ()
    path.write_text("graph: ../desk.echo\ntests: [{name: x, connectors: {moonshin.stt: {}}}]\n")
    checked = api.check(path)
    assert [(d.code.id, d.message) for d in checked.findings] == [("E0420", "the graph has no node 'moonshin.stt'")]
    assert str(path) in checked.sources
    assert checked.checked is None


def test_scenarios_of_the_graph_do_not_count_for_the_file_beside_it(project: Path) -> None:
    checked = api.check(put(project, "../desk.echo")).raise_if_invalid()
    assert [s.name for s in checked.graph.scenarios] == ["beside it"]


def test_nothing_but_the_check_takes_scenarios_for_a_graph(project: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        api.load(put(project, "../desk.echo"))
    assert [d.code.id for d in caught.value.diagnostics] == ["E0154"]
