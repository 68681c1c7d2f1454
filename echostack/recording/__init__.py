"""What happened in a call, kept in a folder: written while it runs, read at any time, shared without its words."""

from echostack.recording.format import (
    VERSION,
    AudioRef,
    DropEntry,
    EndEntry,
    Entry,
    EventEntry,
    Header,
    PlayedEntry,
    RecordingError,
    StateEntry,
)
from echostack.recording.reader import Recording
from echostack.recording.recorder import Recorder
from echostack.recording.redacted import redact

__all__ = [
    "VERSION",
    "AudioRef",
    "DropEntry",
    "EndEntry",
    "Entry",
    "EventEntry",
    "Header",
    "PlayedEntry",
    "Recorder",
    "Recording",
    "RecordingError",
    "StateEntry",
    "redact",
]
