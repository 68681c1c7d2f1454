"""The simulation of a synthesiser: coded speech of the right length, sentence by sentence, with the times of its
words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from echostack.connectors.sentences import sentences
from echostack.core.audio import AudioFormat
from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.core.payloads import AgentMessage, AgentMessagePartial, AudioChunk, AudioChunkStream, Text, Word
from echostack.registry import ConnectorSpec, Simulator
from echostack.simulation.mock import knobs
from echostack.simulation.mock.pauses import Pauses
from echostack.simulation.speech import SpokenWord, shares, words_of
from echostack.simulation.world import World

DEFAULT_FORMAT = AudioFormat(24_000)
FASTER_THAN_SPEECH = 10.0
"""How many seconds of speech a synthesiser makes in a second, once it has begun."""

_SAYS = (AgentMessage, AgentMessagePartial, AudioChunk, AudioChunkStream, Text)
_UNDER_WAY = 64  # utterances of which it is known how many words they have had


@dataclass(frozen=True, slots=True)
class _Speech:
    """What is to be said of one message: its texts, to which utterance they belong, and whether they end it."""

    texts: tuple[str, ...]
    utterance: str
    last: bool
    piece: bool
    interruptible: bool


class SimulatedSynthesiser:
    """Speaks ``agent_message`` and ``agent_message.partial`` as coded audio in the node's output format.

    ``audio_chunk.stream``: a chunk a sentence, the first after the latency, each further one after a tenth of the time
    that it takes to say it. ``audio_chunk``: the whole utterance in one. Durations are the simulator's, over the
    setting ``speed`` where there is one. Text without a letter or digit ends at once, with no audio; an utterance whose
    end was told in an empty piece ends with an empty chunk. A text that the scenario scripts is said in place of the
    message's, any other payload given as it is.

    Interrupted at any await it gives nothing more of that message, and is ready for the next.
    """

    def __init__(self, spec: ConnectorSpec, settings: Any, simulator: Simulator, world: World) -> None:
        wanted = spec.output_format(settings) if settings is not None else None
        self._format = wanted or DEFAULT_FORMAT
        self._streams = AudioChunkStream in spec.produces
        self._speed = knobs.ratio(settings, "speed")
        self._simulator, self._world = simulator, world
        self._pauses = Pauses(simulator.clock, told=spec.keeps_running)
        self._spoken = world.spoken  # shared: one that fails half way leaves the rest of an utterance to another
        self._voice = world.choices.get(simulator.node, simulator.node)
        self._held: dict[str, list[str]] = {}  # pieces of an utterance that is given whole

    async def answer(self, event: Event) -> AsyncIterator[Payload]:
        """The speech of one message, in the time that it takes to make."""
        scripted = self._simulator.scripted(event.payload)
        latency = self._simulator.latency()
        pauses, turn = self._pauses, self._pauses.turn
        begun = False
        for speech in self._speeches(event, scripted):
            if not isinstance(speech, _Speech):
                if not begun and await pauses.over(latency, turn):
                    return
                begun = True
                yield speech
                continue
            for chunk, seconds in self._chunks(speech):
                if seconds:
                    if await pauses.over(seconds / FASTER_THAN_SPEECH if begun else latency, turn):
                        return
                    begun = True
                yield chunk

    def interrupted(self) -> None:
        """Say nothing more of the message that is under way; the next one is spoken at once."""
        self._pauses.give_up()

    def at_once(self, event: Event) -> Sequence[Payload]:
        """The same from a synthesiser that never waits."""
        given: list[Payload] = []
        for speech in self._speeches(event, self._simulator.scripted(event.payload)):
            given.extend((c for c, _ in self._chunks(speech)) if isinstance(speech, _Speech) else (speech,))
        return given

    # -- what is to be said ------------------------------------------------------------------------------------

    def _speeches(self, event: Event, scripted: tuple[Payload, ...] | None) -> Iterator[_Speech | Payload]:
        message = event.payload
        if isinstance(message, AgentMessage | AgentMessagePartial):
            if scripted is None:
                yield self._speech(message.text, message, event)
                return
        elif scripted is None:
            text = getattr(message, "text", "")
            scripted = (Text(text),) if isinstance(text, str) else ()
        for payload in scripted:
            if isinstance(payload, _SAYS) and payload.text:
                yield self._speech(payload.text, message, event)
            else:
                yield payload

    def _speech(self, text: str, message: Payload, event: Event) -> _Speech:
        utterance = getattr(message, "id", "") or f"{self._simulator.node}#{event.seq}"
        piece = isinstance(message, AgentMessagePartial)
        last = not isinstance(message, AgentMessagePartial) or message.final
        if not self._streams:
            held = self._held.pop(utterance, [])
            self._held = {} if last else {utterance: [*held, text]}
            text = " ".join([*held, text]) if last else ""
        texts = tuple(s for s in sentences(text) if any(c.isalnum() for c in s))
        return _Speech(texts, utterance, last, piece, getattr(message, "interruptible", True))

    # -- saying it ---------------------------------------------------------------------------------------------

    def _chunks(self, speech: _Speech) -> Iterator[tuple[Payload, float]]:
        """The chunks of ``speech`` and how many seconds each takes to say."""
        rate, channels = self._format.rate, self._format.channels
        texts = speech.texts if self._streams or not speech.texts else (" ".join(speech.texts),)
        for place, text in enumerate(texts):
            last = speech.last and place == len(texts) - 1
            pcm, words, seconds = self._say(text, speech.utterance, last)
            if self._streams:
                yield (
                    AudioChunkStream(
                        pcm, rate, channels, speech.utterance, text, words, last, speech.interruptible
                    ),
                    seconds,
                )  # fmt: skip
            else:
                yield AudioChunk(
                    pcm, rate, channels, speech.utterance, text, words, True, speech.interruptible
                ), seconds  # fmt: skip
        if speech.last and not texts and speech.piece and self._streams:
            end = AudioChunkStream(
                b"", rate, channels, speech.utterance, final=True, interruptible=speech.interruptible
            )  # fmt: skip
            yield end, 0.0
        if speech.last:
            self._spoken.pop((self._voice, speech.utterance), None)

    def _say(self, text: str, utterance: str, last: bool) -> tuple[bytes, tuple[Word, ...], float]:
        rate, channels = self._format.rate, self._format.channels
        words = words_of(text)
        seconds = self._simulator.spoken(text) / self._speed
        first = self._first_index(utterance, len(words))
        parts, timed, said, until = [], [], 0.0, 0
        for place, (word, length) in enumerate(zip(words, shares(words, seconds), strict=True)):
            said += length
            start, until = until, round(said * rate)
            count = until - start
            number = self._world.speech.number(
                SpokenWord(
                    word, self._simulator.node, utterance, first + place, last and place == len(words) - 1,
                    samples=count, rate=rate,
                ),
                self._simulator.clock.now(),
            )  # fmt: skip
            parts.append(number.to_bytes(2, "little", signed=True) * (count * channels))
            timed.append(Word(word, _milliseconds(start, rate), _milliseconds(until, rate)))
        return b"".join(parts), tuple(timed), seconds

    def _first_index(self, utterance: str, words: int) -> int:
        """How many words ``utterance`` has had; so many ``words`` more are being said."""
        spoken, mine = self._spoken, (self._voice, utterance)
        first = spoken.get(mine, 0)
        if mine not in spoken and len(spoken) >= _UNDER_WAY:
            del spoken[next(iter(spoken))]  # it was interrupted, and its end never came
        spoken[mine] = first + words
        return first


def _milliseconds(samples: int, rate: int) -> float:
    """Rounded down to the nanosecond, so that a word's end is never later than its last sample."""
    return (samples * 1_000_000_000 // rate) / 1_000_000
