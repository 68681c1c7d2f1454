"""The pytest plugin: `.echo` files with tests are collected, one item a scenario, ``front_desk.echo::asks for lunch``.

pytest imports this module in every project that EchoStack is installed beside, so nothing of EchoStack is loaded before
a file with scenarios is found.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from echostack.testing.bench import Bench
    from echostack.testing.result import Result

_BENCH: pytest.StashKey[Bench] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and the setting in the project's own configuration."""
    group = parser.getgroup("echostack", "scenarios of .echo files")
    group.addoption(
        "--echostack-seed", type=int, default=None, metavar="N", help="the seed of every scenario, in place of its own"
    )
    group.addoption(
        "--echostack-plugin", action="append", default=[], metavar="MODULE",
        help="a module with connectors, or with functions that reply for nodes (repeatable)",
    )  # fmt: skip
    group.addoption("--no-echostack", action="store_true", help="collect no .echo files")
    parser.addini(
        "echostack_plugins", "modules with connectors for the scenarios of .echo files", type="args", default=[]
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A `.echo` file that says ``tests:``."""
    if file_path.suffix != ".echo" or parent.config.getoption("--no-echostack"):
        return None
    from echostack.testing.files import has_tests

    return EchoFile.from_parent(parent, path=file_path) if has_tests(file_path) else None


class EchoFile(pytest.File):
    """A file with scenarios. One with errors is not collected, and pytest shows its findings."""

    def collect(self) -> Iterator[EchoItem]:
        from echostack.core.errors import UsageError
        from echostack.render.report_text import report_text

        try:
            source = _bench(self.config).read(_named(self))
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        if source.broken:
            sources = {source.source.file: source.source} if source.source is not None else {}
            raise self.CollectError(report_text(source.findings, sources))
        for scenario in source.scenarios:
            yield EchoItem.from_parent(self, name=scenario.name, line=scenario.span.line)


class EchoItem(pytest.Item):
    """One scenario."""

    def __init__(self, *, line: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.line = line

    def runtest(self) -> None:
        """Simulate the call; ScenarioFailed when it is not as the scenario says."""
        seed: int | None = self.config.getoption("--echostack-seed")
        result = _bench(self.config).result(_named(self), self.name, seed)
        self.user_properties += [("call_seconds", round(result.seconds, 6)), ("seed", result.seed)]
        if not result.ok:
            raise ScenarioFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **more: Any) -> Any:
        """What ``echostack test`` would say."""
        if not isinstance(excinfo.value, ScenarioFailed):
            return super().repr_failure(excinfo, *args, **more)
        from echostack.testing.report import result_lines, text_of

        source = _bench(self.config).read(_named(self)).source
        return text_of(result_lines(excinfo.value.result, {source.file: source} if source is not None else {}))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where pytest says that it stands."""
        return self.path, self.line - 1, f"{self.path.name}: {self.name}"


class ScenarioFailed(Exception):
    """A call was not as its scenario says."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.failures[0].what if result.failures else "the graph has errors")
        self.result = result


def _named(node: pytest.Item | pytest.File) -> Path:
    """The file as a person in the folder of the command would name it."""
    try:
        return node.path.relative_to(node.config.invocation_params.dir)
    except ValueError:
        return node.path


def _bench(config: pytest.Config) -> Bench:
    """What all scenarios of one run of pytest share, made for the first of them."""
    found = config.stash.get(_BENCH, None)
    if found is None:
        from echostack.core.errors import EchoStackError
        from echostack.testing.bench import Bench

        plugins = [*config.getini("echostack_plugins"), *config.getoption("--echostack-plugin")]
        try:
            found = config.stash[_BENCH] = Bench(plugins)
        except EchoStackError as error:
            raise pytest.UsageError(str(error)) from None
    return found
