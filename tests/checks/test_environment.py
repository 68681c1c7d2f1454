"""`check --environment`: what the machine lacks for a call."""

from __future__ import annotations

import asyncio

from echostack.checks import environment
from echostack.core.payloads import Text
from echostack.registry import ConnectorSettings, connector
from tests.checks.helpers import lines, sound
from tests.checks.vendors import registry


class ServiceSettings(ConnectorSettings):
    url: str = "down"


@connector("plain.log")
class PlainService:
    """Has a service with a plain probe."""

    def __init__(self, settings: ServiceSettings) -> None: ...

    def __call__(self, text: Text) -> None: ...

    @staticmethod
    def probe(settings: ServiceSettings) -> None:
        if settings.url == "down":
            raise OSError("plain.log: connection refused")


@connector("async.log")
class AsyncService(PlainService):
    """Has a service with an async probe."""

    def __init__(self, settings: ServiceSettings) -> None: ...

    def __call__(self, text: Text) -> None: ...

    @staticmethod
    async def probe(settings: ServiceSettings) -> None:  # type: ignore[override]
        await asyncio.Event().wait() if settings.url == "hangs" else None
        if settings.url == "down":
            raise OSError


@connector("bare.stt", packages=("no_such_package_at_all", "no_such.package"), extra="deepgram")
def bare(text: Text) -> None:
    """Needs packages that nobody has."""


def told(text: str, env: dict[str, str] | None = None) -> list[str]:
    graph = sound(text, known=registry().add(PlainService, AsyncService, bare), env=env)
    return [line for d in environment(graph, env or {}) for line in lines(d)]


def test_values_and_packages_that_are_missing_are_named() -> None:
    assert told(
        """
        connectors:
          plain.log: {url: {env: SERVICE_URL}}
        pipeline:
          - ingress.sms.text -> (plain.log, bare.stt)
        """
    ) == [
        "2:20-38 E0601 plain.log takes a setting from SERVICE_URL, which the environment does not have",
        "  help: set it before the call: export SERVICE_URL=...",
        "4:37-45 E0602 bare.stt needs the package 'no_such_package_at_all', which is not installed",
        "  help: pip install 'echostack[deepgram]'",
        "4:37-45 E0602 bare.stt needs the package 'no_such.package', which is not installed",
        "  help: pip install 'echostack[deepgram]'",
    ]


def test_a_service_that_does_not_answer_is_named_with_its_reason() -> None:
    assert told("pipeline:\n  - ingress.sms.text -> (plain.log, async.log)") == [
        "2:26-35 E0603 the service behind plain.log does not answer as it should: connection refused",
        "  help: check its address and key, and that this machine can reach it",
        "2:37-46 E0603 the service behind async.log does not answer as it should: OSError",
        "  help: check its address and key, and that this machine can reach it",
    ]


def test_a_machine_that_has_everything_is_silent() -> None:
    assert (
        told(
            """
            connectors:
              plain.log: {url: {env: SERVICE_URL}}
              async.log: {url: up}
            pipeline:
              - ingress.sms.text -> (plain.log, async.log)
            """,
            {"SERVICE_URL": "up"},
        )
        == []
    )


async def test_probes_run_from_inside_a_running_loop_too() -> None:
    assert len(told("pipeline:\n  - ingress.sms.text -> (plain.log, async.log)")) == 4
