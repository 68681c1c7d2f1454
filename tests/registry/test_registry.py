"""The registry is a value: lazy, cloneable, narrowable, and never a global."""

from __future__ import annotations

import pytest

from echostack.core.errors import InvalidConnector, UsageError
from echostack.core.payloads import Text
from echostack.registry import Registry, connector


@connector("acme.one")
def one(text: Text) -> None:
    """The first."""


@connector("acme.two")
def two(text: Text) -> None:
    """The second."""


def test_a_clone_is_independent() -> None:
    registry = Registry().add(one)
    copy = registry.clone().add(two)
    assert (registry.names(), copy.names()) == (("acme.one",), ("acme.one", "acme.two"))


def test_narrowing_keeps_only_what_is_named_and_refuses_what_is_not_known() -> None:
    registry = Registry({"acme.lazy": "no_such_module:x"}).add(one, two)
    assert registry.narrow(["acme.two"]).names() == ("acme.two",)
    with pytest.raises(UsageError, match=r"the registry does not know acme\.three"):
        registry.narrow(["acme.three", "acme.one"])


def test_a_lazy_entry_is_imported_when_it_is_asked_for_and_not_before() -> None:
    registry = Registry({"acme.one": f"{__name__}:one", "acme.broken": "no_such_module:x"})
    assert "acme.broken" in registry
    found = registry.get("acme.one")
    assert found is not None
    assert found.name == "acme.one"
    assert registry.get("acme.none") is None
    with pytest.raises(InvalidConnector, match=r"the connector 'acme\.broken' cannot be loaded: No module named"):
        registry.get("acme.broken")


def test_an_entry_that_declares_another_name_is_refused() -> None:
    with pytest.raises(InvalidConnector, match=r"'acme\.uno' is announced, but its code declares 'acme\.one'"):
        Registry({"acme.uno": f"{__name__}:one"}).get("acme.uno")


def test_a_plugin_gives_every_connector_in_it() -> None:
    assert Registry().add_module(__name__).names() == ("acme.one", "acme.two")


def test_a_plugin_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match="the plugin module 'no_such_module' cannot be imported"):
        Registry().add_module("no_such_module")
    with pytest.raises(UsageError, match="the plugin module 'json' declares no connector"):
        Registry().add_module("json")
    with pytest.raises(InvalidConnector, match="is not a connector: decorate it"):
        Registry().add(len)


def test_kinds_are_the_shipped_ones_and_those_of_its_connectors() -> None:
    registry = Registry().add(one)
    assert {"text", "audio_frame", "committed"} <= set(registry.kinds())
    assert registry.payload("text") is Text
    assert registry.payload("no_such") is None
