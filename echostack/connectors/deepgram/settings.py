"""The settings of ``deepgram.stt``, and the query that they make."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from echostack.registry import ConnectorSettings
from echostack.registry.spec import Env


class DeepgramSettings(ConnectorSettings):
    """What is recognised and how it is written, when a turn ends, and how long a bad connection is put up with."""

    api_key: Annotated[SecretStr, Env("DEEPGRAM_API_KEY")]
    """The key, from https://console.deepgram.com."""
    base_url: Annotated[str, Env("DEEPGRAM_BASE_URL")] = "https://api.deepgram.com"
    """Where Deepgram is; http:// or https://, the websocket's address follows from it."""
    model: str = Field("nova-3", min_length=1, max_length=100)
    """The model, such as nova-3, nova-3-medical or nova-2-phonecall."""
    language: str = Field("en", min_length=2, max_length=20)
    """The caller's language (en, en-GB, de, ...); multi for several in one call, with nova-3."""
    endpointing_ms: int = Field(300, ge=10, le=10_000)
    """Silence that ends the caller's turn, in milliseconds, as Deepgram's voice activity detector hears it."""
    utterance_end_ms: int = Field(1000, ge=1000, le=5000)
    """Time without a new word that ends the turn where noise hides the silence, in milliseconds."""
    keyterms: tuple[str, ...] = Field((), max_length=100)
    """Names and words to listen for; nova-3 only."""
    punctuate: bool = True
    """Whether punctuation and capitals are put in."""
    smart_format: bool = False
    """Whether dates, times, amounts and numbers are written as people write them; may hold a result back."""
    numerals: bool = False
    """Whether numbers are written in digits."""
    profanity_filter: bool = False
    """Whether swear words are taken out."""
    redact: tuple[str, ...] = Field((), max_length=20)
    """Kinds of words to leave out, such as pci, ssn or numbers."""
    mip_opt_out: bool = False
    """Whether the audio is kept out of Deepgram's model improvement programme (priced differently)."""
    sample_rate: int = Field(16_000, ge=8_000, le=48_000)
    """The sample rate that the engine converts the audio to, in Hz; the line's own costs the least."""
    keepalive_s: float = Field(4.0, gt=0, le=8)
    """Seconds without audio after which the connection is kept alive; Deepgram closes it after 10."""
    connect_s: float = Field(4.0, gt=0, le=30)
    """Seconds in which a connection must be open."""
    stall_s: float = Field(3.0, gt=0, le=30)
    """Seconds without any answer to the audio after which a connection is given up."""
    outage_s: float = Field(5.0, ge=0, le=120)
    """Seconds without Deepgram after which the node fails, so that a fallback takes over."""
    reconnects: int = Field(5, ge=0, le=100)
    """Connections that may be lost within a minute before the node fails."""
    hold_s: float = Field(30.0, ge=1, le=300)
    """Seconds of audio that are kept until they are recognised for good, to be sent again by a new connection."""

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url is an http:// or https:// address, such as https://api.deepgram.com")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url is the address alone: the key goes into api_key")
        return value

    @model_validator(mode="after")
    def _fits(self) -> DeepgramSettings:
        if self.keyterms and not self.model.startswith("nova-3"):
            raise ValueError(f"keyterms are a feature of the nova-3 models, not of {self.model!r}")
        return self

    def query(self) -> dict[str, Any]:
        """The parameters of the websocket, as the SDK takes them."""
        asked: dict[str, Any] = {
            "model": self.model,
            "language": self.language,
            "encoding": "linear16",
            "sample_rate": self.sample_rate,
            "channels": 1,
            "interim_results": True,
            "endpointing": self.endpointing_ms,
            "utterance_end_ms": self.utterance_end_ms,
            "punctuate": self.punctuate,
            "smart_format": self.smart_format,
            "numerals": self.numerals,
            "profanity_filter": self.profanity_filter,
        }
        if self.keyterms:
            asked["keyterm"] = list(self.keyterms)
        if self.redact:
            asked["redact"] = list(self.redact)
        if self.mip_opt_out:
            asked["mip_opt_out"] = True
        return asked
