"""The query of Deepgram's ``/v1/listen``, read and checked as Deepgram does it before it takes the websocket."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MODELS: Final = re.compile(
    "(nova-3|nova-2|nova|enhanced|base)(-(general|medical|meeting|phonecall|finance|conversationalai|voicemail|video"
    "|drivethru|automotive|atc))?"
)
"""The models by name."""

RATES: Final = (8_000, 48_000)
"""The lowest and the highest sample rate that is taken, in Hz."""


class BadQuery(ValueError):
    """The query is not one; the message is what the client is told."""


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What one websocket asked for. Times in milliseconds; 0 for ``utterance_end_ms`` and None for ``endpointing``
    mean that the feature is off."""

    model: str = "base"
    language: str = "en"
    sample_rate: int = 16_000
    channels: int = 1
    interim_results: bool = False
    endpointing: int | None = 10
    utterance_end_ms: int = 0
    vad_events: bool = False
    punctuate: bool = False
    smart_format: bool = False
    keyterms: tuple[str, ...] = ()

    @property
    def formatted(self) -> bool:
        """Whether transcripts carry punctuation and capitals."""
        return self.punctuate or self.smart_format


# Taken as they come: they change words in ways that a local recogniser does not.
_TAKEN: Final = frozenset({
    "callback", "callback_method", "detect_entities", "diarize", "diarize_model", "dictation", "extra", "keywords",
    "language_hint", "mip_opt_out", "numerals", "profanity_filter", "redact", "replace", "search", "tag", "version",
})  # fmt: skip


def listen_options(query: Sequence[tuple[str, str]]) -> ListenOptions:
    """The options of a query's pairs; only ``keyterm`` may come more than once. BadQuery says what is wrong."""
    given: dict[str, Any] = {}
    keyterms: list[str] = []
    raw = False
    for name, text in query:
        if name == "keyterm":
            keyterms.append(text)
        elif name == "encoding":
            if text != "linear16":
                raise BadQuery(f"this server decodes encoding=linear16 only, not {text!r}")
            raw = True
        elif name == "multichannel":
            if _flag(name, text):
                raise BadQuery("this server does not tell channels apart: leave multichannel out")
        elif name in _READERS:
            given[name] = _READERS[name](name, text)
        elif name not in _TAKEN:
            raise BadQuery(f"unknown query parameter {name!r}")
    if not raw:
        raise BadQuery("this server takes raw audio only: give encoding=linear16 and sample_rate")
    if "sample_rate" not in given:
        raise BadQuery("encoding was given, so sample_rate is needed as well")
    options = ListenOptions(**given, keyterms=tuple(keyterms))
    if keyterms and not options.model.startswith("nova-3"):
        raise BadQuery("keyterm is a feature of nova-3 models; older ones take keywords")
    if options.utterance_end_ms and not options.interim_results:
        raise BadQuery("utterance_end_ms needs interim_results=true")
    return options


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadQuery(f"{name} is true or false, not {text!r}")
    return text.lower() == "true"


def _number(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise BadQuery(f"{name} is a whole number from {least} to {most}, not {text!r}")
        return int(text)

    return read


def _endpointing(name: str, text: str) -> int | None:
    if text.lower() in ("true", "false"):
        return 10 if text.lower() == "true" else None
    return _number(0, 60_000)(name, text)


def _model(name: str, text: str) -> str:
    if not MODELS.fullmatch(text):
        raise BadQuery("No such model/language/tier combination found.")
    return text


def _language(name: str, text: str) -> str:
    parts = text.split("-")
    if not all(p.isascii() and p.isalnum() and 2 <= len(p) <= 8 for p in parts):
        raise BadQuery("No such model/language/tier combination found.")
    return text


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "model": _model,
    "language": _language,
    "sample_rate": _number(*RATES),
    "channels": _number(1, 2),
    "interim_results": _flag,
    "endpointing": _endpointing,
    "utterance_end_ms": _number(1_000, 5_000),
    "vad_events": _flag,
    "punctuate": _flag,
    "smart_format": _flag,
}
