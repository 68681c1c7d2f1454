"""What values from the environment are in a simulated call: the scenario's, or placeholders, never this machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, field_validator, model_validator

from echostack.core.errors import UsageError
from echostack.core.payloads import Data, Text
from echostack.language.data import Mapping_
from echostack.registry import ITSELF, ConnectorSettings, Env, connector
from echostack.simulation.environment import simulated_environment, simulated_settings
from tests.simulation.mocking import HERE, given, plan, play


class Far(ConnectorSettings):
    """Where something is."""

    name: str = "none"
    url: str = "https://a.example/"
    port: int = Field(default=1, ge=1)
    key: SecretStr = SecretStr("")
    color: str = "red"

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value.startswith("https://"):
            raise ValueError("an address begins with https://")
        return value

    @field_validator("color")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("red", "green"):
            raise ValueError(f"{value} is neither red nor green")
        return value


@connector("acme.tell", simulation=ITSELF)
def tell(text: Text, settings: Far) -> Data:
    """Tells its settings."""
    return Data(settings.name, {"url": settings.url, "port": settings.port, "key": settings.key.get_secret_value()})


def told(settings: str, env: dict[str, str] | None = None) -> Data:
    graph = plan("ingress.chat.text -> acme.tell", more=(tell,), connectors=f"{{acme.tell: {settings}}}")
    (data,) = given(play(graph, "x", env=env or {}), "processing.acme.data")
    assert isinstance(data, Data)
    return data


def test_a_name_that_is_not_given_is_a_placeholder() -> None:
    data = told("{name: {env: NAME}, key: {env: KEY}}")
    assert (data.name, data.data["key"]) == ("simulated", "simulated")


def test_a_placeholder_is_an_address_or_a_number_where_a_text_does_not_do() -> None:
    data = told("{url: {env: URL}, port: {env: PORT}, name: {env: NAME}}")
    assert (data.name, data.data["url"], data.data["port"]) == ("simulated", "https://simulated.invalid/", 1)


def test_what_the_scenario_gives_goes_before_everything() -> None:
    assert told("{name: {env: NAME, default: file}}", {"NAME": "scenario"}).name == "scenario"
    assert told("{name: {env: NAME, default: file}}").name == "file"


def test_nothing_comes_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "machine")
    assert told("{name: {env: NAME}}").name == "simulated"
    graph = plan(
        "ingress.chat.text -> acme.tell", more=(tell,), connectors="{acme.tell: {name: {env: NAME}}}",
        env={"NAME": "machine"},
    )  # fmt: skip
    assert [d.name for d in given(play(graph, "x"), "processing.acme.data")] == ["simulated"]


def test_a_real_node_keeps_what_it_was_compiled_with() -> None:
    graph = plan(
        "ingress.chat.text -> acme.tell", more=(tell,), connectors="{acme.tell: {name: {env: NAME}}}",
        env={"NAME": "machine"},
    )  # fmt: skip
    assert [d.name for d in given(play(graph, "x", real=("acme.tell",)), "processing.acme.data")] == ["machine"]


def test_settings_that_take_no_placeholder_are_the_scenarios_to_give() -> None:
    with pytest.raises(UsageError) as caught:
        told("{color: {env: COLOR}}")
    assert str(caught.value) == (
        "test.echo:3:5: the scenario must give env COLOR for acme.tell, which takes no placeholder"
    )
    assert told("{color: {env: COLOR}, name: ok}", {"COLOR": "green"}).name == "ok"


def test_what_the_scenario_gives_must_fit_too() -> None:
    with pytest.raises(UsageError) as caught:
        told("{color: {env: COLOR}}", {"COLOR": "mauve"})
    assert str(caught.value) == (
        "test.echo:3:5: acme.tell cannot be simulated with what the scenario gives: "
        "color: Value error, ********** is neither red nor green"
    )


def test_members_of_a_choice_have_placeholders_as_well(tmp_path: Path) -> None:
    graph = plan("ingress.chat.text -> acme.tell ?? second",
                 more=(tell,),
                 connectors="{acme.tell: {name: {env: ONE}}, second: {use: acme.tell, name: {env: TWO}}}")  # fmt: skip
    assert [d.name for d in given(play(graph, "x"), "processing.acme.data")] == ["simulated"]


def test_placeholders_by_name() -> None:
    assert simulated_environment(("A", "B"), {"B": "b"}) == {"A": "simulated", "B": "b"}


class Keyed(ConnectorSettings):
    """Where something is, as the environment says."""

    key: Annotated[SecretStr, Env("FAR_KEY")]
    url: Annotated[str, Env("FAR_URL")] = "https://a.example/"
    spare: Annotated[str, Env("FAR_SPARE")] = ""


@connector("acme.keyed", simulation=ITSELF)
def keyed(text: Text, settings: Keyed) -> Data:
    """Tells its settings."""
    return Data(settings.key.get_secret_value(), {"url": settings.url, "spare": settings.spare})


def heard(env: dict[str, str], real: dict[str, str]) -> Data:
    graph = plan("ingress.chat.text -> acme.keyed", more=(keyed,), env=real)
    (data,) = given(play(graph, "x", env=env), "processing.acme.data")
    assert isinstance(data, Data)
    return data


def test_a_field_of_the_environment_gets_what_the_scenario_gives_or_a_placeholder_and_nothing_real() -> None:
    real = {"FAR_KEY": "real", "FAR_URL": "https://real.example/", "FAR_SPARE": "real"}
    assert heard({}, real) == heard({}, {}) == Data("simulated", {"url": "https://a.example/", "spare": ""})
    assert heard({"FAR_URL": "https://b.example/", "FAR_SPARE": "s"}, real) == Data(
        "simulated", {"url": "https://b.example/", "spare": "s"}
    )


class OneOfTwo(ConnectorSettings):
    key: Annotated[SecretStr, Env("ONE_KEY")] = SecretStr("")
    token: Annotated[SecretStr, Env("ONE_TOKEN")] = SecretStr("")

    @model_validator(mode="after")
    def _either(self) -> OneOfTwo:
        if not self.key.get_secret_value() and not self.token.get_secret_value():
            raise ValueError("a key or a token is needed")
        return self


def test_what_needs_one_of_two_values_gets_both_where_neither_is_given() -> None:
    made = simulated_settings(OneOfTwo, Mapping_({}, {}, HERE), {}, "a.b", HERE)
    assert isinstance(made, OneOfTwo)
    assert (made.key.get_secret_value(), made.token.get_secret_value()) == ("simulated", "simulated")
    made = simulated_settings(OneOfTwo, Mapping_({}, {}, HERE), {"ONE_TOKEN": "t"}, "a.b", HERE)
    assert isinstance(made, OneOfTwo)
    assert (made.key.get_secret_value(), made.token.get_secret_value()) == ("", "t")
