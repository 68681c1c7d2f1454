"""Files that import files: namespaces, overrides, provenance, and the ways in which an import can be refused."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest

from echostack.core.diagnostic import Findings
from echostack.core.span import Span
from echostack.graph import Graph, build
from echostack.graph.files import project_root, shipped_graphs
from echostack.graph.frame import MAX_DEPTH, MAX_FRAMES
from echostack.language import read_document, read_source
from echostack.language.data import plain
from tests.checks.helpers import told

SPEAK = """
interface: {in: piper.tts, out: piper.tts}
connectors:
  piper.tts: {voice: joe, rate: 8000}
pipeline:
  - piper.tts -> egress.file.audio_chunk
"""


class Project:
    """A folder of files, and what building one of them gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pyproject.toml").touch()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))
        return path

    def build(self, text: str, name: str = "main.echo") -> tuple[Graph, Findings]:
        path = self.write(name, text)
        findings = Findings()
        return build(read_document(read_source(path), findings), findings), findings

    def sound(self, text: str) -> Graph:
        graph, findings = self.build(text)
        assert told(findings) == ""
        return graph

    def said(self, text: str, name: str = "main.echo") -> str:
        _, findings = self.build(text, name)
        return told(findings).replace(f"{self.folder}/", "")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_an_import_is_expanded_under_its_name(project: Project) -> None:
    project.write("parts/speak.echo", SPEAK)
    graph = project.sound(
        """
        imports: {speak: parts/speak.echo}
        pipeline:
          - a.agent -> speak:in
          - speak:out -> b.log
        """
    )
    assert list(graph.nodes) == ["a.agent", "speak/piper.tts", "b.log", "egress.file"]
    assert [(e.source, e.target) for e in graph.edges] == [
        ("a.agent", "speak/piper.tts"),
        ("speak/piper.tts", "b.log"),
        ("speak/piper.tts", "egress.file"),
    ]
    node = graph.nodes["speak/piper.tts"]
    assert (node.group, node.use, node.source) == ("speak", "piper.tts", "piper")
    assert graph.nodes["egress.file"].group == ""


def test_every_node_and_edge_knows_the_chain_of_places_it_came_from(project: Project) -> None:
    project.write("inner.echo", SPEAK)
    project.write(
        "outer.echo", "interface: {in: inner:in}\nimports: {inner: inner.echo}\npipeline: [inner:out -> c.log]\n"
    )
    graph = project.sound(
        """
        imports: {outer: outer.echo}
        pipeline:
          - a.agent -> outer:in
        """
    )
    node = graph.nodes["outer/inner/piper.tts"]
    assert node.group == "outer/inner"
    place = node.place
    assert place is not None
    folder = str(project.folder)
    assert str(place.span) == f"{folder}/inner.echo:3:3"
    assert [str(v) for v in place.via] == [f"{folder}/outer.echo:2:11", f"{folder}/main.echo:1:11"]
    edge = next(e for e in graph.edges if e.source == "a.agent")
    assert (edge.target, str(edge.target_place.span), edge.target_place.via) == (
        "outer/inner/piper.tts",
        f"{folder}/main.echo:3:16",
        (),
    )
    inside = next(e for e in graph.edges if e.target == "egress.file").source_place
    assert (inside.span.file, len(inside.via)) == (f"{folder}/inner.echo", 2)


def test_a_file_imported_twice_gives_two_sets_of_nodes(project: Project) -> None:
    project.write("speak.echo", SPEAK)
    graph = project.sound(
        """
        imports: {one: speak.echo, two: speak.echo}
        pipeline:
          - a.agent -> (one:in, two:in)
        """
    )
    assert {"one/piper.tts", "two/piper.tts"} <= set(graph.nodes)
    assert len(graph.documents) == 2


def test_an_import_overrides_settings_key_by_key(project: Project) -> None:
    project.write("parts/speak.echo", SPEAK)
    graph = project.sound(
        """
        imports:
          speak: {path: parts/speak.echo, settings: {piper.tts: {voice: eve}}}
        pipeline:
          - a.agent -> speak:in
        """
    )
    settings = graph.nodes["speak/piper.tts"].settings
    assert settings is not None
    assert plain(settings) == {"voice": "eve", "rate": 8000}
    files = {k: Path(v.file).name for k, v in settings.keys.items()}
    assert files == {"voice": "main.echo", "rate": "speak.echo"}


def test_a_transport_is_the_calls_whoever_names_it_and_the_outermost_declaration_holds(project: Project) -> None:
    project.write(
        "inner.echo", "connectors: {egress.file: {path: inner}}\npipeline: [a.tts -> egress.file.audio_chunk]\n"
    )
    graph = project.sound(
        """
        imports: {inner: inner.echo}
        connectors: {egress.file: {path: outer}}
        pipeline:
          - b.tts -> egress.file.audio_chunk
        """
    )
    assert [n for n in graph.nodes if n.startswith("egress")] == ["egress.file"]
    settings = graph.nodes["egress.file"].settings
    assert settings is not None
    assert plain(settings) == {"path": "outer"}


def test_an_interface_has_named_ports_and_may_lead_to_an_output_port(project: Project) -> None:
    project.write(
        "route.echo",
        """
        interface: {in: {words: a.router}, out: {yes: "a.router:yes", rest: "a.router:no"}}
        pipeline:
          - a.router -> b.log
        """,
    )
    graph = project.sound(
        """
        imports: {route: route.echo}
        pipeline:
          - c.stt -> route:words
          - route:yes -> d.agent
        """
    )
    assert [(e.source, e.port, e.target) for e in graph.edges][:2] == [
        ("c.stt", "", "route/a.router"),
        ("route/a.router", "yes", "d.agent"),
    ]


def test_an_opened_files_own_interface_names_nodes_of_the_graph(project: Project) -> None:
    project.write("speak.echo", SPEAK)
    graph = project.sound(
        """
        imports: {speak: speak.echo}
        interface: {in: speak:in, out: a.log}
        pipeline:
          - speak:out -> a.log
        """
    )
    assert graph.interface is not None
    assert {k: v for k, (v, _) in graph.interface.inputs.items()} == {"in": "speak/piper.tts"}
    assert {k: v for k, (v, _) in graph.interface.outputs.items()} == {"out": "a.log"}


def test_a_path_may_climb_as_long_as_it_stays_in_the_project(project: Project) -> None:
    project.write("shared/speak.echo", SPEAK)
    path = project.write(
        "calls/main.echo", "imports: {speak: ../shared/speak.echo}\npipeline: ['a.agent -> speak:in']\n"
    )
    findings = Findings()
    graph = build(read_document(read_source(path), findings), findings)
    assert told(findings) == ""
    assert "speak/piper.tts" in graph.nodes


def test_the_project_is_the_nearest_folder_with_a_marker_else_the_files_own(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / ".git").mkdir()
    assert project_root(str(inner / "x.echo")) == (tmp_path / "a").resolve()


def test_a_root_that_is_given_holds(project: Project) -> None:
    project.write("speak.echo", SPEAK)
    path = project.write("calls/main.echo", "imports: {speak: ../speak.echo}\npipeline: ['a.agent -> speak:in']\n")
    findings = Findings()
    build(read_document(read_source(path), findings), findings, root=path.parent)
    assert [d.code.id for d in findings.items] == ["E0316"]


def test_a_link_out_of_the_project_is_followed_and_refused(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "speak.echo"
    outside.write_text(SPEAK)
    (project.folder / "speak.echo").symlink_to(outside)
    assert project.said("imports: {speak: speak.echo}\npipeline: ['a.agent -> speak:in']\n") == dedent(
        """\
        1:18-28 E0316 'speak.echo' lies outside the project's folder
          note: an import may read files in the project's folder and the shipped ones, and no others
          help: move the file into the project, and name it relative to the file that imports it"""
    )


def test_a_loop_of_links_is_a_file_that_is_not_there(project: Project) -> None:
    (project.folder / "a.echo").symlink_to(project.folder / "b.echo")
    (project.folder / "b.echo").symlink_to(project.folder / "a.echo")
    _, findings = project.build("imports: {a: a.echo}\npipeline: ['a.agent -> b.log']\n")
    assert [d.code.id for d in findings.items] == ["E0315"]


@pytest.mark.parametrize("path", ["graphs/../../x.echo", "graphs/../../../pyproject.echo", "/x.echo"])
def test_a_path_made_to_escape_is_refused(project: Project, path: str) -> None:
    _, findings = project.build(f'imports: {{a: "{path}"}}\npipeline: ["a.agent -> b.log"]\n')
    assert [d.code.id for d in findings.items] == ["E0316"]


def test_files_that_import_each_other_are_named(project: Project) -> None:
    project.write("b.echo", "imports: {main: main.echo}\npipeline: ['c.agent -> d.log']\n")
    assert project.said("imports: {b: b.echo}\npipeline: ['a.agent -> b.log']\n") == dedent(
        """\
        1:17-26 E0317 files import each other: main.echo -> b.echo -> main.echo
          via main.echo:1:11
          help: move what both need into a third file"""
    )


def test_imports_nest_only_so_deep(project: Project) -> None:
    for level in range(MAX_DEPTH + 2):
        project.write(f"f{level}.echo", f"imports: {{next: f{level + 1}.echo}}\npipeline: ['a.agent -> b.log']\n")
    said = project.said("imports: {next: f0.echo}\npipeline: ['a.agent -> b.log']\n").split("\n")
    assert said[0] == "1:17-24 E0318 imports are nested more than 8 deep"
    assert len([line for line in said if line.startswith("  via")]) == MAX_DEPTH
    assert said[-1] == "  help: import the file that is needed from the opened file itself"


def test_imports_multiply_only_so_far(project: Project) -> None:
    for level in range(6):
        names = ", ".join(f"n{i}: f{level + 1}.echo" for i in range(4))
        project.write(f"f{level}.echo", f"imports: {{{names}}}\npipeline: ['a.agent -> b.log']\n")
    project.write("f6.echo", "pipeline: ['a.agent -> b.log']\n")
    graph, findings = project.build("imports: {top: f0.echo}\npipeline: ['a.agent -> b.log']\n")
    assert {d.code.id for d in findings.items} == {"E0319"}
    assert findings.items[0].message == f"the graph expands to more than {MAX_FRAMES} imports"
    assert len(graph.nodes) <= 2 * (MAX_FRAMES + 1)


def test_a_file_that_may_not_be_read_is_reported_at_the_import(project: Project) -> None:
    project.write("big.echo", "#" * (1 << 20) + "\n")
    said = project.said("imports: {big: big.echo}\npipeline: ['a.agent -> b.log']\n")
    assert said.split("\n")[0].endswith("the file is larger than 1,048,576 bytes")
    assert "via main.echo:1:16" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="whoever may read everything cannot be refused")
def test_a_file_without_permission_is_reported_at_the_import(project: Project) -> None:
    project.write("shut.echo", SPEAK).chmod(0)
    _, findings = project.build("imports: {shut: shut.echo}\npipeline: ['a.agent -> b.log']\n")
    assert [d.code.id for d in findings.items] == ["E0324"]


def test_what_is_wrong_in_an_imported_file_is_said_once_with_the_way_to_it(project: Project) -> None:
    project.write("bad.echo", "pipeline:\n  - a.agent => b.log\n")
    _, findings = project.build("imports: {one: bad.echo, two: bad.echo}\npipeline: ['a.agent -> b.log']\n")
    assert len(findings.items) == 1
    assert findings.items[0].via == (Span(str(project.folder / "main.echo"), 1, 16, 1, 24),)
    assert str(project.folder / "bad.echo") in findings.sources


def test_every_shipped_graph_is_found_and_its_interface_holds(project: Project) -> None:
    assert shipped_graphs()
    for name in shipped_graphs():
        graph, findings = project.build(f"imports: {{part: {name}}}\npipeline: ['a.agent -> b.log']\n")
        assert [d for d in findings.items if d.code.id.startswith("E03")] == [], name
        assert any(node.startswith("part/") for node in graph.nodes), name


def test_a_file_that_is_nowhere_is_told_where_it_was_looked_for(project: Project) -> None:
    known = ", ".join(shipped_graphs())
    assert project.said("imports: {a: graphs/speek.echo}\npipeline: ['a.agent -> b.log']\n") == dedent(
        f"""\
        1:14-31 E0315 there is no file 'graphs/speek.echo'
          note: it was looked for beside the file that imports it, and among the shipped graphs
          help: the shipped ones are {known}"""
    )


def test_rules_that_use_an_import_past_the_limit_are_told_of_the_limit_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("speak.echo", SPEAK)
    many = range(MAX_FRAMES + 3)
    imports = "\n".join(f"  p{n}: speak.echo" for n in many)
    rules = "\n".join(f"  - p{n}:out -> egress.file.audio_chunk" for n in many)
    path = project.write("many.echo", f"imports:\n{imports}\npipeline:\n{rules}\n")
    findings = Findings()
    build(read_document(read_source(path), findings), findings, root=path.parent)
    assert {d.code.id for d in findings.items} == {"E0319"}
