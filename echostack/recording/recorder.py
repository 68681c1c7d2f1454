"""Writes a recording while its call runs: a probe that never raises, never waits and costs a few microseconds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from echostack.core.events import Event
from echostack.core.kinds import Payload
from echostack.recording.folder import open_folder, remove_empty
from echostack.recording.format import AUDIO, AudioRef, DropEntry, EndEntry
from echostack.recording.head import copier_of, header_of, secrets_of, write_graph
from echostack.recording.heard import Heard
from echostack.recording.payloads import Shape, plain, told
from echostack.recording.queues import QueueWatch
from echostack.recording.redact import redact_payload, redact_stats
from echostack.recording.tracks import Tracks, TrackWriter
from echostack.registry import Form
from echostack.runtime.probe import CallView

FLUSH = 1.0
"""Seconds of the call that a killed process loses at most."""
_MOST_HELD = 4 << 20
_AT_ONCE = ("committed", "call_started", "call_ended")
JITTER, EXACT = 0.06, 0.002
"""Seconds by which audio may come late and still follow what came before it without a gap: on real time, where every
frame is a little late, and on virtual time, where none is."""

_SHARED = 64
"""Pieces of audio that are remembered, so that what passes through several nodes is written once."""

_ENCODER = msgspec.json.Encoder(enc_hook=told, order="deterministic")


class _Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="t", tag="event"):
    """``format.EventEntry`` as it is written: with the payload in place of its JSON."""

    seq: int
    time: float
    name: str
    node: str = ""
    port: str = ""
    scope: int = 0
    epoch: int = 0
    cause: int = 0
    payload: Any = None


class _Outlet:
    """What is known of the events of one name from one node."""

    __slots__ = ("at_once", "control", "format", "kind", "shape", "timed", "track")

    def __init__(self, event: Event, shape: Shape, timed: bool) -> None:
        spec = event.payload.__kind__
        self.shape, self.timed, self.kind = shape, timed, spec.name
        self.control = spec.control
        self.at_once = spec.name in _AT_ONCE or event.name.startswith("error.")
        self.track: TrackWriter | None = None
        self.format = (0, 0)


class Recorder:
    """Records one call into the folder ``path``: ``Session(..., probes=[Recorder("call.rec")])``.

    The folder is made, and refused when it cannot be used, at once: UsageError for one that holds a recording already
    (unless ``overwrite``) or anything else, OSError when the system refuses. After that nothing is raised: what cannot
    be written (a full disk, a folder that is gone) ends the recording, not the call; ``error`` says why, and
    ``on_error`` is called once (a warning is logged when there is none). What is on the disk by then can be read.

    redact: take out words, numbers and voices (see ``recording.redact``). simulated: the call is one; it says so in the
    header, and no timer of the recorder's runs on its clock.

    What happened is on the disk within FLUSH seconds of the call; interruptions, errors and the end at once.
    """

    wants_audio = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        redact: bool = False,
        overwrite: bool = False,
        simulated: bool = False,
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.error = ""
        self._redact, self._simulated, self._on_error = redact, simulated, on_error
        self._file = open_folder(self.path, overwrite=overwrite)
        self._tracks = Tracks(self.path / AUDIO, silent=redact)
        self._buffer = bytearray()
        self._flushed = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._shared: dict[int, tuple[bytes, AudioRef, tuple[int, int]]] = {}
        self._state = "new"
        self._outlets: dict[tuple[str, type[Payload]], _Outlet] = {}
        self._secrets: tuple[bytes, ...] = ()
        self._ingresses: frozenset[str] = frozenset()

    # -- the probe ---------------------------------------------------------------------------------------------

    def wants(self, name: str) -> bool:
        """Everything."""
        return True

    def begin(self, view: CallView) -> None:
        """Write the header and the copies of the graph's files."""
        if self._state != "new":
            self._fail(f"a recording is of one call, and {self.path} has been used for another")
            return
        self._state = "on"
        try:
            self._view = view
            self._now = view.clock.now
            self._ingresses = frozenset(n.id for n in view.plan.nodes.values() if n.spec and n.spec.form is Form.SOURCE)
            self._slack = EXACT if self._simulated else JITTER
            self._heard = Heard(self._tracks, self._slack)
            self._queues = QueueWatch(view)
            secrets = secrets_of(view.plan)
            self._secrets = tuple(_ENCODER.encode(s)[1:-1] for s in secrets)
            files = write_graph(view.plan, self.path, copier_of(view.plan, secrets, redact=self._redact))
            header = header_of(view, files, simulated=self._simulated, redact=self._redact)
            self._add(header)
            self._flush(0.0)
        except Exception as error:  # noqa: BLE001 - nothing of a recording may end a call
            self._fail(error)

    def event(self, event: Event) -> None:
        """Add an event, and its audio to its node's track."""
        if self._state != "on":
            return
        try:
            self._event(event)
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def dropped(self, edge: str, event: Event) -> None:
        """Add a loss."""
        if self._state != "on":
            return
        try:
            self._add(DropEntry(self._now(), edge, event.seq))
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def played(self, egress: str, event: Event, pcm: bytes, rate: int) -> None:
        """Add what was heard, at its time."""
        if self._state != "on":
            return
        try:
            told = self._heard.put(egress, event, pcm, rate, self._now())
            if told is not None:
                self._add(told)
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def end(self) -> None:
        """Write the last line and close every file; what is there is on the disk when it returns."""
        if self._state != "on":
            self.close()
            return
        try:
            self._tell_heard()
            state = self._queues.changed(self._now())
            if state is not None:
                self._add(state)
            stats = msgspec.to_builtins(self._view.stats())
            self._add(EndEntry(self._now(), redact_stats(stats) if self._redact else stats))
            self._flush(self._now())
            for number in (*(t.fileno() for t in self._tracks.all()), self._file.fileno()):
                os.fsync(number)
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        if self._state == "on":
            self._state = "over"
        self.close()

    def close(self) -> None:
        """Close the files of a call that never ended (it stood still, or never began): what happened until now is
        written, and a recording without a call leaves nothing behind. Idempotent."""
        unused, running = self._state == "new", self._state == "on"
        if running:
            self._state = "over"
            try:
                self._flush(self._now())
            except Exception as error:  # noqa: BLE001
                self._fail(error)
                return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._state != "failed":
            self._state = "over"
        self._buffer.clear()
        with contextlib.suppress(OSError):  # there is nothing left to be lost
            self._tracks.close()
        with contextlib.suppress(OSError):
            self._file.close()
            if unused:
                remove_empty(self.path)

    # -- inside ------------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> None:
        payload = event.payload
        cls = type(payload)
        key = (event.node, cls)
        outlet = self._outlets.get(key)
        if outlet is None:
            outlet = self._outlets[key] = _Outlet(event, Shape(cls), event.node in self._ingresses)
        if outlet.shape.audio:
            written: Any = outlet.shape.take(payload, self._audio(outlet, event, payload))
        else:
            state = self._queues.changed(event.time, outlet.control)
            if state is not None:
                self._add(state)
            written = payload
        if self._redact:
            written = redact_payload(outlet.kind, _builtins(written))
        self._add(
            _Line(
                event.seq, event.time, event.name, event.node, event.port, event.scope, event.epoch, event.cause,
                written,
            )
        )  # fmt: skip
        if event.time - self._flushed >= FLUSH or outlet.at_once or self._tracks.held > _MOST_HELD:
            self._flush(event.time)

    def _audio(self, outlet: _Outlet, event: Event, payload: Any) -> Any:
        """Put the event's audio on its node's track: the caller's at its time, what a node made after what it made."""
        rate, channels = payload.rate, getattr(payload, "channels", 1)
        track = outlet.track
        if track is None or outlet.format != (rate, channels):
            track = outlet.track = self._tracks.track(event.node or event.name, rate, channels)
            outlet.format = rate, channels
        pcm = payload.pcm
        known = self._shared.get(id(pcm))
        if known is not None and known[0] is pcm and known[1].track != track.name and known[2] == outlet.format:
            return known[1]
        if outlet.timed:
            begins = round(event.time * rate) - len(pcm) // (2 * channels)
            if begins - track.end > self._slack * rate:
                track.skip(begins - track.end)
        ref = track.put(pcm)
        shared = self._shared
        shared.pop(id(pcm), None)
        shared[id(pcm)] = pcm, ref, outlet.format
        if len(shared) > _SHARED:
            del shared[next(iter(shared))]
        return ref

    def _add(self, entry: Any) -> None:
        """Add a line to what is to be written, without any secret."""
        buffer = self._buffer
        start = len(buffer)
        try:
            _ENCODER.encode_into(entry, buffer, -1)
        except (TypeError, ValueError, OverflowError, RecursionError):
            del buffer[start:]
            tag = entry.__struct_config__.tag
            _ENCODER.encode_into({"t": tag, **plain(entry)} if tag else plain(entry), buffer, -1)
        if self._secrets:
            line = bytes(memoryview(buffer)[start:])
            for secret in self._secrets:
                if secret in line:
                    line = line.replace(secret, b"**********")
                    buffer[start:] = line
        buffer += b"\n"
        if self._timer is None and not self._simulated:
            self._timer = self._view.clock.call_later(FLUSH, self._due)

    def _tell_heard(self) -> None:
        for entry in self._heard.told():
            self._add(entry)

    def _due(self) -> None:
        """The timer: nothing has happened for a while, and what happened before is to be on the disk."""
        self._timer = None
        if self._state != "on":
            return
        try:
            self._flush(self._now())
        except Exception as error:  # noqa: BLE001
            self._fail(error)

    def _flush(self, now: float) -> None:
        """Bring everything to the disk: audio first, so that no line tells of audio that is not there."""
        if self._flushed or now:
            self._tell_heard()
        self._flushed = now
        self._tracks.flush()
        view = memoryview(bytes(self._buffer))
        self._buffer.clear()
        while view:  # an unbuffered write may take less than it is given
            view = view[self._file.write(view) or 0 :]
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise OSError(errno.ENOENT, "its folder is gone", str(self.path))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, error: Exception | str) -> None:
        """End the recording, and say so once."""
        if self._state == "failed":
            return
        self._state = "failed"
        self.error = f"{self.path}: the recording ended early: {_why(error)}"
        self.close()
        if self._on_error is not None:
            self._on_error(self.error)
        else:
            structlog.get_logger().warning(self.error)


def _builtins(written: Any) -> dict[str, Any]:
    try:
        data: dict[str, Any] = msgspec.to_builtins(written, enc_hook=told)
    except (TypeError, ValueError, OverflowError, RecursionError):
        data = plain(written)
    return data


def _why(error: Exception | str) -> str:
    if isinstance(error, OSError):
        return f"{'the disk is full' if error.errno == errno.ENOSPC else error.strerror or error}"
    return error if isinstance(error, str) else f"{type(error).__name__}: {error}"
