"""The registry: a value that maps connector names to specs, lazily, and can be cloned and narrowed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from echostack.core.errors import EchoStackError, InvalidConnector, UsageError
from echostack.core.kinds import KindSpec, Payload
from echostack.core.payloads import BUILTIN
from echostack.core.raised import raised_at, told
from echostack.registry.declare import SPEC, spec_of
from echostack.registry.spec import ConnectorSpec

ENTRY_POINTS = "echostack.connectors"


class Registry:
    """Connector names → specs. A lazy entry is imported when it is first asked for, and only that one.

    Mutable while it is being set up, cheap to ``clone()``; a compiled pipeline keeps the specs themselves, so
    changing a registry later changes no pipeline.
    """

    def __init__(self, lazy: Mapping[str, str | Callable[[], Any]] | None = None) -> None:
        self._specs: dict[str, ConnectorSpec] = {}
        self._lazy: dict[str, str | Callable[[], Any]] = dict(lazy or {})

    def clone(self) -> Registry:
        """An independent copy."""
        copy = Registry(self._lazy)
        copy._specs = dict(self._specs)
        return copy

    def narrow(self, names: Iterable[str]) -> Registry:
        """A copy that knows only ``names``; UsageError for one that this registry does not know."""
        wanted = set(names)
        unknown = sorted(wanted - set(self.names()))
        if unknown:
            raise UsageError(f"the registry does not know {', '.join(unknown)}")
        copy = Registry({n: v for n, v in self._lazy.items() if n in wanted})
        copy._specs = {n: s for n, s in self._specs.items() if n in wanted}
        return copy

    def add(self, *targets: Any) -> Registry:
        """Add connectors (decorated objects or specs), replacing any of the same name; returns itself."""
        for target in targets:
            spec = target if isinstance(target, ConnectorSpec) else spec_of(target)
            self._specs[spec.name] = spec
        return self

    def add_module(self, module: str, *, functions: bool = False) -> Registry:
        """Import ``module`` and add every connector that stands in it (``--plugin``). UsageError if it cannot be,
        whatever it raises, or there is none; with ``functions`` a module without connectors will do, for the functions
        that it has. InvalidConnector for one that is declared wrongly."""
        if not all(part.isidentifier() for part in module.split(".")):
            raise UsageError(f"the plugin module {module!r} cannot be imported: write its name, such as my.connectors")
        try:
            loaded = importlib.import_module(module)
        except EchoStackError:
            raise
        except ModuleNotFoundError as error:
            place = f" ({raised_at(error)})" if error.name != module.partition(".")[0] else ""
            raise UsageError(f"the plugin module {module!r} cannot be imported: {error}{place}") from error
        except (Exception, SystemExit) as error:  # somebody's code ran
            raise UsageError(f"the plugin module {module!r} cannot be imported: {told(error)}") from error
        found = [v for v in vars(loaded).values() if isinstance(getattr(v, SPEC, None), ConnectorSpec)]
        if not found and not functions:
            raise UsageError(f"the plugin module {module!r} declares no connector")
        return self.add(*found)

    def add_entry_points(self, group: str = ENTRY_POINTS) -> Registry:
        """Know, without importing them, the connectors that installed packages announce."""
        for point in entry_points(group=group):
            if point.name not in self._specs:
                self._lazy.setdefault(point.name, point.load)
        return self

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({*self._specs, *self._lazy}))

    def __contains__(self, name: object) -> bool:
        return name in self._specs or name in self._lazy

    def get(self, name: str) -> ConnectorSpec | None:
        """The spec of ``name``, or None. InvalidConnector when its module does not load or declares another name."""
        if name in self._specs:
            return self._specs[name]
        where = self._lazy.get(name)
        if where is None:
            return None
        try:
            target = where() if callable(where) else _import(where)
        except InvalidConnector:
            raise
        except Exception as error:  # third-party code runs here
            raise InvalidConnector(f"the connector {name!r} cannot be loaded: {error}") from error
        spec = spec_of(target)
        if spec.name != name:
            raise InvalidConnector(f"{name!r} is announced, but its code declares {spec.name!r}")
        self._specs[name] = spec
        return spec

    def __iter__(self) -> Iterator[ConnectorSpec]:
        """Every spec by name; loads them all."""
        for name in self.names():
            spec = self.get(name)
            if spec is not None:
                yield spec

    def kinds(self) -> Mapping[str, KindSpec]:
        """Every kind by name: the shipped ones and those of the connectors known here; loads them all."""
        found: dict[str, KindSpec] = {p.__kind__.name: p.__kind__ for p in BUILTIN}
        for spec in self:
            for payload in (*spec.consumes, *spec.produces):
                found.setdefault(payload.__kind__.name, payload.__kind__)
        return found

    def payload(self, kind: str) -> type[Payload] | None:
        """The payload class of a kind's name among the shipped ones and this registry's; None when unknown."""
        for payload in BUILTIN:
            if payload.__kind__.name == kind:
                return payload
        for spec in self:
            for candidate in (*spec.consumes, *spec.produces):
                if candidate.__kind__.name == kind:
                    return candidate
        return None


def _import(where: str) -> Any:
    module, _, attribute = where.partition(":")
    return getattr(importlib.import_module(module), attribute)
