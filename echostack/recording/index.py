"""Where everything of a recording lies, so that one can go through a long one without holding it.

Of each event a few numbers are kept; its line is read again when it is asked for. A hundred thousand events take some
ten megabytes and half a second.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from types import TracebackType

import msgspec

from echostack.recording.format import LINES, EventEntry, RecordingError, StateEntry
from echostack.recording.reader import Recording

_EVERY = 256
"""State lines between two of which the whole state is kept."""


class _Light(msgspec.Struct, gc=False):
    """As much of a line as is indexed."""

    t: str
    time: float = 0.0
    seq: int = 0
    cause: int = 0
    name: str = ""


_LIGHT = msgspec.json.Decoder(_Light)
_EVENT = msgspec.json.Decoder(EventEntry)
_STATE = msgspec.json.Decoder(StateEntry)


class QueueState(msgspec.Struct, frozen=True):
    """One queue at an instant: events held, and since the call began put, lost by its policy, cleared by interruptions,
    refused."""

    held: int = 0
    put: int = 0
    dropped: int = 0
    stale: int = 0
    refused: int = 0


class Index:
    """The events of a recording by place: 0 is the first one. Made once, of what is there by then; close it after.

    RecordingError for a line that is none.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.names: list[str] = []
        self._path = recording.path / LINES
        self._offsets, self._seqs, self._causes = array("Q"), array("Q"), array("Q")
        self._times, self._named = array("d"), array("L")
        self._states, self._state_places = array("Q"), array("Q")
        self._kept: list[tuple[dict[int, QueueState], tuple[int, ...]]] = []
        self._effects: dict[int, list[int]] | None = None
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror or error}") from error
        try:
            self._read()
        except OSError as error:
            self.close()
            raise RecordingError(f"{self._path}: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    # -- one event -----------------------------------------------------------------------------------------------

    def entry(self, place: int) -> EventEntry:
        """The event at ``place``, read anew."""
        line = self._line(self._offsets[place])
        try:
            return _EVENT.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordingError(f"{self._path}: the event {self._seqs[place]} cannot be read: {error}") from None

    def name(self, place: int) -> str:
        """Its name, without reading it."""
        return self.names[self._named[place]]

    def seq(self, place: int) -> int:
        """Its number in the call."""
        return self._seqs[place]

    def time(self, place: int) -> float:
        """When it was, in seconds of the call."""
        return self._times[place]

    # -- finding -------------------------------------------------------------------------------------------------

    def of_seq(self, seq: int) -> int | None:
        """The place of the event with this number; None when there is none."""
        place = bisect_left(self._seqs, seq)
        return place if place < len(self._seqs) and self._seqs[place] == seq else None

    def at_time(self, seconds: float) -> int:
        """The place of the first event from ``seconds`` on; the last one when there is none."""
        return min(bisect_left(self._times, seconds), max(0, len(self) - 1))

    def cause(self, place: int) -> int | None:
        """The place of what led to an event."""
        return self.of_seq(self._causes[place]) if self._causes[place] else None

    def effects(self, place: int) -> Sequence[int]:
        """The places of everything that an event led to."""
        if self._effects is None:
            self._effects = {}
            for other, cause in enumerate(self._causes):
                if cause:
                    self._effects.setdefault(cause, []).append(other)
        return self._effects.get(self._seqs[place], ())

    def text(self, text: str, start: int, step: int) -> int | None:
        """The nearest place from ``start`` on, forward or back, whose line has ``text`` in it, in any case of letters;
        None when there is none."""
        wanted = text.lower()
        place = start
        while 0 <= place < len(self):
            line = self._line(self._offsets[place]).decode("utf-8", "replace")
            if wanted in line.lower():
                return place
            place += step
        return None

    # -- the state -----------------------------------------------------------------------------------------------

    def state(self, place: int) -> tuple[dict[int, QueueState], tuple[int, ...]]:
        """The queues by number, as far as anything was ever in them, and the epochs of all scopes, right before an
        event. Between two lines of the recording that tell of it the state is the former's."""
        count = bisect_right(self._state_places, place)
        kept = count // _EVERY
        queues, epochs = self._kept[kept - 1] if kept else ({}, ())
        queues = dict(queues)
        for number in range(kept * _EVERY, count):
            epochs = self._fold(_STATE.decode(self._line(self._states[number])), queues) or epochs
        return queues, epochs

    # -- inside --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        numbers: dict[str, int] = {}
        queues: dict[int, QueueState] = {}
        epochs: tuple[int, ...] = ()
        for offset, line in self._lines():
            try:
                light = _LIGHT.decode(line)
                if light.t == "state":
                    self._states.append(offset)
                    self._state_places.append(len(self._offsets))
                    epochs = self._fold(_STATE.decode(line), queues) or epochs
                    if len(self._states) % _EVERY == 0:
                        self._kept.append((dict(queues), epochs))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RecordingError(
                    f"{self._path}: byte {offset}: this line is no part of a recording: {error}"
                ) from None
            if light.t == "event":
                number = numbers.get(light.name)
                if number is None:
                    number = numbers[light.name] = len(self.names)
                    self.names.append(light.name)
                self._offsets.append(offset)
                self._seqs.append(light.seq)
                self._causes.append(light.cause)
                self._times.append(light.time)
                self._named.append(number)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines after the header, and where each begins."""
        offset = len(self._file.readline())
        for line in self._file:
            if not line.endswith(b"\n"):
                return
            yield offset, line
            offset += len(line)

    def _line(self, offset: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.readline()
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror or error}") from error

    @staticmethod
    def _fold(state: StateEntry, queues: dict[int, QueueState]) -> tuple[int, ...]:
        for number, held, put, dropped, stale, refused in state.queues:
            queues[number] = QueueState(held, put, dropped, stale, refused)
        return state.epochs
