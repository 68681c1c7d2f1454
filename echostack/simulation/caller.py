"""The simulated caller: plays a scenario's steps into the ingresses of a call, and reacts to what it hears.

``Line`` is the simulation of every ingress. One of them carries the caller's voice and plays the script; the others
carry what the script sends over them, and end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from echostack.core.audio import AudioFormat
from echostack.core.kinds import Payload
from echostack.core.payloads import AudioFrame, Dtmf, Text
from echostack.core.span import Span
from echostack.language.scenario import (
    Await,
    Caller,
    Dead,
    HangUp,
    Interrupt,
    Keys,
    Listen,
    Noise,
    NoiseLevel,
    Pause,
    Say,
    Send,
    Step,
)
from echostack.registry import ConnectorSpec, Simulator
from echostack.simulation.ears import Ears
from echostack.simulation.line import Piece, VoiceLine
from echostack.simulation.speech import SILENCE, SpokenWord, noise_value, shares, spoken_seconds, words_of
from echostack.simulation.voice import framed, recorded, spoken
from echostack.simulation.world import Note, World

KEY_SECONDS = 0.2
DEFAULT_FORMAT = AudioFormat(16_000)


class Line:
    """One simulated ingress.

    Emits AudioFrame when the connector makes them, Text where it makes that instead (a line of messages), and whatever
    the script sends. Ends when the caller's script does; cancelled, it stops at once and leaves no timer.
    """

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        self._spec, self._simulator, self._world = spec, simulator, world
        wanted = spec.output_format(settings) if settings is not None else None
        self._format = wanted or DEFAULT_FORMAT
        self._timers: list[asyncio.TimerHandle] = []
        self._voice: VoiceLine | None = None
        self._turned = 0.0  # when the caller's last words ended, or the last time that the caller had listened
        world.sends[simulator.node] = simulator.emit

    async def run(self) -> AsyncIterator[Payload]:
        """Play the script, when this is the caller's line, or wait for its end."""
        world = self._world
        try:
            if world.caller_line != self._simulator.node:
                await world.over.wait()
                return
            try:
                await self._play(world.scenario.caller)
            finally:
                world.over.set()
        finally:
            for timer in self._timers:
                timer.cancel()
            if self._voice is not None:
                self._voice.close()
        nothing: tuple[Payload, ...] = ()  # what it gives leaves by timers, at the instant that it is about
        for payload in nothing:
            yield payload

    # -- the script ----------------------------------------------------------------------------------------------

    async def _play(self, caller: Caller) -> None:
        clock = self._simulator.clock
        if AudioFrame in self._spec.produces:
            self._voice = VoiceLine(
                clock, self._simulator.emit, self._format.rate, frame=caller.frame, continuous=caller.continuous
            )  # fmt: skip
            self._voice.open()
        beside = [step for step in caller.steps if _is_beside(step)]
        for step in beside:
            self._later(step)
        gone = False
        for place, step in enumerate(caller.steps):
            if not _is_beside(step):
                self._world.begun.append((place, clock.now()))
                await self._step(step, caller)
                gone = gone or isinstance(step, HangUp)
        waits_for_end = [s for s in beside if isinstance(s, HangUp)]
        if waits_for_end:
            await asyncio.get_running_loop().create_future()  # the timer of the hang-up ends the call
        if not gone:
            await self._quiet(caller.patience, clock.now(), None, None, expects=False)

    async def _step(self, step: Step, caller: Caller) -> None:
        clock = self._simulator.clock
        at = getattr(step, "at", None)
        if at is not None:
            late = clock.now() - at
            if late > 1e-9:
                self._note(
                    f"the caller cannot do this at {at:g} s: the step before it took until {clock.now():g} s", step
                )
            else:
                await clock.sleep(-late)
        match step:
            case Say(text, span):
                await self._say(text, span, step.lasts, caller, step.heard_as, step.confidence, step.audio)
                self._turned = clock.now()
            case Interrupt():
                await self._interrupt(step, caller)
                self._turned = clock.now()
            case Pause(seconds):
                await clock.sleep(seconds)
            case Listen(seconds):
                await self._quiet(seconds, self._turned, step.within, step, expects=True)
                self._turned = clock.now()
            case Await(match):
                await self._await(step, match.text or str(match.pattern))
            case Noise(background=True):
                self._later(step)
            case Noise(seconds, level):
                await self._noise(seconds, level)
            case Dead(seconds):
                await (self._voice.dead(seconds) if self._voice else clock.sleep(seconds))
            case Keys(digits):
                for digit in digits:
                    self._emit_from(None, Dtmf(digit), step)
                    await clock.sleep(KEY_SECONDS)
                self._turned = clock.now()
            case Send():
                self._send(step)
                self._turned = clock.now()
            case HangUp():
                self._hang_up()

    def _later(self, step: Step) -> None:
        """A step beside the others: at its own instant, or from now on, whatever the caller is doing then."""
        clock = self._simulator.clock
        own = getattr(step, "at", None)
        at = clock.now() if own is None else own

        def after(seconds: float, call: Callable[[], None]) -> None:
            self._timers.append(clock.call_later(seconds - clock.now(), call))

        match step:
            case Noise(seconds, level):
                after(at, lambda: self._floor(noise_value(level)))
                after(at + seconds, lambda: self._floor(SILENCE))
            case Keys(digits):
                for place, digit in enumerate(digits):
                    press = Dtmf(digit)
                    after(at + place * KEY_SECONDS, lambda press=press: self._emit_from(None, press, step))  # type: ignore[misc]
            case Send():
                after(at, lambda: self._send(step))
            case HangUp():
                after(at, self._hang_up)
            case _:
                raise AssertionError(f"{type(step).__name__} is not a step beside others")

    # -- speech --------------------------------------------------------------------------------------------------

    async def _say(
        self, text: str, span: Span, lasts: float | None, caller: Caller, heard_as: str | None = None,
        confidence: float = 1.0, audio: str | None = None,
    ) -> None:  # fmt: skip
        words = words_of(text)
        clock, begun, rate = self._simulator.clock, self._simulator.clock.now(), self._format.rate
        pcm = b""
        if self._world.audible and words and self._voice is not None:
            pcm = recorded(audio, rate, span) if audio is not None else spoken(text, rate)
        if pcm:
            seconds = len(pcm) / 2 / rate
        else:
            seconds = spoken_seconds(text, caller.pace) if lasts is None else lasts
        if self._voice is None or not words:
            await clock.sleep(seconds)
            if words and Text in self._spec.produces:
                said = text if heard_as is None else heard_as
                self._simulator.emit(Text(said, confidence, start=begun, end=clock.now(), ended_by="message"))
            return
        pieces: list[Piece] = []
        whole, taken, until = rate * seconds, 0, 0.0
        recognised = None if heard_as is None else _spread(heard_as, len(words))
        for index, (word, share) in enumerate(zip(words, shares(words, 1.0), strict=True)):
            until += share
            upto = round(whole * until)
            said_as = None if recognised is None else recognised[index]
            number = self._world.speech.number(
                SpokenWord(
                    word, "caller", str(span.line), index, index == len(words) - 1, said_as, confidence,
                    samples=upto - taken, rate=rate,
                ),
                begun,
            )  # fmt: skip
            pieces.append((number, upto - taken))
            taken = upto
        self._world.said.append((begun, text))
        if pcm:
            await self._voice.carry(framed(pcm, pieces, max(1, round(rate * caller.frame))))
        else:
            await self._voice.speak(pieces)

    async def _interrupt(self, step: Interrupt, caller: Caller) -> None:
        """Speak once ``after`` seconds of the agent's utterance have sounded; suspended time does not count."""
        clock, ears = self._simulator.clock, self._ears
        deadline = clock.now() + step.within
        while not (ears.sounding and ears.heard >= step.after - 1e-9):
            left = deadline - clock.now()
            if left <= 0:
                self._note(f"the caller waited {step.within:g} s for {step.after:g} s of the agent's speech", step)
                return
            wait = min(left, step.after - ears.heard) if ears.sounding else left
            await self._changed(wait)
        await self._say(step.text, step.span, step.lasts, caller)

    async def _quiet(
        self, seconds: float, since: float, within: float | None, step: Step | None, *, expects: bool
    ) -> None:
        """Wait until the agent has been silent for ``seconds``, and before that, if it ``expects``, has spoken after
        ``since``."""
        clock, ears = self._simulator.clock, self._ears
        deadline = None if within is None else clock.now() + within
        spoke = not expects
        while True:
            now = clock.now()
            spoke = spoke or ears.speaking or ears.silent_since > since
            quiet_since = max(since, ears.silent_since)
            due = None if ears.speaking or not spoke else quiet_since + seconds
            if due is not None and now >= due - 1e-9:
                return
            if deadline is not None and now >= deadline - 1e-9:
                said = "went on speaking" if spoke else "said nothing"
                self._note(f"the caller listened for {within:g} s, and the agent {said}", step)
                return
            ends = [t for t in (due, deadline) if t is not None]
            await self._changed(min(ends) - now if ends else None)

    async def _changed(self, seconds: float | None) -> None:
        """Wait until the agent's speech changes, for ``seconds`` at most."""
        future = self._ears.change()
        try:
            async with self._simulator.clock.timeout(seconds):
                await future
        except TimeoutError:
            pass  # the caller looks again
        finally:
            future.cancel()

    async def _await(self, step: Await, name: str) -> None:
        future = self._ears.next(step.event)
        try:
            async with self._simulator.clock.timeout(step.within):
                await future
        except TimeoutError:
            self._note(f"the caller waited {step.within:g} s for {name}, which did not happen", step)
        finally:
            future.cancel()

    # -- the rest ------------------------------------------------------------------------------------------------

    async def _noise(self, seconds: float, level: NoiseLevel) -> None:
        if self._voice is None:
            await self._simulator.clock.sleep(seconds)
        else:
            await self._voice.speak([(noise_value(level), round(self._format.rate * seconds))])

    def _floor(self, value: int) -> None:
        if self._voice is not None:
            self._voice.noise(value)

    def _send(self, step: Send) -> None:
        for payload in self._world.payloads(step.kind, step.fields, step.span):
            self._emit_from(step.source, payload, step)

    def _emit_from(self, source: str | None, payload: Payload, step: Step) -> None:
        """Put ``payload`` on the line of ``source``, or of the one ingress that can carry it."""
        lines = self._world.lines_for(type(payload), source)
        if not lines:
            raise AssertionError(f"{step.span}: it was checked before the call that a line carries this")
        self._world.sends[lines[0]](payload)

    def _hang_up(self) -> None:
        if self._voice is not None:
            self._voice.close()
        self._world.hang_up()

    def _note(self, what: str, step: Step | None) -> None:
        self._world.notes.append(Note(what, self._simulator.clock.now(), step.span if step is not None else None))

    @property
    def _ears(self) -> Ears:
        ears = self._world.ears
        if not isinstance(ears, Ears):
            raise AssertionError("the caller has no ears")
        return ears


def _is_beside(step: Step) -> bool:
    """Whether a step happens at its own instant, whatever the caller is doing then."""
    if isinstance(step, Noise):
        return step.at is not None
    return isinstance(step, Keys | Send | HangUp) and step.at is not None


def _spread(text: str, places: int) -> list[str]:
    """What a recogniser makes of an utterance, laid over its words in order: the last word takes what is left."""
    words = words_of(text)
    if places == 0:
        return []
    spread = [words[place] if place < len(words) else "" for place in range(places)]
    spread[-1] = " ".join(words[places - 1 :])
    return spread
