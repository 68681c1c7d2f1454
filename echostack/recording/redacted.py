"""A redacted copy of a recording, to be shared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from echostack.core.span import Source
from echostack.recording.folder import open_folder
from echostack.recording.format import AUDIO, EndEntry, EventEntry, RecordingError
from echostack.recording.head import redacted_header
from echostack.recording.reader import Recording
from echostack.recording.redact import redact_payload, redact_stats
from echostack.recording.texts import redact_source
from echostack.recording.tracks import TrackWriter

_HELD = 1 << 20


def redact(recording: Recording, out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write ``recording`` to the new folder ``out`` without its words, numbers and voices, as a Recorder with
    ``redact`` would have. What a crash cut off, and what is not written yet, is not in the copy.

    UsageError for a folder that holds something; RecordingError for a line or a file that cannot be read; OSError.
    """
    folder = Path(out)
    encode = msgspec.json.Encoder(order="deterministic").encode
    with open_folder(folder, overwrite=overwrite) as file:
        _copy_graph(recording, folder)
        lines = bytearray(encode(redacted_header(recording.header)) + b"\n")
        for entry in recording.entries():
            written: Any = entry
            if isinstance(entry, EventEntry):
                payload = msgspec.Raw(encode(redact_payload(entry.kind, entry.data)))
                written = structs.replace(entry, payload=payload)
            elif isinstance(entry, EndEntry):
                written = structs.replace(entry, stats=redact_stats(entry.stats))
            lines += encode(written) + b"\n"
            if len(lines) > _HELD:
                _write(file, lines)
        for name in recording.tracks:
            track = recording.track(name)
            silence = TrackWriter(folder / AUDIO / f"{name}.wav", name, track.form, silent=True)
            try:
                silence.skip(track.samples)
                silence.flush()
            finally:
                silence.close()
        _write(file, lines)
        os.fsync(file.fileno())
    return folder


def _copy_graph(recording: Recording, folder: Path) -> None:
    named = {node.id.rsplit("/", 1)[-1]: frozenset(node.kept) for node in recording.header.nodes}
    for head in recording.header.files:
        path = recording.path / head.path
        try:
            text = path.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror or error}") from error
        copy = folder / head.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(redact_source(Source(head.path, text), named).encode("utf-8", "surrogatepass"))


def _write(file: Any, lines: bytearray) -> None:
    view = memoryview(bytes(lines))
    lines.clear()
    while view:
        view = view[file.write(view) or 0 :]
