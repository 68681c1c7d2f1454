"""The settings of ``elevenlabs.tts``."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from echostack.connectors.elevenlabs.errors import NAME
from echostack.connectors.http_call import check_url
from echostack.connectors.keys import header_key
from echostack.registry import ConnectorSettings, Env

PRODUCTION: Final = "https://api.elevenlabs.io"


class ElevenLabsTtsSettings(ConnectorSettings):
    """Whose voice, in which model and manner, and how long the service may take."""

    api_key: Annotated[SecretStr, Env("ELEVENLABS_API_KEY")]
    """The key of the account."""
    voice_id: str = Field("JBFqnCBsd6RMkjVDRZzb", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """The voice; by default George, one of those that every account has."""
    model_id: str = Field("eleven_flash_v2_5", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """The model; by default the one of the lowest latency."""
    rate: Literal[8000, 16000, 22050, 24000, 44100] = 24000
    """The sample rate in Hz; 44100 takes a larger plan."""
    language: str = Field("", pattern=r"^([a-z]{2,3})?$")
    """The language as ISO 639-1, such as en, for models that take one; empty: by the text."""
    stability: float | None = Field(None, ge=0.0, le=1.0)
    """How even the voice is: 0 lively, 1 monotonous; by default as the voice is set."""
    similarity_boost: float | None = Field(None, ge=0.0, le=1.0)
    """How close it keeps to the original voice; by default as the voice is set."""
    style: float | None = Field(None, ge=0.0, le=1.0)
    """How much it exaggerates the voice's style; more than 0 costs time. By default as the voice is set."""
    speed: float = Field(1.0, ge=0.7, le=1.2)
    """How fast: 1 is the voice's own pace."""
    normalization: Literal["auto", "on", "off"] = "auto"
    """Whether numbers and dates are written out before they are spoken."""
    transport: Literal["websocket", "http"] = "websocket"
    """One websocket for the call, or a request for each message, which takes longer to begin."""
    base_url: Annotated[str, Env("ELEVENLABS_BASE_URL")] = PRODUCTION
    """Where the service is, http or https; the address of the websocket follows from it."""
    connect_s: float = Field(2.0, gt=0.0, le=30.0)
    """Seconds in which the service takes a connection, or answers a ping."""
    first_audio_s: float = Field(2.5, gt=0.0, le=60.0)
    """Seconds from a text to its first audio; then it has failed."""
    gap_s: float = Field(1.5, gt=0.0, le=60.0)
    """Seconds between two pieces of audio; after twice as long the connection is taken to be dead."""
    settle_ms: int = Field(300, ge=10, le=10_000)
    """Milliseconds without audio that end a piece of a message where the service tells no times."""
    keepalive_s: float = Field(15.0, gt=0.0, le=150.0)
    """Seconds between two messages that keep the connection alive while nothing is said."""

    @property
    def key(self) -> str:
        """The key as a header takes it. ConnectorFailure when there is none that it can take."""
        return header_key(
            self.api_key, node=NAME, variable="ELEVENLABS_API_KEY",
            source="https://elevenlabs.io/app/settings/api-keys",
        )  # fmt: skip

    @field_validator("base_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return check_url(value, "base_url").rstrip("/")
