"""`check --environment`: what a call needs from the machine that it runs on. Imports no SDK; a probe may connect."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from echostack.checks.codes import MISSING_ENV, MISSING_PACKAGE, SERVICE_DOWN
from echostack.checks.model import CheckedGraph, CheckedNode
from echostack.core.clock import LoopClock
from echostack.core.diagnostic import Diagnostic, at
from echostack.language.data import env_names, plain
from echostack.registry import open_fields

PROBE_SECONDS: Final = 5.0
"""How long one service may take to answer its probe."""


def environment(checked: CheckedGraph, env: Mapping[str, str]) -> list[Diagnostic]:
    """What ``env`` and this machine lack: values, packages, services that answer.

    A connector's class may offer a static `probe(settings)`, plain or async, which raises when its service cannot be
    used. A probe runs only when the node's settings are whole and its packages are there. Blocks until all are done.
    """
    found: list[Diagnostic] = []
    for node in checked.nodes.values():
        missing = _values(node, env, found)
        missing = _packages(node, found) or missing
        if not missing:
            _service(node, found)
    return list(dict.fromkeys(found))


def _values(node: CheckedNode, env: Mapping[str, str], found: list[Diagnostic]) -> bool:
    raw = node.node.settings
    lacking = [r for n, r in env_names(raw).items() if n not in env and r.default is None] if raw is not None else []
    for ref in lacking:
        found.append(
            at(MISSING_ENV, f"{node.id} takes a setting from {ref.name}, which the environment does not have", ref.span,
               help=f"set it before the call: export {ref.name}=...")
        )  # fmt: skip
    fields = open_fields(node.spec.settings, plain(raw, env) if raw is not None else {}) if node.spec else ()
    unset = [f for f in fields if f.required and not env.get(f.variable)]
    for field in unset:
        found.append(
            at(MISSING_ENV, f"{node.id} takes its setting {field.key!r} from {field.variable}, which the environment "
               "does not have", node.node.place, help=f"set it before the call: export {field.variable}=...")
        )  # fmt: skip
    return bool(lacking or unset)


def _packages(node: CheckedNode, found: list[Diagnostic]) -> bool:
    spec = node.spec
    if spec is None:
        return False
    lacking = [p for p in spec.packages if not _installed(p)]
    for package in lacking:
        how = f"pip install 'echostack[{spec.extra}]'" if spec.extra else f"install the package that has {package}"
        found.append(
            at(MISSING_PACKAGE, f"{spec.name} needs the package {package!r}, which is not installed", node.node.place,
               help=how)
        )  # fmt: skip
    return bool(lacking)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # a parent package is missing, or something half imported
        return False


def _service(node: CheckedNode, found: list[Diagnostic]) -> None:
    probe = getattr(node.spec.make, "probe", None) if node.spec is not None else None
    if probe is None or node.settings is None:
        return
    problem = _outside_any_loop(lambda: _probed(probe, node.settings))
    if problem:
        assert node.spec is not None
        problem = problem.removeprefix(f"{node.id}: ")  # a connector's own message begins with its name
        found.append(
            at(SERVICE_DOWN, f"the service behind {node.id} does not answer as it should: {problem}", node.node.place,
               help="check its address and key, and that this machine can reach it")
        )  # fmt: skip


async def _probed(probe: Callable[[Any], Any], settings: Any) -> str:
    clock = LoopClock()
    try:
        async with clock.timeout(PROBE_SECONDS):
            answer = probe(settings)
            if inspect.isawaitable(answer):
                await answer
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a connector's own code runs here, and its failure is the finding
        return str(error) or type(error).__name__
    return ""


def _outside_any_loop(work: Callable[[], Awaitable[str]]) -> str:
    """The result of a coroutine, from plain code and from inside a running loop alike."""

    async def run() -> str:
        return await work()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(asyncio.run(run())), name="echostack-probe")
    thread.start()
    thread.join()
    return answers[0]
