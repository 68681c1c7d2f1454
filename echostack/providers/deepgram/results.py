"""What Deepgram's live API says about audio: when results come, which are final, and where an utterance ends.

After the vendor's documentation: ``speech_final`` after ``endpointing`` ms without voice, ``UtteranceEnd`` when
``utterance_end_ms`` lie behind the last final word, interim results as the audio comes, silent audio included, and
``from_finalize`` on what a ``Finalize`` brought out. Results follow each other without a gap: each begins where the
final one before it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from echostack.connectors.pcm import mono
from echostack.core.audio import BYTES_PER_SAMPLE
from echostack.core.clock import LoopClock
from echostack.providers.deepgram.ears import Ear, SpokenWord
from echostack.providers.deepgram.query import ListenOptions

Message = dict[str, Any]

_STEP_SECONDS: Final = 0.02  # audio is looked at in such steps, so that results do not depend on how it was packed

_TIMES_AS_LONG: Final = 4.0


class Transcript:
    """The messages of one websocket, from its audio. Times in them are seconds of the audio that came.

    interim_every: seconds of audio between interim results. longest: seconds after which a result is made final
    although the speech goes on.
    """

    def __init__(
        self, options: ListenOptions, ear: Ear, request_id: str, *, clock: LoopClock, interim_every: float,
        longest: float,
    ) -> None:  # fmt: skip
        self._options, self._ear, self._id = options, ear, request_id
        self._clock = clock
        self._interim_every, self._longest = interim_every, longest
        self._apart = interim_every
        self._frame = BYTES_PER_SAMPLE * options.channels
        self._rest = b""
        self._samples = 0
        self._done = 0.0  # results up to here are final
        self._interim_at = 0.0
        self._began: float | None = None  # the speech that was told of
        self._last_word = 0.0
        self._utterance_open = False

    @property
    def seconds(self) -> float:
        """Audio heard so far."""
        return self._samples / self._options.sample_rate

    async def hear(self, data: bytes) -> list[Message]:
        """The messages that more audio brings."""
        data = self._rest + data
        step = round(_STEP_SECONDS * self._options.sample_rate) * self._frame
        found: list[Message] = []
        whole = len(data) // step * step
        for at in range(0, whole, step):
            found += await self._step(data[at : at + step])
        self._rest = data[whole:]
        return found

    async def finalize(self) -> list[Message]:
        """Everything heard so far is made final, at once. Nothing when there is nothing to say about it."""
        await self._take_rest()
        return [await self._result(self.seconds, final=True, from_finalize=True)] if self.seconds > self._done else []

    async def close(self) -> list[Message]:
        """The last results, and the account of the whole."""
        await self._take_rest()
        last = [await self._result(self.seconds, final=True)] if self.seconds > self._done else []
        return [*last, self._metadata()]

    async def _take_rest(self) -> None:
        if self._rest:
            self._feed(self._rest)
            self._rest = b""

    def _feed(self, data: bytes) -> None:
        pcm = mono(data, self._options.channels)
        self._ear.hear(pcm)
        self._samples += len(pcm) // BYTES_PER_SAMPLE

    async def _step(self, data: bytes) -> list[Message]:
        self._feed(data)
        options, now, ear = self._options, self.seconds, self._ear
        found: list[Message] = []
        if ear.voiced_from is not None and ear.voiced_from != self._began:
            self._began = ear.voiced_from
            if options.vad_events:
                found.append({"type": "SpeechStarted", "channel": [0, 1], "timestamp": round(self._began, 3)})
        quiet, speaking = now - ear.voiced_until, ear.voiced_until > self._done
        if speaking and options.endpointing is not None and quiet * 1000 >= options.endpointing - 1e-6:
            found.append(await self._result(now, final=True, speech_final=True))
        elif now - self._done >= self._longest:
            found.append(await self._result(ear.boundary(self._done, now) if speaking else now, final=True))
        elif options.interim_results and now - self._interim_at >= self._apart - 1e-6:
            found.append(await self._result(now))
        return [*found, *self._utterance_end(now)]

    def _utterance_end(self, now: float) -> list[Message]:
        wait = self._options.utterance_end_ms / 1000
        over = wait and self._utterance_open and now - max(self._last_word, self._ear.voiced_until) >= wait - 1e-6
        if not over or self._ear.voiced_until > self._done:
            return []
        self._utterance_open = False
        return [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(self._last_word, 3)}]

    async def _result(
        self, until: float, *, final: bool = False, speech_final: bool = False, from_finalize: bool = False
    ) -> Message:
        start = self._done
        begun = self._clock.now()
        words = await self._ear.words(start, until)
        # An ear that is slow is asked less often, so that interim results do not hold up the final ones.
        self._apart = max(self._interim_every, _TIMES_AS_LONG * (self._clock.now() - begun))
        self._interim_at = self.seconds
        if final:
            self._done = until
            if words:
                self._last_word, self._utterance_open = words[-1].end, True
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(until - start, 6),
            "start": round(start, 6),
            "is_final": final,
            "speech_final": speech_final,
            "channel": {"alternatives": [self._alternative(words)]},
            "metadata": {
                "request_id": self._id,
                "model_info": {"name": self._options.model, "version": "local", "arch": "local"},
                "model_uuid": "00000000-0000-0000-0000-000000000000",
            },
            "from_finalize": from_finalize,
        }

    def _alternative(self, words: Sequence[SpokenWord]) -> Message:
        formatted = self._options.formatted
        said = [w.text if formatted else plain_word(w.text) for w in words]
        known = [
            {"word": plain_word(w.text), "start": round(w.start, 6), "end": round(w.end, 6), "confidence": w.confidence}
            | ({"punctuated_word": w.text} if formatted else {})
            for w in words
        ]
        sure = sum(w.confidence for w in words) / len(words) if words else 0.0
        return {"transcript": " ".join(w for w in said if w), "confidence": round(sure, 6), "words": known}

    def _metadata(self) -> Message:
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._id,
            "sha256": "0" * 64,
            "created": "1970-01-01T00:00:00.000Z",
            "duration": round(self.seconds, 6),
            "channels": self._options.channels,
        }


def plain_word(word: str) -> str:
    """The word without what punctuation adds to it."""
    return word.strip('.,?!;:"()').lower()
