"""Writes a scenario as a file beside its graph, in the project's own style: what was found can be run again.

Every value is written so that it reads back as the very same: an instant that is no round number as a bare number of
seconds, with all its digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from echostack.language import format_text
from echostack.language.data import EnvRef, Mapping_, Sequence_, Value
from echostack.language.durations import PATTERN, format_duration, parse_duration
from echostack.language.printing import guard_text
from echostack.language.scenario import (
    Await,
    Caller,
    Dead,
    Delay,
    EventMatch,
    Fault,
    FaultKind,
    HangUp,
    Interrupt,
    Keys,
    Listen,
    Noise,
    Pause,
    Reply,
    Say,
    Scenario,
    Script,
    Send,
    Step,
)

_DURATION = re.compile(PATTERN)
_PLAIN = Scenario.__dataclass_fields__["lasts"].default


def scenario_text(
    scenario: Scenario, graph: str, *, file: str = "found.echo", comment: Iterable[str] = (), expect: Any = None
) -> str:
    """The file that holds ``scenario`` alone, for the graph at the relative path ``graph``; ``comment`` at its head.

    expect: its expectations as plain data; none are written without, for what no call may do needs none.
    """
    said = scenario_data(scenario)
    data = {"echostack": 1, "graph": graph, "tests": [said]}
    if expect:
        said["expect"] = expect
    head = "".join(f"# {line}\n" for line in comment)
    # JSON is YAML, and the formatter brings it into the one form that there is.
    return format_text(head + _flow(data) + "\n", file)


def scenario_data(scenario: Scenario) -> dict[str, Any]:
    """The same as plain data, with the keys of the language; what is as it is by default is left out."""
    found: dict[str, Any] = {"name": scenario.name}
    if scenario.about:
        found["about"] = scenario.about
    found["seed"] = scenario.seed
    if scenario.shuffle:
        found["shuffle"] = True
    if scenario.jitter:
        found["jitter"] = duration(scenario.jitter)
    if scenario.lasts != _PLAIN:
        found["lasts"] = duration(scenario.lasts)
    if scenario.env:
        found["env"] = dict(scenario.env)
    if scenario.settings:
        found["settings"] = {node: _value(values) for node, values in scenario.settings.items()}
    found["caller"] = _caller(scenario.caller)
    scripts = {node: _script(script) for node, script in scenario.connectors.items()}
    if any(scripts.values()):
        found["connectors"] = {node: script for node, script in scripts.items() if script}
    return found


def duration(seconds: float) -> str | float:
    """A length of time or an instant as a file says it: the words for it where they mean exactly that."""
    said = format_duration(seconds)
    return said if parse_duration(said) == seconds else seconds


def _caller(caller: Caller) -> Any:
    steps = [_step(step) for step in caller.steps]
    plain = Caller()
    beside: dict[str, Any] = {}
    for key in ("ingress", "pace", "frame", "continuous", "patience"):
        value = getattr(caller, key)
        if value != getattr(plain, key):
            beside[key] = duration(value) if key in ("frame", "patience") else value
    return {**beside, "steps": steps} if beside else steps


def _step(step: Step) -> Any:
    match step:
        case Say():
            found: dict[str, Any] = {"say": step.text, **_times(step, "at", "lasts")}
            if step.heard_as is not None:
                found["heard_as"] = step.heard_as
            if step.confidence != 1.0:
                found["confidence"] = step.confidence
            if step.audio is not None:
                found["audio"] = step.audio
            return found
        case Interrupt():
            head = "backchannel" if step.backchannel else "interrupt"
            after = {"after": duration(step.after)} if step.after else {}
            return {head: step.text, **after, "within": duration(step.within), **_times(step, "lasts")}
        case Pause():
            return {"pause": duration(step.seconds)}
        case Listen():
            return {"listen": duration(step.seconds), "within": duration(step.within)}
        case Await():
            return {"wait": _match(step.event), "within": duration(step.within)}
        case Noise():
            beside = {"background": True} if step.background else {}
            return {"noise": duration(step.seconds), "level": step.level.value, **_times(step, "at"), **beside}
        case Dead():
            return {"silence": duration(step.seconds)}
        case Keys():
            return {"keys": step.digits, **_times(step, "at")}
        case Send():
            source = {"from": step.source} if step.source is not None else {}
            return {"send": step.kind, "fields": _value(step.fields), **source, **_times(step, "at")}
        case HangUp():
            return {"hang_up": True, **_times(step, "at")} if step.at is not None else "hang up"


def _times(step: Step, *keys: str) -> dict[str, Any]:
    return {key: duration(getattr(step, key)) for key in keys if getattr(step, key) is not None}


def _match(match: EventMatch) -> Any:
    if match.where is None:
        return str(match.pattern)
    return {"event": str(match.pattern), "where": guard_text(match.where)}


def _script(script: Script) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if script.replies:
        found["replies"] = [_reply(reply) for reply in script.replies]
    if script.answers:
        found["answers"] = script.answers
    if script.delay is not None:
        found["delay"] = _delay(script.delay)
    if script.faults:
        found["faults"] = [_fault(fault) for fault in script.faults]
    if script.real:
        found["real"] = True
    return found


def _delay(delay: Delay) -> Any:
    if delay.p50 == delay.p95:
        return duration(delay.p50)
    return {"p50": duration(delay.p50), "p95": duration(delay.p95)}


def _reply(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if reply.to is not None:
        found["to"] = reply.to
    if reply.where is not None:
        found["where"] = guard_text(reply.where)
    if reply.say is not None:
        found["say"] = reply.say
    if reply.give:
        found["give"] = [
            {
                output.kind: _value(output.fields),
                **({"port": output.port} if output.port else {}),
                **({"after": duration(output.after)} if output.after is not None else {}),
            }
            for output in reply.give
        ]
    if reply.nothing:
        found["nothing"] = True
    if reply.delay is not None:
        found["delay"] = _delay(reply.delay)
    if reply.times is not None:
        found["times"] = reply.times or "always"
    return found


def _fault(fault: Fault) -> dict[str, Any]:
    head: Any = True
    if fault.kind is FaultKind.SLOW:
        head = duration(fault.seconds)
    elif fault.message:
        head = fault.message
    found: dict[str, Any] = {fault.kind.value: head}
    if fault.nth is not None:
        found["nth"] = fault.nth
    for key in ("at", "until"):
        if getattr(fault, key) is not None:
            found[key] = duration(getattr(fault, key))
    once = (fault.nth is not None or fault.at is not None) and fault.until is None
    if fault.times != (1 if once else 0):
        found["times"] = fault.times or "always"
    if not fault.retryable:
        found["retryable"] = False
    if fault.retry_after is not None:
        found["retry_after"] = duration(fault.retry_after)
    return found


def _value(value: Value) -> Any:
    match value:
        case Mapping_(items):
            return {key: _value(item) for key, item in items.items()}
        case Sequence_(items):
            return [_value(item) for item in items]
        case EnvRef(name, _, default):
            return {"env": name} if default is None else {"env": name, "default": default}
        case _:
            return value.value


def _flow(data: Any) -> str:
    """Plain data as YAML in flow style: as JSON, but for keys and words that need no quotes."""
    match data:
        case Mapping():
            return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in data.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(item) for item in data) + "]"
        case float():
            return f"{data:.12f}".rstrip("0") if "e" in repr(data) else repr(data)
        case str() if _bare(data):
            return data
        case _:
            return json.dumps(data, ensure_ascii=False)


def _bare(text: str) -> bool:
    """Whether words may stand without quotes: letters first, and nothing that YAML would read in its own way."""
    plain = text.replace(" ", "a").replace(".", "a").replace("-", "a").replace("_", "a")
    known = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    if _DURATION.fullmatch(text):
        return True
    return plain.isalnum() and text.isascii() and text[0].isalpha() and text[-1] != " " and text.lower() not in known
