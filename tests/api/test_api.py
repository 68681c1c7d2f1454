"""What an embedding program imports: load, check, compile, sessions, and a pipeline as an operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiostream import pipe, stream

import echostack
from echostack.core.clock import InlineCompute
from echostack.core.errors import InvalidFile, UsageError
from echostack.core.payloads import AudioFrame, Data, Text
from echostack.registry import ConnectorSettings, connector
from echostack.simulation.loop import run_virtual
from tests.runtime.cast import RATE, hears, registry


class Greeting(ConnectorSettings):
    """What to say."""

    words: str = "hello"
    """The greeting."""
    key: str = ""
    """A key of somebody else's."""


@connector("acme.greet")
class Greet:
    """Greets by its settings."""

    def __init__(self, settings: Greeting) -> None:
        self._words = settings.words

    def __call__(self, text: Text) -> Data:
        return Data(f"{self._words} {text.text}")


GRAPH = hears("ear.stt -> acme.greet")


async def frames(*words: str) -> AsyncIterator[AudioFrame]:
    for word in words:
        await asyncio.sleep(0.1)
        yield AudioFrame(b"\0\0", RATE, track=f"say:{word}")


def greeted(pipeline: echostack.Pipeline, *words: str) -> list[str]:
    async def main() -> list[str]:
        async with pipeline.session(ingress={"line": frames(*words)}, compute=InlineCompute()) as call:
            return [e.payload.name async for e in call.events("processing.acme.data")]  # type: ignore[attr-defined]

    return run_virtual(main())


def test_a_text_is_compiled_and_run() -> None:
    assert greeted(echostack.compile(GRAPH, registry=registry(Greet), env={}), "you") == ["hello you"]


@pytest.mark.parametrize("name", ["call.echo", "call.txt"])
def test_a_path_is_compiled_and_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(GRAPH, encoding="utf-8")
    for source in (path, str(path)):
        assert greeted(echostack.compile(source, registry=registry(Greet), env={}), "you") == ["hello you"]


def test_a_loaded_graph_is_compiled_and_run(tmp_path: Path) -> None:
    path = tmp_path / "call.echo"
    path.write_text(GRAPH, encoding="utf-8")
    graph = echostack.load(path)
    assert "acme.greet" in graph.nodes
    assert greeted(echostack.compile(graph, registry=registry(Greet), env={}), "you") == ["hello you"]


@pytest.mark.parametrize("settings", [{"acme.greet.words": "bye"}, {"acme.greet": {"words": "bye"}}])
def test_settings_are_laid_over_the_files(settings: dict[str, object]) -> None:
    graph = hears("ear.stt -> acme.greet", connectors="{acme.greet: {words: welcome}}")
    known = registry(Greet)
    assert greeted(echostack.compile(graph, registry=known, settings=settings, env={}), "x") == ["bye x"]
    assert greeted(echostack.compile(graph, registry=known, env={}), "x") == ["welcome x"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "acme.gret.words",
            "cannot set 'acme.gret.words': the graph has no node 'acme.gret'; did you mean acme.greet?",
        ),
        ("words", "cannot set 'words': the graph has no node 'words'; it has acme.greet, ear.stt, ingress.line"),
    ],
)
def test_a_setting_of_a_node_that_is_not_there_says_what_is(path: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        echostack.compile(GRAPH, registry=registry(Greet), settings={path: "x"}, env={})
    assert str(caught.value) == message


def test_a_file_with_errors_raises_every_finding() -> None:
    text = hears("ear.stt -> acme.gret", "ear.sst -> acme.greet")
    with pytest.raises(InvalidFile) as caught:
        echostack.compile(text, registry=registry(Greet), env={})
    assert len([d for d in caught.value.diagnostics if d.is_error]) >= 2
    assert "(and " in str(caught.value)


def test_a_check_never_raises_for_a_files_mistakes() -> None:
    found = echostack.check("pipeline: [", registry=registry(), env={})
    assert not found.ok
    assert found.errors
    assert found.checked is None


def test_a_check_of_a_good_file_is_ok() -> None:
    found = echostack.check(GRAPH, registry=registry(Greet), env={})
    assert found.ok
    assert found.errors == ()
    assert found.raise_if_invalid() is found.checked


def test_a_path_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    path = tmp_path / "none.echo"
    for use in (echostack.load, echostack.check, echostack.compile):
        with pytest.raises(UsageError) as caught:
            use(path)
        assert str(caught.value) == f"{path}: there is no such file"


def test_a_name_that_the_environment_lacks_is_the_sessions_error() -> None:
    graph = hears("ear.stt -> acme.greet", connectors="{acme.greet: {key: {env: ACME_KEY}}}")
    pipeline = echostack.compile(graph, registry=registry(Greet), env={})
    with pytest.raises(UsageError) as caught:
        greeted(pipeline, "x")
    assert str(caught.value) == (
        "the environment lacks ACME_KEY (for acme.greet): export ACME_KEY=..., or give it a value in the file"
    )
    assert greeted(echostack.compile(graph, registry=registry(Greet), env={"ACME_KEY": "k"}), "x") == ["hello x"]


def test_one_pipeline_serves_many_calls_at_once() -> None:
    pipeline = echostack.compile(GRAPH, registry=registry(Greet), env={})

    async def one(word: str) -> list[str]:
        async with pipeline.session(ingress={"line": frames(word, word)}, compute=InlineCompute()) as call:
            return [e.payload.name async for e in call.events("processing.acme.data")]  # type: ignore[attr-defined]

    async def main() -> list[list[str]]:
        return list(await asyncio.gather(*(one(str(n)) for n in range(20))))

    assert run_virtual(main()) == [[f"hello {n}", f"hello {n}"] for n in range(20)]


def test_a_pipeline_is_an_operator() -> None:
    pipeline = echostack.compile(GRAPH, registry=registry(Greet), env={})

    async def main() -> list[str]:
        greetings = (
            stream.iterate(frames("a", "b", "c"))
            | pipeline.pipe(output="processing.acme.data", compute=InlineCompute())
            | pipe.map(lambda event: event.payload.name)
        )
        return await stream.list(greetings)

    assert run_virtual(main()) == ["hello a", "hello b", "hello c"]


def test_leaving_the_operator_ends_the_call() -> None:
    pipeline = echostack.compile(GRAPH, registry=registry(Greet), env={})
    closed: list[bool] = []

    async def source() -> AsyncIterator[AudioFrame]:
        try:
            async for frame in frames(*("x" for _ in range(1000))):
                yield frame
        finally:
            closed.append(True)

    async def main() -> float:
        first = stream.iterate(source()) | pipeline.pipe("processing.acme.data", compute=InlineCompute()) | pipe.take(1)
        await stream.list(first)
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) < 0.3
    assert closed == [True]


def test_an_operator_of_several_ingresses_must_be_told_which() -> None:
    @connector("ingress.other")
    class Other:
        async def run(self) -> AsyncIterator[Text]:
            yield Text("x")

    graph = hears("ear.stt -> acme.greet", "ingress.other.text -> acme.greet")
    pipeline = echostack.compile(graph, registry=registry(Greet, Other), env={})
    with pytest.raises(UsageError) as caught:
        pipeline.pipe("processing.acme.data")
    assert str(caught.value) == "name the ingress that the stream feeds: the graph has line, other"


def test_what_is_printed_of_a_pipeline_names_it() -> None:
    pipeline = echostack.compile(f"name: front\n{GRAPH}", registry=registry(Greet), env={})
    assert repr(pipeline) == "<Pipeline front: 3 nodes>"
