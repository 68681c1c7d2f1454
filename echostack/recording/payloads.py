"""Payloads as the JSON of a recording, and back. Audio is not among it: an AudioRef says where it lies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec
from pydantic import BaseModel, SecretBytes, SecretStr

from echostack.core.kinds import Payload
from echostack.core.payloads import BUILTIN
from echostack.recording.format import MASK, AudioRef, EventEntry
from echostack.registry import Registry

Make = Callable[..., Any]


class Shape:
    """One payload class as a recording has it. Of a class that carries audio, ``take`` gives the payload with an
    AudioRef in place of its PCM."""

    def __init__(self, cls: type[Payload]) -> None:
        self.cls = cls
        self.audio = carries_audio(cls)
        if not self.audio:
            return
        fields: list[Any] = []
        for info in msgspec.structs.fields(cls):
            if info.name == "pcm":
                fields.append(("pcm", AudioRef))
            elif info.required:
                fields.append((info.name, info.type))
            elif info.default_factory is not msgspec.NODEFAULT:
                factory = msgspec.field(default_factory=info.default_factory, name=info.encode_name)
                fields.append((info.name, info.type, factory))
            else:
                fields.append((info.name, info.type, msgspec.field(default=info.default, name=info.encode_name)))
        self.recorded = _class(cls.__name__, fields)
        self._rest = tuple(name for name, *_ in fields if name != "pcm")
        self._get = attrgetter(*self._rest) if len(self._rest) > 1 else None

    def take(self, payload: Any, ref: AudioRef) -> Any:
        """What is written of ``payload``, whose audio lies at ``ref``."""
        get = self._get
        values = get(payload) if get is not None else [getattr(payload, name) for name in self._rest]
        return self.recorded(pcm=ref, **dict(zip(self._rest, values, strict=True)))

    def give(self, raw: msgspec.Raw, audio: Callable[[AudioRef], bytes]) -> Any:
        """The payload that ``raw`` was written of. msgspec.ValidationError when the class has other fields by now."""
        if not self.audio:
            return msgspec.json.decode(raw, type=self.cls)
        read = msgspec.json.decode(raw, type=self.recorded)
        rest = {name: getattr(read, name) for name in self._rest}
        return self.cls(pcm=audio(read.pcm), **rest)


def _class(name: str, fields: list[Any]) -> Any:
    return msgspec.defstruct(name, fields, frozen=True, omit_defaults=True, kw_only=True)


class Kinds:
    """The payload classes of a registry by their kinds' names, looked up when they are first asked for."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._shapes: dict[str, Shape | None] = {p.__kind__.name: Shape(p) for p in BUILTIN}

    def shape(self, kind: str) -> Shape | None:
        """The shape of a kind; None for one that nobody here knows."""
        if kind not in self._shapes:
            cls = self._registry.payload(kind) if self._registry is not None else None
            self._shapes[kind] = Shape(cls) if cls is not None else None
        return self._shapes[kind]


def carries_audio(cls: type[Payload]) -> bool:
    """Whether payloads of this class hold PCM that belongs on a track: an audio kind with ``pcm`` and ``rate``."""
    return cls.__kind__.audio and {"pcm", "rate"} <= set(cls.__struct_fields__)


def rebuilt(entry: EventEntry, kinds: Kinds, audio: Callable[[AudioRef], bytes]) -> Any:
    """The payload of ``entry``; plain data when its kind is not known, or has other fields than it had."""
    shape = kinds.shape(entry.kind)
    if shape is None:
        return entry.data
    try:
        return shape.give(entry.payload, audio)
    except (msgspec.DecodeError, TypeError, ValueError):
        return entry.data


def told(value: Any) -> Any:
    """What JSON has no form for (``enc_hook``): a secret as a mask, a model as its data, anything else by its type.

    Not by its ``repr``, which may tell an address, and so differ from run to run.
    """
    if isinstance(value, (SecretStr, SecretBytes)):
        return MASK
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, complex):
        return str(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _key(key: Any) -> str:
    if isinstance(key, (int, float, tuple)) or key is None:
        return str(key)
    text: str = plain(key) if isinstance(key, str) else told(key)
    return text


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` as data that JSON can hold, whatever it is; for what the encoder refused.

    Half a surrogate pair becomes U+FFFD, a key that is no text its text, and what is nested deeper than 100 levels "…".
    """
    if depth > 100:
        return "…"
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name), depth + 1) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name, None), depth + 1) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {_key(k): plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, depth + 1) for v in value]
    try:
        return msgspec.to_builtins(value, enc_hook=told)
    except Exception:  # noqa: BLE001 - anything may stand in a payload
        return told(value)
