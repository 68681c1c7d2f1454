"""Settings: validated by the connector's model, with values from the environment, and no secret in any message."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, SecretStr, model_validator

from echostack.core.payloads import Text
from echostack.registry import ConnectorSettings, connector
from tests.checks.helpers import checked, sound, told
from tests.checks.vendors import registry


class Server(BaseModel):
    url: str
    token: SecretStr = SecretStr("")


class DeepSettings(ConnectorSettings):
    servers: list[Server] = []
    limits: dict[str, int] = {}
    mode: int | bool = 1
    password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _fits(self) -> DeepSettings:
        if "torn" in self.password.get_secret_value():
            raise ValueError(f"{self.password.get_secret_value()} does not fit {self.mode}")
        return self


@connector("deep.log")
def deep(text: Text, settings: DeepSettings) -> None:
    """Has nested settings."""


def said(settings: str, env: dict[str, str] | None = None) -> list[str]:
    _, findings = checked(
        f"connectors:\n  deep.log:\n    {settings}\npipeline:\n  - ingress.sms.text -> deep.log",
        known=registry().add(deep),
        env=env,
    )
    return told(findings).split("\n")


def test_settings_are_the_connectors_model() -> None:
    graph = sound(
        "connectors: {deepgram.stt: {rate: 8000}}\npipeline:\n  - ingress.livekit.audio_frame -> deepgram.stt"
    )
    settings = graph.nodes["deepgram.stt"].settings
    assert (settings.rate, settings.model) == (8000, "nova-3")


def test_values_from_the_environment_take_their_place() -> None:
    text = """
    connectors: {deepgram.stt: {api_key: {env: KEY}, rate: {env: RATE}, language: {env: LANG_, default: de}}}
    pipeline:
      - ingress.livekit.audio_frame -> deepgram.stt
    """
    graph = sound(text, env={"KEY": "k", "RATE": "8000"})
    node = graph.nodes["deepgram.stt"]
    assert (node.settings.api_key.get_secret_value(), node.settings.rate, node.settings.language) == ("k", 8000, "de")
    assert node.missing_env == ()


def test_what_the_environment_lacks_is_no_error_of_the_static_check() -> None:
    graph = sound(
        """
        connectors: {deepgram.stt: {api_key: {env: KEY}, rate: {env: RATE}}}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt
        """
    )
    node = graph.nodes["deepgram.stt"]
    assert (node.settings, node.missing_env) == (None, ("KEY", "RATE"))


def test_other_mistakes_show_although_the_environment_lacks_something() -> None:
    _, findings = checked(
        """
        connectors: {deepgram.stt: {api_key: {env: KEY}, rate: 1, modle: x}}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt
        """
    )
    assert told(findings).split("\n") == [
        "1:50-54 E0410 the setting 'rate' of deepgram.stt is wrong: input should be greater than or equal to 8000, "
        "not 1",
        "1:59-64 E0408 deepgram.stt has no setting 'modle'",
        "  help: did you mean 'model'?",
    ]


def test_a_wrong_value_from_the_environment_is_not_shown() -> None:
    _, findings = checked(
        """
        connectors: {deepgram.stt: {rate: {env: RATE}}}
        pipeline:
          - ingress.livekit.audio_frame -> deepgram.stt
        """,
        env={"RATE": "s3cret"},
    )
    assert told(findings).split("\n") == [
        "1:29-33 E0410 the setting 'rate' of deepgram.stt is wrong: input should be a valid integer, unable to parse "
        "string as an integer"
    ]


def test_nested_settings_are_pointed_at_exactly() -> None:
    assert said("servers: [{url: a}, {url: 3}]") == [
        "3:26-29 E0410 the setting 'servers.1.url' of deep.log is wrong: input should be a valid string, not 3"
    ]
    assert said("servers: [{url: a}, {}]") == [
        "3:25-27 E0409 deep.log needs the setting 'servers.1.url'",
        "  help: add it under `connectors:`: deep.log: {servers.1.url: ...}",
    ]
    assert said("limits: {calls: many}") == [
        "3:14-19 E0410 the setting 'limits.calls' of deep.log is wrong: input should be a valid integer, unable to "
        "parse string as an integer, not 'many'"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        "password: torn-s3cret",
        "password: [torn-s3cret]",
        "password: {a: torn-s3cret}",
        "servers: [{url: u, token: [torn-s3cret]}]",
        "servers: [{url: [1], token: torn-s3cret}]",
        "{password: torn-s3cret, mode: x}",
        "password: {env: SECRET}",
    ],
)
def test_no_message_ever_shows_a_secret(settings: str) -> None:
    lines = said(settings, {"SECRET": "torn-s3cret"})
    assert lines != [""]
    assert "s3cret" not in "\n".join(lines)


def test_a_model_that_finds_its_settings_at_odds_says_so() -> None:
    assert said("password: torn-s3cret") == [
        "2:3-11 E0410 the settings of deep.log do not fit together: ********** does not fit 1"
    ]


def test_an_alias_is_named_with_its_connector() -> None:
    _, findings = checked(
        """
        connectors:
          ear: {use: deepgram.stt, rat: 1}
        pipeline:
          - ingress.livekit.audio_frame -> ear
        """
    )
    assert told(findings).split("\n") == [
        "2:28-31 E0408 ear (deepgram.stt) has no setting 'rat'",
        "  help: did you mean 'rate'?",
    ]
