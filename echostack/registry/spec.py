"""The manifest of a connector: everything that checking, planning, simulating and documenting it need.

A spec is data. It is made once, from the connector's annotations and its settings model, without importing
the vendor's SDK, and never changes afterwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from echostack.core.audio import AudioFormat
from echostack.core.kinds import KindSpec, Payload
from echostack.registry.env import Env as Env
from echostack.registry.env import settings_schema


class ConnectorSettings(BaseModel):
    """The base of every connector's settings: unknown keys are errors, values do not change after checking.

    Secrets are ``SecretStr`` fields, so that no message, log or picture can show one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class NoSettings(ConnectorSettings):
    """A connector that has nothing to set."""


class Form(StrEnum):
    """How a connector's code is called, which decides what may be fused (docs/connectors.md)."""

    SYNC = "sync"  # plain function, or class with plain __call__: fused, never waits
    ASYNC = "async"  # async function, or class with async __call__: one cancellable task an event
    GENERATOR = "generator"  # async generator: one cancellable task an event, many outputs
    STREAM = "stream"  # class with run(inbox): one task as long as the session
    SOURCE = "source"  # class with run(): produces without consuming (an ingress)
    SINK = "sink"  # an AudioSink: the engine paces what it plays (an egress)


@dataclass(frozen=True, slots=True)
class Latency:
    """What a stage usually takes from an input to its first output, in milliseconds; a claim for ``check`` and
    the simulator, measured by its author."""

    p50: float = 0.0
    p95: float = 0.0


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """One connector's manifest.

    name: ``vendor.role``, or ``ingress.<transport>`` / ``egress.<transport>``.
    consumes, produces: payload classes, in the order of the annotations.
    forwards: kinds that pass through unchanged, under their old event name, by a chosen port.
    alternatives: groups of consumed kinds of which an edge carries only the first that its producer makes (a
      synthesiser takes a message's pieces, or else the whole message, never both).
    ports: the output ports that these settings give, besides the main one.
    input_format, output_format: the audio it needs and makes under these settings; None for any / unknown.
    effect: acts on the outside world, so waits until its turn can no longer be taken back, happens once for
      one idempotency key, and is not cancelled once begun. effect_when: which settings make it one, for a
      connector that only sometimes acts (an HTTP request that only reads does not); ask ``acts``.
    network: talks to other machines. blocking_ms: time that one call of a sync form takes, declared so that the
      planner does not fuse a slow one.
    keeps_running: a STREAM that is told of an interruption (``interrupted()``) instead of being cancelled.
    attempts, timeout: the node's policy where the file names none: tries in all, and seconds that one answer may take
      (0: the engine's own).
    hangover: of a detector of speech, the seconds of silence after which it says that speech has stopped: a sound
      counts as speech for as long beyond its end. 0 where it is not known.
    guessable: may be asked about what may turn out never to have been said, because it keeps nothing of its own from
      one event for the next, or can take it back (``snapshot()`` and ``restore(snapshot)``); ask ``may_guess``.
    simulation: what stands in for it in a simulated call (see ``registry.simulated``): None for one made from this
      manifest, ITSELF, or a class or function of the same form.
    """

    name: str
    form: Form
    make: Callable[..., Any]
    consumes: tuple[type[Payload], ...] = ()
    produces: tuple[type[Payload], ...] = ()
    forwards: tuple[type[Payload], ...] = ()
    alternatives: tuple[tuple[type[Payload], ...], ...] = ()
    settings: type[ConnectorSettings] = NoSettings
    wants_settings: str = ""  # the parameter that takes the settings, empty when none does
    wants_context: str = ""  # likewise for the Context
    wants_event: str = ""  # likewise for the whole Event (function forms only)
    single_output: bool = False  # annotated to return one payload or None, so no other shape need be expected
    is_class: bool = False
    ports: Callable[[Any], tuple[str, ...]] = field(default=lambda settings: ())
    input_format: Callable[[Any], AudioFormat | None] = field(default=lambda settings: None)
    output_format: Callable[[Any], AudioFormat | None] = field(default=lambda settings: None)
    hangover: Callable[[Any], float] = field(default=lambda settings: 0.0)
    latency: Latency = Latency()
    effect: bool = False
    effect_when: Callable[[Any], bool] | None = None
    network: bool = False
    blocking_ms: float = 0.0
    keeps_running: bool = False
    attempts: int = 1
    timeout: float = 0.0
    guessable: bool = False
    packages: tuple[str, ...] = ()  # import names that a session needs
    extra: str = ""  # the extra that installs them
    simulation: Any = None
    about: str = ""

    def target(self, settings: Any, context: Any) -> Any:
        """The connector itself: an instance of its class, or its function with settings and context filled in."""
        given: dict[str, Any] = {}
        if self.wants_settings:
            given[self.wants_settings] = settings
        if self.wants_context:
            given[self.wants_context] = context
        if self.is_class:
            return self.make(**given)
        return functools.partial(self.make, **given) if given else self.make

    @property
    def vendor(self) -> str:
        """The source part of the events it makes: ``deepgram`` of ``deepgram.stt``, ``file`` of ``ingress.file``."""
        first, _, second = self.name.partition(".")
        return second if first in ("ingress", "egress") else first

    @property
    def role(self) -> str:
        first, _, second = self.name.partition(".")
        return first if first in ("ingress", "egress") else second

    def acts(self, settings: Any) -> bool:
        """Whether a node with these settings acts on the outside world; yes, for settings not yet known."""
        return self.effect and (self.effect_when is None or settings is None or self.effect_when(settings))

    def may_guess(self, settings: Any) -> bool:
        """Whether a node with these settings may be asked about a guess of an event: nothing would remain of it."""
        called = self.form in (Form.SYNC, Form.ASYNC, Form.GENERATOR)
        return called and self.guessable and not self.acts(settings)

    @property
    def consumed_kinds(self) -> tuple[KindSpec, ...]:
        return tuple(p.__kind__ for p in self.consumes)

    @property
    def produced_kinds(self) -> tuple[KindSpec, ...]:
        return tuple(p.__kind__ for p in self.produces)

    @property
    def forwarded_kinds(self) -> tuple[KindSpec, ...]:
        return tuple(p.__kind__ for p in self.forwards)

    def manifest(self) -> Mapping[str, Any]:
        """The manifest as JSON-ready data, with ``consumes`` and ``produces`` as event names.

        Consumed kinds are ``processing.*.<kind>`` because any node that makes the kind may feed it; a transport's
        end is named as a rule names it.
        """
        own = self.vendor
        here = f"ingress.{own}" if self.role == "ingress" else f"processing.{own}"
        there = f"egress.{own}" if self.role == "egress" else "processing.*"
        return {
            "name": self.name,
            "about": self.about,
            "form": self.form.value,
            "consumes": [f"{there}.{k.name}" for k in self.consumed_kinds],
            "produces": [f"{here}.{k.name}" for k in self.produced_kinds],
            "forwards": [f"processing.*.{k.name}" for k in self.forwarded_kinds],
            "effect": self.effect,
            "network": self.network,
            "attempts": self.attempts,
            "timeout": self.timeout or None,
            "latency_ms": {"p50": self.latency.p50, "p95": self.latency.p95},
            "packages": list(self.packages),
            "extra": self.extra,
            "settings": settings_schema(self.settings),
        }
