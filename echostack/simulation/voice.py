"""A voice that can really be heard, for simulated calls in which a real recogniser or detector listens.

The caller's words are spoken by the embedded voice, or come from a WAV file that the scenario names. Frames then carry
real samples, and in ``track`` the number of the word that they belong to, so that simulated listeners still know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from echostack.connectors.pcm import to_pcm
from echostack.connectors.piper_voice import shared_voice
from echostack.connectors.resample import Resampler
from echostack.connectors.wav import WavReader
from echostack.core.errors import ConnectorFailure, UsageError
from echostack.core.span import Span
from echostack.graph.files import project_root

_HIGHER = 1.1  # the caller's voice is the agent's, somewhat higher, so that one hears who speaks
_MOST_SECONDS = 600


def spoken(text: str, rate: int) -> bytes:
    """``text`` as the embedded voice says it, at ``rate`` Hz, the same samples every time. MissingExtra without it."""
    voice = shared_voice("joe")
    audio = voice.speak(text, speed=0.95, volume=0.7, variation=0.0)
    return to_pcm(Resampler(round(voice.rate * _HIGHER), rate).feed(audio, last=True))


def recorded(path: str, rate: int, place: Span) -> bytes:
    """The WAV file ``path`` at ``rate`` Hz, ten minutes of it at most. The path is relative to the file that names it.

    UsageError, with the place that names it, when it cannot be read or lies outside the project's folder.
    """
    found = Path(place.file).parent / path
    if not found.resolve().is_relative_to(project_root(place.file)):
        raise UsageError(f"{place}: {path} lies outside the project's folder: put the recording beside this file")
    reader = WavReader(found)
    try:
        reader.open()
        samples = reader.read(reader.rate * _MOST_SECONDS)
        return to_pcm(Resampler(reader.rate, rate).feed(samples, last=True))
    except ConnectorFailure as error:
        raise UsageError(f"{place}: {error}") from None
    finally:
        reader.close()


def framed(pcm: bytes, numbers: list[tuple[int, int]], size: int) -> Iterator[tuple[bytes, str]]:
    """``pcm`` in frames of ``size`` samples, each with the number of the word that most of it belongs to.

    numbers: the words' numbers and how many samples each takes, in order.
    """
    at, word, left = 0, 0, numbers[0][1] if numbers else 0
    count = len(pcm) // 2
    while at < count:
        end = min(at + size, count)
        middle = (at + end) // 2
        while word + 1 < len(numbers) and middle >= left:
            word += 1
            left += numbers[word][1]
        yield pcm[2 * at : 2 * end], f"#{numbers[word][0]}" if numbers else ""
        at = end
