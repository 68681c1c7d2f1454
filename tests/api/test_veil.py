"""Findings quote files; a secret that stands in one is covered in what they quote, and everything keeps its place."""

from __future__ import annotations

from pydantic import SecretStr

import echostack.api as api
from echostack.core.payloads import AgentMessage, Text
from echostack.registry import ConnectorSettings, Registry, connector
from echostack.render.report_text import report_text


class KeyedSettings(ConnectorSettings):
    """What it needs."""

    api_key: SecretStr
    """The key."""
    size: int = 1
    """A number."""


@connector("keyed.agent")
def keyed(text: Text, settings: KeyedSettings) -> AgentMessage:
    """Needs a key."""
    return AgentMessage(text.text)


def told(text: str) -> str:
    registry = Registry().add(keyed)
    checked = api.check(text, registry=registry)
    assert checked.findings
    return report_text(checked.findings, checked.sources)


def test_a_literal_secret_on_the_line_that_a_finding_quotes_is_covered() -> None:
    shown = told(
        "echostack: 1\nconnectors:\n  keyed.agent: {api_key: sk-live-1234567890, size: large}\n"
        "pipeline:\n  - processing.*.text -> keyed.agent\n"
    )
    assert "sk-live-1234567890" not in shown
    assert "{api_key: ******************, size: large}" in shown


def test_so_is_one_in_a_file_that_cannot_be_read() -> None:
    shown = told("echostack: 1\nconnectors:\n  keyed.agent: {api_key: sk-live-1234567890, size: [}\n")
    assert "sk-live-1234567890" not in shown
    assert "api_key:" in shown


def test_a_name_of_the_environment_is_no_secret() -> None:
    shown = told(
        "echostack: 1\nconnectors:\n  keyed.agent: {api_key: {env: MY_KEY}, colour: red}\n"
        "pipeline:\n  - processing.*.text -> keyed.agent\n"
    )
    assert "{api_key: {env: MY_KEY}, colour: red}" in shown


def test_what_a_scenario_gives_for_a_secret_of_the_environment_is_one_too() -> None:
    shown = told(
        "echostack: 1\nconnectors:\n  keyed.agent: {api_key: {env: MINE}, colour: red}\n"
        "pipeline:\n  - processing.*.text -> keyed.agent\n"
        "tests:\n  - {name: a call, env: {MINE: sk-live-1234567890}, lasts: never}\n"
    )
    assert "sk-live-1234567890" not in shown
    assert "env: {MINE: ******************}" in shown
