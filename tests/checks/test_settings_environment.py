"""Settings that the environment gives where the file does not: what is there, what lacks, what is wrong with it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from echostack.checks import environment
from echostack.core.audio import AudioFormat
from echostack.core.payloads import Text
from echostack.plan import lower
from echostack.registry import ConnectorSettings, Env, Forward, connector
from tests.checks.helpers import checked, lines, sound, told
from tests.checks.vendors import registry


class AcmeSettings(ConnectorSettings):
    api_key: Annotated[SecretStr, Env("ACME_API_KEY")]
    base_url: Annotated[str, Env("ACME_BASE_URL")] = "https://acme.example"
    rate: Annotated[int, Env("ACME_RATE")] = Field(default=16_000, ge=8_000)
    exits: list[str] = []

    @field_validator("api_key")
    @classmethod
    def _whole(cls, value: SecretStr) -> SecretStr:
        if "broken" in value.get_secret_value():
            raise ValueError(f"the key {value.get_secret_value()} is broken")
        return value


@connector(
    "acme.router", ports=lambda s: tuple(s.exits), output_format=lambda s: AudioFormat(s.rate), attempts=3, timeout=10.0
)
def router(text: Text, settings: AcmeSettings) -> Forward:
    """Chooses a port."""
    return Forward()


@connector("plain.log")
def log(text: Text) -> None:
    """Takes anything."""


KNOWN = registry().add(router, log)
RULE = "pipeline:\n  - ingress.sms.text -> acme.router"


def said(settings: str, env: dict[str, str]) -> list[str]:
    text = f"connectors:\n  acme.router: {settings}\n{RULE}:out -> plain.log"
    return told(checked(text, known=KNOWN, env=env)[1]).split("\n")


def test_the_environment_gives_what_the_file_does_not_and_no_more() -> None:
    env = {"ACME_API_KEY": "k1", "ACME_BASE_URL": "https://b", "ACME_RATE": "8000"}
    settings = sound(RULE, known=KNOWN, env=env).nodes["acme.router"].settings
    assert settings == AcmeSettings(api_key=SecretStr("k1"), base_url="https://b", rate=8000)
    assert settings.model_fields_set == set()
    written = sound(f"connectors: {{acme.router: {{api_key: k2}}}}\n{RULE}", known=KNOWN, env=env)
    settings = written.nodes["acme.router"].settings
    assert (settings.api_key.get_secret_value(), settings.model_fields_set) == ("k2", {"api_key"})


def test_a_variable_that_is_empty_gives_nothing() -> None:
    node = sound(RULE, known=KNOWN, env={"ACME_API_KEY": "k", "ACME_BASE_URL": ""}).nodes["acme.router"]
    assert node.settings.base_url == "https://acme.example"
    node = sound(RULE, known=KNOWN, env={"ACME_API_KEY": ""}).nodes["acme.router"]
    assert (node.settings, node.missing_env) == (None, ("ACME_API_KEY",))


def test_what_the_environment_has_yet_to_give_is_a_finding_of_the_environment_only() -> None:
    graph = sound(RULE, known=KNOWN)
    assert [line for d in environment(graph, {}) for line in lines(d)] == [
        "2:25-36 E0601 acme.router takes its setting 'api_key' from ACME_API_KEY, which the environment does not have",
        "  help: set it before the call: export ACME_API_KEY=...",
    ]
    assert environment(graph, {"ACME_API_KEY": "k"}) == []


def test_ports_are_checked_without_the_key() -> None:
    first, *_ = said("{exits: [in]}", {})
    assert first.endswith("acme.router has no port 'out'")
    assert said("{exits: [out]}", {}) == [""]


def test_a_wrong_value_of_the_environment_is_named_by_its_variable_and_not_shown() -> None:
    assert said("{exits: [out]}", {"ACME_API_KEY": "broken-41", "ACME_RATE": "7000"}) == [
        "2:3-14 E0410 the setting 'api_key' of acme.router, which comes from ACME_API_KEY, is wrong: the key "
        "********** is broken",
        "  help: correct ACME_API_KEY, or write the setting in the file",
        "2:3-14 E0410 the setting 'rate' of acme.router, which comes from ACME_RATE, is wrong: input should be "
        "greater than or equal to 8000",
        "  help: correct ACME_RATE, or write the setting in the file",
    ]


def test_a_value_of_a_character_or_a_blank_leaves_the_message_readable() -> None:
    for key in (" ", "e"):
        assert said("{exits: [out]}", {"ACME_API_KEY": key, "ACME_RATE": "7000"})[0] == (
            "2:3-14 E0410 the setting 'rate' of acme.router, which comes from ACME_RATE, is wrong: input should be "
            "greater than or equal to 8000"
        )


def test_another_mistake_is_reported_beside_what_lacks() -> None:
    assert said("{exits: [out], colour: red}", {}) == [
        "2:31-37 E0408 acme.router has no setting 'colour'",
        "  help: it has api_key, base_url, rate, exits",
    ]


def test_a_connectors_own_attempts_and_timeout_hold_where_the_file_says_nothing() -> None:
    policy = lower(sound(RULE, known=KNOWN)).nodes["acme.router"].policy
    assert (policy.attempts, policy.timeout) == (3, 10.0)
    text = f"connectors: {{acme.router: {{attempts: 1, api_key: k}}}}\n{RULE}"
    policy = lower(sound(text, known=KNOWN)).nodes["acme.router"].policy
    assert (policy.attempts, policy.timeout) == (1, 10.0)
