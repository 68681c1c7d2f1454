"""What values from the environment are in a simulated call: the scenario's, or placeholders, never this machine's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, field_validator

from echostack.core.errors import UsageError
from echostack.core.payloads import Data, Text
from echostack.registry import ITSELF, ConnectorSettings, connector
from echostack.simulation.environment import simulated_environment
from tests.simulation.mocking import given, plan, play


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
