"""Runs scenarios: checks and compiles the graph that each tests, with nothing but the scenario's environment.

A graph is read, checked and lowered once for all scenarios that lay the same settings over it and give it the same
environment; the plan is shared by all their calls, as it is by real ones.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from echostack import api
from echostack.core.clock import stopwatch
from echostack.core.diagnostic import did_you_mean
from echostack.core.errors import EchoStackError, InvalidFile, UsageError
from echostack.core.span import Source
from echostack.language.data import env_names, plain
from echostack.language.scenario import Scenario
from echostack.plan import Plan
from echostack.registry import Registry
from echostack.runtime.probe import Probe
from echostack.simulation.outcome import Outcome
from echostack.simulation.run import simulate
from echostack.testing.files import ScenarioSource, read_tests
from echostack.testing.result import Result, Status, Told, told, unexpected


class Bench:
    """Everything that many runs have in common. ``real``: nodes that are not simulated, in any of them.

    plugins: modules with connectors, with functions that reply for nodes (``answers:``), or both; UsageError for one
    that cannot be imported.
    """

    def __init__(self, plugins: Sequence[str] = (), real: Iterable[str] = (), registry: Registry | None = None) -> None:
        self.registry = registry if registry is not None else api.default_registry(plugins, functions=True)
        self.real = tuple(real)
        self._plugins = tuple(plugins)
        self._files: dict[Path, ScenarioSource] = {}
        self._plans: dict[str, Plan | EchoStackError] = {}

    def read(self, path: Path) -> ScenarioSource:
        """The scenarios of a file, read once."""
        found = self._files.get(path)
        if found is None:
            found = self._files[path] = read_tests(path)
        return found

    def scenario(self, path: Path, name: str) -> Scenario:
        """One scenario of a file. InvalidFile when the file has errors, UsageError when it has no such scenario."""
        source = self.read(path)
        if source.broken:
            raise InvalidFile(source.findings, _sources(source))
        for scenario in source.scenarios:
            if scenario.name == name:
                return scenario
        names = [s.name for s in source.scenarios]
        near = did_you_mean(name, names, most=1)
        has = f"it has {', '.join(map(repr, names))}" if names else "it has none"
        raise UsageError(f"{path} has no scenario {name!r}; " + (f"did you mean {near[0]!r}?" if near else has))

    def plan(self, path: Path, scenario: Scenario) -> Plan:
        """The plan that ``scenario`` of the file ``path`` runs. InvalidFile when the graph has errors, UsageError for
        settings that it does not have."""
        settings = _settings(scenario)
        key = json.dumps([str(path), settings, dict(scenario.env)], sort_keys=True, default=str)
        found = self._plans.get(key)
        if found is None:
            try:
                found = api.compile(path, registry=self.registry, settings=settings, env=scenario.env).plan
            except EchoStackError as error:
                found = error
            self._plans[key] = found
        if isinstance(found, EchoStackError):
            raise found
        return found

    def outcome(
        self, path: Path, scenario: Scenario, seed: int | None = None, *, probes: Sequence[Probe] = ()
    ) -> Outcome:
        """The simulated call. Raises as ``plan`` does, and UsageError for what this graph cannot play."""
        plan = self.plan(path, scenario)
        return simulate(plan, scenario, seed=seed, real=self.real, answers=self.answers(scenario), probes=probes)

    def result(self, path: Path, name: str, seed: int | None = None, *, record: Path | None = None) -> Result:
        """The same as data, whatever happens. record: the folder under which a call that failed is recorded, by
        playing it once more."""
        scenario = self.scenario(path, name)
        seed = scenario.seed if seed is None else seed
        head = (str(path), name, scenario.span.line, seed)
        took = stopwatch()
        try:
            outcome = self.outcome(path, scenario, seed)
        except InvalidFile as error:
            return Result(*head, Status.ERROR, findings=error.diagnostics, sources=tuple(error.sources.values()))
        except EchoStackError as error:
            return Result(*head, Status.ERROR, took=took(), failures=(Told(str(error), scenario.span),))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a fault ends this scenario, not the others
            return Result(*head, Status.ERROR, took=took(), failures=(unexpected(error, scenario.span),))
        status = Status.PASSED if outcome.ok else Status.FAILED
        seconds = took()
        recorded = ""
        if record is not None and not outcome.ok:
            try:
                recorded = self._record(path, scenario, seed, record)
            except (EchoStackError, OSError) as error:
                lost = Told(f"the call was not recorded: {error}")
                return Result(*head, status, outcome.seconds, seconds, (*told(outcome), lost))
        return Result(*head, status, outcome.seconds, seconds, told(outcome), recorded=recorded)

    def answers(self, scenario: Scenario) -> dict[str, Callable[..., Any]]:
        """The functions that the scenario names, from the plugins. UsageError for one that no plugin has."""
        wanted = {script.answers: script for script in scenario.connectors.values() if script.answers}
        found: dict[str, Callable[..., Any]] = {}
        for name in wanted:
            functions = [getattr(sys.modules[p], name, None) for p in self._plugins if p in sys.modules]
            function = next((f for f in functions if callable(f)), None)
            if function is None:
                where = f"no function {name!r} in {', '.join(self._plugins)}" if self._plugins else "no plugin is named"
                raise UsageError(f"`answers: {name}` cannot be asked: {where}; name its module as a plugin")
            found[name] = function
        return found

    def _record(self, path: Path, scenario: Scenario, seed: int, folder: Path) -> str:
        from echostack.recording import Recorder

        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{path.stem} {scenario.name}").strip("-")[:80]
        target = folder / f"{name}-seed-{seed}.rec"
        folder.mkdir(parents=True, exist_ok=True)
        recorder = Recorder(target, overwrite=True, simulated=True)
        try:
            self.outcome(path, scenario, seed, probes=(recorder,))
        finally:
            recorder.close()
        return str(target)


def _sources(source: ScenarioSource) -> dict[str, Source]:
    return {source.source.file: source.source} if source.source is not None else {}


def _settings(scenario: Scenario) -> dict[str, Any]:
    """The scenario's settings as ordinary data. UsageError for a name that its own environment lacks."""
    for node, values in scenario.settings.items():
        for name, place in env_names(values).items():
            if name not in scenario.env and place.default is None:
                raise UsageError(f"{node} takes `{{env: {name}}}`, and the scenario's `env` has no {name}")
    return {node: plain(values, scenario.env) for node, values in scenario.settings.items()}
