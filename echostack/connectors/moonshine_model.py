"""The Moonshine speech model: found in its package, loaded once a process, used by one thread at a time."""

from __future__ import annotations

import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from echostack.connectors.pcm import to_float
from echostack.core.errors import ConnectorFailure, MissingExtra

RATE = 16_000
"""The sample rate that the model hears, in Hz."""

_NAME = "moonshine.stt"
# The package's own judge of speech, at a threshold low enough to lose no word: without it the model hears "You" in
# any noise, with it a second of noise costs 6 ms instead of a decode.
_OPTIONS = {"vad_threshold": "0.3", "return_audio_data": "false"}

_NOISE = "You"
"""What the model makes of noise. A caller's own word comes with a full stop: "You."."""


class MoonshineModel:
    """One loaded model. ``decode`` may be called from any thread; calls take turns.

    The library hands out its result in memory that the next call overwrites, so two calls at once give garbage.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._transcriber: Any = None

    def load(self) -> None:
        """Load the weights (about 0.5 s) unless they are. MissingExtra, or ConnectorFailure when there are none."""
        with self._lock:
            if self._transcriber is None:
                self._transcriber = self._open()

    def decode(self, pcm: bytes) -> str:
        """What is said in 16-bit mono audio at ``RATE``: one line, empty when nothing is."""
        self.load()
        samples = to_float(pcm).tolist()
        with self._lock:
            lines = self._transcriber.transcribe_without_streaming(samples, RATE).lines
        said = (line.text for line in lines if line.text.strip() != _NOISE)
        return " ".join(" ".join(said).split())

    def _open(self) -> Any:
        try:
            package, code = import_module("moonshine_voice"), import_module("moonshine_voice.transcriber")
        except ImportError as error:
            raise MissingExtra(_NAME, "moonshine-voice", "embedded") from error
        folder = Path(str(package.__file__)).parent / "assets" / self._name
        if not folder.is_dir():
            raise ConnectorFailure(
                f"{_NAME}: the installed moonshine-voice carries no weights for {self._name!r} (later versions "
                "dropped them); the version that does comes with: pip install 'echostack[embedded]'",
                retryable=False,
            )
        return code.Transcriber(str(folder), package.ModelArch.TINY, options=dict(_OPTIONS))


@cache
def shared_model(name: str) -> MoonshineModel:
    """The process's one model of that name, not necessarily loaded yet."""
    return MoonshineModel(name)
