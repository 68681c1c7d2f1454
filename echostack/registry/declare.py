"""``@connector``: a function or a class, its annotations, and nothing else, become a manifest.

Consumed kinds are the payload annotations of the first data parameter (``Inbox[...]`` for a STREAM), produced
ones those of the return annotation; unions, Optional, list, Iterator, AsyncIterator, Out and Forward are seen
through. A wrong declaration raises InvalidConnector when the module is imported, never in a call. A connector's own
simulation is read in the same way.
"""

from __future__ import annotations

import collections.abc as cabc
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_args, get_origin

from echostack.core.audio import AudioFormat
from echostack.core.errors import InvalidConnector
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioChunk, AudioChunkStream
from echostack.registry.context import Context, Forward, Inbox, Out
from echostack.registry.simulated import ITSELF, Simulator
from echostack.registry.sink import AudioSink
from echostack.registry.spec import ConnectorSettings, ConnectorSpec, Form, Latency, NoSettings

T = TypeVar("T", bound=Callable[..., Any])

SPEC = "__echostack_spec__"
_CALLED = (Form.SYNC, Form.ASYNC, Form.GENERATOR)
_SEQUENCES = (
    cabc.Iterator, cabc.Iterable, cabc.Generator, cabc.AsyncIterator, cabc.AsyncIterable, cabc.AsyncGenerator,
    cabc.Sequence, list, tuple,
)  # fmt: skip


def connector(
    name: str,
    *,
    alternatives: tuple[tuple[type[Payload], ...], ...] = (),
    ports: Callable[[Any], tuple[str, ...]] | None = None,
    input_format: Callable[[Any], AudioFormat | None] | None = None,
    output_format: Callable[[Any], AudioFormat | None] | None = None,
    hangover: Callable[[Any], float] | None = None,
    latency: Latency = Latency(),
    effect: bool = False,
    effect_when: Callable[[Any], bool] | None = None,
    network: bool = False,
    blocking_ms: float = 0.0,
    guessable: bool | None = None,
    attempts: int = 1,
    timeout: float = 0.0,
    packages: tuple[str, ...] = (),
    extra: str = "",
    simulation: Any = None,
) -> Callable[[T], T]:
    """Declare a connector under ``vendor.role``. The decorated object stays what it is and can be called as before.

    See ``ConnectorSpec`` for the options. ``guessable`` is True of a function, and of a class that has ``snapshot`` and
    ``restore``, unless it is given. Raises InvalidConnector when the annotations do not tell what it
    consumes and produces.
    """

    def declare(target: T) -> T:
        read = _read_class(name, target) if inspect.isclass(target) else _read_function(name, target)
        if name.count(".") != 1 or not all(p.isidentifier() for p in name.split(".")):
            raise InvalidConnector(f"{name!r} is not a connector name: it takes vendor.role, such as 'acme.stt'")
        spec = ConnectorSpec(
            name=name,
            make=target,
            ports=ports or (lambda settings: ()),
            input_format=input_format or (lambda settings: None),
            output_format=output_format or (lambda settings: None),
            hangover=hangover or (lambda settings: 0.0),
            latency=latency,
            effect=effect,
            effect_when=effect_when,
            network=network,
            blocking_ms=blocking_ms,
            guessable=_guessable(target) if guessable is None else guessable,
            attempts=attempts,
            timeout=timeout,
            packages=packages,
            extra=extra,
            simulation=simulation,
            about=inspect.cleandoc(target.__doc__ or "").split("\n\n", 1)[0].replace("\n", " "),
            **{"alternatives": alternatives, **read},
        )
        own_simulation(spec)
        setattr(target, SPEC, spec)
        return target

    return declare


def simulates(target: Any) -> Callable[[T], T]:
    """Declare what it decorates to be the simulation of the connector ``target``, which stands before it in its file.

    Raises InvalidConnector when ``target`` is no connector, or the simulation cannot stand in for it.
    """

    def declare(simulation: T) -> T:
        spec = dataclasses.replace(spec_of(target), simulation=simulation)
        own_simulation(spec)
        setattr(target, SPEC, spec)
        if inspect.isclass(simulation):
            setattr(simulation, SPEC, None)  # one that extends its connector is no connector itself
        return simulation

    return declare


def own_simulation(spec: ConnectorSpec) -> ConnectorSpec | None:
    """The simulation that a connector brings along, read as a connector: how it is made and called, and in which form.

    None when it brings none (``simulation`` is None or ITSELF). InvalidConnector when it cannot stand in for the
    connector: another form, other settings, a kind that it does not take or should not make.
    """
    target, name = spec.simulation, f"the simulation of {spec.name}"
    if target is None or target is ITSELF:
        return None
    if not callable(target):
        raise InvalidConnector(f"{name} is a class, a function, ITSELF or None, not {type(target).__name__}")
    read = _read_class(name, target, True) if inspect.isclass(target) else _read_function(name, target, True)
    own = ConnectorSpec(**{**_like(spec), **read, "make": target})
    fits = own.form in _CALLED if spec.form in (Form.ASYNC, Form.GENERATOR) else own.form is spec.form
    if not fits:
        raise InvalidConnector(f"{name} is {_a(own.form)}, and the connector {_a(spec.form)}: give it the same form")
    if not issubclass(spec.settings, own.settings) and own.wants_settings:
        raise InvalidConnector(f"{name} takes {own.settings.__name__}, and the connector {spec.settings.__name__}")
    deaf = [p.__kind__.name for p in spec.consumes if p not in own.consumes and own.consumes]
    if deaf:
        raise InvalidConnector(f"{name} does not take {', '.join(deaf)}, and the connector does")
    more = [p.__kind__.name for p in own.produces if p not in spec.produces]
    if more:
        raise InvalidConnector(f"{name} makes {', '.join(more)}, and the connector does not")
    return own


def _like(spec: ConnectorSpec) -> dict[str, Any]:
    return {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}


def _a(form: Form) -> str:
    return f"an {form} one" if form is Form.ASYNC else f"a {form} one"


def spec_of(target: Any) -> ConnectorSpec:
    """The spec that ``@connector`` left on a function or class; InvalidConnector when it left none."""
    spec = getattr(target, SPEC, None)
    if not isinstance(spec, ConnectorSpec):
        raise InvalidConnector(f"{target!r} is not a connector: decorate it with @connector('vendor.role')")
    return spec


def _guessable(target: Any) -> bool:
    return not inspect.isclass(target) or all(callable(getattr(target, m, None)) for m in ("snapshot", "restore"))


def _read_function(name: str, function: Callable[..., Any], simulates: bool = False) -> dict[str, Any]:
    read = _read_call(name, function, simulates)
    if inspect.isasyncgenfunction(function):
        form = Form.GENERATOR
    elif inspect.iscoroutinefunction(function):
        form = Form.ASYNC
    else:
        form = Form.SYNC
    if not read["consumes"]:
        raise InvalidConnector(f"{name}: its first parameter must be annotated with the payload that it consumes")
    return {**read, "form": form}


def _read_class(name: str, cls: type, simulates: bool = False) -> dict[str, Any]:
    init = inspect.getattr_static(cls, "__init__")
    hints = _hints(name, init) if init is not object.__init__ else {}
    settings: type[ConnectorSettings] = NoSettings
    wants = {"wants_settings": "", "wants_context": ""}
    for parameter, hint in hints.items():
        if inspect.isclass(hint) and issubclass(hint, ConnectorSettings):
            settings, wants["wants_settings"] = hint, parameter
        elif _is_view(name, parameter, hint, simulates):
            wants["wants_context"] = parameter
        elif parameter != "return" and inspect.signature(init).parameters[parameter].default is inspect.Parameter.empty:
            raise InvalidConnector(f"{name}: parameter {parameter!r} is neither a ConnectorSettings nor a Context")
    common = {"settings": settings, **wants, "is_class": True}
    if issubclass(cls, AudioSink):
        consumes = tuple(getattr(cls, "consumes", ()))
        others = [p.__kind__.name for p in consumes if p not in (AudioChunkStream, AudioChunk)]
        if others and cls.take is AudioSink.take:
            raise InvalidConnector(f"{name}: what consumes {', '.join(others)} has a method take(payload) for it")
        return {
            **common,
            "form": Form.SINK,
            "consumes": consumes or (AudioChunkStream, AudioChunk),
            "alternatives": ((AudioChunkStream, AudioChunk),),
        }
    run = getattr(cls, "run", None)
    if run is not None:
        call = _hints(name, run)
        produced = call.pop("return", None)
        inbox = [h for h in call.values() if get_origin(h) is Inbox]
        consumes = _payloads(get_args(inbox[0])[0])[0] if inbox else ()
        produces, forwards, _ = _payloads(produced)
        form = Form.STREAM if inbox else Form.SOURCE
        keeps = callable(getattr(cls, "interrupted", None))
        rest = {"consumes": consumes, "produces": produces, "forwards": consumes if forwards else ()}
        return {**common, **rest, "form": form, "keeps_running": keeps}
    call_method = next((c.__dict__["__call__"] for c in cls.__mro__ if "__call__" in c.__dict__), None)
    if call_method is None:
        raise InvalidConnector(f"{name}: a connector class needs run(inbox), run() or __call__(payload)")
    read = _read_call(name, call_method, simulates)
    form = (
        Form.GENERATOR
        if inspect.isasyncgenfunction(call_method)
        else Form.ASYNC
        if inspect.iscoroutinefunction(call_method)
        else Form.SYNC
    )
    kept = {k: read[k] for k in ("consumes", "produces", "forwards", "single_output", "wants_event")}
    return {**common, **kept, "form": form}


def _is_view(name: str, parameter: str, hint: Any, simulates: bool) -> bool:
    """Whether a parameter takes the node's view of its session."""
    if hint is Simulator and not simulates:
        raise InvalidConnector(f"{name}: {parameter!r} asks for a Simulator, which only a simulation is given")
    return hint is Context or hint is Simulator


def _read_call(name: str, function: Callable[..., Any], simulates: bool = False) -> dict[str, Any]:
    hints = _hints(name, function)
    produces, forwards, single = _payloads(hints.pop("return", None))
    consumes: tuple[type[Payload], ...] = ()
    settings: type[ConnectorSettings] = NoSettings
    wants = {"wants_settings": "", "wants_context": "", "wants_event": ""}
    for parameter, hint in hints.items():
        if inspect.isclass(hint) and issubclass(hint, ConnectorSettings):
            settings, wants["wants_settings"] = hint, parameter
        elif _is_view(name, parameter, hint, simulates):
            wants["wants_context"] = parameter
        elif hint is Event:
            wants["wants_event"] = parameter
        elif not consumes:
            consumes = _payloads(hint)[0]
        else:
            raise InvalidConnector(f"{name}: parameter {parameter!r} is neither settings, Context nor Event")
    if not consumes:
        raise InvalidConnector(f"{name}: no parameter is annotated with a payload class")
    return {
        "consumes": consumes, "produces": produces, "forwards": consumes if forwards else (), "settings": settings,
        "single_output": single and not forwards, **wants,
    }  # fmt: skip


def _hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:  # any code may stand in an annotation
        raise InvalidConnector(f"{name}: an annotation cannot be resolved: {error}") from error
    parameters = inspect.signature(function).parameters
    missing = [p for p in parameters if p != "self" and p not in hints]
    if missing:
        raise InvalidConnector(f"{name}: parameter {missing[0]!r} has no annotation")
    return hints


def _payloads(hint: Any) -> tuple[tuple[type[Payload], ...], bool, bool]:
    """The payload classes under an annotation, whether Forward is among them, and whether it is at most one value."""
    if hint is None or hint is type(None) or hint is Out:
        return (), False, hint is not Out
    if hint is Forward:
        return (), True, False
    if inspect.isclass(hint) and issubclass(hint, Payload):
        return (hint,), False, True
    origin = get_origin(hint)
    if origin is Annotated:
        return _payloads(get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        found = [_payloads(a) for a in get_args(hint)]
        classes = tuple(dict.fromkeys(c for f in found for c in f[0]))
        return classes, any(f[1] for f in found), all(f[2] for f in found)
    if origin in _SEQUENCES:
        found = [_payloads(a) for a in get_args(hint) if a is not Ellipsis]
        classes = tuple(dict.fromkeys(c for f in found for c in f[0]))
        return classes, any(f[1] for f in found), False
    return (), False, False
