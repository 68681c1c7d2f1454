"""Plausible payloads of any kind, made from the types of its fields.

What an event says about the thing in question (``about``) goes before what is made up; what is made up comes from a
few names and words, by the field's name, and is the same for the same randomness.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import Mapping
from random import Random
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from echostack.core.errors import UsageError
from echostack.core.kinds import Payload

_DEEPEST: Final = 4
_FIRST: Final = ("Ann", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo")
_LAST: Final = ("Baker", "Cole", "Diaz", "Evans", "Fischer", "Grant", "Hughes", "Ivanov")
_WORDS: Final = ("the order is ready", "it is open until six", "the booking is confirmed", "there is a note on file")
_DAY: Final = datetime.datetime(2000, 1, 3, 9, 0, tzinfo=datetime.UTC)
_ID_LETTERS: Final = "0123456789abcdef"
_TEXTS: Final = frozenset(("text", "query", "body", "message", "content", "summary", "note", "description", "title"))


def sample(cls: type[Payload], random: Random, about: Mapping[str, Any]) -> Payload:
    """A payload of ``cls``. UsageError for a kind whose fields take something that cannot be made up."""
    fields = sample_fields(cls, random, about)
    try:
        return msgspec.convert(fields, type=cls)
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(
            f"a simulated {cls.__kind__.name} cannot be made up ({error}): let the scenario say what is given"
        ) from None


def sample_fields(
    cls: type[Payload], random: Random, about: Mapping[str, Any], *, required: bool = False
) -> dict[str, Any]:
    """The fields of such a payload as plain data; ``required``: only those that it cannot do without."""
    found: dict[str, Any] = {}
    for field in _fields(cls):
        if not field.required and (required or not _made_up(field)):
            if field.name in about and not required and _fits(field.type, about[field.name]):
                found[field.name] = about[field.name]
            continue
        found[field.name] = _field(field, random, about)
    return found


@functools.lru_cache(maxsize=1024)
def _fields(cls: type[Payload]) -> tuple[types.Field, ...]:
    info = types.type_info(cls)
    assert isinstance(info, types.StructType)
    return info.fields


def made_up_id(what: str, random: Random) -> str:
    """``lead-3f9a2c41``: an id as services give them."""
    return f"{what}-{''.join(random.choice(_ID_LETTERS) for _ in range(8))}"


def _made_up(field: types.Field) -> bool:
    """Whether a field with a default is filled all the same: an id, or a container that says nothing while empty."""
    if field.name == "id":
        return bool(field.default == "")
    factory = field.default_factory
    empty = field.default in ((), "") or factory in (dict, list)
    return bool(empty and field.name in _FILLED)


_FILLED: Final = frozenset(("data", "passages", "result", "items", "results", "fields", "records"))


def _field(field: types.Field, random: Random, about: Mapping[str, Any]) -> Any:
    if field.name in about and _fits(field.type, about[field.name]):
        return about[field.name]
    if field.name in _TEXTS and _fits(field.type, about.get("text")):
        return about["text"]
    if field.name == "passages":
        return [_passage(number, random, about) for number in (1, 2)]
    return _value(field.type, field.name, random, 0)


def _passage(number: int, random: Random, about: Mapping[str, Any]) -> dict[str, Any]:
    asked = str(about.get("text") or about.get("query") or "")
    said = random.choice(_WORDS).capitalize()
    text = f"{said}. ({asked.strip(' ?!.')})" if asked.strip(" ?!.") else f"{said}."
    return {"text": text, "score": round(1.0 - 0.2 * number, 3), "source": f"page-{number}"}


def _fits(info: types.Type, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(info, types.Metadata):
        return _fits(info.type, value)
    if isinstance(info, types.UnionType):
        return any(_fits(t, value) for t in info.types)
    match info:
        case types.StrType():
            longest, shortest = info.max_length, info.min_length
            return (
                isinstance(value, str)
                and info.pattern is None
                and (longest is None or len(value) <= longest)
                and (shortest is None or len(value) >= shortest)
            )
        case types.BoolType():
            return isinstance(value, bool)
        case types.IntType() | types.FloatType():
            right = isinstance(value, int) if isinstance(info, types.IntType) else isinstance(value, int | float)
            return right and not isinstance(value, bool) and bool(value == _bounded(info, value))
        case types.LiteralType():
            return value in info.values
        case types.DictType():
            keys = all(_fits(info.key_type, k) for k in value) if isinstance(value, dict) else False
            return keys and all(_fits(info.value_type, v) for v in value.values())
        case types.ListType() | types.VarTupleType():
            return isinstance(value, list | tuple) and all(_fits(info.item_type, v) for v in value)
        case types.AnyType():
            return True
    return False


def _value(info: types.Type, name: str, random: Random, depth: int) -> Any:
    match info:
        case types.Metadata():
            return _value(info.type, name, random, depth)
        case types.NoneType():
            return None
        case types.BoolType():
            return True
        case types.IntType() | types.FloatType():
            return _number(info, name, random)
        case types.StrType():
            return _text(info, name, random)
        case types.BytesType() | types.ByteArrayType() | types.MemoryViewType():
            return b"\0" * (info.min_length or 0)
        case types.DateTimeType():
            return _DAY + datetime.timedelta(hours=random.randrange(200))
        case types.DateType():
            return (_DAY + datetime.timedelta(days=random.randrange(60))).date()
        case types.TimeType():
            return datetime.time(random.randrange(9, 18), random.choice((0, 15, 30, 45)))
        case types.TimeDeltaType():
            return datetime.timedelta(minutes=random.randrange(5, 60))
        case types.UUIDType():
            return uuid.UUID(int=random.getrandbits(128), version=4)
        case types.DecimalType():
            return decimal.Decimal(random.randrange(1_000, 20_000)) / 100
        case types.EnumType():
            members: list[enum.Enum] = list(info.cls)
            return random.choice(members).value
        case types.LiteralType():
            return random.choice(list(info.values))
        case types.UnionType():
            # Nothing at all is the least telling of what may stand in a field.
            choices = [t for t in info.types if not isinstance(t, types.NoneType)]
            return _value(choices[0], name, random, depth) if choices else None
        case types.ListType() | types.VarTupleType() | types.SetType() | types.FrozenSetType():
            count = max(info.min_length or 0, 1 if depth < _DEEPEST else 0)
            return [_value(info.item_type, name.removesuffix("s"), random, depth + 1) for _ in range(count)]
        case types.TupleType():
            return [_value(t, name, random, depth + 1) for t in info.item_types]
        case types.DictType():
            return _mapping(info, random, depth)
        case types.StructType() | types.DataclassType() | types.NamedTupleType() | types.TypedDictType():
            if depth >= _DEEPEST:
                raise UsageError(f"a simulated {name} is too deep to be made up: let the scenario say what is given")
            made = {f.encode_name: _value(f.type, f.name, random, depth + 1) for f in info.fields if f.required}
            return list(made.values()) if isinstance(info, types.NamedTupleType) else made
        case types.AnyType() | types.RawType():
            return {"id": made_up_id(name, random), "status": "ok"}
    raise UsageError(f"a simulated {name} cannot be made up: let the scenario say what is given")


def _mapping(info: types.DictType, random: Random, depth: int) -> dict[Any, Any]:
    if not isinstance(info.key_type, types.StrType) or depth >= _DEEPEST:
        return {}
    if isinstance(info.value_type, types.AnyType | types.StrType):
        return {"name": _name(random), "phone": _phone(random)}
    return {"name": _value(info.value_type, "name", random, depth + 1)}


def _number(info: types.IntType | types.FloatType, name: str, random: Random) -> Any:
    if name == "status":
        wanted: float = 200
    elif name in ("confidence", "probability", "score"):
        wanted = round(random.uniform(0.7, 0.99), 3)
    elif isinstance(info, types.IntType):
        wanted = random.randrange(1, 100)
    else:
        wanted = round(random.uniform(1, 100), 2)
    value = _bounded(info, wanted)
    return int(value) if isinstance(info, types.IntType) else float(value)


def _bounded(info: types.IntType | types.FloatType, wanted: float) -> float:
    """``wanted``, moved to where the type allows it."""
    step = info.multiple_of or (1 if isinstance(info, types.IntType) else None)
    if info.multiple_of:
        wanted = round(wanted / info.multiple_of) * info.multiple_of
    low = info.ge if info.ge is not None else info.gt + (step or 1e-6) if info.gt is not None else None
    high = info.le if info.le is not None else info.lt - (step or 1e-6) if info.lt is not None else None
    if low is not None and wanted < low:
        return low
    return high if high is not None and wanted > high else wanted


def _text(info: types.StrType, name: str, random: Random) -> str:
    if info.pattern is not None:
        raise UsageError(f"a simulated {name} would have to be like {info.pattern}: let the scenario say what is given")
    text = _words(name, random)
    if info.min_length is not None and len(text) < info.min_length:
        text += "x" * (info.min_length - len(text))
    return text if info.max_length is None else text[: info.max_length]


def _words(name: str, random: Random) -> str:
    if name == "id" or name.endswith("_id"):
        return made_up_id(name.removesuffix("id").strip("_") or "item", random)
    if name in ("name", "holder", "caller", "customer", "contact", "who", "owner"):
        return _name(random)
    if name in ("phone", "number", "telephone", "mobile"):
        return _phone(random)
    if name in ("email", "mail"):
        return f"{random.choice(_FIRST).lower()}@example.com"
    if name in ("url", "link", "address"):
        return f"https://example.com/{made_up_id('page', random)}"
    if name in ("date", "day"):
        return (_DAY + datetime.timedelta(days=random.randrange(60))).date().isoformat()
    if name in ("time", "at", "when"):
        return f"{random.randrange(9, 18):02}:{random.choice((0, 15, 30, 45)):02}"
    if name == "language":
        return "en"
    if name == "label":
        return "neutral"
    if name == "role":
        return "caller"
    if name == "digit":
        return random.choice("0123456789")
    if name in ("type", "kind", "status", "state"):
        return "item" if name in ("type", "kind") else "ok"
    return random.choice(_WORDS)


def _name(random: Random) -> str:
    return f"{random.choice(_FIRST)} {random.choice(_LAST)}"


def _phone(random: Random) -> str:
    return f"555 0{random.randrange(100, 200)}"
