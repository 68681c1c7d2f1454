"""The table of shipped connectors is what their modules declare."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import echostack.connectors
from echostack.connectors import BUILTIN
from echostack.registry import ConnectorSpec, Registry


def test_the_table_is_what_the_modules_declare() -> None:
    declared: dict[str, str] = {}
    for info in pkgutil.walk_packages(echostack.connectors.__path__, "echostack.connectors."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            spec = getattr(value, "__echostack_spec__", None)
            if isinstance(spec, ConnectorSpec) and getattr(value, "__module__", "") == info.name:
                declared[spec.name] = f"{info.name}:{name}"
    assert declared == BUILTIN


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_shipped_connector_loads_and_describes_itself(name: str) -> None:
    spec = Registry(BUILTIN).get(name)
    assert spec is not None
    assert spec.about.endswith(".")
    assert len(spec.about) < 200
    manifest = spec.manifest()
    assert manifest["name"] == name
    undescribed = [k for k, v in manifest["settings"].get("properties", {}).items() if not v.get("description")]
    assert undescribed == []


def test_the_table_is_in_order() -> None:
    assert list(BUILTIN) == sorted(BUILTIN)
