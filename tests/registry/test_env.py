"""Fields that the environment fills where a file gives nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from echostack.registry import ConnectorSettings, Env, filled, open_fields, unset
from echostack.registry.env import settings_schema


class Proxy(ConnectorSettings):
    host: str = "none"
    password: Annotated[SecretStr, Env("PROXY_PASSWORD")] = SecretStr("")


class Account(ConnectorSettings):
    token: Annotated[SecretStr, Env("ACCOUNT_TOKEN")]


class Far(ConnectorSettings):
    api_key: Annotated[SecretStr, Env("FAR_API_KEY")]
    base_url: Annotated[str, Env("FAR_BASE_URL")] = "https://far.example"
    rate: Annotated[int | None, Env("FAR_RATE")] = Field(default=None, alias="sample_rate")
    proxy: Proxy = Proxy(host="inside")
    account: Account | None = None
    accounts: dict[str, Account] = {}


def keys(data: object) -> list[tuple[str, str, bool, bool]]:
    return [(f.key, f.variable, f.required, f.secret) for f in open_fields(Far, data)]


def test_what_is_not_given_is_open_and_what_may_be_left_out_as_a_whole_is_not_looked_into() -> None:
    assert keys({}) == [
        ("api_key", "FAR_API_KEY", True, True),
        ("base_url", "FAR_BASE_URL", False, False),
        ("sample_rate", "FAR_RATE", False, False),
        ("proxy.password", "PROXY_PASSWORD", False, True),
    ]


def test_nested_models_are_looked_into_as_far_as_they_are_given() -> None:
    data = {"api_key": "k", "base_url": None, "sample_rate": 1, "proxy": {"password": "p"}, "account": {}}
    assert keys({**data, "accounts": {"a": {"token": "t"}, "b": {}}}) == [
        ("account.token", "ACCOUNT_TOKEN", True, True),
        ("accounts.b.token", "ACCOUNT_TOKEN", True, True),
    ]


def test_what_was_filled_in_is_there_and_was_not_written() -> None:
    data = {"accounts": {"a": {}}}
    values = {f.path: "7" for f in open_fields(Far, data)}
    settings = Far.model_validate(filled(data, values, Far))
    unset(settings, data, values)
    assert data == {"accounts": {"a": {}}}
    assert (settings.api_key.get_secret_value(), settings.base_url, settings.rate) == ("7", "7", 7)
    assert (settings.proxy.host, settings.proxy.password.get_secret_value()) == ("inside", "7")
    assert settings.accounts["a"].token.get_secret_value() == "7"
    assert settings.model_fields_set == {"accounts"}
    assert settings.accounts["a"].model_fields_set == set()


def test_what_was_written_beside_it_stays_written() -> None:
    data = {"proxy": {"host": "out"}, "base_url": "x"}
    values = {f.path: "7" for f in open_fields(Far, data)}
    settings = Far.model_validate(filled(data, values, Far))
    unset(settings, data, values)
    assert settings.model_fields_set == {"proxy", "base_url"}
    assert (settings.proxy.model_fields_set, settings.proxy.host) == ({"host"}, "out")


def test_the_schema_names_the_variable_and_asks_for_nothing_that_it_can_give() -> None:
    schema = settings_schema(Far)
    assert "required" not in schema
    assert "required" not in schema["$defs"]["Account"]
    assert schema["properties"]["api_key"]["env"] == "FAR_API_KEY"
    assert schema["properties"]["base_url"] == {
        "default": "https://far.example", "env": "FAR_BASE_URL", "title": "Base Url", "type": "string",
    }  # fmt: skip
