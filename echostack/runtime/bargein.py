"""Barge-in: who may speak over the reply, and what one interruption does, in one synchronous step.

States of the reply scope::

    quiet ──speech starts while the scope works or speaks──▶ suspended (playout frozen at its sample)
    suspended ──min_speech of speech, or min_words words──▶ commit ──▶ quiet, next epoch
    suspended ──only backchannels or too few words, or no words for resume_after──▶ abort ──▶ quiet, same sample
    suspended at its first sample, by speech that began before ──it ends without a word──▶ abort

``commit`` has no ``await`` in it. In this order: the epoch goes up, so that everything made before is refused
wherever it turns up; the scope's queues are cleared of what may be lost; its work is cancelled; its egresses drop
what they have and what their far ends have. When it returns, the next turn may start; the cancelled tasks are
reaped elsewhere.

A whole turn of the caller (a ``text`` event) that enters the scope while it still works is an interruption as
well, unless it is a backchannel or has too few words: then the turn itself is refused, and the reply goes on.
Nothing interrupts speech that was declared uninterruptible; a turn that arrives meanwhile waits behind it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from echostack.core.events import Event
from echostack.core.payloads import Aborted, Committed, SpeechStarted, SpeechStopped, Suspended, Text
from echostack.language.document import BargeInDecl
from echostack.plan.model import ScopePlan
from echostack.runtime.core import Core, restamp
from echostack.runtime.driver import Driver
from echostack.runtime.playout import Playout

SETTLED = 0.2
"""Seconds after the end of a turn's speech from which the recogniser's word counts more than voice activity's."""

HANG_UP = "hang up"
"""The cause of the interruption that ends a call. It silences what there is, and counts as none: nobody spoke."""

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
LOOKED_AT = 64
"""Words of a text that are looked at, at least: more of them are no backchannel. A recogniser may send the whole turn
again after each of its words, and a long turn must not cost the square of its length."""
_LONGEST_TEXT = 4096


class BargeIn:
    """The interruption of one scope of one session. Every method is synchronous and runs on the session's loop."""

    def __init__(
        self,
        core: Core,
        scope: ScopePlan,
        settings: BargeInDecl,
        drivers: Sequence[Driver],
        playouts: Sequence[Playout],
        release: Callable[[list[deque[Event]]], None],
        hear: Callable[[Event], None],
    ) -> None:
        self._core, self._scope, self._settings = core, scope, settings
        self._drivers, self._playouts = drivers, playouts
        self._release, self._hear = release, hear
        self._backchannels = {first_words(b) for b in settings.backchannels}
        self._longest_backchannel = max((len(b) for b in self._backchannels), default=0)
        self._most = max(LOOKED_AT, settings.min_words, 2 * self._longest_backchannel)
        self._speech_since: float | None = None
        self._suspended = False
        self._heard_words: tuple[str, ...] = ()
        self._long_enough = False
        self._held_back: float | None = None  # since when, by speech that no word has come of
        self._timer: asyncio.TimerHandle | None = None
        self._asked, self._admitted = -1, False
        self._last_heard: list[str] = []
        self._closed = False

    # -- what the scope is doing -------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether the scope works on a reply or speaks one."""
        return any(d.busy for d in self._drivers) or any(p.speaking for p in self._playouts)

    @property
    def protected(self) -> bool:
        """Whether what is being said may not be interrupted."""
        return any(p.speaking and not p.interruptible_now for p in self._playouts)

    @property
    def suspended(self) -> bool:
        return self._suspended

    # -- what the caller does ----------------------------------------------------------------------------------

    def on_speech_started(self, event: Event) -> None:
        """Voice activity began: pause what is being said, at once."""
        payload = event.payload
        now = self._core.clock.now()
        self._speech_since = min(now, payload.at) if isinstance(payload, SpeechStarted) and payload.at else now
        self._heard_words, self._long_enough, self._held_back = (), False, None
        self._watch()

    def on_speech_stopped(self, event: Event) -> None:
        """Voice activity ended before it was an interruption: wait for words, but not for ever."""
        if isinstance(event.payload, SpeechStopped):
            self._speech_since = None
        if self._suspended and self._held_back is not None and not self._long_enough:
            self.abort("no words")
        elif self._suspended:
            self._arm(self._settings.resume_after, self._no_words)
        else:
            self._disarm()

    def on_words(self, event: Event) -> None:
        """The recogniser's words so far, final or not."""
        words = first_words(getattr(event.payload, "text", ""), self._most)
        if not self._suspended and self._speech_since is None:
            return
        self._heard_words = words
        if words and self._held_back is not None:
            since, self._held_back = self._held_back, None
            if self._speech_since is not None:
                self._speech_since = since  # it was speech: what was spoken before the reply counts as well
                self._watch()
        if not self.active or self.protected:
            return
        if not self._is_backchannel(words):
            if self._settings.min_words and len(words) >= self._settings.min_words:
                self.commit("words")
                return
            if not self._settings.min_words and self._long_enough and words:
                self.commit("speech")
                return
        if self._suspended and words and (self._long_enough or self._speech_since is None):
            # Words, though not yet enough of them: the reply waits for more, as long again.
            self._arm(self._settings.resume_after, self._no_words)

    def on_playout_started(self) -> None:
        """The reply begins to sound. If the caller is speaking, that is an overlap from its first sample on."""
        if self._speech_since is None:
            return
        now = self._core.clock.now()
        if self._speech_since < now and not self._heard_words:
            # What was spoken over nothing, and no word came of, may be a noise that the detector has not yet told the
            # end of: it counts from here, and holds the reply back no longer than it lasts.
            self._held_back, self._speech_since = self._speech_since, now
            self._long_enough = False
        self._watch()

    def enter(self, event: Event, number: int) -> Event | None:
        """Stamp an event that enters the scope with its present epoch; None when it is a turn that is refused."""
        if event.scope == number:
            # It went out of the scope and comes back: it is still of the epoch in which its cause entered.
            return event
        if self._closed and not event.payload.__kind__.keep:
            return None
        if isinstance(event.payload, Text):
            if event.seq != self._asked:
                # Asked once, however many ways into the scope the turn has.
                self._asked, self._admitted = event.seq, self._admit(event)
                if self._admitted:
                    self._hear(event)
                    self._speech_is_over(event.payload)
                    # Its own words are no words spoken over the answer to it.
                    self._heard_words, self._long_enough = (), False
                else:
                    self._core.counters.ignored_turns += 1
            if not self._admitted:
                return None
        stamped = restamp(event, number, self._core.epochs.numbers[number])
        if self._speech_since is not None and self._timer is None and not self._suspended:
            # The scope wakes up while the caller is still speaking: from here on that may interrupt it.
            self._speech_since = self._core.clock.now()
            self._arm(self._settings.min_speech, self._spoken_enough)
        return stamped

    def _speech_is_over(self, turn: Text) -> None:
        """The recogniser has heard the caller stop. Where voice activity goes on all the same, it is noise, or a line
        that sends nothing in silence: it must not cut the answer at its first sample."""
        if turn.end and self._speech_since is not None and self._core.clock.now() - turn.end >= SETTLED:
            self._speech_since = None
            self._disarm()

    def _admit(self, event: Event) -> bool:
        if not self.active or self.protected or not self._settings.enabled:
            return True
        words = first_words(getattr(event.payload, "text", ""), self._most)
        if not words:
            # Noise that the recogniser found no word in interrupts nothing and asks for nothing.
            self.abort("no words")
            return False
        if self._is_backchannel(words) or len(words) < self._settings.min_words:
            if self._playing:
                self._hear(event)
                self.abort("backchannel" if self._is_backchannel(words) else "too few words")
                return False
            return True
        self.commit("turn")
        return True

    @property
    def _playing(self) -> bool:
        return any(p.speaking for p in self._playouts)

    # -- the three steps ---------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Freeze what is being said at the sample that was played last. Nothing is lost."""
        if self._suspended or not self._settings.enabled:
            return
        self._suspended = True
        heard = max([p.suspend() for p in self._playouts if p.speaking], default=0.0)
        if not self._playing:
            # Its last sample had just been played: nothing is left to pause, or to go on with later.
            self._suspended = False
            for playout in self._playouts:
                playout.resume()
            return
        self._core.counters.suspensions += 1
        self._core.engine_emit("control", "barge_in", Suspended(self._scope.name, heard))

    def commit(self, cause: str) -> int:
        """The interruption holds: silence the scope and start its next epoch. How many queued events it dropped."""
        self._disarm()
        self._suspended = False
        self._long_enough = False
        epoch = self._core.epochs.advance(self._scope.id)
        dropped = 0
        husks: list[deque[Event]] = []
        for driver in self._drivers:
            count, cleared = driver.inbox.clear()
            dropped += count
            husks += cleared
        for driver in self._drivers:
            driver.interrupt()
        heard: list[str] = []
        for playout in self._playouts:
            if not playout.speaking and not playout.suspended:
                continue
            before = len(self._last_heard)
            dropped += playout.cut()
            heard += self._last_heard[before:]
        self._last_heard.clear()
        if husks:
            self._release(husks)
        if cause != HANG_UP:
            self._core.counters.interruptions += 1
        self._core.engine_emit(
            "control", "barge_in", Committed(self._scope.name, epoch, cause, dropped, " ".join(heard).strip())
        )
        return dropped

    def abort(self, why: str) -> None:
        """It was none: go on from the very sample."""
        self._disarm()
        self._long_enough = False
        if not self._suspended:
            return
        self._suspended = False
        for playout in self._playouts:
            playout.resume()
        self._core.counters.aborted += 1
        self._core.engine_emit("control", "barge_in", Aborted(self._scope.name, why))

    def close(self) -> None:
        """The caller is gone, or the session ends: no timer fires any more, and no turn begins."""
        self._closed = True
        self._disarm()

    # -- timers ------------------------------------------------------------------------------------------------

    def heard(self, text: str) -> None:
        """The playout says what was heard of the utterance that a commit cuts."""
        self._last_heard.append(text)

    def _watch(self) -> None:
        if self._closed or not self.active or self.protected or self._speech_since is None:
            return
        if self._playing:
            self.suspend()
        spoken = self._core.clock.now() - self._speech_since
        self._arm(self._settings.min_speech - spoken, self._spoken_enough)

    def _spoken_enough(self) -> None:
        self._timer = None
        self._long_enough = True
        if self._suspended:
            # Whatever keeps the interruption from holding, the reply does not stay frozen for it.
            self._arm(self._settings.resume_after, self._no_words)
        if not self.active or self.protected:
            return
        if self._settings.min_words or (self._heard_words and self._is_backchannel(self._heard_words)):
            return
        if not self._playing and not self._heard_words:
            # Nothing sounds yet, so nothing is gained by haste, and a mere noise would lose the caller the answer:
            # wait for a word, for the turn, or for the first sample of the reply (which is then an overlap).
            return
        self.commit("speech")

    def _no_words(self) -> None:
        self._timer = None
        self._speech_since = None  # what goes on without words is noise until voice activity begins anew
        self.abort("no words")

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._core.clock.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_backchannel(self, words: tuple[str, ...]) -> bool:
        """Whether the words are nothing but backchannels ("mhm", "yeah, right")."""
        if len(words) >= self._most:
            return False
        at = 0
        while at < len(words):
            for length in range(self._longest_backchannel, 0, -1):
                if words[at : at + length] in self._backchannels and at + length <= len(words):
                    at += length
                    break
            else:
                return False
        return bool(words)


def first_words(text: str, most: int = LOOKED_AT) -> tuple[str, ...]:
    """The first ``most`` words of ``text``, without regard to case."""
    return tuple(found[0].casefold() for found in islice(WORD.finditer(text, 0, _LONGEST_TEXT), most))
